//! The end of recovery: everything is in segments; one barrier; then the manifests of this start,
//! and only when all of them are durable, what they replace is removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::boot::effect::{BootAnswer, BootEffect, JournalFile, ManifestName};
use crate::boot::inventory::Inventory;
use crate::boot::metadata::Loaded;
use crate::boot::partitions::Replayed;
use crate::boot::replay::Offline;
use crate::boot::{BootPlan, BootReport, Progress};
use crate::id::{ShardId, TopicId, TopicPartition};
use crate::journal::commit::Seq;
use crate::journal::ring::Slot;
use crate::log::{LogConfig, LogImage, LogVersion};
use crate::manifest::record::{Header, Record, encode};
use crate::manifest::state::snapshot;
use crate::metadata::{Controller, Image};
use crate::place::owner;
use crate::shard::event::{Adopted, Health};
use crate::shard::setup::ShardSetup;

#[derive(Debug)]
enum Stage {
    Barrier,
    Manifests,
    Listing,
    Removing,
    Over,
}

#[derive(Debug)]
struct Recovered {
    image: LogImage,
    offline: Option<Offline>,
}

/// The end of recovery under way.
#[derive(Debug)]
pub(super) struct Settle {
    image: Arc<Image>,
    removed: std::collections::BTreeSet<TopicId>,
    logs: BTreeMap<TopicPartition, Recovered>,
    journals: Vec<(JournalFile, u64)>,
    manifests: Vec<ManifestName>,
    manifest_bytes: Vec<u64>,
    stage: Stage,
}

impl Settle {
    pub(super) fn new(loaded: Loaded, inventory: Inventory) -> Settle {
        let metadata = Recovered { image: loaded.log, offline: None };
        Settle {
            image: Arc::new(loaded.image),
            removed: loaded.removed,
            logs: BTreeMap::from([(TopicPartition::METADATA, metadata)]),
            journals: inventory.journals,
            manifests: inventory.manifests,
            manifest_bytes: Vec::new(),
            stage: Stage::Barrier,
        }
    }

    /// Takes in replayed partitions.
    pub(super) fn take(&mut self, logs: Vec<Replayed>) {
        let recovered = logs
            .into_iter()
            .map(|log| (log.partition, Recovered { image: log.image, offline: log.offline }));
        self.logs.extend(recovered);
    }

    /// The topics there are.
    pub(super) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub(super) fn step(&mut self, plan: &BootPlan, answers: &[BootAnswer]) -> Progress<()> {
        match self.stage {
            Stage::Barrier => {
                self.stage = Stage::Manifests;
                Progress::More(vec![BootEffect::Barrier])
            }
            Stage::Manifests => {
                self.stage = Stage::Listing;
                Progress::More(self.new_manifests(plan))
            }
            Stage::Listing => {
                self.stage = Stage::Removing;
                Progress::More(vec![BootEffect::ListTopics])
            }
            Stage::Removing => {
                self.stage = Stage::Over;
                let removals = self.removals(plan, answers);
                if removals.is_empty() { Progress::Over(()) } else { Progress::More(removals) }
            }
            Stage::Over => Progress::Over(()),
        }
    }

    fn new_manifests(&mut self, plan: &BootPlan) -> Vec<BootEffect> {
        let shards = plan.incarnations.len() as u16;
        let version = LogVersion { start: plan.start, change: 0 };
        let mut records: Vec<Vec<Record>> = Vec::new();
        for (shard, incarnation) in (0..).map(ShardId).zip(&plan.incarnations) {
            let incarnation = *incarnation;
            let header = Header { start: plan.start, shard, shards, incarnation };
            records.push(vec![Record::Header(header), Record::Needed(Seq(1))]);
        }
        for (partition, log) in &mut self.logs {
            if log.offline.is_none() {
                log.image.version = version;
            }
            let shard = usize::from(owner(*partition, shards).0);
            let producers = log.image.producers.take_all(log.image.end.offset);
            let synced = log.image.end.place;
            records[shard].extend(snapshot(*partition, &log.image, synced, producers.into()));
        }
        let bytes: Vec<Bytes> = records.iter().map(|records| encode(records)).collect();
        self.manifest_bytes = bytes.iter().map(|bytes| bytes.len() as u64).collect();
        let named = (0..).map(ShardId).zip(bytes);
        named
            .map(|(shard, bytes)| {
                BootEffect::ReplaceManifest(ManifestName { start: plan.start, shard }, bytes)
            })
            .collect()
    }

    fn removals(&self, plan: &BootPlan, answers: &[BootAnswer]) -> Vec<BootEffect> {
        let manifests = self.manifests.iter().filter(|name| name.start != plan.start);
        let mut effects: Vec<BootEffect> =
            manifests.map(|name| BootEffect::RemoveManifest(*name)).collect();
        for (file, len) in &self.journals {
            if !is_reusable(plan, *file, *len) {
                effects.push(BootEffect::RemoveJournal(*file));
            }
        }
        for answer in answers {
            let BootAnswer::Topics(topics) = answer else { continue };
            effects.extend(topics.iter().filter_map(|topic| self.stray(*topic)));
        }
        effects
    }

    /// What becomes of a directory that belongs to no topic.
    fn stray(&self, topic: TopicId) -> Option<BootEffect> {
        if topic == TopicId::METADATA || self.image.topic_by_id(topic).is_some() {
            None
        } else if self.removed.contains(&topic) {
            Some(BootEffect::RemoveTopic(topic))
        } else {
            Some(BootEffect::Orphan(topic))
        }
    }

    /// The shards of this start.
    pub(super) fn finish(
        self,
        plan: &BootPlan,
        report: &mut BootReport,
    ) -> (Vec<ShardSetup>, Arc<Image>) {
        let shards = plan.incarnations.len() as u16;
        let mut setups: Vec<ShardSetup> =
            (0..shards).map(|shard| self.setup(plan, ShardId(shard))).collect();
        for (partition, log) in self.logs {
            let config = config_of(&self.image, partition, &plan.defaults);
            let health = if log.offline.is_some() { Health::Offline } else { Health::Online };
            match log.offline {
                Some(offline) => report.offline.push((partition, offline.to_string())),
                None => report.partitions += 1,
            }
            let adopted = Adopted { partition, log: log.image, config, health };
            setups[usize::from(owner(partition, shards).0)].partitions.push(adopted);
        }
        (setups, self.image)
    }

    fn setup(&self, plan: &BootPlan, id: ShardId) -> ShardSetup {
        let reusable = self
            .journals
            .iter()
            .filter(|(file, len)| file.shard == id && is_reusable(plan, *file, *len));
        let controller =
            (id == ShardId(0)).then(|| Controller::new(plan.broker, Image::clone(&self.image)));
        ShardSetup {
            id,
            shards: plan.incarnations.len() as u16,
            start: plan.start,
            incarnation: plan.incarnations[usize::from(id.0)],
            formatted: reusable.map(|(file, _)| Slot(file.slot)).collect(),
            manifest_bytes: self.manifest_bytes[usize::from(id.0)],
            limits: plan.limits.clone(),
            defaults: plan.defaults.clone(),
            partitions: Vec::new(),
            controller,
        }
    }
}

/// Whether a journal file of an earlier start serves this one as it is: what it holds is stale once
/// the new manifests are durable.
fn is_reusable(plan: &BootPlan, file: JournalFile, len: u64) -> bool {
    usize::from(file.shard.0) < plan.incarnations.len()
        && file.slot < plan.limits.journal_files
        && len == plan.limits.journal_file_bytes
}

fn config_of(
    image: &Image,
    partition: TopicPartition,
    defaults: &Arc<LogConfig>,
) -> Arc<LogConfig> {
    match image.topic_by_id(partition.topic) {
        Some(topic) if !topic.configs.is_empty() => Arc::new(defaults.with(&topic.configs)),
        _ => defaults.clone(),
    }
}
