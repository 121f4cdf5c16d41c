//! Heartbeat: a member of a classic group is alive.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Who, and in which rebalance.
    struct HeartbeatRequest {
        group_id: Str,
        generation_id: i32,
        member_id: Str,
        group_instance_id: Option<Str> [3..; strict],
    }

    /// Whether to go on.
    struct HeartbeatResponse {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
    }
}
