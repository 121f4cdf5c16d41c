//! What no manifest tells is learnt from the segments themselves: a partition whose manifest is
//! lost is read from its first batch to its last whole one. Slow, and said so in the report.

use std::collections::{BTreeMap, VecDeque};

use corelog_mem::align_up;

use crate::boot::effect::{BootAnswer, BootEffect, RescueFile};
use crate::boot::inventory::{Inventory, Manifests, damage, unknown_log};
use crate::boot::metadata::Loaded;
use crate::boot::partitions::{Partitions, Work};
use crate::boot::replay::{Offline, Replay};
use crate::boot::settle::Settle;
use crate::boot::{BootPlan, Phase, Progress};
use crate::id::{Offset, TopicPartition};
use crate::journal::scan::FoundEntry;
use crate::log::{Boundary, LogImage, LogVersion, Place, Segment, SegmentEnd, SegmentId};
use crate::record::BatchHeader;
use crate::record::batch::{HEADER_LEN, crc_matches};

/// Bytes that are read in one go, unless a batch is larger.
const READ_AT_ONCE: u32 = 4 << 20;

/// A partition being read.
#[derive(Debug)]
struct Reading {
    partition: TopicPartition,
    image: LogImage,
    /// The bytes of the last block before the end.
    partial: Vec<u8>,
    /// Segments that are still to be read, with the lengths of their files.
    segments: VecDeque<(Offset, u64)>,
    asked: u32,
    leftover: Leftover,
}

/// Whether there are stored bytes behind the last whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftover {
    Yes,
    No,
}

/// A partition that has been made anew.
#[derive(Debug)]
struct Found {
    image: LogImage,
    partial: Vec<u8>,
    leftover: Leftover,
}

/// Partitions being made anew.
#[derive(Debug)]
pub(super) struct Rescan {
    version: LogVersion,
    lost: VecDeque<TopicPartition>,
    reading: Option<Reading>,
    states: BTreeMap<TopicPartition, LogImage>,
    found: BTreeMap<TopicPartition, Found>,
    entries: BTreeMap<TopicPartition, Vec<FoundEntry>>,
    damaged: BTreeMap<RescueFile, String>,
    settle: Option<Settle>,
}

/// Starts with those partitions that no manifest knows although one is lost, and those that an
/// earlier start had lost; with all others, what the manifests say stands.
pub(super) fn start(loaded: Loaded, mut inventory: Inventory, plan: &BootPlan) -> Phase {
    let mut states = std::mem::take(&mut inventory.states);
    let entries = std::mem::take(&mut inventory.entries);
    let (whole, damaged) = (inventory.whole, inventory.damaged.clone());
    let was_lost = std::mem::take(&mut inventory.lost);
    let settle = Settle::new(loaded, inventory);
    let mut lost = VecDeque::new();
    let mut known = BTreeMap::new();
    for topic in settle.image().topics() {
        for partition in topic.partitions_from(0) {
            match states.remove(&partition) {
                Some(state) => _ = known.insert(partition, state),
                None if whole == Manifests::Lost || was_lost.contains(&partition) => {
                    lost.push_back(partition);
                }
                None => {}
            }
        }
    }
    let version = LogVersion { start: plan.start, change: 0 };
    let rescan = Rescan {
        version,
        lost,
        reading: None,
        states: known,
        found: BTreeMap::new(),
        entries,
        damaged,
        settle: Some(settle),
    };
    Phase::Rescanning(Box::new(rescan))
}

impl Rescan {
    pub(super) fn step(&mut self, answers: Vec<BootAnswer>) -> Progress<(Partitions, Settle)> {
        for answer in answers {
            self.take(answer);
        }
        loop {
            match self.next_effect() {
                Some(effect) => return Progress::More(vec![effect]),
                None => {
                    if let Some(over) = self.finish_one() {
                        return over;
                    }
                }
            }
        }
    }

    /// What is wanted next for the partition being read; `None` when it is through.
    fn next_effect(&mut self) -> Option<BootEffect> {
        let reading = self.reading.as_mut()?;
        reading.skip_read();
        let (base, _) = reading.segments.front()?;
        let segment = SegmentId { partition: reading.partition, base: *base };
        Some(BootEffect::ReadSegment(segment, reading.image.end.place.at, reading.asked))
    }

    /// Keeps the partition that is through, and begins the next one.
    fn finish_one(&mut self) -> Option<Progress<(Partitions, Settle)>> {
        if let Some(reading) = self.reading.take() {
            let Reading { partition, image, partial, leftover, .. } = reading;
            self.found.insert(partition, Found { image, partial, leftover });
        }
        match self.lost.pop_front() {
            Some(partition) => Some(Progress::More(self.begin(partition))),
            None => Some(Progress::Over(self.finish()?)),
        }
    }

    fn begin(&mut self, partition: TopicPartition) -> Vec<BootEffect> {
        // Older than every entry: each of them counts.
        let image = LogImage::empty(LogVersion::default());
        let segments = VecDeque::new();
        self.reading = Some(Reading {
            partition,
            image,
            partial: Vec::new(),
            segments,
            asked: READ_AT_ONCE,
            leftover: Leftover::No,
        });
        vec![BootEffect::ListSegments(partition)]
    }

    fn take(&mut self, answer: BootAnswer) {
        let Some(reading) = &mut self.reading else { return };
        match answer {
            BootAnswer::Segments(segments) => reading.list(segments),
            BootAnswer::Bytes(bytes) => reading.parse(&bytes),
            _ => {}
        }
    }

    fn finish(&mut self) -> Option<(Partitions, Settle)> {
        let mut settle = self.settle.take()?;
        settle.note_rescanned(self.found.len());
        let mut entries = std::mem::take(&mut self.entries);
        let mut works = Vec::new();
        for topic in settle.image().topics() {
            for partition in topic.partitions_from(0) {
                let entries = entries.remove(&partition).unwrap_or_default();
                works.push(self.work(partition, entries));
            }
        }
        settle.skip_unknown(&entries);
        Some((Partitions::new(works), settle))
    }

    fn work(&mut self, partition: TopicPartition, entries: Vec<FoundEntry>) -> Work {
        let damaged = damage(&self.damaged, partition);
        if let Some(found) = self.found.remove(&partition) {
            let end = found.image.end.place;
            let covered = entries.iter().any(|entry| entry.head.end() > end);
            let offline = (found.leftover == Leftover::Yes && !covered).then(|| {
                let segment = SegmentId { partition, base: end.segment };
                Offline::Unknown(format!(
                    "its manifest is lost, and byte {} of {segment} is no batch",
                    end.at
                ))
            });
            let replay = Replay::rescanned(partition, found.image, found.partial);
            return Work { partition, replay, entries, offline: offline.or(damaged) };
        }
        let image = self.states.remove(&partition);
        let image = image.unwrap_or_else(|| unknown_log(&entries, self.version.start));
        Work { partition, replay: Replay::new(partition, image), entries, offline: damaged }
    }
}

impl Reading {
    fn list(&mut self, segments: Vec<(Offset, u64)>) {
        if let Some((base, _)) = segments.first() {
            self.image.log_start = *base;
            self.image.segments = vec![Segment::new(*base)];
            self.image.end = Boundary { offset: *base, place: Place::start_of(*base) };
        }
        self.segments = segments.into();
    }

    /// Leaves segments that are read to their end.
    fn skip_read(&mut self) {
        while let Some((_, len)) = self.segments.front().copied() {
            if self.image.end.place.at < len && self.asked > 0 {
                return;
            }
            self.segments.pop_front();
            self.asked = READ_AT_ONCE;
            let end = self.image.end;
            let behind = len > align_up(end.place.at as usize) as u64;
            let Some((base, _)) = self.segments.front() else {
                self.leftover = if behind { Leftover::Yes } else { Leftover::No };
                return;
            };
            if *base != end.offset {
                self.leftover = Leftover::Yes;
                self.segments.clear();
                return;
            }
            self.partial.clear();
            self.image.roll(SegmentEnd { next_offset: end.offset, bytes: end.place.at });
        }
    }

    /// Takes in whole batches; what is no batch, or would end behind the file, ends the segment.
    fn parse(&mut self, bytes: &[u8]) {
        let file = self.segments.front().map_or(0, |(_, len)| *len);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_LEN) {
            let end = self.image.end;
            let header = BatchHeader::parse(rest).ok().filter(|header| {
                let left = file.saturating_sub(end.place.at);
                header.base_offset == end.offset && header.total_len() as u64 <= left
            });
            let Some(header) = header else { break };
            let Some(batch) = rest.get(..header.total_len()) else {
                let larger = header.total_len() as u32;
                self.asked = if at == 0 && larger <= self.asked { 0 } else { larger };
                return;
            };
            if !crc_matches(&header, batch) {
                break;
            }
            self.image.take_batch(&header, end.place.at);
            self.partial.extend_from_slice(batch);
            let place = end.place.plus(header.total_len() as u64);
            self.image.end = Boundary { offset: header.next_offset(), place };
            let in_block = (place.at - place.block_start().at) as usize;
            self.partial.drain(..self.partial.len() - in_block);
            at += header.total_len();
        }
        let through = at + HEADER_LEN <= bytes.len() || at == 0;
        self.asked = if through { 0 } else { READ_AT_ONCE };
    }
}
