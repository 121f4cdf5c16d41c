//! LeaveGroup: members of a group are gone.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// One member, from version 3 on several.
    struct LeaveGroupRequest {
        group_id: Str,
        member_id: Str [..=2; strict],
        members: Vec<MemberIdentity> [3..; strict],
    }

    /// By id, or a static member by its own name.
    struct MemberIdentity {
        member_id: Str,
        group_instance_id: Option<Str>,
        reason: Option<Str> [5..],
    }

    /// What became of each, from version 3 on.
    struct LeaveGroupResponse {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
        members: Vec<MemberResponse> [3..],
    }

    /// What became of one.
    struct MemberResponse {
        member_id: Str,
        group_instance_id: Option<Str>,
        error_code: ErrorCode,
    }
}
