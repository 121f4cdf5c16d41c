//! Records of many logs as appends of bounded size, so that nobody encodes or holds them all at
//! once.

use bytes::Bytes;

use crate::limits::ManifestLimits;
use crate::manifest::record::{Append, Record};

/// An append that takes logs until it is full.
#[derive(Debug)]
pub struct Part {
    limits: ManifestLimits,
    append: Append,
    logs: usize,
}

impl Part {
    /// One without a record.
    #[must_use]
    pub fn new(limits: ManifestLimits) -> Part {
        Part { limits, append: Append::default(), logs: 0 }
    }

    /// Whether the next log belongs into another part.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.logs >= self.limits.part_logs || self.append.record_bytes() >= self.limits.part_bytes
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.append.record_bytes() == 0
    }

    /// Adds what there is to say of one log.
    pub fn log(&mut self, records: &[Record]) {
        self.append.extend(records);
        self.logs += 1;
    }

    /// Adds what is of no log.
    pub fn record(&mut self, record: Record) {
        self.append.extend(&[record]);
    }

    /// The append.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.append.finish()
    }
}
