//! How far a group has read: the offsets that it has committed.

use std::collections::BTreeMap;

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse, OffsetFetchResponsePartition,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::cli::client::{Cluster, Topic};
use crate::cli::failure::{Failure, check};

/// The first version that asks for several groups.
const SEVERAL_FROM: i16 = 8;

/// The offset of the next record to read, by topic and partition.
pub(super) type Committed = BTreeMap<(String, i32), i64>;

/// All that a group has committed, nothing of a group that is not there. Topics that the answer
/// names by their ids are only in it if they are in `topics`.
pub(super) fn find(
    cluster: &mut Cluster,
    group: &str,
    topics: &[Topic],
) -> Result<Committed, Failure> {
    let request = |version| request(group, version);
    cluster.ask_coordinator(group, request, |response| committed(group, topics, response))
}

/// Without topics, all are meant.
fn request(group: &str, version: i16) -> OffsetFetchRequest {
    let group_id = Str::from(group);
    match version {
        SEVERAL_FROM.. => {
            let group = OffsetFetchRequestGroup { group_id, topics: None, ..Default::default() };
            OffsetFetchRequest { groups: vec![group], ..Default::default() }
        }
        _ => OffsetFetchRequest { group_id, topics: None, ..Default::default() },
    }
}

fn committed(
    group: &str,
    topics: &[Topic],
    response: OffsetFetchResponse,
) -> Result<Committed, Failure> {
    let mut found = Committed::new();
    let code = response.groups.first().map_or(response.error_code, |group| group.error_code);
    if code == ErrorCode::GroupIdNotFound {
        return Ok(found);
    }
    check(code, None, || format!("offsets of group `{group}`"))?;
    let newer = response.groups.into_iter().flat_map(|group| group.topics);
    let newer = newer.map(|topic| (topic.name, topic.topic_id, topic.partitions));
    let older = response.topics.into_iter().map(|topic| (topic.name, Uuid::ZERO, topic.partitions));
    for (topic, id, partitions) in older.chain(newer) {
        let Some(topic) = name(topic, id, topics) else { continue };
        for OffsetFetchResponsePartition {
            partition_index, committed_offset, error_code, ..
        } in partitions
        {
            check(error_code, None, || {
                format!("offset of group `{group}` in partition {partition_index} of `{topic}`")
            })?;
            if committed_offset >= 0 {
                found.insert((topic.clone(), partition_index), committed_offset);
            }
        }
    }
    Ok(found)
}

fn name(topic: Str, id: Uuid, topics: &[Topic]) -> Option<String> {
    match id.is_zero() {
        true => Some(String::from(topic)),
        false => topics.iter().find(|topic| topic.id == id).map(|topic| topic.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::header::encode_request;
    use corelog_wire::messages::offset_fetch::{
        OffsetFetchResponseGroup, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    };

    fn partitions() -> Vec<OffsetFetchResponsePartition> {
        let partition = |partition_index, committed_offset| OffsetFetchResponsePartition {
            partition_index,
            committed_offset,
            ..Default::default()
        };
        vec![partition(0, 7), partition(1, -1), partition(2, 0)]
    }

    fn found(response: OffsetFetchResponse) -> Result<Committed, Failure> {
        let topic = |name: &str, id| Topic {
            name: name.to_owned(),
            id: Uuid([id; 16]),
            internal: false,
            partitions: Vec::new(),
        };
        committed("g", &[topic("other", 1), topic("t", 2)], response)
    }

    fn group(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
        OffsetFetchResponse { groups: vec![group], ..Default::default() }
    }

    fn topic(name: &str, id: u8) -> OffsetFetchResponseTopics {
        let (name, topic_id) = (name.into(), Uuid([id; 16]));
        OffsetFetchResponseTopics { name, topic_id, partitions: partitions() }
    }

    #[test]
    fn every_version_but_the_first_can_ask_for_everything() {
        for version in 2..=10 {
            let frame = encode_request(version, 0, None, &request("name", version));
            let bytes = frame.expect("encodes").into_bytes().expect("no holes");
            assert!(bytes.windows(4).any(|bytes| bytes == b"name"), "version {version}");
        }
    }

    #[test]
    fn topics_are_named_or_have_ids() {
        let old = OffsetFetchResponseTopic { name: "t".into(), partitions: partitions() };
        let old = OffsetFetchResponse { topics: vec![old], ..Default::default() };
        let named = OffsetFetchResponseGroup { topics: vec![topic("t", 0)], ..Default::default() };
        // One of them has been deleted since.
        let topics = vec![topic("", 9), topic("", 2)];
        let by_id = OffsetFetchResponseGroup { topics, ..Default::default() };
        let expected = Committed::from([(("t".to_owned(), 0), 7), (("t".to_owned(), 2), 0)]);
        for response in [old, group(named), group(by_id)] {
            assert_eq!(found(response).expect("committed"), expected);
        }
    }

    #[test]
    fn a_group_that_is_not_there_has_committed_nothing() {
        let answer = |error_code| {
            found(group(OffsetFetchResponseGroup { error_code, ..Default::default() }))
        };
        assert_eq!(answer(ErrorCode::GroupIdNotFound).expect("nothing"), Committed::new());
        let text = answer(ErrorCode::GroupAuthorizationFailed).expect_err("refused").to_string();
        assert!(text.starts_with("offsets of group `g`: "), "{text}");
        let mut topic = topic("t", 0);
        topic.partitions[1].error_code = ErrorCode::UnstableOffsetCommit;
        let one = OffsetFetchResponseGroup { topics: vec![topic], ..Default::default() };
        let text = found(group(one)).expect_err("refused").to_string();
        assert!(text.starts_with("offset of group `g` in partition 1 of `t`: "), "{text}");
    }
}
