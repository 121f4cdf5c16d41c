//! A shard's journal files: where the next commit goes, and which files may be overwritten.
//!
//! Files are filled one after the other. A file is overwritten, oldest first, only when every entry
//! in it has been released, and only after a durable manifest says so ([`Ring::needed`]).

use std::collections::VecDeque;

use crate::journal::commit::Seq;

/// The number of a journal file in its shard's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u16);

#[derive(Clone, Copy, Debug)]
struct Used {
    slot: Slot,
    /// The first commit in it.
    first: Seq,
    /// Entries that are not released.
    unreleased: u32,
}

/// Where a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub slot: Slot,
    /// Bytes from its start.
    pub at: u64,
    /// The commit's number.
    pub seq: Seq,
}

/// The ring of journal files of one shard.
#[derive(Debug)]
pub struct Ring {
    file_bytes: u64,
    free: VecDeque<Slot>,
    /// Oldest first; the last one is being filled.
    used: VecDeque<Used>,
    filled: u64,
    next: Seq,
    /// Every commit before this one may be lost, says the durable manifest.
    promised: Seq,
}

impl Ring {
    /// A ring of formatted files of `file_bytes` each.
    #[must_use]
    pub fn new(file_bytes: u64, free: impl IntoIterator<Item = Slot>) -> Ring {
        let free = free.into_iter().collect();
        let (next, promised) = (Seq(1), Seq(1));
        Ring { file_bytes, free, used: VecDeque::new(), filled: 0, next, promised }
    }

    /// One more formatted file.
    pub fn add(&mut self, slot: Slot) {
        self.free.push_back(slot);
    }

    /// The seq of the next commit.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// Files that nothing has been written to since they were released.
    #[must_use]
    pub fn free_files(&self) -> usize {
        self.free.len()
    }

    /// Bytes that the file being filled still takes.
    fn room(&self) -> u64 {
        if self.used.is_empty() { 0 } else { self.file_bytes - self.filled }
    }

    /// Whether a commit of `size` bytes can be placed now.
    #[must_use]
    pub fn fits(&self, size: u64) -> bool {
        size <= self.room() || (size <= self.file_bytes && !self.free.is_empty())
    }

    /// Bytes of the file that a commit of `size` bytes would go to, from there on; `None` when it
    /// cannot be placed now.
    #[must_use]
    pub fn room_for(&self, size: u64) -> Option<u64> {
        let room = if size <= self.room() { self.room() } else { self.file_bytes };
        self.fits(size).then_some(room)
    }

    /// Bytes that can be placed before a file must be released.
    #[must_use]
    pub fn space(&self) -> u64 {
        self.room() + self.free.len() as u64 * self.file_bytes
    }

    /// Places a commit of `size` bytes (whole blocks) with so many entries; `None` when it does not
    /// fit.
    pub fn place(&mut self, size: u64, entries: u32) -> Option<Spot> {
        if size > self.room() {
            let slot = self.free.pop_front().filter(|_| size <= self.file_bytes)?;
            self.used.push_back(Used { slot, first: self.next, unreleased: 0 });
            self.filled = 0;
        }
        let file = self.used.back_mut()?;
        file.unreleased += entries;
        let spot = Spot { slot: file.slot, at: self.filled, seq: self.next };
        self.filled += size;
        self.next = self.next.next();
        Some(spot)
    }

    /// One entry of the commit `seq` is covered elsewhere.
    pub fn release(&mut self, seq: Seq) {
        let behind = self.used.partition_point(|file| file.first <= seq);
        let Some(file) = behind.checked_sub(1).and_then(|at| self.used.get_mut(at)) else { return };
        debug_assert!(file.unreleased > 0, "an entry is released once");
        file.unreleased -= 1;
    }

    /// The first commit that recovery would still need if a manifest with the present releases were
    /// durable. To be written into that manifest, then given to [`reclaim`](Self::reclaim).
    #[must_use]
    pub fn needed(&self) -> Seq {
        let full = self.used.len().saturating_sub(1);
        let needed = self.used.iter().take(full).find(|file| file.unreleased > 0);
        needed.or(self.used.back()).map_or(self.next, |file| file.first)
    }

    /// A manifest that names `needed` is durable: earlier files may be overwritten.
    pub fn reclaim(&mut self, needed: Seq) {
        self.promised = self.promised.max(needed);
        while self.used.len() > 1 && self.used[1].first <= self.promised {
            if let Some(file) = self.used.pop_front() {
                self.free.push_back(file.slot);
            }
        }
    }

    /// Whether a file comes free once a manifest that names `needed` is durable.
    #[must_use]
    pub fn would_free(&self, needed: Seq) -> bool {
        self.used.get(1).is_some_and(|file| file.first <= needed)
    }

    /// The seqs of the oldest file that is still needed, if it is not the one being filled: what
    /// must be flushed for a file to come free.
    #[must_use]
    pub fn oldest(&self) -> Option<Seq> {
        (self.used.len() > 1).then(|| Seq(self.used[1].first.0 - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        Ring::new(100, [Slot(0), Slot(1), Slot(2)])
    }

    #[test]
    fn commits_fill_files_in_turn_and_never_straddle() {
        let mut ring = ring();
        let spots: Vec<_> = (0..5).filter_map(|_| ring.place(40, 1)).collect();
        let places: Vec<_> = spots.iter().map(|s| (s.slot.0, s.at, s.seq.0)).collect();
        assert_eq!(places, [(0, 0, 1), (0, 40, 2), (1, 0, 3), (1, 40, 4), (2, 0, 5)]);
        assert!(ring.fits(60) && !ring.fits(61));
        assert_eq!((ring.room_for(60), ring.room_for(61)), (Some(60), None));
        assert!(ring.place(61, 1).is_none());
        assert_eq!(ring.space(), 60);
    }

    #[test]
    fn a_file_is_overwritten_only_after_release_and_promise() {
        let mut ring = ring();
        for _ in 0..6 {
            ring.place(40, 1);
        }
        assert_eq!(ring.oldest(), Some(Seq(2)));
        ring.release(Seq(1));
        assert_eq!(ring.needed(), Seq(1));
        ring.release(Seq(2));
        assert_eq!(ring.needed(), Seq(3));
        assert!(!ring.fits(40), "released, but not promised");
        ring.reclaim(Seq(3));
        assert_eq!(ring.place(40, 1), Some(Spot { slot: Slot(0), at: 0, seq: Seq(7) }));
    }

    #[test]
    fn a_younger_file_waits_for_the_older_ones() {
        let mut ring = ring();
        for _ in 0..6 {
            ring.place(40, 1);
        }
        for seq in [3, 4, 5, 6] {
            ring.release(Seq(seq));
        }
        assert_eq!(ring.needed(), Seq(1));
        ring.reclaim(ring.needed());
        assert_eq!(ring.free_files(), 0);
    }

    #[test]
    fn a_file_released_while_it_is_filled_comes_free_behind_the_next_one() {
        let mut ring = ring();
        ring.place(40, 1);
        ring.release(Seq(1));
        ring.reclaim(ring.needed());
        ring.place(70, 1);
        assert!(!ring.would_free(Seq(1)) && ring.would_free(ring.needed()));
        ring.reclaim(ring.needed());
        assert_eq!(ring.free_files(), 2);
    }

    #[test]
    fn the_file_being_filled_is_never_reclaimed() {
        let mut ring = ring();
        ring.place(40, 1);
        ring.release(Seq(1));
        assert_eq!(ring.needed(), Seq(1));
        ring.reclaim(Seq(1));
        assert_eq!(ring.place(40, 1).map(|spot| spot.at), Some(40));
    }
}
