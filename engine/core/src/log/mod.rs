//! One partition's log: what has been appended, how far it is durable, what is in memory and what
//! in which segment. Synchronous; it decides what to write and is told when that is done.
//!
//! - `append`: a batch gets its offset and goes to memory; segments roll
//! - `journaling`: memory goes into commits; commits become durable; entries are released
//! - `flush`: whole blocks go to the segment; closed segments are sealed
//! - `plan`: which bytes answer a read
//! - `epochs`: which leader epoch wrote what

mod append;
mod config;
mod epochs;
mod flush;
mod index;
mod index_file;
mod journaling;
mod manifest;
mod place;
mod plan;
mod points;
mod segment;
mod tail;
mod watermarks;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::{Instant, LeaderEpoch, Offset, Timestamp, TopicPartition};
use crate::journal::commit::Seq;
use crate::limits;
use crate::producer::Producers;
use tail::Tail;

pub use append::PreparedAppend;
pub use config::{Acknowledge, LogConfig, ProducerMemory};
pub use epochs::{EpochEnd, Epochs};
pub use flush::{Finish, SegmentWrite, Sync};
pub use index::{Index, NotLoaded};
pub use index_file::{Decoded, Lack, PAGE_SPAN, Pages};
pub use journaling::Journaling;
pub use manifest::Telling;
pub use place::{LogVersion, Place, SegmentId};
pub use plan::{Oversize, Plan, Want, Window};
pub use points::{POINT_SPACING, Point, Points};
pub use segment::{Segment, SegmentEnd};
pub use tail::Growth;
pub use watermarks::{Boundary, Watermarks};

/// A log as recovery or a manifest knows it: everything before `synced` is in its segments,
/// durably.
#[derive(Clone, Debug)]
pub struct LogImage {
    /// Which life of the log this is.
    pub version: LogVersion,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// Ascending; the last one is active. Never empty.
    pub segments: Vec<Segment>,
    /// Behind the last batch that is whole before `synced`.
    pub end: Boundary,
    /// At `end`, or in the middle of the batch behind it, which the journal then has whole.
    pub synced: Place,
    /// Where each leader epoch that appended something starts.
    pub epochs: Epochs,
    /// The idempotent producers' state.
    pub producers: Producers,
}

impl LogImage {
    /// A log without a record.
    #[must_use]
    pub fn empty(version: LogVersion) -> LogImage {
        LogImage {
            version,
            log_start: Offset::ZERO,
            segments: vec![Segment::new(Offset::ZERO)],
            end: Boundary::default(),
            synced: Place::default(),
            epochs: Epochs::default(),
            producers: Producers::new(limits::RECOVERED_PRODUCERS),
        }
    }
}

/// A journal entry that is not released.
#[derive(Clone, Copy, Debug)]
struct Entry {
    seq: Seq,
    end: Place,
}

/// What stands between a log and its next segment write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushing {
    Idle,
    /// A write is in flight; `flushed` when it is complete.
    Writing(Place),
    /// A closed segment's file is being cut to its end.
    Sealing,
}

/// One partition's log.
#[derive(Debug)]
pub struct Log {
    partition: TopicPartition,
    config: Arc<LogConfig>,
    version: LogVersion,
    /// What this broker's appends are stamped with.
    epoch: LeaderEpoch,
    /// Those that appended something, and this broker's.
    epochs: Epochs,
    segments: Vec<Segment>,
    tail: Tail,
    marks: Watermarks,
    producers: Producers,
    /// Where the next entry starts: at `journaled`, or at the start of that block when the block is
    /// in the segment already (storage.md, invariant 8).
    journal_from: Place,
    /// Commits in flight that hold entries of this log.
    commits: u32,
    entries: VecDeque<Entry>,
    flushing: Flushing,
    /// The last batch boundary at or before `flushed`.
    flushed_boundary: Boundary,
    /// The greatest timestamp of its segment before that boundary.
    flushed_max: Timestamp,
    /// What a durable manifest says of this log.
    recorded: Recorded,
    last_append: Instant,
    looked_for_expired: Instant,
}

/// What a durable manifest says of a log.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    known: Known,
    /// The same as `synced`, with its boundary.
    sync: Sync,
}

/// Whether the manifest has heard of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its progress suffices.
    Yes,
    /// It must be introduced first: it has just been created.
    No,
    /// It cannot tell how far the partition is, which is offline: the next start must read its
    /// segments again.
    Lost,
}

impl Log {
    /// Takes over a log; `epoch` stamps what is appended from now on, `known` says whether this
    /// shard's manifest has the partition.
    #[must_use]
    pub fn new(
        partition: TopicPartition,
        image: LogImage,
        config: Arc<LogConfig>,
        epoch: LeaderEpoch,
        known: Known,
    ) -> Log {
        let marks = Watermarks::recovered(image.log_start, image.end);
        let active = image.segments.last();
        let newest = active.map_or(Timestamp::NONE, |active| active.max_timestamp);
        let indexed = active.map_or(0, |active| active.index.stored());
        let (place, boundary) = (image.synced, image.end);
        let spacing = config.index_spacing;
        let segments = image.segments.into_iter().map(|segment| segment.spaced(spacing)).collect();
        let mut producers = image.producers;
        let mut epochs = image.epochs;
        epochs.start(epoch, image.end.offset);
        producers.set_limit(config.producers.most);
        let sync = Sync { place, boundary, max_timestamp: newest, indexed };
        let recorded = Recorded { known, sync };
        Log {
            partition,
            config,
            version: image.version,
            epoch,
            epochs,
            segments,
            tail: Tail::default(),
            marks,
            producers,
            looked_for_expired: Instant::default(),
            journal_from: image.end.place.block_start(),
            commits: 0,
            entries: VecDeque::new(),
            flushing: Flushing::Idle,
            flushed_boundary: image.end,
            flushed_max: newest,
            recorded,
            last_append: Instant::default(),
        }
    }

    /// Which partition's log this is.
    #[must_use]
    pub fn partition(&self) -> TopicPartition {
        self.partition
    }

    /// The segment with this base offset.
    #[must_use]
    pub fn segment_id(&self, base: Offset) -> SegmentId {
        SegmentId { partition: self.partition, base }
    }

    /// How far it has come.
    #[must_use]
    pub fn marks(&self) -> &Watermarks {
        &self.marks
    }

    /// Which life of the log this is.
    #[must_use]
    pub fn version(&self) -> LogVersion {
        self.version
    }

    /// What this broker's appends are stamped with.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The idempotent producers' state.
    #[must_use]
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// How it is kept.
    #[must_use]
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Keeps it differently from now on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The offset behind the last record that consumers may read.
    #[must_use]
    pub fn high_watermark(&self) -> Boundary {
        match self.config.acknowledge {
            Acknowledge::Durable => self.marks.durable(),
            Acknowledge::Cached => self.marks.end(),
        }
    }

    /// Bytes of memory that its tail takes.
    #[must_use]
    pub fn tail_memory(&self) -> usize {
        self.tail.memory()
    }

    /// Bytes appended that are not in the segment yet.
    #[must_use]
    pub fn unflushed(&self) -> u64 {
        self.bytes_between(self.marks.flushed(), self.marks.end().place)
    }

    /// Bytes of all its segments, those included that are not there yet.
    #[must_use]
    pub fn size(&self) -> u64 {
        let closed = self.segments.iter().filter_map(|segment| segment.end);
        closed.map(|end| end.bytes).sum::<u64>() + self.marks.end().place.at
    }

    /// When a batch was appended last.
    #[must_use]
    pub fn last_append(&self) -> Instant {
        self.last_append
    }

    /// Lets go of all its memory and says how much that was: nobody reads it any more, and what is
    /// in no segment is kept elsewhere.
    pub fn forget_memory(&mut self) -> usize {
        self.tail.clear()
    }

    fn bytes_between(&self, from: Place, to: Place) -> u64 {
        if from.segment == to.segment {
            return to.at - from.at;
        }
        let closed = self.segments.iter().filter(|s| s.base >= from.segment && s.base < to.segment);
        let closed: u64 = closed.filter_map(|s| s.end).map(|end| end.bytes).sum();
        (closed + to.at).saturating_sub(from.at)
    }

    /// Bytes of a closed segment.
    #[must_use]
    pub fn segment_end(&self, base: Offset) -> Option<u64> {
        self.segment(base)?.end.map(|end| end.bytes)
    }

    fn active(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    fn segment(&self, base: Offset) -> Option<&Segment> {
        self.segments.binary_search_by_key(&base, |s| s.base).ok().map(|at| &self.segments[at])
    }

    fn segment_mut(&mut self, base: Offset) -> Option<&mut Segment> {
        let at = self.segments.binary_search_by_key(&base, |s| s.base).ok()?;
        Some(&mut self.segments[at])
    }

    /// Where the segment of `place` ends, if it is closed.
    fn closed_end(&self, place: Place) -> Option<Boundary> {
        let end = self.segment(place.segment)?.end?;
        let place = Place { segment: place.segment, at: end.bytes };
        Some(Boundary { offset: end.next_offset, place })
    }
}
