//! DeleteTopics.

use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// Topics to delete, in `topic_names` before version 6.
    struct DeleteTopicsRequest {
        topics: Vec<DeleteTopicState> [6..; strict],
        topic_names: Vec<Str> [..=5],
        timeout_ms: i32,
    }

    /// A topic by name, or by id.
    struct DeleteTopicState {
        name: Option<Str>,
        topic_id: Uuid,
    }

    /// What became of the topics.
    struct DeleteTopicsResponse {
        throttle_time_ms: i32,
        responses: Vec<DeletableTopicResult>,
    }

    /// What became of one topic.
    struct DeletableTopicResult {
        name: Option<Str> [.., null 6..],
        topic_id: Uuid [6..],
        error_code: ErrorCode,
        error_message: Option<Str> [5..],
    }
}
