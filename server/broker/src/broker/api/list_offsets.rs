//! ListOffsets: one offset per partition, by end of the log or by time.

use std::collections::HashSet;

use corelog_engine::id::{Timestamp, TopicPartition};
use corelog_engine::shard::request::{Found, Lookup, ReadError, Reply, Request, Target};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::topics;
use crate::broker::translate;

/// The answer in the making: where the engine's results go.
struct Draft {
    response: ListOffsetsResponse,
    places: Vec<(usize, usize)>,
}

pub(crate) fn handle(call: &Call, request: ListOffsetsRequest) -> Handled<ListOffsetsResponse> {
    let (mut draft, lookups) = draft(call, &request);
    if lookups.is_empty() {
        return Handled::Now(draft.response);
    }
    let pending = call.node.shard.submit(Request::Lookup(lookups));
    let version = call.header.version;
    Handled::later(async move {
        if let Reply::Lookup(results) = pending.await {
            draft.fill(results, version);
        }
        draft.response
    })
}

fn draft(call: &Call, request: &ListOffsetsRequest) -> (Draft, Vec<Lookup>) {
    let mut draft = Draft { response: ListOffsetsResponse::default(), places: Vec::new() };
    let mut lookups = Vec::new();
    let twice = named_twice(request);
    let image = call.node.image();
    for wanted in &request.topics {
        let topic = topics::find(&image, Uuid::ZERO, &wanted.name);
        let mut partitions = Vec::with_capacity(wanted.partitions.len());
        for partition in &wanted.partitions {
            let partition_index = partition.partition_index;
            let mut answer = ListOffsetsPartitionResponse {
                partition_index,
                ..ListOffsetsPartitionResponse::default()
            };
            let found = topic.as_ref().map_err(|error| *error);
            let found = found.and_then(|topic| topics::partition(topic, partition_index));
            let found = match twice.contains(&(&wanted.name[..], partition_index)) {
                true => Err(ErrorCode::InvalidRequest),
                false => found,
            };
            match found.and_then(|found| lookup(call.header.version, found, partition)) {
                Ok(lookup) => {
                    draft.places.push((draft.response.topics.len(), partitions.len()));
                    lookups.push(lookup);
                }
                Err(error) => answer.error_code = error,
            }
            partitions.push(answer);
        }
        let name = wanted.name.clone();
        draft.response.topics.push(ListOffsetsTopicResponse { name, partitions });
    }
    (draft, lookups)
}

/// Partitions that a request names more than once; Kafka answers each with INVALID_REQUEST.
fn named_twice(request: &ListOffsetsRequest) -> HashSet<(&str, i32)> {
    let mut seen = HashSet::new();
    let named = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (&topic.name[..], partition.partition_index))
    });
    named.filter(|partition| !seen.insert(*partition)).collect()
}

fn lookup(
    version: i16,
    partition: TopicPartition,
    wanted: &ListOffsetsPartition,
) -> Result<Lookup, ErrorCode> {
    let target = target(version, wanted.timestamp)?;
    let epoch = translate::leader_epoch(wanted.current_leader_epoch);
    Ok(Lookup { partition, epoch, target })
}

/// The negative timestamps, each from the version on that brought it (Kafka's `OffsetSpec`).
fn target(version: i16, timestamp: i64) -> Result<Target, ErrorCode> {
    match (timestamp, version) {
        (-1, _) => Ok(Target::Latest),
        (-2, _) | (-4, 8..) => Ok(Target::Earliest),
        (-3, 7..) => Ok(Target::MaxTimestamp),
        (-5, 9..) | (-6, 11..) => Ok(Target::Remote),
        (0.., _) => Ok(Target::At(Timestamp(timestamp))),
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

impl Draft {
    fn fill(&mut self, results: Vec<Result<Found, ReadError>>, version: i16) {
        for ((topic, partition), result) in self.places.iter().zip(results) {
            let answer = &mut self.response.topics[*topic].partitions[*partition];
            match result {
                Ok(Found { record: Some((offset, timestamp)), epoch }) => {
                    answer.offset = offset.0;
                    answer.timestamp = timestamp.0;
                    if version >= 4 {
                        answer.leader_epoch = epoch.0;
                    }
                }
                Ok(Found { record: None, .. }) => {}
                Err(error) => answer.error_code = translate::read(error),
            }
        }
    }
}
