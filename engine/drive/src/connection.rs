//! One connection: frames in, responses out, in order. One task with two halves: the receiving half
//! hands frames to the session and queues what is to be answered; the sending half answers from the
//! front of the queue. Whichever ends first ends the connection, and everything in flight with it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use corelog_os::net::{recv_behind, recv_into};
use corelog_os::ring::Readiness;
use futures_lite::future;

use crate::budget::Budget;
use crate::line::Line;
use crate::oneshot;
use crate::pulse::{Pulse, Receiving};
use crate::receive::{BadSize, Place, Receiver};
use crate::serve::{End, Server};
use crate::service::{Close, Session, Turn};

/// Missing bytes of a frame that are received to where they belong, rather than through the
/// shard's scratch memory.
const WORTH_RECEIVING_DIRECTLY: usize = 16 << 10;

/// Bytes that are received at a time: the kernel copies them to memory that may be new, which takes
/// half a millisecond.
const ONE_RECEIVE: usize = 256 << 10;

/// Bytes that are received at a time when others wait for room, and so may have to be held back.
const WHEN_SHORT: usize = 4 << 10;

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
            gone: None,
            hung_up: false,
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

/// The sending half. Responses that are ready together leave together; the next are begun only when
/// those have left.
async fn answer_all(line: &Line, server: &Server) -> Result<(), End> {
    loop {
        let together = line.gather(|| server.tasks.is_late()).await?;
        server.send(together.pieces).await?;
        drop(together.charges);
        line.sent(together.responses);
        together.ended?;
    }
}

/// The receiving half.
struct Inward<'a> {
    frames: Receiver,
    /// For bytes to arrive.
    wait: Option<oneshot::Receiver<io::Result<()>>>,
    /// For the peer to hang up, once that is not to be seen by receiving.
    gone: Option<oneshot::Receiver<io::Result<()>>>,
    hung_up: bool,
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
            if self.frames.has_next() {
                self.pulse.begin_receiving();
            }
            while let Some(frame) = self.frames.next() {
                let turn = turn(&session, &frame);
                self.wait_for(self.line.until_turn(turn), server).await;
                server.tasks.yield_if_needed().await;
                if let Some(response) = session.request(frame).await? {
                    self.line.push(turn, response);
                }
            }
            bad?;
            self.until_wanted(server).await;
            if self.frames.is_out_of_budget() {
                self.budget.released().await;
                self.pulse.begin_receiving();
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

    /// Waits until more is worth receiving. What comes behind a request that has a turn of its own
    /// is a few requests that have come with it, or else stays with the kernel, as in Kafka: it
    /// could not be taken, and would be kept for as long as that one waits.
    async fn until_wanted(&mut self, server: &Server) {
        let line = self.line;
        let has_more = self.frames.is_amid_frame() || self.frames.is_out_of_budget();
        if has_more || line.in_flight() > 1 {
            self.wait_for(line.until_none_own(), server).await;
        }
        self.frames.set_place(if line.has_own() { Place::Behind } else { Place::First });
    }

    /// Waits for requests to be answered. Nothing is received meanwhile, so that a peer which hangs
    /// up has to be noticed in another way: what has a turn of its own may take minutes.
    async fn wait_for(&mut self, answered: impl Future<Output = ()>, server: &Server) {
        if !self.line.has_own() {
            return answered.await;
        }
        self.pulse.set_receiving(Receiving::Paused);
        let ready = || server.disk.borrow_mut().ready(server.socket.clone(), Readiness::HungUp);
        let watch = async {
            if !self.hung_up {
                // Whatever it comes to, there is nobody to read answers.
                let _ = self.gone.get_or_insert_with(ready).await;
                self.hung_up = true;
            }
            self.pulse.set_receiving(Receiving::HungUp);
            std::future::pending().await
        };
        future::or(answered, watch).await;
        self.pulse.begin_receiving();
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
        if self.emptied {
            return Ok(None);
        }
        let scratch = &mut *self.scratch.borrow_mut();
        let (room, received, to) = match self.frames.direct(WORTH_RECEIVING_DIRECTLY) {
            Some(bytes) => {
                let room = (bytes.capacity() - bytes.len()).min(ONE_RECEIVE);
                (room, recv_behind(&*server.socket, bytes, room), To::Frame)
            }
            None => {
                let room = if self.budget.is_short() { WHEN_SHORT } else { SCRATCH };
                (room, recv_into(&*server.socket, &mut scratch[..room]), To::Scratch)
            }
        };
        let count = match received {
            Ok(0) => return Ok(Some(Arrival::Ended)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(End::Peer(error)),
        };
        self.emptied = count < room;
        self.pulse.received(count as u64);
        let taken = match to {
            _ if count == 0 => return Ok(None),
            To::Frame => self.frames.received(),
            To::Scratch => self.frames.take_in(&scratch[..count]),
        };
        taken.map(|()| Some(Arrival::Bytes)).map_err(bad_size)
    }
}

fn turn<S: Session>(_: &S, frame: &[u8]) -> Turn {
    S::turn(frame)
}

/// Where bytes were received to.
enum To {
    Frame,
    Scratch,
}

fn bad_size(size: BadSize) -> End {
    End::Close(Close::because(size.to_string()))
}
