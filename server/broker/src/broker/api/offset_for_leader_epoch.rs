//! OffsetForLeaderEpoch: where leader epochs end, so that a client whose position is behind the end
//! of the epoch that it has read in learns of it.

use corelog_engine::id::{LeaderEpoch, TopicPartition};
use corelog_engine::shard::request::{Found, Lookup, ReadError, Reply, Request, Target};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_for_leader_epoch::{
    LeaderEpochEnd, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
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
    let (mut draft, lookups) = draft(call, request);
    if lookups.is_empty() {
        return Handled::Now(draft.response);
    }
    let pending = call.node.shard.submit(Request::Lookup(lookups));
    Handled::later(async move {
        if let Reply::Lookup(results) = pending.await {
            draft.fill(results);
        }
        draft.response
    })
}

fn draft(call: &Call, request: OffsetForLeaderEpochRequest) -> (Draft, Vec<Lookup>) {
    let (mut draft, mut lookups) = (Draft::default(), Vec::new());
    let image = call.node.image();
    for wanted in request.topics {
        let topic = topics::find(&image, Uuid::ZERO, &wanted.topic);
        let mut partitions = Vec::with_capacity(wanted.partitions.len());
        for asked in &wanted.partitions {
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
    fn fill(&mut self, results: Vec<Result<Found, ReadError>>) {
        for ((topic, partition), result) in self.places.iter().zip(results) {
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
