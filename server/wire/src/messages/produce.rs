//! Produce: append record batches to partitions.

use bytes::Bytes;

use super::shared::{LeaderIdAndEpoch, NodeEndpoint};
use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// Record batches, one run per partition.
    struct ProduceRequest {
        transactional_id: Option<Str>,
        /// 0: no response at all; 1: the leader has them; -1: all in-sync replicas have them.
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData>,
    }

    /// The batches for one topic.
    struct TopicProduceData {
        name: Str [..=12],
        topic_id: Uuid [13..],
        partition_data: Vec<PartitionProduceData>,
    }

    /// The batches for one partition.
    struct PartitionProduceData {
        index: i32,
        records: Option<Bytes>,
    }

    /// What became of the batches.
    struct ProduceResponse {
        responses: Vec<TopicProduceResponse>,
        throttle_time_ms: i32,
        0 => node_endpoints: Vec<NodeEndpoint> [10..],
    }

    /// What became of one topic's batches.
    struct TopicProduceResponse {
        name: Str [..=12],
        topic_id: Uuid [13..],
        partition_responses: Vec<PartitionProduceResponse>,
    }

    /// What became of one partition's batches.
    struct PartitionProduceResponse {
        index: i32,
        error_code: ErrorCode,
        base_offset: i64,
        log_append_time_ms: i64 = -1,
        log_start_offset: i64 [5..] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage> [8..],
        error_message: Option<Str> [8..],
        0 => current_leader: LeaderIdAndEpoch [10..],
    }

    /// A record that was refused.
    struct BatchIndexAndErrorMessage {
        batch_index: i32,
        batch_index_error_message: Option<Str>,
    }
}
