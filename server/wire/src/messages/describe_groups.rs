//! DescribeGroups: what there is to be known of classic groups.

use bytes::Bytes;

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Which groups.
    struct DescribeGroupsRequest {
        groups: Vec<Str>,
        include_authorized_operations: bool [3..; strict],
        // Ours; other brokers pass it over.
        10_000 => include_history: bool [5..],
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
        // Ours: the last rebalances, also of a group of the consumer protocol.
        10_000 => history: Vec<DescribedRebalance> [5..],
    }

    /// Why a group has rebalanced.
    struct DescribedRebalance {
        time_ms: i64,
        cause: Str,
        /// The generation or epoch that it led to; -1 while it goes on.
        number: i32,
        took_ms: i64,
        /// Partitions that came to another member.
        moved: i32,
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
