//! What happens after an I/O error: a failed write or sync is never retried and believed.

use crate::id::Now;
use crate::shard::effect::{Effects, FileAction, Notice};
use crate::shard::event::{Failure, FileName, Health, Outcome};
use crate::shard::message::Message;
use crate::shard::partition::Slot;
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

    fn stop_promising(&mut self, now: Now, fx: &mut Effects) {
        self.directory = DirectoryHealth::Offline;
        self.abandon_commits();
        let slots: Vec<Slot> = self.partitions.keys().copied().collect();
        for slot in slots {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.health = Health::Offline;
            }
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
        partition.health = Health::Offline;
        let segment = partition.log.segment_id(partition.log.marks().flushed().segment);
        let unflushed = partition.log.durable_unflushed();
        fx.notice(Notice::PartitionOffline(segment, failure));
        let id = self.effect(Pending::Rescue(slot));
        fx.file(id, FileAction::Rescue(unflushed));
        self.fail_waiters(now, slot, &AppendError::Offline, fx);
    }

    /// The bytes of a failed segment are safe elsewhere: its claims on the journal end.
    pub(super) fn on_rescue(&mut self, slot: Slot, outcome: &Outcome) {
        if matches!(outcome, Outcome::Failed(_)) {
            return;
        }
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let released: Vec<_> = partition.log.release_all().collect();
        for seq in released {
            self.commits.ring().release(seq);
        }
        self.age_again(slot);
    }
}
