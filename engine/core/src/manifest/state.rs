//! A manifest replayed: what is known of each partition of a shard.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::id::{Offset, TopicPartition};
use crate::journal::commit::Seq;
use crate::log::{Boundary, Index, LogImage, LogVersion, Place, Segment};
use crate::manifest::record::{Header, Record, Synced};

/// What is known of a partition.
#[derive(Clone, Debug)]
pub struct PartitionState {
    /// Its log up to `synced`'s batch boundary.
    pub image: LogImage,
    /// Everything before is in segments, durably.
    pub synced: Place,
}

/// What a manifest says.
#[derive(Clone, Debug)]
pub struct ManifestState {
    /// Whose it is.
    pub header: Header,
    /// The first commit of its journal that is still needed.
    pub needed: Seq,
    /// Its partitions.
    pub partitions: BTreeMap<TopicPartition, PartitionState>,
}

impl ManifestState {
    /// Replays records; `None` when they contradict each other.
    #[must_use]
    pub fn replay(records: Vec<Record>) -> Option<ManifestState> {
        let mut records = records.into_iter();
        let Some(Record::Header(header)) = records.next() else { return None };
        let partitions = BTreeMap::new();
        let mut state = ManifestState { header, needed: Seq(1), partitions };
        for record in records {
            state.apply(record)?;
        }
        Some(state)
    }

    fn apply(&mut self, record: Record) -> Option<()> {
        match record {
            Record::Header(_) => return None,
            Record::Needed(seq) => self.needed = seq,
            Record::Partition { partition, version, log_start } => {
                self.partitions.insert(partition, PartitionState::new(version, log_start));
            }
            Record::Closed { partition, base, end, max_timestamp } => {
                let state = self.partitions.get_mut(&partition)?;
                let segments = &mut state.image.segments;
                let fresh = segments.len() == 1;
                let active = segments.last_mut().filter(|s| fresh || s.base == base)?;
                *active = Segment {
                    base,
                    end: Some(end),
                    max_timestamp,
                    first_timestamp: active.first_timestamp,
                    index: Index::Unloaded,
                };
                segments.push(Segment::new(end.next_offset));
                let place = Place::start_of(end.next_offset);
                state.image.end = Boundary { offset: end.next_offset, place };
                state.synced = place;
            }
            Record::Synced(synced) => {
                self.partitions.get_mut(&synced.partition)?.synced(synced)?;
            }
            Record::LogStart { partition, offset } => {
                self.partitions.get_mut(&partition)?.image.start_at(offset);
            }
            Record::Removed(partition) => {
                self.partitions.remove(&partition);
            }
        }
        Some(())
    }
}

impl PartitionState {
    fn new(version: LogVersion, log_start: Offset) -> PartitionState {
        let mut image = LogImage::empty(version);
        image.log_start = log_start;
        image.segments = vec![Segment::new(log_start)];
        image.end = Boundary { offset: log_start, place: Place::start_of(log_start) };
        PartitionState { synced: image.end.place, image }
    }

    fn synced(&mut self, synced: Synced) -> Option<()> {
        let fresh = self.image.segments.len() == 1;
        let active = self.image.segments.last_mut()?;
        if active.base != synced.place.segment {
            if !fresh {
                return None;
            }
            *active = Segment::new(synced.place.segment);
        }
        active.max_timestamp = active.max_timestamp.max(synced.max_timestamp);
        active.first_timestamp = synced.first_timestamp;
        if let Index::Loaded(points) = &mut active.index {
            for point in synced.points {
                if !points.restore(point) {
                    return None;
                }
            }
        }
        self.image.end = synced.boundary;
        self.synced = synced.place;
        self.image.epochs.extend(synced.epochs);
        self.image.producers.apply(&synced.producers).ok()
    }
}

impl LogImage {
    /// Forgets the segments that lie before a new log start.
    pub fn start_at(&mut self, offset: Offset) {
        self.log_start = self.log_start.max(offset);
        let start = self.log_start;
        self.segments.retain(|s| s.end.is_none_or(|end| end.next_offset > start));
    }
}

/// The records that say all of a log at once; everything before `synced` is in segments.
#[must_use]
pub fn snapshot(
    partition: TopicPartition,
    image: &LogImage,
    synced: Place,
    producers: Bytes,
) -> Vec<Record> {
    let (version, log_start) = (image.version, image.log_start);
    let mut records = vec![Record::Partition { partition, version, log_start }];
    for segment in &image.segments {
        if let Some(end) = segment.end {
            let (base, max_timestamp) = (segment.base, segment.max_timestamp);
            records.push(Record::Closed { partition, base, end, max_timestamp });
        }
    }
    if let Some(active) = image.segments.last() {
        records.push(Record::Synced(Synced {
            partition,
            place: synced,
            boundary: image.end,
            max_timestamp: active.max_timestamp,
            first_timestamp: active.first_timestamp,
            points: active.points().map(|points| points.all().to_vec()).unwrap_or_default(),
            epochs: image.epochs.clone(),
            producers,
        }));
    }
    records
}
