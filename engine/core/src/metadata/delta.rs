//! What a replay has changed, as the owners of partitions need to know it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::id::{PartitionIndex, TopicId, TopicPartition};
use crate::metadata::image::{Configs, Image, Topic};
use crate::metadata::record::{ConfigResource, Record};

/// A change of the metadata. Published to every shard, in the order of versions.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The new image's version. Rises with every delta.
    pub version: u64,
    /// The new image.
    pub image: Arc<Image>,
    /// What becomes of which partitions.
    pub changes: Vec<Change>,
}

/// Partitions of one topic with which the same has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The topic.
    pub topic: TopicId,
    /// The partitions' numbers.
    pub partitions: Range<u32>,
    /// What has happened.
    pub fate: Fate,
}

/// What has happened with partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They exist now and did not before; their topic was given these configs, defaults aside.
    Created(Configs),
    /// They exist no more. Their ids never come back.
    Removed,
    /// They existed before, and their topic's configs are these now.
    Configured(Configs),
}

impl Change {
    /// One of the topic's partitions.
    #[must_use]
    pub fn partition(&self, index: u32) -> TopicPartition {
        TopicPartition { topic: self.topic, index: PartitionIndex(index) }
    }
}

impl Delta {
    /// What `records` have made of `old`.
    pub(super) fn between(old: &Image, new: &Arc<Image>, records: &[Record]) -> Delta {
        let mut delta = Delta { version: new.version(), image: new.clone(), changes: Vec::new() };
        for id in touched(old, new, records) {
            match (old.topic_by_id(id), new.topic_by_id(id)) {
                (Some(old), None) => delta.add(id, 0..old.partitions, Fate::Removed),
                (old, Some(new)) => delta.add_topic(old, new),
                (None, None) => {}
            }
        }
        delta
    }

    fn add_topic(&mut self, old: Option<&Arc<Topic>>, new: &Topic) {
        let before = old.map_or(0, |old| old.partitions);
        if old.is_some_and(|old| old.configs != new.configs) {
            self.add(new.id, 0..before, Fate::Configured(new.configs.clone()));
        }
        self.add(new.id, before..new.partitions, Fate::Created(new.configs.clone()));
    }

    fn add(&mut self, topic: TopicId, partitions: Range<u32>, fate: Fate) {
        if !partitions.is_empty() {
            self.changes.push(Change { topic, partitions, fate });
        }
    }
}

/// The topics that `records` are about.
fn touched(old: &Image, new: &Image, records: &[Record]) -> BTreeSet<TopicId> {
    let mut ids = BTreeSet::new();
    for record in records {
        match record {
            Record::Topic { id, .. } | Record::RemoveTopic(id) => _ = ids.insert(*id),
            Record::Partition(partition) => _ = ids.insert(partition.topic),
            Record::Config(config) if config.resource == ConfigResource::Topic => {
                let named = [old, new].map(|image| image.topic(&config.resource_name));
                ids.extend(named.into_iter().flatten().map(|topic| topic.id));
            }
            _ => {}
        }
    }
    ids
}
