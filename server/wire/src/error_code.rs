//! Kafka's error codes: one row of the table at the end of this file each.

use std::fmt;

macro_rules! error_codes {
    ($(
        $(#[$default:ident])?
        $code:literal $name:ident $kafka_name:ident $($retriable:ident)? $message:literal;
    )*) => {
        /// What became of a request, or of a part of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(
                #[doc = concat!("`", stringify!($kafka_name), "` (", $code, "): ", $message)]
                $(#[doc = stringify!(($retriable))])?
                $(#[$default])?
                $name = $code,
            )*
        }

        impl ErrorCode {
            /// Every code, in ascending order.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name),*];

            /// The code of the number; a number that has none is an unknown error, as in Kafka.
            #[must_use]
            pub const fn from_i16(code: i16) -> ErrorCode {
                match code {
                    $($code => ErrorCode::$name,)*
                    _ => ErrorCode::UnknownServerError,
                }
            }

            /// Kafka's name, as its clients and tools print it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => stringify!($kafka_name),)*
                }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(ErrorCode::$name => $message,)*
                }
            }

            /// Whether Kafka's clients try the same request again.
            #[must_use]
            pub const fn retriable(self) -> bool {
                match self {
                    $(ErrorCode::$name => retriable!($($retriable)?),)*
                }
            }
        }
    };
}

macro_rules! retriable {
    () => {
        false
    };
    (retriable) => {
        true
    };
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The message for responses that have one: null without an error.
    #[must_use]
    pub fn message_or_null(self) -> Option<crate::text::Str> {
        (self != ErrorCode::None).then(|| crate::text::Str::from_static(self.message()))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

error_codes! {
     -1 UnknownServerError UNKNOWN_SERVER_ERROR "The broker failed in a way it did not expect.";
    #[default]
      0 None NONE "No error.";
      1 OffsetOutOfRange OFFSET_OUT_OF_RANGE "The log does not have this offset.";
      2 CorruptMessage CORRUPT_MESSAGE
        retriable "The record batch is damaged, too large, or lacks a key that its topic needs.";
      3 UnknownTopicOrPartition UNKNOWN_TOPIC_OR_PARTITION
        retriable "This broker has no such partition.";
      4 InvalidFetchSize INVALID_FETCH_SIZE "The fetch size is not valid.";
      5 LeaderNotAvailable LEADER_NOT_AVAILABLE
        retriable "The partition has no leader at the moment.";
      6 NotLeaderOrFollower NOT_LEADER_OR_FOLLOWER retriable "Another broker leads this partition.";
      7 RequestTimedOut REQUEST_TIMED_OUT retriable "The request took longer than its time limit.";
      8 BrokerNotAvailable BROKER_NOT_AVAILABLE "The broker cannot be reached.";
      9 ReplicaNotAvailable REPLICA_NOT_AVAILABLE retriable "The replica is not available here.";
     10 MessageTooLarge MESSAGE_TOO_LARGE "The record batch is larger than the topic allows.";
     11 StaleControllerEpoch STALE_CONTROLLER_EPOCH "Another broker has become the controller.";
     12 OffsetMetadataTooLarge OFFSET_METADATA_TOO_LARGE
        "The metadata of the committed offset is too long.";
     13 NetworkException NETWORK_EXCEPTION
        retriable "The connection ended before the response came.";
     14 CoordinatorLoadInProgress COORDINATOR_LOAD_IN_PROGRESS
        retriable "The coordinator is still loading its state.";
     15 CoordinatorNotAvailable COORDINATOR_NOT_AVAILABLE
        retriable "There is no coordinator at the moment.";
     16 NotCoordinator NOT_COORDINATOR retriable "Another broker is the coordinator.";
     17 InvalidTopicException INVALID_TOPIC_EXCEPTION "The topic's name is not allowed here.";
     18 RecordListTooLarge RECORD_LIST_TOO_LARGE
        "The record batch is larger than a segment of the log.";
     19 NotEnoughReplicas NOT_ENOUGH_REPLICAS
        retriable "Too few replicas are in sync to accept the records.";
     20 NotEnoughReplicasAfterAppend NOT_ENOUGH_REPLICAS_AFTER_APPEND
        retriable "The records were written, then too few replicas were in sync.";
     21 InvalidRequiredAcks INVALID_REQUIRED_ACKS "Acks must be 0, 1 or -1.";
     22 IllegalGeneration ILLEGAL_GENERATION "The group is in another generation.";
     23 InconsistentGroupProtocol INCONSISTENT_GROUP_PROTOCOL
        "The member has no protocol in common with the group.";
     24 InvalidGroupId INVALID_GROUP_ID "The group id is not valid.";
     25 UnknownMemberId UNKNOWN_MEMBER_ID "The group has no such member.";
     26 InvalidSessionTimeout INVALID_SESSION_TIMEOUT
        "The session timeout is outside of the broker's bounds.";
     27 RebalanceInProgress REBALANCE_IN_PROGRESS "The group is rebalancing; join again.";
     28 InvalidCommitOffsetSize INVALID_COMMIT_OFFSET_SIZE "The offsets to commit are too large.";
     29 TopicAuthorizationFailed TOPIC_AUTHORIZATION_FAILED "Not allowed on this topic.";
     30 GroupAuthorizationFailed GROUP_AUTHORIZATION_FAILED "Not allowed on this group.";
     31 ClusterAuthorizationFailed CLUSTER_AUTHORIZATION_FAILED "Not allowed on this cluster.";
     32 InvalidTimestamp INVALID_TIMESTAMP
        "The record's timestamp is too far from now, or missing.";
     33 UnsupportedSaslMechanism UNSUPPORTED_SASL_MECHANISM
        "The broker does not have this SASL mechanism.";
     34 IllegalSaslState ILLEGAL_SASL_STATE
        "The request does not belong at this point of the SASL exchange.";
     35 UnsupportedVersion UNSUPPORTED_VERSION "The broker does not serve this version of the API.";
     36 TopicAlreadyExists TOPIC_ALREADY_EXISTS "There is a topic of this name already.";
     37 InvalidPartitions INVALID_PARTITIONS "The number of partitions is not valid.";
     38 InvalidReplicationFactor INVALID_REPLICATION_FACTOR
        "The replication factor is not positive, or exceeds the number of brokers.";
     39 InvalidReplicaAssignment INVALID_REPLICA_ASSIGNMENT
        "The assignment of replicas is not valid.";
     40 InvalidConfig INVALID_CONFIG "A setting's name or value is not valid.";
     41 NotController NOT_CONTROLLER retriable "Another node is the controller.";
     42 InvalidRequest INVALID_REQUEST "The request contradicts itself or the protocol.";
     43 UnsupportedForMessageFormat UNSUPPORTED_FOR_MESSAGE_FORMAT
        "The log's record format cannot do this.";
     44 PolicyViolation POLICY_VIOLATION "A policy of this cluster forbids it.";
     45 OutOfOrderSequenceNumber OUT_OF_ORDER_SEQUENCE_NUMBER
        "The producer's sequence number has a gap.";
     46 DuplicateSequenceNumber DUPLICATE_SEQUENCE_NUMBER
        "The producer sent this sequence number before.";
     47 InvalidProducerEpoch INVALID_PRODUCER_EPOCH "The producer's epoch is an old one.";
     48 InvalidTxnState INVALID_TXN_STATE "The transaction is not in a state that allows this.";
     49 InvalidProducerIdMapping INVALID_PRODUCER_ID_MAPPING
        "The producer id does not belong to this transactional id.";
     50 InvalidTransactionTimeout INVALID_TRANSACTION_TIMEOUT
        "The transaction timeout exceeds the broker's maximum.";
     51 ConcurrentTransactions CONCURRENT_TRANSACTIONS
        retriable "The previous operation on this transaction is still being finished.";
     52 TransactionCoordinatorFenced TRANSACTION_COORDINATOR_FENCED
        "Another broker has taken over as transaction coordinator.";
     53 TransactionalIdAuthorizationFailed TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        "Not allowed on this transactional id.";
     54 SecurityDisabled SECURITY_DISABLED "Security is switched off.";
     55 OperationNotAttempted OPERATION_NOT_ATTEMPTED
        "Not tried, because another part of the request failed.";
     56 KafkaStorageError KAFKA_STORAGE_ERROR retriable "The disk failed.";
     57 LogDirNotFound LOG_DIR_NOT_FOUND "The broker has no such log directory.";
     58 SaslAuthenticationFailed SASL_AUTHENTICATION_FAILED "The credentials were not accepted.";
     59 UnknownProducerId UNKNOWN_PRODUCER_ID "The broker remembers nothing of this producer.";
     60 ReassignmentInProgress REASSIGNMENT_IN_PROGRESS "The partition is being reassigned.";
     61 DelegationTokenAuthDisabled DELEGATION_TOKEN_AUTH_DISABLED
        "Delegation tokens are switched off.";
     62 DelegationTokenNotFound DELEGATION_TOKEN_NOT_FOUND "There is no such delegation token.";
     63 DelegationTokenOwnerMismatch DELEGATION_TOKEN_OWNER_MISMATCH
        "The token belongs to someone else.";
     64 DelegationTokenRequestNotAllowed DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
        "Delegation tokens cannot be asked for on this kind of connection.";
     65 DelegationTokenAuthorizationFailed DELEGATION_TOKEN_AUTHORIZATION_FAILED
        "Not allowed on this delegation token.";
     66 DelegationTokenExpired DELEGATION_TOKEN_EXPIRED "The delegation token has expired.";
     67 InvalidPrincipalType INVALID_PRINCIPAL_TYPE "Principals of this type are not known.";
     68 NonEmptyGroup NON_EMPTY_GROUP "The group has members.";
     69 GroupIdNotFound GROUP_ID_NOT_FOUND "There is no such group.";
     70 FetchSessionIdNotFound FETCH_SESSION_ID_NOT_FOUND
        retriable "There is no such fetch session.";
     71 InvalidFetchSessionEpoch INVALID_FETCH_SESSION_EPOCH
        retriable "The fetch session is in another epoch.";
     72 ListenerNotFound LISTENER_NOT_FOUND retriable "The leader has no listener of this name.";
     73 TopicDeletionDisabled TOPIC_DELETION_DISABLED "Topics cannot be deleted here.";
     74 FencedLeaderEpoch FENCED_LEADER_EPOCH retriable "The request's leader epoch is an old one.";
     75 UnknownLeaderEpoch UNKNOWN_LEADER_EPOCH
        retriable "The request's leader epoch is not known here yet.";
     76 UnsupportedCompressionType UNSUPPORTED_COMPRESSION_TYPE
        "The client cannot read this compression.";
     77 StaleBrokerEpoch STALE_BROKER_EPOCH "The broker has registered anew since.";
     78 OffsetNotAvailable OFFSET_NOT_AVAILABLE
        retriable "The new leader does not know yet how far records are committed.";
     79 MemberIdRequired MEMBER_ID_REQUIRED "Join again with the member id given.";
     80 PreferredLeaderNotAvailable PREFERRED_LEADER_NOT_AVAILABLE
        retriable "The preferred leader is not available.";
     81 GroupMaxSizeReached GROUP_MAX_SIZE_REACHED "The group has as many members as it may have.";
     82 FencedInstanceId FENCED_INSTANCE_ID
        "Another member has joined with this group.instance.id.";
     83 EligibleLeadersNotAvailable ELIGIBLE_LEADERS_NOT_AVAILABLE
        retriable "No replica that could lead the partition is available.";
     84 ElectionNotNeeded ELECTION_NOT_NEEDED
        retriable "The partition has the leader it should have.";
     85 NoReassignmentInProgress NO_REASSIGNMENT_IN_PROGRESS
        "The partition is not being reassigned.";
     86 GroupSubscribedToTopic GROUP_SUBSCRIBED_TO_TOPIC "The group is subscribed to this topic.";
     87 InvalidRecord INVALID_RECORD "The broker refused a record.";
     88 UnstableOffsetCommit UNSTABLE_OFFSET_COMMIT
        retriable "Offsets of an open transaction are not decided yet.";
     89 ThrottlingQuotaExceeded THROTTLING_QUOTA_EXCEEDED retriable "The quota is used up for now.";
     90 ProducerFenced PRODUCER_FENCED "A newer producer uses this transactional id.";
     91 ResourceNotFound RESOURCE_NOT_FOUND "There is no such resource.";
     92 DuplicateResource DUPLICATE_RESOURCE "The request names a resource twice.";
     93 UnacceptableCredential UNACCEPTABLE_CREDENTIAL
        "The credential does not meet the requirements.";
     94 InconsistentVoterSet INCONSISTENT_VOTER_SET
        "The sender or receiver is not one of the expected voters.";
     95 InvalidUpdateVersion INVALID_UPDATE_VERSION "The update's version is not valid.";
     96 FeatureUpdateFailed FEATURE_UPDATE_FAILED "The features could not be updated.";
     97 PrincipalDeserializationFailure PRINCIPAL_DESERIALIZATION_FAILURE
        "The forwarded principal cannot be read.";
     98 SnapshotNotFound SNAPSHOT_NOT_FOUND "There is no such snapshot.";
     99 PositionOutOfRange POSITION_OUT_OF_RANGE "The position is outside of the snapshot.";
    100 UnknownTopicId UNKNOWN_TOPIC_ID retriable "This broker has no topic of this id.";
    101 DuplicateBrokerRegistration DUPLICATE_BROKER_REGISTRATION
        "Another broker uses this broker id.";
    102 BrokerIdNotRegistered BROKER_ID_NOT_REGISTERED "No broker of this id is registered.";
    103 InconsistentTopicId INCONSISTENT_TOPIC_ID retriable "The log belongs to another topic id.";
    104 InconsistentClusterId INCONSISTENT_CLUSTER_ID "The cluster has another id.";
    105 TransactionalIdNotFound TRANSACTIONAL_ID_NOT_FOUND "There is no such transactional id.";
    106 FetchSessionTopicIdError FETCH_SESSION_TOPIC_ID_ERROR
        retriable "The fetch session mixes topic ids with names.";
    107 IneligibleReplica INELIGIBLE_REPLICA "A replica cannot be taken into the in-sync set.";
    108 NewLeaderElected NEW_LEADER_ELECTED "The partition changed, and has another leader now.";
    109 OffsetMovedToTieredStorage OFFSET_MOVED_TO_TIERED_STORAGE
        "The offset's records are in tiered storage only.";
    110 FencedMemberEpoch FENCED_MEMBER_EPOCH
        "The member's epoch is fenced; give up all partitions and join again.";
    111 UnreleasedInstanceId UNRELEASED_INSTANCE_ID "Another member still holds this instance id.";
    112 UnsupportedAssignor UNSUPPORTED_ASSIGNOR
        "The group cannot use this assignor or its version.";
    113 StaleMemberEpoch STALE_MEMBER_EPOCH
        "The member's epoch is an old one; retry after the next heartbeat.";
    114 MismatchedEndpointType MISMATCHED_ENDPOINT_TYPE
        "The request went to the wrong kind of endpoint.";
    115 UnsupportedEndpointType UNSUPPORTED_ENDPOINT_TYPE
        "Endpoints of this type are not supported.";
    116 UnknownControllerId UNKNOWN_CONTROLLER_ID "There is no controller of this id.";
    117 UnknownSubscriptionId UNKNOWN_SUBSCRIPTION_ID
        "The telemetry subscription is not the present one.";
    118 TelemetryTooLarge TELEMETRY_TOO_LARGE "The telemetry is larger than the broker accepts.";
    119 InvalidRegistration INVALID_REGISTRATION
        "The controller refused the broker's registration.";
    120 TransactionAbortable TRANSACTION_ABORTABLE
        "The transaction failed; abort it to go on with this transactional id.";
    121 InvalidRecordState INVALID_RECORD_STATE
        "The record is not in a state that allows this acknowledgement.";
    122 ShareSessionNotFound SHARE_SESSION_NOT_FOUND retriable "There is no such share session.";
    123 InvalidShareSessionEpoch INVALID_SHARE_SESSION_EPOCH
        retriable "The share session is in another epoch.";
    124 FencedStateEpoch FENCED_STATE_EPOCH "The state's epoch is an old one.";
    125 InvalidVoterKey INVALID_VOTER_KEY "The voter's key is not this replica's.";
    126 DuplicateVoter DUPLICATE_VOTER "The voter is one already.";
    127 VoterNotFound VOTER_NOT_FOUND "There is no such voter.";
    128 InvalidRegularExpression INVALID_REGULAR_EXPRESSION "The regular expression is not valid.";
    129 RebootstrapRequired REBOOTSTRAP_REQUIRED
        "The client's metadata is too old; bootstrap again.";
    130 StreamsInvalidTopology STREAMS_INVALID_TOPOLOGY "The topology is not valid.";
    131 StreamsInvalidTopologyEpoch STREAMS_INVALID_TOPOLOGY_EPOCH
        "The topology's epoch is not valid.";
    132 StreamsTopologyFenced STREAMS_TOPOLOGY_FENCED "The topology's epoch is an old one.";
    133 ShareSessionLimitReached SHARE_SESSION_LIMIT_REACHED
        retriable "There are as many share sessions as there may be.";
    134 GroupDeletionFailed GROUP_DELETION_FAILED
        "The group could not be deleted; its own message says why.";
    135 StreamsTopologyDescriptionUpdateFailed STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED
        "The topology description could not be updated; the message says why.";
    136 ControllerIdNotRegistered CONTROLLER_ID_NOT_REGISTERED
        "No controller of this id is registered.";
}
