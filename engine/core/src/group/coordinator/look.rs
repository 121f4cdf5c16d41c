//! What is asked of groups without changing them.

use crate::group::coordinator::{Coordinator, Groups, Output};
use crate::group::name::GroupId;
use crate::group::offsets::Offsets;
use crate::group::request::{Asker, FetchRequest, GroupError, Refused, Reply, TopicOffsets};
use crate::group::turn::{Kind, Then};
use crate::id::Now;

impl Coordinator {
    /// What is committed: what is durable now or, for whoever asks for what is stable, once
    /// everything is durable that is on its way. Members wait for that too: the epoch that they
    /// name may be on its way.
    pub(super) fn fetch(&mut self, now: Now, asker: Asker, request: FetchRequest) -> Output {
        let is_member = request.member.is_some();
        if !request.stable && !is_member {
            return Output::reply(asker, fetch(&self.groups, &request));
        }
        self.turn(now, |_, turn| turn.then.push(Then::Fetch(asker, request)))
    }

    pub(super) fn describe(&self, id: &GroupId) -> Reply {
        let not_found = |what| Refused::new(GroupError::NotFound, format!("Group {id} {what}."));
        Reply::Describe(match self.groups.get(id).map(|group| &group.kind) {
            Some(Kind::Classic(classic)) => Ok(Box::new(classic.describe())),
            Some(Kind::Consumer(_)) => Err(not_found("is not a classic group")),
            None => Err(not_found("not found")),
        })
    }

    pub(in crate::group) fn describe_consumer(&self, id: &GroupId) -> Reply {
        let not_found = |what| Refused::new(GroupError::NotFound, format!("Group {id} {what}."));
        Reply::DescribeConsumer(match self.groups.get(id).map(|group| &group.kind) {
            Some(Kind::Consumer(group)) => Ok(Box::new(group.describe(&self.settings.consumer))),
            Some(Kind::Classic(_)) => Err(not_found("is not a consumer group")),
            None => Err(not_found("not found")),
        })
    }

    pub(super) fn history(&self, group: &GroupId) -> Reply {
        let group = self.groups.get(group);
        Reply::History(group.map(|group| group.history.list()).unwrap_or_default())
    }

    pub(super) fn list(&self) -> Reply {
        let listing = |kind: &Kind| match kind {
            Kind::Classic(classic) => classic.listing(),
            Kind::Consumer(group) => group.listing(),
        };
        Reply::List(self.groups.values().map(|group| listing(&group.kind)).collect())
    }
}

/// What is durable.
pub(super) fn fetch(groups: &Groups, request: &FetchRequest) -> Reply {
    let group = groups.get(&request.group);
    if let Some(Kind::Consumer(consumer)) = group.map(|group| &group.kind)
        && let Err(error) = consumer.may_fetch(request.member.as_ref())
    {
        return Reply::Fetch(Err(error));
    }
    let none = Offsets::default();
    let offsets = group.map_or(&none, |group| &group.offsets);
    Reply::Fetch(Ok(match &request.topics {
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
                let told = |(index, committed): (&i32, &_)| (*index, Some(Clone::clone(committed)));
                let partitions = partitions.iter().map(told).collect();
                TopicOffsets { topic: topic.clone(), partitions }
            })
            .collect(),
    }))
}
