//! ConsumerGroupHeartbeat (KIP-848): a member joins, stays, leaves, and is told what it may read.

use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// A member, and what has changed since its last heartbeat; `None` for what has not.
    struct ConsumerGroupHeartbeatRequest {
        group_id: Str,
        member_id: Str,
        /// 0: joins; -1: leaves; -2: a static member leaves for a while.
        member_epoch: i32,
        instance_id: Option<Str>,
        rack_id: Option<Str>,
        rebalance_timeout_ms: i32 = -1,
        subscribed_topic_names: Option<Vec<Str>>,
        subscribed_topic_regex: Option<Str> [1..; strict],
        server_assignor: Option<Str>,
        topic_partitions: Option<Vec<TopicPartitions>>,
    }

    /// Partitions of a topic.
    struct TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    /// Where the member stands; its assignment when that has changed.
    struct ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        member_id: Option<Str>,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        assignment: Option<Assignment>,
    }

    /// What a member may read.
    struct Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
}
