//! What shards say to each other. First in, first out for each pair. A call uses one of the
//! caller's credits and always gets exactly one answer; answers, wake-ups and news need no credit,
//! so nothing ever waits for room.

use std::sync::Arc;

use crate::group::request as group;
use crate::group::request::GroupError;
use crate::id::TopicId;
use crate::metadata;
use crate::shard::Pressure;
use crate::shard::disk::Intake;
use crate::shard::request::{
    Append, AppendError, Appended, FetchPart, Fetched, Found, GroupCall, Lookup, MetadataError,
    ReadError,
};

/// The caller's name for a call; unique among its open calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// One message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Asks the owner of some partitions.
    Call(CallId, Call),
    /// Answers a call.
    Answer(CallId, Answer),
    /// A partition that a `Read` call watches has more to read. Sent once for each call.
    Wake(CallId),
    /// Whoever called is gone or served: what is under way for the call ends, and so does watching.
    /// If the call is not answered, it is now.
    Cancel(CallId),
    /// The metadata has changed (from shard 0).
    Publish(Arc<metadata::Delta>),
    /// That change is applied here (to shard 0); carries the delta's version.
    Applied(u64),
    /// The directory is offline after an I/O error (from the shard that met it).
    DirectoryOffline,
    /// Whether the shard that says so would rather not be sent more bytes.
    Pressure(Pressure),
    /// Whether the shard that says so has room on the disk (to shard 0).
    Disk(Intake),
    /// Shard 0 wants to know how large topics are.
    Weigh,
    /// The largest topics of the shard that says so, with their bytes there (to shard 0).
    Weighed(Vec<(TopicId, u64)>),
    /// A command for the metadata, from a connection on another shard than 0.
    Command(CallId, metadata::Command),
    /// Asks the coordinator of a partition; needs no credit, as it may be answered late.
    Group(CallId, Box<GroupCall>),
}

/// What is asked of an owner.
#[derive(Clone, Debug)]
pub enum Call {
    /// Append; answered when each is decided.
    Append(Vec<Append>),
    /// Read now; if that gives less than `enough` bytes and no error, watch for more.
    Read {
        /// What to read, with the largest answer for all of it.
        parts: Vec<FetchPart>,
        /// Bytes for all parts.
        max_bytes: u32,
        /// Watch these partitions when the answer is smaller than this.
        enough: u32,
    },
    /// Find offsets.
    Lookup(Vec<Lookup>),
}

/// What an owner answers, part by part.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To `Append`.
    Append(Vec<Result<Appended, AppendError>>),
    /// To `Read`.
    Read(Vec<Result<Fetched, ReadError>>),
    /// To `Lookup`.
    Lookup(Vec<Result<Found, ReadError>>),
    /// To a `Command`.
    Metadata(Result<metadata::Outcome, MetadataError>),
    /// To a request of a group.
    Group(Result<group::Reply, GroupError>),
}
