//! What becomes of a request to create topics. The order of the checks is Kafka's
//! (`ControllerApis.createTopics`, `ReplicationControlManager.createTopics`): where a topic breaks
//! several rules, the client learns of the same one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::{LeaderEpoch, PartitionIndex, TopicId};
use crate::metadata::command::{Assignment, Clamp, CreateResult, CreateTopics, Created, NewTopic};
use crate::metadata::controller::Broker;
use crate::metadata::image::{Configs, Image};
use crate::metadata::name::{self, CLUSTER_METADATA};
use crate::metadata::record::{
    BrokerId, ConfigRecord, ConfigResource, LeaderRecovery, MAX_STRING, PartitionRecord, Record,
};
use crate::metadata::refusal::{AssignmentFault, CreateRefusal, Refusal};

/// The most partitions of one request. Kafka's `MAX_PARTITIONS_PER_BATCH`.
pub(super) const MAX_PARTITIONS: u64 = if cfg!(test) { 20 } else { 10_000 };

/// How many brokers there are: this one.
const BROKERS: u16 = 1;

/// Records that create the topics which can be, and what became of each.
pub(super) fn decide(
    broker: Broker,
    image: &Image,
    command: &CreateTopics,
) -> Result<(Vec<Record>, Vec<CreateResult>), Refusal> {
    let mut named = BTreeMap::new();
    for topic in &command.topics {
        *named.entry(topic.name.as_ref()).or_insert(0) += 1;
    }
    let asked = |topic: &&NewTopic| {
        named[topic.name.as_ref()] == 1 && topic.name.as_ref() != CLUSTER_METADATA
    };
    check_total(command, command.topics.iter().filter(asked))?;

    let mut creation = Creation::new(broker, image, command);
    let mut results = Vec::new();
    for topic in command.topics.iter().filter(asked) {
        results.push(CreateResult { name: topic.name.clone(), result: creation.create(topic) });
    }
    results.extend(refused_by_name(&command.topics, &named));
    Ok((creation.records, results))
}

/// Bounds the partitions of a request before memory is spent on them.
fn check_total<'a>(
    command: &CreateTopics,
    topics: impl Iterator<Item = &'a NewTopic>,
) -> Result<(), Refusal> {
    let wanted = topics.map(|topic| match (topic.assignments.len(), topic.partitions) {
        (0, -1) => u64::from(command.defaults.partitions),
        (0, partitions) => u64::try_from(partitions).unwrap_or(0),
        (assigned, _) => assigned as u64,
    });
    if wanted.sum::<u64>() > MAX_PARTITIONS {
        return Err(Refusal::PartitionsPerRequest(MAX_PARTITIONS));
    }
    Ok(())
}

/// The refusals of names that come more than once, and of the one that nobody may create.
fn refused_by_name(topics: &[NewTopic], named: &BTreeMap<&str, u32>) -> Vec<CreateResult> {
    let mut results = Vec::new();
    let mut seen = BTreeSet::new();
    for topic in topics {
        if named[topic.name.as_ref()] > 1 && seen.insert(topic.name.as_ref()) {
            let result = Err(CreateRefusal::NamedTwice);
            results.push(CreateResult { name: topic.name.clone(), result });
        }
    }
    if named.get(CLUSTER_METADATA) == Some(&1) {
        let result = Err(CreateRefusal::Reserved);
        results.push(CreateResult { name: CLUSTER_METADATA.into(), result });
    }
    results
}

/// How many partitions and replicas a topic gets.
struct Layout {
    partitions: u32,
    replication_factor: u16,
    clamped_from: Option<u16>,
}

/// A request under way: what the topics so far make.
struct Creation<'a> {
    broker: Broker,
    image: &'a Image,
    command: &'a CreateTopics,
    records: Vec<Record>,
    ids: BTreeSet<TopicId>,
    /// Partitions of the image and of the topics so far.
    partitions: u64,
}

impl<'a> Creation<'a> {
    fn new(broker: Broker, image: &'a Image, command: &'a CreateTopics) -> Creation<'a> {
        let ids = BTreeSet::from([TopicId::default(), TopicId::METADATA]);
        let partitions = image.partition_count();
        Creation { broker, image, command, records: Vec::new(), ids, partitions }
    }

    fn create(&mut self, topic: &NewTopic) -> Result<Created, CreateRefusal> {
        self.check_name(&topic.name)?;
        let configs = check_configs(&topic.configs)?;
        let layout = self.layout(topic)?;
        self.check_room(layout.partitions)?;
        if self.image.topic_by_id(topic.id).is_some() || !self.ids.insert(topic.id) {
            return Err(CreateRefusal::Id(topic.id));
        }
        self.partitions += u64::from(layout.partitions);
        self.write(topic, &configs, layout.partitions);
        Ok(Created {
            id: topic.id,
            partitions: layout.partitions,
            replication_factor: layout.replication_factor,
            clamped_from: layout.clamped_from,
            configs,
        })
    }

    /// Topics of the same request are not looked at: Kafka lets them collide with each other.
    fn check_name(&self, name: &str) -> Result<(), CreateRefusal> {
        name::check(name).map_err(CreateRefusal::Name)?;
        if self.image.topic(name).is_some() {
            return Err(CreateRefusal::Exists);
        }
        match self.image.colliding(name) {
            Some(other) => Err(CreateRefusal::Collision(other.clone())),
            None => Ok(()),
        }
    }

    fn layout(&self, topic: &NewTopic) -> Result<Layout, CreateRefusal> {
        if !topic.assignments.is_empty() {
            return self.assigned_layout(topic);
        }
        let asked = match topic.replication_factor {
            -1 => self.command.defaults.replication_factor,
            factor @ 1.. => factor.unsigned_abs(),
            factor => return Err(CreateRefusal::ReplicationFactor(factor)),
        };
        let partitions = match topic.partitions {
            -1 => self.command.defaults.partitions,
            partitions @ 1.. => partitions.unsigned_abs(),
            partitions => return Err(CreateRefusal::Partitions(partitions)),
        };
        if asked <= BROKERS {
            return Ok(Layout { partitions, replication_factor: asked, clamped_from: None });
        }
        match self.command.clamp {
            Clamp::On => {
                Ok(Layout { partitions, replication_factor: BROKERS, clamped_from: Some(asked) })
            }
            Clamp::Off => Err(CreateRefusal::TooFewBrokers { factor: asked, brokers: BROKERS }),
        }
    }

    fn assigned_layout(&self, topic: &NewTopic) -> Result<Layout, CreateRefusal> {
        if topic.replication_factor != -1 {
            return Err(CreateRefusal::FactorBesideAssignments(topic.replication_factor));
        }
        if topic.partitions != -1 {
            return Err(CreateRefusal::PartitionsBesideAssignments(topic.partitions));
        }
        let partitions = topic.assignments.len() as u32;
        check_assignments(self.broker.id, &topic.assignments).map_err(CreateRefusal::Assignment)?;
        Ok(Layout { partitions, replication_factor: BROKERS, clamped_from: None })
    }

    fn check_room(&self, wanted: u32) -> Result<(), CreateRefusal> {
        let (present, limit) = (self.partitions, self.command.limits.partitions);
        if present + u64::from(wanted) > limit {
            return Err(CreateRefusal::NoRoom { wanted, present, limit });
        }
        Ok(())
    }

    /// The topic, then its configs, then its partitions: the order in which Kafka writes them.
    fn write(&mut self, topic: &NewTopic, configs: &Configs, partitions: u32) {
        self.records.push(Record::Topic { name: topic.name.clone(), id: topic.id });
        for (name, value) in configs.iter() {
            self.records.push(Record::Config(ConfigRecord {
                resource: ConfigResource::Topic,
                resource_name: topic.name.to_string(),
                name: name.clone(),
                value: Some(value.clone()),
            }));
        }
        for index in 0..partitions {
            self.records.push(first_state(self.broker, topic.id, PartitionIndex(index)));
        }
    }
}

fn check_configs(configs: &BTreeMap<String, Option<String>>) -> Result<Configs, CreateRefusal> {
    let missing: Vec<String> =
        configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone()).collect();
    if !missing.is_empty() {
        return Err(CreateRefusal::ConfigsWithoutValue(missing));
    }
    let mut checked = BTreeMap::new();
    for (name, value) in configs {
        let value = value.as_deref().unwrap_or_default();
        let length = name.len().max(value.len());
        if length > MAX_STRING {
            return Err(CreateRefusal::ConfigTooLong { length });
        }
        checked.insert(name.clone(), value.to_owned());
    }
    Ok(Arc::new(checked))
}

/// A valid assignment puts each partition on this broker once, there being no other.
pub(super) fn check_assignments(
    id: BrokerId,
    assignments: &[Assignment],
) -> Result<(), AssignmentFault> {
    let mut assigned = BTreeSet::new();
    for assignment in assignments {
        let partition = assignment.partition;
        if !assigned.insert(partition) {
            return Err(AssignmentFault::PartitionTwice(partition));
        }
        let mut brokers = assignment.brokers.clone();
        brokers.sort_unstable();
        let mut previous = None;
        for broker in brokers {
            if broker != id {
                return Err(AssignmentFault::UnknownBroker { partition, broker });
            }
            if previous == Some(broker) {
                return Err(AssignmentFault::BrokerTwice { partition, broker });
            }
            previous = Some(broker);
        }
        if previous.is_none() {
            return Err(AssignmentFault::NoBrokers { partition });
        }
    }
    match (0..).zip(&assigned).find(|(expected, partition)| expected != *partition) {
        Some((missing, _)) => Err(AssignmentFault::Gap(missing)),
        None => Ok(()),
    }
}

/// A new partition: led by its only replica.
pub(super) fn first_state(broker: Broker, topic: TopicId, index: PartitionIndex) -> Record {
    Record::Partition(PartitionRecord {
        topic,
        index,
        replicas: vec![broker.id],
        isr: vec![broker.id],
        removing: Vec::new(),
        adding: Vec::new(),
        leader: broker.id,
        recovery: LeaderRecovery::Recovered,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        directories: vec![broker.directory],
        eligible_leaders: None,
        last_eligible_leaders: None,
    })
}
