//! What happened, as one number that two runs of a seed must agree on, and, for a run that is
//! looked at, as lines.

use std::collections::VecDeque;
use std::fmt::Debug;

use crate::sim::rng::mix;

/// Lines kept of a run that is looked at.
const LINES: usize = 60;

/// Characters kept of a line.
const WIDTH: usize = 600;

/// How much of a run is kept for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The hash alone: fast.
    Hash,
    /// The last lines.
    Tail,
    /// Every line, written to standard output at once.
    Echo,
}

/// The record of a run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    detail: Detail,
    lines: VecDeque<String>,
}

impl Trace {
    /// An empty record.
    #[must_use]
    pub fn new(detail: Detail) -> Trace {
        Trace { hash: 0, detail, lines: VecDeque::new() }
    }

    /// Something happened at `now` (microseconds): `facts` tell it from others, `about` tells a
    /// reader more.
    pub fn note(&mut self, now: u64, what: &str, facts: &[u64], about: &dyn Debug) {
        let seed = what.bytes().fold(self.hash ^ now, |hash, byte| mix(hash ^ u64::from(byte)));
        self.hash = facts.iter().fold(seed, |hash, fact| mix(hash ^ fact).wrapping_add(*fact));
        if self.detail == Detail::Hash {
            return;
        }
        let mut line = format!("{now:>12} {what:<9} {facts:?} {about:?}");
        if let Some((cut, _)) = line.char_indices().nth(WIDTH) {
            line.truncate(cut);
        }
        if self.detail == Detail::Echo {
            println!("{line}");
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The run as one number.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
