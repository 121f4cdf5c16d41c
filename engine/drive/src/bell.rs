//! Wakes one thread that sleeps in its ring, from any other.
//!
//! A thread that is about to sleep arms its bell, looks a last time at what others may have given
//! it, and sleeps; whoever gives it something rings afterwards. An unarmed bell costs one memory
//! read, so a sleeper is woken once for all it is given, and a thread that is awake not at all.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use corelog_os::SharedFd;
use corelog_os::event::EventFd;

/// One sleeper's bell.
#[derive(Debug)]
pub(crate) struct Bell {
    armed: AtomicBool,
    sound: EventFd,
}

impl Bell {
    /// A bell that is not armed.
    ///
    /// # Errors
    /// When descriptors run out.
    pub(crate) fn new() -> io::Result<Bell> {
        Ok(Bell { armed: AtomicBool::new(false), sound: EventFd::new()? })
    }

    /// What the sleeper's ring polls: readable once the bell has rung while it was armed.
    pub(crate) fn descriptor(&self) -> SharedFd {
        self.sound.descriptor()
    }

    /// From now on a ring wakes the sleeper, which must look once more before it sleeps.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
        // Pairs with the fence in `ring`: either the sleeper sees what it was given before the
        // ring, or the ring sees the bell armed.
        fence(Ordering::SeqCst);
    }

    /// The sleeper is awake.
    pub(crate) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    /// Wakes the sleeper if it sleeps, or is about to.
    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::SeqCst) {
            // An eventfd that cannot be written to is full: as good as written to.
            let _ = self.sound.notify();
        }
    }

    /// Makes the descriptor unreadable again, before it is polled again.
    pub(crate) fn silence(&self) {
        // The count says nothing more than that it has rung.
        let _ = self.sound.drain();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::time::Timespec;

    fn sounds(bell: &Bell) -> bool {
        let descriptor = bell.descriptor();
        let mut fds = [PollFd::new(&*descriptor, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).expect("poll") > 0
    }

    #[test]
    fn it_sounds_once_for_each_time_it_is_armed() {
        let bell = Bell::new().expect("bell");
        bell.ring();
        assert!(!sounds(&bell), "nobody sleeps");
        bell.arm();
        assert!(!sounds(&bell));
        bell.ring();
        bell.ring();
        assert!(sounds(&bell));
        bell.silence();
        bell.ring();
        assert!(!sounds(&bell), "it was armed once");
        bell.arm();
        bell.disarm();
        bell.ring();
        assert!(!sounds(&bell), "the sleeper is awake");
    }
}
