//! What the metadata records so far add up to. A value: cloning it is cheap and shares almost
//! everything, replaying a record is the only way to change it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::id::{Offset, PartitionIndex, ProducerId, TopicId, TopicPartition};
use crate::metadata::name;
use crate::metadata::record::{ConfigRecord, ConfigResource, DecodeError, PartitionRecord, Record};
use crate::metadata::sorted::Sorted;

/// The feature that says which records the log may hold.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature that says which protocols groups may follow: from level 1 on that of KIP-848 too.
pub const GROUP_VERSION: &str = "group.version";
/// Levels of `group.version` that are known.
pub const GROUP_VERSIONS: RangeInclusive<i16> = 0..=1;
/// The feature that the quorum keeps for itself; the metadata log has no say in it.
pub const KRAFT_VERSION: &str = "kraft.version";
/// Levels of `metadata.version` that can be read: Kafka 3.3 to 4.3.
pub const METADATA_VERSIONS: RangeInclusive<i16> = 7..=30;

/// Kafka's `AbortTransactionRecord`: takes back records that came before it.
const ABORT_TRANSACTION: u16 = 25;

/// Configs by name.
pub type Configs = Arc<BTreeMap<String, String>>;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it has: 0, 1, 2, … below this.
    pub partitions: u32,
    /// Replicas of its first partition.
    pub replication_factor: u16,
    /// The configs it was given; the defaults of others are not here.
    pub configs: Configs,
}

impl Topic {
    /// Whether coordinators write it, not clients.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        name::is_internal(&self.name)
    }

    /// Its partitions, from the one numbered `first` on.
    pub fn partitions_from(&self, first: u32) -> impl Iterator<Item = TopicPartition> + use<> {
        let topic = self.id;
        (first..self.partitions)
            .map(move |index| TopicPartition { topic, index: PartitionIndex(index) })
    }
}

/// The cluster's metadata at one point of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    version: u64,
    /// The version of the last change to topics or their partitions.
    topics_version: u64,
    features: Arc<BTreeMap<String, i16>>,
    by_id: Sorted<Arc<Topic>>,
    /// By name.
    ids: Sorted<(Arc<str>, TopicId)>,
    /// The names that can collide, those that do beside each other.
    collidable: Sorted<Arc<str>>,
    /// Groups that have configs, by name.
    groups: Sorted<(Arc<str>, Configs)>,
    partitions: u64,
    next_producer_id: ProducerId,
    ignored: u64,
}

impl Image {
    /// Records replayed so far: the offset of the next one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version in which topics or their partitions have changed last.
    #[must_use]
    pub fn topics_version(&self) -> u64 {
        self.topics_version
    }

    /// The finalized features with their levels, `metadata.version` among them.
    #[must_use]
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// The level of `metadata.version`; `None` before a directory's first records.
    #[must_use]
    pub fn metadata_version(&self) -> Option<i16> {
        self.features.get(METADATA_VERSION).copied()
    }

    /// The topic of this name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        let (_, id) = self.ids.get(|(other, _)| other.as_ref().cmp(name))?;
        self.topic_by_id(*id)
    }

    /// The topic of this id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(|topic| topic.id.cmp(&id))
    }

    /// All topics, by ascending name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.ids.iter().filter_map(|(_, id)| self.topic_by_id(*id))
    }

    /// How many topics there are.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.by_id.len()
    }

    /// The configs that a group was given; `None` if it has none, whether there is such a group or
    /// not.
    #[must_use]
    pub fn group_configs(&self, group: &str) -> Option<&Configs> {
        self.groups.get(|(name, _)| name.as_ref().cmp(group)).map(|(_, configs)| configs)
    }

    /// The groups that have configs of their own, by ascending name.
    pub fn configured_groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.iter().map(|(name, _)| name)
    }

    /// How many groups have configs of their own.
    #[must_use]
    pub fn configured_group_count(&self) -> usize {
        self.groups.len()
    }

    /// How many partitions all topics have together.
    #[must_use]
    pub fn partition_count(&self) -> u64 {
        self.partitions
    }

    /// The name of a topic that differs from `name` at most in `.` against `_`.
    #[must_use]
    pub fn colliding(&self, name: &str) -> Option<&Arc<str>> {
        self.collidable.get(|other| name::collision_order(other, name))
    }

    /// The first producer id that was not given away yet.
    #[must_use]
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// Records that changed nothing here: of types, or for resources, that are not looked into.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Replays stored records, in the order of the log; the first must be the next of this image.
    ///
    /// # Errors
    ///
    /// The offset of a record that is malformed, out of order, or contradicts those before it.
    /// The image holds everything before that record.
    pub fn load<V: AsRef<[u8]>>(
        &mut self,
        records: impl IntoIterator<Item = (Offset, V)>,
    ) -> Result<(), LoadError> {
        for (offset, value) in records {
            self.load_one(offset, value.as_ref()).map_err(|fault| LoadError { offset, fault })?;
        }
        Ok(())
    }

    fn load_one(&mut self, offset: Offset, value: &[u8]) -> Result<(), LoadFault> {
        if u64::try_from(offset.0) != Ok(self.version) {
            return Err(LoadFault::Order { expected: self.version });
        }
        let record = Record::decode(value).map_err(LoadFault::Malformed)?;
        self.replay(&record).map_err(LoadFault::Contradiction)
    }

    /// Changes the image by one record.
    ///
    /// # Errors
    ///
    /// The record contradicts those before it; the image is as it was.
    pub fn replay(&mut self, record: &Record) -> Result<(), ReplayError> {
        match record {
            Record::Topic { name, id } => self.replay_topic(name, *id)?,
            Record::Partition(partition) => self.replay_partition(partition)?,
            Record::Config(config) => self.replay_config(config)?,
            Record::RemoveTopic(id) => self.replay_removal(*id)?,
            Record::FeatureLevel { name, level } => self.replay_feature(name, *level)?,
            Record::ProducerIds { next, .. } => self.replay_producer_ids(*next)?,
            Record::Opaque { key: ABORT_TRANSACTION, .. } => return Err(ReplayError::Aborted),
            Record::Opaque { .. } => self.ignored += 1,
        }
        self.version += 1;
        if matches!(record, Record::Topic { .. } | Record::Partition(_) | Record::RemoveTopic(_)) {
            self.topics_version = self.version;
        }
        Ok(())
    }

    fn replay_topic(&mut self, name: &Arc<str>, id: TopicId) -> Result<(), ReplayError> {
        if let Some(topic) = self.topic_by_id(id) {
            return Err(ReplayError::TopicIdTaken { id, by: topic.name.clone() });
        }
        if self.topic(name).is_some() {
            return Err(ReplayError::TopicNameTaken { name: name.clone() });
        }
        let topic = Arc::new(Topic {
            id,
            name: name.clone(),
            partitions: 0,
            replication_factor: 0,
            configs: Configs::default(),
        });
        self.by_id.insert(topic, |other| other.id.cmp(&id));
        self.ids.insert((name.clone(), id), |(other, _)| other.cmp(name));
        if name::can_collide(name) {
            self.collidable.insert(name.clone(), collidable_place(name));
        }
        Ok(())
    }

    fn replay_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let (id, index) = (record.topic, record.index.0);
        let topic = self.topic_mut(id).ok_or(ReplayError::UnknownTopicId(id))?;
        if index > topic.partitions {
            return Err(ReplayError::PartitionGap { id, index, partitions: topic.partitions });
        }
        if index == topic.partitions {
            topic.partitions += 1;
            if index == 0 {
                topic.replication_factor = record.replicas.len() as u16;
            }
            self.partitions += 1;
        }
        Ok(())
    }

    fn replay_config(&mut self, record: &ConfigRecord) -> Result<(), ReplayError> {
        match record.resource {
            ConfigResource::Topic => self.replay_topic_config(record)?,
            ConfigResource::Group => self.replay_group_config(record),
            ConfigResource::Broker | ConfigResource::Other(_) => self.ignored += 1,
        }
        Ok(())
    }

    fn replay_topic_config(&mut self, record: &ConfigRecord) -> Result<(), ReplayError> {
        let id = self.topic(&record.resource_name).map(|topic| topic.id);
        let Some(topic) = id.and_then(|id| self.topic_mut(id)) else {
            return Err(ReplayError::UnknownTopicName(record.resource_name.clone()));
        };
        set_config(&mut topic.configs, record);
        Ok(())
    }

    fn replay_group_config(&mut self, record: &ConfigRecord) {
        let group = record.resource_name.as_str();
        let place = |(name, _): &(Arc<str>, Configs)| name.as_ref().cmp(group);
        self.groups.insert((group.into(), Configs::default()), place);
        let Some((_, configs)) = self.groups.get_mut(place) else { return };
        set_config(configs, record);
        if configs.is_empty() {
            self.groups.remove(place);
        }
    }

    fn replay_removal(&mut self, id: TopicId) -> Result<(), ReplayError> {
        let removed = self.by_id.remove(|topic| topic.id.cmp(&id));
        let topic = removed.ok_or(ReplayError::UnknownTopicId(id))?;
        self.ids.remove(|(other, _)| other.cmp(&topic.name));
        self.collidable.remove(collidable_place(&topic.name));
        self.partitions -= u64::from(topic.partitions);
        Ok(())
    }

    fn replay_feature(&mut self, name: &str, level: i16) -> Result<(), ReplayError> {
        if name == METADATA_VERSION && !METADATA_VERSIONS.contains(&level) {
            return Err(ReplayError::MetadataVersion(level));
        }
        match (name, level) {
            (KRAFT_VERSION, _) => self.ignored += 1,
            (_, 0) => _ = Arc::make_mut(&mut self.features).remove(name),
            _ => _ = Arc::make_mut(&mut self.features).insert(name.to_owned(), level),
        }
        Ok(())
    }

    fn replay_producer_ids(&mut self, next: ProducerId) -> Result<(), ReplayError> {
        let current = self.next_producer_id;
        if next <= current {
            return Err(ReplayError::ProducerIdsGivenTwice { current, next });
        }
        self.next_producer_id = next;
        Ok(())
    }

    fn topic_mut(&mut self, id: TopicId) -> Option<&mut Topic> {
        self.by_id.get_mut(|topic| topic.id.cmp(&id)).map(Arc::make_mut)
    }
}

fn set_config(configs: &mut Configs, record: &ConfigRecord) {
    let configs = Arc::make_mut(configs);
    match &record.value {
        Some(value) => _ = configs.insert(record.name.clone(), value.clone()),
        None => _ = configs.remove(&record.name),
    }
}

/// The order of `Image::collidable`, against `name`.
fn collidable_place(name: &str) -> impl Fn(&Arc<str>) -> std::cmp::Ordering {
    move |other| name::collision_order(other, name).then_with(|| other.as_ref().cmp(name))
}

/// A record that contradicts those before it: the log is damaged, or of a newer program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// A second topic of one name.
    TopicNameTaken {
        /// The name.
        name: Arc<str>,
    },
    /// A second topic of one id.
    TopicIdTaken {
        /// The id.
        id: TopicId,
        /// The topic that has it.
        by: Arc<str>,
    },
    /// A partition or the removal of a topic that does not exist.
    UnknownTopicId(TopicId),
    /// A config of a topic that does not exist.
    UnknownTopicName(String),
    /// A partition that leaves out others.
    PartitionGap {
        /// The topic.
        id: TopicId,
        /// The partition's number.
        index: u32,
        /// How many partitions the topic has.
        partitions: u32,
    },
    /// Producer ids that were given away before, or none at all.
    ProducerIdsGivenTwice {
        /// The first that was not given away yet.
        current: ProducerId,
        /// What the record says is the first from now on.
        next: ProducerId,
    },
    /// A level of `metadata.version` outside [`METADATA_VERSIONS`].
    MetadataVersion(i16),
    /// Earlier records are taken back. Only Kafka's own controller does that, when it fails over.
    Aborted,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::TopicNameTaken { name } => write!(f, "a second topic named '{name}'"),
            ReplayError::TopicIdTaken { id, by } => {
                write!(f, "a second topic with the id {id}, which '{by}' has")
            }
            ReplayError::UnknownTopicId(id) => write!(f, "there is no topic with the id {id}"),
            ReplayError::UnknownTopicName(name) => write!(f, "there is no topic named '{name}'"),
            ReplayError::PartitionGap { id, index, partitions } => {
                write!(f, "partition {index} of the topic {id}, which has only {partitions}")
            }
            ReplayError::ProducerIdsGivenTwice { current, next } => {
                write!(f, "producer ids start at {} again, after {}", next.0, current.0)
            }
            ReplayError::MetadataVersion(level) => write!(
                f,
                "metadata.version {level} is not among {} to {}, which this program reads; start \
                 the one that wrote it",
                METADATA_VERSIONS.start(),
                METADATA_VERSIONS.end()
            ),
            ReplayError::Aborted => write!(f, "an aborted metadata transaction is not supported"),
        }
    }
}

impl std::error::Error for ReplayError {}

/// The metadata log cannot be loaded further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The offset of the record at which loading stopped.
    pub offset: Offset,
    /// Why.
    pub fault: LoadFault,
}

/// Why a stored record was not replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadFault {
    /// It is not the next one.
    Order {
        /// The offset of the next one.
        expected: u64,
    },
    /// Its bytes are no metadata record.
    Malformed(DecodeError),
    /// It contradicts those before it.
    Contradiction(ReplayError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metadata log, offset {}: ", self.offset)?;
        match &self.fault {
            LoadFault::Order { expected } => write!(f, "expected offset {expected}"),
            LoadFault::Malformed(error) => error.fmt(f),
            LoadFault::Contradiction(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}
