//! A partition that this shard owns: its log, and who waits for what of it.

use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::group::coordinator::BatchNumber;
use crate::id::{Offset, ShardId};
use crate::journal::commit::Seq;
use crate::log::Log;
use crate::shard::event::Health;
use crate::shard::message::CallId;
use crate::shard::request::{Append, Appended};

/// A partition's number within its shard. Numbers of deleted partitions are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) u32);

/// Who gets to know how an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Waiter {
    /// One part of an append call.
    Call {
        /// The call.
        call: OwnerCall,
        /// The part's place in it.
        part: u32,
    },
    /// The metadata controller.
    Controller,
    /// The coordinator of the partition's groups.
    Group {
        /// The partition.
        slot: Slot,
        /// What it has called the batch.
        number: BatchNumber,
    },
}

/// A call as its owner names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OwnerCall {
    /// The shard that called.
    pub(crate) from: ShardId,
    /// Its name for the call.
    pub(crate) id: CallId,
}

/// A part of a call.
pub(crate) type CallPart = (OwnerCall, u32);

impl OwnerCall {
    /// All its parts.
    pub(crate) fn parts(self) -> RangeInclusive<CallPart> {
        (self, 0)..=(self, u32::MAX)
    }
}

/// An acknowledgement that waits for `end` to be durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack {
    pub(crate) end: Offset,
    pub(crate) waiter: Waiter,
    pub(crate) answer: Appended,
}

/// Whether the unfinished last block is in memory.
#[derive(Debug)]
pub(crate) enum LastBlock {
    /// It is, or there is none.
    Here,
    /// It is being read; these appends wait for it, in order.
    Loading { parked: Vec<(Append, Waiter)> },
}

/// A partition that this shard owns.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: Log,
    pub(crate) health: Health,
    pub(crate) rescue: Rescue,
    pub(crate) acks: VecDeque<Ack>,
    pub(crate) last_block: LastBlock,
    /// Reads that wait for the high watermark to move.
    pub(crate) watchers: BTreeSet<OwnerCall>,
    /// Whether it is in the list of those that the next commit takes from.
    pub(crate) queued: Queued,
    /// Its place among those that may give memory back.
    pub(crate) evictable: Option<u64>,
    /// The key under which the flusher has sorted it.
    pub(crate) aged: Option<Seq>,
}

/// Where what a failed segment would not take is.
#[derive(Clone, Debug)]
pub(crate) enum Rescue {
    /// No segment has failed.
    None,
    /// Being written to a rescue file, or to be written again once the disk has room.
    Writing(Bytes),
    /// In a rescue file, durably.
    Done,
}

/// Whether a partition is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    Yes,
    No,
}

impl Partition {
    pub(crate) fn new(log: Log, health: Health) -> Partition {
        Partition {
            log,
            health,
            rescue: Rescue::None,
            acks: VecDeque::new(),
            last_block: LastBlock::Here,
            watchers: BTreeSet::new(),
            queued: Queued::No,
            evictable: None,
            aged: None,
        }
    }

    /// Notes an acknowledgement in offset order: that of a duplicate may go before others.
    pub(crate) fn wait(&mut self, ack: Ack) {
        let at = self.acks.partition_point(|other| other.end <= ack.end);
        self.acks.insert(at, ack);
    }
}
