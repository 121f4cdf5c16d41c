//! Engine errors to Kafka's codes and words: the only such table.

use corelog_engine::group::request::{GroupError, GroupState};
use corelog_engine::id::LeaderEpoch;
use corelog_engine::metadata::Refusal;
use corelog_engine::metadata::refusal::{AlterRefusal, CreateRefusal, DeleteRefusal, GrowRefusal};
use corelog_engine::record::Invalid;
use corelog_engine::shard::request::{AppendError, MetadataError, ReadError};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::text::Str;

/// Bytes of a message, more or less: it may repeat what a client sent, and a response's strings
/// have an end.
const MESSAGE: usize = 2000;

/// A code with what a client should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<Str>,
}

impl Told {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Told {
        let mut message: String = message.into();
        if message.len() > MESSAGE {
            message.truncate(message.floor_char_boundary(MESSAGE));
            message.push('…');
        }
        Told { code, message: Some(Str::from(message)) }
    }

    /// A code whose cause and remedy are always the same.
    pub(crate) fn of(code: ErrorCode) -> Told {
        match code {
            ErrorCode::UnknownTopicOrPartition => {
                let why = "There is no such topic or partition; create it or refresh the metadata.";
                Told::new(code, why)
            }
            ErrorCode::UnknownTopicId => {
                let why = "No topic has this id; it was deleted: refresh the metadata.";
                Told::new(code, why)
            }
            ErrorCode::InvalidRequiredAcks => {
                Told::new(code, "acks must be 0, 1, or -1 for all; correct the producer's setting.")
            }
            ErrorCode::InvalidTopicException => {
                Told::new(code, "The topic is the broker's own; write to one of yours.")
            }
            code => Told { code, message: code.message_or_null() },
        }
    }
}

/// A leader epoch where -1 alone stands for none (Kafka's `NO_PARTITION_LEADER_EPOCH`); Fetch takes
/// every negative number for none.
pub(crate) fn leader_epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch != -1).then_some(LeaderEpoch(epoch))
}

/// Why a group's coordinator does not do as it was asked.
pub(crate) fn group(error: GroupError) -> ErrorCode {
    match error {
        GroupError::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
        GroupError::NotCoordinator => ErrorCode::NotCoordinator,
        GroupError::LoadInProgress => ErrorCode::CoordinatorLoadInProgress,
        GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
        GroupError::UnknownMember => ErrorCode::UnknownMemberId,
        GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
        GroupError::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        GroupError::MemberIdRequired => ErrorCode::MemberIdRequired,
        GroupError::MaxSizeReached => ErrorCode::GroupMaxSizeReached,
        GroupError::FencedInstance => ErrorCode::FencedInstanceId,
        GroupError::NonEmpty => ErrorCode::NonEmptyGroup,
        GroupError::NotFound => ErrorCode::GroupIdNotFound,
        GroupError::SubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
        GroupError::MetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
        GroupError::InvalidRequest => ErrorCode::InvalidRequest,
        GroupError::UnsupportedVersion => ErrorCode::UnsupportedVersion,
        GroupError::FencedMemberEpoch => ErrorCode::FencedMemberEpoch,
        GroupError::StaleMemberEpoch => ErrorCode::StaleMemberEpoch,
        GroupError::UnreleasedInstance => ErrorCode::UnreleasedInstanceId,
        GroupError::UnsupportedAssignor => ErrorCode::UnsupportedAssignor,
        GroupError::InvalidRegex => ErrorCode::InvalidRegularExpression,
        GroupError::Unknown => ErrorCode::UnknownServerError,
    }
}

/// The same for what may have been done.
pub(crate) fn group_result(result: Result<(), GroupError>) -> ErrorCode {
    result.map_or_else(group, |()| ErrorCode::None)
}

/// A group's state as Kafka spells it.
pub(crate) fn group_state(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "Empty",
        GroupState::PreparingRebalance => "PreparingRebalance",
        GroupState::CompletingRebalance => "CompletingRebalance",
        GroupState::Assigning => "Assigning",
        GroupState::Reconciling => "Reconciling",
        GroupState::Stable => "Stable",
    }
}

/// Why an append failed.
pub(crate) fn append(error: &AppendError) -> Told {
    match error {
        AppendError::UnknownPartition => Told::of(ErrorCode::UnknownTopicOrPartition),
        AppendError::OutOfOrder { expected, got } => Told::new(
            ErrorCode::OutOfOrderSequenceNumber,
            format!(
                "The batch starts with sequence {}, but {} comes next for this producer: a batch \
                 before it is missing.",
                got.0, expected.0
            ),
        ),
        AppendError::Fenced { current } => Told::new(
            ErrorCode::InvalidProducerEpoch,
            format!("A later incarnation of this producer has written, with epoch {}.", current.0),
        ),
        AppendError::Busy => Told::new(
            // Every client knows it of a produce, sends again, and knows that nothing was stored.
            ErrorCode::NotEnoughReplicas,
            "More is waiting for the disk than the core's budget allows; retry after a pause.",
        ),
        AppendError::DiskFull => Told::new(
            ErrorCode::KafkaStorageError,
            "The disk is full; records are accepted again once there is room.",
        ),
        AppendError::Offline => Told::new(
            ErrorCode::KafkaStorageError,
            "The partition is offline after an I/O error; see the broker's log.",
        ),
        AppendError::TooLarge { max } => Told::new(
            ErrorCode::MessageTooLarge,
            format!("The journal takes batches of at most {max} bytes (journal.file.bytes / 4)."),
        ),
    }
}

/// Why a read failed.
pub(crate) fn read(error: ReadError) -> ErrorCode {
    match error {
        ReadError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::FencedEpoch => ErrorCode::FencedLeaderEpoch,
        ReadError::UnknownEpoch => ErrorCode::UnknownLeaderEpoch,
        ReadError::Offline | ReadError::Busy => ErrorCode::KafkaStorageError,
        ReadError::Damaged => ErrorCode::CorruptMessage,
    }
}

/// Why a metadata command failed as a whole.
pub(crate) fn metadata(error: &MetadataError) -> Told {
    match error {
        MetadataError::Refused(refusal) => command(refusal),
        MetadataError::Unwritten(AppendError::TooLarge { max }) => Told::new(
            ErrorCode::PolicyViolation,
            format!("This needs more than {max} bytes of metadata at once; ask in several steps."),
        ),
        MetadataError::Unwritten(error) => append(error),
        MetadataError::Contradiction(error) => Told::new(
            ErrorCode::UnknownServerError,
            format!("Nothing was changed, for this would contradict the metadata: {error}."),
        ),
    }
}

fn command(refusal: &Refusal) -> Told {
    let code = match refusal {
        Refusal::PartitionsPerRequest(_) | Refusal::RecordsPerCommand(_) => {
            ErrorCode::PolicyViolation
        }
        Refusal::ProducerIdsExhausted(_) => ErrorCode::UnknownServerError,
        Refusal::FeatureLevel { .. }
        | Refusal::FeatureElsewhere(_)
        | Refusal::FeatureDirection { .. }
        | Refusal::MetadataDowngrade { .. } => ErrorCode::InvalidUpdateVersion,
    };
    Told::new(code, refusal.to_string())
}

/// Why one topic was not created.
pub(crate) fn create(refusal: &CreateRefusal) -> Told {
    let code = match refusal {
        CreateRefusal::NamedTwice
        | CreateRefusal::Reserved
        | CreateRefusal::FactorBesideAssignments(_)
        | CreateRefusal::PartitionsBesideAssignments(_) => ErrorCode::InvalidRequest,
        CreateRefusal::Name(_) | CreateRefusal::Collision(_) => ErrorCode::InvalidTopicException,
        CreateRefusal::Exists => ErrorCode::TopicAlreadyExists,
        CreateRefusal::ConfigsWithoutValue(_) | CreateRefusal::ConfigTooLong { .. } => {
            ErrorCode::InvalidConfig
        }
        CreateRefusal::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
        CreateRefusal::ReplicationFactor(_) | CreateRefusal::TooFewBrokers { .. } => {
            ErrorCode::InvalidReplicationFactor
        }
        CreateRefusal::Partitions(_) => ErrorCode::InvalidPartitions,
        CreateRefusal::NoRoom { .. } => ErrorCode::PolicyViolation,
        CreateRefusal::Id(_) => ErrorCode::UnknownServerError,
    };
    Told::new(code, refusal.to_string())
}

/// Why a topic did not get more partitions.
pub(crate) fn grow(refusal: &GrowRefusal) -> Told {
    let code = match refusal {
        GrowRefusal::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
        GrowRefusal::Internal => ErrorCode::InvalidRequest,
        GrowRefusal::NoIncrease { .. } => ErrorCode::InvalidPartitions,
        GrowRefusal::AssignmentCount { .. } | GrowRefusal::Assignment(_) => {
            ErrorCode::InvalidReplicaAssignment
        }
        GrowRefusal::TooMany(_) | GrowRefusal::NoRoom { .. } => ErrorCode::PolicyViolation,
    };
    Told::new(code, refusal.to_string())
}

/// Why a resource's configs were not altered.
pub(crate) fn alter(refusal: &AlterRefusal) -> Told {
    let code = match refusal {
        AlterRefusal::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
        AlterRefusal::TooLong { .. } => ErrorCode::InvalidConfig,
        AlterRefusal::TooManyGroups(_) => ErrorCode::PolicyViolation,
    };
    Told::new(code, refusal.to_string())
}

/// Why one topic was not deleted.
pub(crate) fn delete(refusal: &DeleteRefusal) -> Told {
    let code = match refusal {
        DeleteRefusal::NamedTwice | DeleteRefusal::IdTwice | DeleteRefusal::NameAndId => {
            ErrorCode::InvalidRequest
        }
        DeleteRefusal::UnknownName => ErrorCode::UnknownTopicOrPartition,
        DeleteRefusal::UnknownId => ErrorCode::UnknownTopicId,
    };
    Told::new(code, refusal.to_string())
}

/// Why a client's batch is refused.
pub(crate) fn invalid(invalid: &Invalid) -> Told {
    let code = match invalid {
        Invalid::NoBatch
        | Invalid::OldFormat(_)
        | Invalid::SeveralBatches
        | Invalid::BaseOffset(_)
        | Invalid::Header(_)
        | Invalid::Records(_)
        | Invalid::Rejected(_) => ErrorCode::InvalidRecord,
        Invalid::Frame(_) | Invalid::Crc { .. } => ErrorCode::CorruptMessage,
        Invalid::ZstdNotAllowed | Invalid::UnknownCodec(_) => ErrorCode::UnsupportedCompressionType,
        Invalid::TooLarge { .. } => ErrorCode::MessageTooLarge,
        Invalid::RejectedTimestamp(_) => ErrorCode::InvalidTimestamp,
    };
    Told::new(code, invalid.to_string())
}
