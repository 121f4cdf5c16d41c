//! What reaches a shard from other threads: messages of other shards, and what its helper threads
//! have done. One queue for each shard, first in, first out for each sender; owned values only.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossbeam_queue::SegQueue;

use corelog_engine::id::ShardId;
use corelog_engine::shard::event::{EffectId, Outcome};
use corelog_engine::shard::job::Finished;
use corelog_engine::shard::message::Message;

use crate::bell::Bell;
use crate::tasks::HomeWaker;

/// Something for a shard, from another thread.
#[derive(Debug)]
pub(crate) enum Letter {
    /// Another shard says something.
    Message(ShardId, Message),
    /// A helper thread has carried out an effect, or has failed to.
    Done(EffectId, Outcome),
    /// The work thread has run a job.
    Finished(EffectId, Finished),
    /// A journal file is formatted, open and locked.
    JournalReady(EffectId, u16, Arc<OwnedFd>),
    /// Bytes free on the disk.
    DiskFree(u64),
    /// A task of the shard has something to do.
    Wake(Arc<HomeWaker>),
    /// A helper thread cannot go on; nothing it was asked for will be done.
    Broken(io::Error),
}

/// Where a shard's letters arrive.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: SegQueue<Letter>,
    bell: Bell,
}

impl Mailbox {
    /// An empty one.
    ///
    /// # Errors
    /// When descriptors run out.
    pub(crate) fn new() -> io::Result<Mailbox> {
        Ok(Mailbox { letters: SegQueue::new(), bell: Bell::new()? })
    }

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
