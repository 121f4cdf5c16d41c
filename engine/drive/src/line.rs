//! What a connection is to answer, in order: from a request that is taken to a response that has
//! left.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use corelog_engine::shard::request::Piece;

use crate::budget::Charge;
use crate::pulse::Pulse;
use crate::service::{Answer, Close, Response, Turn};
use crate::signal::Signal;

/// Requests of one connection that may be unanswered at a time.
const IN_FLIGHT: usize = 64;

/// Memory bytes of responses that are sent together.
const COALESCED: u64 = 256 << 10;

/// Responses that are to be sent, in order.
pub(crate) struct Line {
    responses: RefCell<VecDeque<(Turn, Response)>>,
    /// Those that have not left.
    unsent: RefCell<VecDeque<Turn>>,
    /// Those of them that have a turn of their own.
    own: Cell<usize>,
    /// Raised when a response has left.
    sent: Signal,
    /// Raised when the first response is queued.
    queued: Signal,
    pulse: Rc<Pulse>,
}

/// Responses that leave together.
pub(crate) struct Together {
    pub(crate) pieces: Vec<Piece>,
    /// Given back when they have left.
    pub(crate) charges: Vec<Charge>,
    pub(crate) responses: usize,
    /// Whether the connection ends behind them.
    pub(crate) ended: Result<(), Close>,
}

impl Line {
    pub(crate) fn new(pulse: Rc<Pulse>) -> Line {
        Line {
            responses: RefCell::default(),
            unsent: RefCell::default(),
            own: Cell::new(0),
            sent: Signal::default(),
            queued: Signal::default(),
            pulse,
        }
    }

    pub(crate) fn push(&self, turn: Turn, response: Response) {
        self.responses.borrow_mut().push_back((turn, response));
        self.unsent.borrow_mut().push_back(turn);
        self.own.update(|own| own + usize::from(turn == Turn::Own));
        self.pulse.set_in_flight(self.in_flight());
        self.queued.raise();
    }

    /// So many of the first responses have left.
    pub(crate) fn sent(&self, responses: usize) {
        for turn in self.unsent.borrow_mut().drain(..responses) {
            self.own.update(|own| own - usize::from(turn == Turn::Own));
        }
        self.pulse.set_in_flight(self.in_flight());
        self.sent.raise();
    }

    /// Requests whose responses have not left.
    pub(crate) fn in_flight(&self) -> usize {
        self.unsent.borrow().len()
    }

    /// Whether one of those has a turn of its own.
    pub(crate) fn has_own(&self) -> bool {
        self.own.get() > 0
    }

    /// Waits until fewer than this are in flight.
    pub(crate) async fn until_below(&self, requests: usize) {
        self.sent.until(|| self.in_flight() < requests).await;
    }

    /// Waits until a request may be taken.
    pub(crate) async fn until_turn(&self, turn: Turn) {
        self.until_below(IN_FLIGHT).await;
        if turn == Turn::Shared {
            self.until_none_own().await;
        }
    }

    /// Waits until none of those in flight has a turn of its own.
    pub(crate) async fn until_none_own(&self) {
        self.sent.until(|| !self.has_own()).await;
    }

    /// The first responses, as soon as there is one: those that are ready with it, unless they are
    /// many, or it gets late, or one has a turn of its own: that comes when those before it have
    /// left.
    pub(crate) async fn gather(&self, is_late: impl Fn() -> bool) -> Result<Together, Close> {
        let Answer { mut pieces, charge } = self.first().await?;
        let mut charges = Vec::from_iter(charge);
        let (mut responses, mut ended) = (1, Ok(()));
        let mut bytes = weight(&pieces);
        while bytes < COALESCED && !is_late() {
            match self.shared_if_ready().await {
                Some(Ok(more)) => {
                    bytes += weight(&more.pieces);
                    pieces.extend(more.pieces);
                    charges.extend(more.charge);
                    responses += 1;
                }
                // Those before it are answered first.
                Some(Err(close)) => {
                    ended = Err(close);
                    break;
                }
                None => break,
            }
        }
        Ok(Together { pieces, charges, responses, ended })
    }

    /// The first response, if it is ready; it leaves the queue then.
    fn poll_first(&self, cx: &mut Context<'_>) -> Poll<Result<Answer, Close>> {
        let Some((turn, mut first)) = self.responses.borrow_mut().pop_front() else {
            return Poll::Pending;
        };
        let polled = first.as_mut().poll(cx);
        if polled.is_pending() {
            self.responses.borrow_mut().push_front((turn, first));
        }
        polled
    }

    async fn first(&self) -> Result<Answer, Close> {
        self.queued.until(|| !self.responses.borrow().is_empty()).await;
        poll_fn(|cx| self.poll_first(cx)).await
    }

    /// The first response if it is ready now; one with a turn of its own is not begun.
    async fn shared_if_ready(&self) -> Option<Result<Answer, Close>> {
        if self.responses.borrow().front().is_none_or(|(turn, _)| *turn == Turn::Own) {
            return None;
        }
        poll_fn(|cx| match self.poll_first(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
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

#[cfg(test)]
mod tests {
    use std::future::Future;

    use bytes::Bytes;
    use corelog_os::event::EventFd;
    use futures_lite::future::{block_on, poll_once};

    use super::*;
    use crate::clock::Clock;

    fn line() -> Line {
        let socket = EventFd::new().expect("eventfd").descriptor();
        Line::new(Rc::new(Pulse::new(socket, Clock::start())))
    }

    /// A response that is ready at once, and notes that it was begun.
    fn ready(begun: &Rc<Cell<usize>>) -> Response {
        let begun = begun.clone();
        Box::pin(async move {
            begun.update(|count| count + 1);
            Ok(vec![Piece::Memory(Bytes::from_static(b"x"))].into())
        })
    }

    fn is_over(future: impl Future<Output = ()>) -> bool {
        block_on(poll_once(future)).is_some()
    }

    #[test]
    fn a_turn_of_its_own_ends_when_the_response_has_left() {
        let (line, begun) = (line(), Rc::default());
        line.push(Turn::Own, ready(&begun));
        let together = block_on(line.gather(|| false)).expect("a response");
        assert_eq!((together.responses, begun.get()), (1, 1));
        assert!(line.has_own() && !is_over(line.until_turn(Turn::Shared)), "it is being sent");
        assert!(is_over(line.until_turn(Turn::Own)), "that waits in the line");
        line.sent(together.responses);
        assert!(!line.has_own() && is_over(line.until_turn(Turn::Shared)), "it has left");
        assert_eq!(line.in_flight(), 0);
    }

    #[test]
    fn a_turn_of_its_own_begins_when_those_before_it_have_left() {
        use Turn::{Own, Shared};
        for (turns, together) in [
            (&[Shared, Shared, Shared][..], &[3][..]),
            (&[Shared, Shared, Own], &[2, 1]),
            (&[Own, Own, Own], &[1, 1, 1]),
        ] {
            let (line, begun) = (line(), Rc::default());
            turns.iter().for_each(|turn| line.push(*turn, ready(&begun)));
            let mut left = 0;
            for expected in together {
                let gathered = block_on(line.gather(|| false)).expect("responses");
                left += expected;
                assert_eq!((gathered.responses, begun.get()), (*expected, left), "{turns:?}");
                line.sent(gathered.responses);
            }
            assert_eq!(line.in_flight(), 0, "{turns:?}");
        }
    }
}
