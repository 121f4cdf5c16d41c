//! What working on a request takes, told before it is begun: memory of the decoded request, of the
//! answer while it is made, and of what goes to the engine and back. Most of it follows from how
//! many elements the request's arrays have; some from what is asked about.

use std::sync::Arc;

use corelog_engine::id::TopicId;
use corelog_engine::metadata::{Image, Topic};
use corelog_wire::api::ApiKey;
use corelog_wire::messages::create_topics::CreateTopicsRequest;
use corelog_wire::messages::describe_configs::DescribeConfigsRequest;
use corelog_wire::messages::list_config_resources::ListConfigResourcesRequest;
use corelog_wire::messages::metadata::MetadataRequest;
use corelog_wire::reader::Spent;

use crate::broker::resource::{BROKER, TOPIC};

/// Of any request: its frame's share of tables, its future, a small answer.
const FIXED: u64 = 1 << 10;
/// Of a partition in the answer to Metadata, with its replicas.
const METADATA_PARTITION: u64 = 320;
/// Of the settings of a topic that was created.
const CREATED_SETTINGS: u64 = 6 << 10;
/// Of the settings of a topic, a broker and a group, described.
const TOPIC_SETTINGS: u64 = 12 << 10;
const BROKER_SETTINGS: u64 = 96 << 10;
const GROUP_SETTINGS: u64 = 4 << 10;

/// Of a resource that is listed, with a name of middling length.
const LISTED_RESOURCE: u64 = 256;
/// Elements whose work is one step of a shard.
const ONE_STEP: usize = 1 << 14;

/// Bytes of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// What the request makes it, to be kept within bounds.
    pub(crate) request: u64,
    /// What the state makes it that is asked about.
    pub(crate) state: u64,
}

/// How a request's cost beside its elements is found.
pub(crate) type Costing<R> = fn(&Image, &R) -> Cost;

/// No more than its elements.
pub(crate) fn elements<R>(_: &Image, _: &R) -> Cost {
    Cost::default()
}

/// The cost of what decoding has found, and of the answer to it.
pub(crate) fn of_decoded(api: ApiKey, spent: Spent) -> u64 {
    FIXED + spent.memory as u64 + spent.elements as u64 * of_element(api)
}

/// Of the answer to an element of a request's arrays, until it is encoded, and of what the engine
/// is asked about it.
fn of_element(api: ApiKey) -> u64 {
    match api {
        ApiKey::Produce | ApiKey::Fetch => 640,
        ApiKey::DescribeGroups | ApiKey::ConsumerGroupDescribe => 1 << 10,
        // An element may be a number of four bytes.
        _ => 384,
    }
}

/// Elements that a request may have. Most are worked on in pieces, or on a thread that serves
/// nobody, as many as there is memory for; these are one step, of whoever knows what it asks for.
pub(crate) fn most_elements(api: ApiKey) -> usize {
    match api {
        ApiKey::JoinGroup
        | ApiKey::SyncGroup
        | ApiKey::CreatePartitions
        | ApiKey::DeleteTopics
        | ApiKey::AlterConfigs
        | ApiKey::IncrementalAlterConfigs => ONE_STEP,
        // A member may own very many partitions.
        ApiKey::ConsumerGroupHeartbeat => 4 * ONE_STEP,
        _ => usize::MAX,
    }
}

/// Every partition that is told of. What is asked for twice is the request's doing.
pub(crate) fn metadata(image: &Image, request: &MetadataRequest) -> Cost {
    let of = |partitions: u64| partitions * METADATA_PARTITION;
    let most = image.partition_count() + image.topic_count() as u64;
    let Some(topics) = request.topics.as_ref().filter(|topics| !topics.is_empty()) else {
        return Cost { request: 0, state: of(most) };
    };
    let partitions = |topic: &Arc<Topic>| u64::from(topic.partitions) + 1;
    let asked = topics.iter().map(|topic| {
        let name = topic.name.as_deref();
        find(image, topic.topic_id.0, name).map_or(0, partitions)
    });
    let asked: u64 = asked.sum();
    Cost { request: of(asked.saturating_sub(most)), state: of(asked.min(most)) }
}

fn find<'a>(image: &'a Image, id: [u8; 16], name: Option<&str>) -> Option<&'a Arc<Topic>> {
    match name {
        Some(name) => image.topic(name),
        None => image.topic_by_id(TopicId(id)),
    }
}

/// The settings of every topic, which are told of a new one.
pub(crate) fn create_topics(_: &Image, request: &CreateTopicsRequest) -> Cost {
    Cost { request: request.topics.len() as u64 * CREATED_SETTINGS, state: 0 }
}

/// Every topic, and every group that has settings of its own.
pub(crate) fn list_config_resources(image: &Image, _: &ListConfigResourcesRequest) -> Cost {
    let listed = image.topic_count() + image.configured_group_count();
    Cost { request: 0, state: listed as u64 * LISTED_RESOURCE }
}

/// All settings of every resource.
pub(crate) fn describe_configs(_: &Image, request: &DescribeConfigsRequest) -> Cost {
    let of = |kind| match kind {
        TOPIC => TOPIC_SETTINGS,
        BROKER => BROKER_SETTINGS,
        _ => GROUP_SETTINGS,
    };
    let resources = request.resources.iter().map(|resource| of(resource.resource_type));
    Cost { request: resources.sum(), state: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;
    use corelog_engine::shard::request::{Append, Appended, FetchPart, Fetched, Lookup};
    use corelog_wire::messages::create_topics::CreatableTopicConfigs;
    use corelog_wire::messages::fetch::{FetchableTopicResponse, PartitionData};
    use corelog_wire::messages::list_offsets::ListOffsetsPartitionResponse;
    use corelog_wire::messages::metadata::MetadataResponsePartition;
    use corelog_wire::messages::offset_fetch::OffsetFetchResponsePartition;
    use corelog_wire::messages::produce::PartitionProduceResponse;

    /// The least that an allocation takes.
    const ALLOCATION: usize = 32;

    #[test]
    fn what_is_told_covers_what_is_made() {
        let place = size_of::<(usize, usize)>();
        // Split by owner, and joined again.
        let twice = |request: usize, reply: usize| 2 * (request + reply);
        let fetch = size_of::<PartitionData>() + place;
        let produce = size_of::<PartitionProduceResponse>() + place;
        for (api, made) in [
            (ApiKey::Fetch, fetch + twice(size_of::<FetchPart>(), size_of::<Fetched>())),
            (ApiKey::Fetch, size_of::<FetchableTopicResponse>()),
            (ApiKey::Produce, produce + size_of::<Append>() + size_of::<Appended>()),
            (ApiKey::ListOffsets, size_of::<ListOffsetsPartitionResponse>() + place),
            (ApiKey::ListOffsets, twice(size_of::<Lookup>(), ALLOCATION)),
            (ApiKey::OffsetFetch, 2 * size_of::<OffsetFetchResponsePartition>()),
        ] {
            assert!(made as u64 <= of_element(api), "{api}: {made}");
        }
        // A name and a value take some fifty bytes when they are encoded.
        let setting = size_of::<CreatableTopicConfigs>() + ALLOCATION + 50;
        let settings = table::topic().count() * setting;
        assert!(settings as u64 <= CREATED_SETTINGS, "{settings}");
        let partition = size_of::<MetadataResponsePartition>() + 3 * ALLOCATION;
        assert!(partition as u64 <= METADATA_PARTITION, "{partition}");
    }

    #[test]
    fn elements_and_their_memory_count() {
        let spent = |memory, elements| Spent { memory, elements };
        assert_eq!(of_decoded(ApiKey::Heartbeat, spent(0, 0)), FIXED);
        let few = of_decoded(ApiKey::Fetch, spent(100, 1));
        assert_eq!(few, FIXED + 100 + of_element(ApiKey::Fetch));
        assert!(of_decoded(ApiKey::OffsetFetch, spent(4 << 20, 1 << 20)) > 256 << 20);
    }
}
