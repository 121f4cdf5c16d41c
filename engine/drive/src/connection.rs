//! One connection: frames in, responses out, in order. One task with two halves: the receiving half
//! hands frames to the session and queues what is to be answered; the sending half answers from the
//! front of the queue. Whichever ends first ends the connection, and everything in flight with it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use corelog_engine::shard::request::Piece;
use corelog_os::ring::Readiness;
use futures_lite::future;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::budget::Budget;
use crate::oneshot;
use crate::pulse::{Pulse, Receiving};
use crate::receive::{BadSize, Receiver};
use crate::serve::{End, Server};
use crate::service::{Close, Response, Session};
use crate::signal::Signal;

/// Requests of one connection that may be unanswered at a time.
const IN_FLIGHT: usize = 64;

/// Memory bytes of responses that are sent together.
const COALESCED: u64 = 256 << 10;

/// Missing bytes of a frame that are received to where they belong, rather than through the
/// shard's scratch memory.
const WORTH_RECEIVING_DIRECTLY: usize = 16 << 10;

/// Bytes of the scratch memory that a shard's connections share.
pub(crate) const SCRATCH: usize = 64 << 10;

/// What a connection's task is made of.
pub(crate) struct Connection<S> {
    pub(crate) session: S,
    pub(crate) server: Server,
    pub(crate) budget: Arc<Budget>,
    pub(crate) max_frame_bytes: u32,
    pub(crate) scratch: Rc<RefCell<Vec<u8>>>,
}

impl<S: Session> Connection<S> {
    /// Serves it to its end, which is an error only when it is worth telling.
    pub(crate) async fn serve(self) -> Result<(), End> {
        let Connection { session, server, budget, max_frame_bytes, scratch } = self;
        let pulse = server.pulse.clone();
        let line = Line::new(pulse.clone());
        let inward = Inward {
            frames: Receiver::new(budget.clone(), max_frame_bytes),
            wait: None,
            emptied: false,
            pulse: pulse.clone(),
            budget,
            scratch,
            line: &line,
        };
        let ended = async { Err(End::Close(pulse.ended().await)) };
        let halves = future::or(inward.run(session, &server), answer_all(&line, &server));
        future::or(ended, halves).await
    }
}

/// Responses that are to be sent, in order.
struct Line {
    responses: RefCell<VecDeque<Response>>,
    /// Those, and the ones being sent.
    in_flight: Cell<usize>,
    /// Raised when a response is sent.
    sent: Signal,
    /// Raised when the first response is queued.
    queued: Signal,
    pulse: Rc<Pulse>,
}

impl Line {
    fn new(pulse: Rc<Pulse>) -> Line {
        let (responses, in_flight) = (RefCell::default(), Cell::new(0));
        Line { responses, in_flight, sent: Signal::default(), queued: Signal::default(), pulse }
    }

    fn push(&self, response: Response) {
        self.responses.borrow_mut().push_back(response);
        self.set_in_flight(self.in_flight.get() + 1);
        self.queued.raise();
    }

    fn set_in_flight(&self, requests: usize) {
        self.in_flight.set(requests);
        self.pulse.set_in_flight(requests);
    }

    fn sent(&self, responses: usize) {
        self.set_in_flight(self.in_flight.get() - responses);
        self.sent.raise();
    }

    /// Waits until so few requests are in flight.
    async fn until_below(&self, requests: usize) {
        self.sent.until(|| self.in_flight.get() < requests).await;
    }

    /// The first response, if it is ready; it leaves the queue then.
    fn poll_first(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<Piece>, Close>> {
        let Some(mut first) = self.responses.borrow_mut().pop_front() else {
            return Poll::Pending;
        };
        let polled = first.as_mut().poll(cx);
        if polled.is_pending() {
            self.responses.borrow_mut().push_front(first);
        }
        polled
    }

    async fn first(&self) -> Result<Vec<Piece>, Close> {
        self.queued.until(|| !self.responses.borrow().is_empty()).await;
        poll_fn(|cx| self.poll_first(cx)).await
    }

    /// The first response if it is ready now.
    async fn first_if_ready(&self) -> Option<Result<Vec<Piece>, Close>> {
        poll_fn(|cx| match self.poll_first(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

/// The sending half. Responses that are ready together leave together.
async fn answer_all(line: &Line, server: &Server) -> Result<(), End> {
    loop {
        let mut pieces = line.first().await?;
        let mut responses = 1;
        let mut bytes = weight(&pieces);
        while bytes < COALESCED && !server.tasks.is_late() {
            let Some(more) = line.first_if_ready().await else { break };
            let more = more?;
            bytes += weight(&more);
            pieces.extend(more);
            responses += 1;
        }
        server.send(pieces).await?;
        line.sent(responses);
    }
}

/// Bytes that count towards [`COALESCED`]. A file range is worth a send of its own.
fn weight(pieces: &[Piece]) -> u64 {
    let weight = |piece: &Piece| match piece {
        Piece::Memory(bytes) => bytes.len() as u64,
        Piece::File { .. } => COALESCED,
    };
    pieces.iter().map(weight).sum()
}

/// The receiving half.
struct Inward<'a> {
    frames: Receiver,
    /// For bytes to arrive.
    wait: Option<oneshot::Receiver<io::Result<()>>>,
    /// Whether the last receive took all that there was.
    emptied: bool,
    pulse: Rc<Pulse>,
    budget: Arc<Budget>,
    scratch: Rc<RefCell<Vec<u8>>>,
    line: &'a Line,
}

/// What waiting for bytes has come to.
enum Arrival {
    Bytes,
    /// The peer sends no more.
    Ended,
    /// We want no more.
    Draining,
}

impl Inward<'_> {
    /// Receives to the end. What was asked before a request that ends the connection is answered
    /// first, as in Kafka.
    async fn run(self, session: impl Session, server: &Server) -> Result<(), End> {
        let line = self.line;
        let ended = self.receive(session, server).await;
        if let Err(End::Close(_)) = ended {
            line.until_below(1).await;
        }
        ended
    }

    async fn receive(mut self, mut session: impl Session, server: &Server) -> Result<(), End> {
        // What comes before bad bytes, and in one piece with them, is still asked.
        let mut bad = Ok(());
        loop {
            while let Some(frame) = self.frames.next() {
                self.line.until_below(IN_FLIGHT).await;
                server.tasks.yield_if_needed().await;
                if let Some(response) = session.request(frame).await? {
                    self.line.push(response);
                }
            }
            bad?;
            if self.frames.is_out_of_budget() {
                self.budget.released().await;
                bad = self.frames.retry().map_err(bad_size);
                continue;
            }
            bad = match self.arrival(server).await {
                Ok(Arrival::Bytes) => Ok(()),
                Ok(Arrival::Ended) => return Ok(()),
                Ok(Arrival::Draining) => {
                    self.line.until_below(1).await;
                    return Ok(());
                }
                Err(end) => Err(end),
            };
        }
    }

    /// Takes in what arrives next.
    async fn arrival(&mut self, server: &Server) -> Result<Arrival, End> {
        server.tasks.yield_if_needed().await;
        loop {
            if let Some(arrival) = self.take_in(server)? {
                return Ok(arrival);
            }
            let amid = self.frames.is_amid_frame();
            self.pulse.set_receiving(if amid { Receiving::AmidFrame } else { Receiving::Nothing });
            poll_fn(|cx| self.poll_readable(server, cx)).await;
            if self.pulse.is_draining() {
                return Ok(Arrival::Draining);
            }
            self.pulse.set_receiving(Receiving::Paused);
        }
    }

    /// Until there is something to receive, or the connection is to end.
    fn poll_readable(&mut self, server: &Server, cx: &mut Context<'_>) -> Poll<()> {
        if self.pulse.is_draining() {
            return Poll::Ready(());
        }
        let ready = || server.disk.borrow_mut().ready(server.socket.clone(), Readiness::Readable);
        let wait = self.wait.get_or_insert_with(ready);
        // Whatever it came to, receiving tells.
        let _ = std::task::ready!(Pin::new(wait).poll(cx));
        self.wait = None;
        self.emptied = false;
        Poll::Ready(())
    }

    /// Takes in what has arrived, if anything has: the rest of a large frame to where it belongs.
    fn take_in(&mut self, server: &Server) -> Result<Option<Arrival>, End> {
        while !self.emptied {
            let scratch = &mut *self.scratch.borrow_mut();
            let direct = self.frames.direct(WORTH_RECEIVING_DIRECTLY);
            let (room, received, to) = match direct {
                Some(bytes) => {
                    let room = bytes.capacity() - bytes.len();
                    let buffer = spare_capacity(bytes);
                    (room, recv(&*server.socket, buffer, RecvFlags::DONTWAIT), To::Frame)
                }
                None => {
                    let buffer = &mut scratch[..];
                    (buffer.len(), recv(&*server.socket, buffer, RecvFlags::DONTWAIT), To::Scratch)
                }
            };
            let count = match received {
                Ok((0, _)) => return Ok(Some(Arrival::Ended)),
                Ok((count, _)) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => 0,
                Err(error) => return Err(End::Peer(error.into())),
            };
            self.emptied = count < room;
            let taken = match to {
                _ if count == 0 => return Ok(None),
                To::Frame => self.frames.received(),
                To::Scratch => self.frames.take_in(&scratch[..count]),
            };
            return taken.map(|()| Some(Arrival::Bytes)).map_err(bad_size);
        }
        Ok(None)
    }
}

/// Where bytes were received to.
enum To {
    Frame,
    Scratch,
}

fn bad_size(size: BadSize) -> End {
    End::Close(Close::because(size.to_string()))
}
