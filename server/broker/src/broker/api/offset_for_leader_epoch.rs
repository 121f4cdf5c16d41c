//! OffsetForLeaderEpoch: where leader epochs end, so that a client whose position is behind the end
//! of the epoch that it has read in learns of it.

use corelog_engine::id::{LeaderEpoch, TopicPartition};
use corelog_engine::shard::request::{Found, Lookup, ReadError, Target};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_for_leader_epoch::{
    LeaderEpochEnd, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::node::Node;
use crate::broker::topics;
use crate::broker::translate;

/// The answer in the making: where the engine's results go.
#[derive(Default)]
struct Draft {
    response: OffsetForLeaderEpochResponse,
    places: Vec<(usize, usize)>,
}

pub(crate) fn handle(
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> Handled<OffsetForLeaderEpochResponse> {
    let node = call.node.clone();
    Handled::later(async move {
        let (mut draft, lookups) = draft(&node, request).await;
        let results = node.look_up(lookups).await;
        draft.fill(&node, results).await;
        draft.response
    })
}

async fn draft(node: &Node, request: OffsetForLeaderEpochRequest) -> (Draft, Vec<Lookup>) {
    // To grow a table of very many is a long step.
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut lookups = Vec::with_capacity(count);
    let mut draft = Draft { places: Vec::with_capacity(count), ..Draft::default() };
    let image = node.image();
    for wanted in request.topics {
        let topic = topics::find(&image, Uuid::ZERO, &wanted.topic);
        let mut partitions = Vec::with_capacity(wanted.partitions.len());
        for asked in &wanted.partitions {
            node.shard.breathe().await;
            let found = topic.as_ref().map_err(|error| *error);
            let found = found.and_then(|topic| topics::partition(topic, asked.partition));
            if let Ok(partition) = found {
                draft.places.push((draft.response.topics.len(), partitions.len()));
                lookups.push(lookup(partition, asked));
            }
            partitions.push(LeaderEpochEnd {
                partition: asked.partition,
                error_code: found.err().unwrap_or(ErrorCode::None),
                ..LeaderEpochEnd::default()
            });
        }
        let topic = wanted.topic;
        draft.response.topics.push(OffsetForLeaderTopicResult { topic, partitions });
    }
    (draft, lookups)
}

fn lookup(partition: TopicPartition, asked: &OffsetForLeaderPartition) -> Lookup {
    Lookup {
        partition,
        epoch: translate::leader_epoch(asked.current_leader_epoch),
        target: Target::EpochEnd(LeaderEpoch(asked.leader_epoch)),
    }
}

impl Draft {
    async fn fill(&mut self, node: &Node, results: Vec<Result<Found, ReadError>>) {
        for ((topic, partition), result) in self.places.iter().zip(results) {
            node.shard.breathe().await;
            let answer = &mut self.response.topics[*topic].partitions[*partition];
            match result {
                Ok(Found { record: Some((end, _)), epoch }) => {
                    (answer.leader_epoch, answer.end_offset) = (epoch.0, end.0);
                }
                Ok(Found { record: None, .. }) => {}
                Err(error) => answer.error_code = translate::read(error),
            }
        }
    }
}
