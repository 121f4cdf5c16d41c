//! OffsetDelete: a group forgets where it was in partitions that exist.

use std::sync::Arc;

use corelog_engine::group::request::{DeleteOffsetsRequest, GroupError, Reply, Request};
use corelog_engine::metadata::Image;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, topics, translate};

pub(crate) fn handle(call: &Call, request: OffsetDeleteRequest) -> Handled<OffsetDeleteResponse> {
    let image = call.node.image();
    let there = |topic: &OffsetDeleteRequestTopic| existing(&image, topic);
    let question = Request::DeleteOffsets(DeleteOffsetsRequest {
        group: (*request.group_id).into(),
        topics: request.topics.iter().map(there).collect(),
    });
    let asked = groups::ask(&call.node, &request.group_id, question);
    Handled::later(async move {
        match asked.await {
            Ok(Reply::DeleteOffsets(Ok(results))) => {
                let topics = request.topics.into_iter().zip(results);
                let topics = topics.map(|(topic, result)| told(&image, topic, result)).collect();
                OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() }
            }
            Ok(Reply::DeleteOffsets(Err(error))) | Err(error) => failed(error),
            Ok(_) => failed(GroupError::Unknown),
        }
    })
}

/// The partitions of a topic that there are.
fn existing(image: &Image, asked: &OffsetDeleteRequestTopic) -> (Arc<str>, Vec<i32>) {
    let topic = image.topic(&asked.name);
    let indexes = asked.partitions.iter().map(|partition| partition.partition_index);
    let there =
        indexes.filter(|index| topic.is_some_and(|topic| topics::partition(topic, *index).is_ok()));
    (Arc::from(&*asked.name), there.collect())
}

fn told(
    image: &Image,
    asked: OffsetDeleteRequestTopic,
    result: Result<(), GroupError>,
) -> OffsetDeleteResponseTopic {
    let (_, there) = existing(image, &asked);
    let partitions = asked.partitions.iter().map(|partition| {
        let partition_index = partition.partition_index;
        let error_code = match there.contains(&partition_index) {
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
