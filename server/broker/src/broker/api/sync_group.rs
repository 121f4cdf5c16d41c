//! SyncGroup: to the group's coordinator, which answers when the leader has assigned.

use std::sync::Arc;

use bytes::Bytes;
use corelog_engine::group::name::Generation;
use corelog_engine::group::request::{GroupError, Reply, Request, SyncRequest, Synced};
use corelog_wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, translate};

/// From this version on members say what they take the group for, and must.
const PROTOCOL_FROM: i16 = 5;

pub(crate) fn handle(call: &Call, request: SyncGroupRequest) -> Handled<SyncGroupResponse> {
    let silent = request.protocol_type.is_none() || request.protocol_name.is_none();
    if call.header.version >= PROTOCOL_FROM && silent {
        return Handled::Now(refused(GroupError::InconsistentProtocol));
    }
    let asked = groups::ask(&call.node, &request.group_id, question(&request));
    Handled::later(async move {
        match asked.await {
            Ok(Reply::Sync(Ok(synced))) => accepted(synced),
            Ok(Reply::Sync(Err(error))) | Err(error) => refused(error),
            Ok(_) => refused(GroupError::Unknown),
        }
    })
}

fn question(request: &SyncGroupRequest) -> Request {
    let text = |text: &Str| Arc::from(&**text);
    let assignments = request.assignments.iter();
    // Assignments are copied: the group keeps them, and not the request's frame.
    Request::Sync(SyncRequest {
        group: (*request.group_id).into(),
        member: (*request.member_id).into(),
        instance: request.group_instance_id.as_deref().map(Into::into),
        generation: Generation(request.generation_id),
        protocol_type: request.protocol_type.as_ref().map(text),
        protocol: request.protocol_name.as_ref().map(text),
        assignments: assignments
            .map(|part| ((*part.member_id).into(), Bytes::copy_from_slice(&part.assignment)))
            .collect(),
    })
}

fn accepted(synced: Synced) -> SyncGroupResponse {
    let text = |text: Arc<str>| Str::from(&*text);
    SyncGroupResponse {
        protocol_type: synced.protocol_type.map(text),
        protocol_name: synced.protocol.map(text),
        assignment: synced.assignment,
        ..SyncGroupResponse::default()
    }
}

fn refused(error: GroupError) -> SyncGroupResponse {
    SyncGroupResponse { error_code: translate::group(error), ..SyncGroupResponse::default() }
}
