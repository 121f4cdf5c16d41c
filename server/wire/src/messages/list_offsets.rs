//! ListOffsets: the offset of a time, or of an end of the log.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks for one offset per partition.
    struct ListOffsetsRequest {
        replica_id: i32,
        isolation_level: i8 [2..; strict],
        topics: Vec<ListOffsetsTopic>,
        timeout_ms: i32 [10..],
    }

    /// The partitions of one topic.
    struct ListOffsetsTopic {
        name: Str,
        partitions: Vec<ListOffsetsPartition>,
    }

    /// A time in milliseconds, or a negative number for an end of the log.
    struct ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4..] = -1,
        timestamp: i64,
    }

    /// One offset per partition.
    struct ListOffsetsResponse {
        throttle_time_ms: i32 [2..],
        topics: Vec<ListOffsetsTopicResponse>,
    }

    /// One topic's partitions.
    struct ListOffsetsTopicResponse {
        name: Str,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// The offset found, -1 for none.
    struct ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        timestamp: i64 = -1,
        offset: i64 = -1,
        leader_epoch: i32 [4..] = -1,
    }
}
