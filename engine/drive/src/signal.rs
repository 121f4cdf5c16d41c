//! Waiting for something that another task of the same shard, or another half of the same task,
//! brings about.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

/// Wakes the one who waits for a condition to be looked at again.
#[derive(Default)]
pub(crate) struct Signal(Cell<Option<Waker>>);

impl Signal {
    /// The condition may hold now.
    pub(crate) fn raise(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    /// Resolves once the condition holds. One waits at a time.
    pub(crate) fn until(&self, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
        poll_fn(move |cx| {
            if holds() {
                return Poll::Ready(());
            }
            self.0.set(Some(cx.waker().clone()));
            Poll::Pending
        })
    }
}
