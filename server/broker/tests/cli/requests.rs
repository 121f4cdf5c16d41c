//! Requests that are served, that name what is not there, and that are wrong, for every API.

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::alter_configs::{self, AlterConfigsRequest};
use corelog_wire::messages::api_versions::ApiVersionsRequest;
use corelog_wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use corelog_wire::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use corelog_wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use corelog_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use corelog_wire::messages::delete_groups::DeleteGroupsRequest;
use corelog_wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use corelog_wire::messages::describe_cluster::DescribeClusterRequest;
use corelog_wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use corelog_wire::messages::describe_groups::DescribeGroupsRequest;
use corelog_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use corelog_wire::messages::find_coordinator::FindCoordinatorRequest;
use corelog_wire::messages::heartbeat::HeartbeatRequest;
use corelog_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use corelog_wire::messages::init_producer_id::InitProducerIdRequest;
use corelog_wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use corelog_wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use corelog_wire::messages::list_config_resources::ListConfigResourcesRequest;
use corelog_wire::messages::list_groups::ListGroupsRequest;
use corelog_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use corelog_wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use corelog_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use corelog_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use corelog_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use corelog_wire::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use corelog_wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use corelog_wire::messages::sasl_handshake::SaslHandshakeRequest;
use corelog_wire::messages::sync_group::SyncGroupRequest;
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::answers::Asker;

const UNKNOWN: Uuid = Uuid([0xc0; 16]);
/// Kafka's codes of what has configs.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const SESSION_MS: i32 = 10_000;

/// Names of topics and groups: one that is there, unless it is a group, and others.
fn names() -> [Str; 5] {
    ["t".into(), "missing".into(), "a/b".into(), "".into(), "x".repeat(32_767).into()]
}

/// Ids of topics: one that is there, none, and one that nobody has.
fn ids(topic: Uuid) -> [Uuid; 3] {
    [topic, Uuid::ZERO, UNKNOWN]
}

pub(crate) fn ask_everything(asker: &mut Asker) {
    let topic = CreatableTopic {
        name: "t".into(),
        num_partitions: 2,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let topic = asker.ask(7, &request).expect("created").topics[0].topic_id;
    about_the_broker(asker);
    about_topics(asker, topic);
    about_records(asker, topic);
    about_configs(asker);
    about_groups(asker);
    about_offsets(asker, topic);
    members(asker);
    changes(asker);
}

fn about_the_broker(asker: &mut Asker) {
    let (client_software_name, client_software_version) = ("test".into(), "1".into());
    asker.ask_all(&ApiVersionsRequest { client_software_name, client_software_version });
    asker.ask_all(&ApiVersionsRequest::default());
    for endpoint_type in 0..=3 {
        asker.ask_all(&DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            endpoint_type,
            include_fenced_brokers: endpoint_type == 2,
        });
    }
    asker.ask_all(&DescribeClusterRequest::default());
    for mechanism in ["PLAIN", ""] {
        asker.ask_all(&SaslHandshakeRequest { mechanism: mechanism.into() });
    }
    for transactional_id in [None, Some("".into()), Some("t".into())] {
        for (producer_id, producer_epoch) in [(-1, -1), (1, 0), (1, -1), (-1, 0)] {
            asker.ask_all(&InitProducerIdRequest {
                transactional_id: transactional_id.clone(),
                transaction_timeout_ms: 1,
                producer_id,
                producer_epoch,
            });
        }
    }
}

fn about_topics(asker: &mut Asker, topic: Uuid) {
    let metadata = |topics| MetadataRequest {
        topics,
        allow_auto_topic_creation: true,
        include_topic_authorized_operations: false,
        include_cluster_authorized_operations: false,
    };
    asker.ask_all(&metadata(None));
    asker.ask_all(&metadata(Some(Vec::new())));
    for name in names().map(Some).into_iter().chain([None]) {
        for topic_id in ids(topic) {
            let wanted = MetadataRequestTopic { topic_id, name: name.clone() };
            asker.ask_all(&metadata(Some(vec![wanted.clone()])));
            asker.ask_all(&metadata(Some(vec![wanted, MetadataRequestTopic::default()])));
        }
    }
    let request = MetadataRequest {
        include_topic_authorized_operations: true,
        include_cluster_authorized_operations: true,
        ..metadata(None)
    };
    asker.ask_all(&request);
    for name in names() {
        for timestamp in [-1, -2, -3, -4, -5, -6, 0] {
            let partition =
                |partition_index| ListOffsetsPartition { partition_index, timestamp, ..default() };
            let partitions = [0, 99, -1].map(partition).into();
            let topics = vec![ListOffsetsTopic { name: name.clone(), partitions }];
            asker.ask_all(&ListOffsetsRequest { topics, ..default() });
        }
        for leader_epoch in [-1, 0, 1, 99] {
            let partition =
                |partition| OffsetForLeaderPartition { partition, leader_epoch, ..default() };
            let partitions = [0, 99, -1].map(partition).into();
            let topics = vec![OffsetForLeaderTopic { topic: name.clone(), partitions }];
            asker.ask_all(&OffsetForLeaderEpochRequest { topics, ..default() });
        }
    }
}

fn about_records(asker: &mut Asker, topic: Uuid) {
    for (name, topic_id) in named_and_identified(topic) {
        for records in [None, Some(b"".as_slice()), Some(b"no batch")] {
            let data = |index| PartitionProduceData { index, records: records.map(Into::into) };
            let partition_data = [0, 99, -1].map(data).into();
            let topic_data =
                vec![TopicProduceData { name: name.clone(), topic_id, partition_data }];
            for (acks, transactional_id) in [(-1, None), (1, Some("".into())), (7, None)] {
                let topic_data = topic_data.clone();
                asker.ask_all(&ProduceRequest {
                    transactional_id,
                    acks,
                    timeout_ms: 1,
                    topic_data,
                });
            }
        }
        for (fetch_offset, session_id, session_epoch) in
            [(0, 0, -1), (9, 0, 0), (0, 7, 0), (0, 7, 1), (-1, 0, -1), (0, i32::MIN, i32::MIN)]
        {
            let partition =
                |partition| FetchPartition { partition, fetch_offset, ..FetchPartition::default() };
            let partitions = [0, 99, -1].map(partition).into();
            let topics = vec![FetchTopic { topic: name.clone(), topic_id, partitions }];
            asker.ask_all(&FetchRequest { topics, session_id, session_epoch, ..default() });
        }
    }
    asker.ask_all(&FetchRequest::default());
}

/// Each name with each id, for requests that have one or the other by version.
fn named_and_identified(topic: Uuid) -> Vec<(Str, Uuid)> {
    names().into_iter().zip(ids(topic).into_iter().cycle()).collect()
}

fn about_configs(asker: &mut Asker) {
    for resource_type in [TOPIC, BROKER, GROUP, 16, 0, -1] {
        for resource_name in names().into_iter().chain(["1".into(), "7".into()]) {
            for configuration_keys in [None, Some(Vec::new()), Some(vec!["none".into()])] {
                let resource_name = resource_name.clone();
                let resource =
                    DescribeConfigsResource { resource_type, resource_name, configuration_keys };
                asker.ask_all(&DescribeConfigsRequest {
                    resources: vec![resource],
                    include_synonyms: true,
                    include_documentation: false,
                });
            }
            change_configs(asker, resource_type, &resource_name);
        }
        asker.ask_all(&ListConfigResourcesRequest { resource_types: vec![resource_type] });
    }
    let resource = DescribeConfigsResource { resource_type: TOPIC, ..default() };
    let resources = vec![resource];
    let include_documentation = true;
    asker.ask_all(&DescribeConfigsRequest { resources, include_documentation, ..default() });
    asker.ask_all(&ListConfigResourcesRequest::default());
}

fn change_configs(asker: &mut Asker, resource_type: i8, resource_name: &Str) {
    for (name, value) in [
        ("cleanup.policy", Some("compact")),
        ("cleanup.policy", Some("")),
        ("consumer.session.timeout.ms", Some("1")),
        ("none", Some("1")),
        ("none", None),
    ] {
        let (name, value): (Str, Option<Str>) = (name.into(), value.map(Into::into));
        for config_operation in [0, 1, 2, 3, 4, -1] {
            let (name, value) = (name.clone(), value.clone());
            let configs = vec![AlterableConfig { name, config_operation, value }];
            let resource_name = resource_name.clone();
            let resources = vec![AlterConfigsResource { resource_type, resource_name, configs }];
            let validate_only = config_operation == 2;
            asker.ask_all(&IncrementalAlterConfigsRequest { resources, validate_only });
        }
        let configs = vec![alter_configs::AlterableConfig { name, value }];
        let resource_name = resource_name.clone();
        let resource =
            alter_configs::AlterConfigsResource { resource_type, resource_name, configs };
        asker.ask_all(&AlterConfigsRequest { resources: vec![resource], ..default() });
    }
}

fn about_groups(asker: &mut Asker) {
    for key_type in [0, 1, 2, 3, -1] {
        for key in names() {
            asker.ask_all(&FindCoordinatorRequest { key: key.clone(), key_type, ..default() });
            let coordinator_keys = vec![key, "g".into()];
            asker.ask_all(&FindCoordinatorRequest { key_type, coordinator_keys, ..default() });
        }
    }
    for name in names() {
        for include_authorized_operations in [false, true] {
            asker.ask_all(&DescribeGroupsRequest {
                groups: vec![name.clone()],
                include_authorized_operations,
                include_history: include_authorized_operations,
            });
            let group_ids = vec![name.clone()];
            asker.ask_all(&ConsumerGroupDescribeRequest {
                group_ids,
                include_authorized_operations,
            });
        }
        asker.ask_all(&DeleteGroupsRequest { groups_names: vec![name.clone()] });
        asker.ask_all(&ListGroupsRequest { states_filter: vec![name.clone()], ..default() });
        asker.ask_all(&ListGroupsRequest { types_filter: vec![name], ..default() });
    }
    asker.ask_all(&ListGroupsRequest::default());
}

fn about_offsets(asker: &mut Asker, topic: Uuid) {
    for (name, topic_id) in named_and_identified(topic) {
        for group_id in [Str::from("offsets"), "".into()] {
            let partition = |partition_index| OffsetCommitRequestPartition {
                partition_index,
                committed_metadata: Some("m".into()),
                ..default()
            };
            let partitions = [0, 99].map(partition).into();
            let topic = OffsetCommitRequestTopic { name: name.clone(), topic_id, partitions };
            let (group_id, topics) = (group_id.clone(), vec![topic]);
            asker.ask_all(&OffsetCommitRequest { group_id: group_id.clone(), topics, ..default() });
            fetch_offsets(asker, &group_id, &name, topic_id);
            let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
            let partitions = [0, 99].map(partition).into();
            let topics = vec![OffsetDeleteRequestTopic { name: name.clone(), partitions }];
            asker.ask_all(&OffsetDeleteRequest { group_id, topics });
        }
    }
}

fn fetch_offsets(asker: &mut Asker, group_id: &Str, name: &Str, topic_id: Uuid) {
    let partition_indexes = vec![0, 99];
    let topic = OffsetFetchRequestTopic {
        name: name.clone(),
        partition_indexes: partition_indexes.clone(),
    };
    for topics in [None, Some(Vec::new()), Some(vec![topic])] {
        let group_id = group_id.clone();
        asker.ask_all(&OffsetFetchRequest { group_id, topics, ..default() });
    }
    let topic = OffsetFetchRequestTopics { name: name.clone(), topic_id, partition_indexes };
    for (topics, member_id) in [(None, None), (Some(vec![topic]), Some("nobody".into()))] {
        let member_epoch = if member_id.is_some() { 3 } else { -1 };
        let group_id = group_id.clone();
        let group = OffsetFetchRequestGroup { group_id, member_id, member_epoch, topics };
        asker.ask_all(&OffsetFetchRequest { groups: vec![group], ..default() });
    }
}

/// The life of a member, in the versions that go together.
fn members(asker: &mut Asker) {
    for version in 0..=9 {
        classic_member(asker, version);
    }
    for version in 0..=1 {
        for (group_id, member_id, member_epoch) in
            [("new", "m", 0), ("new", "m", 1), ("new", "m", 9), ("new", "", 5), ("", "m", 0)]
        {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: group_id.into(),
                member_id: member_id.into(),
                member_epoch,
                rebalance_timeout_ms: if member_epoch == 0 { SESSION_MS } else { -1 },
                subscribed_topic_names: Some(vec!["t".into()]),
                topic_partitions: (member_epoch == 0).then(Vec::new),
                ..default()
            };
            asker.ask(version, &request);
            let subscribed_topic_regex = Some("(".into());
            asker
                .ask(version, &ConsumerGroupHeartbeatRequest { subscribed_topic_regex, ..request });
        }
    }
    about_groups(asker);
}

fn classic_member(asker: &mut Asker, version: i16) {
    let group_id: Str = format!("g{version}").into();
    let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata: "".into() };
    let mut request = JoinGroupRequest {
        group_id: group_id.clone(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: SESSION_MS,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..default()
    };
    let mut joined = asker.ask(version, &request).expect("an answer");
    if joined.error_code == ErrorCode::MemberIdRequired {
        request.member_id = joined.member_id;
        joined = asker.ask(version, &request).expect("an answer");
    }
    assert_eq!(joined.error_code, ErrorCode::None, "{version}");
    for wrong in ["", "g"] {
        let (group_id, session_timeout_ms) = (wrong.into(), wrong.len() as i32);
        asker.ask(version, &JoinGroupRequest { group_id, session_timeout_ms, ..request.clone() });
    }
    for member_id in [joined.member_id.clone(), "nobody".into()] {
        let (group_id, generation_id) = (group_id.clone(), joined.generation_id);
        let sync = SyncGroupRequest { group_id, generation_id, member_id, ..default() };
        asker.ask_all(&sync);
        asker.ask_all(&SyncGroupRequest { protocol_type: Some("other".into()), ..sync.clone() });
        let SyncGroupRequest { group_id, generation_id, member_id, .. } = sync;
        asker.ask_all(&HeartbeatRequest { group_id, generation_id, member_id, ..default() });
    }
    about_groups(asker);
    for member_id in [joined.member_id, "nobody".into()] {
        let group_id = group_id.clone();
        let leave = LeaveGroupRequest { group_id, member_id, members: Vec::new() };
        asker.ask_all(&leave);
        let LeaveGroupRequest { group_id, member_id, .. } = leave;
        let members = vec![MemberIdentity { member_id, ..default() }];
        asker.ask_all(&LeaveGroupRequest { group_id, members, ..default() });
    }
}

/// What makes, grows and deletes topics, last.
fn changes(asker: &mut Asker) {
    for name in names() {
        for (num_partitions, replication_factor, value) in
            [(1, 1, Some("compact".into())), (0, 1, None), (-1, 3, None), (i32::MAX, 1, None)]
        {
            let config = CreatableTopicConfig { name: "cleanup.policy".into(), value };
            let topic = CreatableTopic {
                name: name.clone(),
                num_partitions,
                replication_factor,
                configs: vec![config],
                ..default()
            };
            asker.ask_all(&CreateTopicsRequest { topics: vec![topic], ..default() });
        }
        for count in [5, 1, -1, i32::MAX] {
            let topic = CreatePartitionsTopic { name: name.clone(), count, assignments: None };
            asker.ask_all(&CreatePartitionsRequest { topics: vec![topic], ..default() });
        }
    }
    for name in names() {
        asker.ask_all(&DeleteTopicsRequest { topic_names: vec![name.clone()], ..default() });
        for (name, topic_id) in [(Some(name), Uuid::ZERO), (None, UNKNOWN), (None, Uuid::ZERO)] {
            let topics = vec![DeleteTopicState { name, topic_id }];
            asker.ask_all(&DeleteTopicsRequest { topics, ..default() });
        }
    }
}

fn default<T: Default>() -> T {
    T::default()
}
