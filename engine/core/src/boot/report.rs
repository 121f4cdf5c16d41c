//! What recovery tells: what it did, or why it refuses.

use std::fmt;

use crate::boot::effect::{BootAnswer, JournalFile, ManifestName};
use crate::boot::missing::told;
use crate::id::{ShardId, TopicPartition};
use crate::journal::scan::Damage;
use crate::manifest::record::Broken;

/// What recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootReport {
    /// Partitions that are served.
    pub partitions: usize,
    /// Journal entries that said more than the segments.
    pub replayed_entries: usize,
    /// Bytes written into segments.
    pub written_bytes: u64,
    /// Journal entries of topics that the metadata does not know.
    pub unknown_entries: usize,
    /// Partitions that were made anew from their segments, because a manifest is lost.
    pub rescanned: usize,
    /// Partitions that are not served, and why.
    pub offline: Vec<(TopicPartition, String)>,
}

/// Why a directory is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootRefusal {
    /// The file system failed; the text is the operating system's.
    Io(String),
    /// A journal is damaged below what it had acknowledged.
    Journal {
        /// Whose journal.
        shard: ShardId,
        /// Where, and how that is known.
        damage: Damage,
    },
    /// A journal file is missing that a manifest names, or has another length.
    JournalFile {
        /// Which.
        file: JournalFile,
        /// The length it was made with.
        expected: u64,
        /// The length it has; `None` when it is missing.
        found: Option<u64>,
    },
    /// The journal of a shard whose manifest is lost is damaged.
    UnclaimedJournal(Damage),
    /// There are no manifests, or only those of an earlier start, though shards have run.
    NoManifests {
        /// The start that is known to have had all its manifests; 0 when topics or journals alone
        /// say that shards have run.
        settled: u32,
        /// The newest start of which there is a manifest.
        found: Option<u32>,
    },
    /// A manifest was written by a newer Corelog.
    Manifest {
        /// Whose manifest.
        shard: ShardId,
        /// What is wrong.
        broken: Broken,
    },
    /// The metadata partition cannot be recovered.
    Metadata(String),
}

impl fmt::Display for BootRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootRefusal::Io(error) => f.write_str(error),
            BootRefusal::Journal { shard, damage } => {
                write!(f, "the journal of shard {} is damaged: {damage}", shard.0)
            }
            BootRefusal::UnclaimedJournal(damage) => {
                write!(f, "a manifest is lost, and the journal of its shard is damaged: {damage}")
            }
            BootRefusal::JournalFile { file, expected, found } => {
                write!(f, "the journal file {file} is {}", told(*found, *expected))
            }
            BootRefusal::NoManifests { settled, found } => {
                match found {
                    None => write!(f, "there is no manifest in manifest/")?,
                    Some(found) => write!(f, "manifest/ has no manifest newer than start {found}")?,
                }
                match settled {
                    0 => write!(f, ", though the directory holds data of topics or a journal"),
                    start => {
                        let name = ManifestName { start: *start, shard: ShardId(0) };
                        write!(f, ", though start {start} had written {name}")
                    }
                }
            }
            BootRefusal::Manifest { shard, broken: Broken::Newer { format } } => write!(
                f,
                "the manifest of shard {} has format {format}, which only a newer Corelog reads",
                shard.0
            ),
            BootRefusal::Manifest { shard, broken } => {
                write!(f, "the manifest of shard {} is unreadable: {broken:?}", shard.0)
            }
            BootRefusal::Metadata(why) => {
                write!(f, "the cluster metadata cannot be recovered: {why}")
            }
        }
    }
}

/// The first failure among answers.
pub(super) fn refuse_failures(answers: &[BootAnswer]) -> Result<(), BootRefusal> {
    refuse_full(answers)?;
    let failed = answers.iter().find_map(|answer| match answer {
        BootAnswer::Failed(error) => Some(error.clone()),
        _ => None,
    });
    failed.map_or(Ok(()), |error| Err(BootRefusal::Io(error)))
}

/// A full disk among answers: it is full for all.
pub(super) fn refuse_full(answers: &[BootAnswer]) -> Result<(), BootRefusal> {
    let full = answers.iter().find_map(|answer| match answer {
        BootAnswer::Full(error) => Some(error.clone()),
        _ => None,
    });
    full.map_or(Ok(()), |error| Err(BootRefusal::Io(error)))
}
