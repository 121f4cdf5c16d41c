//! InitProducerId: an identity for an idempotent producer. Ids come from blocks that the metadata
//! log has given away, so that none is handed out twice.

use corelog_engine::id::ProducerId;
use corelog_engine::metadata::command::PRODUCER_ID_BLOCK;
use corelog_engine::metadata::{Command, Outcome};
use corelog_engine::shard::request::{Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::broker::api::{Call, Handled};
use crate::broker::translate;

/// A producer's id and epoch where it has none; it has both or neither.
const NONE: i64 = -1;

pub(crate) fn handle(
    call: &Call,
    request: InitProducerIdRequest,
) -> Handled<InitProducerIdResponse> {
    let (id, epoch) = (request.producer_id, request.producer_epoch);
    if (id == NONE) != (i64::from(epoch) == NONE) {
        return Handled::Now(failed(ErrorCode::InvalidRequest));
    }
    match request.transactional_id.as_deref() {
        Some("") => return Handled::Now(failed(ErrorCode::InvalidRequest)),
        Some(_) => return Handled::Now(failed(ErrorCode::CoordinatorNotAvailable)),
        None => {}
    }
    if let Some(id) = call.node.producer_ids.borrow_mut().take() {
        return Handled::Now(given(id));
    }
    let node = call.node.clone();
    let count = PRODUCER_ID_BLOCK;
    let command = Command::AllocateProducerIds { count };
    let pending = node.shard.submit(Request::Metadata(command));
    Handled::later(async move {
        match pending.await {
            Reply::Metadata(Ok(Outcome::ProducerIds(mut block))) => {
                let id = block.take();
                *node.producer_ids.borrow_mut() = block;
                id.map_or(failed(ErrorCode::UnknownServerError), given)
            }
            Reply::Metadata(Err(error)) => failed(translate::metadata(&error).code),
            _ => failed(ErrorCode::UnknownServerError),
        }
    })
}

fn given(id: ProducerId) -> InitProducerIdResponse {
    InitProducerIdResponse {
        producer_id: id.0,
        producer_epoch: 0,
        ..InitProducerIdResponse::default()
    }
}

fn failed(error_code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code, producer_epoch: -1, ..InitProducerIdResponse::default() }
}
