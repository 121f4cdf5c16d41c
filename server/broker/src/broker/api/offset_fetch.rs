//! OffsetFetch: what groups have committed, of one group or, from version 8 on, of several.

use std::sync::Arc;

use corelog_engine::group::name::{Epoch, MemberId};
use corelog_engine::group::record::Committed;
use corelog_engine::group::request::{FetchRequest, GroupError, Reply, Request, TopicOffsets};
use corelog_engine::id::TopicId;
use corelog_engine::metadata::Image;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::node::Node;
use crate::broker::portions::{Indexes, Portion, Portions};
use crate::broker::{groups, translate};

/// Bytes of a partition without what was committed with it.
const PARTITION: usize = 192;
/// From this version on several groups may be asked for.
const SEVERAL_FROM: i16 = 8;
/// From this version on there is an error for the whole group.
const GROUP_ERROR_FROM: i16 = 2;
/// From this version on topics are named by their ids.
const IDS_FROM: i16 = 10;

pub(crate) fn handle(call: &Call, request: OffsetFetchRequest) -> Handled<OffsetFetchResponse> {
    let (node, version, stable) = (call.node.clone(), call.header.version, request.require_stable);
    let groups = if version >= SEVERAL_FROM { request.groups } else { vec![only(request)] };
    Handled::growing(async move |mut told| {
        let mut answers = Vec::with_capacity(groups.len());
        for group in groups {
            let answer = match told.may_go_on() {
                true => {
                    let asked = Asked::new(&node, version, stable, group).await;
                    asked.answer(&node, version).await
                }
                false => not_now(group.group_id),
            };
            told.add(size(&answer)).await;
            answers.push(answer);
        }
        if version >= SEVERAL_FROM {
            let response = OffsetFetchResponse { groups: answers, ..Default::default() };
            return (response, told);
        }
        let error_code = answers.first().map_or(ErrorCode::None, |group| group.error_code);
        let topics = answers.into_iter().flat_map(|group| group.topics).map(|topic| {
            OffsetFetchResponseTopic { name: topic.name, partitions: topic.partitions }
        });
        let topics = topics.collect();
        (OffsetFetchResponse { topics, error_code, ..OffsetFetchResponse::default() }, told)
    })
}

/// Bytes that a group's offsets take, encoded and not.
fn size(group: &OffsetFetchResponseGroup) -> u64 {
    let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
    let metadata = |partition: &OffsetFetchResponsePartition| {
        partition.metadata.as_ref().map_or(0, |metadata| metadata.len())
    };
    partitions.map(|partition| PARTITION + 2 * metadata(partition)).sum::<usize>() as u64
}

/// The answer to one more group than can be told of together.
fn not_now(group_id: Str) -> OffsetFetchResponseGroup {
    let error_code = translate::group(GroupError::LoadInProgress);
    OffsetFetchResponseGroup { group_id, error_code, ..OffsetFetchResponseGroup::default() }
}

/// A request of the older versions as a group of the newer ones.
fn only(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }
}

/// What is asked about one group.
struct Asked {
    group_id: Str,
    image: Arc<Image>,
    member: Option<(MemberId, Epoch)>,
    stable: bool,
    /// Topics that do not exist, by their ids.
    unknown: Vec<OffsetFetchRequestTopics>,
    /// The others, if not all are asked for.
    topics: Option<Vec<Indexes>>,
}

impl Asked {
    async fn new(node: &Node, version: i16, stable: bool, group: OffsetFetchRequestGroup) -> Asked {
        let image = node.image();
        let (mut unknown, mut known) = (Vec::new(), Vec::new());
        let are_named = group.topics.is_some();
        for topic in group.topics.unwrap_or_default() {
            node.shard.breathe().await;
            let name = match version {
                ..IDS_FROM => Some(Arc::from(&*topic.name)),
                _ => image.topic_by_id(TopicId(topic.topic_id.0)).map(|t| t.name.clone()),
            };
            match name {
                Some(name) => known.push((name, topic.partition_indexes)),
                None => unknown.push(topic),
            }
        }
        // Nobody in particular is no member in no epoch.
        let named = group.member_id.is_some() || group.member_epoch >= 0;
        let member = group.member_id.as_deref().unwrap_or_default().into();
        let member = named.then_some((member, Epoch(group.member_epoch)));
        let (group_id, topics) = (group.group_id, are_named.then_some(known));
        Asked { group_id, image, member, stable, unknown, topics }
    }

    async fn answer(self, node: &Node, version: i16) -> OffsetFetchResponseGroup {
        let (found, error) = match self.look(node).await {
            Ok(found) => (found, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let error_code = error.map_or(ErrorCode::None, translate::group);
        let mut told = Vec::with_capacity(found.len());
        for topic in found {
            told.extend(tell(node, &self.image, version, topic).await);
        }
        if error.is_some() && version < GROUP_ERROR_FROM {
            for (topic, indexes) in self.topics.unwrap_or_default() {
                let partitions = nothing(node, indexes, error_code).await;
                let (name, topic_id) = (Str::from(&*topic), Uuid::ZERO);
                told.push(OffsetFetchResponseTopics { name, topic_id, partitions });
            }
        }
        if error.is_none() {
            for topic in self.unknown {
                let (indexes, missing) = (topic.partition_indexes, ErrorCode::UnknownTopicId);
                let partitions = nothing(node, indexes, missing).await;
                let topic_id = topic.topic_id;
                told.push(OffsetFetchResponseTopics { topic_id, partitions, ..Default::default() });
            }
        }
        OffsetFetchResponseGroup { group_id: self.group_id, topics: told, error_code }
    }

    /// Asks the coordinator, in portions if topics are named.
    async fn look(&self, node: &Node) -> Result<Vec<TopicOffsets>, GroupError> {
        let Some(topics) = &self.topics else { return self.ask(node, None).await };
        let mut found = Vec::<TopicOffsets>::with_capacity(topics.len());
        for Portion { places, topics } in Portions::of(topics) {
            for (place, topic) in places.into_iter().zip(self.ask(node, Some(topics)).await?) {
                match found.get_mut(place) {
                    Some(begun) => begun.partitions.extend(topic.partitions),
                    None => found.push(topic),
                }
            }
        }
        Ok(found)
    }

    async fn ask(
        &self,
        node: &Node,
        topics: Option<Vec<Indexes>>,
    ) -> Result<Vec<TopicOffsets>, GroupError> {
        let (group, member) = ((*self.group_id).into(), self.member.clone());
        let question = FetchRequest { group, member, stable: self.stable, topics };
        match groups::ask(node, &self.group_id, Request::Fetch(question)).await? {
            Reply::Fetch(found) => found,
            _ => Err(GroupError::Unknown),
        }
    }
}

/// A topic's offsets; nothing of one that is to be named by an id which it does not have.
async fn tell(
    node: &Node,
    image: &Image,
    version: i16,
    topic: TopicOffsets,
) -> Option<OffsetFetchResponseTopics> {
    let id = image.topic(&topic.topic).map(|topic| topic.id);
    if version >= IDS_FROM && id.is_none() {
        return None;
    }
    // What was committed for an earlier topic of that name is none of this one's.
    let own = |committed: &Committed| committed.topic.is_none() || committed.topic == id;
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for (index, committed) in topic.partitions {
        node.shard.breathe().await;
        partitions.push(match committed.filter(|committed| own(committed)) {
            Some(committed) => OffsetFetchResponsePartition {
                partition_index: index,
                committed_offset: committed.offset.0,
                committed_leader_epoch: committed.epoch.map_or(-1, |epoch| epoch.0),
                metadata: Some(Str::from(&*committed.metadata)),
                error_code: ErrorCode::None,
            },
            None => none(index, ErrorCode::None),
        });
    }
    Some(OffsetFetchResponseTopics {
        name: Str::from(&*topic.topic),
        topic_id: id.map_or(Uuid::ZERO, |id| Uuid(id.0)),
        partitions,
    })
}

/// Partitions of which nothing is known, or not to be told.
async fn nothing(
    node: &Node,
    indexes: Vec<i32>,
    error_code: ErrorCode,
) -> Vec<OffsetFetchResponsePartition> {
    let mut partitions = Vec::with_capacity(indexes.len());
    for index in indexes {
        node.shard.breathe().await;
        partitions.push(none(index, error_code));
    }
    partitions
}

fn none(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index,
        committed_offset: -1,
        metadata: Some(Str::new()),
        error_code,
        ..OffsetFetchResponsePartition::default()
    }
}
