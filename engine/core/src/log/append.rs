//! Appending: a batch gets its offset, is stamped and goes to memory.

use crate::id::{Now, Offset};
use crate::limits::EXPIRE_PRODUCERS_MS;
use crate::log::segment::{Incoming, SegmentEnd};
use crate::log::watermarks::Boundary;
use crate::log::{Growth, Log, Place, Segment};
use crate::record::BatchHeader;
use crate::record::batch::{HEADER_LEN, stamp};

/// A batch that has passed every check, stamped but for its place in the log.
#[derive(Debug)]
pub struct PreparedAppend<'a> {
    /// The whole batch.
    pub bytes: &'a [u8],
    /// Its header.
    pub header: BatchHeader,
}

impl Log {
    /// Whether the unfinished last block must be read back before anything can be appended: a block
    /// is only ever written whole.
    #[must_use]
    pub fn needs_tail(&self) -> bool {
        let end = self.marks.end().place;
        end != end.block_start() && !self.tail.holds(end.block_start())
    }

    /// The bytes of the unfinished last block, where it starts.
    #[must_use]
    pub fn missing_tail(&self) -> (Place, u32) {
        let end = self.marks.end().place;
        let start = end.block_start();
        (start, (end.at - start.at) as u32)
    }

    /// Takes the unfinished last block back into memory; `false` when these are not its bytes.
    #[must_use]
    pub fn restore_tail(&mut self, now: Now, bytes: &[u8]) -> bool {
        let (start, len) = self.missing_tail();
        let whole = bytes.len() == len as usize;
        if whole && self.needs_tail() {
            self.tail.push(now.instant, start, &[bytes]);
        }
        whole
    }

    /// Appends a batch and says where; the last block must be in memory.
    pub fn append(&mut self, now: Now, batch: &PreparedAppend<'_>) -> Offset {
        debug_assert!(!self.needs_tail());
        let size = batch.bytes.len() as u64;
        let base = self.marks.end().offset;
        let last_offset = base.plus(i64::from(batch.header.last_offset_delta));
        let max_timestamp = batch.header.max_timestamp;
        self.roll_if_due(now, Incoming { bytes: size, last_offset, max_timestamp });
        let place = self.marks.end().place;
        self.push(now, base, place, batch);
        self.active().note(base, place.at, max_timestamp, now.wall);
        let stored = BatchHeader { base_offset: base, ..batch.header };
        self.expire_producers(now);
        self.producers.append(&stored);
        self.marks.set_end(Boundary { offset: last_offset.plus(1), place: place.plus(size) });
        self.last_append = now.instant;
        base
    }

    /// Forgets producers that have been silent for too long, now and then.
    fn expire_producers(&mut self, now: Now) {
        if now.instant.ms_since(self.looked_for_expired) >= EXPIRE_PRODUCERS_MS {
            self.looked_for_expired = now.instant;
            self.producers.expire(now.wall, self.config.producers.expiration_ms);
        }
    }

    /// From now on its memory grows fast with its rate, or not.
    pub fn set_growth(&mut self, growth: Growth) {
        self.tail.set_growth(growth);
    }

    fn push(&mut self, now: Now, base: Offset, place: Place, batch: &PreparedAppend<'_>) {
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&batch.bytes[..HEADER_LEN]);
        stamp(&mut header, base, self.epoch);
        let max_before = self.active().max_timestamp;
        self.tail.mark(base, place, max_before);
        self.tail.push(now.instant, place, &[&header, &batch.bytes[HEADER_LEN..]]);
    }

    fn roll_if_due(&mut self, now: Now, batch: Incoming) {
        let filled = self.marks.end().place.at;
        let config = self.config.clone();
        if self.active().should_roll(&config, now, filled, batch) {
            self.roll();
        }
    }

    /// Closes the active segment and starts the next one.
    fn roll(&mut self) {
        let end = self.marks.end();
        let closed = SegmentEnd { next_offset: end.offset, bytes: end.place.at };
        self.active().end = Some(closed);
        self.tail.close();
        self.segments.push(Segment::new(end.offset).spaced(self.config.index_spacing));
        let place = Place::start_of(end.offset);
        self.marks.set_end(Boundary { offset: end.offset, place });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::id::{
        Instant, LeaderEpoch, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId,
        TopicPartition,
    };
    use crate::log::{Known, LogConfig, LogImage, LogVersion, ProducerMemory};
    use crate::record::{BatchBuilder, Codec, NewRecord, Sequence};

    fn append(log: &mut Log, producer: i64, after_ms: u64) {
        let timestamp = Timestamp(after_ms as i64);
        let now = Now { instant: Instant(after_ms * 1000), wall: timestamp };
        let batch = BatchBuilder::new(Codec::None);
        let mut batch = batch.producer(ProducerId(producer), ProducerEpoch(0), Sequence(0));
        batch.append(NewRecord { timestamp, key: None, value: Some(b"v"), headers: &[] });
        let bytes = batch.build().expect("small");
        let header = BatchHeader::parse(&bytes).expect("a batch");
        log.append(now, &PreparedAppend { bytes: &bytes, header });
    }

    #[test]
    fn silent_producers_and_too_many_are_forgotten() {
        let partition = TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(0) };
        let producers = ProducerMemory { most: 3, expiration_ms: 3_600_000 };
        let config = Arc::new(LogConfig { producers, ..LogConfig::default() });
        let image = LogImage::empty(LogVersion::default());
        let mut log = Log::new(partition, image, config, LeaderEpoch(1), Known::No);
        (0..5).for_each(|producer| append(&mut log, producer, 1));
        assert_eq!(log.producers().len(), 3, "no more than the limit");
        append(&mut log, 5, EXPIRE_PRODUCERS_MS);
        assert_eq!(log.producers().len(), 3, "none is old");
        append(&mut log, 6, 3_600_001 + EXPIRE_PRODUCERS_MS / 2);
        let left: Vec<i64> = log.producers().iter().map(|producer| producer.id.0).collect();
        assert_eq!(left, [5, 6]);
    }
}
