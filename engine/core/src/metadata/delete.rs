//! What becomes of a request to delete topics. The rules are those of Kafka's
//! `ControllerApis.deleteTopics`; internal topics are deleted like others.

use std::collections::{BTreeMap, BTreeSet};

use crate::metadata::command::{DeleteResult, TopicRef};
use crate::metadata::image::Image;
use crate::metadata::record::Record;
use crate::metadata::refusal::DeleteRefusal;

/// How often a request gives each reference.
type Given<'a> = BTreeMap<&'a TopicRef, u32>;

/// Records that delete the topics which can be, and what became of each.
pub(super) fn decide(image: &Image, topics: &[TopicRef]) -> (Vec<Record>, Vec<DeleteResult>) {
    let mut given = Given::new();
    for topic in topics {
        *given.entry(topic).or_insert(0) += 1;
    }
    let mut seen = BTreeSet::new();
    let distinct = topics.iter().filter(|topic| seen.insert(*topic));
    let results: Vec<_> = distinct.filter_map(|topic| delete(image, topic, &given)).collect();
    let deleted = results.iter().filter(|deletion| deletion.result.is_ok());
    let records = deleted.filter_map(|deletion| deletion.id.map(Record::RemoveTopic)).collect();
    (records, results)
}

/// What becomes of one reference; `None` for the id of a topic that its name already answers for.
fn delete(image: &Image, topic: &TopicRef, given: &Given<'_>) -> Option<DeleteResult> {
    let twice = given[topic] > 1;
    let (name, id, result) = match topic {
        TopicRef::ByName(name) if twice => {
            (Some(name.clone()), None, Err(DeleteRefusal::NamedTwice))
        }
        TopicRef::ById(id) if twice => (None, Some(*id), Err(DeleteRefusal::IdTwice)),
        TopicRef::ByName(name) => match image.topic(name) {
            None => (Some(name.clone()), None, Err(DeleteRefusal::UnknownName)),
            Some(topic) if given.contains_key(&TopicRef::ById(topic.id)) => {
                (Some(name.clone()), Some(topic.id), Err(DeleteRefusal::NameAndId))
            }
            Some(topic) => (Some(name.clone()), Some(topic.id), Ok(())),
        },
        TopicRef::ById(id) => match image.topic_by_id(*id) {
            None => (None, Some(*id), Err(DeleteRefusal::UnknownId)),
            Some(topic) if given.get(&TopicRef::ByName(topic.name.clone())) == Some(&1) => {
                return None;
            }
            Some(topic) => (Some(topic.name.clone()), Some(*id), Ok(())),
        },
    };
    Some(DeleteResult { name, id, result })
}
