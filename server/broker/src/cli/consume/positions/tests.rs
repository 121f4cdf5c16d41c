//! What is printed of batches, and where reading goes on.

use corelog_engine::id::Offset;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};
use corelog_wire::uuid::Uuid;

use super::*;

/// Offsets of what was printed.
#[derive(Default)]
struct Printed(Vec<i64>);

impl Print for Printed {
    fn record(&mut self, _: i32, record: &Record<'_>) -> Result<(), Failure> {
        self.0.push(record.offset.0);
        Ok(())
    }
}

fn builder(first: i64, count: i64) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Codec::Lz4).base_offset(Offset(first));
    for _ in 0..count {
        builder.append(NewRecord { value: Some(b"value"), ..Default::default() });
    }
    builder
}

fn batch(first: i64, count: i64) -> Bytes {
    builder(first, count).build().expect("small")
}

fn positions(next: i64, end: Option<i64>, left: Option<u64>) -> Positions {
    Positions { positions: vec![Position { partition: 0, next, end }], left }
}

/// What is printed of `batches`, and what is read next.
fn taken(mut positions: Positions, batches: &[Bytes]) -> Result<(Vec<i64>, i64), Failure> {
    let mut printed = Printed::default();
    positions.take(0, &Bytes::from(batches.concat()), &mut printed)?;
    Ok((printed.0, positions.positions[0].next))
}

#[test]
fn records_are_printed_from_the_place_on_to_the_end() {
    let batches = [batch(10, 3), batch(13, 2)];
    for (next, end, left, printed, then) in [
        (10, None, None, vec![10, 11, 12, 13, 14], 15),
        (11, None, None, vec![11, 12, 13, 14], 15),
        (14, None, None, vec![14], 15),
        (10, Some(12), None, vec![10, 11], 13),
        (10, Some(13), None, vec![10, 11, 12], 13),
        (10, None, Some(2), vec![10, 11], 12),
        (10, None, Some(4), vec![10, 11, 12, 13], 14),
        (15, None, None, vec![], 15),
    ] {
        let found = taken(positions(next, end, left), &batches).expect("readable");
        assert_eq!(found, (printed, then), "{next} {end:?} {left:?}");
    }
}

#[test]
fn a_count_ends_it_and_so_does_the_end_of_every_partition() {
    for (next, end, left, finished) in [
        (3, Some(3), None, true),
        (2, Some(3), None, false),
        (3, None, None, false),
        (2, Some(3), Some(0), true),
        (3, None, Some(1), false),
    ] {
        let positions = positions(next, end, left);
        assert_eq!(positions.are_finished(), finished, "{positions:?}");
        assert_eq!(positions.unfinished().is_empty(), end == Some(next), "{positions:?}");
    }
}

#[test]
fn markers_are_passed_over() {
    let marker = builder(10, 1).control().build().expect("small");
    let found = taken(positions(10, None, None), &[marker, batch(11, 1)]);
    assert_eq!(found.expect("readable"), (vec![11], 12));
}

#[test]
fn what_is_cut_off_is_asked_for_again() {
    let (whole, cut) = (batch(10, 1), batch(11, 1));
    let cut = cut.slice(..cut.len() - 1);
    let found = taken(positions(10, None, None), &[whole, cut.clone()]).expect("readable");
    assert_eq!(found, (vec![10], 11));
    let alone = taken(positions(11, None, None), &[cut]).expect_err("it would never come whole");
    assert!(matches!(alone, Failure::BadBatch { offset: 11, .. }), "{alone}");
}

#[test]
fn damage_is_told_with_its_place() {
    let mut bytes = batch(10, 1).to_vec();
    *bytes.last_mut().expect("bytes") ^= 1;
    let failure = taken(positions(10, None, None), &[bytes.into()]).expect_err("damaged");
    assert_eq!(
        failure.to_string(),
        "the batch at offset 10 of partition 0 cannot be read: its checksum does not match"
    );
}

#[test]
fn one_offset_is_for_one_partition_that_has_it() {
    let topic =
        Topic { name: "t".to_owned(), id: Uuid::ZERO, internal: false, partitions: Vec::new() };
    let one = |offset| Found::from([(0, Some(offset))]);
    for (offset, told) in [
        (5, None),
        (9, None),
        (4, Some("partition 0 of `t` has no offset 4, it has 5 to 9")),
        (10, Some("partition 0 of `t` has no offset 10, it has 5 to 9")),
    ] {
        let checked = check_offset(&topic, offset, &one(5), &one(9));
        assert_eq!(checked.err().map(|failure| failure.to_string()).as_deref(), told);
    }
    let two = Found::from([(0, Some(5)), (1, Some(5))]);
    let failure = check_offset(&topic, 5, &two, &two).expect_err("which one?").to_string();
    assert!(failure.contains("--partition"), "{failure}");
}
