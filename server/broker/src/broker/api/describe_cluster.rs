//! DescribeCluster: the brokers and which cluster they are.

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};
use crate::broker::operations;

/// Kafka's `DescribeClusterRequest`: brokers are asked for brokers.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) fn handle(
    call: &Call,
    request: DescribeClusterRequest,
) -> Handled<DescribeClusterResponse> {
    if request.endpoint_type != BROKERS {
        let why = "A broker answers for brokers: ask with endpoint type 1.";
        let error_code = match request.endpoint_type {
            CONTROLLERS => ErrorCode::MismatchedEndpointType,
            _ => ErrorCode::UnsupportedEndpointType,
        };
        return Handled::Now(DescribeClusterResponse {
            error_code,
            error_message: Some(Str::from_static(why)),
            ..DescribeClusterResponse::default()
        });
    }
    let node = &call.node;
    let advertised = &call.entrance.advertised;
    let include = request.include_cluster_authorized_operations;
    Handled::Now(DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: node.cluster_id(),
        controller_id: node.id(),
        brokers: vec![DescribeClusterBroker {
            broker_id: node.id(),
            host: Str::from(advertised.host.clone()),
            port: i32::from(advertised.port),
            rack: node.config.rack.clone().map(Str::from),
            is_fenced: false,
        }],
        cluster_authorized_operations: operations::told(include, operations::CLUSTER),
        ..DescribeClusterResponse::default()
    })
}
