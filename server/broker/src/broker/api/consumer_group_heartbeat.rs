//! ConsumerGroupHeartbeat: a member of a consumer group joins, is there, or goes (KIP-848).

use std::collections::BTreeSet;
use std::sync::Arc;

use corelog_engine::group::name::Epoch;
use corelog_engine::group::partitions::Partitions;
use corelog_engine::group::pattern::Pattern;
use corelog_engine::group::request::{
    ConsumerHeartbeat, ConsumerStanding, GroupError, Refused, Reply, Request,
};
use corelog_engine::id::TopicId;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::node::AT_ONCE;
use crate::broker::{groups, translate};

/// From this version on members choose their ids.
const NAMES_ITSELF_FROM: i16 = 1;
/// Not said.
const UNSAID: i32 = -1;

pub(crate) fn handle(
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> Handled<ConsumerGroupHeartbeatResponse> {
    if !groups::has_consumer_protocol(&call.node.image()) {
        let error_code = ErrorCode::UnsupportedVersion;
        let refusal = ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
        return Handled::Now(refusal);
    }
    let (node, group) = (call.node.clone(), request.group_id.clone());
    let (from, is_quick) = (Sender::of(call), is_quick(&request));
    let question = move || question(from, request);
    Handled::later(async move {
        let beat = match is_quick {
            true => question(),
            false => node.shard.offload(question).await,
        };
        // What is wrong with it wherever the group is, before anyone looks for that.
        if let Err(refused) = beat.check(&node.config.groups.coordinator.consumer) {
            return refusal(refused);
        }
        match groups::ask(&node, &group, Request::ConsumerHeartbeat(Box::new(beat))).await {
            Ok(Reply::ConsumerHeartbeat(Ok(standing))) => told(standing),
            Ok(Reply::ConsumerHeartbeat(Err(refused))) => refusal(refused),
            Ok(_) => refusal(Refused { error: GroupError::Unknown, why: None }),
            Err(error) => refusal(Refused { error, why: None }),
        }
    })
}

/// Whether there is little to take in, and no pattern to compile.
fn is_quick(request: &ConsumerGroupHeartbeatRequest) -> bool {
    let topics = request.subscribed_topic_names.as_ref().map_or(0, Vec::len);
    let owned = request.topic_partitions.iter().flatten();
    let owned: usize = owned.map(|topic| 1 + topic.partitions.len()).sum();
    let pattern = request.subscribed_topic_regex.as_deref();
    pattern.is_none_or(str::is_empty) && topics + owned <= AT_ONCE
}

/// What is known of a member beside what it says.
struct Sender {
    client_id: Arc<str>,
    client_host: Arc<str>,
    client_software: Arc<str>,
    fresh: [u8; 16],
    names_itself: bool,
}

impl Sender {
    fn of(call: &Call) -> Sender {
        Sender {
            client_id: (*call.header.client_id).into(),
            client_host: call.entrance.client_host.clone(),
            client_software: call.entrance.software(),
            fresh: call.node.shard.random(),
            names_itself: call.header.version >= NAMES_ITSELF_FROM,
        }
    }
}

fn question(from: Sender, request: ConsumerGroupHeartbeatRequest) -> ConsumerHeartbeat {
    let shared = |text: Str| -> Arc<str> { Arc::from(&*text) };
    let topics = request.subscribed_topic_names;
    let Sender { client_id, client_host, client_software, fresh, names_itself } = from;
    ConsumerHeartbeat {
        group: (*request.group_id).into(),
        member: (*request.member_id).into(),
        epoch: Epoch(request.member_epoch),
        instance: request.instance_id.as_deref().map(Into::into),
        rack: request.rack_id.map(shared),
        rebalance_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != UNSAID),
        topics: topics.map(|names| names.into_iter().map(shared).collect::<BTreeSet<_>>()),
        regex: request.subscribed_topic_regex.map(|text| Pattern::new(&text)),
        assignor: request.server_assignor.map(shared),
        owned: request.topic_partitions.map(owned),
        client_id,
        client_host,
        client_software,
        fresh,
        names_itself,
    }
}

fn owned(topics: Vec<TopicPartitions>) -> Partitions {
    let partitions = topics.into_iter().flat_map(|topic| {
        let id = TopicId(topic.topic_id.0);
        topic.partitions.into_iter().map(move |index| (id, index))
    });
    partitions.collect()
}

fn told(standing: ConsumerStanding) -> ConsumerGroupHeartbeatResponse {
    let assignment = standing.assignment.map(|partitions| Assignment {
        topic_partitions: partitions
            .topics()
            .map(|(topic, indexes)| TopicPartitions {
                topic_id: Uuid(topic.0),
                partitions: indexes.iter().copied().collect(),
            })
            .collect(),
    });
    ConsumerGroupHeartbeatResponse {
        member_id: Some(Str::from(standing.member.as_str())),
        member_epoch: standing.epoch.0,
        heartbeat_interval_ms: standing.interval_ms,
        assignment,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

fn refusal(refused: Refused) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: translate::group(refused.error),
        error_message: refused.why.map(|why| Str::from(&*why)),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}
