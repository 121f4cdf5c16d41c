//! Recovery: from what is on disk to running shards (storage.md, section 3). A state machine that
//! wants batches of [`BootEffect`]s and is given their answers; re-entrant at every step, since
//! nothing is removed before what replaces it is durable.
//!
//! - `inventory`: manifests and journals, read into partition states and entries
//! - `missing`: which files there must be besides those that are found
//! - `replay`: one partition from its state to the end of its journal
//! - `partitions`: many partitions at once, in bounded memory
//! - `metadata`: the metadata partition, which tells which topics there are
//! - `rescan`: partitions whose manifest is lost, from their segments
//!
//! [`BootEffect`]: effect::BootEffect

pub mod effect;
mod inventory;
mod metadata;
mod missing;
mod partitions;
mod replay;
mod report;
mod rescan;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::boot::effect::{BootAnswer, BootStep};
use crate::boot::inventory::{Inventory, Reading};
use crate::boot::metadata::LoadMetadata;
use crate::boot::partitions::Partitions;
use crate::boot::rescan::Rescan;
use crate::boot::settle::Settle;
use crate::id::Timestamp;
use crate::journal::commit::Incarnation;
use crate::log::LogConfig;
use crate::metadata::Image;
use crate::metadata::controller::Broker;
use crate::shard::setup::{ShardLimits, ShardSetup};

pub use replay::{Offline, Verdict};
pub use report::{BootRefusal, BootReport};

/// What a boot starts from besides the directory.
#[derive(Clone, Debug)]
pub struct BootPlan {
    /// The number of this start: higher than that of every start before.
    pub start: u32,
    /// The newest start that is known to have had all its manifests, 0 when none is: without
    /// manifests as new as that, some are missing.
    pub settled: u32,
    /// One random incarnation for each shard; their number is the number of shards.
    pub incarnations: Vec<Incarnation>,
    /// Bounds of each shard.
    pub limits: ShardLimits,
    /// How logs are kept unless their topic says otherwise.
    pub defaults: Arc<LogConfig>,
    /// This broker, as metadata records name it.
    pub broker: Broker,
    /// The time, for the first records of a fresh directory.
    pub now: Timestamp,
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

/// What a phase has come to.
enum Progress<Next> {
    /// More is wanted.
    More(Vec<effect::BootEffect>),
    /// It is over.
    Over(Next),
}

/// How far recovery is.
#[derive(Debug)]
enum Phase {
    /// Manifests and journals are being read.
    Reading(Reading),
    /// The metadata partition is being replayed, alone.
    MetadataLog(Partitions, Inventory),
    /// The metadata partition is being read.
    Metadata(Box<LoadMetadata>, Inventory),
    /// Partitions without a manifest are being made anew from their segments.
    Rescanning(Box<Rescan>),
    /// All other partitions are being replayed.
    Replaying(Partitions, Box<Settle>),
    /// The new manifests are being written, then what they replace removed.
    Settling(Box<Settle>),
    Over,
}

/// Recovery under way.
#[derive(Debug)]
pub struct Boot {
    plan: BootPlan,
    phase: Phase,
    report: BootReport,
}

impl Boot {
    /// Recovery by this plan.
    #[must_use]
    pub fn new(plan: BootPlan) -> Boot {
        let phase = Phase::Reading(Reading::new());
        Boot { plan, phase, report: BootReport::default() }
    }

    /// The next step; `answers` are those to the last step's effects, in order (none at first).
    pub fn step(&mut self, answers: Vec<BootAnswer>) -> BootStep {
        let mut answers = answers;
        loop {
            match self.advance(std::mem::take(&mut answers)) {
                Ok(Some(step)) => return step,
                // The phase has changed without wanting anything.
                Ok(None) => {}
                Err(refusal) => {
                    self.phase = Phase::Over;
                    return BootStep::Refuse(refusal);
                }
            }
        }
    }

    fn advance(&mut self, answers: Vec<BootAnswer>) -> Result<Option<BootStep>, BootRefusal> {
        match &self.phase {
            // What fails there concerns one partition.
            Phase::Replaying(..) => report::refuse_full(&answers)?,
            _ => report::refuse_failures(&answers)?,
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        let (phase, wanted) = match phase {
            Phase::Reading(mut reading) => match reading.step(answers, self.plan.settled)? {
                Progress::More(wanted) => (Phase::Reading(reading), wanted),
                Progress::Over(inventory) => self.start_metadata(inventory)?,
            },
            Phase::MetadataLog(mut log, inventory) => match log.step(answers, &mut self.report) {
                Progress::More(wanted) => (Phase::MetadataLog(log, inventory), wanted),
                Progress::Over(logs) => metadata::start(logs, inventory, &self.plan)?,
            },
            Phase::Metadata(mut load, inventory) => match load.step(answers)? {
                Progress::More(wanted) => (Phase::Metadata(load, inventory), wanted),
                Progress::Over(loaded) => {
                    (rescan::start(loaded, inventory, &self.plan), Vec::new())
                }
            },
            Phase::Rescanning(mut rescan) => match rescan.step(answers) {
                Progress::More(wanted) => (Phase::Rescanning(rescan), wanted),
                Progress::Over((logs, settle)) => {
                    (Phase::Replaying(logs, Box::new(settle)), Vec::new())
                }
            },
            Phase::Replaying(mut logs, mut settle) => match logs.step(answers, &mut self.report) {
                Progress::More(wanted) => (Phase::Replaying(logs, settle), wanted),
                Progress::Over(logs) => {
                    settle.take(logs);
                    (Phase::Settling(settle), Vec::new())
                }
            },
            Phase::Settling(mut settle) => match settle.step(&self.plan, &answers)? {
                Progress::More(wanted) => (Phase::Settling(settle), wanted),
                Progress::Over(()) => return Ok(Some(self.ready(*settle))),
            },
            Phase::Over => return Ok(Some(BootStep::Perform(Vec::new()))),
        };
        self.phase = phase;
        Ok((!wanted.is_empty()).then_some(BootStep::Perform(wanted)))
    }

    fn start_metadata(
        &mut self,
        mut inventory: Inventory,
    ) -> Result<(Phase, Vec<effect::BootEffect>), BootRefusal> {
        let log = inventory.take_metadata(&self.plan)?;
        Ok((Phase::MetadataLog(log, inventory), Vec::new()))
    }

    fn ready(&mut self, settle: Settle) -> BootStep {
        let mut report = std::mem::take(&mut self.report);
        let recovered = settle.finish(&self.plan, &mut report);
        let (shards, image) = recovered;
        BootStep::Ready(Box::new(Recovered { shards, image, report }))
    }
}
