//! How the memory of a shard's answers with records is divided.

use crate::bulk::CHUNK;

/// The most that chunks of files take, and the least with which one consumer is read ahead for.
const CHUNKS: (usize, usize) = (4, 16);
/// The same of buffers that reads in flight have, in bytes.
const READS: (u64, u64) = (1 << 20, 8 << 20);

/// Shares of it; together they are all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerShares {
    /// Bytes of records in answers on their way.
    pub(crate) records: u64,
    /// Bytes of buffers that reads in flight have.
    pub(crate) reads: usize,
    /// Chunks of files that are read past the page cache.
    pub(crate) chunks: usize,
}

impl AnswerShares {
    /// Of so many bytes.
    pub(crate) fn of(bytes: u64) -> AnswerShares {
        let places = usize::try_from(bytes / 4 / CHUNK as u64).unwrap_or(usize::MAX);
        let chunks = places.clamp(CHUNKS.0, CHUNKS.1);
        let reads = (bytes / 8).clamp(READS.0, READS.1);
        let records = bytes.saturating_sub(reads + (chunks * CHUNK) as u64);
        AnswerShares { records, reads: reads as usize, chunks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_memory_is_divided_and_much_goes_to_records() {
        const MIB: u64 = 1 << 20;
        for (bytes, records, reads, chunks) in [
            (80 * MIB, 64 * MIB, 8 * MIB, 16),
            (800 * MIB, 784 * MIB, 8 * MIB, 16),
            (12 * MIB, 12 * MIB - 3 * MIB / 2 - 3 * MIB, 3 * MIB / 2, 6),
            (MIB, 0, MIB, 4),
        ] {
            let expected = AnswerShares { records, reads: reads as usize, chunks };
            assert_eq!(AnswerShares::of(bytes), expected, "{bytes}");
        }
    }
}
