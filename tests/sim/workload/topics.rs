//! Topics made, deleted and made again under the same name; producer ids.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use corelog_engine::id::TopicId;
use corelog_engine::metadata::Outcome;
use corelog_engine::metadata::command::{
    Clamp, Command, CreateTopics, Defaults, Limits, Mode, NewTopic, TopicRef,
};
use corelog_engine::metadata::refusal::CreateRefusal;
use corelog_engine::shard::request::{AppendError, MetadataError, Request};

use super::producers::Producer;
use super::{Asking, Setting, Wish, Workload};
use crate::sim::model::{Check, Model, Topic, TopicState};

impl Workload {
    pub(super) fn change_topics(&mut self, model: &mut Model, setting: Setting) -> Option<Asking> {
        let live = model
            .topics
            .iter()
            .filter(|(_, topic)| topic.state == TopicState::Live && !topic.of_groups);
        let live: Vec<TopicId> = live.map(|(id, _)| *id).collect();
        let crowded = live.len() as u64 >= self.most_topics;
        if live.is_empty() || (!crowded && self.rng.one_in(2)) {
            return Some(self.create(model, setting));
        }
        if !crowded || !self.rng.one_in(4) {
            return None;
        }
        let id = self.rng.pick(&live);
        model.topics.get_mut(&id)?.state = TopicState::Deleting;
        let command = Command::DeleteTopics(vec![TopicRef::ById(id)]);
        Some(self.ask(setting, Request::Metadata(command), Wish::Delete(id)))
    }

    fn create(&mut self, model: &mut Model, setting: Setting) -> Asking {
        let name = format!("topic-{}", self.topics % 7);
        self.topics += 1;
        let caching = self.rng.one_in(3);
        let mut configs = BTreeMap::new();
        if caching {
            configs.insert("write.caching".to_owned(), Some("true".to_owned()));
        }
        if self.rng.one_in(2) {
            let bytes = self.rng.spread(2 << 10..=256 << 10).to_string();
            configs.insert("segment.bytes".to_owned(), Some(bytes));
        }
        let (id, partitions) = (TopicId(self.rng.id()), self.rng.within(1..=6) as u32);
        let contested = is_taken(model, id, &name);
        let state = TopicState::Creating;
        let of_groups = false;
        let topic = Topic { name, state, caching, partitions, contested, of_groups };
        self.make(model, setting, id, topic, configs)
    }

    /// Asks for a topic that the model then knows of.
    pub(super) fn make(
        &mut self,
        model: &mut Model,
        setting: Setting,
        id: TopicId,
        topic: Topic,
        configs: BTreeMap<String, Option<String>>,
    ) -> Asking {
        let new = NewTopic {
            name: topic.name.as_str().into(),
            id,
            partitions: topic.partitions as i32,
            replication_factor: -1,
            assignments: Vec::new(),
            configs,
        };
        model.topics.insert(id, topic);
        let command = Command::CreateTopics(CreateTopics {
            topics: vec![new],
            mode: Mode::Apply,
            defaults: Defaults { partitions: 1, replication_factor: 1 },
            clamp: Clamp::Off,
            limits: Limits { partitions: 1000 },
        });
        self.ask(setting, Request::Metadata(command), Wish::Create(id))
    }

    pub(super) fn allocate_producer(&mut self, setting: Setting) -> Option<Asking> {
        if self.producers.len() >= 6 {
            return None;
        }
        let count = NonZeroU32::new(self.rng.within(1..=3) as u32)?;
        let command = Command::AllocateProducerIds { count };
        Some(self.ask(setting, Request::Metadata(command), Wish::ProducerIds))
    }

    pub(super) fn allocated(
        &mut self,
        model: &Model,
        result: &Result<Outcome, MetadataError>,
    ) -> Check {
        match result {
            Ok(Outcome::ProducerIds(block)) => {
                let id = block.clone().take().ok_or("an empty block of producer ids")?;
                if self.producers.iter().any(|producer| producer.id == id) {
                    return Err(format!("{id:?} is given away twice"));
                }
                self.producers.push(Producer::new(id));
                Ok(())
            }
            other => excused(model, other),
        }
    }
}

/// A creation is answered.
pub(super) fn created(
    model: &mut Model,
    id: TopicId,
    result: &Result<Outcome, MetadataError>,
) -> Check {
    let Ok(Outcome::Topics(topics)) = result else { return excused(model, result) };
    let (name, contested) = (model.topics[&id].name.clone(), model.topics[&id].contested);
    // What stood in its way may be gone by the time that this is heard.
    let taken = contested || is_taken(model, id, &name);
    let state = match topics.as_slice() {
        [topic] => match &topic.result {
            Ok(created) if created.id == id => TopicState::Live,
            Err(CreateRefusal::Exists) if taken => TopicState::Gone,
            other => return Err(format!("{name} is answered {other:?}")),
        },
        other => return Err(format!("{name} is answered {other:?}")),
    };
    model.topics.entry(id).and_modify(|topic| topic.state = state);
    Ok(())
}

/// Whether another topic has this name, or may have.
fn is_taken(model: &Model, id: TopicId, name: &str) -> bool {
    let mut topics = model.topics.iter();
    topics
        .any(|(other, topic)| *other != id && topic.name == name && topic.state != TopicState::Gone)
}

/// A deletion is answered.
pub(super) fn deleted(
    model: &mut Model,
    id: TopicId,
    result: &Result<Outcome, MetadataError>,
) -> Check {
    match result {
        Ok(Outcome::Deleted(topics)) if topics.iter().all(|topic| topic.result.is_ok()) => {
            model.topics.entry(id).and_modify(|topic| topic.state = TopicState::Gone);
            Ok(())
        }
        other => excused(model, other),
    }
}

/// Only a shard that is offline writes no metadata; what becomes of it the next start tells.
fn excused(model: &Model, result: &Result<Outcome, MetadataError>) -> Check {
    match result {
        Err(MetadataError::Unwritten(AppendError::Offline)) if model.excuses.offline => Ok(()),
        other => Err(format!("a command is answered {other:?}")),
    }
}
