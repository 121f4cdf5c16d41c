//! The length prefix around every request and response: four bytes, big-endian, signed.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the prefix.
pub const PREFIX: usize = 4;

/// A prefix that no frame has. The connection cannot be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A size below zero.
    Negative(i32),
    /// A size above the limit.
    TooLarge {
        /// The size claimed.
        size: usize,
        /// The limit (`socket.request.max.bytes`).
        max: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative(size) => write!(f, "a frame of {size} bytes"),
            Self::TooLarge { size, max } => write!(f, "a frame of {size} bytes, {max} allowed"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Bytes that follow the prefix.
///
/// # Errors
/// The size is negative or above `max`.
pub fn size(prefix: [u8; PREFIX], max: usize) -> Result<usize, FrameError> {
    let claimed = i32::from_be_bytes(prefix);
    let size = usize::try_from(claimed).map_err(|_| FrameError::Negative(claimed))?;
    if size > max { Err(FrameError::TooLarge { size, max }) } else { Ok(size) }
}

/// Takes the first frame, without its prefix, off what was received; `None` if it is not complete.
///
/// # Errors
/// As [`size()`], as soon as the prefix is there.
pub fn split(received: &mut BytesMut, max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(&prefix) = received.first_chunk() else { return Ok(None) };
    let size = size(prefix, max)?;
    if received.len() - PREFIX < size {
        return Ok(None);
    }
    received.advance(PREFIX);
    Ok(Some(received.split_to(size).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (prefix, expected) in [
            ([0, 0, 0, 0], Ok(0)),
            ([0, 0, 0, 8], Ok(8)),
            ([0, 0, 0, 9], Err(FrameError::TooLarge { size: 9, max: 8 })),
            ([0x7f, 255, 255, 255], Err(FrameError::TooLarge { size: i32::MAX as usize, max: 8 })),
            ([0x80, 0, 0, 0], Err(FrameError::Negative(i32::MIN))),
            ([255, 255, 255, 255], Err(FrameError::Negative(-1))),
        ] {
            assert_eq!(size(prefix, 8), expected);
        }
    }

    #[test]
    fn split_waits_for_whole_frames_and_takes_one_at_a_time() {
        let sent = [&[0, 0, 0, 2][..], b"ab", &[0, 0, 0, 0], &[0, 0, 0, 1], b"c"].concat();
        let (mut received, mut frames) = (BytesMut::new(), Vec::new());
        for byte in sent {
            received.extend_from_slice(&[byte]);
            frames.extend(split(&mut received, 2).unwrap().map(|frame| (received.len(), frame)));
        }
        let expected = [&b"ab"[..], b"", b"c"].map(|frame| (0, Bytes::from_static(frame)));
        assert_eq!(frames, expected);
    }

    #[test]
    fn split_refuses_before_the_frame_is_there() {
        let mut received = BytesMut::from(&[0, 0, 0, 3][..]);
        assert_eq!(split(&mut received, 2), Err(FrameError::TooLarge { size: 3, max: 2 }));
    }
}
