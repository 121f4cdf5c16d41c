//! What a log has the manifest say: progress since the last time, or everything.

use bytes::Bytes;

use crate::id::Offset;
use crate::log::{Known, Log, Place, Recorded, Sync};
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
        if self.recorded.known == Known::Lost {
            return vec![Record::Lost(self.partition)];
        }
        let (since, producers) = match telling {
            Telling::News => {
                (Some(self.recorded.sync), self.producers.take_dirty(sync.boundary.offset))
            }
            Telling::All => (None, self.producers.take_all(sync.boundary.offset)),
        };
        let mut records = Vec::new();
        if telling == Telling::All || self.recorded.known == Known::No {
            let (partition, version) = (self.partition, self.version);
            let log_start = self.marks.log_start();
            records.push(Record::Partition { partition, version, log_start });
        }
        records.extend(self.closed_between(since.map(|sync| sync.place.segment), sync.place));
        records.extend(self.progress(since, sync, producers.into()));
        records
    }

    fn closed_between(&self, from: Option<Offset>, to: Place) -> impl Iterator<Item = Record> {
        let closed = self
            .segments
            .iter()
            .filter(move |s| from.is_none_or(|from| s.base >= from) && s.base < to.segment);
        closed.filter_map(|segment| {
            let (partition, base) = (self.partition, segment.base);
            let (end, max_timestamp) = (segment.end?, segment.max_timestamp);
            Some(Record::Closed { partition, base, end, max_timestamp })
        })
    }

    fn progress(&self, since: Option<Sync>, sync: Sync, producers: Bytes) -> Option<Record> {
        let segment = self.segment(sync.place.segment)?;
        let told = since.filter(|since| since.place.segment == segment.base);
        let from = told.map_or(0, |since| since.place.at).max(sync.indexed);
        let epochs_from = since.map_or(Offset::ZERO, |since| since.boundary.offset);
        Some(Record::Synced(Synced {
            partition: self.partition,
            place: sync.place,
            boundary: sync.boundary,
            max_timestamp: sync.max_timestamp,
            first_timestamp: segment.first_timestamp,
            indexed: sync.indexed,
            // A point on the place itself waits: its batch may not become durable.
            points: segment.index.recent().between(from, sync.place.at).to_vec(),
            epochs: self.epochs.between(epochs_from, sync.boundary.offset),
            producers,
        }))
    }

    /// A durable manifest now says `sync` of this log. Gives the segments whose indexes have grown
    /// in memory.
    pub fn set_recorded(&mut self, sync: Sync) -> Vec<Offset> {
        let before = self.recorded.sync.place.segment;
        self.recorded = Recorded { known: Known::Yes, sync };
        self.marks.set_synced(sync.place);
        let from = self.segments.partition_point(|segment| segment.base < before);
        let mut grown = Vec::new();
        for segment in &mut self.segments[from..] {
            let stored = match segment.end {
                Some(end) if segment.base < sync.place.segment => end.bytes,
                _ if segment.base == sync.place.segment => sync.indexed,
                _ => break,
            };
            if segment.index.set_stored(stored) {
                grown.push(segment.base);
            }
        }
        grown
    }
}
