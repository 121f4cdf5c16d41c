//! Group commit: at the end of a turn, everything appended goes into one journal write. While some
//! are in flight the next one gathers; at low load nothing waits for a timer.

use std::collections::VecDeque;

use corelog_mem::{SlabSlice, SlabWriter, align_up};

use crate::codec::length_of;
use crate::id::{Instant, Now};
use crate::journal::commit::{CommitBuilder, Incarnation, Seq, buffer_for};
use crate::journal::ring::{Ring, Slot as FileSlot};
use crate::limits::{HOUSEKEEPING_MS, JOURNAL_BUFFER, SEAL_AFTER_MS};
use crate::log::Boundary;
use crate::manifest::record::Record;
use crate::shard::effect::{Effects, FileAction, WriteJournal};
use crate::shard::event::{EffectId, Failure, FileName, Health, Outcome};
use crate::shard::partition::{Queued, Slot};
use crate::shard::setup::ShardSetup;
use crate::shard::{Pending, Shard};

/// Journal buffers that are kept for the next commits.
const SPARE_BUFFERS: usize = 4;

/// Files that a ring needs at least: one is filled while the other comes free.
const RING_FILES: usize = 2;

/// A commit that has been handed to the disk.
#[derive(Debug)]
struct InFlight {
    effect: EffectId,
    seq: Seq,
    /// Which logs are durable up to where once this and all before are complete.
    logs: Vec<(Slot, Boundary)>,
    buffer: SlabWriter,
    state: WriteState,
    file: FileSlot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteState {
    Writing,
    Complete,
}

/// How far the journal file is that is being made. It is used once the durable manifest names it,
/// so that a start misses it if it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Making {
    None,
    /// It is being filled with zeros.
    Filling(FileSlot),
    /// It is there, and no manifest says so.
    Unnamed(FileSlot),
    /// A manifest write that names it is under way.
    Naming(FileSlot),
}

/// The shard's commits.
#[derive(Debug)]
pub(crate) struct Commits {
    ring: Ring,
    file_bytes: u64,
    /// Those that the durable manifest names.
    formatted: Vec<FileSlot>,
    making: Making,
    /// Files that are still to be made, one after the other.
    unmade: VecDeque<FileSlot>,
    incarnation: Incarnation,
    in_flight: VecDeque<InFlight>,
    max_in_flight: usize,
    /// Logs with something to journal, first come, first served.
    queue: VecDeque<Slot>,
    buffers: Vec<SlabWriter>,
    durable: Seq,
    /// The highest seq that some commit on disk says was durable.
    sealed: Seq,
    seal_at: Option<Instant>,
}

impl Commits {
    pub(crate) fn new(setup: &ShardSetup) -> Commits {
        let file_bytes = setup.limits.journal_file_bytes;
        Commits {
            ring: Ring::new(file_bytes, setup.formatted.iter().copied()),
            file_bytes,
            formatted: setup.formatted.clone(),
            making: Making::None,
            unmade: (0..setup.limits.journal_files)
                .map(FileSlot)
                .filter(|slot| !setup.formatted.contains(slot))
                .collect(),
            incarnation: setup.incarnation,
            in_flight: VecDeque::new(),
            max_in_flight: setup.limits.commits_in_flight.max(1),
            queue: VecDeque::new(),
            buffers: Vec::new(),
            durable: Seq(0),
            sealed: Seq(0),
            seal_at: None,
        }
    }

    /// Whether a journal file waits for a manifest that names it.
    pub(crate) fn is_unnamed(&self) -> bool {
        matches!(self.making, Making::Unnamed(_))
    }

    /// The name of the file that no manifest names yet: for the write that is about to be made.
    pub(crate) fn name_made(&mut self) -> Option<Record> {
        let Making::Unnamed(slot) = self.making else { return None };
        self.making = Making::Naming(slot);
        Some(self.named(slot))
    }

    /// The names of all files that a manifest made anew must have.
    pub(crate) fn names(&self) -> impl Iterator<Item = Record> {
        let naming = match self.making {
            Making::Naming(slot) => Some(slot),
            Making::None | Making::Filling(_) | Making::Unnamed(_) => None,
        };
        self.formatted.iter().copied().chain(naming).map(|slot| self.named(slot))
    }

    fn named(&self, slot: FileSlot) -> Record {
        Record::Journal { slot: slot.0, bytes: self.file_bytes }
    }

    /// The last commit that is complete with all before it.
    pub(crate) fn durable(&self) -> Seq {
        self.durable
    }

    /// Files that there are, or will be once the disk has done and has had room.
    fn files_to_come(&self) -> usize {
        self.formatted.len() + usize::from(self.making != Making::None) + self.unmade.len()
    }

    /// Whether the disk has no room for as many files as a ring needs.
    pub(crate) fn lacks_files(&self) -> bool {
        let stands_still = self.making == Making::None && !self.unmade.is_empty();
        stands_still && self.formatted.len() < RING_FILES
    }

    /// Queues a log that has something to journal.
    pub(crate) fn queue(&mut self, slot: Slot) {
        self.queue.push_back(slot);
    }

    /// The journal's files, to be released.
    pub(crate) fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    /// Whether less than half of the journal is free, of the files that there are.
    pub(crate) fn presses(&self) -> bool {
        self.ring.free_files() * 2 < self.formatted.len().max(RING_FILES)
    }

    /// Whether the last free file has been begun; where others are being formatted, whether half of
    /// it is full.
    pub(crate) fn is_crowded(&self) -> bool {
        let making = self.making != Making::None;
        let coming = making && self.ring.space() > self.file_bytes / 2;
        !self.formatted.is_empty() && self.ring.free_files() == 0 && !coming
    }

    /// The last commit of the oldest file, when it should come free.
    pub(crate) fn to_release(&self) -> Option<Seq> {
        self.presses().then(|| self.ring.oldest()).flatten()
    }

    /// This life of the journal.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// When the last commit is to be sealed by an empty one.
    pub(crate) fn seal_at(&self) -> Option<Instant> {
        self.seal_at
    }

    fn buffer(&mut self, payload: u64) -> SlabWriter {
        let size = buffer_for(payload as usize).max(JOURNAL_BUFFER);
        let size = size.min(self.file_bytes as usize);
        let spare = self.buffers.iter().position(|buffer| buffer.capacity() >= size);
        spare.map_or_else(|| SlabWriter::new(size), |at| self.buffers.swap_remove(at))
    }

    fn keep(&mut self, mut buffer: SlabWriter) {
        if self.buffers.len() < SPARE_BUFFERS
            && buffer.capacity() == JOURNAL_BUFFER
            && buffer.reuse()
        {
            self.buffers.push(buffer);
        }
    }
}

impl Shard {
    /// Builds as many commits as may be in flight.
    pub(super) fn build_commits(&mut self, now: Now, fx: &mut Effects) {
        while self.commits.in_flight.len() < self.commits.max_in_flight
            && self.build_commit(now, fx)
        {}
    }

    fn build_commit(&mut self, now: Now, fx: &mut Effects) -> bool {
        let Some(first) = self.next_queued() else { return false };
        let payload = self.partitions.get(&first).map_or(0, |p| p.log.smallest_entry());
        let least = buffer_for(payload as usize) as u64;
        let Some(room) = self.commits.ring.room_for(least) else { return false };
        let buffer = self.commits.buffer(payload);
        let mut builder = CommitBuilder::new(buffer).limited(room as usize);
        let mut logs = Vec::new();
        let seq = self.commits.ring.next_seq();
        while let Some(slot) = self.next_queued() {
            if !self.fill(&mut builder, slot, seq, &mut logs) {
                break;
            }
            self.commits.queue.pop_front();
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.queued = Queued::No;
            }
        }
        if logs.is_empty() {
            return false;
        }
        self.submit(now, builder, logs, fx);
        true
    }

    /// The log that the next entry comes from; forgets those that are gone.
    fn next_queued(&mut self) -> Option<Slot> {
        while let Some(slot) = self.commits.queue.front() {
            let partition = self.partitions.get(slot);
            let online = partition.filter(|partition| partition.health == Health::Online);
            if online.is_some_and(|partition| partition.log.has_unjournaled()) {
                return Some(*slot);
            }
            if let Some(partition) = self.partitions.get_mut(slot) {
                partition.queued = Queued::No;
            }
            self.commits.queue.pop_front();
        }
        None
    }

    /// Moves a log's entries into the commit; whether all of them fitted.
    fn fill(
        &mut self,
        builder: &mut CommitBuilder,
        slot: Slot,
        seq: Seq,
        logs: &mut Vec<(Slot, Boundary)>,
    ) -> bool {
        let Some(partition) = self.partitions.get_mut(&slot) else { return true };
        let log = &mut partition.log;
        while builder.has_room() {
            let Some(entry) = log.next_entry(builder.room() as u64) else { break };
            builder.push(&entry.head, entry.pieces.iter().map(|piece| &piece[..]));
            log.journaled(seq, entry.boundary);
            logs.push((slot, entry.boundary));
        }
        let whole = !log.has_unjournaled();
        self.age_again(slot);
        whole
    }

    fn submit(
        &mut self,
        now: Now,
        builder: CommitBuilder,
        logs: Vec<(Slot, Boundary)>,
        fx: &mut Effects,
    ) {
        let (seq, durable) = (self.commits.ring.next_seq(), self.commits.durable);
        let buffer = builder.finish(self.commits.incarnation, seq, durable);
        let spot = self.commits.ring.place(buffer.len() as u64, length_of(logs.len()));
        let Some(spot) = spot else { return self.go_offline(now, fx) };
        let bytes: SlabSlice = buffer.slice(0..buffer.len());
        let effect = self.effect(Pending::Commit);
        self.commits.sealed = durable;
        self.commits.seal_at = Some(now.instant.plus_ms(SEAL_AFTER_MS));
        fx.journal.push(WriteJournal { id: effect, slot: spot.slot.0, at: spot.at, bytes });
        let (state, file) = (WriteState::Writing, spot.slot);
        self.commits.in_flight.push_back(InFlight { effect, seq, logs, buffer, state, file });
    }

    /// A journal write has ended. Acknowledges in order of seq (storage.md, invariant 2).
    pub(super) fn on_commit(
        &mut self,
        now: Now,
        effect: EffectId,
        outcome: &Outcome,
        fx: &mut Effects,
    ) {
        let found = self.commits.in_flight.iter_mut().find(|commit| commit.effect == effect);
        let Some(commit) = found else { return };
        if let Outcome::Failed(failure) = outcome {
            let name = FileName::Journal(commit.file.0);
            return self.shard_offline(now, name, *failure, fx);
        }
        commit.state = WriteState::Complete;
        let complete = |commit: &InFlight| commit.state == WriteState::Complete;
        while self.commits.in_flight.front().is_some_and(complete) {
            let Some(commit) = self.commits.in_flight.pop_front() else { return };
            self.commits.durable = commit.seq;
            self.commits.keep(commit.buffer);
            for (slot, boundary) in commit.logs {
                self.commit_durable(now, slot, boundary, fx);
            }
        }
    }

    fn commit_durable(&mut self, now: Now, slot: Slot, boundary: Boundary, fx: &mut Effects) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let before = partition.log.high_watermark().offset;
        partition.log.committed(boundary);
        // Not only if somebody waits for an answer: what was cached when it was answered may have
        // become unreadable since, because its topic asks for more now.
        if partition.log.high_watermark().offset > before {
            self.wakes.append(&mut partition.watchers);
        }
        if partition.log.flushable() >= crate::limits::WORTH_FLUSHING {
            self.flusher.worth_flushing(slot);
        }
        self.acknowledge(now, slot, fx);
    }

    /// Writes an empty commit when none has followed the last one for a while: it says that the
    /// last was durable, so that only damage to the very last commits looks like a torn tail.
    pub(super) fn seal_journal(&mut self, now: Now, fx: &mut Effects) {
        if self.commits.seal_at.is_none_or(|at| at > now.instant) {
            return;
        }
        if !self.commits.in_flight.is_empty() {
            self.commits.seal_at = Some(now.instant.plus_ms(SEAL_AFTER_MS));
            return;
        }
        self.commits.seal_at = None;
        let block = corelog_mem::BLOCK;
        let wanted = self.commits.sealed < self.commits.durable && !self.directory.is_offline();
        if wanted && !self.commits.ring.fits(block as u64) {
            // The journal is full; it is sealed once there is room.
            self.commits.seal_at = Some(now.instant.plus_ms(HOUSEKEEPING_MS));
        } else if wanted {
            let builder = CommitBuilder::new(SlabWriter::new(block));
            self.submit(now, builder, Vec::new(), fx);
            self.commits.seal_at = None;
        }
    }

    /// A journal file is ready.
    pub(super) fn on_format(
        &mut self,
        now: Now,
        slot: FileSlot,
        outcome: &Outcome,
        fx: &mut Effects,
    ) {
        self.commits.making = Making::None;
        match outcome {
            Outcome::Failed(Failure::Full) => {
                self.commits.unmade.push_front(slot);
                self.disk_full();
            }
            Outcome::Failed(_) if self.directory.is_offline() => {}
            Outcome::Failed(failure) if self.commits.files_to_come() < RING_FILES => {
                let name = FileName::Journal(slot.0);
                fx.notice(super::effect::Notice::ShardOffline(name, *failure));
                self.go_offline(now, fx);
            }
            // The ring works with the files that there are or come; the next start tries again.
            Outcome::Failed(_) => self.make_journal(fx),
            Outcome::Done | Outcome::Read(_) => self.commits.making = Making::Unnamed(slot),
        }
    }

    /// A durable manifest names the file that was to be named, if there was one: it may be used,
    /// and the next one is made.
    pub(super) fn journal_named(&mut self, fx: &mut Effects) {
        let Making::Naming(slot) = self.commits.making else { return };
        self.commits.making = Making::None;
        self.commits.formatted.push(slot);
        self.commits.ring.add(slot);
        self.make_journal(fx);
    }

    /// Makes the next journal file that is missing, unless one is being made.
    pub(super) fn make_journal(&mut self, fx: &mut Effects) {
        if self.commits.making != Making::None {
            return;
        }
        let Some(slot) = self.commits.unmade.pop_front() else { return };
        self.commits.making = Making::Filling(slot);
        let id = self.effect(Pending::Format(slot));
        fx.file(id, FileAction::FormatJournal(slot.0));
    }

    /// So much of the disk is free: goes on with the files that it had no room for. The reserve is
    /// for those that the journal cannot do without.
    pub(super) fn retry_formats(&mut self, free: u64, fx: &mut Effects) {
        let kept_back = if self.commits.lacks_files() { 0 } else { self.limits.disk_reserve };
        if free.saturating_sub(kept_back) >= self.limits.journal_file_bytes {
            self.make_journal(fx);
        }
    }

    /// Whether a batch of `bytes` would find space in the journal beside those that gather. Before
    /// there is a file, as many gather as may be dirty.
    pub(super) fn has_journal_for(&self, bytes: u64) -> bool {
        if self.commits.formatted.is_empty() {
            return self.has_room_for(bytes);
        }
        let entry = buffer_for(align_up(bytes as usize)) as u64;
        self.commits.ring.space() >= entry + self.commits.file_bytes / 4
    }

    /// Whether commits are in flight, or gather and will find a file.
    pub(super) fn commits_open(&self) -> bool {
        let gather = !self.commits.queue.is_empty() && !self.commits.lacks_files();
        gather || !self.commits.in_flight.is_empty()
    }

    /// No commit will be waited for any more.
    pub(super) fn abandon_commits(&mut self) {
        self.commits.in_flight.clear();
        self.commits.queue.clear();
        self.commits.seal_at = None;
    }
}
