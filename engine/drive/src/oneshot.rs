//! One value on its way to one task, from any thread.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum State<T> {
    Open(Option<Waker>),
    Sent(T),
    /// The value was taken, or will never come.
    Closed,
}

struct Shared<T>(Mutex<State<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, state: State<T>) {
        let before = mem::replace(&mut *self.lock(), state);
        if let State::Open(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// Where the value is put. Dropped without a value it ends the wait all the same.
pub(crate) struct Sender<T>(Option<Arc<Shared<T>>>);

/// Where the value comes out: a future.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// The sender is gone and no value will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Both ends.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared(Mutex::new(State::Open(None))));
    (Sender(Some(shared.clone())), Receiver(shared))
}

impl<T> Sender<T> {
    /// Whether there is a receiver.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| Arc::strong_count(shared) > 1)
    }

    pub(crate) fn send(mut self, value: T) {
        if let Some(shared) = self.0.take() {
            shared.finish(State::Sent(value));
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.finish(State::Closed);
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Gone>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Closed) {
            State::Sent(value) => Poll::Ready(Ok(value)),
            State::Closed => Poll::Ready(Err(Gone)),
            State::Open(_) => {
                *state = State::Open(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_value_crosses_threads() {
        let (sender, receiver) = channel();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            sender.send(7);
        });
        assert_eq!(block_on(receiver), Ok(7));
        other.join().expect("no panic");
    }

    #[test]
    fn a_sender_knows_whether_anybody_waits() {
        let (sender, receiver) = channel::<u8>();
        assert!(sender.is_wanted());
        drop(receiver);
        assert!(!sender.is_wanted());
        sender.send(7);
    }

    #[test]
    fn a_dropped_sender_ends_the_wait() {
        let (sender, receiver) = channel::<u8>();
        drop(sender);
        assert_eq!(block_on(receiver), Err(Gone));
    }
}
