//! DescribeGroups: what there is to be known of classic groups.

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Which groups.
    struct DescribeGroupsRequest {
        groups: Vec<Str>,
        include_authorized_operations: bool [3..; strict],
    }

    /// One answer for each.
    struct DescribeGroupsResponse {
        throttle_time_ms: i32 [1..],
        groups: Vec<DescribedGroup>,
    }

    /// A group, or why there is none.
    struct DescribedGroup {
        error_code: ErrorCode,
        error_message: Option<Str> [6..],
        group_id: Str,
        group_state: Str,
        protocol_type: Str,
        protocol_data: Str,
        members: Vec<DescribedGroupMember>,
        authorized_operations: i32 [3..] = i32::MIN,
    }

    /// A member and its part.
    struct DescribedGroupMember {
        member_id: Str,
        group_instance_id: Option<Str> [4..],
        client_id: Str,
        client_host: Str,
        member_metadata: Bytes,
        member_assignment: Bytes,
    }
}
