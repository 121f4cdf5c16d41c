//! The entry table of storage.md, section 3, row by row, and recovery of whole partitions.

use std::collections::BTreeSet;

use bytes::Bytes;
use corelog_mem::BLOCK;

use super::BootReport;
use super::Progress;
use super::effect::{BootAnswer, BootEffect, EntryFile, JournalFile};
use super::partitions::{Found, Partitions, Replayed, Work};
use super::replay::{Offline, Replay, Verdict};
use super::settle::count_unknown;
use crate::id::{LeaderEpoch, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition};
use crate::journal::commit::{EntryHead, EntryKind};
use crate::journal::scan::FoundEntry;
use crate::log::{Boundary, LogImage, LogVersion, Place};
use crate::record::batch::stamp;
use crate::record::{BatchBuilder, BatchHeader, Codec, NewRecord};

const PARTITION: TopicPartition =
    TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(0) };
const FILE: EntryFile = EntryFile::Journal(JournalFile { shard: ShardId(0), slot: 0 });
const LIFE: LogVersion = LogVersion { start: 2, change: 0 };

/// A log of equal batches, one record each, as its segment would hold it.
struct Written {
    bytes: Vec<u8>,
    batch: usize,
}

impl Written {
    fn new(batches: i64, value: usize) -> Written {
        let mut bytes = Vec::new();
        for offset in 0..batches {
            let mut builder = BatchBuilder::new(Codec::None);
            let value = vec![offset as u8; value];
            let timestamp = Timestamp(1000 + offset);
            builder.append(NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
            let mut batch = builder.build().expect("small").to_vec();
            stamp(&mut batch, Offset(offset), LeaderEpoch(2));
            bytes.extend(batch);
        }
        let batch = bytes.len() / batches as usize;
        Written { bytes, batch }
    }

    /// The boundary before a batch.
    fn boundary(&self, batch: i64) -> Boundary {
        let at = self.batch as u64 * batch as u64;
        Boundary { offset: Offset(batch), place: Place { segment: Offset(0), at } }
    }

    /// What a manifest says that has seen `synced` bytes.
    fn state(&self, synced: u64) -> LogImage {
        LogImage {
            end: self.boundary((synced / self.batch as u64) as i64),
            synced: Place { segment: Offset(0), at: synced },
            ..LogImage::empty(LIFE)
        }
    }

    /// An entry with the bytes `from..to`, which ends with a batch.
    fn entry(&self, from: u64, to: u64) -> EntryHead {
        EntryHead {
            kind: EntryKind::Data,
            partition: PARTITION,
            version: LIFE,
            place: Place { segment: Offset(0), at: from },
            next_offset: Offset((to / self.batch as u64) as i64),
            len: (to - from) as u32,
        }
    }

    fn payload(&self, head: &EntryHead) -> &[u8] {
        &self.bytes[head.place.at as usize..head.end().at as usize]
    }
}

#[test]
fn the_entry_table_version_and_place() {
    let log = Written::new(20, 900);
    let (batch, synced) = (log.batch as u64, 2 * BLOCK as u64);
    let replay = Replay::new(PARTITION, log.state(synced));
    let start = BLOCK as u64;
    let end = 12 * batch;
    let rows = [
        ("ends below what is synced", log.entry(0, 4 * batch), Verdict::Skip),
        (
            "ends at what is synced",
            EntryHead { len: synced as u32, ..log.entry(0, batch) },
            Verdict::Skip,
        ),
        ("spans it", log.entry(start, end), Verdict::Replay),
        ("starts at it", log.entry(synced, end), Verdict::Replay),
        ("starts above it", log.entry(synced + 1, end), Verdict::Gap),
    ];
    for (name, head, verdict) in rows {
        assert_eq!(replay.judge(&head), verdict, "{name}");
        let version = LogVersion { start: 1, change: 9 };
        assert_eq!(
            replay.judge(&EntryHead { version, ..head }),
            Verdict::Skip,
            "{name}, earlier life"
        );
        let version = LogVersion { start: 2, change: 1 };
        assert_eq!(replay.judge(&EntryHead { version, ..head }), verdict, "{name}, later life");
    }
    let roll = |segment, at| EntryHead {
        kind: EntryKind::Roll,
        place: Place { segment: Offset(segment), at },
        len: 0,
        ..log.entry(0, batch)
    };
    assert_eq!(replay.judge(&roll(0, synced)), Verdict::Replay);
    assert_eq!(replay.judge(&roll(0, synced + 1)), Verdict::Gap);
    assert_eq!(replay.judge(&roll(5, 0)), Verdict::Gap);
    let later = LogImage { synced: Place { segment: Offset(5), at: 0 }, ..log.state(0) };
    assert_eq!(Replay::new(PARTITION, later).judge(&roll(0, synced)), Verdict::Skip);
}

/// Replays entries and gives what the segment then holds.
fn replay(
    log: &Written,
    synced: u64,
    entries: &[EntryHead],
    alter: impl Fn(usize, &mut Vec<u8>),
) -> (Vec<u8>, Result<LogImage, Offline>) {
    let mut file = log.bytes[..synced as usize].to_vec();
    let mut replay = Replay::new(PARTITION, log.state(synced));
    let mut write = |effect: BootEffect| {
        let BootEffect::WriteSegment(_, at, bytes) = effect else { panic!("{effect:?}") };
        let end = at as usize + bytes.len();
        file.resize(file.len().max(end), 0);
        file[at as usize..end].copy_from_slice(&bytes);
    };
    for (number, head) in entries.iter().enumerate() {
        let mut payload = log.payload(head).to_vec();
        alter(number, &mut payload);
        match replay.judge(head) {
            Verdict::Skip => continue,
            Verdict::Gap => return (file, Err(replay.gap(head))),
            Verdict::Replay => {}
        }
        match replay.entry(head, &payload) {
            Ok(effects) => effects.into_iter().for_each(&mut write),
            Err(offline) => return (file, Err(offline)),
        }
    }
    match replay.finish() {
        Ok(last) => last.into_iter().for_each(&mut write),
        Err(offline) => return (file, Err(offline)),
    }
    (file, Ok(replay.into_image()))
}

#[test]
fn whatever_is_synced_the_segment_ends_up_the_same() {
    let log = Written::new(20, 900);
    let batch = log.batch as u64;
    let entries = [
        log.entry(0, 4 * batch),
        log.entry(4 * batch, 5 * batch),
        // The block was padded after five batches: the next entry repeats it from its start.
        log.entry((5 * batch) - (5 * batch) % BLOCK as u64, 11 * batch),
        log.entry(11 * batch, 20 * batch),
    ];
    let padded = [0, 5 * batch];
    let blocks = (0..4).map(|block| block * BLOCK as u64);
    for synced in padded.into_iter().chain(blocks) {
        let (file, image) = replay(&log, synced, &entries, |_, _| {});
        let image = image.unwrap_or_else(|offline| panic!("synced {synced}: {offline}"));
        assert_eq!(image.end, log.boundary(20), "synced {synced}");
        assert!(file.starts_with(&log.bytes), "synced {synced}");
        assert!(file[log.bytes.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(file.len() % BLOCK, 0);
    }
}

#[test]
fn what_does_not_fit_keeps_the_partition_offline_and_cuts_nothing() {
    let log = Written::new(20, 900);
    let batch = log.batch as u64;
    let repeat = (5 * batch) - (5 * batch) % BLOCK as u64;
    let entries = [log.entry(0, 5 * batch), log.entry(repeat, 11 * batch)];
    let flip = |number: usize, at: usize| {
        move |entry: usize, payload: &mut Vec<u8>| {
            if entry == number {
                payload[at] ^= 1;
            }
        }
    };
    let (_, unequal) = replay(&log, 0, &entries, flip(1, 200));
    assert!(
        matches!(unequal, Err(Offline::Unequal { at }) if at.at == repeat + 200),
        "{unequal:?}"
    );
    let (_, foreign) = replay(&log, 0, &entries[..1], flip(0, 7));
    assert!(matches!(foreign, Err(Offline::Inconsistent { .. })), "{foreign:?}");
    let (_, gap) = replay(&log, 0, &entries[1..], |_, _| {});
    assert!(matches!(gap, Err(Offline::Gap { .. })), "{gap:?}");
    let short = EntryHead { next_offset: Offset(3), ..entries[0] };
    let (_, short) = replay(&log, 0, &[short], |_, _| {});
    assert!(matches!(short, Err(Offline::Inconsistent { .. })), "{short:?}");
    let (_, cut) = replay(&log, BLOCK as u64, &[], |_, _| {});
    assert!(matches!(cut, Err(Offline::Incomplete { .. })), "{cut:?}");
}

#[test]
fn a_roll_seals_the_segment_at_its_exact_end() {
    let log = Written::new(4, 900);
    let mut replay = Replay::new(PARTITION, log.state(0));
    let head = log.entry(0, log.bytes.len() as u64);
    assert!(replay.entry(&head, &log.bytes).is_ok());
    let roll = EntryHead { kind: EntryKind::Roll, place: head.end(), len: 0, ..head };
    let write = replay.entry(&roll, &[]).expect("it goes on from what is known");
    assert!(matches!(write, Some(BootEffect::WriteSegment(..))), "{write:?}");
    let cuts = replay.take_cuts();
    let [BootEffect::Truncate(_, at)] = cuts[..] else { panic!("{cuts:?}") };
    assert_eq!(at, log.bytes.len() as u64, "exactly, and only when all is written");
    let image = replay.into_image();
    assert_eq!(image.segments.len(), 2);
    assert_eq!(image.end, Boundary { offset: Offset(4), place: Place::start_of(Offset(4)) });
}

/// Runs `Partitions` against a journal in memory and a segment of a given length.
fn recover(log: &Written, synced: u64, heads: &[EntryHead], len: u64) -> Vec<Replayed> {
    let mut journal = vec![0; BLOCK];
    let entries = heads.iter().map(|head| {
        let at = journal.len() as u64;
        journal.extend_from_slice(log.payload(head));
        FoundEntry { head: *head, file: FILE, at }
    });
    let entries = entries.collect();
    journal.resize(journal.len().next_multiple_of(BLOCK), 0);
    let state = log.state(synced);
    let replay = Replay::new(PARTITION, state);
    let works = vec![Work { partition: PARTITION, replay, entries, offline: None }];
    let mut partitions = Partitions::new(works);
    let (mut answers, mut report) = (Vec::new(), BootReport::default());
    loop {
        match partitions.step(answers, &mut report) {
            Progress::Over(replayed) => return replayed,
            Progress::More(effects) => {
                let answer = |effect: &BootEffect| match effect {
                    BootEffect::ListSegments(_) if len == 0 => BootAnswer::Segments(Vec::new()),
                    BootEffect::ListSegments(_) => BootAnswer::Segments(vec![(Offset(0), len)]),
                    BootEffect::ReadEntries(_, at, len) => {
                        let range = *at as usize..*at as usize + *len as usize;
                        BootAnswer::Bytes(Bytes::copy_from_slice(&journal[range]))
                    }
                    _ => BootAnswer::Done,
                };
                answers = effects.iter().map(answer).collect();
            }
        }
    }
}

#[test]
fn the_entry_table_segment_files() {
    let log = Written::new(20, 900);
    let batch = log.batch as u64;
    let heads = [log.entry(0, 11 * batch), log.entry(11 * batch, 20 * batch)];
    let block = BLOCK as u64;
    let rows = [
        ("missing, nothing synced: created", 0, 0, true),
        ("longer than what is synced", block, 9 * block, true),
        ("as long as what is synced", 2 * block, 2 * block, true),
        ("shorter than what is synced", 2 * block, 2 * block - 1, false),
        ("missing, something synced", block, 0, false),
    ];
    for (name, synced, len, online) in rows {
        let replayed = recover(&log, synced, &heads, len).remove(0);
        match replayed.found {
            Found::Online(image) => {
                assert!(online, "{name}");
                assert_eq!(image.end, log.boundary(20), "{name}");
                assert_eq!(image.synced, image.end.place, "{name}");
            }
            Found::Offline { why, before, entries } => {
                assert!(!online, "{name}: {why}");
                let before = before.expect("its manifest knows it");
                assert_eq!((before.synced.at, entries.len()), (synced, 2), "{name}: as it was");
            }
        }
    }
}

#[test]
fn batches_are_noted_once_however_often_they_are_repeated() {
    let log = Written::new(20, 900);
    let batch = log.batch as u64;
    let heads = [log.entry(0, 11 * batch), log.entry(0, 15 * batch), log.entry(0, 20 * batch)];
    let (_, image) = replay(&log, 0, &heads, |_, _| {});
    let image = image.expect("equal repetitions");
    assert_eq!(image.epochs.all(), [(LeaderEpoch(2), Offset(0))]);
    let last = BatchHeader::parse(&log.bytes[19 * log.batch..]).expect("a batch");
    assert_eq!(image.segments[0].max_timestamp, last.max_timestamp);
}

#[test]
fn the_entry_table_topics_that_are_no_more() {
    let log = Written::new(2, 100);
    let entry = FoundEntry { head: log.entry(0, log.batch as u64), file: FILE, at: 0 };
    let (deleted, never) = (TopicId([1; 16]), TopicId([2; 16]));
    let of = |topic, index| TopicPartition { topic, index: PartitionIndex(index) };
    let rows = [
        ("nothing is left over", vec![], 0),
        ("a deleted topic's are skipped", vec![(of(deleted, 0), 3)], 0),
        ("an unknown topic's are skipped and counted", vec![(of(never, 0), 2)], 2),
        (
            "each for itself",
            vec![(of(deleted, 1), 1), (of(never, 0), 2), (of(never, 5), 1), (of(deleted, 0), 4)],
            3,
        ),
    ];
    for (name, left, expected) in rows {
        let left: Vec<(TopicPartition, usize)> = left;
        let entries = left.into_iter().map(|(partition, count)| (partition, vec![entry; count]));
        let counted = count_unknown(&entries.collect(), &BTreeSet::from([deleted]));
        assert_eq!(counted, expected, "{name}");
    }
}
