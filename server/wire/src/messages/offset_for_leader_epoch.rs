//! OffsetForLeaderEpoch: where a leader epoch ends, by which a client learns that records which it
//! has read were replaced (KIP-320).

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks where epochs end, one per partition.
    struct OffsetForLeaderEpochRequest {
        replica_id: i32 [3..] = -2,
        topics: Vec<OffsetForLeaderTopic>,
    }

    /// The partitions of one topic.
    struct OffsetForLeaderTopic {
        topic: Str,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    /// The epoch that the client believes to be the present one, and the one whose end it wants.
    struct OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 = -1,
        leader_epoch: i32,
    }

    /// One end per partition.
    struct OffsetForLeaderEpochResponse {
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderTopicResult>,
    }

    /// One topic's partitions.
    struct OffsetForLeaderTopicResult {
        topic: Str,
        partitions: Vec<LeaderEpochEnd>,
    }

    /// The largest epoch up to the one asked for, and the offset behind its last record; -1 and -1
    /// for none.
    struct LeaderEpochEnd {
        error_code: ErrorCode,
        partition: i32,
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }
}
