//! From memory into commits, and what their completion means.

use bytes::Bytes;

use crate::codec::length_of;
use crate::journal::commit::{EntryHead, EntryKind, Seq};
use crate::log::watermarks::Boundary;
use crate::log::{Entry, Log, Place};

/// The next entry of a log for a commit.
#[derive(Debug)]
pub struct Journaling {
    /// What the entry says.
    pub head: EntryHead,
    /// Its payload.
    pub pieces: Vec<Bytes>,
    /// Where the log is durable once the commit is.
    pub boundary: Boundary,
}

impl Log {
    /// Whether something has been appended that no commit holds.
    #[must_use]
    pub fn has_unjournaled(&self) -> bool {
        self.marks.journaled() < self.marks.end().place
    }

    /// Bytes of payload that the next entry needs at least: whole batches are never split.
    #[must_use]
    pub fn smallest_entry(&self) -> u64 {
        let journaled = self.marks.journaled();
        let first = self.tail.first_mark_from(journaled.plus(1)).map(|mark| mark.place);
        let end = self.segment_boundary(journaled).place;
        let to = first.filter(|place| place.segment == journaled.segment).unwrap_or(end);
        to.at - self.journal_from.at
    }

    /// The next entry with at most `room` bytes of payload; `None` when there is none that fits.
    #[must_use]
    pub fn next_entry(&self, room: u64) -> Option<Journaling> {
        if !self.has_unjournaled() {
            return None;
        }
        let journaled = self.marks.journaled();
        let end = self.segment_boundary(journaled);
        if end.place == journaled {
            return Some(self.roll_entry(end));
        }
        let to = self.boundary_within(self.journal_from.plus(room), end);
        (to.place > journaled).then(|| self.data_entry(self.journal_from, to))
    }

    /// The end of the segment of `place`, or of the log.
    fn segment_boundary(&self, place: Place) -> Boundary {
        self.closed_end(place).unwrap_or(self.marks.end())
    }

    /// The last batch boundary at or before `limit`, in the segment that ends at `end`.
    fn boundary_within(&self, limit: Place, end: Boundary) -> Boundary {
        if end.place <= limit {
            return end;
        }
        let mark = self.tail.last_mark_to(limit);
        mark.map_or(Boundary { offset: end.offset, place: self.marks.journaled() }, |mark| {
            Boundary { offset: mark.offset, place: mark.place }
        })
    }

    pub(super) fn data_entry(&self, from: Place, to: Boundary) -> Journaling {
        let len = length_of((to.place.at - from.at) as usize);
        let head = self.entry(EntryKind::Data, from, to, len);
        Journaling { head, pieces: self.tail.bytes(from, to.place), boundary: to }
    }

    pub(super) fn roll_entry(&self, end: Boundary) -> Journaling {
        let head = self.entry(EntryKind::Roll, end.place, end, 0);
        let boundary = Boundary { offset: end.offset, place: Place::start_of(end.offset) };
        Journaling { head, pieces: Vec::new(), boundary }
    }

    fn entry(&self, kind: EntryKind, place: Place, to: Boundary, len: u32) -> EntryHead {
        let (partition, version) = (self.partition, self.version);
        EntryHead { kind, partition, version, place, next_offset: to.offset, len }
    }

    /// The commit `seq` holds the entry that [`next_entry`](Self::next_entry) gave.
    pub fn journaled(&mut self, seq: Seq, boundary: Boundary) {
        self.marks.set_journaled(boundary.place);
        self.journal_from = boundary.place;
        self.entries.push_back(Entry { seq, end: boundary.place });
        self.commits += 1;
    }

    /// An entry's commit, and all before it, are on disk.
    pub fn committed(&mut self, boundary: Boundary) {
        debug_assert!(self.commits > 0);
        self.commits -= 1;
        self.marks.set_durable(boundary);
    }

    /// The oldest commit that holds something of this log which is in no segment.
    #[must_use]
    pub fn oldest_unflushed(&self) -> Option<Seq> {
        let flushed = self.entries.partition_point(|entry| entry.end <= self.marks.flushed());
        self.entries.get(flushed).map(|entry| entry.seq)
    }

    /// A manifest that covers everything up to `synced` is about to be durable; gives the commits
    /// whose entries are released by that, one for each entry.
    pub fn release_until(&mut self, synced: Place) -> impl Iterator<Item = Seq> {
        let covered = self.entries.partition_point(|entry| entry.end <= synced);
        self.entries.drain(..covered).map(|entry| entry.seq)
    }

    /// All entries, of a log that is deleted or offline with its bytes rescued.
    pub fn release_all(&mut self) -> impl Iterator<Item = Seq> {
        self.entries.drain(..).map(|entry| entry.seq)
    }
}
