//! As owner: what index files have is read when first needed, and made anew from the segment where
//! they lack it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::id::{Now, Offset, Timestamp};
use crate::log::{Decoded, Lack, Place, Points, SegmentId, Window};
use crate::record::BatchHeader;
use crate::record::batch::HEADER_LEN;
use crate::shard::Pending;
use crate::shard::Shard;
use crate::shard::effect::{Effects, FileAction, Notice, ReadIndex};
use crate::shard::event::Failure;
use crate::shard::partition::{CallPart, OwnerCall, Partition, Slot};
use crate::shard::read::{Interrupted, Look, Purpose};
use crate::shard::request::ReadError;

/// Bytes that a rebuild looks at in one go.
const REBUILD_WINDOW: u32 = 1 << 20;

/// Index files that are read or made anew at once: each is memory that no class has.
const AT_ONCE: usize = 4;

/// Bytes that an index in memory takes besides its points.
const OVERHEAD: u64 = 128;

/// A segment of a partition of this shard.
type Key = (Slot, Offset);

/// An index in the making.
#[derive(Debug)]
pub(crate) struct Rebuild {
    segment: SegmentId,
    /// Why.
    lack: Lack,
    /// Bytes between two points.
    spacing: u64,
    /// Up to here batches have been noted.
    at: u64,
    max_timestamp: Timestamp,
    points: Points,
}

/// Indexes that are in memory, and those that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    /// When each was loaded, and its bytes.
    loaded: BTreeMap<Key, (u64, u64)>,
    by_age: BTreeMap<u64, Key>,
    loads: u64,
    bytes: u64,
    /// Who waits for which, of those that are read or will be.
    waiting: BTreeMap<Key, BTreeMap<CallPart, Interrupted>>,
    /// For which each of them does.
    waits: BTreeMap<CallPart, Key>,
    queue: VecDeque<(Slot, SegmentId)>,
    reading: usize,
}

impl Indexes {
    /// An index takes so many bytes.
    fn note(&mut self, key: Key, bytes: u64) {
        let (age, before) = self.loaded.get(&key).copied().unwrap_or_else(|| {
            self.loads += 1;
            (self.loads, 0)
        });
        self.bytes = self.bytes - before + bytes;
        self.loaded.insert(key, (age, bytes));
        self.by_age.insert(age, key);
    }

    /// The one loaded longest ago, when all of them take more than `limit` bytes; never the last.
    fn pop_over(&mut self, limit: u64) -> Option<Key> {
        if self.bytes <= limit || self.loaded.len() < 2 {
            return None;
        }
        let (_, key) = self.by_age.pop_first()?;
        self.remove(key);
        Some(key)
    }

    fn remove(&mut self, key: Key) {
        if let Some((age, bytes)) = self.loaded.remove(&key) {
            self.by_age.remove(&age);
            self.bytes -= bytes;
        }
    }

    /// Nobody waits for a call any more; the parts of it that waited for an index.
    pub(crate) fn leave(&mut self, call: OwnerCall) -> Vec<Interrupted> {
        let parts: Vec<_> = self.waits.range(call.parts()).map(|(p, key)| (*p, *key)).collect();
        let leave = |(part, key): &(CallPart, Key)| {
            self.waits.remove(part);
            self.waiting.get_mut(key)?.remove(part)
        };
        parts.iter().filter_map(leave).collect()
    }

    /// Those who wait for indexes.
    pub(crate) fn waiting(&self) -> usize {
        self.waits.len()
    }

    /// A partition is gone.
    pub(crate) fn forget(&mut self, slot: Slot) {
        let all = (slot, Offset(i64::MIN))..=(slot, Offset(i64::MAX));
        let keys: Vec<Key> = self.loaded.range(all).map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.remove(key));
    }
}

impl Rebuild {
    /// Goes on where what is known ends.
    fn new(segment: SegmentId, lack: Lack, known: Decoded, spacing: u64) -> Rebuild {
        let points = known.points;
        let last = points.all().last().copied();
        Rebuild {
            segment,
            lack,
            spacing,
            at: last.map_or(0, |point| point.at),
            max_timestamp: last.map_or(Timestamp::NONE, |point| point.max_before),
            points,
        }
    }

    /// Takes in a window of the segment that starts at `self.at`; `None` when it holds no batch.
    fn take(&mut self, bytes: &[u8], end: u64) -> Option<()> {
        let mut at = 0;
        while self.at < end {
            let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_LEN) else { break };
            let header = BatchHeader::parse(rest).ok()?;
            let offset = header.base_offset;
            self.points.offer(offset, self.at, self.max_timestamp, self.spacing);
            self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
            self.at += header.total_len() as u64;
            at += header.total_len();
        }
        (at > 0).then_some(())
    }
}

impl Shard {
    /// Reads a segment's index file for one more reader.
    pub(super) fn load_index(
        &mut self,
        slot: Slot,
        segment: SegmentId,
        then: Interrupted,
        fx: &mut Effects,
    ) {
        let (key, part) = ((slot, segment.base), then.part());
        let is_asked_for = self.indexes.waiting.contains_key(&key);
        self.indexes.waiting.entry(key).or_default().insert(part, then);
        self.indexes.waits.insert(part, key);
        if !is_asked_for {
            self.indexes.queue.push_back((slot, segment));
            self.read_indexes(fx);
        }
    }

    /// Reads as many index files as may be read at once.
    fn read_indexes(&mut self, fx: &mut Effects) {
        while self.indexes.reading < AT_ONCE {
            let Some((slot, segment)) = self.indexes.queue.pop_front() else { return };
            let key = (slot, segment.base);
            if self.indexes.waiting.get(&key).is_none_or(BTreeMap::is_empty) {
                self.indexes.waiting.remove(&key);
                continue;
            }
            self.indexes.reading += 1;
            self.read_index(slot, segment, fx);
        }
    }

    fn read_index(&mut self, slot: Slot, segment: SegmentId, fx: &mut Effects) {
        let until = self.indexed(slot, segment).unwrap_or_default();
        let look = Look { slot, purpose: Purpose::Index { segment, until } };
        let id = self.effect(Pending::Look(look));
        fx.indexes.push(ReadIndex { id, segment });
    }

    /// How far a segment's index file should go.
    fn indexed(&self, slot: Slot, segment: SegmentId) -> Option<u64> {
        self.partitions.get(&slot)?.log.indexed(segment.base)
    }

    /// An index file has been read, or there is none.
    pub(super) fn on_index(
        &mut self,
        now: Now,
        slot: Slot,
        segment: SegmentId,
        until: u64,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) {
        let partition = self.partitions.get_mut(&slot);
        let has_segment = |p: &&mut Partition| p.log.indexed(segment.base).is_some();
        let Some(partition) = partition.filter(has_segment) else {
            return self.index_done(now, slot, segment, Ok(()), fx);
        };
        let unreadable = matches!(bytes, Err(Failure::Io(_)));
        let file = bytes.unwrap_or_default();
        let decoded = partition.log.decode_index(segment.base, &file, until);
        if decoded.until < until {
            let lack = match unreadable {
                true => Lack::Damaged,
                false => partition.log.lack_of_index(segment.base, &file, &decoded),
            };
            let spacing = partition.log.config().index_spacing;
            return self.rebuild(slot, Rebuild::new(segment, lack, decoded, spacing), fx);
        }
        self.take_index(now, slot, segment, decoded, fx);
    }

    /// The points before `decoded.until` are known: all, unless the file has got more meanwhile.
    fn take_index(
        &mut self,
        now: Now,
        slot: Slot,
        segment: SegmentId,
        decoded: Decoded,
        fx: &mut Effects,
    ) {
        let partition = self.partitions.get_mut(&slot);
        let loaded =
            partition.map(|p| p.log.load_index(segment.base, decoded.points, decoded.until));
        if loaded == Some(false) {
            return self.read_index(slot, segment, fx);
        }
        self.index_loaded(slot, segment.base);
        self.index_done(now, slot, segment, Ok(()), fx);
    }

    fn rebuild(&mut self, slot: Slot, rebuild: Rebuild, fx: &mut Effects) {
        let place = Place { segment: rebuild.segment.base, at: rebuild.at };
        let window = Window { place, len: REBUILD_WINDOW, stored: REBUILD_WINDOW };
        self.look(slot, window, Purpose::Rebuild(rebuild), fx);
    }

    /// One more window of a segment whose index is made anew.
    pub(super) fn on_rebuild(
        &mut self,
        now: Now,
        slot: Slot,
        mut rebuild: Rebuild,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) {
        let (segment, lack) = (rebuild.segment, rebuild.lack);
        let Some(end) = self.indexed(slot, segment) else {
            return self.index_done(now, slot, segment, Ok(()), fx);
        };
        let Ok(bytes) = bytes else {
            return self.index_done(now, slot, segment, Err(ReadError::Offline), fx);
        };
        if rebuild.take(&bytes, end).is_none() {
            fx.notice(Notice::Damaged(segment, rebuild.at));
            return self.index_done(now, slot, segment, Err(ReadError::Damaged), fx);
        }
        if rebuild.at < end {
            return self.rebuild(slot, rebuild, fx);
        }
        let decoded = Decoded { points: rebuild.points.take_before(end), until: end };
        self.take_index(now, slot, segment, decoded, fx);
        let pages = self.partitions.get(&slot).and_then(|p| p.log.all_pages(segment.base));
        if let Some(pages) = pages {
            let id = self.effect(Pending::Nothing);
            fx.file(id, FileAction::WriteIndex(segment, pages));
            fx.notice(Notice::IndexRebuilt(segment, lack));
        }
    }

    /// What a segment's index file has is in memory, or has become more there; the oldest others
    /// make room for it.
    pub(super) fn index_loaded(&mut self, slot: Slot, segment: Offset) {
        let Some(partition) = self.partitions.get(&slot) else { return };
        let bytes = partition.log.index_bytes(segment) + OVERHEAD;
        self.indexes.note((slot, segment), bytes);
        while let Some((slot, segment)) = self.indexes.pop_over(self.limits.index_bytes) {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.log.unload_index(segment);
            }
        }
    }

    /// An index is there, or cannot be: who waits for it goes on. If its segment is gone by now,
    /// without it.
    fn index_done(
        &mut self,
        now: Now,
        slot: Slot,
        segment: SegmentId,
        index: Result<(), ReadError>,
        fx: &mut Effects,
    ) {
        self.indexes.reading -= 1;
        let waiting = self.indexes.waiting.remove(&(slot, segment.base)).unwrap_or_default();
        for part in waiting.keys() {
            self.indexes.waits.remove(part);
        }
        for then in waiting.into_values() {
            match then {
                Interrupted::Read(reader) => self.resume_read(now, slot, reader, index, fx),
                Interrupted::Search(search) => self.resume_search(now, search, index, fx),
            }
        }
        self.read_indexes(fx);
    }
}
