//! Everything a shard can want done: one struct of vectors, so that one function of the driver can
//! order them. The driver carries out each and reports it with an [`Event::Done`], except where it
//! says otherwise.
//!
//! [`Event::Done`]: crate::shard::event::Event::Done

use std::sync::Arc;

use bytes::Bytes;
use corelog_mem::SlabSlice;

use crate::boot::effect::RescueFile;
use crate::group::history::Rebalance;
use crate::group::name::GroupId;
use crate::id::{ShardId, TopicId, TopicPartition};
use crate::log::{Lack, Pages, SegmentId};
use crate::metadata::Image;
use crate::shard::disk::Shortage;
use crate::shard::event::{EffectId, Failure, FileName, Ticket};
use crate::shard::job::RunJob;
use crate::shard::message::Message;
use crate::shard::request::Reply;

/// What one turn wants done. Reused between turns: the driver drains the vectors.
///
/// Order of carrying out: `journal`, `segments`, `files`, `reads`, `indexes`, `jobs`,
/// `messages`, `replies`, `notices`. No effect of one turn depends on another of the same turn;
/// whatever must come after a completion is only wanted once that completion has been reported.
#[derive(Debug, Default)]
pub struct Effects {
    /// Commits to write.
    pub journal: Vec<WriteJournal>,
    /// Segment bytes to write. At most one in flight for each segment.
    pub segments: Vec<WriteSegment>,
    /// What changes names, sizes and manifests, and the barrier. Carried out one after the other,
    /// in the order given, across turns too.
    pub files: Vec<FileEffect>,
    /// Bytes to read back.
    pub reads: Vec<ReadFile>,
    /// Index files to read back.
    pub indexes: Vec<ReadIndex>,
    /// What is to be worked out elsewhere.
    pub jobs: Vec<RunJob>,
    /// To other shards; first in, first out for each target.
    pub messages: Vec<(ShardId, Message)>,
    /// To connections of this shard. Not reported done.
    pub replies: Vec<(Ticket, Reply)>,
    /// To the operator. Not reported done.
    pub notices: Vec<Notice>,
    /// The metadata that this shard now goes by. Not reported done.
    pub published: Option<Arc<Image>>,
}

/// Writes one commit, O_DIRECT|O_DSYNC, into a recycled file. Memory, position and length are whole
/// blocks. Reported `Done` only when every byte is on disk; a short write is a failure.
#[derive(Debug)]
pub struct WriteJournal {
    /// Reported back.
    pub id: EffectId,
    /// Which of this shard's journal files.
    pub slot: u16,
    /// Bytes from the start of the file.
    pub at: u64,
    /// The commit.
    pub bytes: SlabSlice,
}

/// Writes whole blocks of a segment with O_DIRECT (no O_DSYNC), creating the file and its
/// directories when they are missing. Reported `Done` only when every byte was taken.
#[derive(Debug)]
pub struct WriteSegment {
    /// Reported back.
    pub id: EffectId,
    /// Which segment.
    pub segment: SegmentId,
    /// Bytes from the start of the file; whole blocks.
    pub at: u64,
    /// Consecutive pieces; each is whole blocks in memory and in length.
    pub bytes: Vec<SlabSlice>,
}

/// Reads bytes of a segment back. Position and length need not be whole blocks.
#[derive(Debug)]
pub struct ReadFile {
    /// Reported back with [`Outcome::Read`](crate::shard::event::Outcome::Read).
    pub id: EffectId,
    /// Which segment.
    pub segment: SegmentId,
    /// Bytes from the start of the file.
    pub at: u64,
    /// How many.
    pub len: u32,
}

/// Reads a segment's index file; answered `Read`, `Failed(Missing)` when there is none. In no
/// order with what `files` does to it, so that no reader waits for a barrier: what is read may be
/// half an index, which its checksum tells.
#[derive(Debug)]
pub struct ReadIndex {
    /// Reported back.
    pub id: EffectId,
    /// Which segment's.
    pub segment: SegmentId,
}

/// What the files thread does, in order.
#[derive(Debug)]
pub struct FileEffect {
    /// Reported back.
    pub id: EffectId,
    /// What to do.
    pub action: FileAction,
}

/// One act on files.
#[derive(Debug)]
pub enum FileAction {
    /// Creates the journal file of a slot, filled with zeros and synced, and opens it.
    FormatJournal(u16),
    /// Makes everything that was reported written durable: sizes, names, bytes (syncfs, and an
    /// fdatasync to learn of errors).
    Barrier,
    /// Appends to this shard's manifest of this start, durably (written and fdatasynced).
    AppendManifest(Bytes),
    /// Writes part of what will replace this shard's manifest into a temporary file, behind so many
    /// bytes; the first begins it anew. When it fails, that file goes.
    DraftManifest(u64, Bytes),
    /// The same with the last part, or the only one; then the manifest is replaced: sync, rename,
    /// directory sync.
    ReplaceManifest(u64, Bytes),
    /// Cuts a segment's file to this length. Durable at the next barrier.
    Truncate(SegmentId, u64),
    /// Writes pages of a segment's index beside it, creating the file when it is missing. Durable
    /// at the next barrier. Derived: its loss costs a scan.
    WriteIndex(SegmentId, Pages),
    /// Removes a segment and its index. A missing file is no failure.
    RemoveSegment(SegmentId),
    /// Removes a partition's directory. A missing one is no failure.
    RemovePartition(TopicPartition),
    /// Makes a rescue file, with what a failed segment would not take: temporary file, sync,
    /// rename, directory sync.
    Rescue(RescueFile, Bytes),
}

/// What is known of a full disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFull {
    /// What the first shard without room has found.
    pub shortage: Shortage,
    /// The largest topics with their bytes, on all shards; the largest first.
    pub largest: Vec<(TopicId, u64)>,
}

/// What an operator must learn. The driver logs it; the wording is the broker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A journal write failed: every partition of this shard is offline until a restart.
    ShardOffline(FileName, Failure),
    /// The barrier or the manifest failed: the same for the whole directory.
    DirectoryOffline(FileName, Failure),
    /// One segment failed: its partition is offline until a restart, which replays what the segment
    /// would not take from `rescue/`.
    PartitionOffline(SegmentId, Failure),
    /// The disk is full: produce is refused with a retriable error; the rest goes on.
    DiskFull(Box<DiskFull>),
    /// There is room again.
    DiskFreed {
        /// Bytes that are free.
        free: u64,
    },
    /// A segment's index file lacked pages that it should have; they have been made anew.
    IndexRebuilt(SegmentId, Lack),
    /// A stored batch does not match its checksum; readers of its partition get an error there.
    Damaged(SegmentId, u64),
    /// A partition of `__consumer_offsets` cannot be read: its groups are not served until it can,
    /// which is tried again.
    GroupsUnreadable(TopicPartition, String),
    /// A group has rebalanced.
    Rebalanced(GroupId, Box<Rebalance>),
}
