//! Why the metadata was not changed: each refusal carries the facts and can say what to do about
//! them. Which of Kafka's errors a client gets is the broker's to choose; the one that Kafka
//! answers is named with each.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::id::{ProducerId, TopicId};
use crate::metadata::name::{CLUSTER_METADATA, NameFault};
use crate::metadata::record::{BrokerId, MAX_STRING};

/// Why a whole command was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `POLICY_VIOLATION`: the topics of one request have more partitions than this together.
    PartitionsPerRequest(u64),
    /// `POLICY_VIOLATION`: the command needs more records than this.
    RecordsPerCommand(usize),
    /// `UNKNOWN_SERVER_ERROR`: fewer producer ids are left than a block has.
    ProducerIdsExhausted(ProducerId),
    /// `INVALID_UPDATE_VERSION`: this program does not support the level.
    FeatureLevel {
        /// The feature.
        name: &'static str,
        /// The level asked for.
        level: i16,
        /// The levels there are.
        supported: RangeInclusive<i16>,
    },
    /// `INVALID_UPDATE_VERSION`: an upgrade to a lower level, or a downgrade to a higher one.
    FeatureDirection {
        /// The feature.
        name: &'static str,
        /// Its level.
        current: i16,
        /// The level asked for.
        level: i16,
    },
    /// `INVALID_UPDATE_VERSION`: records may exist that the lower level does not know.
    MetadataDowngrade {
        /// The level of `metadata.version`.
        current: i16,
        /// The level asked for.
        level: i16,
    },
    /// `INVALID_UPDATE_VERSION`: the feature's level is not kept in the metadata log.
    FeatureElsewhere(&'static str),
}

/// Why a topic was not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateRefusal {
    /// `INVALID_REQUEST`: the request names it more than once.
    NamedTwice,
    /// `INVALID_REQUEST`: it is the metadata log's own.
    Reserved,
    /// `INVALID_TOPIC_EXCEPTION`: no topic can have this name.
    Name(NameFault),
    /// `INVALID_TOPIC_EXCEPTION`: this topic's metrics would have the same names.
    Collision(Arc<str>),
    /// `TOPIC_ALREADY_EXISTS`.
    Exists,
    /// `INVALID_CONFIG`: these configs have no value.
    ConfigsWithoutValue(Vec<String>),
    /// `INVALID_CONFIG`: a config's name or value is longer than a record can hold.
    ConfigTooLong {
        /// Bytes of the longer of the two.
        length: usize,
    },
    /// `INVALID_REQUEST`: a replication factor beside assignments.
    FactorBesideAssignments(i16),
    /// `INVALID_REQUEST`: a number of partitions beside assignments.
    PartitionsBesideAssignments(i32),
    /// `INVALID_REPLICA_ASSIGNMENT`.
    Assignment(AssignmentFault),
    /// `INVALID_REPLICATION_FACTOR`: neither positive nor -1.
    ReplicationFactor(i16),
    /// `INVALID_REPLICATION_FACTOR`: more replicas than brokers.
    TooFewBrokers {
        /// The replication factor asked for, or the default.
        factor: u16,
        /// How many brokers there are.
        brokers: u16,
    },
    /// `INVALID_PARTITIONS`: neither positive nor -1.
    Partitions(i32),
    /// `POLICY_VIOLATION`, not `INVALID_PARTITIONS`: the number is no wrong number of partitions,
    /// there is only no room for it as long as the operator allows no more.
    NoRoom {
        /// Partitions of this topic.
        wanted: u32,
        /// Partitions there are, with those of topics before it in the command.
        present: u64,
        /// The most there may be.
        limit: u64,
    },
    /// `UNKNOWN_SERVER_ERROR`: the id that the broker made up is taken or reserved.
    Id(TopicId),
}

/// What is wrong with a manual assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignmentFault {
    /// A partition is assigned twice.
    PartitionTwice(i32),
    /// A partition has no replica.
    NoBrokers {
        /// The partition.
        partition: i32,
    },
    /// A replica is on a broker that does not exist.
    UnknownBroker {
        /// The partition.
        partition: i32,
        /// The broker.
        broker: BrokerId,
    },
    /// Two replicas of a partition are on one broker.
    BrokerTwice {
        /// The partition.
        partition: i32,
        /// The broker.
        broker: BrokerId,
    },
    /// The partitions are not numbered 0, 1, 2, …; this one is missing.
    Gap(i32),
}

/// Why a topic was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteRefusal {
    /// `INVALID_REQUEST`: the request gives its name more than once.
    NamedTwice,
    /// `INVALID_REQUEST`: the request gives its id more than once.
    IdTwice,
    /// `INVALID_REQUEST`: the request gives its name and its id as if they were two topics.
    NameAndId,
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    UnknownName,
    /// `UNKNOWN_TOPIC_ID`.
    UnknownId,
}

/// Why a topic did not get more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrowRefusal {
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    UnknownTopic,
    /// `INVALID_REQUEST`: what it keeps finds its partition by the number of all.
    Internal,
    /// `INVALID_PARTITIONS`: it has as many, or more.
    NoIncrease {
        /// Partitions it has.
        present: u32,
        /// Partitions asked for.
        wanted: i32,
    },
    /// `INVALID_REPLICA_ASSIGNMENT`: the number of assignments is not that of new partitions.
    AssignmentCount {
        /// New partitions.
        partitions: u32,
        /// Assignments.
        assignments: usize,
    },
    /// `INVALID_REPLICA_ASSIGNMENT`.
    Assignment(AssignmentFault),
    /// `POLICY_VIOLATION`: the topics of one request grow by more than this together.
    TooMany(usize),
    /// `POLICY_VIOLATION`: more than there may be.
    NoRoom {
        /// New partitions.
        wanted: u32,
        /// Partitions there are, with those of topics before it in the command.
        present: u64,
        /// The most there may be.
        limit: u64,
    },
}

/// Why configs were not altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterRefusal {
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    UnknownTopic(Arc<str>),
    /// `INVALID_CONFIG`: a config's name or value is longer than a record can hold.
    TooLong {
        /// Bytes of the longer of the two.
        length: usize,
    },
    /// `POLICY_VIOLATION`: so many groups have configs of their own, and no more may.
    TooManyGroups(usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::PartitionsPerRequest(max) => write!(
                f,
                "the topics of this request have more than {max} partitions together; create \
                 them in several requests"
            ),
            Refusal::RecordsPerCommand(max) => write!(
                f,
                "this request needs more than {max} metadata records; split it into several"
            ),
            Refusal::ProducerIdsExhausted(next) => write!(
                f,
                "producer ids are used up: the next would be {}; idempotent and transactional \
                 producers need a new cluster",
                next.0
            ),
            Refusal::FeatureLevel { name, level, supported } => write!(
                f,
                "level {level} of {name} is not supported; choose one from {} to {}",
                supported.start(),
                supported.end()
            ),
            Refusal::FeatureDirection { name, current, level } => write!(
                f,
                "{name} is at level {current}: level {level} needs an {} request",
                if level < current { "explicit downgrade" } else { "upgrade" }
            ),
            Refusal::MetadataDowngrade { current, level } => write!(
                f,
                "metadata.version cannot go down from {current} to {level}: the log may hold \
                 records that level {level} does not know"
            ),
            Refusal::FeatureElsewhere(name) => {
                write!(f, "the level of {name} is not kept in the metadata log; leave it out")
            }
        }
    }
}

impl fmt::Display for CreateRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateRefusal::NamedTwice => {
                write!(f, "the request names this topic more than once; name it once")
            }
            CreateRefusal::Reserved => {
                write!(f, "{CLUSTER_METADATA} is the metadata log itself; choose another name")
            }
            CreateRefusal::Name(fault) => fault.fmt(f),
            CreateRefusal::Collision(with) => write!(
                f,
                "the name collides with the topic '{with}', because metrics spell '.' as '_'; \
                 choose another name"
            ),
            CreateRefusal::Exists => write!(f, "a topic of this name already exists"),
            CreateRefusal::ConfigsWithoutValue(names) => write!(
                f,
                "configs without a value: {}; give each a value or leave it out",
                names.join(", ")
            ),
            CreateRefusal::ConfigTooLong { length } => {
                write!(f, "a config of {length} bytes; names and values have at most {MAX_STRING}")
            }
            CreateRefusal::FactorBesideAssignments(factor) => {
                write!(f, "replication factor {factor} beside a manual assignment; set it to -1")
            }
            CreateRefusal::PartitionsBesideAssignments(partitions) => write!(
                f,
                "{partitions} partitions beside a manual assignment; set the number to -1"
            ),
            CreateRefusal::Assignment(fault) => fault.fmt(f),
            CreateRefusal::ReplicationFactor(factor) => {
                write!(f, "replication factor {factor}; give a positive one, or -1 for the default")
            }
            CreateRefusal::TooFewBrokers { factor, brokers } => write!(
                f,
                "replication factor {factor} with {brokers} broker(s); ask for at most {brokers}, \
                 or set clamp.replication.factor=true on the broker"
            ),
            CreateRefusal::Partitions(partitions) => {
                write!(f, "{partitions} partitions; give a positive number, or -1 for the default")
            }
            CreateRefusal::NoRoom { wanted, present, limit } => write!(
                f,
                "{wanted} more partitions beside the {present} there are exceed the broker's \
                 limit of {limit}; ask for fewer, delete topics, or raise the limit"
            ),
            CreateRefusal::Id(id) => {
                write!(f, "the id {id} that was chosen for this topic cannot be used; try again")
            }
        }
    }
}

impl fmt::Display for AssignmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AssignmentFault::PartitionTwice(partition) => {
                write!(f, "partition {partition} is assigned more than once; assign it once")
            }
            AssignmentFault::NoBrokers { partition } => {
                write!(f, "partition {partition} is assigned to no broker; name one")
            }
            AssignmentFault::UnknownBroker { partition, broker } => write!(
                f,
                "partition {partition} is assigned to broker {}, which does not exist; name one \
                 that does",
                broker.0
            ),
            AssignmentFault::BrokerTwice { partition, broker } => write!(
                f,
                "partition {partition} is assigned to broker {} more than once; name it once",
                broker.0
            ),
            AssignmentFault::Gap(missing) => {
                write!(f, "partition {missing} is not assigned; number the partitions 0, 1, 2, …")
            }
        }
    }
}

impl fmt::Display for DeleteRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeleteRefusal::NamedTwice => {
                "the request names this topic more than once; name it once"
            }
            DeleteRefusal::IdTwice => {
                "the request gives this topic id more than once; give it once"
            }
            DeleteRefusal::NameAndId => {
                "the request gives this topic's name and also its id; give one of them"
            }
            DeleteRefusal::UnknownName => "there is no topic of this name",
            DeleteRefusal::UnknownId => "there is no topic with this id",
        })
    }
}

impl fmt::Display for GrowRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GrowRefusal::UnknownTopic => write!(f, "there is no topic of this name"),
            GrowRefusal::Internal => write!(
                f,
                "an internal topic cannot grow: what it keeps finds its partition by the number \
                 of all, and would be lost"
            ),
            GrowRefusal::NoIncrease { present, wanted } => write!(
                f,
                "the topic has {present} partition(s); ask for more than that in place of {wanted}"
            ),
            GrowRefusal::AssignmentCount { partitions, assignments } => write!(
                f,
                "{partitions} partition(s) are to be added, and {assignments} assigned; assign each"
            ),
            GrowRefusal::Assignment(fault) => fault.fmt(f),
            GrowRefusal::TooMany(max) => {
                write!(f, "at most {max} partitions are added by one request; ask in steps")
            }
            GrowRefusal::NoRoom { wanted, present, limit } => write!(
                f,
                "{wanted} more partitions beside the {present} there are exceed the broker's \
                 limit of {limit}; ask for fewer, or delete topics"
            ),
        }
    }
}

impl fmt::Display for AlterRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlterRefusal::UnknownTopic(name) => write!(f, "there is no topic named '{name}'"),
            AlterRefusal::TooLong { length } => {
                write!(f, "a config of {length} bytes; names and values have at most {MAX_STRING}")
            }
            AlterRefusal::TooManyGroups(limit) => write!(
                f,
                "{limit} groups have configs of their own, the most that may; delete those of some"
            ),
        }
    }
}

impl std::error::Error for Refusal {}
impl std::error::Error for GrowRefusal {}
impl std::error::Error for AlterRefusal {}
impl std::error::Error for CreateRefusal {}
impl std::error::Error for AssignmentFault {}
impl std::error::Error for DeleteRefusal {}
