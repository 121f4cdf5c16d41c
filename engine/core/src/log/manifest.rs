//! What a log has the manifest say: progress since the last time, or everything.

use bytes::Bytes;

use crate::id::Offset;
use crate::log::{Epochs, Index, Known, Log, LogImage, Place, Point, Recorded, Segment, Sync};
use crate::manifest::record::{Record, Synced};
use crate::manifest::state::snapshot;
use crate::producer::Producers;

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
        if self.recorded.known == Known::Lost {
            return vec![Record::Lost(self.partition)];
        }
        if telling == Telling::All {
            let producers = self.producers.take_all(sync.boundary.offset);
            return snapshot(self.partition, &self.image_at(sync), producers.into());
        }
        let since = self.recorded.sync;
        let mut records = Vec::new();
        if self.recorded.known == Known::No {
            let (partition, version) = (self.partition, self.version);
            let log_start = self.marks.log_start();
            records.push(Record::Partition { partition, version, log_start });
        }
        records.extend(self.closed_between(since.place, sync.place));
        let producers = self.producers.take_dirty(sync.boundary.offset);
        records.extend(self.progress(since, sync, producers.into()));
        records
    }

    /// The log as it is at `sync`, without its producers.
    fn image_at(&self, sync: Sync) -> LogImage {
        let until = sync.place.segment;
        let mut segments: Vec<Segment> =
            self.segments.iter().filter(|segment| segment.base <= until).cloned().collect();
        if let Some(active) = segments.last_mut() {
            active.end = None;
            active.max_timestamp = sync.max_timestamp;
            let points = active.points().cloned().unwrap_or_default();
            active.index = Index::Loaded(points.before(sync.place.at));
        }
        let mut epochs = Epochs::default();
        epochs.restore(self.epochs.between(Offset::ZERO, sync.boundary.offset));
        LogImage {
            version: self.version,
            log_start: self.marks.log_start(),
            segments,
            end: sync.boundary,
            synced: sync.place,
            epochs,
            producers: Producers::new(0),
        }
    }

    fn closed_between(&self, from: Place, to: Place) -> impl Iterator<Item = Record> {
        let closed = self
            .segments
            .iter()
            .filter(move |segment| segment.base >= from.segment && segment.base < to.segment);
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
            max_timestamp: sync.max_timestamp,
            first_timestamp: segment.first_timestamp,
            points: points_between(segment, from, sync.place.at),
            epochs: self.epochs.between(since.boundary.offset, sync.boundary.offset),
            producers,
        }))
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
