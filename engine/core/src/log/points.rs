//! Points of a segment's sparse index: every so many bytes, which batch starts there and the
//! greatest timestamp before it. Derived from the batches.

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
    /// Notes a batch that starts at `at`, if the last point is `spacing` bytes behind.
    pub fn offer(&mut self, offset: Offset, at: u64, max_before: Timestamp, spacing: u64) {
        let last = self.0.last().map(|point| point.at);
        if last.is_none_or(|last| at >= last + spacing) {
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

    /// The points in `from..to`, positions in the file.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> &[Point] {
        let start = self.0.partition_point(|point| point.at < from);
        let end = self.0.partition_point(|point| point.at < to);
        &self.0[start..end.max(start)]
    }

    /// All points.
    #[must_use]
    pub fn all(&self) -> &[Point] {
        &self.0
    }

    /// Takes the points before a position away, and their memory.
    pub fn take_before(&mut self, at: u64) -> Points {
        let rest = self.0.split_off(self.0.partition_point(|point| point.at < at));
        Points(std::mem::replace(&mut self.0, rest))
    }

    /// Appends points that come behind these.
    pub fn append(&mut self, mut later: Points) {
        self.0.append(&mut later.0);
    }

    /// Bytes of memory that they take.
    #[must_use]
    pub fn memory(&self) -> u64 {
        (self.0.capacity() * size_of::<Point>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_spaced_and_found() {
        let mut points = Points::default();
        for batch in 0..100i64 {
            let (offset, at) = (Offset(batch * 10), batch as u64 * 10_000);
            points.offer(offset, at, Timestamp(batch * 100 - 1), POINT_SPACING);
        }
        let gaps: Vec<u64> = points.all().windows(2).map(|w| w[1].at - w[0].at).collect();
        assert!(gaps.iter().all(|gap| *gap == 70_000), "{gaps:?}");
        assert_eq!(points.by_offset(Offset(75)).map(|p| p.at), Some(70_000));
        assert_eq!(points.by_offset(Offset(69)).map(|p| p.at), Some(0));
        assert_eq!(points.by_position(139_999).map(|p| p.offset), Some(Offset(70)));
        assert_eq!(points.by_timestamp(Timestamp(699)).map(|p| p.at), Some(0));
        assert_eq!(points.by_timestamp(Timestamp(700)).map(|p| p.at), Some(70_000));
        assert_eq!(points.between(70_001, 210_001).len(), 2);
        assert_eq!(points.between(70_001, 140_000), []);
        assert_eq!(points.take_before(140_000).all().len(), 2);
        assert_eq!(points.all()[0].at, 140_000);
    }
}
