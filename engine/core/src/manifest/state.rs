//! A manifest replayed: what is known of each partition of a shard.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::boot::effect::RescueFile;
use crate::id::{Offset, TopicPartition};
use crate::journal::commit::Seq;
use crate::log::{Boundary, Index, LogImage, LogVersion, Place, Segment};
use crate::manifest::record::{Header, Record, Synced};

/// What a manifest says.
#[derive(Clone, Debug)]
pub struct ManifestState {
    /// Whose it is.
    pub header: Header,
    /// The first commit of its journal that is still needed.
    pub needed: Seq,
    /// The last commit of its journal that was complete, with all before it, as far as it knows.
    pub durable: Seq,
    /// Its journal files by their slots, with their lengths.
    pub journals: BTreeMap<u16, u64>,
    /// Rescue files of its partitions, with their lengths.
    pub rescues: BTreeMap<RescueFile, u64>,
    /// Its partitions.
    pub partitions: BTreeMap<TopicPartition, LogImage>,
    /// Those of which only their segments can tell how far they are.
    pub lost: BTreeSet<TopicPartition>,
}

impl ManifestState {
    /// Replays records; `None` when they contradict each other, or are not all that a manifest has
    /// been made of: what it starts with is written in several appends, of which the last says what
    /// is needed.
    #[must_use]
    pub fn replay(records: Vec<Record>) -> Option<ManifestState> {
        let mut records = records.into_iter();
        let Some(Record::Header(header)) = records.next() else { return None };
        let mut state = ManifestState {
            header,
            needed: Seq(0),
            durable: Seq(0),
            journals: BTreeMap::new(),
            rescues: BTreeMap::new(),
            partitions: BTreeMap::new(),
            lost: BTreeSet::new(),
        };
        for record in records {
            state.apply(record)?;
        }
        (state.needed > Seq(0)).then_some(state)
    }

    fn apply(&mut self, record: Record) -> Option<()> {
        match record {
            Record::Header(_) => return None,
            Record::Needed(seq) => self.needed = seq,
            Record::Partition { partition, version, log_start } => {
                self.partitions.insert(partition, LogImage::starting(version, log_start));
                self.lost.remove(&partition);
            }
            Record::Closed { partition, base, end, max_timestamp } => {
                let image = self.partitions.get_mut(&partition)?;
                let segments = &mut image.segments;
                let fresh = segments.len() == 1;
                let active = segments.last_mut().filter(|s| fresh || s.base == base)?;
                *active = Segment {
                    base,
                    end: Some(end),
                    max_timestamp,
                    first_timestamp: active.first_timestamp,
                    index: Index::in_file(end.bytes),
                };
                segments.push(Segment::new(end.next_offset));
                let place = Place::start_of(end.next_offset);
                image.end = Boundary { offset: end.next_offset, place };
                image.synced = place;
            }
            Record::Synced(synced) => {
                self.partitions.get_mut(&synced.partition)?.synced(synced)?;
            }
            Record::LogStart { partition, offset } => {
                self.partitions.get_mut(&partition)?.start_at(offset);
            }
            Record::Removed(partition) => {
                self.partitions.remove(&partition);
                self.lost.remove(&partition);
            }
            Record::Lost(partition) => {
                self.partitions.remove(&partition);
                self.lost.insert(partition);
            }
            Record::Journal { slot, bytes } => drop(self.journals.insert(slot, bytes)),
            Record::Durable(seq) => self.durable = self.durable.max(seq),
            Record::Rescue { file, bytes } => drop(self.rescues.insert(file, bytes)),
        }
        Some(())
    }
}

impl LogImage {
    /// A log without a record whose first offset is this.
    #[must_use]
    pub fn starting(version: LogVersion, log_start: Offset) -> LogImage {
        let place = Place::start_of(log_start);
        LogImage {
            log_start,
            segments: vec![Segment::new(log_start)],
            end: Boundary { offset: log_start, place },
            synced: place,
            ..LogImage::empty(version)
        }
    }

    fn synced(&mut self, synced: Synced) -> Option<()> {
        let fresh = self.segments.len() == 1;
        let active = self.segments.last_mut()?;
        if active.base != synced.place.segment {
            if !fresh {
                return None;
            }
            *active = Segment::new(synced.place.segment);
        }
        active.max_timestamp = active.max_timestamp.max(synced.max_timestamp);
        active.first_timestamp = synced.first_timestamp;
        if !active.index.restore(synced.points) {
            return None;
        }
        active.index.set_stored(synced.indexed);
        self.end = synced.boundary;
        self.synced = synced.place;
        self.epochs.restore(synced.epochs);
        self.producers.apply(&synced.producers).ok()
    }

    /// Forgets the segments that lie before a new log start.
    pub fn start_at(&mut self, offset: Offset) {
        self.log_start = self.log_start.max(offset);
        let start = self.log_start;
        self.segments.retain(|s| s.end.is_none_or(|end| end.next_offset > start));
    }
}

/// The records that say all of a log at once.
#[must_use]
pub fn snapshot(partition: TopicPartition, image: &LogImage, producers: Bytes) -> Vec<Record> {
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
            place: image.synced,
            boundary: image.end,
            max_timestamp: active.max_timestamp,
            first_timestamp: active.first_timestamp,
            indexed: active.index.stored(),
            points: active.index.recent().all().to_vec(),
            epochs: image.epochs.all().to_vec(),
            producers,
        }));
    }
    records
}
