//! Metadata: brokers, topics, and who leads which partition.

use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// Asks for topics; `None` is all of them (in version 0, no topics is).
    struct MetadataRequest {
        topics: Option<Vec<MetadataRequestTopic>> [.., null 1..],
        allow_auto_topic_creation: bool [4..; strict] = true,
        include_cluster_authorized_operations: bool [8..=10; strict],
        include_topic_authorized_operations: bool [8..; strict],
    }

    /// A topic by name, or from version 12 on by id.
    struct MetadataRequestTopic {
        topic_id: Uuid [10..],
        name: Option<Str> [.., null 10..],
    }

    /// The cluster as this broker sees it.
    struct MetadataResponse {
        throttle_time_ms: i32 [3..],
        brokers: Vec<MetadataResponseBroker>,
        cluster_id: Option<Str> [2..],
        controller_id: i32 [1..] = -1,
        topics: Vec<MetadataResponseTopic>,
        cluster_authorized_operations: i32 [8..=10] = i32::MIN,
        error_code: ErrorCode [13..],
    }

    /// A broker that is alive.
    struct MetadataResponseBroker {
        node_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str> [1..],
    }

    /// A topic, or why there is none.
    struct MetadataResponseTopic {
        error_code: ErrorCode,
        name: Option<Str> [.., null 12..],
        topic_id: Uuid [10..],
        is_internal: bool [1..],
        partitions: Vec<MetadataResponsePartition>,
        topic_authorized_operations: i32 [8..] = i32::MIN,
    }

    /// A partition and its replicas.
    struct MetadataResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [7..] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [5..],
    }
}
