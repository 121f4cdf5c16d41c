//! Bytes of one class of memory that a shard holds at a time: frames, requests being worked on,
//! records on their way to consumers.
//!
//! Out of budget whoever wants more waits until others have finished. So that those who wait cannot
//! wait for each other for ever, one charge at a time may exceed the budget; and large ones leave a
//! part of it to small ones.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use corelog_engine::shard::request::Piece;

use crate::serve::memory_of;

/// Bytes from which on a charge is large.
const LARGE: u64 = 64 << 10;

/// The part of the budget, one in so many, that large charges leave to small ones.
const FOR_SMALL: u64 = 8;

/// A shard's budget. Charged on the shard's thread, given back on any.
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
    /// Whether some charge has the right to exceed the limit.
    exempted: AtomicBool,
    /// Whether somebody waits.
    short: AtomicBool,
    /// Whether somebody has waited since that was last asked.
    was_short: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Those who wait, in the order in which they began to.
#[derive(Default)]
struct Waiting {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

/// Resolves when something has been given back; see [`Budget::released`].
pub(crate) struct Released {
    budget: Arc<Budget>,
    /// Bytes that were used when it was refused.
    before: u64,
    /// Its place among those who wait, once it does.
    place: Option<u64>,
}

/// Memory that is counted; given back when dropped. A request's goes with it, from what decoding
/// it takes to the last byte of its answer.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    limit: u64,
    bytes: u64,
    exempt: bool,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Budget> {
        Arc::new(Budget {
            limit,
            used: AtomicU64::new(0),
            exempted: AtomicBool::new(false),
            short: AtomicBool::new(false),
            was_short: AtomicBool::new(false),
            waiting: Mutex::default(),
        })
    }

    /// A charge of nothing, to grow, for something of `size` bytes.
    pub(crate) fn charge(self: &Arc<Self>, size: u64) -> Charge {
        Charge { budget: self.clone(), limit: self.limit_for(size), bytes: 0, exempt: false }
    }

    /// Bytes that may be used with something of `size` bytes.
    fn limit_for(&self, size: u64) -> u64 {
        let reserved = if size > LARGE { self.limit / FOR_SMALL } else { 0 };
        self.limit - reserved
    }

    /// Whether somebody waits for others to finish.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::SeqCst)
    }

    /// Whether somebody waits, or has waited since the last call.
    pub(crate) fn was_short(&self) -> bool {
        self.was_short.swap(false, Ordering::SeqCst) | self.is_short()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when something has been given back after the last refusal.
    pub(crate) fn released(self: &Arc<Self>) -> Released {
        let before = self.used.load(Ordering::Relaxed);
        Released { budget: self.clone(), before, place: None }
    }

    fn give_back(&self, bytes: u64, exempt: bool) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if exempt {
            self.exempted.store(false, Ordering::SeqCst);
        }
        if self.is_short() {
            let mut waiting = self.waiting();
            self.short.store(false, Ordering::SeqCst);
            let wakers = mem::take(&mut waiting.wakers);
            drop(waiting);
            wakers.into_values().for_each(Waker::wake);
        }
    }
}

impl Waiting {
    /// Has a waiter woken by this waker; the one it had before.
    fn insert(&mut self, place: &mut Option<u64>, waker: &Waker) -> Option<Waker> {
        let place = *place.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.wakers.get(&place) {
            Some(known) if known.will_wake(waker) => None,
            _ => self.wakers.insert(place, waker.clone()),
        }
    }
}

impl Future for Released {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Released { budget, before, place } = self.get_mut();
        let mut waiting = budget.waiting();
        let was_short = budget.short.swap(true, Ordering::SeqCst);
        // Looked at after that: a release from now on takes the lock and wakes.
        let exempt = budget.exempted.load(Ordering::SeqCst);
        if budget.used.load(Ordering::SeqCst) < *before || !exempt {
            budget.short.store(was_short, Ordering::SeqCst);
            return Poll::Ready(());
        }
        budget.was_short.store(true, Ordering::SeqCst);
        let replaced = waiting.insert(place, cx.waker());
        drop(waiting);
        // What a waker lets go of may give something back.
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Released {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut waiting = self.budget.waiting();
        let removed = waiting.wakers.remove(&place);
        if waiting.wakers.is_empty() {
            self.budget.short.store(false, Ordering::SeqCst);
        }
        drop(waiting);
        drop(removed);
    }
}

impl Charge {
    /// Charges `more` bytes; whether there is room for them.
    pub(crate) fn grow(&mut self, more: u64) -> bool {
        if self.grow_within(more) {
            return true;
        }
        // What exceeds the budget takes nothing from the others.
        self.exempt = !self.budget.exempted.swap(true, Ordering::SeqCst);
        self.exempt
    }

    /// The same of something that others may have to wait long for: it takes no right to exceed the
    /// budget.
    pub(crate) fn grow_within(&mut self, more: u64) -> bool {
        let used = self.budget.used.load(Ordering::SeqCst);
        if !self.exempt && used + more > self.limit {
            return false;
        }
        if !self.exempt {
            self.budget.used.fetch_add(more, Ordering::SeqCst);
            self.bytes += more;
        }
        true
    }

    /// Bytes that are counted.
    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it is for more than `bytes`.
    #[must_use]
    pub fn exceeds(&self, bytes: u64) -> bool {
        self.exempt || self.bytes > bytes
    }

    /// From now on it is `bytes`, which is known by now: what it was charged for is there. Nothing
    /// is refused any more; what does not fit lets others wait.
    pub fn settle(&mut self, bytes: u64) {
        let budget = &self.budget;
        if self.exempt {
            // It goes on exceeding the budget until what is left of it fits, or is no more than is
            // counted.
            let used = budget.used.load(Ordering::SeqCst) - self.bytes + bytes;
            if bytes > self.bytes && used > budget.limit_for(bytes) {
                return;
            }
            budget.used.fetch_add(bytes, Ordering::SeqCst);
            budget.give_back(mem::replace(&mut self.bytes, bytes), mem::take(&mut self.exempt));
        } else if bytes > self.bytes {
            budget.used.fetch_add(bytes - self.bytes, Ordering::SeqCst);
            self.bytes = bytes;
        } else if bytes < self.bytes {
            budget.give_back(self.bytes - bytes, false);
            self.bytes = bytes;
        }
    }

    /// The charge of an answer becomes what its pieces hold, unless it is so little that nobody
    /// would gain by having the rest back.
    pub fn settle_answer(&mut self, pieces: &[Piece]) {
        let bytes = memory_of(pieces);
        if bytes > self.bytes || self.exceeds(LARGE / 16) {
            self.settle(bytes);
        }
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

    #[test]
    fn whoever_waits_has_one_place_and_leaves_it_with_its_wait() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.charge(0), budget.charge(0));
        assert!(one.grow(10) && two.grow(10));
        let waiting = || budget.waiting().wakers.len();
        let mut tasks = [budget.released(), budget.released(), budget.released()];
        for task in &mut tasks {
            for _ in 0..100 {
                assert!(block_on(poll_once(&mut *task)).is_none());
            }
        }
        assert_eq!(waiting(), 3);
        let [first, second, mut third] = tasks;
        drop(first);
        assert!(waiting() == 2 && budget.is_short());
        drop(one);
        assert_eq!(waiting(), 0, "all are woken");
        assert_eq!(block_on(poll_once(&mut third)), Some(()));
        let mut again = budget.released();
        assert!(block_on(poll_once(&mut again)).is_none());
        drop((second, third));
        assert!(waiting() == 1 && budget.is_short(), "those were woken already");
        drop(again);
        assert!(waiting() == 0 && !budget.is_short(), "nobody waits any more");
        drop(two);
    }

    #[test]
    fn a_charge_becomes_what_is_known_of_it() {
        let budget = Budget::new(100);
        let mut one = budget.charge(0);
        assert!(one.grow(60));
        one.settle(20);
        assert_eq!((used(&budget), one.bytes()), (20, 20), "less than it was thought to be");
        one.settle(130);
        assert_eq!(used(&budget), 130, "more: it is there already");
        let (mut two, mut three) = (budget.charge(0), budget.charge(0));
        assert!(two.grow(50) && two.exempt && !three.grow(1), "others wait for it");
        two.settle(40);
        assert!(two.exempt, "what is left of it does not fit either");
        one.settle(60);
        two.settle(40);
        assert!(!two.exempt && used(&budget) == 100, "now it does");
        drop((one, two, three));
        assert_eq!(used(&budget), 0);
    }

    #[test]
    fn a_charge_exceeds_the_budget_only_while_what_is_left_of_it_does() {
        // What others use, what is counted of it, what is left of it; whether it goes on then.
        for (others, counted, left, goes_on) in [
            (90, 10, 5_000, true),
            (90, 10, 11, true),
            (90, 10, 10, false),
            (90, 10, 0, false),
            (80, 10, 20, false),
            (80, 10, 21, true),
            // Others are more than was thought: what is counted is all that there is.
            (200, 10, 11, true),
            (200, 10, 10, false),
            (200, 10, 9, false),
            (200, 0, 0, false),
        ] {
            let name = format!("{others} {counted} {left}");
            let budget = Budget::new(100);
            let (mut other, mut one) = (budget.charge(0), budget.charge(0));
            assert!(one.grow(counted));
            other.settle(others);
            assert!(one.grow(10_000) && one.exempt, "{name}");
            one.settle(left);
            assert_eq!(one.exempt, goes_on, "{name}");
            assert_eq!(one.bytes(), if goes_on { counted } else { left }, "{name}");
            assert_eq!(used(&budget), others + one.bytes(), "{name}");
            let mut next = budget.charge(0);
            assert_eq!(next.grow(10_000), !goes_on, "{name}: the right is another's");
            drop((other, one, next));
            assert_eq!(used(&budget), 0, "{name}");
        }
    }

    #[test]
    fn what_is_left_of_a_large_charge_is_a_small_one() {
        let budget = Budget::new(8 * LARGE);
        let (mut other, mut large) = (budget.charge(0), budget.charge(LARGE + 1));
        assert!(other.grow(7 * LARGE) && large.grow(LARGE + 1) && large.exempt);
        large.settle(LARGE + 1);
        assert!(large.exempt, "there is room for small ones only");
        large.settle(LARGE);
        assert!(!large.exempt && used(&budget) == 8 * LARGE);
    }

    #[test]
    fn whoever_may_not_exceed_the_budget_leaves_that_to_others() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.charge(0), budget.charge(0));
        assert!(one.grow_within(10) && !one.grow_within(1));
        assert!(two.grow(1) && two.exempt && two.grow_within(100), "it has the right already");
    }
}
