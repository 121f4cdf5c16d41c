//! ListOffsets: one offset per partition, by end of the log or by time.

use std::collections::HashSet;

use corelog_engine::id::{Timestamp, TopicPartition};
use corelog_engine::shard::request::{Found, Lookup, ReadError, Target};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::node::Node;
use crate::broker::topics;
use crate::broker::translate;

/// The answer in the making: where the engine's results go.
struct Draft {
    response: ListOffsetsResponse,
    places: Vec<(usize, usize)>,
}

pub(crate) fn handle(call: &Call, request: ListOffsetsRequest) -> Handled<ListOffsetsResponse> {
    let (node, version) = (call.node.clone(), call.header.version);
    Handled::later(async move {
        let (mut draft, lookups) = draft(&node, version, &request).await;
        drop(request);
        let results = node.look_up(lookups).await;
        draft.fill(&node, results, version).await;
        draft.response
    })
}

async fn draft(node: &Node, version: i16, request: &ListOffsetsRequest) -> (Draft, Vec<Lookup>) {
    // To grow a table of very many is a long step.
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let (response, places) = (ListOffsetsResponse::default(), Vec::with_capacity(count));
    let (mut draft, mut lookups) = (Draft { response, places }, Vec::with_capacity(count));
    let twice = named_twice(node, request).await;
    let image = node.image();
    for wanted in &request.topics {
        let topic = topics::find(&image, Uuid::ZERO, &wanted.name);
        let mut partitions = Vec::with_capacity(wanted.partitions.len());
        for partition in &wanted.partitions {
            node.shard.breathe().await;
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
            match found.and_then(|found| lookup(version, found, partition)) {
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
async fn named_twice<'a>(node: &Node, request: &'a ListOffsetsRequest) -> HashSet<(&'a str, i32)> {
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let (mut seen, mut twice) = (HashSet::with_capacity(count), HashSet::new());
    for topic in &request.topics {
        for partition in &topic.partitions {
            node.shard.breathe().await;
            let named = (&topic.name[..], partition.partition_index);
            if !seen.insert(named) {
                twice.insert(named);
            }
        }
    }
    twice
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
    async fn fill(&mut self, node: &Node, results: Vec<Result<Found, ReadError>>, version: i16) {
        for ((topic, partition), result) in self.places.iter().zip(results) {
            node.shard.breathe().await;
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
