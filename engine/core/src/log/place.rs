//! Where a byte lives: which segment, and how far into its file.

use std::fmt;

use crate::id::{Offset, TopicPartition};

/// A segment of a partition, named by the first offset it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The partition it belongs to.
    pub partition: TopicPartition,
    /// Its base offset, the 20 digits of its file name.
    pub base: Offset,
}

impl fmt::Display for SegmentId {
    /// Its file below the data directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicPartition { topic, index } = self.partition;
        write!(f, "topics/{topic}/{}/{:020}.log", index.0, self.base.0)
    }
}

/// A byte position in a partition. Later segments compare greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The segment's base offset.
    pub segment: Offset,
    /// Bytes from the start of the segment's file.
    pub at: u64,
}

impl Place {
    /// The first byte of a segment.
    #[must_use]
    pub fn start_of(segment: Offset) -> Place {
        Place { segment, at: 0 }
    }

    /// `bytes` further in the same segment.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Place {
        Place { at: self.at + bytes, ..self }
    }

    /// The start of the block that holds this position.
    #[must_use]
    pub fn block_start(self) -> Place {
        Place { at: self.at - self.at % corelog_mem::BLOCK as u64, ..self }
    }
}

/// Which life of a partition's log a journal entry belongs to. Replay prefers the higher one, and a
/// higher one cuts lower ones at its start (storage.md, invariant 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogVersion {
    /// The broker start that made it.
    pub start: u32,
    /// Raised within one start at a move to another shard or a truncation.
    pub change: u32,
}
