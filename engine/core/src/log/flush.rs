//! From memory into segments: whole blocks, only bytes that are durable in the journal, one write
//! in flight. A block that is not full is written padded only to seal a segment, or to let the
//! journal go; then its next entry journals it again from its start.

use corelog_mem::SlabSlice;

use crate::id::Timestamp;
use crate::log::segment::SegmentEnd;
use crate::log::watermarks::Boundary;
use crate::log::{Flushing, Journaling, Log, Place, SegmentId};

/// What to do with an unfinished last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Leave it to memory and journal.
    WholeBlocks,
    /// Write it too, padded with zeros.
    Pad,
}

/// A segment write: whole blocks.
#[derive(Debug)]
pub struct SegmentWrite {
    /// Which segment.
    pub segment: SegmentId,
    /// Bytes from the start of its file.
    pub at: u64,
    /// Consecutive pieces.
    pub bytes: Vec<SlabSlice>,
}

/// What a manifest may say of a log once a barrier has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Everything before is in segments.
    pub place: Place,
    /// The last batch boundary at or before it.
    pub boundary: Boundary,
    /// The greatest timestamp of the segment before that: what comes later may not be durable.
    pub max_timestamp: Timestamp,
    /// The index file of that segment has all points before this position.
    pub indexed: u64,
}

impl Log {
    /// The next segment write of at most `limit` bytes (whole blocks); `None` when there is nothing
    /// to write, or something is in flight.
    pub fn next_write(&mut self, limit: u64, finish: Finish) -> Option<SegmentWrite> {
        if self.flushing != Flushing::Idle {
            return None;
        }
        let from = self.marks.flushed();
        let to = self.write_end(from, limit, finish).filter(|to| *to > from)?;
        let start = from.block_start();
        let whole = to.block_start();
        let mut bytes = Vec::new();
        if whole > start {
            bytes = self.tail.slices(start, whole);
        }
        if to > whole {
            bytes.push(self.tail.padded_block(whole, to));
        }
        if to > whole && self.closed_end(to).is_none_or(|end| end.place > to) {
            self.journal_from = whole;
        }
        self.flushing = Flushing::Writing(to);
        debug_assert!(bytes.iter().all(SlabSlice::is_aligned));
        let segment = self.segment_id(start.segment);
        Some(SegmentWrite { segment, at: start.at, bytes })
    }

    /// Up to where bytes may be written now.
    fn write_end(&self, from: Place, limit: u64, finish: Finish) -> Option<Place> {
        let durable = self.marks.durable().place;
        let closed = self.closed_end(from).map(|end| end.place);
        let until = match closed {
            Some(end) if durable >= end => end,
            _ => durable,
        };
        if until.segment != from.segment {
            return None;
        }
        let settled = self.commits == 0 && self.marks.journaled() == until;
        let pad = closed == Some(until) || (finish == Finish::Pad && settled);
        let limit = from.block_start().plus(limit);
        if until > limit {
            return Some(limit);
        }
        Some(if pad { until } else { until.block_start() })
    }

    /// The write in flight is complete.
    pub fn written(&mut self) {
        if let Flushing::Writing(to) = self.flushing {
            self.flushing = Flushing::Idle;
            self.set_flushed(to);
        }
    }

    /// The write in flight did not happen and may be tried again (the disk was full).
    pub fn not_written(&mut self) {
        self.flushing = Flushing::Idle;
    }

    fn set_flushed(&mut self, place: Place) {
        self.marks.set_flushed(place);
        let ends = [self.closed_end(place), Some(self.marks.end())];
        let end = ends.into_iter().flatten().find(|end| end.place == place);
        let mark = self.tail.last_mark_to(place).filter(|m| m.place > self.flushed_boundary.place);
        if let Some(end) = end {
            self.flushed_boundary = end;
            self.flushed_max =
                self.segment(place.segment).map_or(Timestamp::NONE, |s| s.max_timestamp);
        } else if let Some(mark) = mark {
            self.flushed_boundary = Boundary { offset: mark.offset, place: mark.place };
            self.flushed_max = mark.max_before;
        }
    }

    /// The closed segment that is flushed to its end and must now get its exact length.
    pub fn start_seal(&mut self) -> Option<(SegmentId, SegmentEnd)> {
        let flushed = self.marks.flushed();
        let segment = self.segment(flushed.segment)?;
        let end = segment.end.filter(|end| end.bytes == flushed.at)?;
        if self.flushing != Flushing::Idle || self.marks.durable().place.segment == flushed.segment
        {
            return None;
        }
        self.flushing = Flushing::Sealing;
        Some((self.segment_id(flushed.segment), end))
    }

    /// The segment has its exact length.
    pub fn seal_done(&mut self) {
        self.flushing = Flushing::Idle;
        let flushed = self.marks.flushed();
        if let Some(end) = self.closed_end(flushed) {
            let place = Place::start_of(end.offset);
            self.marks.set_flushed(place);
            self.flushed_boundary = Boundary { offset: end.offset, place };
            self.flushed_max = Timestamp::NONE;
        }
    }

    /// Whether segments have more than the manifest says.
    #[must_use]
    pub fn is_unsynced(&self) -> bool {
        self.marks.flushed() > self.marks.synced()
    }

    /// What a manifest may say once a barrier has passed that is issued after [`new_pages`] of its
    /// place are written; `None` when it says that already.
    ///
    /// [`new_pages`]: Self::new_pages
    #[must_use]
    pub fn next_sync(&self) -> Option<Sync> {
        let place = self.marks.flushed();
        let (boundary, max_timestamp) = (self.flushed_boundary, self.flushed_max);
        let index = &self.segment(place.segment)?.index;
        let indexed = index.pages_until(place.at);
        let news = self.is_unsynced() || indexed > index.stored();
        news.then_some(Sync { place, boundary, max_timestamp, indexed })
    }

    /// The same when those pages could not be written.
    #[must_use]
    pub fn without_pages(&self, sync: Sync) -> Sync {
        let indexed = self.segment(sync.place.segment).map_or(0, |s| s.index.stored());
        Sync { indexed, ..sync }
    }

    /// Whether a closed segment is not flushed and sealed yet.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        let flushed = self.marks.flushed();
        self.closed_end(flushed).is_some() && self.marks.durable().place.segment > flushed.segment
    }

    /// Durable bytes that could go to the segment as whole blocks.
    #[must_use]
    pub fn flushable(&self) -> u64 {
        let durable = self.marks.durable().place;
        let from = self.marks.flushed();
        self.bytes_between(from, durable.max(from))
    }

    /// What is in no segment, as entries, and the block that a failed write has perhaps torn: from
    /// a batch boundary on, since recovery reads whole batches; to the end, so that nothing that
    /// the journal still takes goes further.
    #[must_use]
    pub fn unflushed_entries(&self) -> Vec<Journaling> {
        let mut from = match self.flushing {
            Flushing::Sealing => self.marks.flushed(),
            Flushing::Idle | Flushing::Writing(_) => self.unflushed_floor(),
        };
        let mut found = Vec::new();
        loop {
            let closed = self.closed_end(from);
            let to = closed.unwrap_or(self.marks.end());
            if to.place > from {
                found.push(self.data_entry(from, to));
            }
            let Some(end) = closed else { return found };
            found.push(self.roll_entry(end));
            from = Place::start_of(end.offset);
        }
    }

    /// Memory covers everything from here on.
    fn unflushed_floor(&self) -> Place {
        self.marks.flushed().block_start().min(self.flushed_boundary.place)
    }

    /// Gives memory back: the oldest slab whose bytes are all in the segment.
    pub fn evict(&mut self) -> Option<usize> {
        let keep = match self.flushing {
            Flushing::Idle => self.marks.flushed().min(self.flushed_boundary.place),
            Flushing::Writing(_) | Flushing::Sealing => self.unflushed_floor(),
        };
        let keep = keep.min(self.journal_floor());
        self.tail.evict_front(keep)
    }

    /// Memory from here on is still to be journaled.
    fn journal_floor(&self) -> Place {
        if self.has_unjournaled() { self.journal_from } else { self.marks.end().place }
    }
}
