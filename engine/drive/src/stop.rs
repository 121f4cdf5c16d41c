//! How a run is asked to end, from any thread.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::mesh::Mailbox;

/// How urgently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Not at all: go on.
    None,
    /// Finish what is in flight and write everything down.
    Graceful,
    /// Leave everything to the next start's recovery.
    AtOnce,
}

/// Asks a run to end. Clones ask the same run.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    urgency: AtomicU8,
    shards: Mutex<Vec<Arc<Mailbox>>>,
}

impl Stop {
    /// For one run.
    #[must_use]
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Ends the run gracefully: no new connections, requests in flight are answered (for ten
    /// seconds at most), everything is written to its segments. Asked a second time it is
    /// [`now`](Self::now).
    pub fn request(&self) {
        let (none, graceful) = (Urgency::None as u8, Urgency::Graceful as u8);
        let first =
            self.0.urgency.compare_exchange(none, graceful, Ordering::SeqCst, Ordering::SeqCst);
        if first.is_err() {
            self.0.urgency.store(Urgency::AtOnce as u8, Ordering::SeqCst);
        }
        self.ring();
    }

    /// Ends the run at once, as a crash would, but for an error code.
    pub fn now(&self) {
        self.0.urgency.store(Urgency::AtOnce as u8, Ordering::SeqCst);
        self.ring();
    }

    pub(crate) fn urgency(&self) -> Urgency {
        match self.0.urgency.load(Ordering::SeqCst) {
            0 => Urgency::None,
            1 => Urgency::Graceful,
            _ => Urgency::AtOnce,
        }
    }

    /// Names the shards that must hear of it.
    pub(crate) fn watch(&self, shards: &[Arc<Mailbox>]) {
        *self.0.shards.lock().unwrap_or_else(PoisonError::into_inner) = shards.to_vec();
    }

    /// Wakes every shard, for it to look.
    pub(crate) fn ring(&self) {
        for shard in self.0.shards.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            shard.ring();
        }
    }
}
