//! Heartbeat: a member of a classic group is alive.

use corelog_engine::group::name::Generation;
use corelog_engine::group::request::{GroupError, HeartbeatRequest as Beat, Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, translate};

pub(crate) fn handle(call: &Call, request: HeartbeatRequest) -> Handled<HeartbeatResponse> {
    let question = Request::Heartbeat(Beat {
        group: (*request.group_id).into(),
        member: (*request.member_id).into(),
        instance: request.group_instance_id.as_deref().map(Into::into),
        generation: Generation(request.generation_id),
    });
    let asked = groups::ask(&call.node, &request.group_id, question);
    Handled::later(async move {
        let error_code = match asked.await {
            // While groups are loaded nobody is late.
            Ok(Reply::Heartbeat(Ok(()))) | Err(GroupError::LoadInProgress) => ErrorCode::None,
            Ok(Reply::Heartbeat(Err(error))) | Err(error) => translate::group(error),
            Ok(_) => ErrorCode::UnknownServerError,
        };
        HeartbeatResponse { error_code, ..HeartbeatResponse::default() }
    })
}
