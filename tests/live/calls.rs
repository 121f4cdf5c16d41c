//! The requests that several tests make, with the versions they are made in.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelog_engine::record::FrameError as BatchFrameError;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use corelog_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use corelog_wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use corelog_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use corelog_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use corelog_wire::messages::init_producer_id::InitProducerIdRequest;
use corelog_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use corelog_wire::messages::metadata::{MetadataRequest, MetadataResponseTopic};
use corelog_wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use super::client::{Client, ClientError};

/// Produce by topic id.
pub const PRODUCE: i16 = 13;
/// Fetch by topic id.
pub const FETCH: i16 = 16;
/// All topics, with their ids.
pub const METADATA: i16 = 12;
/// Create topics, with their ids in the answer.
pub const CREATE_TOPICS: i16 = 7;
/// The version of the other requests here.
const DELETE_TOPICS: i16 = 6;
const LIST_OFFSETS: i16 = 7;
const INIT_PRODUCER_ID: i16 = 4;
const CREATE_PARTITIONS: i16 = 3;
const INCREMENTAL_ALTER_CONFIGS: i16 = 1;
/// Kafka's number for topics among the resources that have configs.
const TOPIC: i8 = 2;

/// The time at which `ListOffsets` gives the first offset.
pub const EARLIEST: i64 = -2;
/// The time at which `ListOffsets` gives the offset after the last.
pub const LATEST: i64 = -1;

/// Between two attempts.
const ASK_AGAIN: Duration = Duration::from_millis(5);
/// Kafka's milliseconds before a request is given up.
const TIMEOUT_MS: i32 = 30_000;

/// Why a call has no result.
#[derive(Debug)]
pub enum CallError {
    /// No response.
    Client(ClientError),
    /// The broker's error.
    Refused(ErrorCode),
    /// The response leaves out what was asked for.
    Missing,
    /// Records that are no batches.
    Batches(BatchFrameError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Client(error) => error.fmt(f),
            CallError::Refused(code) => code.fmt(f),
            CallError::Missing => f.write_str("the response leaves out what was asked for"),
            CallError::Batches(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CallError {}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> CallError {
        CallError::Client(error)
    }
}

/// Whether the code means: not yet, ask again. A broker may say so for a moment after its start or
/// after a topic's creation, or while too much waits for its disk.
#[must_use]
pub fn is_transient(code: ErrorCode) -> bool {
    use ErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, LeaderNotAvailable,
        NotLeaderOrFollower, ThrottlingQuotaExceeded, UnknownTopicId, UnknownTopicOrPartition,
    };
    [
        CoordinatorLoadInProgress,
        CoordinatorNotAvailable,
        LeaderNotAvailable,
        NotLeaderOrFollower,
        ThrottlingQuotaExceeded,
        UnknownTopicId,
        UnknownTopicOrPartition,
    ]
    .contains(&code)
}

/// Asks again for a while, as long as the broker says: not yet.
///
/// # Errors
/// Any other than that.
pub fn eventually<T>(
    within: Duration,
    mut ask: impl FnMut() -> Result<T, CallError>,
) -> Result<T, CallError> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(CallError::Refused(code)) if is_transient(code) && began.elapsed() < within => {
                sleep(ASK_AGAIN);
            }
            done => return done,
        }
    }
}

fn accepted(code: ErrorCode) -> Result<(), CallError> {
    match code {
        ErrorCode::None => Ok(()),
        code => Err(CallError::Refused(code)),
    }
}

/// A topic to create; every topic here has one replica.
#[derive(Clone, Copy, Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many partitions.
    pub partitions: i32,
    /// Settings.
    pub configs: &'a [(&'a str, &'a str)],
}

/// Creates a topic; gives its id.
///
/// # Errors
/// No response, or it is an error.
pub fn create_topic(client: &mut Client, topic: NewTopic<'_>) -> Result<Uuid, CallError> {
    let config = |&(name, value): &(&str, &str)| CreatableTopicConfig {
        name: name.into(),
        value: Some(value.into()),
    };
    let topic = CreatableTopic {
        name: topic.name.into(),
        num_partitions: topic.partitions,
        replication_factor: 1,
        configs: topic.configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let mut response = client.call(CREATE_TOPICS, &request)?;
    let result = response.topics.pop().ok_or(CallError::Missing)?;
    accepted(result.error_code).map(|()| result.topic_id)
}

/// Deletes a topic.
///
/// # Errors
/// No response, or it is an error.
pub fn delete_topic(client: &mut Client, topic_id: Uuid) -> Result<(), CallError> {
    let topics = vec![DeleteTopicState { name: None, topic_id }];
    let request =
        DeleteTopicsRequest { topics, timeout_ms: TIMEOUT_MS, ..DeleteTopicsRequest::default() };
    let response = client.call(DELETE_TOPICS, &request)?;
    accepted(response.responses.first().ok_or(CallError::Missing)?.error_code)
}

/// Gives a topic so many partitions.
///
/// # Errors
/// No response, or it is an error.
pub fn grow_topic(client: &mut Client, topic: &str, partitions: i32) -> Result<(), CallError> {
    let topic = CreatePartitionsTopic { name: topic.into(), count: partitions, assignments: None };
    let request = CreatePartitionsRequest {
        topics: vec![topic],
        timeout_ms: TIMEOUT_MS,
        validate_only: false,
    };
    let response = client.call(CREATE_PARTITIONS, &request)?;
    accepted(response.results.first().ok_or(CallError::Missing)?.error_code)
}

/// Sets a config of a topic.
///
/// # Errors
/// No response, or it is an error.
pub fn alter_topic(
    client: &mut Client,
    topic: &str,
    (name, value): (&str, &str),
) -> Result<(), CallError> {
    let (name, value) = (name.into(), Some(value.into()));
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.into(),
        configs: vec![AlterableConfig { name, value, ..AlterableConfig::default() }],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = client.call(INCREMENTAL_ALTER_CONFIGS, &request)?;
    accepted(response.responses.first().ok_or(CallError::Missing)?.error_code)
}

/// All topics but internal ones.
///
/// # Errors
/// No response, or a topic of it has an error.
pub fn topics(client: &mut Client) -> Result<Vec<MetadataResponseTopic>, CallError> {
    let request = MetadataRequest {
        topics: None,
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let mut topics = client.call(METADATA, &request)?.topics;
    topics.retain(|topic| !topic.is_internal);
    topics.iter().try_for_each(|topic| accepted(topic.error_code))?;
    Ok(topics)
}

/// The offset at a time, -1 for none.
///
/// # Errors
/// No response, or it is an error.
pub fn offset_at(
    client: &mut Client,
    topic: &str,
    partition: i32,
    timestamp: i64,
) -> Result<i64, CallError> {
    let partitions = vec![ListOffsetsPartition {
        partition_index: partition,
        timestamp,
        ..ListOffsetsPartition::default()
    }];
    let topics = vec![ListOffsetsTopic { name: topic.into(), partitions }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
    let response = client.call(LIST_OFFSETS, &request)?;
    let found = response.topics.first().and_then(|topic| topic.partitions.first());
    let found = found.ok_or(CallError::Missing)?;
    accepted(found.error_code).map(|()| found.offset)
}

/// A new producer's id; its epoch is 0.
///
/// # Errors
/// No response, or it is an error.
pub fn producer_id(client: &mut Client) -> Result<i64, CallError> {
    let request = InitProducerIdRequest::default();
    let response = client.call(INIT_PRODUCER_ID, &request)?;
    accepted(response.error_code).map(|()| response.producer_id)
}

/// A request that produces one batch to each partition, acknowledged when durable.
#[must_use]
pub fn produce_request(batches: impl IntoIterator<Item = (Uuid, i32, Bytes)>) -> ProduceRequest {
    let mut topic_data: Vec<TopicProduceData> = Vec::new();
    for (topic_id, index, batch) in batches {
        let data = PartitionProduceData { index, records: Some(batch) };
        match topic_data.iter_mut().find(|topic| topic.topic_id == topic_id) {
            Some(topic) => topic.partition_data.push(data),
            None => topic_data.push(TopicProduceData {
                name: Str::new(),
                topic_id,
                partition_data: vec![data],
            }),
        }
    }
    ProduceRequest { transactional_id: None, acks: -1, timeout_ms: TIMEOUT_MS, topic_data }
}

/// Produces one batch, acknowledged when durable; gives its offset.
///
/// # Errors
/// No response, or it is an error.
pub fn produce(
    client: &mut Client,
    topic: Uuid,
    partition: i32,
    batch: Bytes,
) -> Result<i64, CallError> {
    let mut response = client.call(PRODUCE, &produce_request([(topic, partition, batch)]))?;
    let result = response.responses.pop().and_then(|mut topic| topic.partition_responses.pop());
    let PartitionProduceResponse { error_code, base_offset, .. } =
        result.ok_or(CallError::Missing)?;
    accepted(error_code).map(|()| base_offset)
}

/// Where to fetch from.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The topic.
    pub topic: Uuid,
    /// Its partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// How much a fetch may answer, and how long it waits for something.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In bytes.
    pub max_bytes: i32,
    /// In milliseconds.
    pub max_wait_ms: i32,
}

/// A fetch outside of any session.
#[must_use]
pub fn fetch_request(places: &[Place], limits: Limits) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for place in places {
        let partition = FetchPartition {
            partition: place.partition,
            fetch_offset: place.offset,
            partition_max_bytes: limits.max_bytes,
            ..FetchPartition::default()
        };
        match topics.iter_mut().find(|topic| topic.topic_id == place.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic: Str::new(),
                topic_id: place.topic,
                partitions: vec![partition],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: limits.max_wait_ms,
        min_bytes: 1,
        max_bytes: limits.max_bytes,
        topics,
        ..FetchRequest::default()
    }
}

/// Fetches from one partition.
///
/// # Errors
/// No response, or it is an error.
pub fn fetch(
    client: &mut Client,
    place: Place,
    limits: Limits,
) -> Result<PartitionData, CallError> {
    let mut response = client.call(FETCH, &fetch_request(&[place], limits))?;
    accepted(response.error_code)?;
    let data = response.responses.pop().and_then(|mut topic| topic.partitions.pop());
    let data = data.ok_or(CallError::Missing)?;
    accepted(data.error_code).map(|()| data)
}
