//! Everything that can happen to a shard: a closed list. The driver and the simulator make these,
//! nothing else does.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::{ShardId, TopicPartition};
use crate::log::{Known, LogConfig, LogImage, LogVersion, SegmentId};
use crate::shard::job::Finished;
use crate::shard::message::Message;
use crate::shard::request::Request;

/// The driver's name for a request; comes back with the reply. Chosen by the driver, unique among
/// the requests that are open on one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The core's name for an effect that will be reported done. Unique within a shard's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// One input of a shard.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection of this shard asks for something.
    Request(Ticket, Request),
    /// Nobody waits for the reply any more (the connection is gone); forget the ticket.
    Cancel(Ticket),
    /// Another shard says something.
    Message(ShardId, Message),
    /// An effect has been carried out, or has failed.
    Done(EffectId, Outcome),
    /// A job has come to this.
    Finished(EffectId, Finished),
    /// Bytes that ordinary users of the file system may still take. At boot and about every second.
    DiskFree(u64),
    /// Time has passed; sent when `Shard::next_deadline` is reached.
    Tick,
    /// The broker wants to stop: write what is unfinished, then reply to the ticket.
    Stop(Ticket),
}

/// A partition as recovery found it, or as its topic's creation makes it.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// Which one.
    pub partition: TopicPartition,
    /// Its log.
    pub log: LogImage,
    /// How it is to be kept.
    pub config: Arc<LogConfig>,
    /// Whether it can be served.
    pub health: Health,
    /// What this shard's manifest has of it.
    pub known: Known,
}

impl Adopted {
    /// One that has just been created.
    #[must_use]
    pub fn created(partition: TopicPartition, start: u32, config: Arc<LogConfig>) -> Adopted {
        let log = LogImage::empty(LogVersion { start, change: 0 });
        Adopted { partition, log, config, health: Health::Online, known: Known::No }
    }
}

/// Whether a partition can be written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Online,
    /// No, after an I/O error or because recovery could not tell what it holds.
    Offline,
}

/// How an effect went. An effect that can only succeed or fail answers `Done`.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Carried out whole.
    Done,
    /// The bytes of a [`ReadFile`](crate::shard::effect::ReadFile): shorter than asked for only at
    /// the end of the file.
    Read(Bytes),
    /// Not carried out, or not whole.
    Failed(Failure),
}

/// Why an effect failed, as far as the core treats causes differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No space left on the device, or over quota. May be tried again.
    Full,
    /// The file does not exist.
    Missing,
    /// The file is shorter than what was written to it.
    Short,
    /// Not the operating system's: what was asked for is offline by now.
    Offline,
    /// Anything else: the operating system's error number. Never tried again and believed.
    Io(i32),
}

/// Names the file an operator will look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileName {
    /// A journal file of this shard, by slot.
    Journal(u16),
    /// This shard's manifest.
    Manifest,
    /// A segment.
    Segment(SegmentId),
    /// A rescue file.
    Rescue(TopicPartition),
    /// All segments: the barrier.
    Directory,
}
