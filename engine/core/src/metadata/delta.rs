//! What a replay has changed, as the owners of partitions need to know it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::{TopicId, TopicPartition};
use crate::metadata::image::{Configs, Image, Topic};
use crate::metadata::record::{ConfigResource, Record};

/// A change of the metadata. Published to every shard, in the order of versions.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The new image's version. Rises with every delta.
    pub version: u64,
    /// The new image.
    pub image: Arc<Image>,
    /// Partitions that exist now and did not before.
    pub created: Vec<PartitionConfigs>,
    /// Partitions that exist no more. Their ids never come back.
    pub removed: Vec<TopicPartition>,
    /// Partitions that existed before and whose configs are others now.
    pub changed: Vec<PartitionConfigs>,
}

/// A partition and the configs that its topic was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionConfigs {
    /// The partition.
    pub partition: TopicPartition,
    /// The configs, without defaults.
    pub configs: Configs,
}

impl Delta {
    /// What `records` have made of `old`.
    pub(super) fn between(old: &Image, new: &Arc<Image>, records: &[Record]) -> Delta {
        let mut delta = Delta {
            version: new.version(),
            image: new.clone(),
            created: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
        };
        for id in touched(old, new, records) {
            match (old.topic_by_id(id), new.topic_by_id(id)) {
                (Some(old), None) => delta.removed.extend(old.partitions_from(0)),
                (old, Some(new)) => delta.add_topic(old, new),
                (None, None) => {}
            }
        }
        delta
    }

    fn add_topic(&mut self, old: Option<&Arc<Topic>>, new: &Topic) {
        let with_configs = |partition| PartitionConfigs { partition, configs: new.configs.clone() };
        let before = old.map_or(0, |old| old.partitions);
        if old.is_some_and(|old| old.configs != new.configs) {
            let kept = new.partitions_from(0).take(before as usize);
            self.changed.extend(kept.map(with_configs));
        }
        self.created.extend(new.partitions_from(before).map(with_configs));
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
