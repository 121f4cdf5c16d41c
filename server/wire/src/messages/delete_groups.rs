//! DeleteGroups: groups without members, with their offsets.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Which groups.
    struct DeleteGroupsRequest {
        groups_names: Vec<Str>,
    }

    /// What became of each.
    struct DeleteGroupsResponse {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult>,
    }

    /// What became of one.
    struct DeletableGroupResult {
        group_id: Str,
        error_code: ErrorCode,
    }
}
