//! A segment's sparse index. Its points are in a file beside the segment, a page for each megabyte
//! of it, and only those that are not there yet are kept in memory and in the manifest; the file's
//! are read when they are first needed, of an active segment as of a closed one.

use crate::id::{Offset, Timestamp};
use crate::log::index_file::PAGE_POINTS;
use crate::log::points::{POINT_SPACING, Point, Points};

/// The index of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Bytes between two points.
    spacing: u64,
    /// Its file has the points before this position: of whole pages, or of all the segment.
    stored: u64,
    /// Those points, while they are in memory.
    loaded: Option<Points>,
    /// The points from there on.
    recent: Points,
}

/// The points that the file has must be in memory first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLoaded;

impl Default for Index {
    fn default() -> Index {
        let (loaded, recent) = (None, Points::default());
        Index { spacing: POINT_SPACING, stored: 0, loaded, recent }
    }
}

impl Index {
    /// That of a segment of which the file has all points before a position.
    #[must_use]
    pub fn in_file(until: u64) -> Index {
        Index { stored: until, ..Index::default() }
    }

    /// The same with another spacing from now on: that of all of the segment's life.
    #[must_use]
    pub fn spaced(self, spacing: u64) -> Index {
        Index { spacing, ..self }
    }

    /// Bytes between two points.
    #[must_use]
    pub fn spacing(&self) -> u64 {
        self.spacing
    }

    /// Bytes of a segment whose points are in one page of the file.
    #[must_use]
    pub fn page_span(&self) -> u64 {
        self.spacing * PAGE_POINTS as u64
    }

    /// The position before which the file has all points.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// The points that the file does not have, or not durably.
    #[must_use]
    pub fn recent(&self) -> &Points {
        &self.recent
    }

    /// Notes a batch that starts at `at`.
    pub fn offer(&mut self, offset: Offset, at: u64, max_before: Timestamp) {
        self.recent.offer(offset, at, max_before, self.spacing);
    }

    /// Appends points that a manifest has; `false` when they are not ascending.
    #[must_use]
    pub fn restore(&mut self, points: Vec<Point>) -> bool {
        points.into_iter().all(|point| self.recent.restore(point))
    }

    /// The point that `search` finds, which looks for the last of some kind.
    pub fn find(
        &self,
        search: impl Fn(&Points) -> Option<Point>,
    ) -> Result<Option<Point>, NotLoaded> {
        match (search(&self.recent), &self.loaded) {
            (None, Some(points)) => Ok(search(points)),
            (None, None) if self.stored > 0 => Err(NotLoaded),
            (found, _) => Ok(found),
        }
    }

    /// How far the file can have its points when the segment has its bytes up to `until`: whole
    /// pages.
    #[must_use]
    pub fn pages_until(&self, until: u64) -> u64 {
        self.stored.max(until - until % self.page_span())
    }

    /// The file now has, durably, all points before a position. Whether points in memory for
    /// readers have become more.
    pub fn set_stored(&mut self, until: u64) -> bool {
        if until <= self.stored {
            return false;
        }
        self.stored = until;
        let points = self.recent.take_before(until);
        let grows = self.loaded.is_some() && !points.all().is_empty();
        if let Some(loaded) = &mut self.loaded {
            loaded.append(points);
        }
        grows
    }

    /// The points before `until` have been read; `false` when the file has got more meanwhile.
    #[must_use]
    pub fn load(&mut self, points: Points, until: u64) -> bool {
        let all = until == self.stored;
        if all {
            self.loaded = Some(points);
        }
        all
    }

    /// The points that the file has, if they are in memory.
    #[must_use]
    pub fn loaded(&self) -> Option<&Points> {
        self.loaded.as_ref()
    }

    /// Lets go of what the file has.
    pub fn unload(&mut self) {
        self.loaded = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::PAGE_SPAN;

    fn filled(points: u64) -> Index {
        let mut index = Index::default();
        for point in 0..points {
            let at = point * POINT_SPACING;
            index.offer(Offset(point as i64), at, Timestamp(point as i64 - 1));
        }
        index
    }

    #[test]
    fn memory_keeps_only_what_the_file_does_not_have() {
        let mut index = filled(40);
        let end = 40 * POINT_SPACING;
        assert_eq!(index.pages_until(end), 2 * PAGE_SPAN);
        assert!(!index.set_stored(2 * PAGE_SPAN), "nobody reads them");
        assert_eq!((index.recent().all().len(), index.stored()), (8, 2 * PAGE_SPAN));
        assert!(index.recent().memory() < 40 * size_of::<Point>() as u64);
        assert_eq!(index.pages_until(end), 2 * PAGE_SPAN);
        assert!(!index.set_stored(PAGE_SPAN), "it never goes back");
        assert_eq!(index.stored(), 2 * PAGE_SPAN);
    }

    #[test]
    fn what_the_file_has_is_found_once_it_is_loaded() {
        let by_offset = |index: &Index, offset: i64| {
            index.find(|points| points.by_offset(Offset(offset))).map(|p| p.map(|p| p.offset.0))
        };
        let whole = filled(40);
        assert_eq!(by_offset(&whole, 3), Ok(Some(3)), "all of it is in memory");
        assert_eq!(by_offset(&Index::default(), 3), Ok(None));
        let mut index = whole.clone();
        index.set_stored(PAGE_SPAN);
        assert_eq!(by_offset(&index, 16), Ok(Some(16)));
        assert_eq!(by_offset(&index, 15), Err(NotLoaded));
        let mut points = whole.recent().clone();
        let points = points.take_before(PAGE_SPAN);
        assert!(!index.clone().load(points.clone(), PAGE_SPAN / 2), "of an older state");
        assert!(index.load(points, PAGE_SPAN));
        assert_eq!(by_offset(&index, 15), Ok(Some(15)));
        assert!(index.set_stored(2 * PAGE_SPAN), "what a reader has grows with the file");
        assert_eq!(by_offset(&index, 20), Ok(Some(20)));
        assert_eq!(index.loaded().map(|points| points.all().len()), Some(32));
        index.unload();
        assert_eq!(by_offset(&index, 20), Err(NotLoaded));
    }
}
