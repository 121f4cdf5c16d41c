//! OffsetCommit: offsets of partitions that exist go to the group's coordinator.

use std::rc::Rc;
use std::sync::Arc;

use corelog_engine::group::name::Generation;
use corelog_engine::group::request::{CommitOffset, CommitRequest, GroupError, Reply, Request};
use corelog_engine::id::Offset;
use corelog_engine::metadata::Topic;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use crate::broker::api::{Call, Handled};
use crate::broker::node::{AT_ONCE, Node};
use crate::broker::{groups, topics, translate};

/// From this version on a missing group is told as such.
const NOT_FOUND_FROM: i16 = 9;
/// From this version on topics are named by their ids.
const IDS_FROM: i16 = 10;

pub(crate) fn handle(call: &Call, request: OffsetCommitRequest) -> Handled<OffsetCommitResponse> {
    let (node, version) = (call.node.clone(), call.header.version);
    Handled::later(async move { commit(node, version, request).await })
}

async fn commit(
    node: Rc<Node>,
    version: i16,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let mut offsets = Vec::new();
    // Where the coordinator's answers belong.
    let mut places = Vec::new();
    let mut answer = Vec::with_capacity(request.topics.len());
    let image = node.image();
    for (at, topic) in request.topics.into_iter().enumerate() {
        let found = match topic.topic_id.is_zero() && version >= IDS_FROM {
            true => Err(ErrorCode::UnknownTopicId),
            false => topics::find(&image, topic.topic_id, &topic.name),
        };
        let mut codes = Vec::with_capacity(topic.partitions.len());
        for (nth, partition) in topic.partitions.iter().enumerate() {
            node.shard.breathe().await;
            codes.push(match check(found.as_ref(), partition) {
                Ok(offset) => {
                    offsets.push(offset);
                    places.push((at, nth));
                    ErrorCode::None
                }
                Err(code) => code,
            });
        }
        answer.push(told(topic, codes));
    }
    let response = |topics| OffsetCommitResponse { topics, ..OffsetCommitResponse::default() };
    if offsets.is_empty() {
        return response(answer);
    }
    let commit = CommitRequest {
        group: (*request.group_id).into(),
        member: (*request.member_id).into(),
        instance: request.group_instance_id.as_deref().map(Into::into),
        generation: Generation(request.generation_id_or_member_epoch),
        retention_ms: u64::try_from(request.retention_time_ms).ok(),
        knows_not_found: version >= NOT_FOUND_FROM,
        offsets: Vec::new(),
    };
    let results = remember(&node, &request.group_id, &commit, offsets).await;
    for ((at, nth), result) in places.into_iter().zip(results) {
        answer[at].partitions[nth].error_code = translate::group_result(result);
    }
    response(answer)
}

/// Asks the coordinator to remember offsets, so many in one step, and the next when those are
/// remembered; what becomes of each.
async fn remember(
    node: &Node,
    group: &str,
    commit: &CommitRequest,
    offsets: Vec<CommitOffset>,
) -> Vec<Result<(), GroupError>> {
    let mut results = Vec::with_capacity(offsets.len());
    let mut rest = offsets.into_iter();
    loop {
        let offsets: Vec<_> = rest.by_ref().take(AT_ONCE).collect();
        let count = offsets.len();
        if count == 0 {
            return results;
        }
        let question = Request::Commit(CommitRequest { offsets, ..commit.clone() });
        match groups::ask(node, group, question).await {
            Ok(Reply::Commit(Ok(told))) => results.extend(told),
            Ok(Reply::Commit(Err(error))) | Err(error) => results.extend(vec![Err(error); count]),
            Ok(_) => results.extend(vec![Err(GroupError::Unknown); count]),
        }
    }
}

/// What is to be committed, if there is such a partition.
fn check(
    topic: Result<&Arc<Topic>, &ErrorCode>,
    asked: &OffsetCommitRequestPartition,
) -> Result<CommitOffset, ErrorCode> {
    let topic = topic.map_err(|code| *code)?;
    topics::partition(topic, asked.partition_index)?;
    let epoch = asked.committed_leader_epoch;
    Ok(CommitOffset {
        topic: topic.name.clone(),
        topic_id: Some(topic.id),
        partition: asked.partition_index,
        offset: Offset(asked.committed_offset),
        epoch: translate::leader_epoch(epoch),
        metadata: asked.committed_metadata.as_deref().unwrap_or_default().into(),
    })
}

fn told(topic: OffsetCommitRequestTopic, codes: Vec<ErrorCode>) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().zip(codes).map(|(partition, error_code)| {
        OffsetCommitResponsePartition { partition_index: partition.partition_index, error_code }
    });
    let partitions = partitions.collect();
    OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions }
}
