//! JoinGroup: be a member of a classic group's next rebalance.

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Who joins, and how it can divide work with others.
    struct JoinGroupRequest {
        group_id: Str,
        session_timeout_ms: i32,
        /// Before version 1 the session timeout is meant.
        rebalance_timeout_ms: i32 [1..] = -1,
        member_id: Str,
        group_instance_id: Option<Str> [5..; strict],
        protocol_type: Str,
        protocols: Vec<JoinGroupRequestProtocol>,
        reason: Option<Str> [8..],
    }

    /// A way to divide work, and what the member says of itself in it.
    struct JoinGroupRequestProtocol {
        name: Str,
        metadata: Bytes,
    }

    /// The rebalance that the member is in; with all members for the one that leads.
    struct JoinGroupResponse {
        throttle_time_ms: i32 [2..],
        error_code: ErrorCode,
        generation_id: i32 = -1,
        protocol_type: Option<Str> [7..],
        protocol_name: Option<Str> [.., null 7..],
        leader: Str,
        skip_assignment: bool [9..],
        member_id: Str,
        members: Vec<JoinGroupResponseMember>,
    }

    /// A member as its leader sees it.
    struct JoinGroupResponseMember {
        member_id: Str,
        group_instance_id: Option<Str> [5..],
        metadata: Bytes,
    }
}
