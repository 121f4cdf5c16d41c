//! FindCoordinator: the broker in charge of a group or of a transactional id.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks for one key, from version 4 on for several.
    struct FindCoordinatorRequest {
        key: Str [..=3; strict],
        /// 0: group; 1: transactional id; 2: share group's partition.
        key_type: i8 [1..; strict],
        coordinator_keys: Vec<Str> [4..; strict],
    }

    /// The coordinator, in `coordinators` from version 4 on.
    struct FindCoordinatorResponse {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode [..=3],
        error_message: Option<Str> [1..=3],
        node_id: i32 [..=3],
        host: Str [..=3],
        port: i32 [..=3],
        coordinators: Vec<Coordinator> [4..],
    }

    /// One key's coordinator.
    struct Coordinator {
        key: Str,
        node_id: i32,
        host: Str,
        port: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
