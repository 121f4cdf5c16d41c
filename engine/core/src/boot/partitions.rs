//! Many partitions replayed at once, in bounded memory: payloads of some entries are read from the
//! journals, become segment writes, and so on until all are through.

use std::collections::VecDeque;

use bytes::Bytes;
use corelog_mem::BLOCK;

use crate::boot::effect::{BootAnswer, BootEffect};
use crate::boot::replay::{Offline, Replay, Verdict};
use crate::boot::{BootReport, Progress};
use crate::id::TopicPartition;
use crate::journal::scan::FoundEntry;
use crate::log::LogImage;

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

/// A partition that has been replayed, or must stay offline.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) partition: TopicPartition,
    pub(super) image: LogImage,
    pub(super) offline: Option<Offline>,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// The lengths of a partition's segments.
    Lengths(usize),
    /// An entry's payload.
    Payload(usize, FoundEntry),
    /// A write.
    Nothing,
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
    Finishing,
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
            wanted.extend(self.take(asked, answer, report));
        }
        self.asked = wanted.iter().map(|_| Asked::Nothing).collect();
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
                    self.stage = Stage::Finishing;
                }
            }
            Stage::Finishing => {
                let writes = self.items.iter_mut().filter(|item| item.offline.is_none());
                wanted.extend(writes.filter_map(|item| item.replay.finish()));
                self.asked = wanted.iter().map(|_| Asked::Nothing).collect();
                self.stage = Stage::Over;
            }
            Stage::Over => {}
        }
    }

    /// Asks for the segments of those partitions that have something to replay.
    fn ask_lengths(&mut self, wanted: &mut Vec<BootEffect>) {
        for (at, item) in self.items.iter_mut().enumerate() {
            let entries = std::mem::take(&mut item.entries);
            let replay = &item.replay;
            let mut counted =
                entries.into_iter().filter(|e| replay.judge(&e.head) != Verdict::Skip).peekable();
            if counted.peek().is_some() {
                wanted.push(BootEffect::ListSegments(item.partition));
                self.asked.push(Asked::Lengths(at));
            }
            self.todo.extend(counted.map(|entry| (at, entry)));
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
            let (start, blocks) = blocks_around(entry.at, entry.head.len);
            wanted.push(BootEffect::ReadJournal(entry.file, start, blocks));
            self.asked.push(Asked::Payload(at, entry));
            self.todo.pop_front();
        }
    }

    fn take(
        &mut self,
        asked: Asked,
        answer: BootAnswer,
        report: &mut BootReport,
    ) -> Vec<BootEffect> {
        match (asked, answer) {
            (Asked::Lengths(at), BootAnswer::Segments(segments)) => {
                self.check_length(at, &segments);
                Vec::new()
            }
            (Asked::Payload(at, entry), BootAnswer::Bytes(bytes)) => {
                self.replay(at, &entry, &bytes, report)
            }
            _ => Vec::new(),
        }
    }

    fn check_length(&mut self, at: usize, segments: &[(crate::id::Offset, u64)]) {
        let item = &mut self.items[at];
        let (segment, needed) = item.replay.needed_length();
        let found = segments.iter().find(|(base, _)| *base == segment);
        let len = found.map_or(0, |(_, len)| *len);
        if len < needed {
            item.offline = Some(Offline::Short { segment, len, needed });
        }
    }

    fn replay(
        &mut self,
        at: usize,
        entry: &FoundEntry,
        blocks: &Bytes,
        report: &mut BootReport,
    ) -> Vec<BootEffect> {
        let item = &mut self.items[at];
        if item.offline.is_some() {
            return Vec::new();
        }
        let replay = &mut item.replay;
        match replay.judge(&entry.head) {
            Verdict::Skip => return Vec::new(),
            Verdict::Gap => {
                item.offline = Some(replay.gap(&entry.head));
                return Vec::new();
            }
            Verdict::Replay => {}
        }
        report.replayed_entries += 1;
        let start = (entry.at % BLOCK as u64) as usize;
        let payload = &blocks[start..start + entry.head.len as usize];
        replay.entry(&entry.head, payload).unwrap_or_else(|offline| {
            item.offline = Some(offline);
            Vec::new()
        })
    }

    fn finish(&mut self, report: &mut BootReport) -> Vec<Replayed> {
        let items = std::mem::take(&mut self.items);
        let replayed = items.into_iter().map(|item| {
            report.written_bytes += item.replay.written;
            Replayed {
                partition: item.partition,
                image: item.replay.into_image(),
                offline: item.offline,
            }
        });
        replayed.collect()
    }
}

/// The blocks of a journal file that hold `len` bytes from `at` on: where they start, and how many
/// bytes they are.
fn blocks_around(at: u64, len: u32) -> (u64, u32) {
    let block = BLOCK as u64;
    let start = at - at % block;
    let end = (at + u64::from(len)).next_multiple_of(block);
    (start, (end - start) as u32)
}
