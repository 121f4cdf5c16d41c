//! OffsetFetch: what groups have committed, of one group or, from version 8 on, of several.

use std::sync::Arc;

use corelog_engine::group::name::Epoch;
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
            if !told.may_go_on() {
                answers.push(not_now(group.group_id));
                continue;
            }
            let answer = Asked::new(&node, version, stable, group).answer(version).await;
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

/// A group that is asked for.
struct Asked<A> {
    group_id: Str,
    image: Arc<Image>,
    /// Topics that do not exist, by their ids.
    unknown: Vec<OffsetFetchRequestTopics>,
    /// In case the group's error belongs to each of them.
    wanted: Vec<(Arc<str>, Vec<i32>)>,
    asked: A,
}

impl Asked<()> {
    fn new(
        node: &Node,
        version: i16,
        stable: bool,
        group: OffsetFetchRequestGroup,
    ) -> Asked<impl Future<Output = Result<Reply, GroupError>> + use<>> {
        let image = node.image();
        let mut unknown = Vec::new();
        let topics = group.topics.map(|topics| {
            let mut known = Vec::with_capacity(topics.len());
            for topic in topics {
                let name = match version {
                    ..IDS_FROM => Some(Arc::from(&*topic.name)),
                    _ => image.topic_by_id(TopicId(topic.topic_id.0)).map(|t| t.name.clone()),
                };
                match name {
                    Some(name) => known.push((name, topic.partition_indexes)),
                    None => unknown.push(topic),
                }
            }
            known
        });
        let wanted = topics.clone().unwrap_or_default();
        // Nobody in particular is no member in no epoch.
        let named = group.member_id.is_some() || group.member_epoch >= 0;
        let member = group.member_id.as_deref().unwrap_or_default().into();
        let member = named.then_some((member, Epoch(group.member_epoch)));
        let question = FetchRequest { group: (*group.group_id).into(), member, stable, topics };
        let asked = groups::ask(node, &group.group_id, Request::Fetch(question));
        Asked { group_id: group.group_id, image, unknown, wanted, asked }
    }
}

impl<A: Future<Output = Result<Reply, GroupError>>> Asked<A> {
    async fn answer(self, version: i16) -> OffsetFetchResponseGroup {
        let Asked { group_id, image, unknown, wanted, asked } = self;
        let (topics, error) = match asked.await {
            Ok(Reply::Fetch(Ok(topics))) => (topics, None),
            Ok(Reply::Fetch(Err(error))) | Err(error) => (Vec::new(), Some(error)),
            Ok(_) => (Vec::new(), Some(GroupError::Unknown)),
        };
        let error_code = error.map_or(ErrorCode::None, translate::group);
        let mut told: Vec<_> =
            topics.into_iter().filter_map(|topic| tell(&image, version, topic)).collect();
        if error.is_some() && version < GROUP_ERROR_FROM {
            told.extend(wanted.into_iter().map(|(topic, partitions)| {
                let partitions = partitions.into_iter().map(|index| none(index, error_code));
                let (name, topic_id) = (Str::from(&*topic), Uuid::ZERO);
                OffsetFetchResponseTopics { name, topic_id, partitions: partitions.collect() }
            }));
        }
        if error.is_none() {
            told.extend(unknown.into_iter().map(|topic| {
                let missing = |index| none(index, ErrorCode::UnknownTopicId);
                let partitions = topic.partition_indexes.into_iter().map(missing).collect();
                let topic_id = topic.topic_id;
                OffsetFetchResponseTopics { topic_id, partitions, ..Default::default() }
            }));
        }
        OffsetFetchResponseGroup { group_id, topics: told, error_code }
    }
}

/// A topic's offsets; nothing of one that is to be named by an id which it does not have.
fn tell(image: &Image, version: i16, topic: TopicOffsets) -> Option<OffsetFetchResponseTopics> {
    let id = image.topic(&topic.topic).map(|topic| topic.id);
    if version >= IDS_FROM && id.is_none() {
        return None;
    }
    // What was committed for an earlier topic of that name is none of this one's.
    let own = |committed: &Committed| committed.topic.is_none() || committed.topic == id;
    let partitions = topic.partitions.into_iter().map(|(index, committed)| {
        match committed.filter(|committed| own(committed)) {
            Some(committed) => OffsetFetchResponsePartition {
                partition_index: index,
                committed_offset: committed.offset.0,
                committed_leader_epoch: committed.epoch.map_or(-1, |epoch| epoch.0),
                metadata: Some(Str::from(&*committed.metadata)),
                error_code: ErrorCode::None,
            },
            None => none(index, ErrorCode::None),
        }
    });
    Some(OffsetFetchResponseTopics {
        name: Str::from(&*topic.topic),
        topic_id: id.map_or(Uuid::ZERO, |id| Uuid(id.0)),
        partitions: partitions.collect(),
    })
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
