//! A counter that wakes: the way from one thread into another's loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

use crate::SharedFd;

/// A non-blocking eventfd. Clones share the counter and the descriptor.
#[derive(Clone, Debug)]
pub struct EventFd(SharedFd);

impl EventFd {
    /// A counter at zero.
    ///
    /// # Errors
    /// When descriptors or kernel memory run out.
    pub fn new() -> io::Result<EventFd> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(EventFd(Arc::new(fd)))
    }

    /// Adds one, which wakes whoever polls or reads.
    ///
    /// # Errors
    /// Never in practice: a counter that is full is already a wake-up, and counts as success.
    pub fn notify(&self) -> io::Result<()> {
        match write(&*self.0, &1u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the count and leaves zero; zero when nobody has notified since.
    ///
    /// # Errors
    /// Never in practice.
    pub fn drain(&self) -> io::Result<u64> {
        let mut count = [0; 8];
        match read(&*self.0, &mut count) {
            Ok(_) => Ok(u64::from_ne_bytes(count)),
            Err(Errno::AGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The descriptor, to poll it with a ring.
    #[must_use]
    pub fn descriptor(&self) -> SharedFd {
        Arc::clone(&self.0)
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_notifications_across_clones_and_threads() {
        let event = EventFd::new().expect("eventfd");
        assert_eq!(event.drain().expect("drain"), 0);
        let other = event.clone();
        std::thread::spawn(move || (0..3).try_for_each(|_| other.notify()))
            .join()
            .expect("no panic")
            .expect("notify");
        assert_eq!(event.drain().expect("drain"), 3);
        assert_eq!(event.drain().expect("drain"), 0);
    }

    #[test]
    fn a_full_counter_is_still_a_wake_up() {
        let event = EventFd::new().expect("eventfd");
        write(&event, &(u64::MAX - 1).to_ne_bytes()).expect("fill");
        event.notify().expect("full is fine");
        assert_eq!(event.drain().expect("drain"), u64::MAX - 1);
    }
}
