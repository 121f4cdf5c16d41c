//! What a shard starts with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::boot::effect::RescueFile;
use crate::group::GroupSettings;
use crate::id::{LeaderEpoch, ShardId};
use crate::journal::commit::Incarnation;
use crate::journal::ring::Slot;
use crate::limits::ManifestLimits;
use crate::log::LogConfig;
use crate::metadata::Controller;
use crate::shard::event::Adopted;

/// Bounds that the operator sets, for one shard.
#[derive(Clone, Debug)]
pub struct ShardLimits {
    /// Bytes of a journal file.
    pub journal_file_bytes: u64,
    /// Journal files.
    pub journal_files: u16,
    /// Commits in flight at once: 2 to 4.
    pub commits_in_flight: usize,
    /// Bytes that may be in memory and journal only.
    pub dirty_bytes: u64,
    /// Bytes of slabs, for what is unflushed and what consumers at the tail read.
    pub tail_bytes: u64,
    /// Bytes of indexes that have been read from their files.
    pub index_bytes: u64,
    /// How manifests are written.
    pub manifest: ManifestLimits,
    /// Bytes of the disk that produce leaves free.
    pub disk_reserve: u64,
    /// Bounds and times of groups.
    pub groups: GroupSettings,
}

/// Everything that a shard starts with.
#[derive(Clone, Debug)]
pub struct ShardSetup {
    /// Which shard.
    pub id: ShardId,
    /// How many there are.
    pub shards: u16,
    /// The number of this start; also the leader epoch of every partition.
    pub start: u32,
    /// This life of the journal; random.
    pub incarnation: Incarnation,
    /// Journal files that are formatted already, and named by its manifest.
    pub formatted: Vec<Slot>,
    /// Rescue files that its manifest names, with their lengths.
    pub rescues: BTreeMap<RescueFile, u64>,
    /// Bytes of this shard's manifest.
    pub manifest_bytes: u64,
    /// Bounds.
    pub limits: ShardLimits,
    /// How logs are kept unless their topic says otherwise.
    pub defaults: Arc<LogConfig>,
    /// The partitions that it owns.
    pub partitions: Vec<Adopted>,
    /// On shard 0: the metadata, replayed.
    pub controller: Option<Controller>,
}

/// What appends of a start are stamped with: a leader epoch that rises at every start.
#[must_use]
pub fn leader_epoch(start: u32) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(start).unwrap_or(i32::MAX))
}
