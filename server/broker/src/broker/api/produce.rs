//! Produce: validated batches go to the engine; the answer comes when they are as durable as their
//! topics ask.

use std::rc::Rc;

use bytes::Bytes;
use corelog_drive::{Answer, Charge, Close, Response};
use corelog_engine::id::Timestamp;
use corelog_engine::record::{Invalid, TimestampType};
use corelog_engine::shard::request::{Append, AppendError, Appended, Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, QUICK, answer, encode, make};
use crate::broker::check::{Checked, check};
use crate::broker::topics::{self, KnownTopic};
use crate::broker::translate::{self, Told};

/// Rejected records of one request that are named; the others are rejected all the same.
const MAX_REJECTIONS: usize = 1_000;
/// Bytes of one that is named, encoded and not.
const REJECTION: usize = 512;

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
#[derive(Default)]
struct Draft {
    response: ProduceResponse,
    /// Topic and partition of each append, by their places in the response.
    places: Vec<(usize, usize)>,
    /// Rejected records that are named.
    rejections: usize,
}

pub(crate) async fn handle(
    call: Call,
    request: ProduceRequest,
    mut charge: Charge,
) -> Result<Response, Close> {
    let acks = acks(request.acks);
    let (mut draft, appends) = draft(&call, &request, acks).await;
    call.node.shard.grow_work(&mut charge, (draft.rejections * REJECTION) as u64).await;
    if appends.is_empty() {
        return Ok(Box::pin(respond(call, draft.response, acks, charge)));
    }
    call.node.shard.ready_for_bytes().await;
    let pending = call.node.shard.submit(Request::Produce(appends));
    Ok(Box::pin(async move {
        if let Reply::Produce(results) = pending.await {
            draft.fill(&call, results).await;
        }
        respond(call, draft.response, acks, charge).await
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

async fn respond(
    call: Call,
    response: ProduceResponse,
    acks: Option<Acks>,
    charge: Charge,
) -> Result<Answer, Close> {
    if acks != Some(Acks::None) {
        return match charge.exceeds(QUICK) {
            true => make(&call.node, &call.header, move || response)(charge).await,
            false => encode(&call.header, &response).map(|pieces| answer(pieces, charge)),
        };
    }
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let failed = partitions.map(|partition| partition.error_code).find(|e| *e != ErrorCode::None);
    match failed {
        Some(error) => {
            Err(Close(format!("a produce request without acks failed: {}", error.name()).into()))
        }
        None => Ok(Vec::new().into()),
    }
}

async fn draft(call: &Call, request: &ProduceRequest, acks: Option<Acks>) -> (Draft, Vec<Append>) {
    let mut draft = Draft::default();
    let mut appends = Vec::new();
    for data in &request.topic_data {
        call.node.shard.breathe().await;
        let topic = find_topic(call, request, data, acks);
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for partition in &data.partition_data {
            call.node.shard.breathe().await;
            let append = match &topic {
                Ok(topic) => prepare(call, topic, partition.index, &partition.records).await,
                Err(told) => Err(told.clone().into()),
            };
            let mut answer = unanswered(partition.index);
            match append {
                Ok(append) => {
                    draft.places.push((draft.response.responses.len(), partitions.len()));
                    appends.push(append);
                }
                Err(refused) => draft.refuse(refused, &mut answer),
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
async fn prepare(
    call: &Call,
    topic: &KnownTopic,
    index: i32,
    records: &Option<Bytes>,
) -> Result<Append, Refused> {
    let partition = topic.partition(index).map_err(Told::of)?;
    let bytes = records.as_ref().filter(|bytes| !bytes.is_empty());
    let Some(bytes) = bytes else { return Err(Refused::from(&Invalid::NoBatch)) };
    let (rules, now) = (topic.rules(call.header.version), call.node.shard.now().wall);
    let checked = check(&call.node, bytes, rules, now).await;
    let Checked { facts, header, batch } = checked.map_err(|invalid| Refused::from(&invalid))?;
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
    Ok(Append { partition, header, batch, append_time })
}

fn unanswered(index: i32) -> PartitionProduceResponse {
    PartitionProduceResponse { index, base_offset: -1, ..PartitionProduceResponse::default() }
}

impl Draft {
    fn refuse(&mut self, mut refused: Refused, answer: &mut PartitionProduceResponse) {
        refused.records.truncate(MAX_REJECTIONS - self.rejections);
        refused.records.shrink_to_fit();
        self.rejections += refused.records.len();
        refused.tell(answer);
    }

    async fn fill(&mut self, call: &Call, results: Vec<Result<Appended, AppendError>>) {
        for ((topic, partition), result) in self.places.iter().zip(results) {
            call.node.shard.breathe().await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::record::validate::{BrokenRule, Rejection};

    #[test]
    fn no_more_rejected_records_are_named_than_are_charged_for() {
        let (timestamp, latest) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        let rule = BrokenRule::Timestamp { timestamp, earliest: timestamp, latest };
        let rejection = Rejection { index: u32::MAX, rule };
        let mut draft = Draft::default();
        for (rejected, named) in [(600, 600), (600, 400), (1, 0)] {
            let invalid = Invalid::RejectedTimestamp(vec![rejection; rejected]);
            let mut answer = unanswered(0);
            draft.refuse((&invalid).into(), &mut answer);
            assert_eq!(answer.error_code, ErrorCode::InvalidTimestamp);
            assert_eq!(answer.record_errors.len(), named);
            let texts = answer.record_errors.iter();
            let texts =
                texts.map(|record| record.batch_index_error_message.as_ref().unwrap().len());
            let each = size_of::<BatchIndexAndErrorMessage>() + 2 * texts.max().unwrap_or(0);
            assert!(each <= REJECTION, "{each}");
        }
        assert_eq!(draft.rejections, MAX_REJECTIONS);
    }
}
