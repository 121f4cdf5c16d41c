//! What reaches a shard from other threads: messages of other shards, and what its helper threads
//! have done. One queue for each shard, first in, first out for each sender; owned values only.
//!
//! A shard that is about to sleep arms its bell, looks into the queue a last time, and sleeps;
//! whoever puts something in rings the bell afterwards. An unarmed bell costs one memory read, so a
//! batch of letters wakes its reader once, and a reader that is awake not at all.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crossbeam_queue::SegQueue;

use corelog_engine::id::ShardId;
use corelog_engine::shard::event::{EffectId, Outcome};
use corelog_engine::shard::message::Message;

/// Something for a shard, from another thread.
#[derive(Debug)]
pub(crate) enum Letter {
    /// Another shard says something.
    Message(ShardId, Message),
    /// A helper thread has carried out an effect, or has failed to.
    Done(EffectId, Outcome),
    /// A journal file is formatted, open and locked.
    JournalReady(EffectId, u16, Arc<OwnedFd>),
    /// Bytes free on the disk.
    DiskFree(u64),
    /// A helper thread cannot go on; nothing it was asked for will be done.
    Broken(io::Error),
}

/// Where a shard's letters arrive.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    letters: SegQueue<Letter>,
    bell: Bell,
}

impl Mailbox {
    /// Puts a letter in; [`ring`](Self::ring) after the last one.
    pub(crate) fn put(&self, letter: Letter) {
        self.letters.push(letter);
    }

    /// Puts one letter in and rings.
    pub(crate) fn deliver(&self, letter: Letter) {
        self.put(letter);
        self.ring();
    }

    /// Wakes the shard if it sleeps.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    pub(crate) fn take(&self) -> Option<Letter> {
        self.letters.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

/// Wakes one sleeper, once for each time it arms the bell, from any thread.
#[derive(Default)]
pub(crate) struct Bell {
    armed: AtomicBool,
    sleeper: Mutex<Option<Waker>>,
}

impl Bell {
    /// From now on a ring wakes `waker`. The sleeper must look once more before it sleeps.
    pub(crate) fn arm(&self, waker: &Waker) {
        {
            let mut sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
            if sleeper.as_ref().is_none_or(|sleeper| !sleeper.will_wake(waker)) {
                *sleeper = Some(waker.clone());
            }
        }
        self.armed.store(true, Ordering::SeqCst);
        // Pairs with the fence in `ring`: either the sleeper sees what was put in before the ring,
        // or the ring sees the bell armed.
        fence(Ordering::SeqCst);
    }

    /// Whether nobody has rung since it was armed.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// The sleeper is awake.
    pub(crate) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::SeqCst) {
            let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sleeper) = sleeper.as_ref() {
                sleeper.wake_by_ref();
            }
        }
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bell(armed: {})", self.armed.load(Ordering::Relaxed))
    }
}
