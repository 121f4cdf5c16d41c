//! Produce: validated batches go to the engine; the answer comes when they are as durable as their
//! topics ask.

use std::rc::Rc;

use bytes::Bytes;
use corelog_drive::{Close, Response};
use corelog_engine::id::Timestamp;
use corelog_engine::record::{Invalid, TimestampType, validate};
use corelog_engine::shard::request::{Append, AppendError, Appended, Piece, Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, encode};
use crate::broker::node::Node;
use crate::broker::topics::{self, KnownTopic};
use crate::broker::translate::{self, Told};

/// Kafka's own tools write internal topics under this client id.
const ADMIN_CLIENT: &str = "__admin_client";

/// When a client wants to hear of its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    /// Never; an error closes the connection, as in Kafka.
    None,
    Leader,
    All,
}

/// A refused batch, as it is answered.
struct Refused {
    told: Told,
    records: Vec<BatchIndexAndErrorMessage>,
}

/// The answer in the making: where the engine's results go.
struct Draft {
    response: ProduceResponse,
    /// Topic and partition of each append, by their places in the response.
    places: Vec<(usize, usize)>,
}

pub(crate) async fn handle(call: Call, request: ProduceRequest) -> Result<Response, Close> {
    let acks = acks(request.acks);
    let (mut draft, appends) = draft(&call, &request, acks);
    if appends.is_empty() {
        return Ok(Box::pin(async move { respond(&call, &draft.response, acks) }));
    }
    call.node.shard.ready_for_bytes().await;
    let pending = call.node.shard.submit(Request::Produce(appends));
    Ok(Box::pin(async move {
        if let Reply::Produce(results) = pending.await {
            draft.fill(results);
        }
        respond(&call, &draft.response, acks)
    }))
}

fn acks(acks: i16) -> Option<Acks> {
    match acks {
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        -1 => Some(Acks::All),
        _ => None,
    }
}

fn respond(
    call: &Call,
    response: &ProduceResponse,
    acks: Option<Acks>,
) -> Result<Vec<Piece>, Close> {
    if acks != Some(Acks::None) {
        return encode(&call.header, response);
    }
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let failed = partitions.map(|partition| partition.error_code).find(|e| *e != ErrorCode::None);
    match failed {
        Some(error) => {
            Err(Close(format!("a produce request without acks failed: {}", error.name()).into()))
        }
        None => Ok(Vec::new()),
    }
}

fn draft(call: &Call, request: &ProduceRequest, acks: Option<Acks>) -> (Draft, Vec<Append>) {
    let mut draft = Draft { response: ProduceResponse::default(), places: Vec::new() };
    let mut appends = Vec::new();
    for data in &request.topic_data {
        let topic = find_topic(call, request, data, acks);
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for partition in &data.partition_data {
            let append = topic.as_ref().map_err(Told::clone).map_err(Refused::from);
            let append = append.and_then(|topic| {
                prepare(&call.node, call.header.version, topic, partition.index, &partition.records)
            });
            let mut answer = unanswered(partition.index);
            match append {
                Ok(append) => {
                    draft.places.push((draft.response.responses.len(), partitions.len()));
                    appends.push(append);
                }
                Err(refused) => refused.tell(&mut answer),
            }
            partitions.push(answer);
        }
        draft.response.responses.push(TopicProduceResponse {
            name: data.name.clone(),
            topic_id: data.topic_id,
            partition_responses: partitions,
        });
    }
    (draft, appends)
}

fn find_topic(
    call: &Call,
    request: &ProduceRequest,
    data: &TopicProduceData,
    acks: Option<Acks>,
) -> Result<Rc<KnownTopic>, Told> {
    if acks.is_none() {
        return Err(Told::of(ErrorCode::InvalidRequiredAcks));
    }
    if request.transactional_id.is_some() {
        let why = "Transactions are not served yet; produce without a transactional id.";
        return Err(Told::new(ErrorCode::InvalidTxnState, why));
    }
    if data.topic_id.is_zero() && call.header.version >= 13 {
        return Err(Told::of(ErrorCode::UnknownTopicId));
    }
    let topic = topics::find(&call.node.image(), data.topic_id, &data.name).map_err(Told::of)?;
    if topic.is_internal() && call.header.client_id != ADMIN_CLIENT {
        return Err(Told::of(ErrorCode::InvalidTopicException));
    }
    Ok(call.node.topics.get(&topic))
}

/// Validates a batch and makes it what is to be stored.
fn prepare(
    node: &Node,
    version: i16,
    topic: &KnownTopic,
    index: i32,
    records: &Option<Bytes>,
) -> Result<Append, Refused> {
    let partition = topic.partition(index).map_err(Told::of)?;
    let bytes = records.as_ref().filter(|bytes| !bytes.is_empty());
    let Some(bytes) = bytes else { return Err(Refused::from(&Invalid::NoBatch)) };
    let facts = validate(bytes, &topic.rules(version), node.shard.now().wall)
        .map_err(|invalid| Refused::from(&invalid))?;
    let most = topic.config.segment.bytes;
    if facts.total_len() > most as usize {
        let why = format!("The batch is larger than a segment: segment.bytes is {most}.");
        return Err(Told::new(ErrorCode::RecordListTooLarge, why).into());
    }
    if facts.header.is_transactional() {
        let why = "Transactions are not served yet; the batch claims to be part of one.";
        return Err(Told::new(ErrorCode::InvalidTxnState, why).into());
    }
    let log_append = facts.timestamps == TimestampType::LogAppend;
    let append_time = if log_append { facts.max_timestamp } else { Timestamp::NONE };
    let batch = bytes.slice(..facts.total_len());
    let as_sent = facts.header.timestamp_type() == facts.timestamps
        && facts.header.max_timestamp == facts.max_timestamp;
    if as_sent {
        return Ok(Append { partition, header: facts.header, batch, append_time });
    }
    let mut stored = batch.to_vec();
    let header = facts.stamp(&mut stored, facts.header.base_offset, facts.header.leader_epoch);
    Ok(Append { partition, header, batch: stored.into(), append_time })
}

fn unanswered(index: i32) -> PartitionProduceResponse {
    PartitionProduceResponse { index, base_offset: -1, ..PartitionProduceResponse::default() }
}

impl Draft {
    fn fill(&mut self, results: Vec<Result<Appended, AppendError>>) {
        for ((topic, partition), result) in self.places.iter().zip(results) {
            let topic = &mut self.response.responses[*topic];
            let by_id = !topic.topic_id.is_zero();
            let answer = &mut topic.partition_responses[*partition];
            match result {
                Ok(appended) => {
                    answer.base_offset = appended.base.0;
                    answer.log_append_time_ms = appended.append_time.0;
                    answer.log_start_offset = appended.log_start.0;
                }
                Err(AppendError::UnknownPartition) if by_id => {
                    Refused::from(Told::of(ErrorCode::UnknownTopicId)).tell(answer);
                }
                Err(error) => Refused::from(translate::append(&error)).tell(answer),
            }
        }
    }
}

impl Refused {
    fn tell(self, answer: &mut PartitionProduceResponse) {
        answer.error_code = self.told.code;
        answer.error_message = self.told.message;
        answer.record_errors = self.records;
    }
}

impl From<Told> for Refused {
    fn from(told: Told) -> Refused {
        Refused { told, records: Vec::new() }
    }
}

impl From<&Invalid> for Refused {
    fn from(invalid: &Invalid) -> Refused {
        let rejections = match invalid {
            Invalid::Rejected(rejections) | Invalid::RejectedTimestamp(rejections) => {
                rejections.as_slice()
            }
            _ => &[],
        };
        let records = rejections.iter().map(|rejection| BatchIndexAndErrorMessage {
            batch_index: rejection.index as i32,
            batch_index_error_message: Some(Str::from(rejection.rule.to_string())),
        });
        Refused { told: translate::invalid(invalid), records: records.collect() }
    }
}
