//! What consumers of classic groups are assigned: bytes that brokers do not look into.
//!
//! ```text
//! version i16
//! topics  i32, then for each: its name (i16 length, UTF-8), partitions (i32, then i32 each)
//! data    of the assignor, of whatever it is made
//! ```
//!
//! Integers are big-endian. Newer versions may say more, behind all that.

use std::collections::BTreeMap;

/// Partitions by topic, both in order.
pub(super) type Assignment = BTreeMap<String, Vec<i32>>;

/// Nothing of bytes that are something else.
pub(super) fn decode(bytes: &[u8]) -> Assignment {
    Reader(bytes).assignment().unwrap_or_default()
}

/// What is left.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn assignment(&mut self) -> Option<Assignment> {
        let version = i16::from_be_bytes(self.take()?);
        let topics = i32::from_be_bytes(self.take()?);
        if version < 0 || topics < 0 {
            return None;
        }
        let mut found = Assignment::new();
        for _ in 0..topics {
            let name = self.text()?;
            let partitions: &mut Vec<i32> = found.entry(name).or_default();
            for _ in 0..i32::from_be_bytes(self.take()?) {
                partitions.push(i32::from_be_bytes(self.take()?));
            }
            partitions.sort_unstable();
        }
        Some(found)
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(i16::from_be_bytes(self.take()?)).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(str::from_utf8(text).ok()?.to_owned())
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Kafka's `ConsumerProtocol` writes two partitions of `t` and one of `u`.
    const BYTES: &[u8] = b"\0\x01\0\0\0\x02\
        \0\x01t\0\0\0\x02\0\0\0\x05\0\0\0\x03\
        \0\x01u\0\0\0\x01\0\0\0\0\
        \xff\xff\xff\xff";

    fn expected() -> Assignment {
        Assignment::from([("t".to_owned(), vec![3, 5]), ("u".to_owned(), vec![0])])
    }

    #[test]
    fn partitions_are_read() {
        assert_eq!(decode(BYTES), expected());
        assert_eq!(decode(b"\0\0\0\0\0\0\xff\xff\xff\xff"), Assignment::new());
        let newer = [b"\0\x09", &BYTES[2..], b"more"].concat();
        assert_eq!(decode(&newer), expected());
    }

    #[test]
    fn what_is_something_else_is_nothing() {
        let whole = BYTES.len() - 4;
        for len in 0..whole {
            assert_eq!(decode(&BYTES[..len]), Assignment::new(), "{len} bytes");
        }
        for bytes in [
            &b"\xff\xff\0\0\0\0"[..],
            b"\0\0\xff\xff\xff\xff",
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\0\0\0\x01\xff\xff",
            b"\0\0\0\0\0\x01\0\x01\xff\0\0\0\0",
            b"\0\0\0\0\0\x01\0\x01t\x7f\xff\xff\xff",
        ] {
            assert_eq!(decode(bytes), Assignment::new(), "{bytes:?}");
        }
    }
}
