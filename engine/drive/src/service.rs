//! What the broker plugs in: something that understands frames. Everything here runs on one shard's
//! thread and awaits nothing but what its [`ShardHandle`](crate::ShardHandle) gives it.

use std::borrow::Cow;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use corelog_engine::shard::effect::Notice;
use corelog_engine::shard::request::Piece;

use crate::budget::Charge;

/// One for each shard, on the shard's thread.
pub trait Service: 'static {
    /// Its connections.
    type Session: Session;

    /// A client has connected to `local`.
    fn connect(&self, peer: SocketAddr, local: SocketAddr) -> Self::Session;

    /// The core has something to tell the operator.
    fn notice(&self, notice: &Notice);
}

/// One for each connection.
pub trait Session: 'static {
    /// When the request of a frame may be taken.
    fn turn(frame: &[u8]) -> Turn;

    /// Takes one frame, without its length prefix, in the order of arrival.
    ///
    /// Stage one: decode, validate, submit to the core. It may wait for room
    /// ([`ready_for_bytes`](crate::ShardHandle::ready_for_bytes)); the connection's next frame
    /// comes after it has returned. Stage two is what it returns: the future of the response, or
    /// `None` when there is none. Responses leave in the order of the requests, and the stage two
    /// of a request is polled once those before it have left.
    ///
    /// # Errors
    /// [`Close`] closes the connection; responses that are not sent are dropped.
    fn request(&mut self, frame: Bytes) -> impl Future<Output = Result<Option<Response>, Close>>;
}

/// When a request of a connection is taken, as for those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// At once: its stage two is where everything happens, which is begun when those before it are
    /// answered, as in Kafka. Until then it is no more than its frame.
    Own,
    /// When all that are unanswered are of this kind: they are under way together.
    Shared,
}

/// A response to come.
pub type Response = Pin<Box<dyn Future<Output = Result<Answer, Close>>>>;

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// All its bytes, the size prefix included.
    pub pieces: Vec<Piece>,
    /// What is given back when they have left.
    pub charge: Option<Charge>,
}

impl From<Vec<Piece>> for Answer {
    fn from(pieces: Vec<Piece>) -> Answer {
        Answer { pieces, charge: None }
    }
}

/// Why a connection is closed: one line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close(pub Cow<'static, str>);

impl Close {
    /// With these words.
    pub fn because(why: impl Into<Cow<'static, str>>) -> Close {
        Close(why.into())
    }
}
