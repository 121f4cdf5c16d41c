//! One partition's way from what its manifest says to the end of its journal: which entries count,
//! and the segment writes that they make (storage.md, section 3, entry table).

use std::fmt;

use corelog_mem::{BLOCK, SlabSlice, SlabWriter, align_up};

use crate::boot::effect::BootEffect;
use crate::id::{Offset, Timestamp, TopicPartition};
use crate::journal::commit::{EntryHead, EntryKind};
use crate::log::{Boundary, Index, LogImage, Place, Segment, SegmentEnd, SegmentId};
use crate::record::BatchHeader;

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It says nothing that is not in the segments, or belongs to an earlier life of the log.
    Skip,
    /// It goes on from what is known: write it.
    Replay,
    /// Bytes before it are missing.
    Gap,
}

/// Why a partition is not served. It is never cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offline {
    /// An entry starts behind what is known.
    Gap {
        /// Where what is known ends.
        known: Place,
        /// Where the entry starts.
        found: Place,
    },
    /// Two entries say different things of the same bytes.
    Unequal {
        /// Where they start to differ, in the segment of the later one.
        at: Place,
    },
    /// An entry's batches do not go on from those before it.
    Inconsistent {
        /// Where.
        at: Place,
    },
    /// A segment's file is missing, or shorter than what is known to be in it.
    Short {
        /// The segment.
        segment: SegmentId,
        /// Bytes of its file, if there is one.
        len: Option<u64>,
        /// Bytes it must have.
        needed: u64,
    },
    /// A batch is in a segment in part, and nothing holds the rest.
    Incomplete {
        /// Where the batch starts.
        batch: Place,
        /// Where its bytes end.
        end: Place,
    },
    /// The operating system failed.
    Failed(String),
    /// Its manifest was lost, and its segments do not tell where it ends; or its rescue file is
    /// damaged.
    Unknown(String),
}

impl fmt::Display for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offline::Gap { known, found } => write!(
                f,
                "the journal goes on at byte {} of segment {}, but the log ends at byte {} of {}",
                found.at, found.segment, known.at, known.segment
            ),
            Offline::Unequal { at } => write!(
                f,
                "the journal holds two versions of byte {} of segment {}",
                at.at, at.segment
            ),
            Offline::Inconsistent { at } => write!(
                f,
                "the journal's batches do not fit together at byte {} of segment {}",
                at.at, at.segment
            ),
            Offline::Short { segment, len: Some(len), needed } => {
                write!(f, "the file {segment} has {len} bytes and must have {needed}")
            }
            Offline::Short { segment, len: None, needed } => {
                write!(f, "the file {segment} is missing and must have {needed} bytes")
            }
            Offline::Incomplete { batch, end } => write!(
                f,
                "the batch at byte {} of segment {} ends at byte {}, and the journal has no more",
                batch.at, batch.segment, end.at
            ),
            Offline::Failed(what) | Offline::Unknown(what) => f.write_str(what),
        }
    }
}

/// Recovery of one partition.
#[derive(Debug)]
pub(super) struct Replay {
    partition: TopicPartition,
    image: LogImage,
    /// Everything before is in segments or has been replayed.
    frontier: Place,
    /// The bytes of the frontier's block before it, once something has been replayed.
    partial: Vec<u8>,
    touched: Touched,
    /// What was known before anything was replayed.
    before: Before,
    /// Exact lengths of segments that were closed on the way: for when all bytes are written.
    cuts: Vec<BootEffect>,
    /// Bytes of segment writes made.
    pub(super) written: u64,
}

/// What a partition that turns out not to be servable goes back to: the next start must judge the
/// same facts anew.
#[derive(Debug)]
enum Before {
    /// What the log is now.
    Same,
    /// What its manifest said.
    Manifest(Box<LogImage>),
    /// Nothing but its segments.
    Segments,
}

/// Whether anything has been replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    Yes,
    No,
}

impl Replay {
    pub(super) fn new(partition: TopicPartition, image: LogImage) -> Replay {
        Replay {
            partition,
            frontier: image.synced,
            image,
            partial: Vec::new(),
            touched: Touched::No,
            before: Before::Same,
            cuts: Vec::new(),
            written: 0,
        }
    }

    /// Recovery of a partition that was made anew from its segments, which end with `partial`.
    pub(super) fn rescanned(
        partition: TopicPartition,
        image: LogImage,
        partial: Vec<u8>,
    ) -> Replay {
        let image = LogImage { synced: image.end.place, ..image };
        Replay {
            partial,
            touched: Touched::Yes,
            before: Before::Segments,
            ..Replay::new(partition, image)
        }
    }

    /// The least lengths that the files of its segments must have, in bytes, of those that must
    /// have any. Not whole blocks for the active one: it may have been sealed since.
    pub(super) fn needed_lengths(&self) -> impl Iterator<Item = (Offset, u64)> {
        let closed = self.image.segments.iter().filter_map(|s| Some((s.base, s.end?.bytes)));
        let active = (self.frontier.segment, self.frontier.at);
        closed.chain([active]).filter(|(_, needed)| *needed > 0)
    }

    /// Judges the next entry in order of version and place.
    pub(super) fn judge(&self, head: &EntryHead) -> Verdict {
        let earlier_life = head.version < self.image.version;
        let covered = match head.kind {
            EntryKind::Data => head.end() <= self.frontier,
            EntryKind::Roll => head.place.segment < self.frontier.segment,
        };
        if earlier_life || covered {
            return Verdict::Skip;
        }
        let reachable = head.place.segment == self.frontier.segment
            && match head.kind {
                EntryKind::Data => head.place.at <= self.frontier.at,
                EntryKind::Roll => head.place.at == self.frontier.at,
            };
        if reachable { Verdict::Replay } else { Verdict::Gap }
    }

    /// Why an entry that does not go on from what is known keeps the partition offline.
    pub(super) fn gap(&self, head: &EntryHead) -> Offline {
        Offline::Gap { known: self.frontier, found: head.place }
    }

    /// Replays an entry that [`judge`](Self::judge) approved.
    pub(super) fn entry(
        &mut self,
        head: &EntryHead,
        payload: &[u8],
    ) -> Result<Option<BootEffect>, Offline> {
        if matches!(self.before, Before::Same) {
            self.before = Before::Manifest(Box::new(self.image.clone()));
        }
        self.image.version = head.version;
        match head.kind {
            EntryKind::Data => self.data(head, payload),
            EntryKind::Roll => self.roll(head),
        }
    }

    fn data(&mut self, head: &EntryHead, payload: &[u8]) -> Result<Option<BootEffect>, Offline> {
        let known = (self.frontier.at - head.place.at) as usize;
        let (old, new) = payload.split_at(known);
        self.take_overlap(head.place, old)?;
        self.parse(head, payload)?;
        let start = self.frontier.block_start();
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(new);
        self.frontier = head.end();
        let whole = bytes.len() - bytes.len() % BLOCK;
        self.partial = bytes[whole..].to_vec();
        Ok(self.write(start, &bytes[..whole]))
    }

    /// The bytes that the entry repeats: they must equal those replayed before, and complete the
    /// frontier's block when nothing was.
    fn take_overlap(&mut self, place: Place, old: &[u8]) -> Result<(), Offline> {
        let in_block = (self.frontier.at - self.frontier.block_start().at) as usize;
        if self.touched == Touched::No {
            self.touched = Touched::Yes;
            let Some(start) = old.len().checked_sub(in_block) else {
                return Err(Offline::Gap { known: self.frontier.block_start(), found: place });
            };
            self.partial = old[start..].to_vec();
            return Ok(());
        }
        let common = old.len().min(in_block);
        let (again, before) = (&old[old.len() - common..], &self.partial[in_block - common..]);
        match again.iter().zip(before).position(|(a, b)| a != b) {
            Some(at) => {
                let back = (common - at) as u64;
                Err(Offline::Unequal { at: Place { at: self.frontier.at - back, ..self.frontier } })
            }
            None => Ok(()),
        }
    }

    /// Takes in the batches of an entry from the known boundary on.
    fn parse(&mut self, head: &EntryHead, payload: &[u8]) -> Result<(), Offline> {
        let boundary = self.image.end;
        let offline = |at: Place| Offline::Inconsistent { at };
        let mut place = boundary.place;
        let mut offset = boundary.offset;
        if place.segment != head.place.segment || place < head.place {
            return Err(offline(head.place));
        }
        while place < head.end() {
            let rest = &payload[(place.at - head.place.at) as usize..];
            let header = BatchHeader::parse(rest).map_err(|_| offline(place))?;
            let next = place.plus(header.total_len() as u64);
            if header.base_offset != offset || next > head.end() {
                return Err(offline(place));
            }
            self.image.take_batch(&header, place.at);
            (place, offset) = (next, header.next_offset());
        }
        if place != head.end() || offset != head.next_offset {
            return Err(offline(head.end()));
        }
        self.image.end = Boundary { offset, place };
        Ok(())
    }

    fn roll(&mut self, head: &EntryHead) -> Result<Option<BootEffect>, Offline> {
        if head.next_offset != self.image.end.offset || head.place != self.image.end.place {
            return Err(Offline::Inconsistent { at: head.place });
        }
        let write = self.write_last_block();
        let segment = SegmentId { partition: self.partition, base: head.place.segment };
        self.cuts.push(BootEffect::Truncate(segment, head.place.at));
        self.image.roll(SegmentEnd { next_offset: head.next_offset, bytes: head.place.at });
        self.frontier = Place::start_of(head.next_offset);
        self.touched = Touched::Yes;
        Ok(write)
    }

    /// Writes what is left, when no entry is: everything before the end is in segments then.
    pub(super) fn finish(&mut self) -> Result<Option<BootEffect>, Offline> {
        let (batch, end) = (self.image.end.place, self.frontier);
        if batch != end {
            return Err(Offline::Incomplete { batch, end });
        }
        Ok(self.write_last_block())
    }

    /// Gives closed segments their lengths, once all that was wanted before is written.
    pub(super) fn take_cuts(&mut self) -> Vec<BootEffect> {
        std::mem::take(&mut self.cuts)
    }

    fn write_last_block(&mut self) -> Option<BootEffect> {
        let bytes = std::mem::take(&mut self.partial);
        let start = self.frontier.block_start();
        self.write(start, &bytes)
    }

    fn write(&mut self, start: Place, bytes: &[u8]) -> Option<BootEffect> {
        if bytes.is_empty() {
            return None;
        }
        self.written += bytes.len() as u64;
        let segment = SegmentId { partition: self.partition, base: start.segment };
        Some(BootEffect::WriteSegment(segment, start.at, blocks_of(bytes)))
    }

    /// The recovered log.
    pub(super) fn into_image(self) -> LogImage {
        LogImage { synced: self.frontier, ..self.image }
    }

    /// The log as it was known before, if its manifest knew it.
    pub(super) fn into_before(self) -> Option<LogImage> {
        match self.before {
            Before::Same => Some(self.image),
            Before::Manifest(image) => Some(*image),
            Before::Segments => None,
        }
    }
}

/// Whole blocks of `bytes`, zero-padded.
pub(super) fn blocks_of(bytes: &[u8]) -> SlabSlice {
    let mut slab = SlabWriter::new(align_up(bytes.len()));
    slab.append(bytes);
    slab.pad_to_block();
    slab.slice(0..slab.len())
}

impl LogImage {
    /// Takes note of a batch that is in the active segment at `at`.
    pub(crate) fn take_batch(&mut self, header: &BatchHeader, at: u64) {
        if let Some(active) = self.segments.last_mut() {
            active.note(header.base_offset, at, header.max_timestamp, Timestamp::NONE);
        }
        self.epochs.note(header.leader_epoch, header.base_offset);
        self.producers.append(header);
    }

    /// Closes the active segment and starts the next one.
    pub(crate) fn roll(&mut self, end: SegmentEnd) {
        if let Some(active) = self.segments.last_mut() {
            active.end = Some(end);
            // What its file lacks is made anew when first needed.
            active.index = Index::in_file(end.bytes);
        }
        self.segments.push(Segment::new(end.next_offset));
        let place = Place::start_of(end.next_offset);
        self.end = Boundary { offset: end.next_offset, place };
    }
}
