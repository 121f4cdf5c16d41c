//! The release of the journal: one barrier for all segments, then a manifest record that says how
//! far each is synced, and only then may the journal behind it be overwritten.
//!
//! What the manifest is told comes in parts, one for each turn at most, and the last says which
//! commits are needed. Nothing else is told meanwhile. Where the manifest has grown too long, the
//! parts are of one that replaces it, which is no manifest before it is whole.

use std::ops::Bound;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::boot::effect::RescueFile;
use crate::id::Now;
use crate::journal::commit::Seq;
use crate::limits::{BARRIER_INDEX_BYTES, BARRIER_LOGS, ManifestLimits};
use crate::log::{Sync, Telling};
use crate::manifest::parts::Part;
use crate::manifest::record::{Header, Record};
use crate::shard::effect::{Effects, FileAction, Notice};
use crate::shard::event::{Failure, FileName, Outcome};
use crate::shard::partition::Slot;
use crate::shard::{Pending, Shard};

/// Where the release of the journal stands.
#[derive(Debug)]
enum Stage {
    Idle,
    /// A barrier is under way; these logs may be recorded when it has passed.
    Barrier(Vec<(Slot, Sync)>),
    /// A part for the manifest is being written.
    Writing(Writing),
    /// The manifest could not grow (the disk was full); to be tried again.
    Waiting(Writing),
}

/// What the manifest is being told.
#[derive(Debug)]
struct Writing {
    /// In order of slots.
    logs: Vec<(Slot, Sync)>,
    way: Way,
    /// The part under way.
    bytes: Bytes,
    /// With the last part, the first commit that is needed.
    needed: Option<Seq>,
}

/// How it is told.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// In appends: logs before `told` are in durable ones, those before `telling` in that under
    /// way.
    Append { told: usize, telling: usize },
    /// By a manifest that replaces it: `written` bytes of it are, all logs before `next` are in
    /// those or in the part under way.
    Replace { written: u64, next: Slot },
}

/// State of the release.
#[derive(Debug)]
pub(crate) struct Releasing {
    stage: Stage,
    /// Rescue files that the manifest names, with their lengths, and those it is still to name.
    rescues: BTreeMap<RescueFile, u64>,
    unnamed: BTreeMap<RescueFile, u64>,
    /// Bytes of the manifest.
    manifest_bytes: u64,
    /// Bytes that it had when it was last made anew.
    manifest_live: u64,
}

impl Way {
    const ANEW: Way = Way::Replace { written: 0, next: Slot(0) };
}

impl Releasing {
    pub(crate) fn new(manifest_bytes: u64, rescues: BTreeMap<RescueFile, u64>) -> Releasing {
        Releasing {
            stage: Stage::Idle,
            rescues,
            unnamed: BTreeMap::new(),
            manifest_bytes,
            manifest_live: manifest_bytes,
        }
    }

    /// A rescue file is durable: the next manifest write names it.
    pub(crate) fn name_rescue(&mut self, file: RescueFile, bytes: u64) {
        self.unnamed.insert(file, bytes);
    }

    /// The names of rescue files that no manifest write has had yet.
    fn name_rescues(&mut self) -> Vec<Record> {
        let unnamed = std::mem::take(&mut self.unnamed);
        let records = unnamed.iter().map(|(file, bytes)| named(*file, *bytes)).collect();
        self.rescues.extend(unnamed);
        records
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    fn way(&self, limits: ManifestLimits) -> Way {
        let limit = (self.manifest_live * 2).max(limits.least_bytes);
        let long = self.manifest_bytes >= limit;
        if long { Way::ANEW } else { Way::Append { told: 0, telling: 0 } }
    }
}

fn named(file: RescueFile, bytes: u64) -> Record {
    Record::Rescue { file, bytes }
}

impl Shard {
    pub(super) fn start_barrier(&mut self, fx: &mut Effects) {
        let half_file = self.limits.journal_file_bytes / 2;
        let overdue = self.flusher.wants_barrier();
        let due =
            self.commits.presses() || self.flusher.flushed_since_barrier >= half_file || overdue;
        if !self.flusher.releasing.is_idle() {
            return;
        }
        if !due {
            return self.record_names(fx);
        }
        self.flusher.barrier_started();
        if self.flusher.unsynced.is_empty() {
            return self.record_needed(fx);
        }
        let logs = self.take_unsynced(fx);
        self.flusher.flushed_since_barrier = 0;
        self.flusher.releasing.stage = Stage::Barrier(logs);
        let id = self.effect(Pending::Barrier);
        fx.file(id, FileAction::Barrier);
    }

    /// What the next barrier covers, as far as it goes at once. Index files are brought up to it
    /// before.
    fn take_unsynced(&mut self, fx: &mut Effects) -> Vec<(Slot, Sync)> {
        let (mut logs, mut bytes) = (Vec::new(), 0);
        while logs.len() < BARRIER_LOGS && bytes < BARRIER_INDEX_BYTES {
            let Some(slot) = self.flusher.unsynced.pop_first() else { break };
            let log = self.partitions.get(&slot).map(|partition| &partition.log);
            let Some((log, sync)) = log.and_then(|log| Some((log, log.next_sync()?))) else {
                continue;
            };
            logs.push((slot, sync));
            let segment = log.segment_id(sync.place.segment);
            if let Some(pages) = log.new_pages(sync.place) {
                bytes += pages.bytes.len();
                let id = self.effect(Pending::Index(slot));
                fx.file(id, FileAction::WriteIndex(segment, pages));
            }
        }
        logs
    }

    /// An index file has got pages, or not: then the manifest keeps the points.
    pub(super) fn on_pages(&mut self, slot: Slot, outcome: &Outcome) {
        let Stage::Barrier(logs) = &mut self.flusher.releasing.stage else { return };
        let Ok(at) = logs.binary_search_by_key(&slot, |(slot, _)| *slot) else { return };
        let log = self.partitions.get(&slot).map(|partition| &partition.log);
        if let (Outcome::Failed(_), Some(log)) = (outcome, log) {
            logs[at].1 = log.without_pages(logs[at].1);
        }
    }

    /// Entries may have been released without a manifest that lets their file go: they were in the
    /// file being filled, or their topic is gone.
    fn record_needed(&mut self, fx: &mut Effects) {
        let needed = self.commits.ring().needed();
        if self.commits.ring().would_free(needed) {
            self.tell_manifest(Vec::new(), fx);
        } else {
            self.record_names(fx);
        }
    }

    /// Files have been made that the manifest does not name.
    fn record_names(&mut self, fx: &mut Effects) {
        if self.commits.is_unnamed() || !self.flusher.releasing.unnamed.is_empty() {
            self.tell_manifest(Vec::new(), fx);
        }
    }

    /// The barrier has passed: what it covers goes into the manifest.
    pub(super) fn on_barrier(&mut self, now: Now, outcome: &Outcome, fx: &mut Effects) {
        let release = std::mem::replace(&mut self.flusher.releasing.stage, Stage::Idle);
        let Stage::Barrier(logs) = release else { return };
        if let Outcome::Failed(failure) = outcome {
            fx.notice(Notice::DirectoryOffline(FileName::Directory, *failure));
            return self.go_offline(now, fx);
        }
        self.tell_manifest(logs, fx);
    }

    fn tell_manifest(&mut self, logs: Vec<(Slot, Sync)>, fx: &mut Effects) {
        let way = self.flusher.releasing.way(self.limits.manifest);
        let writing = Writing { logs, way, bytes: Bytes::new(), needed: None };
        self.tell_on(writing, fx);
    }

    /// Builds the next part and has it written.
    fn tell_on(&mut self, mut writing: Writing, fx: &mut Effects) {
        let part = match writing.way {
            Way::Append { told, .. } => self.append_part(&mut writing, told),
            Way::Replace { written, next } => self.replacing_part(&mut writing, written, next),
        };
        writing.bytes = part.finish();
        self.write_part(writing, fx);
    }

    fn append_part(&mut self, writing: &mut Writing, told: usize) -> Part {
        let mut part = Part::new(self.limits.manifest);
        let mut telling = told;
        while let Some((slot, sync)) = writing.logs.get(telling).filter(|_| !part.is_full()) {
            self.tell_log(*slot, *sync, Telling::News, &mut part);
            telling += 1;
        }
        writing.way = Way::Append { told, telling };
        if telling == writing.logs.len() {
            self.end_part(writing, &mut part);
        }
        part
    }

    fn replacing_part(&mut self, writing: &mut Writing, written: u64, next: Slot) -> Part {
        let mut part = Part::new(self.limits.manifest);
        if written == 0 {
            part.record(Record::Header(Header {
                start: self.version.start,
                shard: self.id,
                shards: self.shards,
                incarnation: self.commits.incarnation(),
            }));
        }
        let mut from = Bound::Included(next);
        while let Some((slot, partition)) = self.partitions.range((from, Bound::Unbounded)).next() {
            let slot = *slot;
            if part.is_full() {
                writing.way = Way::Replace { written, next: slot };
                return part;
            }
            let fresh = writing.logs.binary_search_by_key(&slot, |(slot, _)| *slot).ok();
            let sync = fresh.map_or_else(|| partition.log.recorded(), |at| writing.logs[at].1);
            self.tell_log(slot, sync, Telling::All, &mut part);
            from = Bound::Excluded(slot);
        }
        self.end_part(writing, &mut part);
        part
    }

    /// Adds what there is to say of a log; its entries up to there are released by that.
    fn tell_log(&mut self, slot: Slot, sync: Sync, telling: Telling, part: &mut Part) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        for seq in partition.log.release_until(sync.place) {
            self.commits.ring().release(seq);
        }
        part.log(&partition.log.records(sync, telling));
    }

    /// The part is the last.
    fn end_part(&mut self, writing: &mut Writing, part: &mut Part) {
        let needed = self.commits.ring().needed();
        self.name_files(writing.way, part);
        part.record(Record::Durable(self.commits.durable()));
        part.record(Record::Needed(needed));
        writing.needed = Some(needed);
    }

    /// Names the other files that there are: those that are new, or all of them.
    fn name_files(&mut self, way: Way, part: &mut Part) {
        let fresh: Vec<Record> = self.commits.name_made().into_iter().collect();
        let rescues = self.flusher.releasing.name_rescues();
        match way {
            Way::Append { .. } => {
                fresh.into_iter().chain(rescues).for_each(|name| part.record(name));
            }
            Way::Replace { .. } => {
                self.commits.names().for_each(|name| part.record(name));
                let rescues = self.flusher.releasing.rescues.iter();
                rescues.for_each(|(file, bytes)| part.record(named(*file, *bytes)));
            }
        }
    }

    fn write_part(&mut self, writing: Writing, fx: &mut Effects) {
        let bytes = writing.bytes.clone();
        let action = match (writing.way, writing.needed) {
            (Way::Append { .. }, _) => FileAction::AppendManifest(bytes),
            (Way::Replace { written, .. }, None) => FileAction::DraftManifest(written, bytes),
            (Way::Replace { written, .. }, Some(_)) => FileAction::ReplaceManifest(written, bytes),
        };
        self.flusher.releasing.stage = Stage::Writing(writing);
        let id = self.effect(Pending::Manifest);
        fx.file(id, action);
    }

    /// A part is in the manifest, or in what will replace it.
    pub(super) fn on_manifest(&mut self, now: Now, outcome: &Outcome, fx: &mut Effects) {
        let release = std::mem::replace(&mut self.flusher.releasing.stage, Stage::Idle);
        let Stage::Writing(mut writing) = release else { return };
        match outcome {
            Outcome::Failed(Failure::Full) => {
                self.flusher.releasing.stage = Stage::Waiting(writing);
                return self.disk_full();
            }
            Outcome::Failed(failure) => {
                fx.notice(Notice::DirectoryOffline(FileName::Manifest, *failure));
                return self.go_offline(now, fx);
            }
            Outcome::Done | Outcome::Read(_) => {}
        }
        let bytes = writing.bytes.len() as u64;
        let releasing = &mut self.flusher.releasing;
        match &mut writing.way {
            Way::Append { told, telling } => {
                releasing.manifest_bytes += bytes;
                let durable = std::mem::replace(told, *telling)..*telling;
                self.recorded(&writing.logs[durable]);
            }
            Way::Replace { written, .. } => {
                *written += bytes;
                if writing.needed.is_some() {
                    releasing.manifest_bytes = *written;
                    releasing.manifest_live = *written;
                    self.recorded(&writing.logs);
                }
            }
        }
        match writing.needed {
            Some(needed) => {
                self.commits.ring().reclaim(needed);
                self.journal_named(fx);
            }
            None => self.tell_on(writing, fx),
        }
    }

    /// A durable manifest says this of these logs.
    fn recorded(&mut self, logs: &[(Slot, Sync)]) {
        for (slot, sync) in logs {
            let Some(partition) = self.partitions.get_mut(slot) else { continue };
            for segment in partition.log.set_recorded(*sync) {
                self.index_loaded(*slot, segment);
            }
            self.release_rescued(*slot);
        }
    }

    /// Tries again to write to a manifest that the disk had no room for. One that replaces it is
    /// begun anew: what was written of it is gone.
    pub(super) fn retry_manifest(&mut self, fx: &mut Effects) {
        let stage = std::mem::replace(&mut self.flusher.releasing.stage, Stage::Idle);
        match stage {
            Stage::Waiting(Writing { logs, way: Way::Replace { .. }, .. }) => {
                let (way, bytes) = (Way::ANEW, Bytes::new());
                self.tell_on(Writing { logs, way, bytes, needed: None }, fx);
            }
            Stage::Waiting(writing) => self.write_part(writing, fx),
            other => self.flusher.releasing.stage = other,
        }
    }
}
