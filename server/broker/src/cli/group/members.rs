//! A group and who is in it. Consumer groups (KIP-848) and classic ones are asked for apart, and
//! know different things of themselves.

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedConsumer,
};
use corelog_wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroupMember,
};
use serde::Serialize;

use super::assignment::{Assignment, decode};
use super::some;
use crate::cli::client::{ClientError, Cluster};
use crate::cli::failure::{Failure, check};

/// The protocol type of members that read topics.
const CONSUMER: &str = "consumer";
/// The state of a group that is not there, from brokers that do not say so with an error code.
const DEAD: &str = "Dead";

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) state: String,
    /// What the members do; null without any members so far.
    pub(super) protocol_type: Option<String>,
    /// How partitions are divided; in classic groups, the protocol that the members have chosen.
    pub(super) assignor: Option<String>,
    /// Changes with members and topics. Brokers do not tell of classic groups' generations.
    pub(super) epoch: Option<i32>,
    /// The epoch for which partitions are divided.
    pub(super) assignment_epoch: Option<i32>,
    pub(super) members: Vec<Member>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Member {
    pub(super) id: String,
    /// The name that it keeps from life to life, if it has one.
    pub(super) instance: Option<String>,
    pub(super) client: String,
    pub(super) host: String,
    /// The group's epoch that it has come to.
    pub(super) epoch: Option<i32>,
    pub(super) partitions: Assignment,
}

/// Asks for a group.
///
/// # Errors
/// [`Failure::NoGroup`]
pub(super) fn find(cluster: &mut Cluster, name: &str) -> Result<Group, Failure> {
    let request =
        |_| ConsumerGroupDescribeRequest { group_ids: vec![name.into()], ..Default::default() };
    match cluster.ask_coordinator(name, request, |response| consumer_group(name, response)) {
        Err(failure) if is_no_consumer_group(&failure) => {}
        found => return found,
    }
    let request = |_| DescribeGroupsRequest { groups: vec![name.into()], ..Default::default() };
    cluster.ask_coordinator(name, request, |response| classic_group(name, response))
}

/// Whether it may be a classic one, or the broker knows no others.
fn is_no_consumer_group(failure: &Failure) -> bool {
    use ErrorCode::{GroupIdNotFound, UnsupportedVersion};
    match failure {
        Failure::Client(ClientError::Versions { .. }) => true,
        Failure::Refused { code, .. } => [GroupIdNotFound, UnsupportedVersion].contains(code),
        _ => false,
    }
}

fn consumer_group(name: &str, response: ConsumerGroupDescribeResponse) -> Result<Group, Failure> {
    let what = || format!("group `{name}`");
    let Some(group) = response.groups.into_iter().next() else {
        return Err(Failure::NoAnswer { what: what() });
    };
    check(group.error_code, group.error_message, what)?;
    Ok(Group {
        kind: "consumer",
        state: group.group_state.to_string(),
        protocol_type: Some(CONSUMER.to_owned()),
        assignor: some(&group.assignor_name),
        epoch: Some(group.group_epoch),
        assignment_epoch: Some(group.assignment_epoch),
        members: in_order(group.members.into_iter().map(consumer).collect()),
    })
}

fn consumer(member: DescribedConsumer) -> Member {
    let mut partitions = Assignment::new();
    for topic in member.assignment.topic_partitions {
        partitions.entry(topic.topic_name.to_string()).or_default().extend(topic.partitions);
    }
    partitions.values_mut().for_each(|partitions| partitions.sort_unstable());
    Member {
        id: member.member_id.to_string(),
        instance: member.instance_id.map(String::from),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        epoch: Some(member.member_epoch),
        partitions,
    }
}

fn classic_group(name: &str, response: DescribeGroupsResponse) -> Result<Group, Failure> {
    let what = || format!("group `{name}`");
    let Some(group) = response.groups.into_iter().next() else {
        return Err(Failure::NoAnswer { what: what() });
    };
    if group.error_code == ErrorCode::GroupIdNotFound
        || group.error_code == ErrorCode::None && *group.group_state == *DEAD
    {
        return Err(Failure::NoGroup(name.to_owned()));
    }
    check(group.error_code, group.error_message, what)?;
    let reads = *group.protocol_type == *CONSUMER;
    Ok(Group {
        kind: "classic",
        state: group.group_state.to_string(),
        protocol_type: some(&group.protocol_type),
        assignor: some(&group.protocol_data),
        epoch: None,
        assignment_epoch: None,
        members: in_order(group.members.into_iter().map(|m| classic(m, reads)).collect()),
    })
}

/// What other members than consumers are assigned is theirs to understand.
fn classic(member: DescribedGroupMember, reads: bool) -> Member {
    Member {
        id: member.member_id.to_string(),
        instance: member.group_instance_id.map(String::from),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        epoch: None,
        partitions: if reads { decode(&member.member_assignment) } else { Assignment::new() },
    }
}

fn in_order(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_by(|one, other| one.id.cmp(&other.id));
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::messages::consumer_group_describe::{
        DescribedAssignment, DescribedConsumerGroup, DescribedPartitions,
    };
    use corelog_wire::messages::describe_groups::DescribedGroup;

    /// Partition 5 of `t`.
    const ASSIGNED: &[u8] = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff";

    fn consumers(group: DescribedConsumerGroup) -> Result<Group, Failure> {
        let response = ConsumerGroupDescribeResponse { groups: vec![group], ..Default::default() };
        consumer_group("g", response)
    }

    fn classics(group: DescribedGroup) -> Result<Group, Failure> {
        let response = DescribeGroupsResponse { groups: vec![group], ..Default::default() };
        classic_group("g", response)
    }

    #[test]
    fn consumer_groups_have_epochs() {
        let topic = |name: &str, partitions: &[i32]| DescribedPartitions {
            topic_name: name.into(),
            partitions: partitions.to_vec(),
            ..Default::default()
        };
        let member = |id: &str, topics| DescribedConsumer {
            member_id: id.into(),
            member_epoch: 2,
            client_id: "c".into(),
            client_host: "/h".into(),
            assignment: DescribedAssignment { topic_partitions: topics },
            ..Default::default()
        };
        let two = member("b", vec![topic("u", &[1]), topic("t", &[2, 0])]);
        let group = DescribedConsumerGroup {
            group_state: "Stable".into(),
            group_epoch: 3,
            assignment_epoch: 2,
            assignor_name: "uniform".into(),
            members: vec![two, member("a", Vec::new())],
            ..Default::default()
        };
        let found = consumers(group).expect("a group");
        assert_eq!(
            (found.kind, found.epoch, found.assignment_epoch),
            ("consumer", Some(3), Some(2))
        );
        assert_eq!(found.assignor.as_deref(), Some("uniform"));
        assert_eq!(found.members.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let partitions = [("t".to_owned(), vec![0, 2]), ("u".to_owned(), vec![1])];
        assert_eq!(found.members[1].partitions, Assignment::from(partitions));
        assert_eq!(found.members[1].epoch, Some(2));
    }

    #[test]
    fn only_consumers_of_classic_groups_have_partitions() {
        let group = |protocol_type: &str| DescribedGroup {
            group_state: "Stable".into(),
            protocol_type: protocol_type.into(),
            protocol_data: "range".into(),
            members: vec![DescribedGroupMember {
                member_id: "m".into(),
                group_instance_id: Some("i".into()),
                member_assignment: ASSIGNED.into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let found = classics(group("consumer")).expect("a group");
        assert_eq!((found.kind, found.epoch), ("classic", None));
        assert_eq!(found.assignor.as_deref(), Some("range"));
        assert_eq!(found.members[0].instance.as_deref(), Some("i"));
        assert_eq!(found.members[0].partitions, Assignment::from([("t".to_owned(), vec![5])]));
        let other = classics(group("connect")).expect("a group");
        assert!(other.members[0].partitions.is_empty(), "{other:?}");
    }

    #[test]
    fn what_is_no_consumer_group_may_be_a_classic_one_or_none() {
        for (code, may_be) in [
            (ErrorCode::GroupIdNotFound, true),
            (ErrorCode::UnsupportedVersion, true),
            (ErrorCode::GroupAuthorizationFailed, false),
        ] {
            let group = DescribedConsumerGroup { error_code: code, ..Default::default() };
            let failure = consumers(group).expect_err("refused");
            assert_eq!(is_no_consumer_group(&failure), may_be, "{failure}");
        }
        let dead = DescribedGroup { group_state: "Dead".into(), ..Default::default() };
        let error_code = ErrorCode::GroupIdNotFound;
        let missing = DescribedGroup { error_code, ..dead.clone() };
        for group in [dead, missing] {
            let failure = classics(group).expect_err("not there");
            assert!(matches!(failure, Failure::NoGroup(_)), "{failure}");
        }
    }
}
