//! What a connection may ask of its shard, and what it is answered. Any partition may be named; the
//! shards find each other ([`crate::shard::message`]).

use std::sync::Arc;

use bytes::Bytes;

use crate::group::request as group;
use crate::group::request::GroupError;
use crate::id::{Instant, LeaderEpoch, Offset, ProducerEpoch, Timestamp, TopicPartition};
use crate::log::{EpochEnd, SegmentId};
use crate::metadata;
use crate::record::{BatchHeader, Sequence};

/// One request. Parts are answered in the order given.
#[derive(Clone, Debug)]
pub enum Request {
    /// Append batches; answered [`Reply::Produce`] when all parts are decided.
    Produce(Vec<Append>),
    /// Read; answered [`Reply::Fetch`] when there is enough or it is late.
    Fetch(Fetch),
    /// Find offsets; answered [`Reply::Lookup`].
    Lookup(Vec<Lookup>),
    /// Change or allocate metadata; answered [`Reply::Metadata`] when it is durable and every shard
    /// knows of it.
    Metadata(metadata::Command),
    /// Ask a coordinator of groups; answered [`Reply::Group`].
    Group(Box<GroupCall>),
}

/// A request to a coordinator of groups.
#[derive(Clone, Debug)]
pub struct GroupCall {
    /// The partition of `__consumer_offsets` that it is the coordinator of.
    pub partition: TopicPartition,
    /// The topics that there are, as far as whoever asks knows.
    pub image: Arc<metadata::Image>,
    /// What is asked.
    pub request: group::Request,
}

/// One answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To [`Request::Produce`], part by part.
    Produce(Vec<Result<Appended, AppendError>>),
    /// To [`Request::Fetch`], part by part.
    Fetch(Vec<Result<Fetched, ReadError>>),
    /// To [`Request::Lookup`], part by part.
    Lookup(Vec<Result<Found, ReadError>>),
    /// To [`Request::Metadata`].
    Metadata(Result<metadata::Outcome, MetadataError>),
    /// To [`Request::Group`].
    Group(Result<group::Reply, GroupError>),
    /// To [`Event::Stop`](crate::shard::event::Event::Stop): nothing is in flight any more.
    Stopped,
}

/// One validated batch for one partition.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where to.
    pub partition: TopicPartition,
    /// The batch's header.
    pub header: BatchHeader,
    /// The whole batch, timestamps as they are to be stored.
    pub batch: Bytes,
    /// What to answer as the time of the append; [`Timestamp::NONE`] under `CreateTime`.
    pub append_time: Timestamp,
}

/// An append that is as durable as its topic asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the batch's first record.
    pub base: Offset,
    /// The broker's timestamp under `LogAppendTime`, else [`Timestamp::NONE`].
    pub append_time: Timestamp,
    /// The first offset that can be read.
    pub log_start: Offset,
}

/// Why a batch was not appended, or may not be durable (`Offline`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// No such partition (any more).
    UnknownPartition,
    /// Batches of this idempotent producer are missing before this one.
    OutOfOrder {
        /// The sequence that must come next.
        expected: Sequence,
        /// The batch's first sequence.
        got: Sequence,
    },
    /// A later incarnation of the producer has written.
    Fenced {
        /// The epoch of that incarnation.
        current: ProducerEpoch,
    },
    /// Too much is unwritten; try again.
    Busy,
    /// The disk is full; try again when there is space.
    DiskFull,
    /// The partition, its shard or the directory is offline after an I/O error.
    Offline,
    /// The batch does not fit into a commit; `max` bytes would.
    TooLarge {
        /// Bytes of the largest batch.
        max: u32,
    },
}

/// A read over any partitions.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Bytes after which no further partition is added; the first batch comes whole all the same.
    pub max_bytes: u32,
    /// Bytes worth answering before the deadline.
    pub min_bytes: u32,
    /// When to answer with what there is.
    pub deadline: Instant,
    /// What to read, most wanted first.
    pub parts: Arc<[FetchPart]>,
}

/// A read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPart {
    /// Which one.
    pub partition: TopicPartition,
    /// The first offset wanted.
    pub offset: Offset,
    /// Bytes of whole batches; one batch comes whole however large, if it is the answer's first.
    pub max_bytes: u32,
    /// The leader epoch that the client knows; checked when it gives one.
    pub epoch: Option<LeaderEpoch>,
    /// The epoch of the last record before `offset` that the client has; checked when it gives one.
    pub last_epoch: Option<LeaderEpoch>,
}

/// What a read of one partition found.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The offset behind the last record that may be read.
    pub high_watermark: Offset,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Where the log parts from what the client has read before; nothing is read then.
    pub diverging: Option<EpochEnd>,
    /// The batches: consecutive pieces.
    pub pieces: Vec<Piece>,
}

impl Fetched {
    /// Bytes in all pieces.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum()
    }

    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// Consecutive stored bytes: an owned plan, which borrows no partition.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes in memory.
    Memory(Bytes),
    /// Bytes of a segment's file, flushed and never changed again.
    File {
        /// The segment.
        segment: SegmentId,
        /// Bytes from the start of the file.
        at: u64,
        /// How many.
        len: u64,
        /// How far the file holds such bytes, from its start; at least to the end of this piece.
        flushed: u64,
    },
}

impl Piece {
    /// Bytes in this piece.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Piece::Memory(bytes) => bytes.len() as u64,
            Piece::File { len, .. } => *len,
        }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a partition was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No such partition (any more).
    UnknownPartition,
    /// The offset is before the first or behind the last.
    OutOfRange {
        /// The first offset that can be read.
        start: Offset,
        /// The offset behind the last that can be read.
        end: Offset,
    },
    /// The client knows an older leader epoch.
    FencedEpoch,
    /// The client knows a newer leader epoch than this broker.
    UnknownEpoch,
    /// The partition is offline, or its bytes could not be read.
    Offline,
    /// Stored bytes do not match their checksum.
    Damaged,
    /// Out of the budget for reads; try again.
    Busy,
}

/// Finds one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Where.
    pub partition: TopicPartition,
    /// The leader epoch that the client knows; checked when it gives one.
    pub epoch: Option<LeaderEpoch>,
    /// Which offset.
    pub target: Target,
}

/// Which offset a lookup wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first that can be read.
    Earliest,
    /// The one behind the last that can be read.
    Latest,
    /// The first record whose timestamp is this or later.
    At(Timestamp),
    /// The record with the greatest timestamp.
    MaxTimestamp,
    /// Where this leader epoch ends, with the epoch that ends there ([`EpochEnd`]).
    EpochEnd(LeaderEpoch),
    /// An end of remote storage, of which there is none: no record.
    Remote,
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The offset and the timestamp of the record there, if it is one record that was asked for;
    /// `None` when no record is late enough.
    pub record: Option<(Offset, Timestamp)>,
    /// The leader epoch of the answer.
    pub epoch: LeaderEpoch,
}

/// Why a metadata command had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataError {
    /// It was refused.
    Refused(metadata::Refusal),
    /// It could not be written.
    Unwritten(AppendError),
    /// What it makes contradicts the metadata: a mistake in this program. Nothing has changed.
    Contradiction(metadata::image::ReplayError),
}
