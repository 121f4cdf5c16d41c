//! FindCoordinator: this broker, for groups; it makes the topic that keeps them when it is first
//! needed. There is no coordinator of transactions yet.

use std::rc::Rc;

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};
use crate::broker::groups;
use crate::broker::node::{Entrance, Node};

/// Kafka's `CoordinatorType`.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
const SHARE_FROM_VERSION: i16 = 6;

const NO_TRANSACTIONS: &str = "This broker does not serve transactions yet; produce without a \
                               transactional id.";
const NO_SHARES: &str = "This broker does not serve share groups.";
const NOT_NOW: &str = "The topic that keeps groups cannot be made now; try again.";

/// A coordinator, or why there is none.
type Found = Result<(), (ErrorCode, &'static str)>;

pub(crate) fn handle(
    call: &Call,
    request: FindCoordinatorRequest,
) -> Handled<FindCoordinatorResponse> {
    let version = call.header.version;
    let (node, entrance) = (call.node.clone(), call.entrance.clone());
    Handled::later(async move {
        let found = find(version, &node, request.key_type).await;
        answer(version, &node, &entrance, request, found).await
    })
}

async fn find(version: i16, node: &Node, key_type: i8) -> Found {
    let unavailable = ErrorCode::CoordinatorNotAvailable;
    match key_type {
        GROUP => {
            if groups::topic(&node.image()).is_none() {
                groups::create_topic(node).await;
            }
            let there = groups::topic(&node.image()).is_some();
            there.then_some(()).ok_or((unavailable, NOT_NOW))
        }
        TRANSACTION => Err((unavailable, NO_TRANSACTIONS)),
        SHARE if version >= SHARE_FROM_VERSION => Err((unavailable, NO_SHARES)),
        _ => Err((ErrorCode::InvalidRequest, "There are key types 0, 1 and 2.")),
    }
}

async fn answer(
    version: i16,
    node: &Rc<Node>,
    entrance: &Rc<Entrance>,
    request: FindCoordinatorRequest,
    found: Found,
) -> FindCoordinatorResponse {
    let (node_id, host, port) = match found {
        Ok(()) => {
            let at = &entrance.advertised;
            (node.id(), Str::from(at.host.clone()), i32::from(at.port))
        }
        Err(_) => (-1, Str::new(), -1),
    };
    let error_code = found.err().map_or(ErrorCode::None, |(code, _)| code);
    let why = found.err().map(|(_, why)| Str::from_static(why));
    if version < 4 {
        // Kafka says "NONE" where there is no error.
        let error_message = Some(why.unwrap_or(Str::from_static("NONE")));
        return FindCoordinatorResponse {
            error_code,
            error_message,
            node_id,
            host,
            port,
            ..FindCoordinatorResponse::default()
        };
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        node.shard.breathe().await;
        let (host, error_message) = (host.clone(), Some(why.clone().unwrap_or_default()));
        coordinators.push(Coordinator { key, node_id, host, port, error_code, error_message });
    }
    FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() }
}
