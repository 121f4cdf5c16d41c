//! Tasks of a shard that wait for time to pass.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use corelog_engine::id::Instant;

use crate::clock::Clock;

/// Who waits until when. The shard's loop asks when to wake, and wakes.
pub(crate) struct Timers {
    clock: Clock,
    waiting: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next: Cell<u64>,
}

impl Timers {
    pub(crate) fn new(clock: Clock) -> Timers {
        Timers { clock, waiting: RefCell::default(), next: Cell::new(0) }
    }

    /// Resolves when so many milliseconds have passed.
    pub(crate) fn after_ms(self: &Rc<Self>, ms: u64) -> impl Future<Output = ()> + use<> {
        let number = self.next.replace(self.next.get() + 1);
        let wait = Wait { timers: self.clone(), key: (self.clock.instant().plus_ms(ms), number) };
        poll_fn(move |cx| {
            if wait.timers.clock.instant() >= wait.key.0 {
                return Poll::Ready(());
            }
            wait.timers.waiting.borrow_mut().insert(wait.key, cx.waker().clone());
            Poll::Pending
        })
    }

    /// The earliest end of a wait.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.waiting.borrow().keys().next().map(|(at, _)| *at)
    }

    /// Wakes those whose time has come.
    pub(crate) fn wake(&self, now: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(first) = waiting.first_entry().filter(|first| first.key().0 <= now) {
            first.remove().wake();
        }
    }
}

/// Forgotten when dropped.
struct Wait {
    timers: Rc<Timers>,
    key: (Instant, u64),
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.timers.waiting.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::pin::pin;

    #[test]
    fn waits_end_in_order_and_are_forgotten_when_dropped() {
        let timers = Rc::new(Timers::new(Clock::start()));
        let (mut long, mut short) = (pin!(timers.after_ms(100_000)), Box::pin(timers.after_ms(1)));
        assert!(timers.next().is_none(), "nobody has asked");
        assert!(block_on(poll_once(&mut long)).is_none());
        let until_long = timers.next();
        assert!(block_on(poll_once(&mut short)).is_none());
        let until_short = timers.next();
        assert!(until_short < until_long);
        while timers.clock.instant() < until_short.expect("one waits") {
            std::thread::yield_now();
        }
        timers.wake(timers.clock.instant());
        assert_eq!(timers.next(), until_long);
        assert!(block_on(poll_once(&mut short)).is_some());
        let dropped = Box::pin(timers.after_ms(5));
        let mut dropped = dropped;
        assert!(block_on(poll_once(&mut dropped)).is_none());
        drop(dropped);
        assert_eq!(timers.next(), until_long);
    }
}
