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
use crate::broker::portions::{Portion, Portions};
use crate::broker::{groups, topics, translate};

pub(crate) fn handle(call: &Call, request: OffsetDeleteRequest) -> Handled<OffsetDeleteResponse> {
    let node = call.node.clone();
    Handled::later(async move {
        let image = node.image();
        let mut topics = Vec::with_capacity(request.topics.len());
        for asked in &request.topics {
            node.shard.breathe().await;
            topics.push((Arc::from(&*asked.name), there(&image, asked)));
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
            node.shard.breathe().await;
            topics.push(told(&image, asked, result));
        }
        OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() }
    })
}

fn is_there(topic: Option<&Arc<Topic>>, index: i32) -> bool {
    topic.is_some_and(|topic| topics::partition(topic, index).is_ok())
}

/// The partitions of a topic that there are.
fn there(image: &Image, asked: &OffsetDeleteRequestTopic) -> Vec<i32> {
    let topic = image.topic(&asked.name);
    let indexes = asked.partitions.iter().map(|partition| partition.partition_index);
    indexes.filter(|index| is_there(topic, *index)).collect()
}

fn told(
    image: &Image,
    asked: OffsetDeleteRequestTopic,
    result: Result<(), GroupError>,
) -> OffsetDeleteResponseTopic {
    let topic = image.topic(&asked.name);
    let partitions = asked.partitions.iter().map(|partition| {
        let partition_index = partition.partition_index;
        let error_code = match is_there(topic, partition_index) {
            true => translate::group_result(result),
            false => ErrorCode::UnknownTopicOrPartition,
        };
        OffsetDeleteResponsePartition { partition_index, error_code }
    });
    let partitions = partitions.collect();
    OffsetDeleteResponseTopic { name: asked.name, partitions }
}

fn failed(error: GroupError) -> OffsetDeleteResponse {
    OffsetDeleteResponse { error_code: translate::group(error), ..OffsetDeleteResponse::default() }
}
