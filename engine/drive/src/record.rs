//! What shards were given and what they wanted, in order, so that the core can be given the same
//! again: whatever it did in a real broker it does once more, step by step, without one. Kept in
//! memory, with all the bytes that came in: for tests, and for looking into a fault.

use std::fmt::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use corelog_engine::id::Now;
use corelog_engine::shard::effect::Effects;
use corelog_engine::shard::event::Event;
use corelog_engine::shard::setup::ShardSetup;

/// One call of a shard.
#[derive(Clone, Debug)]
pub enum Step {
    /// `Shard::start`, and what was wanted then.
    Start(Digest),
    /// `Shard::step`.
    Event(Now, Event),
    /// `Shard::end_of_turn`, and what was wanted in the whole turn.
    EndOfTurn(Now, Digest),
}

/// A shard's life.
#[derive(Clone, Debug)]
pub struct Reel {
    /// What it started with.
    pub setup: ShardSetup,
    /// Every call, in order.
    pub steps: Vec<Step>,
}

/// Effects as one number: what they say, and the bytes that go to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// That of these effects.
    #[must_use]
    pub fn of(effects: &Effects) -> Digest {
        let mut hash = Hash(0xcbf2_9ce4_8422_2325);
        // Writing to it never fails.
        let _ = write!(hash, "{effects:?}");
        effects.journal.iter().for_each(|write| hash.take(&write.bytes));
        let segments = effects.segments.iter().flat_map(|write| &write.bytes);
        segments.for_each(|slice| hash.take(slice));
        Digest(hash.0)
    }
}

/// FNV-1a.
struct Hash(u64);

impl Hash {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.take(text.as_bytes());
        Ok(())
    }
}

/// The lives of a run's shards. Clones are the same recording.
#[derive(Clone, Debug, Default)]
pub struct Recording(Arc<Mutex<Vec<Reel>>>);

impl Recording {
    /// What has been recorded: a reel for each shard that has ended since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Reel> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn begin(&self, setup: &ShardSetup) -> Recorder {
        let reel = Reel { setup: setup.clone(), steps: Vec::new() };
        Recorder { recording: self.clone(), reel: Some(reel) }
    }
}

/// Records one shard. The reel is handed over when it is dropped.
pub(crate) struct Recorder {
    recording: Recording,
    reel: Option<Reel>,
}

impl Recorder {
    pub(crate) fn note(&mut self, step: Step) {
        if let Some(reel) = &mut self.reel {
            reel.steps.push(step);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let reels = self.recording.0.lock();
        reels.unwrap_or_else(PoisonError::into_inner).extend(self.reel.take());
    }
}
