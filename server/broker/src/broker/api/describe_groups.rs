//! DescribeGroups: classic groups, their members and who reads what.

use std::sync::Arc;

use corelog_engine::group::history::Rebalance;
use corelog_engine::group::request::{
    DescribedMember, Description, GroupError, Refused, Reply, Request,
};
use corelog_wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
    DescribedRebalance,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, operations, translate};

/// From this version on a missing group is an error; before, it is dead.
const NOT_FOUND_FROM: i16 = 6;
/// Bytes of a member, and of a rebalance, without what they say.
const MEMBER: usize = 512;
const REBALANCE: usize = 128;
/// What a group is that is not there.
const DEAD: &str = "Dead";

pub(crate) fn handle(
    call: &Call,
    request: DescribeGroupsRequest,
) -> Handled<DescribeGroupsResponse> {
    let version = call.header.version;
    let allowed = operations::told(request.include_authorized_operations, operations::GROUP);
    let with_history = request.include_history;
    let node = call.node.clone();
    Handled::growing(async move |mut told| {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group_id in request.groups {
            let (question, history) =
                (Request::Describe((*group_id).into()), Request::History((*group_id).into()));
            let may_go_on = told.may_go_on();
            let answer = match may_go_on {
                true => groups::ask(&node, &group_id, question).await,
                false => Err(GroupError::LoadInProgress),
            };
            let group = match answer {
                Ok(Reply::Describe(Ok(description))) => described(*description, allowed),
                Ok(Reply::Describe(Err(refused))) => missing(version, refused, allowed),
                Err(error) => missing(version, Refused { error, why: None }, allowed),
                Ok(_) => DescribedGroup {
                    error_code: translate::group(GroupError::Unknown),
                    ..DescribedGroup::default()
                },
            };
            let history = match may_go_on && with_history {
                true => rebalances(groups::ask(&node, &group_id, history).await),
                false => Vec::new(),
            };
            let group = DescribedGroup { group_id, history, ..group };
            told.add(size(&group)).await;
            groups.push(group);
        }
        (DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }, told)
    })
}

/// Bytes that a group takes, encoded and not.
fn size(group: &DescribedGroup) -> u64 {
    let member = |member: &DescribedGroupMember| {
        let instance = member.group_instance_id.as_ref().map_or(0, |instance| instance.len());
        let client = member.client_id.len() + member.client_host.len();
        let own = member.member_metadata.len() + member.member_assignment.len();
        MEMBER + 2 * (member.member_id.len() + instance + client + own)
    };
    let members: usize = group.members.iter().map(member).sum();
    let rebalance = |rebalance: &DescribedRebalance| REBALANCE + 2 * rebalance.cause.len();
    let history: usize = group.history.iter().map(rebalance).sum();
    let why = group.error_message.as_ref().map_or(0, |why| why.len());
    (members + history + 2 * (why + group.protocol_type.len() + group.protocol_data.len())) as u64
}

fn described(description: Description, authorized_operations: i32) -> DescribedGroup {
    let text = |text: Arc<str>| Str::from(&*text);
    let member = |member: DescribedMember| DescribedGroupMember {
        member_id: Str::from(member.member.as_str()),
        group_instance_id: member.instance.map(|name| Str::from(name.as_str())),
        client_id: text(member.client_id),
        client_host: text(member.client_host),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    };
    DescribedGroup {
        group_state: Str::from_static(translate::group_state(description.state)),
        protocol_type: text(description.protocol_type),
        protocol_data: text(description.protocol),
        members: description.members.into_iter().map(member).collect(),
        authorized_operations,
        ..DescribedGroup::default()
    }
}

fn rebalances(history: Result<Reply, GroupError>) -> Vec<DescribedRebalance> {
    let Ok(Reply::History(history)) = history else { return Vec::new() };
    let told = |rebalance: Rebalance| DescribedRebalance {
        time_ms: rebalance.time.0,
        cause: Str::from(rebalance.causes()),
        number: rebalance.number.unwrap_or(-1),
        took_ms: i64::try_from(rebalance.took_ms).unwrap_or(i64::MAX),
        moved: i32::try_from(rebalance.moved).unwrap_or(i32::MAX),
    };
    history.into_iter().map(told).collect()
}

/// A group that is not there: dead, which is a state that one may ask about.
fn missing(
    version: i16,
    Refused { error, why }: Refused,
    authorized_operations: i32,
) -> DescribedGroup {
    if error != GroupError::NotFound {
        let error_code = translate::group(error);
        return DescribedGroup { error_code, ..DescribedGroup::default() };
    }
    let group_state = Str::from_static(DEAD);
    if version < NOT_FOUND_FROM {
        return DescribedGroup { group_state, authorized_operations, ..DescribedGroup::default() };
    }
    DescribedGroup {
        error_code: translate::group(error),
        error_message: why.map(|why| Str::from(&*why)),
        group_state,
        ..DescribedGroup::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn all_that_a_group_says_counts() {
        const LEN: usize = 1_000;
        let text = || Str::from("x".repeat(LEN));
        let bytes = || Bytes::from(vec![0; LEN]);
        let member = |set: fn(&mut DescribedGroupMember, Str, Bytes)| {
            let mut member = DescribedGroupMember::default();
            set(&mut member, text(), bytes());
            DescribedGroup { members: vec![member], ..DescribedGroup::default() }
        };
        let history = vec![DescribedRebalance { cause: text(), ..DescribedRebalance::default() }];
        for group in [
            member(|member, text, _| member.member_id = text),
            member(|member, text, _| member.group_instance_id = Some(text)),
            member(|member, text, _| member.client_id = text),
            member(|member, text, _| member.client_host = text),
            member(|member, _, bytes| member.member_metadata = bytes),
            member(|member, _, bytes| member.member_assignment = bytes),
            DescribedGroup { error_message: Some(text()), ..DescribedGroup::default() },
            DescribedGroup { protocol_type: text(), ..DescribedGroup::default() },
            DescribedGroup { protocol_data: text(), ..DescribedGroup::default() },
            DescribedGroup { history, ..DescribedGroup::default() },
        ] {
            assert!(size(&group) >= 2 * LEN as u64, "{group:?}");
        }
    }
}
