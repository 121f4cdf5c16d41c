//! As owner: indexes of closed segments are read when first needed, and made anew from the segment
//! when they are missing or wrong.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::id::{Now, Offset, Timestamp};
use crate::log::{Place, Points, SegmentId, Window};
use crate::record::BatchHeader;
use crate::record::batch::HEADER_LEN;
use crate::shard::Pending;
use crate::shard::Shard;
use crate::shard::effect::{Effects, FileAction, Notice};
use crate::shard::event::Failure;
use crate::shard::partition::Slot;
use crate::shard::read::{Interrupted, Purpose};
use crate::shard::request::ReadError;

/// Bytes that a rebuild looks at in one go.
const REBUILD_WINDOW: u32 = 1 << 20;

/// An index in the making.
#[derive(Debug)]
pub(crate) struct Rebuild {
    segment: SegmentId,
    /// Up to here batches have been noted.
    at: u64,
    max_timestamp: Timestamp,
    points: Points,
}

/// Indexes of closed segments that are in memory, in order of loading, with their bytes.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    loaded: VecDeque<(Slot, Offset, u64)>,
    bytes: u64,
}

impl Rebuild {
    /// Takes in a window of the segment that starts at `self.at`; `None` when it holds no batch.
    fn take(&mut self, bytes: &[u8], end: u64) -> Option<()> {
        let mut at = 0;
        while self.at < end {
            let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_LEN) else { break };
            let header = BatchHeader::parse(rest).ok()?;
            self.points.offer(header.base_offset, self.at, self.max_timestamp);
            self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
            self.at += header.total_len() as u64;
            at += header.total_len();
        }
        (at > 0).then_some(())
    }
}

impl Shard {
    /// An index file has been read, or there is none.
    pub(super) fn on_index(
        &mut self,
        now: Now,
        slot: Slot,
        segment: SegmentId,
        then: Interrupted,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) {
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return self.resume(now, slot, then, Err(ReadError::UnknownPartition), fx);
        };
        let file = bytes.unwrap_or_default();
        if let Some(points) = partition.log.decode_index(segment.base, &file) {
            partition.log.set_index(segment.base, points);
            self.index_loaded(slot, segment.base);
            return self.resume(now, slot, then, Ok(()), fx);
        }
        let (at, points) = (0, Points::default());
        let rebuild = Rebuild { segment, at, max_timestamp: Timestamp::NONE, points };
        self.rebuild(slot, rebuild, then, fx);
    }

    fn rebuild(&mut self, slot: Slot, rebuild: Rebuild, then: Interrupted, fx: &mut Effects) {
        let place = Place { segment: rebuild.segment.base, at: rebuild.at };
        let window = Window { place, len: REBUILD_WINDOW, stored: REBUILD_WINDOW };
        self.look(slot, window, Purpose::Rebuild { rebuild, then }, fx);
    }

    /// One more window of a segment whose index is made anew.
    pub(super) fn on_rebuild(
        &mut self,
        now: Now,
        slot: Slot,
        mut rebuild: Rebuild,
        then: Interrupted,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) {
        let segment = rebuild.segment;
        let log = self.partitions.get_mut(&slot).map(|partition| &mut partition.log);
        let end = log.as_ref().and_then(|log| log.segment_end(segment.base));
        let (Some(log), Some(end)) = (log, end) else {
            return self.resume(now, slot, then, Err(ReadError::UnknownPartition), fx);
        };
        let Ok(bytes) = bytes else {
            return self.resume(now, slot, then, Err(ReadError::Offline), fx);
        };
        if rebuild.take(&bytes, end).is_none() {
            fx.notice(Notice::Damaged(segment, rebuild.at));
            return self.resume(now, slot, then, Err(ReadError::Damaged), fx);
        }
        if rebuild.at < end {
            return self.rebuild(slot, rebuild, then, fx);
        }
        log.set_index(segment.base, rebuild.points);
        let index = log.encode_index(segment.base);
        let id = self.effect(Pending::Nothing);
        fx.file(id, FileAction::WriteIndex(segment, index));
        fx.notice(Notice::IndexRebuilt(segment));
        self.index_loaded(slot, segment.base);
        self.resume(now, slot, then, Ok(()), fx);
    }

    /// A closed segment's index is in memory; the oldest others make room for it.
    pub(super) fn index_loaded(&mut self, slot: Slot, segment: Offset) {
        let Some(partition) = self.partitions.get(&slot) else { return };
        let bytes = partition.log.index_bytes(segment);
        // Two readers may have wanted it at once: it is here once.
        let again = |(of, base, _): &(Slot, Offset, u64)| (*of, *base) == (slot, segment);
        if let Some(at) = self.indexes.loaded.iter().position(again) {
            self.indexes.bytes -= self.indexes.loaded.remove(at).map_or(0, |(_, _, bytes)| bytes);
        }
        self.indexes.loaded.push_back((slot, segment, bytes));
        self.indexes.bytes += bytes;
        while self.indexes.bytes > self.limits.index_bytes && self.indexes.loaded.len() > 1 {
            let Some((slot, segment, bytes)) = self.indexes.loaded.pop_front() else { return };
            self.indexes.bytes -= bytes;
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.log.unload_index(segment);
            }
        }
    }

    fn resume(
        &mut self,
        now: Now,
        slot: Slot,
        then: Interrupted,
        index: Result<(), ReadError>,
        fx: &mut Effects,
    ) {
        match then {
            Interrupted::Read(reader) => self.resume_read(now, slot, reader, index, fx),
            Interrupted::Search(search) => self.resume_search(now, search, index, fx),
        }
    }
}
