//! What a log has the manifest say: progress since the last time, or everything.

use bytes::Bytes;

use crate::id::{LeaderEpoch, Offset};
use crate::log::{Boundary, Known, Log, Place, Point, Recorded, Segment, Sync};
use crate::manifest::record::{Record, Synced};

/// How much of a log a manifest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// What is new since the last durable record.
    News,
    /// All, for a manifest that starts anew.
    All,
}

impl Log {
    /// What the last durable manifest record of this log says.
    #[must_use]
    pub fn recorded(&self) -> Sync {
        self.recorded.sync
    }

    /// The records that bring a manifest up to `sync`.
    pub fn records(&mut self, sync: Sync, telling: Telling) -> Vec<Record> {
        let since = match telling {
            Telling::News => self.recorded.sync,
            Telling::All => Sync {
                place: Place::start_of(self.segments[0].base),
                boundary: Boundary::default(),
            },
        };
        let mut records = Vec::new();
        if telling == Telling::All || self.recorded.known == Known::No {
            records.push(self.introduction());
        }
        records.extend(self.closed_between(since.place, sync.place));
        let producers = match telling {
            Telling::News => self.producers.take_dirty(sync.boundary.offset),
            Telling::All => self.producers.take_all(sync.boundary.offset),
        };
        records.extend(self.progress(since, sync, producers.into()));
        records
    }

    fn introduction(&self) -> Record {
        let (partition, version) = (self.partition, self.version);
        Record::Partition { partition, version, log_start: self.marks.log_start() }
    }

    fn closed_between(&self, from: Place, to: Place) -> impl Iterator<Item = Record> {
        let closed = self.segments.iter().filter(move |segment| {
            segment.base >= from.segment && segment.base < to.segment
        });
        closed.filter_map(|segment| {
            let (partition, base) = (self.partition, segment.base);
            let (end, max_timestamp) = (segment.end?, segment.max_timestamp);
            Some(Record::Closed { partition, base, end, max_timestamp })
        })
    }

    fn progress(&self, since: Sync, sync: Sync, producers: Bytes) -> Option<Record> {
        let segment = self.segment(sync.place.segment)?;
        let from = if since.place.segment == segment.base { since.place.at } else { 0 };
        Some(Record::Synced(Synced {
            partition: self.partition,
            place: sync.place,
            boundary: sync.boundary,
            max_timestamp: segment.max_timestamp,
            first_timestamp: segment.first_timestamp,
            points: points_between(segment, from, sync.place.at),
            epochs: self.epochs_between(since.boundary.offset, sync.boundary.offset),
            producers,
        }))
    }

    fn epochs_between(&self, from: Offset, to: Offset) -> Vec<(LeaderEpoch, Offset)> {
        let epochs = self.epochs.iter().filter(|(_, start)| *start >= from && *start < to);
        epochs.copied().collect()
    }

    /// A durable manifest now says `sync` of this log.
    pub fn set_recorded(&mut self, sync: Sync) {
        self.recorded = Recorded { known: Known::Yes, sync };
        self.marks.set_synced(sync.place);
    }
}

/// The points in `from..to`. A point on `to` itself waits: its batch may not become durable.
fn points_between(segment: &Segment, from: u64, to: u64) -> Vec<Point> {
    let points = segment.points().map(|points| points.from_position(from));
    let points = points.unwrap_or_default();
    points[..points.partition_point(|point| point.at < to)].to_vec()
}

