//! OffsetFetch: where groups are to go on.

use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// One group's offsets, from version 8 on several groups'; `None` for all there are.
    struct OffsetFetchRequest {
        group_id: Str [..=7; strict],
        topics: Option<Vec<OffsetFetchRequestTopic>> [..=7, null 2..=7; strict] = Some(Vec::new()),
        groups: Vec<OffsetFetchRequestGroup> [8..; strict],
        require_stable: bool [7..; strict],
    }

    /// Partitions of a topic.
    struct OffsetFetchRequestTopic {
        name: Str,
        partition_indexes: Vec<i32>,
    }

    /// One group, and the member that asks.
    struct OffsetFetchRequestGroup {
        group_id: Str,
        member_id: Option<Str> [9..],
        member_epoch: i32 [9..] = -1,
        topics: Option<Vec<OffsetFetchRequestTopics>>,
    }

    /// Partitions of a topic by name, from version 10 on by id.
    struct OffsetFetchRequestTopics {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partition_indexes: Vec<i32>,
    }

    /// The offsets, from version 8 on by group.
    struct OffsetFetchResponse {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetFetchResponseTopic> [..=7],
        error_code: ErrorCode [2..=7],
        groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    /// One topic's offsets.
    struct OffsetFetchResponseTopic {
        name: Str,
        partitions: Vec<OffsetFetchResponsePartition>,
    }

    /// An offset, -1 for none.
    struct OffsetFetchResponsePartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [5..] = -1,
        metadata: Option<Str>,
        error_code: ErrorCode,
    }

    /// One group's offsets.
    struct OffsetFetchResponseGroup {
        group_id: Str,
        topics: Vec<OffsetFetchResponseTopics>,
        error_code: ErrorCode,
    }

    /// One topic's offsets.
    struct OffsetFetchResponseTopics {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetFetchResponsePartition>,
    }
}
