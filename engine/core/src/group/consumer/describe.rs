//! A consumer group, for operators.

use crate::group::consumer::{ConsumerGroup, Member};
use crate::group::name::MemberId;
use crate::group::request::{ConsumerDescription, ConsumerMember, GroupType, Listing};
use crate::group::settings::ConsumerSettings;

impl ConsumerGroup {
    pub(crate) fn describe(&self, settings: &ConsumerSettings) -> ConsumerDescription {
        ConsumerDescription {
            state: self.state(),
            epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor: self.assignor(settings).name(),
            members: self.members.iter().map(|(id, member)| self.told(id, member)).collect(),
        }
    }

    fn told(&self, id: &MemberId, member: &Member) -> ConsumerMember {
        let Member { metadata, current, .. } = member;
        let has = current.assigned.iter().chain(current.revoking.iter());
        ConsumerMember {
            member: id.clone(),
            instance: metadata.instance.clone(),
            rack: metadata.rack.clone(),
            epoch: current.epoch,
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            topics: metadata.topics.iter().cloned().collect(),
            regex: metadata.regex.clone(),
            assignment: has.map(|(topic, index, _)| (topic, index)).collect(),
            target: self.targets.get(id).map(|target| (**target).clone()).unwrap_or_default(),
            is_classic: metadata.classic.is_some(),
        }
    }

    pub(crate) fn listing(&self) -> Listing {
        Listing {
            group: self.id.clone(),
            protocol_type: crate::group::classic::CONSUMER.into(),
            state: self.state(),
            kind: GroupType::Consumer,
        }
    }
}
