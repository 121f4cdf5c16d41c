//! Fetch: a read over many partitions; records stay where they are until they are sent.

use corelog_drive::{Answer, Charge, Close, ShardHandle};
use corelog_engine::id::{LeaderEpoch, Offset};
use corelog_engine::log::EpochEnd;
use corelog_engine::shard::request::{Fetch, FetchPart, Fetched, Piece, ReadError, Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse,
    PartitionData,
};
use corelog_wire::messages::shared::{LeaderIdAndEpoch, NodeEndpoint};
use corelog_wire::records::Records;
use corelog_wire::text::Str;

use crate::broker::api::{Call, QUICK, encode, weave};
use crate::broker::topics;
use crate::broker::translate;

/// The epochs of a request that goes on with no session: the last of one, or the first of a new
/// one, whatever session it names beside that (`FetchMetadata.isFull`). A broker may always answer
/// that it has made none.
const FULL: [i32; 2] = [-1, 0];

/// The answer in the making: where the engine's results go.
struct Draft {
    response: FetchResponse,
    /// Topic and partition of each part, by their places in the response.
    places: Vec<(usize, usize)>,
    read_committed: ReadCommitted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadCommitted {
    Yes,
    No,
}

/// Answers when its turn has come: what it finds is held until it is sent. It waits for records
/// only while nobody waits for memory.
pub(crate) async fn handle(
    call: &Call,
    request: FetchRequest,
    work: Charge,
) -> Result<Answer, Close> {
    if !FULL.contains(&request.session_epoch) {
        let error_code = ErrorCode::FetchSessionIdNotFound;
        let response = FetchResponse { error_code, ..FetchResponse::default() };
        return encode(&call.header, &response).map(Answer::from);
    }
    let (mut draft, parts) = draft(call, &request).await;
    let now = call.node.shard.now().instant;
    let wait = if parts.is_empty() { 0 } else { request.max_wait_ms.max(0) as u64 };
    let max_bytes = (request.max_bytes.max(0) as u32).min(call.node.config.fetch_max_bytes);
    let fetch = Fetch {
        max_bytes,
        min_bytes: (request.min_bytes.max(0) as u32).min(max_bytes),
        deadline: now.plus_ms(wait),
        parts: parts.into(),
    };
    drop(request);
    let (shard, header) = (&call.node.shard, &call.header);
    let leader = leader(call);
    let (results, mut charge) = loop {
        let results = read(shard, &fetch).await;
        let pieces = results.iter().flatten().flat_map(|fetched| &fetched.pieces);
        if let Some(charge) = shard.charge_answer(pieces) {
            break (results, charge);
        }
        drop(results);
        shard.answers_left().await;
    };
    let mut bodies = draft.fill(shard, results, header.version, &leader).await;
    let header = header.clone();
    let is_wide = work.exceeds(QUICK);
    let finish = move || {
        let pieces = weave(&header, &draft.response, &mut bodies)?;
        charge.settle_answer(&pieces);
        // Of what was drafted; what it holds now is charged to the class of records.
        drop(work);
        Ok(Answer { pieces, charge: Some(charge) })
    };
    match is_wide {
        true => shard.offload(finish).await,
        false => finish(),
    }
}

async fn read(shard: &ShardHandle, fetch: &Fetch) -> Vec<Result<Fetched, ReadError>> {
    let at_once = Fetch { deadline: shard.now().instant, ..fetch.clone() };
    let (patient, at_once) = (Request::Fetch(fetch.clone()), Request::Fetch(at_once));
    match shard.submit_yielding(patient, at_once).await {
        Reply::Fetch(results) => results,
        _ => Vec::new(),
    }
}

/// Who leads every partition, and where: for a client whose epoch is an old one.
struct Leader {
    current: LeaderIdAndEpoch,
    endpoint: NodeEndpoint,
}

fn leader(call: &Call) -> Leader {
    let (node_id, leader_epoch) = (call.node.id(), call.node.leader_epoch().0);
    let advertised = &call.entrance.advertised;
    let endpoint = NodeEndpoint {
        node_id,
        host: Str::from(advertised.host.clone()),
        port: i32::from(advertised.port),
        rack: call.node.config.rack.clone().map(Str::from),
    };
    Leader { current: LeaderIdAndEpoch { leader_id: node_id, leader_epoch }, endpoint }
}

async fn draft(call: &Call, request: &FetchRequest) -> (Draft, Vec<FetchPart>) {
    let read_committed =
        if request.isolation_level == 1 { ReadCommitted::Yes } else { ReadCommitted::No };
    let response = FetchResponse::default();
    let mut draft = Draft { response, places: Vec::new(), read_committed };
    let mut parts = Vec::new();
    let image = call.node.image();
    for wanted in &request.topics {
        let topic = topics::find(&image, wanted.topic_id, &wanted.topic);
        let topic = if call.header.version >= 13 && wanted.topic_id.is_zero() {
            Err(ErrorCode::UnknownTopicId)
        } else {
            topic
        };
        let mut partitions = Vec::with_capacity(wanted.partitions.len());
        for partition in &wanted.partitions {
            call.node.shard.breathe().await;
            let found = topic.as_ref().map_err(|error| *error);
            let found = found.and_then(|t| topics::partition(t, partition.partition));
            match found {
                Ok(found) => {
                    draft.places.push((draft.response.responses.len(), partitions.len()));
                    parts.push(part(found, partition));
                    partitions.push(failed(partition.partition, ErrorCode::None));
                }
                Err(error) => partitions.push(failed(partition.partition, error)),
            }
        }
        draft.response.responses.push(FetchableTopicResponse {
            topic: wanted.topic.clone(),
            topic_id: wanted.topic_id,
            partitions,
        });
    }
    (draft, parts)
}

fn part(partition: corelog_engine::id::TopicPartition, wanted: &FetchPartition) -> FetchPart {
    let known = |epoch: i32| (epoch >= 0).then_some(LeaderEpoch(epoch));
    FetchPart {
        partition,
        offset: Offset(wanted.fetch_offset),
        max_bytes: wanted.partition_max_bytes.max(0) as u32,
        epoch: known(wanted.current_leader_epoch),
        last_epoch: known(wanted.last_fetched_epoch),
    }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        records: Some(Records::Bytes(bytes::Bytes::new())),
        ..PartitionData::default()
    }
}

impl Draft {
    /// Puts the engine's results in; gives the records for the holes.
    async fn fill(
        &mut self,
        shard: &ShardHandle,
        results: Vec<Result<Fetched, ReadError>>,
        version: i16,
        leader: &Leader,
    ) -> Vec<Vec<Piece>> {
        let mut bodies = Vec::new();
        for ((topic, partition), result) in self.places.iter().zip(results) {
            shard.breathe().await;
            let topic = &mut self.response.responses[*topic];
            let by_id = !topic.topic_id.is_zero();
            let data = &mut topic.partitions[*partition];
            match result {
                Ok(fetched) => {
                    data.high_watermark = fetched.high_watermark.0;
                    data.last_stable_offset = fetched.high_watermark.0;
                    data.log_start_offset = fetched.log_start.0;
                    if let Some(EpochEnd { epoch, end }) = fetched.diverging {
                        data.diverging_epoch = EpochEndOffset { epoch: epoch.0, end_offset: end.0 };
                    } else if self.read_committed == ReadCommitted::Yes {
                        data.aborted_transactions = Some(Vec::new());
                    }
                    let (id, len) = (bodies.len() as u32, fetched.len() as u32);
                    data.records = Some(Records::Hole { id, len });
                    bodies.push(fetched.pieces);
                }
                Err(error) => {
                    data.error_code = match translate::read(error) {
                        ErrorCode::UnknownTopicOrPartition if by_id => ErrorCode::UnknownTopicId,
                        // Clients of that age do not know that it is worth another try.
                        ErrorCode::KafkaStorageError if version <= 5 => {
                            ErrorCode::NotLeaderOrFollower
                        }
                        code => code,
                    };
                    if error == ReadError::FencedEpoch && version >= 16 {
                        data.current_leader = leader.current.clone();
                        self.response.node_endpoints = vec![leader.endpoint.clone()];
                    }
                }
            }
        }
        bodies
    }
}
