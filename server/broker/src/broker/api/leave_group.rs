//! LeaveGroup: members of a group are gone.

use corelog_engine::group::name::{InstanceId, MemberId};
use corelog_engine::group::request::{GroupError, LeaveRequest, Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

use crate::broker::api::{Call, Handled};
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
    let named = |member: &MemberIdentity| {
        let instance = member.group_instance_id.as_deref().map(InstanceId::from);
        (MemberId::from(&*member.member_id), instance)
    };
    let question = Request::Leave(LeaveRequest {
        group: (*request.group_id).into(),
        members: members.iter().map(named).collect(),
    });
    let asked = groups::ask(&call.node, &request.group_id, question);
    Handled::later(async move {
        match asked.await {
            Ok(Reply::Leave(Ok(results))) => answer(version, members, &results),
            Ok(Reply::Leave(Err(error))) | Err(error) => failed(translate::group(error)),
            Ok(_) => failed(ErrorCode::UnknownServerError),
        }
    })
}

fn answer(
    version: i16,
    members: Vec<MemberIdentity>,
    results: &[Result<(), GroupError>],
) -> LeaveGroupResponse {
    let code = |result: &Result<(), GroupError>| translate::group_result(*result);
    if version < SEVERAL_FROM {
        return failed(results.first().map_or(ErrorCode::None, code));
    }
    let members = members.into_iter().zip(results).map(|(member, result)| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: code(result),
    });
    LeaveGroupResponse { members: members.collect(), ..LeaveGroupResponse::default() }
}

fn failed(error_code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() }
}
