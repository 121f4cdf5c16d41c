//! OffsetDelete: a group forgets where it was in partitions that exist.

use std::collections::BTreeMap;
use std::sync::Arc;

use corelog_engine::group::request::{DeleteOffsetsRequest, GroupError, Reply, Request};
use corelog_engine::metadata::{Image, Topic};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use crate::broker::api::{Call, Handled};
use crate::broker::node::Node;
use crate::broker::portions::{Portion, Portions};
use crate::broker::{groups, topics, translate};

pub(crate) fn handle(call: &Call, request: OffsetDeleteRequest) -> Handled<OffsetDeleteResponse> {
    let node = call.node.clone();
    Handled::later(async move {
        let image = node.image();
        let mut topics = Vec::with_capacity(request.topics.len());
        for asked in &request.topics {
            topics.push((Arc::from(&*asked.name), there(&node, &image, asked).await));
        }
        let mut results = BTreeMap::new();
        for Portion { places, topics } in Portions::of(&topics) {
            let group = (*request.group_id).into();
            let question = Request::DeleteOffsets(DeleteOffsetsRequest { group, topics });
            match groups::ask(&node, &request.group_id, question).await {
                Ok(Reply::DeleteOffsets(Ok(told))) => results.extend(places.into_iter().zip(told)),
                Ok(Reply::DeleteOffsets(Err(error))) | Err(error) => return failed(error),
                Ok(_) => return failed(GroupError::Unknown),
            }
        }
        let mut topics = Vec::with_capacity(results.len());
        for (asked, result) in request.topics.into_iter().zip(results.into_values()) {
            topics.push(told(&node, &image, asked, result).await);
        }
        OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() }
    })
}

fn is_there(topic: Option<&Arc<Topic>>, index: i32) -> bool {
    topic.is_some_and(|topic| topics::partition(topic, index).is_ok())
}

/// The partitions of a topic that there are.
async fn there(node: &Node, image: &Image, asked: &OffsetDeleteRequestTopic) -> Vec<i32> {
    let topic = image.topic(&asked.name);
    let mut indexes = Vec::new();
    for partition in &asked.partitions {
        node.shard.breathe().await;
        indexes.extend(Some(partition.partition_index).filter(|index| is_there(topic, *index)));
    }
    indexes
}

async fn told(
    node: &Node,
    image: &Image,
    asked: OffsetDeleteRequestTopic,
    result: Result<(), GroupError>,
) -> OffsetDeleteResponseTopic {
    let topic = image.topic(&asked.name);
    let mut partitions = Vec::with_capacity(asked.partitions.len());
    for partition in asked.partitions {
        node.shard.breathe().await;
        let partition_index = partition.partition_index;
        let error_code = match is_there(topic, partition_index) {
            true => translate::group_result(result),
            false => ErrorCode::UnknownTopicOrPartition,
        };
        partitions.push(OffsetDeleteResponsePartition { partition_index, error_code });
    }
    OffsetDeleteResponseTopic { name: asked.name, partitions }
}

fn failed(error: GroupError) -> OffsetDeleteResponse {
    OffsetDeleteResponse { error_code: translate::group(error), ..OffsetDeleteResponse::default() }
}
