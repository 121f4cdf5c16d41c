//! Recovery: from what is on disk to running shards (storage.md, section 3). A state machine that
//! wants batches of [`BootEffect`]s and is given their answers; re-entrant at every step, since
//! nothing is removed before what replaces it is durable.

pub mod effect;

use std::fmt;
use std::sync::Arc;

use crate::boot::effect::{BootAnswer, BootStep};
use crate::id::{ShardId, TopicPartition};
use crate::journal::commit::Incarnation;
use crate::journal::scan::Damage;
use crate::log::LogConfig;
use crate::manifest::record::Broken;
use crate::metadata::{Broker, Image};
use crate::shard::setup::{ShardLimits, ShardSetup};

/// What a boot starts from besides the directory.
#[derive(Clone, Debug)]
pub struct BootPlan {
    /// The number of this start: higher than that of every start before.
    pub start: u32,
    /// One random incarnation for each shard; their number is the number of shards.
    pub incarnations: Vec<Incarnation>,
    /// Bounds of each shard.
    pub limits: ShardLimits,
    /// How logs are kept unless their topic says otherwise.
    pub defaults: Arc<LogConfig>,
    /// This broker, as metadata records name it.
    pub broker: Broker,
    /// Features, besides `metadata.version`, that a fresh directory finalizes.
    pub features: Vec<(&'static str, i16)>,
}

/// All is durable and known.
#[derive(Debug)]
pub struct Recovered {
    /// The shards, in order of their ids.
    pub shards: Vec<ShardSetup>,
    /// The metadata.
    pub image: Arc<Image>,
    /// What recovery found and did.
    pub report: BootReport,
}

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
    /// Partitions that are not served, and why.
    pub offline: Vec<(TopicPartition, String)>,
}

/// Why a directory is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootRefusal {
    /// The file system failed.
    Io {
        /// What was being done.
        doing: String,
        /// What the operating system said.
        error: String,
    },
    /// A journal is damaged below what it had acknowledged.
    Journal {
        /// Whose journal.
        shard: ShardId,
        /// Where, and how that is known.
        damage: Damage,
    },
    /// A manifest was written by a newer Corelog, or cannot be replaced by a scan.
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
        write!(f, "{self:?}")
    }
}

/// Recovery under way.
#[derive(Debug)]
pub struct Boot {
    plan: BootPlan,
}

impl Boot {
    /// Recovery by this plan.
    #[must_use]
    pub fn new(plan: BootPlan) -> Boot {
        Boot { plan }
    }

    /// The next step; `answers` are those to the last step's effects, in order (none at first).
    pub fn step(&mut self, answers: Vec<BootAnswer>) -> BootStep {
        let _ = (answers, &self.plan);
        BootStep::Perform(Vec::new())
    }
}
