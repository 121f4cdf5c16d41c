//! LeaveGroup: members of a group are gone.

use corelog_engine::group::name::{InstanceId, MemberId};
use corelog_engine::group::request::{GroupError, LeaveRequest, Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

use crate::broker::api::{Call, Handled};
use crate::broker::node::{AT_ONCE, Node};
use crate::broker::{groups, translate};

/// From this version on several members may leave at once.
const SEVERAL_FROM: i16 = 3;

pub(crate) fn handle(call: &Call, request: LeaveGroupRequest) -> Handled<LeaveGroupResponse> {
    let version = call.header.version;
    let members = match version {
        ..SEVERAL_FROM => vec![MemberIdentity {
            member_id: request.member_id.clone(),
            ..MemberIdentity::default()
        }],
        _ => request.members,
    };
    let node = call.node.clone();
    Handled::later(async move {
        let mut results = Vec::with_capacity(members.len());
        // A request without members is answered by the coordinator, too.
        let mut rest = members.chunks(AT_ONCE);
        let mut next = Some(rest.next().unwrap_or_default());
        while let Some(some) = next {
            match leave(&node, &request.group_id, some).await {
                Ok(left) => results.extend(left),
                Err(error) if results.is_empty() => return failed(translate::group(error)),
                // Those before have left.
                Err(error) => results.extend(vec![Err(error); some.len()]),
            }
            next = rest.next();
        }
        answer(&node, version, members, results).await
    })
}

/// Has so many members leave as one step may take; a result for each.
async fn leave(
    node: &Node,
    group: &str,
    members: &[MemberIdentity],
) -> Result<Vec<Result<(), GroupError>>, GroupError> {
    let named = |member: &MemberIdentity| {
        let instance = member.group_instance_id.as_deref().map(InstanceId::from);
        (MemberId::from(&*member.member_id), instance)
    };
    let members = members.iter().map(named).collect();
    let question = Request::Leave(LeaveRequest { group: group.into(), members });
    match groups::ask(node, group, question).await? {
        Reply::Leave(results) => results,
        _ => Err(GroupError::Unknown),
    }
}

async fn answer(
    node: &Node,
    version: i16,
    members: Vec<MemberIdentity>,
    results: Vec<Result<(), GroupError>>,
) -> LeaveGroupResponse {
    let code = |result: &Result<(), GroupError>| translate::group_result(*result);
    if version < SEVERAL_FROM {
        return failed(results.first().map_or(ErrorCode::None, code));
    }
    let mut told = Vec::with_capacity(members.len());
    for (member, result) in members.into_iter().zip(&results) {
        node.shard.breathe().await;
        told.push(MemberResponse {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error_code: code(result),
        });
    }
    LeaveGroupResponse { members: told, ..LeaveGroupResponse::default() }
}

fn failed(error_code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() }
}
