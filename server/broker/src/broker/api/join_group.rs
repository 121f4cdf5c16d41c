//! JoinGroup: to the group's coordinator, which answers when the rebalance has come to an end.

use std::sync::Arc;

use bytes::Bytes;
use corelog_engine::group::request::{
    GroupError, JoinKnows, JoinRefused, JoinRequest, Joined, Protocol, Reply, Request,
};
use corelog_wire::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, translate};

/// From this version on a member is given an id before it may join (KIP-394).
const MEMBER_ID_FROM: i16 = 4;
/// From this version on a leader may be told to leave assignments as they are (KIP-814).
const SKIP_FROM: i16 = 9;
/// From this version on there may be no protocol; before, its name is empty then.
const NO_PROTOCOL_FROM: i16 = 7;

pub(crate) fn handle(call: &Call, request: JoinGroupRequest) -> Handled<JoinGroupResponse> {
    let version = call.header.version;
    // Not the request's own: an answer that comes in minutes must not keep its frame till then.
    let member = Str::from(&*request.member_id);
    let asked = groups::ask(&call.node, &request.group_id, question(call, &request));
    Handled::later(async move {
        match asked.await {
            Ok(Reply::Join(Ok(joined))) => accepted(joined),
            Ok(Reply::Join(Err(JoinRefused { error, member }))) => {
                refused(version, error, Str::from(member.as_str()))
            }
            Ok(_) => refused(version, GroupError::Unknown, member),
            Err(error) => refused(version, error, Str::new()),
        }
    })
}

fn question(call: &Call, request: &JoinGroupRequest) -> Request {
    // Copied: the group keeps it for as long as there is the member, and not the request's frame.
    let protocol = |protocol: &corelog_wire::messages::join_group::JoinGroupRequestProtocol| {
        let metadata = Bytes::copy_from_slice(&protocol.metadata);
        Protocol { name: Arc::from(&*protocol.name), metadata }
    };
    // Version 0 has no timeout of its own for rebalances.
    let rebalance_ms = match call.header.version {
        0 => request.session_timeout_ms,
        _ => request.rebalance_timeout_ms,
    };
    Request::Join(Box::new(JoinRequest {
        group: (*request.group_id).into(),
        member: (*request.member_id).into(),
        instance: request.group_instance_id.as_deref().map(Into::into),
        client_id: (*call.header.client_id).into(),
        client_host: call.entrance.client_host.clone(),
        client_software: call.entrance.software(),
        session_ms: request.session_timeout_ms,
        rebalance_ms,
        protocol_type: (*request.protocol_type).into(),
        protocols: request.protocols.iter().map(protocol).collect(),
        fresh: call.node.shard.random(),
        knows: JoinKnows {
            member_id_required: call.header.version >= MEMBER_ID_FROM,
            skip_assignment: call.header.version >= SKIP_FROM,
        },
    }))
}

fn accepted(joined: Joined) -> JoinGroupResponse {
    let text = |text: Arc<str>| Str::from(&*text);
    let members = joined.members.into_iter().map(|member| JoinGroupResponseMember {
        member_id: Str::from(member.member.as_str()),
        group_instance_id: member.instance.map(|name| Str::from(name.as_str())),
        metadata: member.metadata,
    });
    JoinGroupResponse {
        generation_id: joined.generation.0,
        protocol_type: joined.protocol_type.map(text),
        protocol_name: joined.protocol.map(text),
        leader: Str::from(joined.leader.as_str()),
        skip_assignment: joined.skip_assignment,
        member_id: Str::from(joined.member.as_str()),
        members: members.collect(),
        ..JoinGroupResponse::default()
    }
}

fn refused(version: i16, error: GroupError, member_id: Str) -> JoinGroupResponse {
    let protocol_name = (version < NO_PROTOCOL_FROM).then(Str::new);
    let error_code = translate::group(error);
    JoinGroupResponse { error_code, member_id, protocol_name, ..JoinGroupResponse::default() }
}
