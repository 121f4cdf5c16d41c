//! What a shard starts with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::boot::effect::RescueFile;
use crate::group::GroupSettings;
use crate::id::{LeaderEpoch, ShardId, TopicPartition};
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

impl ShardLimits {
    /// Little memory and small journal files. For tests and benchmarks, which change of it what
    /// they want otherwise.
    #[must_use]
    pub fn small() -> ShardLimits {
        ShardLimits {
            journal_file_bytes: 1 << 20,
            journal_files: 4,
            commits_in_flight: 3,
            dirty_bytes: 1 << 20,
            tail_bytes: 1 << 20,
            index_bytes: 1 << 20,
            manifest: ManifestLimits::default(),
            disk_reserve: 1 << 20,
            groups: GroupSettings::default(),
        }
    }
}

impl ShardSetup {
    /// The only shard of a first start, with [small limits](ShardLimits::small), its journal files
    /// and these partitions, which are new. For tests and benchmarks too.
    #[must_use]
    pub fn small(partitions: impl IntoIterator<Item = TopicPartition>) -> ShardSetup {
        let (start, defaults) = (1, Arc::new(LogConfig::default()));
        let created = |partition| Adopted::created(partition, start, defaults.clone());
        let partitions = partitions.into_iter().map(created).collect();
        let limits = ShardLimits::small();
        ShardSetup {
            id: ShardId(0),
            shards: 1,
            start,
            incarnation: Incarnation([1; 16]),
            formatted: (0..limits.journal_files).map(Slot).collect(),
            rescues: BTreeMap::new(),
            manifest_bytes: 0,
            limits,
            defaults,
            partitions,
            controller: None,
        }
    }
}

/// What appends of a start are stamped with: a leader epoch that rises at every start.
#[must_use]
pub fn leader_epoch(start: u32) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(start).unwrap_or(i32::MAX))
}
