//! SyncGroup: what the leader has assigned.

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// From the leader: who gets what.
    struct SyncGroupRequest {
        group_id: Str,
        generation_id: i32,
        member_id: Str,
        group_instance_id: Option<Str> [3..; strict],
        protocol_type: Option<Str> [5..],
        protocol_name: Option<Str> [5..],
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// One member's part.
    struct SyncGroupRequestAssignment {
        member_id: Str,
        assignment: Bytes,
    }

    /// The asker's part.
    struct SyncGroupResponse {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
        protocol_type: Option<Str> [5..],
        protocol_name: Option<Str> [5..],
        assignment: Bytes,
    }
}
