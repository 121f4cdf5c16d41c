//! CreateTopics.

use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// Topics to create.
    struct CreateTopicsRequest {
        topics: Vec<CreatableTopic>,
        timeout_ms: i32 = 60_000,
        validate_only: bool,
    }

    /// A topic; -1 partitions or replicas are the broker's default.
    struct CreatableTopic {
        name: Str,
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig>,
    }

    /// The brokers that shall have a partition.
    struct CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    /// A setting of the topic.
    struct CreatableTopicConfig {
        name: Str,
        value: Option<Str>,
    }

    /// What became of the topics.
    struct CreateTopicsResponse {
        throttle_time_ms: i32,
        topics: Vec<CreatableTopicResult>,
    }

    /// What became of one topic.
    struct CreatableTopicResult {
        name: Str,
        topic_id: Uuid [7..],
        error_code: ErrorCode,
        error_message: Option<Str>,
        num_partitions: i32 [5..] = -1,
        replication_factor: i16 [5..] = -1,
        configs: Option<Vec<CreatableTopicConfigs>> [5..],
        0 => topic_config_error_code: ErrorCode [5..],
    }

    /// A setting as it is now in force.
    struct CreatableTopicConfigs {
        name: Str,
        value: Option<Str>,
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
    }
}
