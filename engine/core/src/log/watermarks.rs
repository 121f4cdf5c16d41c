//! How far a log has come on each of its ways. The only place where any of these moves.
//!
//! In order of places: `synced ≤ flushed ≤ durable ≤ journaled ≤ end`. Nothing here ever goes back.

use crate::id::Offset;
use crate::log::place::Place;

/// A batch boundary: the offset behind the batches before it, and where they end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boundary {
    /// The offset of the batch that starts or will start here.
    pub offset: Offset,
    /// Where it starts.
    pub place: Place,
}

/// The watermarks of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    log_start: Offset,
    end: Boundary,
    journaled: Place,
    durable: Boundary,
    flushed: Place,
    synced: Place,
}

impl Watermarks {
    /// Those of a log of which everything up to `end` is in its segments, synced.
    #[must_use]
    pub fn recovered(log_start: Offset, end: Boundary) -> Watermarks {
        let place = end.place;
        let (journaled, flushed, synced) = (place, place, place);
        Watermarks { log_start, end, journaled, durable: end, flushed, synced }
    }

    /// The first offset that can be read.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// Behind the last batch.
    #[must_use]
    pub fn end(&self) -> Boundary {
        self.end
    }

    /// Up to here commits have been built.
    #[must_use]
    pub fn journaled(&self) -> Place {
        self.journaled
    }

    /// Up to here commits, and all commits before them, are on disk.
    #[must_use]
    pub fn durable(&self) -> Boundary {
        self.durable
    }

    /// Up to here segment writes are complete; bounds file reads and eviction.
    #[must_use]
    pub fn flushed(&self) -> Place {
        self.flushed
    }

    /// Up to here a durable manifest says that segments hold the log; bounds release.
    #[must_use]
    pub fn synced(&self) -> Place {
        self.synced
    }

    pub(crate) fn set_end(&mut self, end: Boundary) {
        debug_assert!(end.place >= self.end.place && end.offset >= self.end.offset);
        self.end = end;
    }

    pub(crate) fn set_journaled(&mut self, place: Place) {
        debug_assert!(place >= self.journaled && place <= self.end.place);
        self.journaled = place;
    }

    pub(crate) fn set_durable(&mut self, durable: Boundary) {
        debug_assert!(durable.place >= self.durable.place && durable.place <= self.journaled);
        self.durable = durable;
    }

    pub(crate) fn set_flushed(&mut self, place: Place) {
        debug_assert!(place >= self.flushed && place <= self.durable.place);
        self.flushed = place;
    }

    pub(crate) fn set_synced(&mut self, place: Place) {
        debug_assert!(place >= self.synced && place <= self.flushed);
        self.synced = place;
    }
}
