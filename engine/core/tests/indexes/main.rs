//! Indexes of segments, and manifests written in parts: what memory and manifest keep of a long
//! active segment, how old offsets are found, and what crashes and failed writes leave.

mod world;

use corelog_engine::id::{Offset, Timestamp};
use corelog_engine::limits::ManifestLimits;
use corelog_engine::log::{LogConfig, LogImage, PAGE_SPAN, Point};
use corelog_engine::manifest::record::{Record, decode};
use corelog_engine::manifest::state::ManifestState;
use corelog_engine::metadata::delta::Fate;
use corelog_engine::shard::effect::FileAction;
use corelog_engine::shard::event::Failure;

use world::{Disk, RECORD, SPACING, World, change, config, empty_logs, first_segment, setup};

const SMALL: ManifestLimits = ManifestLimits { least_bytes: 2048, part_logs: 3, part_bytes: 1000 };

/// Bytes of a segment in one page of its index.
const SPAN: u64 = SPACING * 16;

fn points_in(manifest: &[u8]) -> usize {
    let synced =
        decode(manifest).expect("a manifest").into_iter().filter_map(|record| match record {
            Record::Synced(synced) => Some(synced.points.len()),
            _ => None,
        });
    synced.sum()
}

/// A partition with four megabytes in its active segment, of which memory keeps two: batches of
/// 4,000 bytes, a millisecond from each other.
fn filled(logs: u32) -> World {
    let mut world = World::new(setup(SMALL, config(), empty_logs(logs)), Disk::default());
    for batch in 0..1_000 {
        assert_eq!(world.produce(0, RECORD), Offset(batch));
        world.advance(1);
    }
    world
}

#[test]
fn a_long_active_segment_leaves_few_points_in_the_manifest() {
    let mut world = filled(1);
    world.grow_manifest();
    let image = ManifestState::replay(decode(&world.disk.manifest).expect("whole")).expect("whole");
    let log = image.partitions.into_values().next().expect("one");
    let index = &log.segments[0].index;
    let recent = index.recent().all().len();
    assert!(recent <= 16, "{recent} of {} points", 4_000_000 / SPACING);
    assert_eq!(index.stored(), log.synced.at - log.synced.at % SPAN);
    assert_eq!(world.disk.indexes[&first_segment(0)].len() as u64, index.stored() / SPAN * 512);
    assert!(world.disk.manifest.len() < 4096, "{} bytes", world.disk.manifest.len());
}

#[test]
fn an_old_offset_of_the_active_segment_is_found_by_its_index_file() {
    let mut world = filled(1);
    for (offset, reads) in [(3, 1), (300, 1), (40, 1)] {
        world.seen.looked = 0;
        let found = world.fetch(0, offset, 13_000);
        assert!(found.starts_with(&[offset, offset + 1]), "{offset}: {found:?}");
        assert_eq!(world.seen.index_reads, reads, "offset {offset}: read once");
        assert!(world.seen.looked <= 64 << 10, "{} bytes looked at", world.seen.looked);
    }
    world.seen.looked = 0;
    assert_eq!(world.offset_at(0, 200), Some(200));
    assert!(world.seen.looked <= 64 << 10, "{} bytes looked at", world.seen.looked);
    // What was loaded grows with the segment.
    for _ in 0..1_000 {
        world.produce(0, RECORD);
    }
    world.stop();
    assert_eq!(world.fetch(0, 1_010, 4_000), [1_010]);
    assert_eq!((world.seen.index_reads, world.seen.rebuilt), (1, 0));
}

/// What becomes of the index file between two starts, and how much of the segment is looked at.
#[test]
fn a_start_takes_index_files_as_they_are() {
    type Harm = fn(&mut Vec<u8>);
    let rows: [(&str, Harm, usize, u64); 6] = [
        ("whole", |_| {}, 0, 64 << 10),
        ("missing", Vec::clear, 1, 6 << 20),
        ("older", |file| file.truncate(20 * 512), 1, 4 << 20),
        ("torn", |file| file[40 * 512 + 30] ^= 1, 1, 3 << 20),
        ("longer", |file| file.extend_from_slice(&[1; 700]), 0, 64 << 10),
        ("of another segment", |file| file[8] ^= 1, 1, 6 << 20),
    ];
    for (name, harm, rebuilt, looked) in rows {
        let mut world = filled(1);
        world.stop();
        let whole = world.disk.indexes[&first_segment(0)].clone();
        harm(world.disk.indexes.get_mut(&first_segment(0)).expect("an index"));
        let mut world = world.restart(|logs| setup(SMALL, config(), logs));
        assert_eq!(world.seen.index_reads, 0, "{name}: a start reads none");
        assert_eq!(world.fetch(0, 777, 4_000), [777], "{name}");
        assert_eq!(world.seen.rebuilt, rebuilt, "{name}");
        assert!(world.seen.looked <= looked, "{name}: {} bytes", world.seen.looked);
        assert!(world.disk.indexes[&first_segment(0)].starts_with(&whole), "{name}: made whole");
        assert_eq!(world.fetch(0, 5, 4_000), [5], "{name}");
        assert_eq!(world.produce(0, RECORD), Offset(1_000), "{name}");
    }
}

#[test]
fn sealed_segments_have_whole_index_files() {
    let config = LogConfig { segment_bytes: 400_000, ..config() };
    let mut world = World::new(setup(SMALL, config.clone(), empty_logs(1)), Disk::default());
    (0..1_000).for_each(|_| _ = world.produce(0, RECORD));
    world.stop();
    assert_eq!(world.disk.segments.len(), 11);
    let mut world = world.restart(|logs| setup(SMALL, config, logs));
    for offset in (0..1_000).rev().step_by(37) {
        assert_eq!(world.fetch(0, offset, 4_000), [offset]);
    }
    assert_eq!(world.seen.rebuilt, 0);
    assert!(world.seen.index_reads <= 11, "{} reads", world.seen.index_reads);
}

#[test]
fn points_stay_in_the_manifest_while_their_file_cannot_be_written() {
    let mut world = World::new(setup(SMALL, config(), empty_logs(1)), Disk::default());
    world.judge = Box::new(|action| match action {
        FileAction::WriteIndex(..) => Some(Failure::Full),
        _ => None,
    });
    (0..300).for_each(|_| _ = world.produce(0, RECORD));
    world.stop();
    assert!(points_in(&world.disk.manifest) >= 150, "{}", points_in(&world.disk.manifest));
    let mut world = world.restart(|logs| setup(SMALL, config(), logs));
    assert_eq!(world.fetch(0, 123, 4_000), [123]);
    assert_eq!((world.seen.index_reads, world.seen.rebuilt), (0, 0), "they are in memory");
    // Time brings them to the file although nothing is written.
    world.advance(2_000);
    world.advance(2_000);
    assert!(!world.disk.indexes[&first_segment(0)].is_empty());
    world.judge = Box::new(|_| None);
    let mut world = world.restart(|logs| setup(SMALL, config(), logs));
    assert_eq!(world.fetch(0, 123, 4_000), [123]);
    assert_eq!((world.seen.index_reads, world.seen.rebuilt), (1, 0));
}

#[test]
fn a_manifest_that_is_made_anew_comes_in_parts() {
    let mut world = filled(10);
    (0..10).for_each(|index| _ = world.produce(index, 10));
    world.stop();
    let mut rounds = 0;
    let before = world.seen.replaced;
    while world.seen.replaced == before {
        (0..10).for_each(|index| _ = world.produce(index, 10));
        world.stop();
        rounds += 1;
        assert!(rounds < 1_000, "it is never made anew");
    }
    assert_eq!(world.seen.parts.len(), 4, "three logs each: {:?}", world.seen.parts);
    assert!(world.seen.parts.iter().all(|bytes| *bytes < 1_500), "{:?}", world.seen.parts);
    let parts: usize = world.seen.parts.iter().sum();
    // A part that is missing at the end makes it no manifest.
    for lost in world.seen.parts.iter().rev().scan(parts, |end, part| {
        *end -= part;
        Some(*end)
    }) {
        let records = decode(&world.disk.manifest[..lost]);
        assert!(!records.is_ok_and(|records| ManifestState::replay(records).is_some()), "{lost}");
    }
    let expected: Vec<i64> = (0..10).map(|index| world.produce(index, 10).0).collect();
    world.stop();
    let mut world = world.restart(|logs| setup(SMALL, config(), logs));
    for (index, last) in (0..).zip(expected) {
        assert_eq!(world.produce(index, 10), Offset(last + 1), "partition {index}");
    }
}

/// The disk is full, or the process ends, at each part of a manifest that replaces another.
#[test]
fn what_a_manifest_said_stands_until_the_next_is_whole() {
    for part in 0..4usize {
        let mut world = filled(10);
        (0..10).for_each(|index| _ = world.produce(index, 10));
        world.stop();
        let (full, mut parts) = (std::rc::Rc::new(std::cell::Cell::new(false)), 0);
        let told = full.clone();
        world.judge = Box::new(move |action| {
            match action {
                FileAction::DraftManifest(0, _) => parts = 0,
                FileAction::DraftManifest(..) | FileAction::ReplaceManifest(..) => parts += 1,
                _ => return told.get().then_some(Failure::Full),
            }
            told.set(told.get() || parts == part);
            told.get().then_some(Failure::Full)
        });
        let mut last = vec![0; 10];
        for _ in 0..1_000 {
            if full.get() {
                break;
            }
            last = (0..10).map(|index| world.produce(index, 10).0).collect();
            world.advance(6_000);
        }
        assert!(full.get(), "part {part} comes");
        // Ended here, the old one is there, and all its logs.
        let state = ManifestState::replay(decode(&world.disk.manifest).expect("the old one"));
        assert_eq!(state.expect("whole").partitions.len(), 10, "part {part}");
        // Gone on with once there is room, nothing is missing.
        world.judge = Box::new(|_| None);
        world.free(1 << 40);
        world.stop();
        let mut world = world.restart(|logs| setup(SMALL, config(), logs));
        for (index, last) in (0..).zip(last) {
            assert_eq!(world.produce(index, 10), Offset(last + 1), "part {part} {index}");
        }
    }
}

/// Partitions come and go between the parts of a manifest that is made anew.
#[test]
fn what_is_removed_between_two_parts_does_not_come_back_and_nothing_else_is_missing() {
    for (part, gone) in (1..4).flat_map(|part| (0..10).map(move |gone| (part, gone))) {
        let mut world = filled(10);
        (1..10).for_each(|index| _ = world.produce(index, 10));
        world.at_part = Some((
            part as usize,
            vec![change(gone, Fate::Removed), change(10, Fate::Created(Default::default()))],
        ));
        let before = world.seen.replaced;
        while world.seen.replaced == before {
            (0..10).for_each(|index| _ = world.produce(index, 10));
            world.stop();
        }
        assert!(world.at_part.is_none(), "{part}: there are more parts");
        let told = |world: &World| {
            let state = ManifestState::replay(decode(&world.disk.manifest).expect("records"));
            let partitions = state.expect("a whole manifest").partitions.into_iter();
            partitions.map(|(of, log)| (of.index.0, log.end.offset)).collect::<Vec<_>>()
        };
        let was_told = |index: u32| index < part * 3;
        let first: Vec<_> = told(&world).into_iter().map(|(index, _)| index).collect();
        let expected: Vec<_> = (0..11).filter(|index| *index != gone || was_told(gone)).collect();
        assert_eq!(first, expected, "{gone} is removed after part {part}");
        // More than the journal holds: nothing of what is gone holds it back.
        let rest = || (0..11).filter(|index| *index != gone);
        for _ in 0..110 {
            rest().for_each(|index| _ = world.produce(index, RECORD));
        }
        let ends: Vec<_> = rest().map(|index| (index, world.produce(index, 10).plus(1))).collect();
        world.stop();
        let later: Vec<_> = told(&world).into_iter().filter(|(index, _)| *index != gone).collect();
        assert_eq!(later, ends, "{gone} is removed after part {part}");
    }
}

/// A log with a gigabyte in its active segment.
fn full_log(points: impl Iterator<Item = u64>, stored: u64, end: u64) -> LogImage {
    let mut log = LogImage::empty(Default::default());
    let index = &mut log.segments[0].index;
    let points = points.map(|point| {
        let (at, before) = (point * (PAGE_SPAN / 16), Timestamp(point as i64));
        Point { offset: Offset(point as i64), at, max_before: before }
    });
    assert!(index.restore(points.collect()));
    index.set_stored(stored);
    log.end.offset = Offset(20_000);
    log.end.place.at = end;
    log.synced = log.end.place;
    log
}

/// Ten thousand partitions with a full gigabyte each: a manifest of a few megabytes, no step long.
#[test]
fn ten_thousand_full_partitions_have_a_small_manifest() {
    let end = (1 << 30) - 4096;
    let log = || full_log(16_368..16_383, 1023 << 20, end);
    let logs = (0..10_000).map(|_| log()).collect();
    let limits = ManifestLimits::default();
    let mut setup = setup(limits, LogConfig::default(), logs);
    setup.manifest_bytes = limits.least_bytes;
    let mut world = World::new(setup, Disk::default());
    world.grow_manifest();
    let (bytes, largest) = (world.disk.manifest.len(), world.seen.parts.iter().max());
    println!("{bytes} bytes, parts of up to {largest:?}, longest step {} us", world.seen.longest);
    assert_eq!(world.seen.replaced, 1);
    assert!(bytes < 6 << 20, "{bytes} bytes");
    assert!(largest.is_some_and(|part| *part <= limits.part_bytes + 1024), "{largest:?}");
    let state = ManifestState::replay(decode(&world.disk.manifest).expect("whole"));
    assert_eq!(state.expect("whole").partitions.len(), 10_000);
}

/// The directory of an earlier version: all points of its active segments are in the manifest.
#[test]
fn points_of_an_earlier_version_go_to_index_files() {
    let logs = (0..20).map(|_| full_log(0..16_000, 0, 1_000 << 20)).collect();
    let mut world = World::new(setup(SMALL, LogConfig::default(), logs), Disk::default());
    for _ in 0..40 {
        world.advance(1_000);
    }
    world.stop();
    let pages = world.disk.indexes.values().map(Vec::len);
    assert_eq!(pages.collect::<Vec<_>>(), vec![1_000 * 512; 20]);
    world.grow_manifest();
    let points = points_in(&world.disk.manifest);
    assert!(points <= 1, "{points} in {} bytes", world.disk.manifest.len());
}
