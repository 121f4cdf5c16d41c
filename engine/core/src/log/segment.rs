//! A partition's segments: which files hold which offsets, and when a new one starts.

use crate::id::{Now, Offset, Timestamp};
use crate::log::config::LogConfig;
use crate::log::index::Index;

/// Where a segment that takes no more bytes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentEnd {
    /// The offset behind its last record: the next segment's base.
    pub next_offset: Offset,
    /// Bytes of its file.
    pub bytes: u64,
}

/// One segment. The last of a partition is active, the others are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The first offset that it may hold.
    pub base: Offset,
    /// Its end, once it is closed.
    pub end: Option<SegmentEnd>,
    /// The greatest timestamp of its batches.
    pub max_timestamp: Timestamp,
    /// The greatest timestamp of its first batch, else when that was appended: `segment.ms` counts
    /// from here (Kafka's `LogSegment.rollingBasedTimestamp`).
    pub first_timestamp: Timestamp,
    /// Its index.
    pub index: Index,
}

impl Segment {
    /// A new, empty, active segment.
    #[must_use]
    pub fn new(base: Offset) -> Segment {
        Segment {
            base,
            end: None,
            max_timestamp: Timestamp::NONE,
            first_timestamp: Timestamp::NONE,
            index: Index::default(),
        }
    }

    /// The same with another spacing of its index.
    #[must_use]
    pub fn spaced(self, spacing: u64) -> Segment {
        Segment { index: self.index.spaced(spacing), ..self }
    }

    /// Takes note of a batch appended at `at`.
    pub fn note(&mut self, offset: Offset, at: u64, max_timestamp: Timestamp, now: Timestamp) {
        self.index.offer(offset, at, self.max_timestamp);
        if at == 0 {
            let known = max_timestamp > Timestamp::NONE;
            self.first_timestamp = if known { max_timestamp } else { now };
        }
        self.max_timestamp = self.max_timestamp.max(max_timestamp);
    }

    /// Whether a batch starts a new segment, as Kafka's `LogSegment.shouldRoll`: the file would
    /// grow too large, is too old, or its offsets would no longer fit an `i32`. An empty segment
    /// takes any batch.
    #[must_use]
    pub fn should_roll(&self, config: &LogConfig, now: Now, bytes: u64, batch: Incoming) -> bool {
        let full = bytes + batch.bytes > config.segment_bytes;
        let known = batch.max_timestamp > Timestamp::NONE;
        let time = if known { batch.max_timestamp } else { now.wall };
        let waited = time.0.saturating_sub(self.first_timestamp.0);
        let limit = i64::try_from(config.segment_ms).unwrap_or(i64::MAX);
        let old = self.first_timestamp > Timestamp::NONE && waited > limit;
        let far = batch.last_offset.0 - self.base.0 > i64::from(i32::MAX);
        bytes > 0 && (full || old || far)
    }
}

/// A batch that is about to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// Its size.
    pub bytes: u64,
    /// The offset that its last record will get.
    pub last_offset: Offset,
    /// Its greatest timestamp.
    pub max_timestamp: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Instant;

    #[test]
    fn a_segment_rolls_as_kafkas_does() {
        let config = LogConfig { segment_bytes: 1000, segment_ms: 50, ..LogConfig::default() };
        let rows = [
            ("fits", 900, 100, 10, 149, false),
            ("too large", 901, 100, 10, 149, true),
            ("empty takes any", 0, 5000, 10, 149, false),
            ("as old as allowed", 10, 100, 10, 150, false),
            ("too old", 10, 100, 10, 151, true),
            ("offsets too far", 10, 100, 5 + i64::from(i32::MAX) + 1, 100, true),
            ("offsets at the limit", 10, 100, 5 + i64::from(i32::MAX), 100, false),
            ("no timestamp: the clock", 10, 100, 10, -1, true),
        ];
        for (name, filled, bytes, last, timestamp, rolls) in rows {
            let mut segment = Segment::new(Offset(5));
            segment.note(Offset(5), 0, Timestamp(100), Timestamp(7));
            let now = Now { instant: Instant(0), wall: Timestamp(151) };
            let batch =
                Incoming { bytes, last_offset: Offset(last), max_timestamp: Timestamp(timestamp) };
            assert_eq!(segment.should_roll(&config, now, filled, batch), rolls, "{name}");
        }
    }
}
