//! DescribeCluster: the brokers (or controllers) of the cluster.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks for the cluster.
    struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool,
        /// 1: brokers; 2: controllers.
        endpoint_type: i8 [1..; strict] = 1,
        include_fenced_brokers: bool [2..; strict],
    }

    /// The cluster.
    struct DescribeClusterResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Str>,
        endpoint_type: i8 [1..] = 1,
        cluster_id: Str,
        controller_id: i32 = -1,
        brokers: Vec<DescribeClusterBroker>,
        cluster_authorized_operations: i32 = i32::MIN,
    }

    /// A broker.
    struct DescribeClusterBroker {
        broker_id: i32,
        host: Str,
        port: i32,
        rack: Option<Str>,
        is_fenced: bool [2..],
    }
}
