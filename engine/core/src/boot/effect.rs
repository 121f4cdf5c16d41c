//! What recovery wants of the file system, and what it is told. A boot runs before any shard does,
//! alone on the directory, so its driver may simply block.

use std::fmt;

use bytes::Bytes;
use corelog_mem::SlabSlice;

use crate::id::{Offset, ShardId, TopicId, TopicPartition};
use crate::log::SegmentId;

/// A file of a shard's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalFile {
    /// The shard that wrote it (of the start that made it).
    pub shard: ShardId,
    /// Its place in that shard's ring.
    pub slot: u16,
}

/// Entries of a partition that are kept beside the journals, because its segments would not take
/// them or recovery could not place them: a file for each start that had to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RescueFile {
    /// Whose they are.
    pub partition: TopicPartition,
    /// The broker start that wrote it.
    pub start: u32,
}

/// A file that holds entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryFile {
    /// Part of a journal.
    Journal(JournalFile),
    /// A partition's own.
    Rescue(RescueFile),
}

/// A shard's manifest of one start: all manifests of a start replace those of earlier ones
/// together, once each of them is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestName {
    /// The broker start that made it.
    pub start: u32,
    /// The shard of that start.
    pub shard: ShardId,
}

impl fmt::Display for JournalFile {
    /// The file below the data directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal/s{}-{}.journal", self.shard.0, self.slot)
    }
}

impl fmt::Display for ManifestName {
    /// The file below the data directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "manifest/{}-s{}.manifest", self.start, self.shard.0)
    }
}

impl fmt::Display for RescueFile {
    /// The file below the data directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicPartition { topic, index } = self.partition;
        write!(f, "rescue/{topic}-{}-{}.rescue", index.0, self.start)
    }
}

/// One act that recovery wants done. A batch of them may be carried out in any order and at once;
/// the next batch comes after all of them are answered.
#[derive(Clone, Debug)]
pub enum BootEffect {
    /// Which journal files, manifests and rescue files there are.
    ListFiles,
    /// Which topics have a directory.
    ListTopics,
    /// Which segments a partition's directory holds, with the lengths of their files.
    ListSegments(TopicPartition),
    /// A whole manifest.
    ReadManifest(ManifestName),
    /// Part of a journal or rescue file; whole blocks.
    ReadEntries(EntryFile, u64, u64),
    /// Part of a segment; shorter only at the end of the file.
    ReadSegment(SegmentId, u64, u32),
    /// Whole blocks into a segment, creating file and directories when missing.
    WriteSegment(SegmentId, u64, SlabSlice),
    /// Cuts or extends a segment's file to this length.
    Truncate(SegmentId, u64),
    /// Makes everything so far durable, names and sizes too (syncfs).
    Barrier,
    /// Writes part of a manifest into a temporary file, behind so many bytes; the first begins it
    /// anew.
    DraftManifest(ManifestName, u64, Bytes),
    /// The same with the last part, or the only one; then there is the manifest: sync, rename,
    /// directory sync.
    ReplaceManifest(ManifestName, u64, Bytes),
    /// Removes a manifest, durably.
    RemoveManifest(ManifestName),
    /// Makes a rescue file: temporary file, sync, rename, directory sync.
    Rescue(RescueFile, Bytes),
    /// Removes a rescue file, durably.
    RemoveRescue(RescueFile),
    /// Removes a journal file, durably.
    RemoveJournal(JournalFile),
    /// Removes everything of a deleted topic.
    RemoveTopic(TopicId),
    /// Moves a directory that belongs to no known topic to `orphans/`.
    Orphan(TopicId),
}

impl BootEffect {
    /// Whether it changes what is on disk.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            BootEffect::ListFiles
            | BootEffect::ListTopics
            | BootEffect::ListSegments(_)
            | BootEffect::ReadManifest(_)
            | BootEffect::ReadEntries(..)
            | BootEffect::ReadSegment(..)
            | BootEffect::Barrier => false,
            BootEffect::WriteSegment(..)
            | BootEffect::Truncate(..)
            | BootEffect::DraftManifest(..)
            | BootEffect::ReplaceManifest(..)
            | BootEffect::RemoveManifest(_)
            | BootEffect::Rescue(..)
            | BootEffect::RemoveRescue(_)
            | BootEffect::RemoveJournal(_)
            | BootEffect::RemoveTopic(_)
            | BootEffect::Orphan(_) => true,
        }
    }
}

/// The answer to one [`BootEffect`].
#[derive(Clone, Debug)]
pub enum BootAnswer {
    /// To `ListFiles`.
    Files {
        /// Journal files with their lengths.
        journals: Vec<(JournalFile, u64)>,
        /// Manifests.
        manifests: Vec<ManifestName>,
        /// Rescue files with their lengths.
        rescues: Vec<(RescueFile, u64)>,
    },
    /// To `ListTopics`.
    Topics(Vec<TopicId>),
    /// To `ListSegments`: base offsets and file lengths, ascending; empty when there is none.
    Segments(Vec<(Offset, u64)>),
    /// To the reads.
    Bytes(Bytes),
    /// To the rest.
    Done,
    /// The disk is full; the message is the operating system's. Ends the boot.
    Full(String),
    /// It failed; the message is the operating system's. Ends the boot, unless it concerns a single
    /// partition's segments.
    Failed(String),
}

/// What recovery has decided after a batch of answers.
#[derive(Debug)]
pub enum BootStep {
    /// Carry these out and come back.
    Perform(Vec<BootEffect>),
    /// All is durable and known: run these shards, in order.
    Ready(Box<crate::boot::Recovered>),
    /// This directory must not be served; nothing was lost by looking.
    Refuse(crate::boot::BootRefusal),
}
