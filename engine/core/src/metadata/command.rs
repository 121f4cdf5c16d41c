//! What may be asked of the metadata, and what is answered. Commands carry everything that a
//! decision depends on besides the image: ids, defaults and limits come as values.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::id::{ProducerId, TopicId};
use crate::metadata::image::Configs;
use crate::metadata::record::BrokerId;
use crate::metadata::refusal::{AlterRefusal, CreateRefusal, DeleteRefusal, GrowRefusal};

/// The number of producer ids that Kafka hands to a broker at once.
pub const PRODUCER_ID_BLOCK: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// One request to the metadata. It takes effect whole or not at all; topics that are refused
/// do not hold up the others of the same command.
#[derive(Clone, Debug)]
pub enum Command {
    /// Create topics.
    CreateTopics(CreateTopics),
    /// Delete topics.
    DeleteTopics(Vec<TopicRef>),
    /// Give topics more partitions.
    CreatePartitions(CreatePartitions),
    /// Change the configs of topics and groups.
    AlterConfigs(AlterConfigs),
    /// Give away the next producer ids.
    AllocateProducerIds {
        /// How many.
        count: NonZeroU32,
    },
    /// Finalize a feature at a level.
    SetFeature(SetFeature),
}

impl Command {
    /// About how many bytes its records have, and no less than `most` if they are more than that:
    /// to say, before it is decided, what it can go together with.
    #[must_use]
    pub fn weight(&self, most: usize) -> usize {
        match self {
            Command::CreateTopics(command) => {
                weigh(&command.topics, |topic| topic.weight(command.defaults), most)
            }
            Command::DeleteTopics(topics) => topics.len().saturating_mul(RECORD_BYTES),
            Command::CreatePartitions(command) => {
                weigh(&command.topics, |growth| of_partitions(growth.partitions), most)
            }
            Command::AlterConfigs(command) => {
                let weight = |alteration: &Alteration| {
                    of_configs(&alteration.from) + of_configs(&alteration.to)
                };
                weigh(&command.alterations, weight, most)
            }
            Command::AllocateProducerIds { .. } | Command::SetFeature(_) => RECORD_BYTES,
        }
    }

    /// Whether it shall change anything.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Command::CreateTopics(command) => command.mode,
            Command::CreatePartitions(command) => command.mode,
            Command::AlterConfigs(command) => command.mode,
            Command::DeleteTopics(_)
            | Command::AllocateProducerIds { .. }
            | Command::SetFeature(_) => Mode::Apply,
        }
    }
}

/// About how many bytes a record has that says nothing long.
const RECORD_BYTES: usize = 100;

/// The sum of weights, as far as it matters.
fn weigh<T>(items: &[T], weight: impl Fn(&T) -> usize, most: usize) -> usize {
    let mut sum = 0usize;
    for item in items {
        sum = sum.saturating_add(weight(item)).saturating_add(RECORD_BYTES);
        if sum > most {
            break;
        }
    }
    sum
}

fn of_partitions(partitions: i32) -> usize {
    usize::try_from(partitions).unwrap_or(0).saturating_mul(RECORD_BYTES)
}

fn of_configs(configs: &BTreeMap<String, String>) -> usize {
    configs.iter().map(|(name, value)| name.len() + value.len() + RECORD_BYTES).sum()
}

/// A request to create topics.
#[derive(Clone, Debug)]
pub struct CreateTopics {
    /// The topics. Their configs have been found valid already.
    pub topics: Vec<NewTopic>,
    /// Whether to create them or only to say what would become of them.
    pub mode: Mode,
    /// What a topic gets that does not say.
    pub defaults: Defaults,
    /// What becomes of a replication factor above the number of brokers.
    pub clamp: Clamp,
    /// Bounds that the operator sets.
    pub limits: Limits,
}

/// Whether a command shall change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Apply,
    /// Answer as if it were done, and do nothing.
    ValidateOnly,
}

/// What a new topic gets where its request says -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `num.partitions`; at least 1.
    pub partitions: u32,
    /// `default.replication.factor`; at least 1.
    pub replication_factor: u16,
}

/// What becomes of a replication factor that there are not enough brokers for
/// (`clamp.replication.factor`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clamp {
    /// The topic is refused, as Kafka does.
    Off,
    /// The topic gets as many replicas as there are brokers, and the answer says so.
    On,
}

/// Bounds that the operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most partitions that all topics may have together.
    pub partitions: u64,
}

/// A topic to be created.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// The id it will have: random, made by the caller.
    pub id: TopicId,
    /// Its partitions; -1 for the default, or when there are assignments.
    pub partitions: i32,
    /// Its replicas per partition; -1 for the default, or when there are assignments.
    pub replication_factor: i16,
    /// Which brokers hold which partition; empty to leave that to the controller.
    pub assignments: Vec<Assignment>,
    /// Its configs. Without a value, as a client may write them, they are refused.
    pub configs: BTreeMap<String, Option<String>>,
}

impl NewTopic {
    fn weight(&self, defaults: Defaults) -> usize {
        let partitions = match (self.assignments.len(), self.partitions) {
            (0, -1) => i32::try_from(defaults.partitions).unwrap_or(i32::MAX),
            (0, partitions) => partitions,
            (assigned, _) => i32::try_from(assigned).unwrap_or(i32::MAX),
        };
        let configs = self
            .configs
            .iter()
            .map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len) + RECORD_BYTES);
        of_partitions(partitions).saturating_add(configs.sum::<usize>())
    }
}

/// The brokers chosen for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The partition's number.
    pub partition: i32,
    /// Its replicas, the preferred leader first.
    pub brokers: Vec<BrokerId>,
}

/// A request to give topics more partitions.
#[derive(Clone, Debug)]
pub struct CreatePartitions {
    /// The topics, each once.
    pub topics: Vec<Growth>,
    /// Whether to do it or only to say what would become of it.
    pub mode: Mode,
    /// Bounds that the operator sets.
    pub limits: Limits,
}

/// A topic that is to have more partitions.
#[derive(Clone, Debug)]
pub struct Growth {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it is to have.
    pub partitions: i32,
    /// Which brokers hold which of the new ones, in their order; `None` to leave that to the
    /// controller.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// A request to change configs.
#[derive(Clone, Debug)]
pub struct AlterConfigs {
    /// What is to change, each resource once.
    pub alterations: Vec<Alteration>,
    /// Whether to do it or only to say what would become of it.
    pub mode: Mode,
    /// The most groups that may have configs of their own.
    pub max_groups: usize,
}

/// New configs of a topic or group, found valid by the caller.
#[derive(Clone, Debug)]
pub struct Alteration {
    /// What they are of.
    pub of: Configured,
    /// The configs that the caller made the new ones of. Nothing changes if they are others now.
    pub from: Configs,
    /// The configs that it is to have.
    pub to: Configs,
}

/// What has configs that can be altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// The topic of this name.
    Topic(Arc<str>),
    /// The group of this name, whether there is one or not.
    Group(Arc<str>),
}

/// Whether new configs hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Altered {
    /// They do.
    Done,
    /// Somebody else was faster: the new ones are to be made anew, of those that there are now.
    Overtaken,
}

/// How a client names a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// By its name.
    ByName(Arc<str>),
    /// By its id.
    ById(TopicId),
}

/// A request to change a feature's level.
#[derive(Clone, Debug)]
pub struct SetFeature {
    /// The feature, one that this program knows.
    pub name: &'static str,
    /// The level wanted; 0 is off.
    pub level: i16,
    /// The levels this program supports.
    pub supported: RangeInclusive<i16>,
    /// Which way the client means to go.
    pub change: FeatureChange,
}

/// Which way a feature's level shall go. Staying is either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureChange {
    /// Up.
    Upgrade,
    /// Down.
    Downgrade,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To `CreateTopics`: each topic once, in the order asked for, then those that were named
    /// more than once, then the metadata log's own.
    Topics(Vec<CreateResult>),
    /// To `DeleteTopics`: each topic once, in the order asked for.
    Deleted(Vec<DeleteResult>),
    /// To `CreatePartitions`: what became of each topic, in the order asked for.
    Grown(Vec<Result<(), GrowRefusal>>),
    /// To `AlterConfigs`: what became of each resource, in the order asked for.
    Altered(Vec<Result<Altered, AlterRefusal>>),
    /// To `AllocateProducerIds`.
    ProducerIds(ProducerIdBlock),
    /// To `SetFeature`: it is at the level wanted.
    FeatureSet,
}

/// What became of one topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateResult {
    /// Its name.
    pub name: Arc<str>,
    /// The topic, or why there is none.
    pub result: Result<Created, CreateRefusal>,
}

/// A topic that now exists, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// How many replicas each has.
    pub replication_factor: u16,
    /// The replication factor that was asked for, if it was more than there are brokers.
    pub clamped_from: Option<u16>,
    /// The configs it was given.
    pub configs: Configs,
}

/// What became of one topic to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteResult {
    /// Its name, as far as it was given or found.
    pub name: Option<Arc<str>>,
    /// Its id, as far as it was given or found.
    pub id: Option<TopicId>,
    /// Whether it exists no more.
    pub result: Result<(), DeleteRefusal>,
}

/// Producer ids for one broker to hand out. What is left of a block when the broker stops is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    next: i64,
    end: i64,
}

impl ProducerIdBlock {
    /// The ids from `first` up to, and without, `end`.
    #[must_use]
    pub fn new(first: ProducerId, end: ProducerId) -> ProducerIdBlock {
        ProducerIdBlock { next: first.0, end: end.0 }
    }

    /// Takes one id; `None` when the block is used up.
    pub fn take(&mut self) -> Option<ProducerId> {
        (self.next < self.end).then(|| {
            self.next += 1;
            ProducerId(self.next - 1)
        })
    }

    /// How many ids are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.end.abs_diff(self.next)
    }
}
