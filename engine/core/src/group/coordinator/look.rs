//! What is asked of groups without changing them.

use crate::group::coordinator::Coordinator;
use crate::group::name::GroupId;
use crate::group::offsets::Offsets;
use crate::group::request::{FetchRequest, GroupError, Reply, TopicOffsets};

impl Coordinator {
    pub(super) fn fetch(&self, request: &FetchRequest) -> Vec<TopicOffsets> {
        let none = Offsets::default();
        let offsets = self.groups.get(&request.group).map_or(&none, |group| &group.offsets);
        match &request.topics {
            Some(topics) => topics
                .iter()
                .map(|(topic, partitions)| {
                    let told = |&index: &i32| (index, offsets.get(topic, index).cloned());
                    let partitions = partitions.iter().map(told).collect();
                    TopicOffsets { topic: topic.clone(), partitions }
                })
                .collect(),
            None => offsets
                .topics()
                .map(|(topic, partitions)| {
                    let told =
                        |(index, committed): (&i32, &_)| (*index, Some(Clone::clone(committed)));
                    let partitions = partitions.iter().map(told).collect();
                    TopicOffsets { topic: topic.clone(), partitions }
                })
                .collect(),
        }
    }

    pub(super) fn describe(&self, group: &GroupId) -> Reply {
        let group = self.groups.get(group).ok_or(GroupError::NotFound);
        Reply::Describe(group.map(|group| Box::new(group.classic.describe())))
    }

    pub(super) fn list(&self) -> Reply {
        Reply::List(self.groups.values().map(|group| group.classic.listing()).collect())
    }
}
