//! ConsumerGroupDescribe: consumer groups, their members, what they have and are to have (KIP-848).

use std::sync::Arc;

use corelog_engine::group::partitions::Partitions;
use corelog_engine::group::request::{
    ConsumerDescription, ConsumerMember, GroupError, Refused, Reply, Request,
};
use corelog_engine::metadata::Image;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedAssignment,
    DescribedConsumer, DescribedConsumerGroup, DescribedPartitions,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, operations, translate};

/// Bytes of a member, and of a topic that it has or wants, without their texts.
const MEMBER: usize = 768;
const TOPIC: usize = 128;
/// Kafka's numbers of member types.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

pub(crate) fn handle(
    call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> Handled<ConsumerGroupDescribeResponse> {
    let image = call.node.image();
    if !groups::has_consumer_protocol(&image) {
        let refused = |group_id| DescribedConsumerGroup {
            group_id,
            error_code: ErrorCode::UnsupportedVersion,
            ..DescribedConsumerGroup::default()
        };
        let groups = request.group_ids.into_iter().map(refused).collect();
        return Handled::Now(ConsumerGroupDescribeResponse { groups, ..Default::default() });
    }
    let include = request.include_authorized_operations;
    let node = call.node.clone();
    Handled::growing(async move |mut told| {
        let mut groups = Vec::with_capacity(request.group_ids.len());
        for group_id in request.group_ids {
            let question = Request::DescribeConsumer((*group_id).into());
            let answer = match told.may_go_on() {
                _ if group_id.is_empty() => Err(GroupError::InvalidGroupId),
                true => groups::ask(&node, &group_id, question).await,
                false => Err(GroupError::LoadInProgress),
            };
            let group = match answer {
                Ok(Reply::DescribeConsumer(Ok(group))) => described(&image, *group, include),
                Ok(Reply::DescribeConsumer(Err(refused))) => refusal(refused),
                Ok(_) => refusal(Refused { error: GroupError::Unknown, why: None }),
                // Without the topic there are no groups.
                Err(GroupError::NotCoordinator) if groups::topic(&image).is_none() => {
                    let why = format!("Group {group_id} not found.");
                    refusal(Refused::new(GroupError::NotFound, why))
                }
                Err(error) => refusal(Refused { error, why: None }),
            };
            told.add(size(&group)).await;
            groups.push(DescribedConsumerGroup { group_id, ..group });
        }
        (ConsumerGroupDescribeResponse { groups, ..Default::default() }, told)
    })
}

/// Bytes that a group takes, encoded and not.
fn size(group: &DescribedConsumerGroup) -> u64 {
    let text = |text: &Str| 2 * text.len();
    let maybe = |maybe: &Option<Str>| maybe.as_ref().map_or(0, text);
    let topics = |assigned: &DescribedAssignment| {
        let topics = assigned.topic_partitions.iter();
        let of = |topic: &DescribedPartitions| {
            TOPIC + text(&topic.topic_name) + 8 * topic.partitions.len()
        };
        topics.map(of).sum::<usize>()
    };
    let member = |member: &DescribedConsumer| {
        let names = member.subscribed_topic_names.iter().map(|name| TOPIC + text(name));
        let own = [&member.instance_id, &member.rack_id, &member.subscribed_topic_regex];
        MEMBER
            + [&member.member_id, &member.client_id, &member.client_host]
                .map(text)
                .iter()
                .sum::<usize>()
            + own.map(maybe).iter().sum::<usize>()
            + names.sum::<usize>()
            + topics(&member.assignment)
            + topics(&member.target_assignment)
    };
    let members: usize = group.members.iter().map(member).sum();
    (members + maybe(&group.error_message)) as u64
}

fn described(image: &Image, group: ConsumerDescription, include: bool) -> DescribedConsumerGroup {
    DescribedConsumerGroup {
        group_state: Str::from_static(translate::group_state(group.state)),
        group_epoch: group.epoch.0,
        assignment_epoch: group.assignment_epoch.0,
        assignor_name: Str::from_static(group.assignor),
        members: group.members.into_iter().map(|one| member(image, one)).collect(),
        authorized_operations: operations::told(include, operations::GROUP),
        ..DescribedConsumerGroup::default()
    }
}

fn member(image: &Image, member: ConsumerMember) -> DescribedConsumer {
    let text = |text: Arc<str>| Str::from(&*text);
    DescribedConsumer {
        member_id: Str::from(member.member.as_str()),
        instance_id: member.instance.map(|name| Str::from(name.as_str())),
        rack_id: member.rack.map(text),
        member_epoch: member.epoch.0,
        client_id: text(member.client_id),
        client_host: text(member.client_host),
        subscribed_topic_names: member.topics.into_iter().map(text).collect(),
        subscribed_topic_regex: Some(text(member.regex)),
        assignment: named(image, &member.assignment),
        target_assignment: named(image, &member.target),
        member_type: if member.is_classic { CLASSIC } else { CONSUMER },
    }
}

/// Partitions of topics that exist.
fn named(image: &Image, partitions: &Partitions) -> DescribedAssignment {
    let topics = partitions.topics().filter_map(|(topic, indexes)| {
        Some(DescribedPartitions {
            topic_id: Uuid(topic.0),
            topic_name: Str::from(&*image.topic_by_id(topic)?.name),
            partitions: indexes.iter().copied().collect(),
        })
    });
    DescribedAssignment { topic_partitions: topics.collect() }
}

fn refusal(refused: Refused) -> DescribedConsumerGroup {
    DescribedConsumerGroup {
        error_code: translate::group(refused.error),
        error_message: refused.why.map(|why| Str::from(&*why)),
        ..DescribedConsumerGroup::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_group_says_counts() {
        const LEN: usize = 1_000;
        let text = || Str::from("x".repeat(LEN));
        let member = |set: fn(&mut DescribedConsumer, Str)| {
            let mut member = DescribedConsumer::default();
            set(&mut member, text());
            DescribedConsumerGroup { members: vec![member], ..Default::default() }
        };
        let assigned = |topic_name| DescribedAssignment {
            topic_partitions: vec![DescribedPartitions { topic_name, ..Default::default() }],
        };
        let partitions = |indexes: usize| DescribedAssignment {
            topic_partitions: vec![DescribedPartitions {
                partitions: vec![0; indexes],
                ..Default::default()
            }],
        };
        let many = DescribedConsumer { assignment: partitions(LEN), ..Default::default() };
        for group in [
            member(|member, text| member.member_id = text),
            member(|member, text| member.instance_id = Some(text)),
            member(|member, text| member.rack_id = Some(text)),
            member(|member, text| member.client_id = text),
            member(|member, text| member.client_host = text),
            member(|member, text| member.subscribed_topic_names = vec![text]),
            member(|member, text| member.subscribed_topic_regex = Some(text)),
            DescribedConsumerGroup {
                members: vec![DescribedConsumer {
                    assignment: assigned(text()),
                    ..Default::default()
                }],
                ..Default::default()
            },
            DescribedConsumerGroup {
                members: vec![DescribedConsumer {
                    target_assignment: assigned(text()),
                    ..Default::default()
                }],
                ..Default::default()
            },
            DescribedConsumerGroup { members: vec![many], ..Default::default() },
            DescribedConsumerGroup { error_message: Some(text()), ..Default::default() },
        ] {
            assert!(size(&group) >= 2 * LEN as u64, "{group:?}");
        }
    }
}
