//! The bytes of one file, and what may be left of changes that were not durable.

use bytes::Bytes;

use super::{Change, Landing, Op, Stage};
use crate::sim::rng::Rng;

/// What a disk writes whole, in bytes.
const SECTOR: usize = 512;

/// What is done to a file.
#[derive(Debug)]
pub(super) enum Act {
    Write { at: usize, bytes: Bytes },
    Cut(usize),
}

/// A file's bytes.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) stable: Vec<u8>,
    pub(super) view: Vec<u8>,
    /// Oldest first.
    pub(super) changes: Vec<Change<Act>>,
}

/// How changes are torn, in percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tear {
    /// Sectors that have the change.
    keeps: u64,
    /// Sectors of the others that have neither old nor new bytes.
    garbles: u64,
}

impl Tear {
    pub(super) const HALF: Tear = Tear { keeps: 50, garbles: 0 };

    fn any(rng: &mut Rng) -> Tear {
        Tear { keeps: rng.pick(&[0, 5, 50, 50, 95, 100]), garbles: rng.pick(&[0, 0, 10, 50]) }
    }

    pub(super) fn spoiled(rng: &mut Rng) -> Tear {
        Tear { keeps: rng.pick(&[0, 50, 100]), garbles: rng.pick(&[0, 50]) }
    }
}

impl File {
    pub(super) fn land(&mut self, op: Op, landing: Landing) {
        let Some(at) = self.changes.iter().position(|change| change.op == op) else { return };
        self.changes[at].act.apply(&mut self.view);
        self.changes[at].stage = Stage::Landed;
        match landing {
            Landing::Durable => {
                // Whatever landed in this file before is older than what is durable now.
                let landed = self.changes.extract_if(..=at, |change| change.stage != Stage::Flying);
                landed.for_each(|change| change.act.apply(&mut self.stable));
            }
            Landing::Bytes => {
                self.changes[at].stage = Stage::Durable;
                let earlier = self.changes.iter().position(|c| c.stage != Stage::Durable);
                let durable = self.changes.drain(..earlier.unwrap_or(self.changes.len()));
                durable.for_each(|change| change.act.apply(&mut self.stable));
            }
            Landing::Volatile => {}
        }
    }

    /// Makes durable what is covered, and what came before it in this file.
    pub(super) fn settle(&mut self, covered: impl Fn(Stage) -> bool) {
        let Some(last) = self.changes.iter().rposition(|c| covered(c.stage)) else { return };
        for change in self.changes.drain(..=last) {
            change.act.apply(&mut self.stable);
        }
    }

    /// Keeps of these changes what chance leaves of them, and all of those that are durable.
    pub(super) fn lose(&mut self, which: impl Fn(Stage) -> bool, rng: &mut Rng) {
        let tear = Tear::any(rng);
        let mut sizes = vec![self.stable.len()];
        let mut bytes = std::mem::take(&mut self.stable);
        let mut missed = Vec::new();
        let lost = |change: &mut Change<Act>| change.stage == Stage::Durable || which(change.stage);
        for change in self.changes.extract_if(.., lost) {
            let size = change.act.len_after(sizes[sizes.len() - 1]);
            sizes.push(size);
            bytes.resize(bytes.len().max(size), 0);
            missed.resize(bytes.len().div_ceil(SECTOR), false);
            if change.stage == Stage::Durable {
                sizes.iter_mut().for_each(|size| *size = change.act.len_after(*size));
                change.act.apply_whole(&mut bytes, &mut missed);
            } else {
                change.act.apply_torn(&mut bytes, &mut missed, tear, rng);
            }
        }
        bytes.truncate(rng.pick(&sizes));
        self.stable = bytes;
        self.view.clone_from(&self.stable);
        let landed = self.changes.iter().filter(|change| change.stage != Stage::Flying);
        landed.for_each(|change| change.act.apply(&mut self.view));
    }
}

impl Act {
    fn len_after(&self, len: usize) -> usize {
        match self {
            Act::Write { at, bytes } => len.max(at + bytes.len()),
            Act::Cut(to) => *to,
        }
    }

    fn apply(&self, file: &mut Vec<u8>) {
        file.resize(self.len_after(file.len()), 0);
        if let Act::Write { at, bytes } = self {
            file[*at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Applies it to all its sectors, whatever they have missed before.
    fn apply_whole(&self, file: &mut Vec<u8>, missed: &mut [bool]) {
        self.apply(file);
        if let Act::Write { at, bytes } = self {
            missed[at / SECTOR..(at + bytes.len()).div_ceil(SECTOR)].fill(false);
        }
    }

    /// Applies it to some sectors of a file long enough. A sector that has missed a change misses
    /// later ones too: what a disk holds of a sector is a moment of its past.
    fn apply_torn(&self, file: &mut [u8], missed: &mut [bool], tear: Tear, rng: &mut Rng) {
        let (start, end) = match self {
            Act::Write { at, bytes } => (*at, at + bytes.len()),
            Act::Cut(to) => (*to, file.len().max(*to)),
        };
        let mut from = start;
        while from < end {
            let to = (from / SECTOR * SECTOR + SECTOR).min(end);
            let missed = &mut missed[from / SECTOR];
            let had = !std::mem::replace(missed, true);
            match self {
                _ if !had => {}
                Act::Write { bytes, .. } if rng.below(100) < tear.keeps => {
                    file[from..to].copy_from_slice(&bytes[from - start..to - start]);
                    *missed = false;
                }
                Act::Write { .. } if rng.below(100) < tear.garbles => {
                    file[from..to].fill_with(|| rng.bits() as u8);
                }
                Act::Cut(_) if rng.below(100) < tear.keeps => {
                    file[from..to].fill(0);
                    *missed = false;
                }
                Act::Write { .. } | Act::Cut(_) => {}
            }
            from = to;
        }
    }

    /// Makes a write one that leaves some sectors as they are in `view`, or worse.
    pub(super) fn mix(&mut self, view: &[u8], tear: Tear, rng: &mut Rng) {
        let Act::Write { at, bytes } = self else { return };
        let (start, end) = (*at, *at + bytes.len());
        let mut file = view.to_vec();
        file.resize(view.len().max(end), 0);
        let mut missed = vec![false; file.len().div_ceil(SECTOR)];
        let whole = Act::Write { at: start, bytes: bytes.clone() };
        whole.apply_torn(&mut file, &mut missed, tear, rng);
        *bytes = Bytes::copy_from_slice(&file[start..end]);
    }

    /// Makes a write one that ends early.
    pub(super) fn shorten(&mut self, rng: &mut Rng) {
        if let Act::Write { bytes, .. } = self {
            let sectors = bytes.len() / SECTOR;
            bytes.truncate(rng.below(sectors as u64 + 1) as usize * SECTOR);
        }
    }
}
