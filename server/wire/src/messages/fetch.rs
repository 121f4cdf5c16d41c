//! Fetch: read record batches, of a consumer or of a follower.

use super::shared::{LeaderIdAndEpoch, NodeEndpoint};
use crate::error_code::ErrorCode;
use crate::records::Records;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// Asks for records from given offsets on, or for what changed in a fetch session.
    struct FetchRequest {
        replica_id: i32 [..=14; strict] = -1,
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        isolation_level: i8,
        session_id: i32 [7..],
        session_epoch: i32 [7..] = -1,
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic> [7..; strict],
        rack_id: Str [11..],
        0 => cluster_id: Option<Str> [12..],
        1 => replica_state: ReplicaState [15..; strict],
    }

    /// Who fetches, from version 15 on; a consumer leaves it out.
    struct ReplicaState {
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    /// The partitions of one topic.
    struct FetchTopic {
        topic: Str [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<FetchPartition>,
    }

    /// From where to read, and how much at most.
    struct FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9..] = -1,
        fetch_offset: i64,
        last_fetched_epoch: i32 [12..; strict] = -1,
        log_start_offset: i64 [5..] = -1,
        partition_max_bytes: i32,
        0 => replica_directory_id: Uuid [17..],
        1 => high_watermark: i64 [18..] = i64::MAX,
    }

    /// Partitions to drop from the session.
    struct ForgottenTopic {
        topic: Str [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<i32>,
    }

    /// Records, and how far each log reaches.
    struct FetchResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [7..],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse>,
        0 => node_endpoints: Vec<NodeEndpoint> [16..],
    }

    /// One topic's partitions.
    struct FetchableTopicResponse {
        topic: Str [..=12],
        topic_id: Uuid [13..],
        partitions: Vec<PartitionData>,
    }

    /// One partition's records.
    struct PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        high_watermark: i64,
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5..] = -1,
        aborted_transactions: Option<Vec<AbortedTransaction>>,
        preferred_read_replica: i32 [11..] = -1,
        records: Option<Records>,
        0 => diverging_epoch: EpochEndOffset [12..],
        1 => current_leader: LeaderIdAndEpoch [12..],
        2 => snapshot_id: SnapshotId [12..],
    }

    /// Where a follower's log parts from the leader's: the largest epoch they have in common.
    struct EpochEndOffset {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    /// A snapshot to fetch in place of a log that starts later.
    struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    /// A transaction whose records are to be skipped, from its first offset to its marker.
    struct AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }
}
