//! The files thread of a shard: one act after the other.

use bytes::Bytes;
use corelog_engine::boot::effect::{JournalFile, ManifestName};
use corelog_engine::id::ShardId;
use corelog_engine::shard::effect::FileAction;
use corelog_engine::shard::event::{EffectId, Event, Failure, Outcome};

use super::perform::EIO;
use super::{Due, Step, World};
use crate::sim::disk::{Cover, Landing, Name, Op};

/// An act under way.
#[derive(Debug)]
pub(super) struct Doing {
    id: EffectId,
    act: Act,
    fails: bool,
}

#[derive(Debug)]
enum Act {
    /// A change of the disk that takes so many bytes more.
    Change {
        op: Op,
        landing: Landing,
        grows: u64,
    },
    /// A journal file filled with zeros; removed again when that fails.
    Format {
        op: Op,
        name: Name,
        grows: u64,
    },
    /// As above; the manifest ends there when it is done.
    Manifest {
        op: Op,
        landing: Landing,
        grows: u64,
        end: u64,
    },
    /// Part of a manifest that is none yet; what there is of it takes so many bytes.
    Draft {
        manifest: ManifestName,
        grows: u64,
    },
    Barrier(Cover),
}

impl World {
    /// Begins the next act, unless one is under way.
    pub(super) fn next_file(&mut self, shard: ShardId) -> Step<()> {
        let host = self.host(shard);
        if host.doing.is_some() {
            return Ok(());
        }
        let Some((effect, cover)) = host.files.pop_front() else { return Ok(()) };
        self.burn()?;
        let errors = self.faults.errors;
        let odds = match &effect.action {
            FileAction::Barrier => errors.barrier,
            FileAction::AppendManifest(_)
            | FileAction::DraftManifest(..)
            | FileAction::ReplaceManifest(..) => errors.manifest,
            FileAction::FormatJournal(_) => errors.journal,
            FileAction::Rescue(..) => errors.files,
            _ => errors.files,
        };
        let fails = self.rng.faults.one_in(odds);
        let act = self.begin(shard, effect.action, cover);
        self.host(shard).doing = Some(Doing { id: effect.id, act, fails });
        let at = self.now + self.latency();
        self.schedule(at, Due::File(shard));
        Ok(())
    }

    fn begin(&mut self, shard: ShardId, action: FileAction, cover: Cover) -> Act {
        let manifest = self.host(shard).manifest;
        match action {
            FileAction::FormatJournal(slot) => {
                let bytes = self.geometry.limits.journal_file_bytes;
                let zeros = Bytes::from(vec![0; bytes as usize]);
                let name = Name::Journal(JournalFile { shard, slot });
                Act::Format { op: self.disk.write(name, 0, zeros), name, grows: bytes }
            }
            FileAction::Barrier => Act::Barrier(cover),
            FileAction::AppendManifest(bytes) => {
                let (at, grows) = (self.host(shard).manifest_end, bytes.len() as u64);
                let op = self.disk.write(Name::Manifest(manifest), at, bytes);
                Act::Manifest { op, landing: Landing::Bytes, grows, end: at + grows }
            }
            FileAction::DraftManifest(at, bytes) => {
                self.disk.draft(manifest, at, &bytes);
                Act::Draft { manifest, grows: at + bytes.len() as u64 }
            }
            FileAction::ReplaceManifest(at, bytes) => {
                let end = at + bytes.len() as u64;
                self.disk.draft(manifest, at, &bytes);
                let op = self.disk.replace_by_draft(manifest);
                Act::Manifest { op, landing: Landing::Durable, grows: end, end }
            }
            FileAction::Truncate(segment, len) => {
                self.change(|disk| disk.cut(Name::Segment(segment), len))
            }
            FileAction::WriteIndex(segment, pages) => {
                let grows = pages.bytes.len() as u64;
                let op = self.disk.write(Name::Index(segment), pages.at, pages.bytes);
                Act::Change { op, landing: Landing::Volatile, grows }
            }
            FileAction::RemoveSegment(segment) => self.change(|disk| {
                disk.remove(|name| name == Name::Segment(segment) || name == Name::Index(segment))
            }),
            FileAction::RemovePartition(partition) => {
                self.change(|disk| disk.remove(|name| name.partition() == Some(partition)))
            }
            FileAction::Rescue(file, bytes) => {
                let grows = bytes.len() as u64;
                let op = self.disk.replace(Name::Rescue(file), &bytes);
                Act::Change { op, landing: Landing::Durable, grows }
            }
        }
    }

    fn change(&mut self, begin: impl FnOnce(&mut crate::sim::disk::Disk) -> Op) -> Act {
        let op = begin(&mut self.disk);
        Act::Change { op, landing: Landing::Volatile, grows: 0 }
    }

    /// The act under way ends.
    pub(super) fn file_done(&mut self, shard: ShardId) -> Step<()> {
        let Some(Doing { id, act, fails }) = self.host(shard).doing.take() else { return Ok(()) };
        let mut reports = Vec::new();
        let outcome = match act {
            Act::Barrier(cover) if fails || self.barrier_failed => {
                // What it has lost, a later barrier would not tell: none may succeed any more.
                self.barrier_failed = true;
                self.model.excuses.lost = true;
                self.disk.fail_barrier(cover, &mut self.rng.disk);
                Outcome::Failed(Failure::Io(EIO))
            }
            Act::Barrier(cover) => {
                self.disk.settle(cover);
                Outcome::Done
            }
            Act::Change { op, landing, grows } => {
                reports = vec![op];
                self.end_change(op, landing, grows, fails)
            }
            Act::Draft { manifest, grows } => {
                let full = grows > self.disk.free();
                if fails || full {
                    self.disk.drop_draft(manifest);
                }
                match (fails, full) {
                    (true, _) => Outcome::Failed(Failure::Io(EIO)),
                    (_, true) => Outcome::Failed(Failure::Full),
                    _ => Outcome::Done,
                }
            }
            Act::Format { op, name, grows } => {
                let outcome = self.end_change(op, Landing::Durable, grows, fails);
                reports = vec![op];
                if matches!(outcome, Outcome::Failed(_)) {
                    let removal = self.disk.remove(|other| other == name);
                    self.disk.land(removal, Landing::Volatile);
                }
                outcome
            }
            Act::Manifest { op, landing, grows, end } => {
                let outcome = self.end_change(op, landing, grows, fails);
                if matches!(outcome, Outcome::Done) {
                    self.host(shard).manifest_end = end;
                }
                outcome
            }
        };
        if matches!(outcome, Outcome::Failed(_)) {
            reports.clear();
        }
        self.arrive(shard, Event::Done(id, outcome), reports);
        self.next_file(shard)
    }

    fn end_change(&mut self, op: Op, landing: Landing, grows: u64, fails: bool) -> Outcome {
        if fails {
            self.disk.spoil(op, &mut self.rng.disk);
            Outcome::Failed(Failure::Io(EIO))
        } else if grows > self.disk.free() {
            self.disk.overflow(op, &mut self.rng.disk);
            Outcome::Failed(Failure::Full)
        } else {
            self.disk.land(op, landing);
            Outcome::Done
        }
    }
}
