//! FindCoordinator: an honest answer that there is no coordinator yet.

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};

const WHY: &str = "This broker does not serve consumer groups or transactions yet; \
                   assign partitions by hand, and produce without a transactional id.";

pub(crate) fn handle(
    call: &Call,
    request: FindCoordinatorRequest,
) -> Handled<FindCoordinatorResponse> {
    let (error_code, why) = match request.key_type {
        0 | 1 => (ErrorCode::CoordinatorNotAvailable, WHY),
        2 if call.header.version >= 6 => (ErrorCode::CoordinatorNotAvailable, WHY),
        _ => (ErrorCode::InvalidRequest, "There are key types 0, 1 and 2."),
    };
    let error_message = Some(Str::from_static(why));
    if call.header.version < 4 {
        return Handled::Now(FindCoordinatorResponse {
            error_code,
            error_message,
            node_id: -1,
            port: -1,
            ..FindCoordinatorResponse::default()
        });
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        error_message: error_message.clone(),
        ..Coordinator::default()
    });
    let coordinators = coordinators.collect();
    Handled::Now(FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() })
}
