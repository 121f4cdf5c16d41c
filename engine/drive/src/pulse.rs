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

/// Milliseconds after which a peer that is amid a frame, or does not take what it is sent, is given
/// up when others wait for the memory that this holds. When nobody does, it has as long as one that
/// is idle, as in Kafka.
const STALLED_WHEN_SHORT_MS: u64 = 1_000;

/// Milliseconds that what a peer asked before it hung up has to be done.
const HUNG_UP_MS: u64 = 1_000;

/// Bytes that such a peer has to send or take within that time. With fewer it could hold the memory
/// for as long as it likes.
pub(crate) const ENOUGH: u64 = 16 << 10;

/// What a connection's receiving half does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
    /// Nothing has arrived of the next frame.
    Nothing,
    /// The rest of a frame is awaited.
    AmidFrame,
    /// It does not read now: of its own choice, so no silence counts.
    Paused,
    /// The same, and the peer has hung up meanwhile.
    HungUp,
}

/// Whether connections wait for room, for their frames or for their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    Short,
    Ample,
}

/// How bytes move in one direction.
struct Flow {
    /// When the last one did.
    moved_at: Cell<Instant>,
    /// When the last [`ENOUGH`] of them had.
    enough_at: Cell<Instant>,
    /// How many have since then.
    since: Cell<u64>,
}

impl Flow {
    fn new(now: Instant) -> Flow {
        Flow { moved_at: Cell::new(now), enough_at: Cell::new(now), since: Cell::new(0) }
    }

    /// Whatever is awaited is awaited from now on.
    fn begin(&self, now: Instant) {
        self.moved_at.set(now);
        self.enough_at.set(now);
        self.since.set(0);
    }

    fn moved(&self, bytes: u64, now: Instant) {
        let since = self.since.get().saturating_add(bytes);
        if since >= ENOUGH {
            self.begin(now);
        } else {
            self.moved_at.set(now);
            self.since.set(since);
        }
    }

    /// Whether too little has moved for too long.
    fn is_stalled(&self, now: Instant, idle_ms: u64, room: Room) -> bool {
        let for_ms = |since: &Cell<Instant>| now.ms_since(since.get());
        let short = room == Room::Short && for_ms(&self.enough_at) > STALLED_WHEN_SHORT_MS;
        short || for_ms(&self.moved_at) > idle_ms
    }
}

/// The room that there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rooms {
    pub(crate) frames: Room,
    pub(crate) answers: Room,
}

impl Rooms {
    /// By what there is in each class of memory. An answer holds of all: of work or of records, and
    /// of frames, as what was asked behind it waits as frames until it has left.
    pub(crate) fn of(frames: Room, work: Room, records: Room) -> Rooms {
        Rooms { frames, answers: frames.min(work).min(records) }
    }
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
    inward: Flow,
    outward: Flow,
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
            inward: Flow::new(now),
            outward: Flow::new(now),
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
        self.inward.moved(0, self.clock.instant());
    }

    /// What comes next is awaited from now on.
    pub(crate) fn begin_receiving(&self) {
        self.inward.begin(self.clock.instant());
    }

    /// Bytes have come.
    pub(crate) fn received(&self, bytes: u64) {
        self.inward.moved(bytes, self.clock.instant());
    }

    pub(crate) fn set_sending(&self, sending: Sending) {
        self.sending.set(sending);
        self.outward.begin(self.clock.instant());
    }

    /// The peer has taken bytes.
    pub(crate) fn sent(&self, bytes: u64) {
        self.outward.moved(bytes, self.clock.instant());
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
        self.wake();
    }

    /// Has the connection look around.
    pub(crate) fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
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
        let before = self.delivered_seen.replace(delivered);
        if before != delivered {
            self.outward.moved(delivered.wrapping_sub(before), now);
        }
        let sent_ms = now.ms_since(self.outward.moved_at.get());
        let received_ms = now.ms_since(self.inward.moved_at.get());
        let sending = self.sending.get() == Sending::Bytes;
        if sending && self.outward.is_stalled(now, idle_ms, rooms.answers) {
            return Some(Close::because("it takes nothing of what it is sent"));
        }
        match self.receiving.get() {
            Receiving::AmidFrame if self.inward.is_stalled(now, idle_ms, rooms.frames) => {
                Some(Close::because("the rest of a frame does not come"))
            }
            Receiving::HungUp if received_ms > HUNG_UP_MS => Some(Close::because("it hung up")),
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

    /// A connection that does this, since when.
    fn pulse(receiving: Receiving, sending: Sending, in_flight: usize) -> (Pulse, Instant) {
        let pulse = Pulse::new(EventFd::new().expect("eventfd").descriptor(), Clock::start());
        pulse.set_receiving(receiving);
        pulse.set_sending(sending);
        pulse.set_in_flight(in_flight);
        let start = pulse.clock.instant();
        pulse.inward.begin(start);
        pulse.outward.begin(start);
        (pulse, start)
    }

    #[test]
    fn silence_counts_only_when_something_is_expected() {
        const IDLE: u64 = 100_000;
        let (none, amid, paused) = (Receiving::Nothing, Receiving::AmidFrame, Receiving::Paused);
        let (incomplete, takes_nothing) =
            ("the rest of a frame does not come", "it takes nothing of what it is sent");
        let rows = [
            ("idle", none, Sending::Nothing, 0, IDLE + 1, Some("idle")),
            ("not yet idle", none, Sending::Nothing, 0, IDLE, None),
            ("waits for an answer", none, Sending::Nothing, 1, 10 * IDLE, None),
            ("half a frame", amid, Sending::Nothing, 0, IDLE + 1, Some(incomplete)),
            ("half a frame, lately", amid, Sending::Nothing, 0, IDLE, None),
            ("we do not read", paused, Sending::Nothing, 5, 10 * IDLE, None),
            ("hung up", Receiving::HungUp, Sending::Nothing, 2, HUNG_UP_MS + 1, Some("it hung up")),
            ("takes nothing", none, Sending::Bytes, 1, IDLE + 1, Some(takes_nothing)),
            ("takes nothing, lately", none, Sending::Bytes, 1, IDLE, None),
        ];
        for (name, receiving, sending, in_flight, after_ms, expected) in rows {
            let (pulse, start) = pulse(receiving, sending, in_flight);
            let overdue = || pulse.overdue(start.plus_ms(after_ms), IDLE, AMPLE);
            assert_eq!(overdue().map(|close| close.0), expected.map(Into::into), "{name}");
            pulse.delivered().fetch_add(1, Ordering::Relaxed);
            let moved = overdue().map(|close| close.0);
            assert!(moved != Some(takes_nothing.into()), "{name}: bytes have moved");
            let never = pulse.overdue(start.plus_ms(after_ms), u64::MAX, AMPLE);
            let never = never.is_none() || receiving == Receiving::HungUp;
            assert!(never, "{name}: it may be idle for ever");
        }
    }

    #[test]
    fn a_peer_is_waited_for_less_when_others_wait() {
        let (short, ample) = (Room::Short, Room::Ample);
        for (name, rooms, amid_frame, sending) in [
            ("nobody waits", Rooms::of(ample, ample, ample), false, false),
            ("for frames", Rooms::of(short, ample, ample), true, true),
            ("for work", Rooms::of(ample, short, ample), false, true),
            ("for records", Rooms::of(ample, ample, short), false, true),
        ] {
            for (receiving, sends, expected) in [
                (Receiving::AmidFrame, Sending::Nothing, amid_frame),
                (Receiving::Nothing, Sending::Bytes, sending),
            ] {
                let (pulse, start) = pulse(receiving, sends, 1);
                let overdue = |ms| pulse.overdue(start.plus_ms(ms), 600_000, rooms).is_some();
                assert!(!overdue(900), "{name}: {receiving:?}, {sends:?}");
                assert_eq!(overdue(1_100), expected, "{name}: {receiving:?}, {sends:?}");
            }
        }
    }

    #[test]
    fn a_few_bytes_now_and_then_are_too_little_when_others_wait() {
        for (bytes, is_stalled) in [(1, true), (ENOUGH / 12, true), (ENOUGH / 8, false)] {
            let flow = Flow::new(Instant(0));
            let stalled = (1..100).any(|tenth| {
                let now = Instant(0).plus_ms(100 * tenth);
                flow.moved(bytes, now);
                assert!(!flow.is_stalled(now, 1_000, Room::Ample), "nobody waits");
                flow.is_stalled(now, 1_000, Room::Short)
            });
            assert_eq!(stalled, is_stalled, "{bytes} bytes ten times a second");
        }
    }
}
