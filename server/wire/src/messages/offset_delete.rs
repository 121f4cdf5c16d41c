//! OffsetDelete: a group forgets where it was.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// In which partitions.
    struct OffsetDeleteRequest {
        group_id: Str,
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// Partitions of a topic.
    struct OffsetDeleteRequestTopic {
        name: Str,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// One partition.
    struct OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    /// What became of each, unless all failed.
    struct OffsetDeleteResponse {
        error_code: ErrorCode,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// One topic's partitions.
    struct OffsetDeleteResponseTopic {
        name: Str,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// What became of one.
    struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
