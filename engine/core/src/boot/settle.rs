//! The end of recovery: everything is in segments, and what they could not take in rescue files;
//! one barrier; then the manifests of this start, and only when all of them are durable, what they
//! replace is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::boot::effect::{BootAnswer, BootEffect, JournalFile, ManifestName, RescueFile};
use crate::boot::inventory::Inventory;
use crate::boot::metadata::Loaded;
use crate::boot::partitions::{Found, Replayed, payload, read_entry};
use crate::boot::replay::Offline;
use crate::boot::{BootPlan, BootRefusal, BootReport, Progress};
use crate::id::{ShardId, TopicId, TopicPartition};
use crate::journal::commit::Seq;
use crate::journal::rescue;
use crate::journal::ring::Slot;
use crate::journal::scan::FoundEntry;
use crate::log::{Known, LogConfig, LogImage, LogVersion};
use crate::manifest::parts::Part;
use crate::manifest::record::{Header, Record};
use crate::manifest::state::snapshot;
use crate::metadata::{Controller, Image};
use crate::place::owner;
use crate::shard::event::{Adopted, Health};
use crate::shard::setup::ShardSetup;

#[derive(Debug)]
enum Stage {
    Rescuing,
    /// Logs from this one on are in no manifest yet.
    Manifests(Bound<TopicPartition>),
    Listing,
    Removing,
    Over,
}

#[derive(Debug)]
enum Recovered {
    Online(LogImage),
    /// `None` when nothing tells how far it is.
    Offline(Offline, Option<LogImage>),
}

impl Recovered {
    /// What the manifest of a start says of the log.
    fn records(&mut self, partition: TopicPartition, start: LogVersion) -> Vec<Record> {
        let image = match self {
            Recovered::Online(image) => {
                image.version = start;
                image
            }
            Recovered::Offline(_, Some(image)) => image,
            Recovered::Offline(_, None) => return vec![Record::Lost(partition)],
        };
        let producers = image.producers.take_all(image.end.offset);
        snapshot(partition, image, producers.into())
    }
}

/// Entries of a partition that is offline.
type Unplaced = (TopicPartition, Vec<FoundEntry>);

/// The end of recovery under way.
#[derive(Debug)]
pub(super) struct Settle {
    image: Arc<Image>,
    removed: BTreeSet<TopicId>,
    logs: BTreeMap<TopicPartition, Recovered>,
    journals: Vec<(JournalFile, u64)>,
    manifests: Vec<ManifestName>,
    rescues: Vec<RescueFile>,
    damaged: BTreeMap<RescueFile, String>,
    /// Rescue files that the new manifests name, with their lengths.
    named: BTreeMap<RescueFile, u64>,
    /// Entries of topics that the metadata has never heard of.
    unknown_entries: usize,
    /// Partitions that were made anew from their segments.
    rescanned: usize,
    unplaced: Vec<Unplaced>,
    /// Those whose payloads are being read.
    reading: Option<Unplaced>,
    /// Bytes of each shard's manifest.
    manifest_bytes: Vec<u64>,
    stage: Stage,
}

impl Settle {
    pub(super) fn new(loaded: Loaded, inventory: Inventory) -> Settle {
        let metadata = Recovered::Online(loaded.log);
        Settle {
            image: Arc::new(loaded.image),
            removed: loaded.removed,
            logs: BTreeMap::from([(TopicPartition::METADATA, metadata)]),
            journals: inventory.journals,
            manifests: inventory.manifests,
            rescues: inventory.rescues,
            damaged: inventory.damaged,
            named: inventory.named,
            unknown_entries: 0,
            rescanned: 0,
            unplaced: Vec::new(),
            reading: None,
            manifest_bytes: Vec::new(),
            stage: Stage::Rescuing,
        }
    }

    /// Takes in replayed partitions.
    pub(super) fn take(&mut self, logs: Vec<Replayed>) {
        for Replayed { partition, found } in logs {
            let recovered = match found {
                Found::Online(image) => Recovered::Online(image),
                Found::Offline { why, before, entries } => {
                    if !entries.is_empty() {
                        self.unplaced.push((partition, entries));
                    }
                    Recovered::Offline(why, before)
                }
            };
            self.logs.insert(partition, recovered);
        }
    }

    /// Counts those of these entries that belong to no topic, not even a deleted one.
    pub(super) fn skip_unknown(&mut self, entries: &BTreeMap<TopicPartition, Vec<FoundEntry>>) {
        self.unknown_entries = count_unknown(entries, &self.removed);
    }

    /// So many partitions were made anew from their segments.
    pub(super) fn note_rescanned(&mut self, partitions: usize) {
        self.rescanned = partitions;
    }

    /// The topics there are.
    pub(super) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub(super) fn step(
        &mut self,
        plan: &BootPlan,
        answers: &[BootAnswer],
    ) -> Result<Progress<()>, BootRefusal> {
        let wanted = match self.stage {
            Stage::Rescuing => self.rescue(plan, answers)?,
            Stage::Manifests(from) => self.new_manifests(plan, from),
            Stage::Listing => {
                self.stage = Stage::Removing;
                vec![BootEffect::ListTopics]
            }
            Stage::Removing => {
                self.stage = Stage::Over;
                self.removals(plan, answers)
            }
            Stage::Over => Vec::new(),
        };
        Ok(if wanted.is_empty() { Progress::Over(()) } else { Progress::More(wanted) })
    }

    /// Copies the entries of partitions that are offline, one partition after the other, before the
    /// journals that hold them are used again.
    fn rescue(
        &mut self,
        plan: &BootPlan,
        answers: &[BootAnswer],
    ) -> Result<Vec<BootEffect>, BootRefusal> {
        if let Some((partition, entries)) = self.reading.take() {
            let file = RescueFile { partition, start: plan.start };
            let payloads = entries.iter().zip(answers).map(|(entry, answer)| match answer {
                BootAnswer::Bytes(bytes) => payload(entry, bytes).map(|bytes| vec![bytes]),
                _ => None,
            });
            let payloads: Option<Vec<_>> = payloads.collect();
            let payloads = payloads.ok_or_else(|| {
                BootRefusal::Io(format!("a file with entries of {partition:?} has become shorter"))
            })?;
            let heads = entries.iter().map(|entry| entry.head);
            let bytes = rescue::encode(&heads.zip(payloads).collect::<Vec<_>>());
            self.named.insert(file, bytes.len() as u64);
            return Ok(vec![BootEffect::Rescue(file, bytes.into())]);
        }
        let Some((partition, entries)) = self.unplaced.pop() else {
            self.stage = Stage::Manifests(Bound::Unbounded);
            self.manifest_bytes = vec![0; plan.incarnations.len()];
            return Ok(vec![BootEffect::Barrier]);
        };
        let reads = entries.iter().map(read_entry).collect();
        self.reading = Some((partition, entries));
        Ok(reads)
    }

    /// The other files of a shard that stay, by name.
    fn names(&self, plan: &BootPlan, shard: ShardId) -> Vec<Record> {
        let mut records = Vec::new();
        for (file, bytes) in self.reusable(plan, shard) {
            records.push(Record::Journal { slot: file.slot, bytes });
        }
        for (file, bytes) in self.named_of(plan, shard) {
            records.push(Record::Rescue { file, bytes });
        }
        records
    }

    /// Journal files of a shard that serve this start as they are.
    fn reusable(
        &self,
        plan: &BootPlan,
        shard: ShardId,
    ) -> impl Iterator<Item = (JournalFile, u64)> {
        let journals = self.journals.iter().copied();
        journals.filter(move |(file, len)| file.shard == shard && is_reusable(plan, *file, *len))
    }

    /// Rescue files of a shard's partitions that stay.
    fn named_of(&self, plan: &BootPlan, shard: ShardId) -> impl Iterator<Item = (RescueFile, u64)> {
        let shards = plan.incarnations.len() as u16;
        let named = self.named.iter().map(|(file, bytes)| (*file, *bytes));
        named.filter(move |(file, _)| {
            owner(file.partition, shards) == shard && !self.is_spent(plan, *file)
        })
    }

    /// The next part of each manifest, until all logs are in them.
    fn new_manifests(&mut self, plan: &BootPlan, from: Bound<TopicPartition>) -> Vec<BootEffect> {
        let shards = plan.incarnations.len() as u16;
        let version = LogVersion { start: plan.start, change: 0 };
        let mut parts = self.begin_parts(plan);
        let mut next = None;
        for (partition, log) in self.logs.range_mut((from, Bound::Unbounded)) {
            let part = &mut parts[usize::from(owner(*partition, shards).0)];
            if part.is_full() {
                next = Some(*partition);
                break;
            }
            part.log(&log.records(*partition, version));
        }
        self.stage = next.map_or(Stage::Listing, |next| Stage::Manifests(Bound::Included(next)));
        if next.is_none() {
            for (shard, part) in (0..).map(ShardId).zip(&mut parts) {
                self.names(plan, shard).into_iter().for_each(|name| part.record(name));
                part.record(Record::Needed(Seq(1)));
            }
        }
        let parts = (0..).map(ShardId).zip(parts).zip(&mut self.manifest_bytes);
        let told = parts.filter(|((_, part), _)| !part.is_empty());
        let effects = told.map(|((shard, part), written)| {
            let (name, bytes) = (ManifestName { start: plan.start, shard }, part.finish());
            let at = *written;
            *written += bytes.len() as u64;
            match next {
                Some(_) => BootEffect::DraftManifest(name, at, bytes),
                None => BootEffect::ReplaceManifest(name, at, bytes),
            }
        });
        effects.collect()
    }

    /// A part for each manifest; the first begins with its header.
    fn begin_parts(&self, plan: &BootPlan) -> Vec<Part> {
        let shards = plan.incarnations.len() as u16;
        let incarnations = (0..).map(ShardId).zip(&plan.incarnations).zip(&self.manifest_bytes);
        let parts = incarnations.map(|((shard, incarnation), written)| {
            let mut part = Part::new(plan.limits.manifest);
            if *written == 0 {
                let incarnation = *incarnation;
                let header = Header { start: plan.start, shard, shards, incarnation };
                part.record(Record::Header(header));
            }
            part
        });
        parts.collect()
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
        let spent = self.rescues.iter().filter(|file| self.is_spent(plan, **file));
        effects.extend(spent.map(|file| BootEffect::RemoveRescue(*file)));
        for answer in answers {
            let BootAnswer::Topics(topics) = answer else { continue };
            effects.extend(topics.iter().filter_map(|topic| self.stray(*topic)));
        }
        effects
    }

    /// Whether what a rescue file holds is in segments now, or in a newer one, or is nobody's.
    fn is_spent(&self, plan: &BootPlan, file: RescueFile) -> bool {
        let known = self.logs.contains_key(&file.partition);
        let deleted = self.removed.contains(&file.partition.topic);
        let taken_over = known && file.start != plan.start && !self.damaged.contains_key(&file);
        taken_over || deleted
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
        report.unknown_entries = self.unknown_entries;
        report.rescanned = self.rescanned;
        for (partition, log) in self.logs {
            let config = config_of(&self.image, partition, &plan.defaults);
            let (log, health, known) = match log {
                Recovered::Online(image) => {
                    report.partitions += 1;
                    (image, Health::Online, Known::Yes)
                }
                Recovered::Offline(why, before) => {
                    report.offline.push((partition, why.to_string()));
                    let known = if before.is_some() { Known::Yes } else { Known::Lost };
                    let version = LogVersion { start: plan.start, change: 0 };
                    let image = before.unwrap_or_else(|| LogImage::empty(version));
                    (image, Health::Offline, known)
                }
            };
            let adopted = Adopted { partition, log, config, health, known };
            setups[usize::from(owner(partition, shards).0)].partitions.push(adopted);
        }
        (setups, self.image)
    }

    fn setup(&self, plan: &BootPlan, id: ShardId) -> ShardSetup {
        let reusable = self.reusable(plan, id);
        let controller =
            (id == ShardId(0)).then(|| Controller::new(plan.broker, Image::clone(&self.image)));
        ShardSetup {
            id,
            shards: plan.incarnations.len() as u16,
            start: plan.start,
            incarnation: plan.incarnations[usize::from(id.0)],
            formatted: reusable.map(|(file, _)| Slot(file.slot)).collect(),
            rescues: self.named_of(plan, id).collect(),
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

/// Entries of no topic that ever was, as far as the metadata partition says.
pub(super) fn count_unknown(
    entries: &BTreeMap<TopicPartition, Vec<FoundEntry>>,
    removed: &BTreeSet<TopicId>,
) -> usize {
    let unknown = entries.iter().filter(|(partition, _)| !removed.contains(&partition.topic));
    unknown.map(|(_, entries)| entries.len()).sum()
}
