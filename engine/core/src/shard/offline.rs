//! What happens after an I/O error: a failed write or sync is never retried and believed.

use crate::boot::effect::RescueFile;
use crate::id::Now;
use crate::journal::rescue;
use crate::shard::effect::{Effects, FileAction, Notice};
use crate::shard::event::{Failure, FileName, Health, Outcome};
use crate::shard::message::Message;
use crate::shard::partition::{Rescue, Slot};
use crate::shard::request::AppendError;
use crate::shard::{Pending, Shard};

/// Whether this shard may promise anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DirectoryHealth {
    #[default]
    Online,
    Offline,
}

impl DirectoryHealth {
    pub(crate) fn is_offline(self) -> bool {
        self == DirectoryHealth::Offline
    }
}

impl Shard {
    /// A journal write failed: nothing of this shard is acknowledged any more.
    pub(super) fn shard_offline(
        &mut self,
        now: Now,
        file: FileName,
        failure: Failure,
        fx: &mut Effects,
    ) {
        fx.notice(Notice::ShardOffline(file, failure));
        self.stop_promising(now, fx);
    }

    /// The barrier or the manifest failed, here or on another shard: the same for all shards.
    pub(super) fn go_offline(&mut self, now: Now, fx: &mut Effects) {
        if self.directory.is_offline() {
            return;
        }
        self.stop_promising(now, fx);
        for other in (0..self.shards).map(crate::id::ShardId).filter(|other| *other != self.id) {
            fx.messages.push((other, Message::DirectoryOffline));
        }
    }

    /// Whether nothing of this log is served.
    pub(super) fn is_offline(&self, slot: Slot) -> bool {
        let partition = self.partitions.get(&slot);
        self.directory.is_offline() || partition.is_some_and(|p| p.health == Health::Offline)
    }

    fn stop_promising(&mut self, now: Now, fx: &mut Effects) {
        self.directory = DirectoryHealth::Offline;
        self.abandon_commits();
        self.flusher.abandon();
        let slots: Vec<Slot> = self.partitions.keys().copied().collect();
        for slot in slots {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.health = Health::Offline;
            }
            self.forget_memory(slot);
            self.age_again(slot);
            self.fail_waiters(now, slot, &AppendError::Offline, fx);
        }
    }

    /// A segment failed: its partition goes offline alone; what it would not take is rescued.
    pub(super) fn partition_offline(
        &mut self,
        now: Now,
        slot: Slot,
        failure: Failure,
        fx: &mut Effects,
    ) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        if partition.health == Health::Offline {
            // So is all else: the journal keeps what it has.
            return;
        }
        partition.health = Health::Offline;
        let segment = partition.log.segment_id(partition.log.marks().flushed().segment);
        let entries = partition.log.unflushed_entries();
        let entries: Vec<_> = entries.into_iter().map(|entry| (entry.head, entry.pieces)).collect();
        partition.rescue = Rescue::Writing(rescue::encode(&entries).into());
        fx.notice(Notice::PartitionOffline(segment, failure));
        self.write_rescue(slot, fx);
        self.forget_memory(slot);
        self.age_again(slot);
        self.fail_waiters(now, slot, &AppendError::Offline, fx);
    }

    /// Nobody reads what is offline: its memory is for others.
    fn forget_memory(&mut self, slot: Slot) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        self.flusher.freed(partition.log.forget_memory());
        self.flusher.keep(partition.evictable.take());
    }

    fn write_rescue(&mut self, slot: Slot, fx: &mut Effects) {
        let Some(partition) = self.partitions.get(&slot) else { return };
        let Rescue::Writing(bytes) = &partition.rescue else { return };
        let (partition, bytes) = (partition.log.partition(), bytes.clone());
        let file = RescueFile { partition, start: self.version.start };
        let id = self.effect(Pending::Rescue(slot));
        fx.file(id, FileAction::Rescue(file, bytes));
    }

    /// What a failed segment would not take is safe elsewhere, or is not.
    pub(super) fn on_rescue(&mut self, now: Now, slot: Slot, outcome: &Outcome, fx: &mut Effects) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        match outcome {
            Outcome::Failed(Failure::Full) => {
                self.unrescued.insert(slot);
                self.disk_full();
            }
            Outcome::Failed(failure) => {
                let name = FileName::Rescue(partition.log.partition());
                fx.notice(Notice::DirectoryOffline(name, *failure));
                self.go_offline(now, fx);
            }
            Outcome::Done | Outcome::Read(_) => {
                let of = partition.log.partition();
                if let Rescue::Writing(bytes) =
                    std::mem::replace(&mut partition.rescue, Rescue::Done)
                {
                    let file = RescueFile { partition: of, start: self.version.start };
                    self.flusher.releasing.name_rescue(file, bytes.len() as u64);
                }
                self.flusher.rescued(partition.log.unflushed());
                self.disk_took(0);
                self.release_rescued(slot);
            }
        }
    }

    /// Ends a failed partition's claims on the journal, if what its segments took is durable and
    /// recorded, and the rest in its rescue file.
    pub(super) fn release_rescued(&mut self, slot: Slot) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        if matches!(partition.rescue, Rescue::Done) && !partition.log.is_unsynced() {
            for seq in partition.log.release_all() {
                self.commits.ring().release(seq);
            }
        }
    }

    /// Tries again to write rescue files that the disk had no room for.
    pub(super) fn retry_rescues(&mut self, fx: &mut Effects) {
        for slot in std::mem::take(&mut self.unrescued) {
            self.write_rescue(slot, fx);
        }
    }
}
