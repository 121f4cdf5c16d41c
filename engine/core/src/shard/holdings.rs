//! What a shard holds for others, counted: when all is answered, flushed and at rest, nothing is
//! left. For tests and metrics.

use crate::limits::CREDITS;
use crate::shard::partition::LastBlock;
use crate::shard::{Pending, Shard};

/// What a shard holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Requests of connections that are not answered, and the deadlines of long polls.
    pub requests: usize,
    /// Calls to owners that are not answered, and credits that have not come back.
    pub calls: usize,
    /// Calls of others that are not answered.
    pub owed: usize,
    /// Readers that watch partitions, as partitions and as calls know them.
    pub watchers: usize,
    /// Searches by time that wait for their turn, and readers that wait for an index.
    pub searches: usize,
    /// Commands to the metadata that wait to be decided, and requests to coordinators that wait for
    /// their partitions.
    pub postponed: usize,
    /// Appends that wait to be durable, or for their log's last block.
    pub waiters: usize,
    /// Effects under way, but for commits, on which something depends.
    pub effects: usize,
    /// Bytes in no segment, and of appends that wait for their log's last block.
    pub unflushed: u64,
    /// Bytes of slabs that are counted and that no partition has.
    pub lost_slabs: usize,
}

impl Shard {
    /// What it holds for others now.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let partitions = || self.partitions.values();
        let waiters = partitions().map(|partition| match &partition.last_block {
            LastBlock::Here => partition.acks.len(),
            LastBlock::Loading { parked } => partition.acks.len() + parked.len(),
        });
        let watchers: usize = partitions().map(|partition| partition.watchers.len()).sum();
        let slabs: usize = partitions().map(|partition| partition.log.tail_memory()).sum();
        // A commit may only say that the one before it was durable; what it holds is unflushed.
        let leisure = |of: &&Pending| matches!(of, Pending::Nothing | Pending::Commit);
        let effects = self.pending.values().filter(|of| !leisure(of));
        let commands = self.controller.as_ref().map_or(0, |seat| seat.waiting());
        Holdings {
            requests: self.home.joins.len() + self.home.deadlines.len(),
            calls: self.home.calls.len() + self.home.credits_out(CREDITS),
            owed: self.calls.owed() + self.groups.loads_open(),
            watchers: watchers + self.calls.watched.len() + self.wakes.len(),
            searches: self.searches.waiting() + self.indexes.waiting(),
            postponed: commands + self.groups.waiting(),
            waiters: waiters.sum(),
            effects: effects.count(),
            unflushed: self.flusher.unflushed(),
            lost_slabs: self.flusher.memory().abs_diff(slabs),
        }
    }

    /// Bytes of slabs.
    #[must_use]
    pub fn slabs(&self) -> usize {
        self.flusher.memory()
    }
}
