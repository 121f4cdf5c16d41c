//! Ranges that need not be whole blocks, read into memory that is.

use std::ops::Range;

use bytes::Bytes;
use corelog_os::aligned::{AlignedBuf, BLOCK};

/// Bytes of whole blocks that hold `len` bytes of which the first is at `at`; at least one block.
pub(crate) fn aligned_len(at: u64, len: usize) -> usize {
    let skipped = (at % BLOCK as u64) as usize;
    (skipped + len.max(1)).next_multiple_of(BLOCK)
}

/// Where the block starts that holds this position.
pub(crate) fn block_start(at: u64) -> u64 {
    at - at % BLOCK as u64
}

struct Part(AlignedBuf, Range<usize>);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.0[self.1.clone()]
    }
}

/// Part of a buffer, without a copy.
///
/// # Panics
/// When the range is not within the buffer.
pub(crate) fn into_bytes(buffer: AlignedBuf, range: Range<usize>) -> Bytes {
    assert!(range.start <= range.end && range.end <= buffer.len(), "{range:?}");
    Bytes::from_owner(Part(buffer, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_aligned_outward() {
        for (at, len, start, whole) in [
            (0, 1, 0, 4096),
            (0, 4096, 0, 4096),
            (1, 4096, 0, 8192),
            (4095, 1, 0, 4096),
            (4095, 2, 0, 8192),
            (8192, 0, 8192, 4096),
            (8193, 100, 8192, 4096),
        ] {
            assert_eq!((block_start(at), aligned_len(at, len)), (start, whole), "{at} {len}");
        }
    }

    #[test]
    fn a_part_shows_its_range() {
        let mut buffer = AlignedBuf::zeroed(BLOCK);
        buffer[10..13].copy_from_slice(b"abc");
        assert_eq!(into_bytes(buffer, 10..13), &b"abc"[..]);
    }
}
