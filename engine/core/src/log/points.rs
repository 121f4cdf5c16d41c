//! A segment's sparse index: every so many bytes, which batch starts there and the greatest
//! timestamp before it. Derived from the batches; kept in the manifest while the segment is active
//! and in a file beside it once it is sealed.

use crate::id::{Offset, Timestamp};

/// Bytes between two points, unless a batch is larger.
pub const POINT_SPACING: u64 = 64 << 10;

/// One batch start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The batch's base offset.
    pub offset: Offset,
    /// Where it starts in the segment's file, in bytes.
    pub at: u64,
    /// The greatest timestamp in the segment before this batch; [`Timestamp::NONE`] at its start.
    pub max_before: Timestamp,
}

/// A segment's points, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points(Vec<Point>);

impl Points {
    /// Notes a batch that starts at `at`, if the last point is far enough behind.
    pub fn offer(&mut self, offset: Offset, at: u64, max_before: Timestamp) {
        let last = self.0.last().map(|point| point.at);
        if last.is_none_or(|last| at >= last + POINT_SPACING) {
            self.0.push(Point { offset, at, max_before });
        }
    }

    /// Appends a point that a manifest or an index file holds; `false` when it is not ascending.
    #[must_use]
    pub fn restore(&mut self, point: Point) -> bool {
        let ascends = self.0.last().is_none_or(|l| l.at < point.at && l.offset < point.offset);
        if ascends {
            self.0.push(point);
        }
        ascends
    }

    /// The last point at or before `offset`.
    #[must_use]
    pub fn by_offset(&self, offset: Offset) -> Option<Point> {
        self.last_where(|point| point.offset <= offset)
    }

    /// The last point at or before a position in the file.
    #[must_use]
    pub fn by_position(&self, at: u64) -> Option<Point> {
        self.last_where(|point| point.at <= at)
    }

    /// The last point before which every timestamp is smaller than `timestamp`.
    #[must_use]
    pub fn by_timestamp(&self, timestamp: Timestamp) -> Option<Point> {
        self.last_where(|point| point.max_before < timestamp)
    }

    fn last_where(&self, holds: impl Fn(&Point) -> bool) -> Option<Point> {
        self.0.partition_point(holds).checked_sub(1).map(|at| self.0[at])
    }

    /// All points from a position on.
    #[must_use]
    pub fn from_position(&self, at: u64) -> &[Point] {
        &self.0[self.0.partition_point(|point| point.at < at)..]
    }

    /// All points.
    #[must_use]
    pub fn all(&self) -> &[Point] {
        &self.0
    }

    /// The points before a position.
    #[must_use]
    pub fn before(mut self, at: u64) -> Points {
        self.0.truncate(self.0.partition_point(|point| point.at < at));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_spaced_and_found() {
        let mut points = Points::default();
        for batch in 0..100i64 {
            points.offer(Offset(batch * 10), batch as u64 * 10_000, Timestamp(batch * 100 - 1));
        }
        let gaps: Vec<u64> = points.all().windows(2).map(|w| w[1].at - w[0].at).collect();
        assert!(gaps.iter().all(|gap| *gap == 70_000), "{gaps:?}");
        assert_eq!(points.by_offset(Offset(75)).map(|p| p.at), Some(70_000));
        assert_eq!(points.by_offset(Offset(69)).map(|p| p.at), Some(0));
        assert_eq!(points.by_position(139_999).map(|p| p.offset), Some(Offset(70)));
        assert_eq!(points.by_timestamp(Timestamp(699)).map(|p| p.at), Some(0));
        assert_eq!(points.by_timestamp(Timestamp(700)).map(|p| p.at), Some(70_000));
        assert_eq!(points.from_position(70_001)[0].at, 140_000);
        assert_eq!(points.before(140_000).all().len(), 2);
    }
}
