//! Topics that groups read.

use std::sync::Arc;

use crate::id::{LeaderEpoch, PartitionIndex, TopicId};
use crate::metadata::Image;
use crate::metadata::record::{
    BrokerId, ConfigRecord, ConfigResource, LeaderRecovery, PartitionRecord, Record,
};

/// What there is to read, and how often topics were made.
pub(super) struct Topics {
    image: Arc<Image>,
    made: u8,
}

impl Topics {
    pub(super) fn new() -> Topics {
        let mut topics = Topics { image: Arc::default(), made: 0 };
        // Nobody has told a coordinator of anything at version 0.
        topics.replay(Record::FeatureLevel { name: "group.version".into(), level: 1 });
        topics
    }

    pub(super) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    fn replay(&mut self, record: Record) {
        Arc::make_mut(&mut self.image).replay(&record).expect("a record that fits");
    }

    /// A topic's id.
    pub(super) fn id(&self, name: &str) -> TopicId {
        self.image.topic(name).expect("a topic").id
    }

    pub(super) fn create(&mut self, name: &str, partitions: u32) {
        self.made += 1;
        self.replay(Record::Topic { name: name.into(), id: TopicId([self.made; 16]) });
        self.grow(name, partitions);
    }

    /// Gives a topic so many partitions.
    pub(super) fn grow(&mut self, name: &str, partitions: u32) {
        let topic = self.image.topic(name).expect("a topic").clone();
        for index in topic.partitions..partitions {
            self.replay(Record::Partition(PartitionRecord {
                topic: topic.id,
                index: PartitionIndex(index),
                replicas: vec![BrokerId(0)],
                isr: vec![BrokerId(0)],
                removing: Vec::new(),
                adding: Vec::new(),
                leader: BrokerId(0),
                recovery: LeaderRecovery::Recovered,
                leader_epoch: LeaderEpoch(0),
                partition_epoch: 0,
                directories: Vec::new(),
                eligible_leaders: None,
                last_eligible_leaders: None,
            }));
        }
    }

    /// Gives a group a config of its own.
    pub(super) fn configure(&mut self, group: &str, name: &str, value: Option<&str>) {
        self.replay(Record::Config(ConfigRecord {
            resource: ConfigResource::Group,
            resource_name: group.to_owned(),
            name: name.to_owned(),
            value: value.map(str::to_owned),
        }));
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.replay(Record::RemoveTopic(self.id(name)));
    }
}
