//! ListGroups: the groups that a broker coordinates.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// In which states, of which types; all if there are none.
    struct ListGroupsRequest {
        states_filter: Vec<Str> [4..; strict],
        types_filter: Vec<Str> [5..; strict],
    }

    /// The groups.
    struct ListGroupsResponse {
        throttle_time_ms: i32 [1..],
        error_code: ErrorCode,
        groups: Vec<ListedGroup>,
    }

    /// One group.
    struct ListedGroup {
        group_id: Str,
        protocol_type: Str,
        group_state: Str [4..],
        group_type: Str [5..],
    }
}
