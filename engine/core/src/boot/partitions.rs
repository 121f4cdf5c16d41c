//! Many partitions replayed at once, in bounded memory: payloads of some entries are read from the
//! journals, become segment writes, and so on until all are through.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use corelog_mem::BLOCK;

use crate::boot::effect::{BootAnswer, BootEffect};
use crate::boot::replay::{Offline, Replay, Verdict};
use crate::boot::{BootReport, Progress};
use crate::id::TopicPartition;
use crate::journal::scan::FoundEntry;
use crate::log::{LogImage, SegmentId};

/// Payload bytes that are in memory at once, unless one entry is larger.
const PAYLOAD_AT_ONCE: u64 = 32 << 20;

/// A partition to be replayed.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) partition: TopicPartition,
    pub(super) replay: Replay,
    /// In order of version and place.
    pub(super) entries: Vec<FoundEntry>,
    /// Why it must stay offline, if that is known already.
    pub(super) offline: Option<Offline>,
}

/// A partition that has been replayed.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) partition: TopicPartition,
    pub(super) found: Found,
}

/// What has become of a partition.
#[derive(Debug)]
pub(super) enum Found {
    /// It is as its journal left it, and can be served.
    Online(LogImage),
    /// It cannot be served; nothing of it is given up.
    Offline {
        why: Offline,
        /// What its manifest said of it; `None` when nothing did.
        before: Option<LogImage>,
        /// What the journals say beyond that.
        entries: Vec<FoundEntry>,
    },
}

/// What an answer is for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// The lengths of a partition's segments.
    Lengths(usize),
    /// An entry's payload.
    Payload(usize, FoundEntry),
    /// A change of a partition's segments.
    Change(usize),
}

/// Partitions being replayed.
#[derive(Debug)]
pub(super) struct Partitions {
    items: Vec<Work>,
    /// Entries that count, of all partitions, each partition's in order.
    todo: VecDeque<(usize, FoundEntry)>,
    asked: Vec<Asked>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Lengths,
    Entries,
    LastBlocks,
    Cuts,
    Over,
}

impl Partitions {
    pub(super) fn new(works: Vec<Work>) -> Partitions {
        let (todo, asked) = (VecDeque::new(), Vec::new());
        Partitions { items: works, todo, asked, stage: Stage::Lengths }
    }

    pub(super) fn step(
        &mut self,
        answers: Vec<BootAnswer>,
        report: &mut BootReport,
    ) -> Progress<Vec<Replayed>> {
        let mut wanted = Vec::new();
        let asked = std::mem::take(&mut self.asked);
        for (asked, answer) in asked.into_iter().zip(answers) {
            self.take(asked, answer, &mut wanted, report);
        }
        while wanted.is_empty() && self.stage != Stage::Over {
            self.ask(&mut wanted);
        }
        if self.stage == Stage::Entries {
            self.ask_payloads(&mut wanted);
        }
        if wanted.is_empty() {
            return Progress::Over(self.finish(report));
        }
        Progress::More(wanted)
    }

    fn ask(&mut self, wanted: &mut Vec<BootEffect>) {
        match self.stage {
            Stage::Lengths => {
                self.ask_lengths(wanted);
                self.stage = Stage::Entries;
            }
            Stage::Entries => {
                self.ask_payloads(wanted);
                if wanted.is_empty() {
                    self.stage = Stage::LastBlocks;
                }
            }
            Stage::LastBlocks => {
                self.ask_last_blocks(wanted);
                self.stage = Stage::Cuts;
            }
            // A batch of effects has no order, and a write behind a cut would undo it.
            Stage::Cuts => {
                self.ask_cuts(wanted);
                self.stage = Stage::Over;
            }
            Stage::Over => {}
        }
    }

    fn want(&mut self, wanted: &mut Vec<BootEffect>, asked: Asked, effect: BootEffect) {
        wanted.push(effect);
        self.asked.push(asked);
    }

    fn ask_last_blocks(&mut self, wanted: &mut Vec<BootEffect>) {
        for at in 0..self.items.len() {
            let item = &mut self.items[at];
            if item.offline.is_some() {
                continue;
            }
            match item.replay.finish() {
                Ok(Some(write)) => self.want(wanted, Asked::Change(at), write),
                Ok(None) => {}
                Err(offline) => item.offline = Some(offline),
            }
        }
    }

    fn ask_cuts(&mut self, wanted: &mut Vec<BootEffect>) {
        for at in 0..self.items.len() {
            let item = &mut self.items[at];
            if item.offline.is_none() {
                for cut in item.replay.take_cuts() {
                    self.want(wanted, Asked::Change(at), cut);
                }
            }
        }
    }

    /// Asks for the segments of those partitions that have any: what a consumer would miss is
    /// found here, not when it is read.
    fn ask_lengths(&mut self, wanted: &mut Vec<BootEffect>) {
        for (at, item) in self.items.iter_mut().enumerate() {
            let replay = &item.replay;
            item.entries.retain(|entry| replay.judge(&entry.head) != Verdict::Skip);
            if replay.needed_lengths().next().is_some() {
                wanted.push(BootEffect::ListSegments(item.partition));
                self.asked.push(Asked::Lengths(at));
            }
            self.todo.extend(item.entries.iter().map(|entry| (at, *entry)));
        }
    }

    fn ask_payloads(&mut self, wanted: &mut Vec<BootEffect>) {
        let mut room = PAYLOAD_AT_ONCE;
        while let Some((at, entry)) = self.todo.front().copied() {
            let len = u64::from(entry.head.len);
            if len > room && room < PAYLOAD_AT_ONCE {
                return;
            }
            room = room.saturating_sub(len);
            self.want(wanted, Asked::Payload(at, entry), read_entry(&entry));
            self.todo.pop_front();
        }
    }

    fn take(
        &mut self,
        asked: Asked,
        answer: BootAnswer,
        wanted: &mut Vec<BootEffect>,
        report: &mut BootReport,
    ) {
        match (asked, answer) {
            (
                Asked::Lengths(at) | Asked::Payload(at, _) | Asked::Change(at),
                BootAnswer::Failed(error),
            ) => {
                self.items[at].offline.get_or_insert(Offline::Failed(error));
            }
            (Asked::Lengths(at), BootAnswer::Segments(segments)) => {
                self.check_length(at, &segments);
            }
            (Asked::Payload(at, entry), BootAnswer::Bytes(bytes)) => {
                if let Some(write) = self.replay(at, &entry, &bytes, report) {
                    self.want(wanted, Asked::Change(at), write);
                }
            }
            _ => {}
        }
    }

    fn check_length(&mut self, at: usize, segments: &[(crate::id::Offset, u64)]) {
        let item = &mut self.items[at];
        let found: BTreeMap<_, _> = segments.iter().copied().collect();
        let short = item.replay.needed_lengths().find_map(|(segment, needed)| {
            let len = found.get(&segment).copied();
            let segment = SegmentId { partition: item.partition, base: segment };
            (len < Some(needed)).then_some(Offline::Short { segment, len, needed })
        });
        if let Some(short) = short {
            item.offline.get_or_insert(short);
        }
    }

    fn replay(
        &mut self,
        at: usize,
        entry: &FoundEntry,
        blocks: &Bytes,
        report: &mut BootReport,
    ) -> Option<BootEffect> {
        let item = &mut self.items[at];
        if item.offline.is_some() {
            return None;
        }
        let replay = &mut item.replay;
        match replay.judge(&entry.head) {
            Verdict::Skip => return None,
            Verdict::Gap => {
                item.offline = Some(replay.gap(&entry.head));
                return None;
            }
            Verdict::Replay => {}
        }
        report.replayed_entries += 1;
        let written = payload(entry, blocks).map_or_else(
            || Err(Offline::Inconsistent { at: entry.head.place }),
            |payload| replay.entry(&entry.head, payload),
        );
        written.unwrap_or_else(|offline| {
            item.offline = Some(offline);
            None
        })
    }

    fn finish(&mut self, report: &mut BootReport) -> Vec<Replayed> {
        let items = std::mem::take(&mut self.items);
        let replayed = items.into_iter().map(|Work { partition, replay, entries, offline }| {
            report.written_bytes += replay.written;
            let found = match offline {
                None => Found::Online(replay.into_image()),
                Some(why) => Found::Offline { why, before: replay.into_before(), entries },
            };
            Replayed { partition, found }
        });
        replayed.collect()
    }
}

/// Reads the blocks of its file that hold an entry's payload.
pub(super) fn read_entry(entry: &FoundEntry) -> BootEffect {
    let block = BLOCK as u64;
    let start = entry.at - entry.at % block;
    let end = (entry.at + u64::from(entry.head.len)).next_multiple_of(block);
    BootEffect::ReadEntries(entry.file, start, end - start)
}

/// The payload in the blocks that [`read_entry`] asked for.
pub(super) fn payload<'a>(entry: &FoundEntry, blocks: &'a [u8]) -> Option<&'a [u8]> {
    let start = (entry.at % BLOCK as u64) as usize;
    blocks.get(start..start + entry.head.len as usize)
}
