//! The way from memory and journal into segments, and the release of the journal behind it:
//! segment writes, then one barrier for all of them, then a manifest record, then release.
//!
//! What is flushed when: partitions with a good deal of durable bytes; when the journal fills, those
//! with entries in its oldest file, their unfinished blocks too; when a partition has been quiet for
//! a while, or the broker stops, the rest.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::id::{Instant, Now};
use crate::journal::commit::Seq;
use crate::limits::{
    HOUSEKEEPING_MS, MANIFEST_MIN_BYTES, QUIET_MS, SEGMENT_WRITE_BYTES, SEGMENT_WRITES,
    WORTH_FLUSHING,
};
use crate::log::{Finish, Sync, Telling};
use crate::manifest::record::{Header, Record, encode};
use crate::shard::effect::{Effects, FileAction, Notice, WriteSegment};
use crate::shard::event::{Failure, FileName, Health, Outcome, Ticket};
use crate::shard::partition::{Queued, Slot};
use crate::shard::request::Reply;
use crate::shard::{Pending, Shard};

/// Where the release of the journal stands.
#[derive(Debug)]
enum Release {
    Idle,
    /// A barrier is under way; these logs may be recorded when it has passed.
    Barrier(Vec<(Slot, Sync)>),
    /// A manifest write is under way.
    Manifest { logs: Vec<(Slot, Sync)>, needed: Seq, write: ManifestWrite },
    /// The manifest could not grow (the disk was full); to be tried again.
    Waiting { logs: Vec<(Slot, Sync)>, needed: Seq, write: ManifestWrite },
}

#[derive(Clone, Debug)]
enum ManifestWrite {
    Append(Bytes),
    Replace(Bytes),
}

/// Whether there is room on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    /// Bytes free when last asked, less what was appended since.
    Free(u64),
    /// A write has found it full; until it is known to have room again.
    Full,
}

/// State of the flusher.
#[derive(Debug)]
pub(crate) struct Flusher {
    /// Bytes appended that are in no segment.
    dirty: u64,
    /// Bytes of slabs of all logs.
    memory: usize,
    writes: usize,
    /// Logs by the oldest commit that holds something of them which is in no segment.
    by_age: BTreeSet<(Seq, Slot)>,
    worthwhile: VecDeque<Slot>,
    /// Logs whose segments have more than the manifest says.
    unsynced: BTreeSet<Slot>,
    flushed_since_barrier: u64,
    release: Release,
    manifest_bytes: u64,
    manifest_live: u64,
    disk: Disk,
    evictable: VecDeque<Slot>,
    housekeeping: Option<Instant>,
    /// The last look found logs that are quiet, or bytes that want a barrier.
    overdue: Overdue,
    stopping: Option<Ticket>,
}

/// Whether time alone is a reason to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overdue {
    Yes,
    No,
}

impl Flusher {
    pub(crate) fn new(manifest_bytes: u64) -> Flusher {
        Flusher {
            dirty: 0,
            memory: 0,
            writes: 0,
            by_age: BTreeSet::new(),
            worthwhile: VecDeque::new(),
            unsynced: BTreeSet::new(),
            flushed_since_barrier: 0,
            release: Release::Idle,
            manifest_bytes,
            manifest_live: manifest_bytes,
            disk: Disk::Free(u64::MAX),
            evictable: VecDeque::new(),
            housekeeping: None,
            overdue: Overdue::No,
            stopping: None,
        }
    }

    /// Bytes that are in no segment.
    pub(crate) fn dirty(&self) -> u64 {
        self.dirty
    }

    /// Bytes of slabs.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    pub(crate) fn housekeeping_at(&self) -> Option<Instant> {
        self.housekeeping
    }

    pub(crate) fn has_disk_for(&self, bytes: u64, reserve: u64) -> bool {
        match self.disk {
            Disk::Free(free) => free >= self.dirty + bytes + reserve,
            Disk::Full => false,
        }
    }

    pub(crate) fn appended(&mut self, now: Now, bytes: u64, memory: usize) {
        self.dirty += bytes;
        self.memory += memory;
        if self.housekeeping.is_none() {
            self.housekeeping = Some(now.instant.plus_ms(HOUSEKEEPING_MS));
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
}

impl Shard {
    /// Starts what is due.
    pub(super) fn flush(&mut self, now: Now, fx: &mut Effects) {
        if self.directory.is_offline() {
            return self.finish_stop(fx);
        }
        self.flush_oldest(now, fx);
        while self.flusher.writes < SEGMENT_WRITES {
            let Some(slot) = self.flusher.worthwhile.pop_front() else { break };
            self.flush_log(slot, Finish::WholeBlocks, WORTH_FLUSHING, fx);
        }
        self.evict();
        self.start_barrier(fx);
        self.flusher.overdue = Overdue::No;
        self.finish_stop(fx);
    }

    /// Flushes the logs that hold back the oldest journal file, or are old for other reasons.
    fn flush_oldest(&mut self, now: Now, fx: &mut Effects) {
        let until = self.commits.to_release();
        let stopping = self.flusher.stopping.is_some();
        let overdue = self.flusher.overdue == Overdue::Yes;
        let due = until.is_some() || stopping || overdue;
        if !due || self.flusher.writes >= SEGMENT_WRITES {
            return;
        }
        let due = |seq: Seq| stopping || overdue || until.is_some_and(|until| seq <= until);
        let oldest = self.flusher.by_age.iter().take_while(|(seq, _)| due(*seq));
        let old: Vec<Slot> = oldest.map(|(_, slot)| *slot).collect();
        for slot in old {
            if self.flusher.writes >= SEGMENT_WRITES {
                return;
            }
            let presses = stopping || until.is_some_and(|until| self.is_older(slot, until));
            if presses || self.is_quiet(now, slot) {
                self.flush_log(slot, Finish::Pad, 1, fx);
            }
        }
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
        if partition.health == Health::Offline || self.flusher.disk == Disk::Full {
            return;
        }
        if let Some((segment, end)) = partition.log.start_seal() {
            let index = partition.log.encode_index(segment.base);
            let id = self.effect(Pending::Nothing);
            fx.file(id, FileAction::WriteIndex(segment, index));
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
                self.disk_full(fx);
            }
            Outcome::Failed(failure) => self.partition_offline(now, slot, *failure, fx),
            Outcome::Done | Outcome::Read(_) => {
                let before = partition.log.unflushed();
                partition.log.written();
                let flushed = before - partition.log.unflushed();
                self.flusher.dirty -= flushed;
                self.flusher.flushed_since_barrier += flushed;
                if partition.evictable == Queued::No {
                    partition.evictable = Queued::Yes;
                    self.flusher.evictable.push_back(slot);
                }
                self.flushed(slot, fx);
            }
        }
    }

    /// A log has got further: what comes next for it.
    fn flushed(&mut self, slot: Slot, fx: &mut Effects) {
        self.age_again(slot);
        let Some(partition) = self.partitions.get(&slot) else { return };
        if partition.log.unsynced().is_some() {
            self.flusher.unsynced.insert(slot);
        }
        if partition.log.is_closing() || partition.log.flushable() >= WORTH_FLUSHING {
            self.flush_log(slot, Finish::WholeBlocks, 1, fx);
        }
    }

    /// A closed segment has its exact length, or not.
    pub(super) fn on_seal(&mut self, slot: Slot, outcome: &Outcome, fx: &mut Effects) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        if let Outcome::Failed(_) = outcome {
            partition.log.not_sealed();
            return;
        }
        partition.log.seal_done();
        self.flushed(slot, fx);
    }

    fn start_barrier(&mut self, fx: &mut Effects) {
        let half_file = self.limits.journal_file_bytes / 2;
        let due = self.commits.presses()
            || self.flusher.flushed_since_barrier >= half_file
            || self.flusher.overdue == Overdue::Yes
            || self.flusher.stopping.is_some();
        let idle = matches!(self.flusher.release, Release::Idle);
        if !due || !idle || self.flusher.unsynced.is_empty() {
            return;
        }
        let slots = std::mem::take(&mut self.flusher.unsynced);
        let syncs = slots.into_iter().filter_map(|slot| {
            let sync = self.partitions.get(&slot)?.log.unsynced()?;
            Some((slot, sync))
        });
        let logs = syncs.collect();
        self.flusher.flushed_since_barrier = 0;
        self.flusher.release = Release::Barrier(logs);
        let id = self.effect(Pending::Barrier);
        fx.file(id, FileAction::Barrier);
    }

    /// The barrier has passed: what it covers goes into the manifest.
    pub(super) fn on_barrier(&mut self, now: Now, outcome: &Outcome, fx: &mut Effects) {
        let release = std::mem::replace(&mut self.flusher.release, Release::Idle);
        let Release::Barrier(logs) = release else { return };
        if let Outcome::Failed(failure) = outcome {
            fx.notice(Notice::DirectoryOffline(FileName::Directory, *failure));
            return self.go_offline(now, fx);
        }
        let needed = self.needed_after(&logs);
        let write = self.manifest_write(&logs, needed);
        self.write_manifest(logs, needed, write, fx);
    }

    /// The first commit that is needed once these logs are recorded.
    fn needed_after(&mut self, logs: &[(Slot, Sync)]) -> Seq {
        for (slot, sync) in logs {
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            for seq in partition.log.release_until(sync.place) {
                self.commits.ring().release(seq);
            }
        }
        self.commits.ring().needed()
    }

    /// Sorts a log anew after a change of what is journaled or flushed.
    pub(super) fn age_again(&mut self, slot: Slot) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let age = partition.log.oldest_unflushed();
        if age != partition.aged {
            if let Some(seq) = std::mem::replace(&mut partition.aged, age) {
                self.flusher.by_age.remove(&(seq, slot));
            }
            if let Some(seq) = age {
                self.flusher.by_age.insert((seq, slot));
            }
        }
    }

    fn manifest_write(&mut self, logs: &[(Slot, Sync)], needed: Seq) -> ManifestWrite {
        let mut records = vec![Record::Needed(needed)];
        for (slot, sync) in logs {
            if let Some(partition) = self.partitions.get_mut(slot) {
                records.extend(partition.log.records(*sync, Telling::News));
            }
        }
        let news = encode(&records);
        let limit = (self.flusher.manifest_live * 2).max(MANIFEST_MIN_BYTES);
        if self.flusher.manifest_bytes + (news.len() as u64) < limit {
            return ManifestWrite::Append(news);
        }
        ManifestWrite::Replace(self.whole_manifest(logs, needed))
    }

    fn whole_manifest(&mut self, logs: &[(Slot, Sync)], needed: Seq) -> Bytes {
        let header = Header {
            start: self.version.start,
            shard: self.id,
            shards: self.shards,
            incarnation: self.commits.incarnation(),
        };
        let mut records = vec![Record::Header(header), Record::Needed(needed)];
        for (slot, partition) in &mut self.partitions {
            let fresh = logs.binary_search_by_key(slot, |(slot, _)| *slot).ok();
            let sync = fresh.map_or_else(|| partition.log.recorded(), |at| logs[at].1);
            records.extend(partition.log.records(sync, Telling::All));
        }
        encode(&records)
    }

    fn write_manifest(
        &mut self,
        logs: Vec<(Slot, Sync)>,
        needed: Seq,
        write: ManifestWrite,
        fx: &mut Effects,
    ) {
        let action = match write.clone() {
            ManifestWrite::Append(bytes) => FileAction::AppendManifest(bytes),
            ManifestWrite::Replace(bytes) => FileAction::ReplaceManifest(bytes),
        };
        self.flusher.release = Release::Manifest { logs, needed, write };
        let id = self.effect(Pending::Manifest);
        fx.file(id, action);
    }

    /// The manifest is durable: the journal behind it may be overwritten.
    pub(super) fn on_manifest(&mut self, now: Now, outcome: &Outcome, fx: &mut Effects) {
        let release = std::mem::replace(&mut self.flusher.release, Release::Idle);
        let Release::Manifest { logs, needed, write } = release else { return };
        match outcome {
            Outcome::Failed(Failure::Full) => {
                self.flusher.release = Release::Waiting { logs, needed, write };
                return self.disk_full(fx);
            }
            Outcome::Failed(failure) => {
                fx.notice(Notice::DirectoryOffline(FileName::Manifest, *failure));
                return self.go_offline(now, fx);
            }
            Outcome::Done | Outcome::Read(_) => {}
        }
        match write {
            ManifestWrite::Append(bytes) => self.flusher.manifest_bytes += bytes.len() as u64,
            ManifestWrite::Replace(bytes) => {
                self.flusher.manifest_bytes = bytes.len() as u64;
                self.flusher.manifest_live = bytes.len() as u64;
            }
        }
        for (slot, sync) in logs {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.log.set_recorded(sync);
            }
        }
        self.commits.ring().reclaim(needed);
    }

    /// Frees memory: the oldest flushed slabs first.
    fn evict(&mut self) {
        let limit = usize::try_from(self.limits.tail_bytes).unwrap_or(usize::MAX);
        let mut tries = self.flusher.evictable.len();
        while self.flusher.memory > limit && tries > 0 {
            tries -= 1;
            let Some(slot) = self.flusher.evictable.pop_front() else { return };
            let Some(partition) = self.partitions.get_mut(&slot) else { continue };
            partition.evictable = Queued::No;
            if let Some(freed) = partition.log.evict() {
                self.flusher.memory -= freed;
                partition.evictable = Queued::Yes;
                self.flusher.evictable.push_back(slot);
            }
        }
    }

    /// Looks for what time has made due.
    pub(super) fn housekeep(&mut self, now: Now) {
        if self.flusher.housekeeping.is_none_or(|at| at > now.instant) {
            return;
        }
        self.flusher.overdue = Overdue::Yes;
        let busy = !self.flusher.by_age.is_empty()
            || !self.flusher.unsynced.is_empty()
            || !matches!(self.flusher.release, Release::Idle);
        self.flusher.housekeeping = busy.then(|| now.instant.plus_ms(HOUSEKEEPING_MS));
    }

    fn disk_full(&mut self, fx: &mut Effects) {
        if self.flusher.disk != Disk::Full {
            self.flusher.disk = Disk::Full;
            fx.notice(Notice::DiskFull);
        }
    }

    /// The file system's free bytes are known anew.
    pub(super) fn on_disk_free(&mut self, bytes: u64, fx: &mut Effects) {
        let reserve = self.limits.disk_reserve;
        let had = self.flusher.has_disk_for(0, reserve);
        if self.flusher.disk == Disk::Full && bytes < reserve / 2 {
            return;
        }
        self.flusher.disk = Disk::Free(bytes);
        let has = self.flusher.has_disk_for(0, reserve);
        match (had, has) {
            (true, false) => fx.notice(Notice::DiskFull),
            (false, true) => fx.notice(Notice::DiskFreed),
            _ => {}
        }
        let release = std::mem::replace(&mut self.flusher.release, Release::Idle);
        match release {
            Release::Waiting { logs, needed, write } => {
                self.write_manifest(logs, needed, write, fx);
            }
            other => self.flusher.release = other,
        }
    }

    /// Answers a stop once everything is in segments and the manifest says so.
    fn finish_stop(&mut self, fx: &mut Effects) {
        let written = !self.commits_open()
            && self.flusher.writes == 0
            && self.flusher.by_age.is_empty()
            && self.flusher.unsynced.is_empty()
            && matches!(self.flusher.release, Release::Idle);
        let hopeless = self.directory.is_offline() || self.flusher.disk == Disk::Full;
        if written || hopeless {
            if let Some(ticket) = self.flusher.stopping.take() {
                fx.reply(ticket, Reply::Stopped);
            }
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
        self.flusher.dirty -= partition.log.unflushed();
        self.flusher.memory -= partition.log.tail_memory();
        self.flusher.unsynced.remove(&slot);
    }
}
