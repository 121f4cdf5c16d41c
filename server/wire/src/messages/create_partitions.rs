//! CreatePartitions: more partitions for topics that exist.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Topics that are to grow.
    struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    /// A topic and how many partitions it is to have.
    struct CreatePartitionsTopic {
        name: Str,
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>>,
    }

    /// The brokers that shall have one new partition.
    struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    /// What became of the topics.
    struct CreatePartitionsResponse {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult>,
    }

    /// What became of one topic.
    struct CreatePartitionsTopicResult {
        name: Str,
        error_code: ErrorCode,
        error_message: Option<Str>,
    }
}
