//! ConsumerGroupDescribe (KIP-848): what there is to be known of consumer groups.

use crate::error_code::ErrorCode;
use crate::text::Str;
use crate::uuid::Uuid;

messages! {
    /// Which groups.
    struct ConsumerGroupDescribeRequest {
        group_ids: Vec<Str>,
        include_authorized_operations: bool,
    }

    /// One answer for each.
    struct ConsumerGroupDescribeResponse {
        throttle_time_ms: i32,
        groups: Vec<DescribedConsumerGroup>,
    }

    /// A group, or why there is none.
    struct DescribedConsumerGroup {
        error_code: ErrorCode,
        error_message: Option<Str>,
        group_id: Str,
        group_state: Str,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: Str,
        members: Vec<DescribedConsumer>,
        authorized_operations: i32 = i32::MIN,
    }

    /// A member, what it reads and what it is to read.
    struct DescribedConsumer {
        member_id: Str,
        instance_id: Option<Str>,
        rack_id: Option<Str>,
        member_epoch: i32,
        client_id: Str,
        client_host: Str,
        subscribed_topic_names: Vec<Str>,
        subscribed_topic_regex: Option<Str>,
        assignment: DescribedAssignment,
        target_assignment: DescribedAssignment,
        /// 0: classic; 1: consumer.
        member_type: i8 [1..] = -1,
    }

    /// Partitions of topics.
    struct DescribedAssignment {
        topic_partitions: Vec<DescribedPartitions>,
    }

    /// Partitions of a topic.
    struct DescribedPartitions {
        topic_id: Uuid,
        topic_name: Str,
        partitions: Vec<i32>,
    }
}
