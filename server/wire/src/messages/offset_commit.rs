//! OffsetCommit: where a group is to go on.

use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// Offsets of partitions; of a member, or of nobody in particular.
    struct OffsetCommitRequest {
        group_id: Str,
        generation_id_or_member_epoch: i32 [1..] = -1,
        member_id: Str [1..],
        group_instance_id: Option<Str> [7..; strict],
        retention_time_ms: i64 [2..=4] = -1,
        topics: Vec<OffsetCommitRequestTopic>,
    }

    /// A topic by name, from version 10 on by id.
    struct OffsetCommitRequestTopic {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// The next record to be read.
    struct OffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6..] = -1,
        committed_metadata: Option<Str>,
    }

    /// What became of each.
    struct OffsetCommitResponse {
        throttle_time_ms: i32 [3..],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    /// One topic's partitions.
    struct OffsetCommitResponseTopic {
        name: Str [..=9],
        topic_id: Uuid [10..],
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// What became of one.
    struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
