//! The one table of Kafka's APIs: which are served, in which versions, by which messages.
//!
//! The table at the end of this file is what `ApiVersions` answers with, what a request header is
//! checked against, and what ties a message to its API.

use std::fmt;

use crate::codec::{Field, Version};
use crate::error::{DecodeError, EncodeError, Malformed};
use crate::messages::*;
use crate::reader::Reader;
use crate::writer::Writer;

/// The versions of an API that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// First version served.
    pub min: i16,
    /// Last version served.
    pub max: i16,
    /// First version in the answer to `ApiVersions`. Produce says 0 although 0 to 2 are refused:
    /// librdkafka takes a broker without Produce 0 for one it cannot talk to (KAFKA-18659).
    pub advertised_min: i16,
    /// First version with compact lengths and tagged fields, in the message and in its headers.
    pub first_flexible: i16,
}

impl Served {
    /// Whether the version is served.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// A request or response of a served API.
///
/// The body alone; `header` has the functions that add headers and frame.
pub trait Message: Field + Clone + fmt::Debug + Default + PartialEq {
    /// The API it belongs to.
    const API: ApiKey;
    /// The versions of this API.
    const SERVED: Served;
    /// Kafka's name of the message.
    const NAME: &'static str;

    /// Reads a message, and leaves the reader at what follows it.
    ///
    /// # Errors
    /// The version is not served, or the bytes are not such a message.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        match Self::SERVED.contains(version) {
            true => Self::read(reader, self::version::<Self>(version)),
            false => Err(DecodeError::from(Malformed::Version(version)).at(Self::NAME)),
        }
    }

    /// Appends the message. What the version cannot carry shows in [`Writer::finish`].
    fn encode(&self, writer: &mut Writer, version: i16) {
        match Self::SERVED.contains(version) {
            true => self.write(writer, self::version::<Self>(version)),
            false => writer.fail(EncodeError::Version { message: Self::NAME, version }),
        }
    }
}

/// What the codec has to know of a version of the message.
pub(crate) fn version<M: Message>(number: i16) -> Version {
    Version { number, flexible: number >= M::SERVED.first_flexible }
}

/// A request, with the response that answers it.
pub trait Request: Message {
    /// What it is answered with.
    type Response: Response;
}

/// A response.
pub trait Response: Message {}

/// Something done with every message of the table, for tests.
#[cfg(feature = "populate")]
pub trait EachApi {
    /// One API.
    fn api<R: Request>(&mut self);
}

macro_rules! apis {
    ($(
        $key:literal $name:ident $(
            $min:literal..=$max:literal $((advertised from $advertised:literal))?,
            flexible $flexible:literal,
            $module:ident::{$request:ident, $response:ident}
        )?;
    )*) => {
        /// Kafka's APIs, by key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("Key ", stringify!($key), ".")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// Every API, by key.
            pub const ALL: &[ApiKey] = &[$(ApiKey::$name),*];

            /// The API of a request header's key.
            #[must_use]
            pub const fn from_i16(key: i16) -> Option<ApiKey> {
                match key {
                    $($key => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name of it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// The versions served, if any.
            #[must_use]
            pub const fn served(self) -> Option<Served> {
                match self {
                    $(ApiKey::$name => option!($($module::$request::SERVED)?),)*
                }
            }
        }

        $($(
            impl Message for $module::$request {
                const API: ApiKey = ApiKey::$name;
                const SERVED: Served = Served {
                    min: $min,
                    max: $max,
                    advertised_min: first!($($advertised,)? $min),
                    first_flexible: $flexible,
                };
                const NAME: &'static str = stringify!($request);
            }

            impl Message for $module::$response {
                const API: ApiKey = ApiKey::$name;
                const SERVED: Served = $module::$request::SERVED;
                const NAME: &'static str = stringify!($response);
            }

            impl Request for $module::$request {
                type Response = $module::$response;
            }

            impl Response for $module::$response {}
        )?)*

        /// Calls the visitor for every served API, by key.
        #[cfg(feature = "populate")]
        pub fn each_api(visitor: &mut impl EachApi) {
            $($(visitor.api::<$module::$request>();)?)*
        }
    };
}

macro_rules! option {
    () => {
        None
    };
    ($some:expr) => {
        Some($some)
    };
}

macro_rules! first {
    ($first:literal $(, $second:literal)?) => {
        $first
    };
}

impl ApiKey {
    /// Whether requests of this API and version are served.
    #[must_use]
    pub fn serves(self, version: i16) -> bool {
        self.served().is_some_and(|served| served.contains(version))
    }

    /// The served APIs with the first and last version to tell clients, by key.
    pub fn advertised() -> impl Iterator<Item = (ApiKey, i16, i16)> {
        let row = |api: &ApiKey| api.served().map(|s| (*api, s.advertised_min, s.max));
        ApiKey::ALL.iter().filter_map(row)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// A row is an API's key and name and, where it is served, its versions, its first flexible version
// (32767 for none) and its messages.
#[rustfmt::skip]
apis! {
     0 Produce 3..=13 (advertised from 0), flexible 9, produce::{ProduceRequest, ProduceResponse};
     1 Fetch 4..=18, flexible 12, fetch::{FetchRequest, FetchResponse};
     2 ListOffsets 1..=11, flexible 6, list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
     3 Metadata 0..=13, flexible 9, metadata::{MetadataRequest, MetadataResponse};
     4 LeaderAndIsr;
     5 StopReplica;
     6 UpdateMetadata;
     7 ControlledShutdown;
     8 OffsetCommit 2..=10, flexible 8,
        offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
     9 OffsetFetch 1..=10, flexible 6,
        offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
    10 FindCoordinator 0..=6, flexible 3,
        find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
    11 JoinGroup 0..=9, flexible 6, join_group::{JoinGroupRequest, JoinGroupResponse};
    12 Heartbeat 0..=4, flexible 4, heartbeat::{HeartbeatRequest, HeartbeatResponse};
    13 LeaveGroup 0..=5, flexible 4, leave_group::{LeaveGroupRequest, LeaveGroupResponse};
    14 SyncGroup 0..=5, flexible 4, sync_group::{SyncGroupRequest, SyncGroupResponse};
    15 DescribeGroups 0..=6, flexible 5,
        describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
    16 ListGroups 0..=5, flexible 3, list_groups::{ListGroupsRequest, ListGroupsResponse};
    17 SaslHandshake 0..=1, flexible 32767,
        sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
    18 ApiVersions 0..=4, flexible 3, api_versions::{ApiVersionsRequest, ApiVersionsResponse};
    19 CreateTopics 2..=7, flexible 5, create_topics::{CreateTopicsRequest, CreateTopicsResponse};
    20 DeleteTopics 1..=6, flexible 4, delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
    21 DeleteRecords;
    22 InitProducerId 0..=5, flexible 2,
        init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
    23 OffsetForLeaderEpoch 2..=4, flexible 4,
        offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
    24 AddPartitionsToTxn;
    25 AddOffsetsToTxn;
    26 EndTxn;
    27 WriteTxnMarkers;
    28 TxnOffsetCommit;
    29 DescribeAcls;
    30 CreateAcls;
    31 DeleteAcls;
    32 DescribeConfigs 1..=4, flexible 4,
        describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
    33 AlterConfigs 0..=2, flexible 2, alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
    34 AlterReplicaLogDirs;
    35 DescribeLogDirs;
    36 SaslAuthenticate;
    37 CreatePartitions 0..=3, flexible 2,
        create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
    38 CreateDelegationToken;
    39 RenewDelegationToken;
    40 ExpireDelegationToken;
    41 DescribeDelegationToken;
    42 DeleteGroups 0..=2, flexible 2,
        delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
    43 ElectLeaders;
    44 IncrementalAlterConfigs 0..=1, flexible 1,
        incremental_alter_configs::{
            IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse
        };
    45 AlterPartitionReassignments;
    46 ListPartitionReassignments;
    47 OffsetDelete 0..=0, flexible 32767,
        offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
    48 DescribeClientQuotas;
    49 AlterClientQuotas;
    50 DescribeUserScramCredentials;
    51 AlterUserScramCredentials;
    52 Vote;
    53 BeginQuorumEpoch;
    54 EndQuorumEpoch;
    55 DescribeQuorum;
    56 AlterPartition;
    57 UpdateFeatures;
    58 Envelope;
    59 FetchSnapshot;
    60 DescribeCluster 0..=2, flexible 0,
        describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
    61 DescribeProducers;
    62 BrokerRegistration;
    63 BrokerHeartbeat;
    64 UnregisterBroker;
    65 DescribeTransactions;
    66 ListTransactions;
    67 AllocateProducerIds;
    68 ConsumerGroupHeartbeat 0..=1, flexible 0,
        consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
    69 ConsumerGroupDescribe 0..=1, flexible 0,
        consumer_group_describe::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
    70 ControllerRegistration;
    71 GetTelemetrySubscriptions;
    72 PushTelemetry;
    73 AssignReplicasToDirs;
    74 ListConfigResources 0..=1, flexible 0,
        list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse};
    75 DescribeTopicPartitions;
    76 ShareGroupHeartbeat;
    77 ShareGroupDescribe;
    78 ShareFetch;
    79 ShareAcknowledge;
    80 AddRaftVoter;
    81 RemoveRaftVoter;
    82 UpdateRaftVoter;
    83 InitializeShareGroupState;
    84 ReadShareGroupState;
    85 WriteShareGroupState;
    86 DeleteShareGroupState;
    87 ReadShareGroupStateSummary;
    88 StreamsGroupHeartbeat;
    89 StreamsGroupDescribe;
    90 DescribeShareGroupOffsets;
    91 AlterShareGroupOffsets;
    92 DeleteShareGroupOffsets;
    93 StreamsGroupTopologyDescriptionUpdate;
    94 UnregisterController;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::list_offsets::ListOffsetsRequest;

    #[test]
    fn keys_are_those_of_the_wire() {
        for (key, api) in (0..).zip(ApiKey::ALL) {
            assert_eq!(*api as i16, key);
            assert_eq!(ApiKey::from_i16(key), Some(*api));
        }
        assert_eq!(ApiKey::ALL.len(), 95);
        assert_eq!(ApiKey::from_i16(95), None);
        assert_eq!(ApiKey::from_i16(-1), None);
    }

    #[test]
    fn served_versions_have_two_ends() {
        for (api, version, serves) in [
            (ApiKey::Produce, 2, false),
            (ApiKey::Produce, 3, true),
            (ApiKey::Produce, 13, true),
            (ApiKey::Produce, 14, false),
            (ApiKey::ApiVersions, -1, false),
            (ApiKey::LeaderAndIsr, 0, false),
        ] {
            assert_eq!(api.serves(version), serves, "{api} {version}");
        }
    }

    #[test]
    fn produce_is_advertised_from_0_and_nothing_else_differs() {
        let advertised: Vec<_> = ApiKey::advertised().collect();
        assert_eq!(advertised[0], (ApiKey::Produce, 0, 13));
        for &(api, min, max) in &advertised[1..] {
            let served = api.served().unwrap();
            assert_eq!((min, max), (served.min, served.max), "{api}");
        }
    }

    #[test]
    fn other_versions_are_neither_read_nor_written() {
        let mut reader = Reader::new(bytes::Bytes::from_static(&[0; 64]));
        let error = ListOffsetsRequest::decode(&mut reader, 0).unwrap_err();
        assert_eq!(error.to_string(), "ListOffsetsRequest: version 0 is not served");
        let mut writer = Writer::new();
        ListOffsetsRequest::default().encode(&mut writer, 12);
        let error = writer.finish().unwrap_err();
        assert_eq!(error.to_string(), "ListOffsetsRequest: version 12 is not served");
    }
}
