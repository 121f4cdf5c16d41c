//! What messages consist of.

use std::time::Instant;

use bytes::Bytes;

/// Bytes of a mark.
pub(crate) const MARK_LEN: usize = 16;

/// What a message says of itself: which run it belongs to, and when it should have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) run: u64,
    /// Since the epoch of the run.
    pub(crate) at_nanos: u64,
}

/// The messages of a request.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The same in all.
    Fixed(Vec<Bytes>),
    /// One, which begins with its mark.
    Marked { run: u64, epoch: Instant, message: Vec<u8> },
}

impl Content {
    /// So many messages of random hexadecimal digits.
    pub(crate) fn fixed(messages: usize, message_bytes: usize) -> Content {
        let mut digits = Digits(0x5eed);
        let message = |_| Bytes::from_iter(digits.by_ref().take(message_bytes));
        Content::Fixed((0..messages).map(message).collect())
    }

    /// A message of so many bytes, at least those of the mark.
    pub(crate) fn marked(run: u64, epoch: Instant, message_bytes: usize) -> Content {
        let message = Digits(0x5eed).take(message_bytes.max(MARK_LEN)).collect();
        Content::Marked { run, epoch, message }
    }

    /// What is sent when it should be sent then.
    pub(crate) fn at(&mut self, intended: Instant) -> Vec<Bytes> {
        match self {
            Content::Fixed(messages) => messages.clone(),
            Content::Marked { run, epoch, message } => {
                let since = intended.saturating_duration_since(*epoch).as_nanos();
                message[..8].copy_from_slice(&run.to_be_bytes());
                message[8..MARK_LEN].copy_from_slice(&(since as u64).to_be_bytes());
                vec![Bytes::copy_from_slice(message)]
            }
        }
    }
}

impl Mark {
    /// The mark at the start of a message.
    pub(crate) fn read(message: &[u8]) -> Option<Mark> {
        let (run, rest) = message.split_first_chunk()?;
        let at = rest.first_chunk()?;
        Some(Mark { run: u64::from_be_bytes(*run), at_nanos: u64::from_be_bytes(*at) })
    }
}

/// Hexadecimal digits, which compress about twofold, as in the batches of `corelog-bench`.
struct Digits(u64);

impl Iterator for Digits {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 = xorshift(self.0);
        Some(b"0123456789abcdef"[(self.0 >> 60) as usize])
    }
}

/// The next state of a generator whose state is not 0.
pub(crate) fn xorshift(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn messages_have_their_size_and_a_mark_is_read() {
        let epoch = Instant::now();
        for size in [MARK_LEN, 100, 1024] {
            let messages = Content::fixed(3, size).at(epoch);
            assert_eq!(messages.iter().map(Bytes::len).collect::<Vec<_>>(), [size; 3]);
            assert!(messages[0].iter().all(u8::is_ascii_hexdigit));
            let marked = Content::marked(77, epoch, size).at(epoch + Duration::from_nanos(5));
            assert_eq!((marked.len(), marked[0].len()), (1, size));
            assert_eq!(Mark::read(&marked[0]), Some(Mark { run: 77, at_nanos: 5 }));
        }
        assert_eq!(Mark::read(&[0; MARK_LEN - 1]), None);
    }
}
