//! The release of the journal: one barrier for all segments, then a manifest record that says how
//! far each is synced, and only then may the journal behind it be overwritten.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::boot::effect::RescueFile;
use crate::id::Now;
use crate::journal::commit::Seq;
use crate::limits::MANIFEST_MIN_BYTES;
use crate::log::{Sync, Telling};
use crate::manifest::record::{Header, Record, encode};
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
    /// A manifest write is under way.
    Manifest {
        logs: Vec<(Slot, Sync)>,
        needed: Seq,
        write: ManifestWrite,
    },
    /// The manifest could not grow (the disk was full); to be tried again.
    Waiting {
        logs: Vec<(Slot, Sync)>,
        needed: Seq,
        write: ManifestWrite,
    },
}

#[derive(Clone, Debug)]
enum ManifestWrite {
    Append(Bytes),
    Replace(Bytes),
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
        let slots = std::mem::take(&mut self.flusher.unsynced);
        let syncs = slots.into_iter().filter_map(|slot| {
            let sync = self.partitions.get(&slot)?.log.unsynced()?;
            Some((slot, sync))
        });
        let logs = syncs.collect();
        self.flusher.flushed_since_barrier = 0;
        self.flusher.releasing.stage = Stage::Barrier(logs);
        let id = self.effect(Pending::Barrier);
        fx.file(id, FileAction::Barrier);
    }

    /// Entries may have been released without a manifest that lets their file go: they were in the
    /// file being filled, or their topic is gone.
    fn record_needed(&mut self, fx: &mut Effects) {
        let needed = self.commits.ring().needed();
        if self.commits.ring().would_free(needed) {
            let write = self.manifest_write(&[], needed);
            self.write_manifest(Vec::new(), needed, write, fx);
        } else {
            self.record_names(fx);
        }
    }

    /// Files have been made that the manifest does not name.
    fn record_names(&mut self, fx: &mut Effects) {
        if self.commits.is_unnamed() || !self.flusher.releasing.unnamed.is_empty() {
            let needed = self.commits.ring().needed();
            let write = self.manifest_write(&[], needed);
            self.write_manifest(Vec::new(), needed, write, fx);
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

    fn manifest_write(&mut self, logs: &[(Slot, Sync)], needed: Seq) -> ManifestWrite {
        let mut records = vec![Record::Needed(needed), Record::Durable(self.commits.durable())];
        records.extend(self.commits.name_made());
        records.extend(self.flusher.releasing.name_rescues());
        for (slot, sync) in logs {
            if let Some(partition) = self.partitions.get_mut(slot) {
                records.extend(partition.log.records(*sync, Telling::News));
            }
        }
        let news = encode(&records);
        let limit = (self.flusher.releasing.manifest_live * 2).max(MANIFEST_MIN_BYTES);
        if self.flusher.releasing.manifest_bytes + (news.len() as u64) < limit {
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
        records.push(Record::Durable(self.commits.durable()));
        records.extend(self.commits.names());
        let rescues = self.flusher.releasing.rescues.iter();
        records.extend(rescues.map(|(file, bytes)| named(*file, *bytes)));
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
        self.flusher.releasing.stage = Stage::Manifest { logs, needed, write };
        let id = self.effect(Pending::Manifest);
        fx.file(id, action);
    }

    /// The manifest is durable: the journal behind it may be overwritten.
    pub(super) fn on_manifest(&mut self, now: Now, outcome: &Outcome, fx: &mut Effects) {
        let release = std::mem::replace(&mut self.flusher.releasing.stage, Stage::Idle);
        let Stage::Manifest { logs, needed, write } = release else { return };
        match outcome {
            Outcome::Failed(Failure::Full) => {
                self.flusher.releasing.stage = Stage::Waiting { logs, needed, write };
                return self.disk_full(fx);
            }
            Outcome::Failed(failure) => {
                fx.notice(Notice::DirectoryOffline(FileName::Manifest, *failure));
                return self.go_offline(now, fx);
            }
            Outcome::Done | Outcome::Read(_) => {}
        }
        match write {
            ManifestWrite::Append(bytes) => {
                self.flusher.releasing.manifest_bytes += bytes.len() as u64
            }
            ManifestWrite::Replace(bytes) => {
                self.flusher.releasing.manifest_bytes = bytes.len() as u64;
                self.flusher.releasing.manifest_live = bytes.len() as u64;
            }
        }
        for (slot, sync) in logs {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.log.set_recorded(sync);
                self.release_rescued(slot);
            }
        }
        self.commits.ring().reclaim(needed);
        self.journal_named(fx);
    }

    /// Tries again to write a manifest that the disk had no room for.
    pub(super) fn retry_manifest(&mut self, fx: &mut Effects) {
        let stage = std::mem::replace(&mut self.flusher.releasing.stage, Stage::Idle);
        match stage {
            Stage::Waiting { logs, needed, write } => self.write_manifest(logs, needed, write, fx),
            other => self.flusher.releasing.stage = other,
        }
    }
}
