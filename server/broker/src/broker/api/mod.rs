//! One file per Kafka API: request to engine request, engine reply to response.

pub(crate) mod alter_configs;
pub(crate) mod api_versions;
pub(crate) mod consumer_group_describe;
pub(crate) mod consumer_group_heartbeat;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_groups;
pub(crate) mod delete_topics;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leave_group;
pub(crate) mod list_config_resources;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod sasl_handshake;
pub(crate) mod sync_group;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use corelog_drive::{Answer, Charge, Close, ShardHandle};
use corelog_engine::shard::request::Piece;
use corelog_wire::api::Response;
use corelog_wire::header::{RequestHeader, encode_response};
use corelog_wire::writer::Piece as WirePiece;

use crate::broker::node::{Entrance, Node};

/// What a request is charged whose answer is encoded on the shard's thread: some thousand elements,
/// which takes less than a millisecond.
pub(crate) const QUICK: u64 = 4 << 20;

/// A request's surroundings.
pub(crate) struct Call {
    pub(crate) node: Rc<Node>,
    pub(crate) entrance: Rc<Entrance>,
    pub(crate) header: RequestHeader,
}

/// What a handler gives: a response body, or one that waits for the engine.
pub(crate) enum Handled<R> {
    Now(R),
    Later(Pin<Box<dyn Future<Output = R>>>),
    /// Made elsewhere, bytes and all. The charge is there for as long as it is being made, whether
    /// or not anybody waits.
    Made(Made),
    /// The latter, of what grows with what it tells of: the charge grows with it.
    Growing(Growing<R>),
}

type Growing<R> = Box<dyn FnOnce(Told) -> Pin<Box<dyn Future<Output = (R, Told)>>>>;

/// What an answer has told of, and its charge. Clients can ask for the same again and again in one
/// request, so there is a bound.
pub(crate) struct Told {
    shard: ShardHandle,
    charge: Charge,
    left: u64,
}

impl Told {
    pub(crate) fn new(node: &Node, charge: Charge) -> Told {
        Told { shard: node.shard.clone(), charge, left: node.config.memory.requests }
    }

    /// Whether more may be told of.
    pub(crate) fn may_go_on(&self) -> bool {
        self.left > 0
    }

    /// So many bytes have been.
    pub(crate) async fn add(&mut self, bytes: u64) {
        self.shard.breathe().await;
        self.left = self.left.saturating_sub(bytes);
        self.shard.grow_work(&mut self.charge, bytes).await;
    }

    pub(crate) fn into_charge(self) -> Charge {
        self.charge
    }
}

/// A response in the making.
pub(crate) type Made = Box<dyn FnOnce(Charge) -> Making>;

type Making = Pin<Box<dyn Future<Output = Result<Answer, Close>>>>;

impl<R> Handled<R> {
    pub(crate) fn later(body: impl Future<Output = R> + 'static) -> Handled<R> {
        Handled::Later(Box::pin(body))
    }

    pub(crate) fn made<F: Future<Output = Result<Answer, Close>> + 'static>(
        answer: impl FnOnce(Charge) -> F + 'static,
    ) -> Handled<R> {
        Handled::Made(Box::new(|charge| Box::pin(answer(charge))))
    }

    pub(crate) fn growing<F: Future<Output = (R, Told)> + 'static>(
        body: impl FnOnce(Told) -> F + 'static,
    ) -> Handled<R> {
        Handled::Growing(Box::new(|told| Box::pin(body(told))))
    }
}

/// A response with what its request was charged, which from now on is what it holds itself.
pub(crate) fn answer(pieces: Vec<Piece>, mut charge: Charge) -> Answer {
    charge.settle_answer(&pieces);
    Answer { pieces, charge: Some(charge) }
}

/// Has a response that takes milliseconds to make made, and written, on the work thread.
pub(crate) fn make<R: Response>(
    node: &Node,
    header: &RequestHeader,
    body: impl FnOnce() -> R + Send + 'static,
) -> Made {
    let (shard, header) = (node.shard.clone(), header.clone());
    Box::new(move |charge| {
        Box::pin(shard.offload(move || Ok(answer(encode(&header, &body())?, charge))))
    })
}

/// A response without holes, ready to be sent.
pub(crate) fn encode<R: Response>(header: &RequestHeader, body: &R) -> Result<Vec<Piece>, Close> {
    weave(header, body, &mut Vec::new())
}

/// A response whose hole number `n` is filled with `bodies[n]`.
pub(crate) fn weave<R: Response>(
    header: &RequestHeader,
    body: &R,
    bodies: &mut [Vec<Piece>],
) -> Result<Vec<Piece>, Close> {
    let frame = encode_response(header.version, header.correlation_id, body)
        .map_err(|error| Close(format!("a response cannot be written: {error}").into()))?;
    let mut pieces = Vec::new();
    for piece in frame.into_pieces() {
        match piece {
            WirePiece::Bytes(bytes) => pieces.push(Piece::Memory(bytes)),
            WirePiece::Hole { id, .. } => {
                pieces.append(bodies.get_mut(id as usize).unwrap_or(&mut Vec::new()));
            }
        }
    }
    Ok(pieces)
}
