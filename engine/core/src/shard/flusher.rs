//! The way from memory and journal into segments: what is flushed, and when.
//!
//! Partitions with a good deal of durable bytes; when the journal fills, those with entries in its
//! oldest file, their unfinished blocks too; when a partition has been quiet for a while, or the
//! broker stops, the rest. What has been flushed is released behind a barrier (`release`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use crate::boot::effect::RescueFile;
use crate::id::{Instant, Now};
use crate::journal::commit::Seq;
use crate::limits::{
    EVICTIONS, FLUSH_LOOKS, HOUSEKEEPING_MS, QUIET_MS, SEGMENT_WRITE_BYTES, SEGMENT_WRITES,
    SEGMENT_WRITES_AT_EASE, WORTH_FLUSHING,
};
use crate::log::{Finish, Growth};
use crate::shard::effect::{Effects, FileAction, WriteSegment};
use crate::shard::event::{Failure, Health, Outcome, Ticket};
use crate::shard::partition::{Rescue, Slot};
use crate::shard::release::Releasing;
use crate::shard::request::Reply;
use crate::shard::{Pending, Shard};

/// State of the flusher.
#[derive(Debug)]
pub(crate) struct Flusher {
    /// Bytes appended that are in no segment.
    dirty: u64,
    /// Bytes of batches that are appended once their log's last block is in memory.
    parked: u64,
    /// The largest batch that was refused since there was room for it.
    missed: u64,
    /// Bytes of slabs of all logs.
    memory: usize,
    writes: usize,
    /// Logs by the oldest commit that holds something of them which is in no segment.
    by_age: BTreeSet<(Seq, Slot)>,
    worthwhile: VecDeque<Slot>,
    /// Where the look at what is old goes on, if it was too much for a turn, and when.
    look_from: Option<((Seq, Slot), Instant)>,
    /// Logs whose segments have more than the manifest says.
    pub(super) unsynced: BTreeSet<Slot>,
    pub(super) flushed_since_barrier: u64,
    pub(super) releasing: Releasing,
    /// Logs that may give memory back, those flushed longest ago first.
    evictable: BTreeMap<u64, Slot>,
    /// What was given to the last of them.
    last_evictable: u64,
    housekeeping: Option<Instant>,
    /// The last look found logs that are quiet, or bytes that want a barrier.
    overdue: Overdue,
    stopping: Option<Ticket>,
}

/// Whether time alone is a reason to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overdue {
    No,
    /// Logs that are quiet are to be flushed.
    Flush,
    /// They are: now a barrier.
    Barrier,
}

impl Flusher {
    pub(crate) fn new(manifest_bytes: u64, rescues: BTreeMap<RescueFile, u64>) -> Flusher {
        Flusher {
            dirty: 0,
            parked: 0,
            missed: 0,
            memory: 0,
            writes: 0,
            by_age: BTreeSet::new(),
            worthwhile: VecDeque::new(),
            look_from: None,
            unsynced: BTreeSet::new(),
            flushed_since_barrier: 0,
            releasing: Releasing::new(manifest_bytes, rescues),
            evictable: BTreeMap::new(),
            last_evictable: 0,
            housekeeping: None,
            overdue: Overdue::No,
            stopping: None,
        }
    }

    /// Bytes that are in no segment.
    pub(crate) fn dirty(&self) -> u64 {
        self.dirty
    }

    /// The same, and those of batches that are admitted and wait.
    pub(crate) fn unflushed(&self) -> u64 {
        self.dirty + self.parked
    }

    /// Bytes of slabs.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether no list has an entry: no log is old, worth flushing, unsynced or evictable.
    #[cfg(test)]
    pub(crate) fn lists_nothing(&self) -> bool {
        let lists = self.by_age.is_empty() && self.worthwhile.is_empty();
        lists && self.unsynced.is_empty() && self.evictable.is_empty()
    }

    pub(crate) fn housekeeping_at(&self) -> Option<Instant> {
        let look = self.look_from.map(|(_, due)| due);
        [self.housekeeping, look].into_iter().flatten().min()
    }

    /// A batch waits for its log's last block. It is admitted, so it counts.
    pub(crate) fn park(&mut self, bytes: u64) {
        self.parked += bytes;
    }

    /// It waits no longer.
    pub(crate) fn unpark(&mut self, bytes: u64) {
        self.parked -= bytes;
    }

    /// What has this place among those that may give memory back is no longer one of them.
    pub(super) fn keep(&mut self, evictable: Option<u64>) {
        if let Some(place) = evictable {
            self.evictable.remove(&place);
        }
    }

    /// Nothing will be flushed any more.
    pub(super) fn abandon(&mut self) {
        self.worthwhile.clear();
        self.unsynced.clear();
        self.housekeeping = None;
    }

    /// Slabs are gone.
    pub(crate) fn freed(&mut self, memory: usize) {
        self.memory -= memory;
    }

    pub(crate) fn appended(&mut self, now: Now, bytes: u64, memory: usize) {
        self.dirty += bytes;
        if bytes >= self.missed {
            self.missed = 0;
        }
        self.memory += memory;
        if self.housekeeping.is_none() {
            self.housekeeping = Some(now.instant.plus_ms(HOUSEKEEPING_MS));
        }
    }

    /// The first by age behind this one.
    fn oldest_behind(&self, after: Bound<(Seq, Slot)>) -> Option<(Seq, Slot)> {
        self.by_age.range((after, Bound::Unbounded)).next().copied()
    }

    /// Bytes are safe that will never be in a segment.
    pub(super) fn rescued(&mut self, bytes: u64) {
        self.cleaned(bytes);
    }

    /// Bytes are dirty no more.
    fn cleaned(&mut self, bytes: u64) {
        self.dirty -= bytes;
        if self.dirty == 0 {
            // More room there will not be.
            self.missed = 0;
        }
    }

    pub(crate) fn worth_flushing(&mut self, slot: Slot) {
        if self.worthwhile.back() != Some(&slot) {
            self.worthwhile.push_back(slot);
        }
    }

    pub(crate) fn stop(&mut self, ticket: Ticket) {
        self.stopping = Some(ticket);
    }

    /// A log's index file lacks what could be there: time will bring a barrier.
    pub(super) fn wants_sync(&mut self, slot: Slot) {
        self.unsynced.insert(slot);
        self.housekeeping.get_or_insert_default();
    }

    pub(super) fn barrier_started(&mut self) {
        if self.overdue == Overdue::Barrier {
            self.overdue = Overdue::No;
        }
    }

    /// Whether a barrier is wanted although the journal has room: time, or the end, says so.
    pub(super) fn wants_barrier(&self) -> bool {
        self.overdue == Overdue::Barrier || self.stopping.is_some()
    }
}

impl Shard {
    /// Starts what is due.
    pub(super) fn flush(&mut self, now: Now, fx: &mut Effects) {
        if self.directory.is_offline() {
            return self.finish_stop(fx);
        }
        self.evict();
        let all = self.flush_oldest(now, fx);
        while self.may_write_segment() {
            let Some(slot) = self.flusher.worthwhile.pop_front() else { break };
            self.flush_log(slot, Finish::WholeBlocks, WORTH_FLUSHING, fx);
        }
        if all && self.flusher.overdue == Overdue::Flush {
            self.flusher.overdue = Overdue::Barrier;
        }
        self.start_barrier(fx);
        self.finish_stop(fx);
    }

    /// Flushes the logs that hold back the oldest journal file, or are old for other reasons;
    /// whether all that is due has been started.
    fn flush_oldest(&mut self, now: Now, fx: &mut Effects) -> bool {
        let until = self.commits.to_release();
        let all = self.flusher.stopping.is_some() || self.presses() || self.disk.is_tried_again();
        let overdue = self.flusher.overdue == Overdue::Flush;
        if (until.is_none() && !all && !overdue) || self.disk.is_full() {
            return true;
        }
        if !self.may_write_segment() {
            return false;
        }
        let due = |seq: Seq| all || overdue || until.is_some_and(|until| seq <= until);
        let from = self.flusher.look_from.take();
        let mut after = from.map_or(Bound::Unbounded, |(behind, _)| Bound::Excluded(behind));
        let mut looks = FLUSH_LOOKS;
        while let Some((seq, slot)) = self.flusher.oldest_behind(after) {
            if !due(seq) {
                break;
            }
            if !self.may_write_segment() {
                return false;
            }
            after = Bound::Excluded((seq, slot));
            looks -= 1;
            let presses = all || until.is_some_and(|until| self.is_older(slot, until));
            if presses || self.is_quiet(now, slot) {
                self.flush_log(slot, Finish::Pad, 1, fx);
            }
            if looks == 0 {
                self.flusher.look_from = Some(((seq, slot), now.instant));
                return false;
            }
        }
        true
    }

    /// Whether so much is in no segment that producers will soon be slowed down.
    fn presses(&self) -> bool {
        let dirty = self.flusher.dirty > self.limits.dirty_bytes / 2;
        dirty || self.misses_room() || self.is_short_of_memory()
    }

    /// Whether a batch was refused for which there is no room yet.
    fn misses_room(&self) -> bool {
        self.flusher.missed > 0 && !self.has_room_for(self.flusher.missed)
    }

    pub(super) fn has_room_for(&self, bytes: u64) -> bool {
        let Flusher { dirty, parked, .. } = self.flusher;
        dirty + parked + bytes <= self.limits.dirty_bytes
    }

    /// Whether slabs take more than the tail may although none can be given back: only flushing
    /// what they hold frees any.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.slabs_above_tail() > 0 && self.flusher.evictable.is_empty()
    }

    /// Bytes of slabs beyond those of the tail. There may be as many as may be dirty.
    fn slabs_above_tail(&self) -> u64 {
        (self.flusher.memory as u64).saturating_sub(self.limits.tail_bytes)
    }

    /// Whether a batch has room in memory, after what can be given back has been. If not, room is
    /// made for it. Before anybody looks whether a log's last block is in memory.
    pub(super) fn find_room_for(&mut self, bytes: u64) -> bool {
        self.evict();
        let room = self.has_room_for(bytes);
        if !room {
            self.flusher.missed = self.flusher.missed.max(bytes);
        }
        room && self.slabs_above_tail() <= self.limits.dirty_bytes
    }

    /// Whether producers should pause: what is flushed comes too late to be sure of room.
    pub(super) fn is_almost_full(&self) -> bool {
        let (limit, Flusher { dirty, parked, .. }) = (self.limits.dirty_bytes, &self.flusher);
        let most = limit / 4 * 3;
        dirty + parked > most || self.misses_room() || self.slabs_above_tail() > most
    }

    /// How freely slabs may grow.
    pub(super) fn growth(&self) -> Growth {
        match self.slabs_above_tail() {
            0 => Growth::Free,
            above if above <= self.limits.dirty_bytes / 2 => Growth::Bounded,
            _ => Growth::Least,
        }
    }

    /// Whether one more segment write may be in flight.
    fn may_write_segment(&self) -> bool {
        let presses =
            self.presses() || self.commits.is_crowded() || self.flusher.stopping.is_some();
        self.flusher.writes < if presses { SEGMENT_WRITES } else { SEGMENT_WRITES_AT_EASE }
    }

    fn is_older(&self, slot: Slot, until: Seq) -> bool {
        let aged = self.partitions.get(&slot).and_then(|partition| partition.aged);
        aged.is_some_and(|seq| seq <= until)
    }

    fn is_quiet(&self, now: Now, slot: Slot) -> bool {
        let log = self.partitions.get(&slot).map(|partition| &partition.log);
        log.is_some_and(|log| now.instant.ms_since(log.last_append()) >= QUIET_MS)
    }

    /// Starts a log's next segment write or seal, if it has `worth` bytes for it.
    fn flush_log(&mut self, slot: Slot, finish: Finish, worth: u64, fx: &mut Effects) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        if partition.health == Health::Offline || self.disk.is_full() {
            return;
        }
        if let Some((segment, end)) = partition.log.start_seal() {
            if let Some(pages) = partition.log.new_pages(partition.log.marks().flushed()) {
                let id = self.effect(Pending::Nothing);
                fx.file(id, FileAction::WriteIndex(segment, pages));
            }
            let id = self.effect(Pending::Seal(slot));
            return fx.file(id, FileAction::Truncate(segment, end.bytes));
        }
        let closing = partition.log.is_closing();
        if partition.log.flushable() < worth && !closing {
            return;
        }
        let Some(write) = partition.log.next_write(SEGMENT_WRITE_BYTES, finish) else { return };
        let id = self.effect(Pending::Segment(slot));
        self.flusher.writes += 1;
        let (segment, at, bytes) = (write.segment, write.at, write.bytes);
        fx.segments.push(WriteSegment { id, segment, at, bytes });
    }

    /// A segment write has ended.
    pub(super) fn on_segment(&mut self, now: Now, slot: Slot, outcome: &Outcome, fx: &mut Effects) {
        self.flusher.writes -= 1;
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        match outcome {
            Outcome::Failed(Failure::Full) => {
                partition.log.not_written();
                self.disk_full();
            }
            Outcome::Failed(failure) => self.partition_offline(now, slot, *failure, fx),
            Outcome::Done | Outcome::Read(_) => {
                let before = partition.log.unflushed();
                partition.log.written();
                let flushed = before - partition.log.unflushed();
                self.flusher.cleaned(flushed);
                self.disk_took(flushed);
                self.flusher.flushed_since_barrier += flushed;
                self.flushed(slot, fx);
            }
        }
    }

    /// A log has got further: what comes next for it.
    fn flushed(&mut self, slot: Slot, fx: &mut Effects) {
        self.may_evict(slot);
        self.age_again(slot);
        let Some(partition) = self.partitions.get(&slot) else { return };
        if partition.log.is_unsynced() {
            self.flusher.unsynced.insert(slot);
        }
        if partition.log.is_closing() || partition.log.flushable() >= WORTH_FLUSHING {
            self.flush_log(slot, Finish::WholeBlocks, 1, fx);
        }
    }

    /// A closed segment has its exact length, or not: then no try would ever end well.
    pub(super) fn on_seal(&mut self, now: Now, slot: Slot, outcome: &Outcome, fx: &mut Effects) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        if let Outcome::Failed(failure) = outcome {
            return self.partition_offline(now, slot, *failure, fx);
        }
        partition.log.seal_done();
        self.flushed(slot, fx);
    }

    /// Sorts a log anew after a change of what is journaled or flushed.
    pub(super) fn age_again(&mut self, slot: Slot) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        // What a failed partition has is not flushed any more.
        let online = partition.health == Health::Online;
        let age = partition.log.oldest_unflushed().filter(|_| online);
        if age != partition.aged {
            if let Some(seq) = std::mem::replace(&mut partition.aged, age) {
                self.flusher.by_age.remove(&(seq, slot));
            }
            if let Some(seq) = age {
                self.flusher.by_age.insert((seq, slot));
            }
        }
    }

    /// Frees memory: the oldest flushed slabs first.
    fn evict(&mut self) {
        let limit = usize::try_from(self.limits.tail_bytes).unwrap_or(usize::MAX);
        for _ in 0..EVICTIONS {
            if self.flusher.memory <= limit {
                return;
            }
            let Some((_, slot)) = self.flusher.evictable.pop_first() else { return };
            let Some(partition) = self.partitions.get_mut(&slot) else { continue };
            partition.evictable = None;
            if let Some(freed) = partition.log.evict() {
                self.flusher.freed(freed);
                self.may_evict(slot);
            }
        }
    }

    /// Slabs of a log may have become such that can be given back.
    pub(super) fn may_evict(&mut self, slot: Slot) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let any = partition.health == Health::Online && partition.log.tail_memory() > 0;
        if any && partition.evictable.is_none() {
            self.flusher.last_evictable += 1;
            partition.evictable = Some(self.flusher.last_evictable);
            self.flusher.evictable.insert(self.flusher.last_evictable, slot);
        }
    }

    /// Looks for what time has made due.
    pub(super) fn housekeep(&mut self, now: Now) {
        if self.flusher.housekeeping.is_none_or(|at| at > now.instant) {
            return;
        }
        self.flusher.overdue = Overdue::Flush;
        // What waits for the journal has no age yet, and is dirty all the same.
        let busy = self.flusher.dirty > 0
            || !self.flusher.unsynced.is_empty()
            || !self.flusher.releasing.is_idle();
        let busy = busy && !self.directory.is_offline();
        self.flusher.housekeeping = busy.then(|| now.instant.plus_ms(HOUSEKEEPING_MS));
    }

    /// Answers a stop once everything is in segments and the manifest says so.
    fn finish_stop(&mut self, fx: &mut Effects) {
        let written = !self.commits_open()
            && self.flusher.writes == 0
            && self.flusher.by_age.is_empty()
            && self.flusher.unsynced.is_empty()
            && self.flusher.releasing.is_idle();
        let hopeless = self.directory.is_offline() || self.disk.is_full();
        if !written && !hopeless {
            return;
        }
        if let Some(ticket) = self.flusher.stopping.take() {
            // Other shards may take longer; what a timer appended meanwhile would be flushed by
            // nobody.
            self.groups.end_timers();
            fx.reply(ticket, Reply::Stopped);
        }
    }

    /// A log is gone: so are its bytes and its claims on the journal.
    pub(super) fn forget_log(&mut self, slot: Slot) {
        let Some(mut partition) = self.partitions.remove(&slot) else { return };
        if let Some(seq) = partition.aged {
            self.flusher.by_age.remove(&(seq, slot));
        }
        for seq in partition.log.release_all() {
            self.commits.ring().release(seq);
        }
        if !matches!(partition.rescue, Rescue::Done) {
            self.flusher.cleaned(partition.log.unflushed());
        }
        self.flusher.freed(partition.log.tail_memory());
        self.flusher.keep(partition.evictable);
        self.flusher.unsynced.remove(&slot);
        self.indexes.forget(slot);
    }
}
