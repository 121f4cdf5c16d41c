//! The rules against tables, against a model, and across snapshots.

use proptest::prelude::*;

use super::*;
use crate::id::LeaderEpoch;
use crate::record::batch::Attributes;

const ID: ProducerId = ProducerId(7);
const NOW: Timestamp = Timestamp(1_000_000);

/// The header of a stored batch: `count` records of `id` from `offset` on.
fn batch(id: i64, epoch: i16, first: i32, count: i32, offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(offset),
        batch_length: 49,
        leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: count - 1,
        base_timestamp: NOW,
        max_timestamp: Timestamp(NOW.0 + offset),
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(first),
        record_count: count,
    }
}

fn fields(epoch: i16, first: i32, count: i32) -> ProducerFields {
    batch(ID.0, epoch, first, count, 0).producer().unwrap()
}

/// Appends batches of `ID`, `(epoch, first sequence, count)`, end to end from offset 0 on.
fn after(batches: &[(i16, i32, i32)]) -> Producers {
    let mut producers = Producers::new(10);
    let mut offset = 0;
    for (epoch, first, count) in batches {
        producers.append(&batch(ID.0, *epoch, *first, *count, offset));
        offset += i64::from(*count);
    }
    producers
}

fn out_of_order(expected: i32, got: i32) -> Verdict {
    Verdict::OutOfOrder { expected: Sequence(expected), got: Sequence(got) }
}

fn duplicate(last: i32, last_offset: i64, count: i32) -> Verdict {
    Verdict::Duplicate(AppendedBatch {
        last: Sequence(last),
        last_offset: Offset(last_offset),
        offset_delta: count - 1,
        timestamp: Timestamp(NOW.0 + last_offset - i64::from(count) + 1),
    })
}

#[test]
fn verdicts() {
    const MAX: i32 = i32::MAX;
    let accept = Verdict::Accept;
    let fenced = |epoch| Verdict::Fenced { current: ProducerEpoch(epoch) };
    type Row<'a> = (&'a str, &'a [(i16, i32, i32)], (i16, i32, i32), Verdict);
    let six = [(1, 0, 2), (1, 2, 1), (1, 3, 1), (1, 4, 1), (1, 5, 1), (1, 6, 1)];
    let table: [Row<'_>; 24] = [
        ("unknown, first", &[], (0, 0, 3), accept),
        ("unknown, later", &[], (5, 1234, 3), accept),
        ("unknown, without epoch", &[], (-1, 9, 1), accept),
        ("unknown, impossible epoch", &[], (-2, 0, 1), fenced(-1)),
        ("next", &[(1, 0, 3)], (1, 3, 2), accept),
        ("gap", &[(1, 0, 3)], (1, 4, 2), out_of_order(3, 4)),
        ("back", &[(1, 0, 3)], (1, 2, 2), out_of_order(3, 2)),
        ("again", &[(1, 0, 3)], (1, 0, 3), duplicate(2, 2, 3)),
        ("again, but shorter", &[(1, 0, 3)], (1, 0, 2), out_of_order(3, 0)),
        ("again, but longer", &[(1, 0, 3)], (1, 0, 4), out_of_order(3, 0)),
        ("two as one", &[(1, 0, 3), (1, 3, 2)], (1, 0, 5), out_of_order(5, 0)),
        ("the one before", &[(1, 0, 3), (1, 3, 2)], (1, 0, 3), duplicate(2, 2, 3)),
        ("fifth last", &six, (1, 2, 1), duplicate(2, 2, 1)),
        ("sixth last", &six, (1, 0, 2), out_of_order(7, 0)),
        ("new epoch from 0", &[(1, 0, 3)], (2, 0, 3), accept),
        ("new epoch, not from 0", &[(1, 0, 3)], (2, 3, 3), out_of_order(0, 3)),
        ("old epoch", &[(1, 0, 3), (2, 0, 1)], (1, 3, 1), fenced(2)),
        ("again in an old epoch", &[(1, 0, 3), (2, 0, 1)], (1, 0, 3), fenced(2)),
        ("a new epoch forgets", &[(1, 0, 3), (2, 0, 1)], (2, 0, 3), out_of_order(1, 0)),
        ("wraps after", &[(1, MAX, 1)], (1, 0, 1), accept),
        ("wraps within", &[(1, MAX - 1, 4)], (1, 2, 1), accept),
        ("again across the wrap", &[(1, MAX - 1, 4)], (1, MAX - 1, 4), duplicate(1, 3, 4)),
        ("gap across the wrap", &[(1, MAX - 1, 4)], (1, MAX, 1), out_of_order(2, MAX)),
        ("no epoch, any sequence", &[(-1, 5, 1)], (-1, 50, 1), accept),
    ];
    for (name, appended, (epoch, first, count), verdict) in table {
        assert_eq!(after(appended).check(&fields(epoch, first, count)), verdict, "{name}");
    }
}

#[test]
fn a_duplicate_says_where_it_is() {
    let producers = after(&[(1, 0, 3), (1, 3, 2)]);
    let Verdict::Duplicate(known) = producers.check(&fields(1, 3, 2)) else { panic!() };
    assert_eq!((known.base_offset(), known.last_offset), (Offset(3), Offset(4)));
    assert_eq!((known.first(), known.last), (Sequence(3), Sequence(4)));
}

#[test]
fn what_is_not_for_us_changes_nothing() {
    let mut producers = after(&[(1, 0, 3)]);
    let before = producers.entries.clone();
    producers.append(&batch(-1, -1, -1, 1, 3));
    producers.append(&BatchHeader { attributes: Attributes(0x20), ..batch(7, 2, -1, 1, 4) });
    producers.append(&batch(7, 1, 0, 3, 0));
    assert_eq!(producers.entries, before);
}

#[test]
fn the_one_that_wrote_longest_ago_makes_room() {
    let mut producers = Producers::new(2);
    let ids = |producers: &Producers| producers.iter().map(|p| p.id.0).collect::<Vec<_>>();
    for (offset, id) in [30, 10, 30, 20].into_iter().enumerate() {
        producers.append(&batch(id, 0, offset as i32 / 2, 1, offset as i64));
    }
    assert_eq!(ids(&producers), [20, 30]);
    producers.append(&batch(10, 0, 9, 1, 4));
    assert_eq!((ids(&producers), producers.len()), (vec![10, 20], 2));

    let mut one = Producers::new(0);
    one.append(&batch(1, 0, 0, 1, 0));
    one.append(&batch(2, 0, 0, 1, 1));
    assert_eq!(ids(&one), [2]);
}

#[test]
fn idle_producers_expire() {
    let mut producers = Producers::new(10);
    for id in 0..3 {
        producers.append(&batch(id, 0, 0, 1, 10 * id));
    }
    producers.append(&BatchHeader { max_timestamp: Timestamp::NONE, ..batch(3, 0, 0, 1, 40) });
    producers.expire(Timestamp(NOW.0 + 110), 100);
    let left: Vec<i64> = producers.iter().map(|producer| producer.id.0).collect();
    assert_eq!(left, [2], "the age of producer 1 is exactly the limit");
    assert_eq!(producers.check(&batch(1, 0, 77, 1, 0).producer().unwrap()), Verdict::Accept);
}

/// What follows from snapshots, oldest first.
fn restored(snapshots: &[Vec<u8>]) -> Producers {
    let mut producers = Producers::new(100);
    producers.apply(&snapshots.concat()).unwrap();
    producers
}

const END: Offset = Offset(i64::MAX);

#[test]
fn only_changes_are_encoded() {
    let mut producers = Producers::new(2);
    assert_eq!(producers.take_dirty(END), []);
    producers.append(&batch(1, 0, 0, 1, 0));
    producers.append(&batch(2, 0, 0, 1, 1));
    let first = producers.take_dirty(END);
    assert_eq!(producers.take_dirty(END), []);
    producers.append(&batch(2, 0, 1, 1, 2));
    let second = producers.take_dirty(END);
    assert!(second.len() < first.len());
    assert_eq!(restored(&[first.clone(), second.clone()]).entries, producers.entries);
    assert_eq!(restored(&[producers.take_all(END)]).entries, producers.entries);

    producers.append(&batch(3, 0, 0, 1, 3));
    producers.append(&batch(4, 0, 0, 1, 4));
    producers.append(&batch(5, 0, 0, 1, 5));
    let third = producers.take_dirty(END);
    let after = restored(&[first, second, third]);
    assert_eq!(after.entries, producers.entries, "1 and 2 are forgotten, 3 was never known");
    assert_eq!(after.entries.len(), 2);
    producers.expire(Timestamp(i64::MAX), 0);
    assert_eq!(restored(&[producers.take_dirty(END)]).len(), 0);
}

#[test]
fn a_snapshot_tells_nothing_of_what_lies_past_its_end() {
    let mut producers = after(&[(1, 0, 2), (1, 2, 2), (1, 4, 2)]);
    let snapshot = producers.take_dirty(Offset(4));
    assert_eq!(restored(&[snapshot]).entries, after(&[(1, 0, 2), (1, 2, 2)]).encoded().entries);
    let rest = producers.take_dirty(END);
    assert_eq!(restored(&[rest]).entries, producers.entries, "the rest comes the next time");

    producers.append(&batch(ID.0, 2, 0, 1, 6));
    let forgotten = producers.take_dirty(Offset(6));
    assert!(restored(&[producers.take_all(END), forgotten]).is_empty());
}

#[test]
fn what_comes_from_a_snapshot_is_in_it() {
    let mut producers = Producers::new(10);
    producers.append(&batch(1, 0, 0, 1, 0));
    let snapshot = after(&[(1, 0, 2)]).take_all(END);
    producers.append(&batch(ID.0, 0, 0, 1, 1));
    producers.apply(&snapshot).unwrap();
    assert_eq!(restored(&[producers.take_dirty(END)]).iter().map(|p| p.id.0).max(), Some(1));
}

#[test]
fn a_producer_that_was_forgotten_and_came_back_is_told_anew() {
    let mut producers = Producers::new(1);
    producers.append(&batch(1, 0, 0, 1, 0));
    let first = producers.take_dirty(END);
    producers.append(&batch(2, 0, 0, 1, 1));
    producers.append(&batch(1, 0, 5, 1, 2));
    let second = producers.take_dirty(Offset(2));
    assert!(restored(&[first.clone(), second.clone()]).is_empty(), "its old state is gone");
    let third = producers.take_dirty(END);
    assert_eq!(restored(&[first, second, third]).entries, producers.entries);
}

impl Producers {
    /// The same state, as if a snapshot had been taken.
    fn encoded(mut self) -> Producers {
        self.take_all(END);
        self
    }
}

#[test]
fn entries_that_are_none() {
    let entry = after(&[(1, 5, 3)]).take_all(END);
    for len in 1..entry.len() {
        assert_eq!(Producers::new(1).apply(&entry[..len]), Err(MalformedEntry), "{len}");
    }
    let table: [&[u8]; 4] = [
        &[14, 12],
        &[14, 1],
        &[14, 2, 0xfe, 0xff, 0xff, 0x0f, 0, 0, 0, 0],
        &[14, 2, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0],
    ];
    for bytes in table {
        assert_eq!(Producers::new(1).apply(bytes), Err(MalformedEntry), "{bytes:?}");
    }
}

/// What a client may do next, right or wrong.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sends the next batch.
    Send { count: i32 },
    /// Sends the batch `back` batches ago once more.
    Again { back: usize },
    /// Sends with a sequence that is `gap` from the right one.
    Astray { gap: i64, count: i32 },
    /// Sends in another epoch, `first` records after its beginning.
    Epoch { step: i16, first: i32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1i32..4).prop_map(|count| Step::Send { count }),
        3 => (0usize..8).prop_map(|back| Step::Again { back }),
        1 => (-4i64..5, 1i32..4).prop_map(|(gap, count)| Step::Astray { gap, count }),
        1 => (-1i16..3, 0i32..2).prop_map(|(step, first)| Step::Epoch { step, first }),
    ]
}

/// Kafka's rule from first principles: sequences count on without wrapping, and everything that
/// was appended is remembered.
struct Model {
    epoch: i16,
    next: i64,
    log: Vec<(i64, i32)>,
}

const WRAP: i64 = 1 << 31;

impl Model {
    fn verdict(&self, epoch: i16, first: i64, count: i32) -> &'static str {
        let same = |known: &&(i64, i32)| {
            known.0.rem_euclid(WRAP) == first.rem_euclid(WRAP) && known.1 == count
        };
        let right = if epoch == self.epoch { self.next } else { 0 };
        match () {
            () if epoch == self.epoch && self.log.iter().rev().take(5).any(|b| same(&b)) => {
                "duplicate"
            }
            () if epoch < self.epoch => "fenced",
            () if first.rem_euclid(WRAP) == right.rem_euclid(WRAP) => "accept",
            () => "out of order",
        }
    }

    fn append(&mut self, epoch: i16, first: i64, count: i32) {
        if epoch != self.epoch {
            (self.epoch, self.log) = (epoch, Vec::new());
        }
        self.next = first + i64::from(count);
        self.log.push((first, count));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn verdicts_are_those_of_the_model(
        start in prop_oneof![Just(0i64), WRAP - 12..WRAP],
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut producers = Producers::new(3);
        let mut model = Model { epoch: 3, next: start, log: Vec::new() };
        let mut offset = 0;
        for (number, step) in steps.into_iter().enumerate() {
            let (epoch, first, count) = match step {
                _ if number == 0 => (3, start, 2),
                Step::Send { count } => (model.epoch, model.next, count),
                Step::Again { back } => match model.log.iter().rev().nth(back) {
                    Some((first, count)) => (model.epoch, *first, *count),
                    None => continue,
                },
                Step::Astray { gap, count } => (model.epoch, model.next + gap, count),
                Step::Epoch { step, first } => (model.epoch + step, i64::from(first), 1),
            };
            let sequence = first.rem_euclid(WRAP) as i32;
            let verdict = producers.check(&fields(epoch, sequence, count));
            let found = match verdict {
                Verdict::Accept => "accept",
                Verdict::Duplicate(_) => "duplicate",
                Verdict::OutOfOrder { .. } => "out of order",
                Verdict::Fenced { .. } => "fenced",
            };
            let expected = if number == 0 { "accept" } else { model.verdict(epoch, first, count) };
            prop_assert_eq!(found, expected, "{:?}", step);
            if verdict == Verdict::Accept {
                producers.append(&batch(ID.0, epoch, sequence, count, offset));
                model.append(epoch, first, count);
                offset += i64::from(count);
            }
        }
    }

    #[test]
    fn a_restart_forgets_nothing_and_invents_nothing(
        writes in proptest::collection::vec((0i64..4, 0i16..10, 1i32..4, any::<bool>()), 1..60),
        lag in 0i64..20,
        limit in prop_oneof![Just(2), Just(100)],
    ) {
        let mut producers = Producers::new(limit);
        let (mut log, mut snapshots) = (Vec::<BatchHeader>::new(), Vec::new());
        let (mut offset, mut end) = (0, 0);
        for (id, luck, count, snapshot) in writes {
            let known = producers.iter().find(|producer| producer.id.0 == id);
            let (epoch, first) = match known {
                Some(known) if luck > 0 => (known.epoch.0, known.last.last.plus(1).0),
                Some(known) => (known.epoch.0 + 1, 0),
                None => (0, i32::MAX - i32::from(luck)),
            };
            let header = batch(id, epoch, first, count, offset);
            producers.append(&header);
            log.push(header);
            offset += i64::from(count);
            if snapshot {
                // The end of a snapshot is the end of a batch, and never goes back.
                end = log.iter().map(|header| header.next_offset().0)
                    .filter(|next| *next <= offset - lag).max().unwrap_or(0).max(end);
                snapshots.push(producers.take_dirty(Offset(end)));
            }
        }
        let (before, after): (Vec<_>, Vec<_>) =
            log.iter().partition(|header| header.base_offset.0 < end);
        let mut exact = Producers::new(limit);
        before.into_iter().for_each(|header| exact.append(header));
        let mut restarted = restored(&snapshots);
        for producer in restarted.iter() {
            let known = exact.entries.get(&producer.id).unwrap();
            prop_assert_eq!(producer.last, known.newest(), "nothing is invented");
        }

        // With room for all, nothing is forgotten either.
        if limit > 4 {
            after.into_iter().for_each(|header| restarted.append(header));
            prop_assert_eq!(restarted.encoded().entries, producers.encoded().entries);
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut producers = Producers::new(3);
        if producers.apply(&bytes).is_ok() {
            let again = producers.take_all(Offset(i64::MAX));
            prop_assert!(again.len() <= 3 * 120);
        }
        prop_assert!(producers.len() <= 3);
        prop_assert_eq!(producers.by_age.len(), producers.len());
    }
}
