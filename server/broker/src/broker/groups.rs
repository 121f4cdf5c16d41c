//! The way to a group's coordinator: the topic that keeps groups, and the partition of it that a
//! group belongs to.

use std::sync::Arc;

use corelog_engine::group::name::partition_of;
use corelog_engine::group::request::{GroupError, Reply as Answer, Request as Question};
use corelog_engine::id::{PartitionIndex, TopicPartition};
use corelog_engine::metadata::command::{Mode, NewTopic};
use corelog_engine::metadata::image::GROUP_VERSION;
use corelog_engine::metadata::{Image, Topic};
use corelog_engine::shard::request::{GroupCall, Reply, Request};

use crate::broker::creation;
use crate::broker::node::Node;

/// Where groups and their offsets are kept.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The topic, if there is one.
pub(crate) fn topic(image: &Image) -> Option<&Arc<Topic>> {
    image.topic(OFFSETS_TOPIC)
}

/// Whether the consumer protocol is switched on (KIP-848).
pub(crate) fn has_consumer_protocol(image: &Image) -> bool {
    image.features().get(GROUP_VERSION).is_some_and(|level| *level >= 1)
}

/// The partition of the topic that is a group's.
fn partition(topic: &Topic, group: &str) -> TopicPartition {
    let index = PartitionIndex(partition_of(group, topic.partitions));
    TopicPartition { topic: topic.id, index }
}

/// Asks the coordinator of a group.
pub(crate) fn ask(
    node: &Node,
    group: &str,
    question: Question,
) -> impl Future<Output = Result<Answer, GroupError>> + use<> {
    let image = node.image();
    let partition = topic(&image).map(|topic| partition(topic, group));
    let pending = partition.map(|partition| submit(node, &image, partition, question));
    async move {
        match pending {
            Some(pending) => answer(pending.await),
            None => Err(GroupError::NotCoordinator),
        }
    }
}

/// Asks the coordinators of all groups.
pub(crate) fn ask_all(
    node: &Node,
    question: &Question,
) -> Vec<impl Future<Output = Result<Answer, GroupError>> + use<>> {
    let image = node.image();
    let partitions = topic(&image).into_iter().flat_map(|topic| topic.partitions_from(0));
    partitions
        .map(|partition| {
            let pending = submit(node, &image, partition, question.clone());
            async move { answer(pending.await) }
        })
        .collect()
}

fn submit(
    node: &Node,
    image: &Arc<Image>,
    partition: TopicPartition,
    request: Question,
) -> impl Future<Output = Reply> + use<> {
    let image = image.clone();
    node.shard.submit(Request::Group(Box::new(GroupCall { partition, image, request })))
}

fn answer(reply: Reply) -> Result<Answer, GroupError> {
    match reply {
        Reply::Group(answer) => answer,
        _ => Err(GroupError::Unknown),
    }
}

/// Makes the topic. That it is there already is as good.
pub(crate) async fn create_topic(node: &Node) {
    let settings = &node.config.groups;
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", settings.topic_segment_bytes.to_string()),
    ];
    let topic = NewTopic {
        name: OFFSETS_TOPIC.into(),
        id: creation::topic_id(node),
        partitions: settings.topic_partitions,
        // There is one broker.
        replication_factor: 1,
        assignments: Vec::new(),
        configs: configs.map(|(name, value)| (name.to_owned(), Some(value))).into(),
    };
    let command = creation::command(node, vec![topic], Mode::Apply);
    // Whoever waits looks whether it is there.
    node.shard.submit(Request::Metadata(command)).await;
}
