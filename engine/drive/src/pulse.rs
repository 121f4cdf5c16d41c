//! A connection as its surroundings see it: what it does, since when, and how it is told to end.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use corelog_engine::id::Instant;
use corelog_os::SharedFd;
use rustix::net::{Shutdown, shutdown};

use crate::clock::Clock;
use crate::service::Close;

/// Milliseconds without a byte after which a peer that is amid a frame, or does not take what it is
/// sent, is given up. A stalled reader pins deleted files, a stalled writer pins budget.
const STALLED_MS: u64 = 30_000;

/// The same when others wait for the budget that it pins.
const STALLED_WHEN_SHORT_MS: u64 = 1_000;

/// What a connection's receiving half does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
    /// Nothing has arrived of the next frame.
    Nothing,
    /// The rest of a frame is awaited.
    AmidFrame,
    /// It does not read now: of its own choice, so no silence counts.
    Paused,
}

/// Whether connections wait for room, for their frames or for their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Ample,
    Short,
}

impl Room {
    fn stalled_ms(self) -> u64 {
        match self {
            Room::Ample => STALLED_MS,
            Room::Short => STALLED_WHEN_SHORT_MS,
        }
    }
}

/// The room that there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rooms {
    pub(crate) frames: Room,
    pub(crate) answers: Room,
}

/// What a connection's sending half does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Nothing,
    /// The peer is to take bytes.
    Bytes,
}

#[derive(Clone, Debug)]
enum Order {
    GoOn,
    /// Answer what is in flight and end.
    Drain,
    End(Close),
}

/// Shared by a connection's task and its registry.
pub(crate) struct Pulse {
    socket: SharedFd,
    clock: Clock,
    receiving: Cell<Receiving>,
    sending: Cell<Sending>,
    /// Requests that are not answered.
    in_flight: Cell<usize>,
    received_at: Cell<Instant>,
    sent_at: Cell<Instant>,
    /// Bytes delivered, told by another thread, and how many the last look saw.
    delivered: Arc<AtomicU64>,
    delivered_seen: Cell<u64>,
    order: RefCell<Order>,
    task: RefCell<Option<Waker>>,
}

impl Pulse {
    pub(crate) fn new(socket: SharedFd, clock: Clock) -> Pulse {
        let now = clock.instant();
        Pulse {
            socket,
            clock,
            receiving: Cell::new(Receiving::Nothing),
            sending: Cell::new(Sending::Nothing),
            in_flight: Cell::new(0),
            received_at: Cell::new(now),
            sent_at: Cell::new(now),
            delivered: Arc::default(),
            delivered_seen: Cell::new(0),
            order: RefCell::new(Order::GoOn),
            task: RefCell::default(),
        }
    }

    pub(crate) fn delivered(&self) -> Arc<AtomicU64> {
        self.delivered.clone()
    }

    /// From now on it does this.
    pub(crate) fn set_receiving(&self, receiving: Receiving) {
        self.receiving.set(receiving);
        self.received_at.set(self.clock.instant());
    }

    pub(crate) fn set_sending(&self, sending: Sending) {
        self.sending.set(sending);
        self.sent();
    }

    pub(crate) fn sent(&self) {
        self.sent_at.set(self.clock.instant());
    }

    pub(crate) fn set_in_flight(&self, requests: usize) {
        self.in_flight.set(requests);
    }

    /// Asks the connection to end once nothing is in flight.
    pub(crate) fn drain(&self) {
        if matches!(*self.order.borrow(), Order::GoOn) {
            self.give(Order::Drain);
        }
    }

    /// Ends the connection.
    pub(crate) fn end(&self, why: Close) {
        self.give(Order::End(why));
    }

    pub(crate) fn is_draining(&self) -> bool {
        !matches!(*self.order.borrow(), Order::GoOn)
    }

    fn give(&self, order: Order) {
        *self.order.borrow_mut() = order;
        if let Some(task) = self.task.borrow_mut().take() {
            task.wake();
        }
    }

    /// Resolves when the connection is to end now.
    pub(crate) async fn ended(&self) -> Close {
        poll_fn(|cx| {
            let mut task = self.task.borrow_mut();
            if task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
                *task = Some(cx.waker().clone());
            }
            match &*self.order.borrow() {
                Order::End(why) => Poll::Ready(why.clone()),
                Order::GoOn | Order::Drain => Poll::Pending,
            }
        })
        .await
    }

    /// Closes the socket for everybody who still has it: a delivery under way fails.
    pub(crate) fn hang_up(&self) {
        // The peer may have been faster.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }

    /// Why the connection should end, if it has been silent for too long.
    pub(crate) fn overdue(&self, now: Instant, idle_ms: u64, rooms: Rooms) -> Option<Close> {
        let delivered = self.delivered.load(Ordering::Relaxed);
        if self.delivered_seen.replace(delivered) != delivered {
            self.sent_at.set(now);
        }
        let sent_ms = now.ms_since(self.sent_at.get());
        let received_ms = now.ms_since(self.received_at.get());
        if self.sending.get() == Sending::Bytes && sent_ms > rooms.answers.stalled_ms() {
            return Some(Close::because("it takes nothing of what it is sent"));
        }
        match self.receiving.get() {
            Receiving::AmidFrame if received_ms > rooms.frames.stalled_ms() => {
                Some(Close::because("the rest of a frame does not come"))
            }
            Receiving::Nothing
                if self.in_flight.get() == 0
                    && self.sending.get() == Sending::Nothing
                    && sent_ms.min(received_ms) > idle_ms =>
            {
                Some(Close::because("idle"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_os::event::EventFd;

    const AMPLE: Rooms = Rooms { frames: Room::Ample, answers: Room::Ample };

    #[test]
    fn silence_counts_only_when_something_is_expected() {
        let idle = 1_000;
        let (none, amid, paused) = (Receiving::Nothing, Receiving::AmidFrame, Receiving::Paused);
        let rows = [
            ("idle", none, Sending::Nothing, 0, 1_001, Some("idle")),
            ("not yet idle", none, Sending::Nothing, 0, 1_000, None),
            ("waits for an answer", none, Sending::Nothing, 1, 100_000, None),
            (
                "half a frame",
                amid,
                Sending::Nothing,
                0,
                30_001,
                Some("the rest of a frame does not come"),
            ),
            ("half a frame, lately", amid, Sending::Nothing, 0, 30_000, None),
            ("we do not read", paused, Sending::Nothing, 5, 100_000, None),
            (
                "takes nothing",
                none,
                Sending::Bytes,
                1,
                30_001,
                Some("it takes nothing of what it is sent"),
            ),
            ("takes nothing, lately", none, Sending::Bytes, 1, 30_000, None),
        ];
        for (name, receiving, sending, in_flight, after_ms, expected) in rows {
            let socket = EventFd::new().expect("eventfd").descriptor();
            let pulse = Pulse::new(socket, Clock::start());
            pulse.set_receiving(receiving);
            pulse.set_sending(sending);
            pulse.set_in_flight(in_flight);
            let start = pulse.sent_at.get().max(pulse.received_at.get());
            pulse.sent_at.set(start);
            pulse.received_at.set(start);
            let found = pulse.overdue(start.plus_ms(after_ms), idle, AMPLE);
            assert_eq!(found.map(|close| close.0), expected.map(Into::into), "{name}");
            pulse.delivered().fetch_add(1, Ordering::Relaxed);
            let moved = pulse.overdue(start.plus_ms(after_ms), idle, AMPLE);
            let moved = moved.map(|close| close.0);
            let stalled = Some("it takes nothing of what it is sent".into());
            assert!(moved.is_none() || moved != stalled, "{name}: bytes have moved");
        }
    }

    #[test]
    fn a_peer_is_waited_for_less_when_others_wait() {
        let pulse = Pulse::new(EventFd::new().expect("eventfd").descriptor(), Clock::start());
        let overdue = |after_ms, rooms| {
            let now = pulse.received_at.get().max(pulse.sent_at.get()).plus_ms(after_ms);
            pulse.overdue(now, 600_000, rooms).is_some()
        };
        let (no_frames, no_answers) =
            (Rooms { frames: Room::Short, ..AMPLE }, Rooms { answers: Room::Short, ..AMPLE });
        pulse.set_receiving(Receiving::AmidFrame);
        assert!(overdue(1_100, no_frames));
        assert!(!overdue(900, no_frames) && !overdue(1_100, no_answers));
        pulse.set_receiving(Receiving::Nothing);
        pulse.set_sending(Sending::Bytes);
        assert!(overdue(1_100, no_answers));
        assert!(!overdue(900, no_answers) && !overdue(1_100, no_frames));
    }
}
