//! Bytes of requests that a shard holds at a time: received, or being received.
//!
//! Out of budget a connection stops reading until others have finished. So that partly received
//! frames cannot wait for each other for ever, one frame at a time may exceed the budget; and large
//! ones leave a part of it to small ones.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Bytes from which on a frame is large.
const LARGE: u64 = 64 << 10;

/// The part of the budget, one in so many, that large frames leave to small ones.
const FOR_SMALL: u64 = 8;

/// A shard's budget. Charged on the shard's thread, given back on any.
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
    /// Whether some frame has the right to exceed the limit.
    exempted: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// What a frame has been charged; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    limit: u64,
    bytes: u64,
    exempt: bool,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Budget> {
        let waiting = Mutex::default();
        Arc::new(Budget {
            limit,
            used: AtomicU64::new(0),
            exempted: AtomicBool::new(false),
            waiting,
        })
    }

    /// A charge of nothing, to grow, for a frame of `size` bytes.
    pub(crate) fn charge(self: &Arc<Self>, size: u64) -> Charge {
        let reserved = if size > LARGE { self.limit / FOR_SMALL } else { 0 };
        Charge { budget: self.clone(), limit: self.limit - reserved, bytes: 0, exempt: false }
    }

    /// Whether connections wait for others to finish.
    pub(crate) fn is_short(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Resolves when something has been given back after the last refusal.
    pub(crate) fn released(self: &Arc<Self>) -> impl Future<Output = ()> + use<> {
        let (budget, before) = (self.clone(), self.used.load(Ordering::Relaxed));
        poll_fn(move |cx| {
            let mut waiting = budget.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Looked at under the lock that a release takes after it has given back.
            let exempt = budget.exempted.load(Ordering::SeqCst);
            if budget.used.load(Ordering::SeqCst) < before || !exempt {
                return Poll::Ready(());
            }
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
    }

    fn give_back(&self, bytes: u64, exempt: bool) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if exempt {
            self.exempted.store(false, Ordering::SeqCst);
        }
        let waiting = mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Charge {
    /// Charges `more` bytes; whether there is room for them.
    pub(crate) fn grow(&mut self, more: u64) -> bool {
        let used = self.budget.used.load(Ordering::SeqCst);
        let fits = self.exempt || used + more <= self.limit;
        if !fits {
            if self.budget.exempted.swap(true, Ordering::SeqCst) {
                return false;
            }
            self.exempt = true;
        }
        // What exceeds the budget takes nothing from the others.
        if !self.exempt {
            self.budget.used.fetch_add(more, Ordering::SeqCst);
            self.bytes += more;
        }
        true
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes, self.exempt);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {})", self.used.load(Ordering::Relaxed), self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    fn used(budget: &Budget) -> u64 {
        budget.used.load(Ordering::Relaxed)
    }

    #[test]
    fn one_charge_at_a_time_may_exceed_the_budget() {
        let budget = Budget::new(100);
        let (mut one, mut two, mut three) = (budget.charge(0), budget.charge(0), budget.charge(0));
        assert!(one.grow(60) && two.grow(40));
        assert!(one.grow(500), "the first to exceed it may");
        assert!(!two.grow(1) && !three.grow(1));
        assert!(one.grow(500), "and go on");
        assert_eq!(used(&budget), 100, "what exceeds it is nobody's room");
        drop(one);
        assert!(two.grow(60) && !two.exempt, "there is room again");
        assert!(three.grow(1) && three.exempt, "the right to exceed it is free again");
        drop((two, three));
        assert_eq!(used(&budget), 0);
    }

    #[test]
    fn large_frames_leave_room_to_small_ones() {
        let budget = Budget::new(8 * LARGE);
        let (mut large, mut other) = (budget.charge(LARGE + 1), budget.charge(LARGE + 1));
        assert!(large.grow(7 * LARGE) && !large.exempt);
        assert!(other.grow(1) && other.exempt, "it takes the one exemption");
        let mut small = budget.charge(LARGE);
        assert!(small.grow(LARGE - 1) && !small.exempt);
    }

    #[test]
    fn whoever_was_refused_hears_of_the_next_release() {
        let budget = Budget::new(10);
        let (mut one, mut two, mut three) = (budget.charge(0), budget.charge(0), budget.charge(0));
        assert!(one.grow(10) && two.grow(10) && !three.grow(10));
        let mut released = Box::pin(budget.released());
        assert!(!budget.is_short());
        assert!(block_on(poll_once(&mut released)).is_none());
        assert!(budget.is_short());
        let other = std::thread::spawn(move || drop(one));
        block_on(released);
        other.join().expect("no panic");
        assert!(three.grow(10) && !three.exempt, "whatever the exempt one holds");
        drop(two);
    }
}
