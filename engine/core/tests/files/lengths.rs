//! No wrong length holds a start, or the loading of groups, for ever.

use corelog_engine::id::TopicPartition;
use corelog_engine::log::SegmentId;

use super::broker::{Broker, index_of, partition};
use super::directory::{Directory, Name};
use super::{Left, Noticed, RESCUED, SHARDS, left, notice};

/// Bytes from the start of a file that hold a length: of a batch, an append or a commit.
const HEADS: usize = 61;

/// The first file of each kind that a start reads, from its first byte on.
fn heads(left: &Left) -> Vec<Name> {
    let is_metadata = |segment: &SegmentId| segment.partition == TopicPartition::METADATA;
    let kinds: [&dyn Fn(&Name) -> bool; 4] = [
        &|name| matches!(name, Name::Journal(_)),
        &|name| matches!(name, Name::Manifest(_)),
        &|name| matches!(name, Name::Rescue(_)),
        &|name| matches!(name, Name::Segment(segment) if is_metadata(segment)),
    ];
    let names = kinds.map(|kind| left.directory.files.keys().find(|name| kind(name)).copied());
    names.into_iter().map(|name| name.expect("there is one of each kind")).collect()
}

#[test]
fn no_flipped_bit_holds_a_start() {
    for left in [left("stopped"), left("killed")] {
        for name in heads(&left) {
            for bit in 0..HEADS * 8 {
                let mut directory = left.directory.clone();
                let file = directory.files.get_mut(&name).expect("a file");
                file[bit / 8] ^= 1 << (bit % 8);
                // Ends, and tells of everything that it does not have.
                let case = format!("{}, {name}, bit {bit}", left.name);
                let noticed = notice(&case, &left, directory, name);
                assert_ne!(noticed, Noticed::WhenRead, "{case}");
            }
        }
    }
}

#[test]
fn a_metadata_batch_that_claims_more_than_there_is_is_refused() {
    let left = left("stopped");
    let name = heads(&left)[3];
    // Two megabytes more than there are, which is more than is read at once.
    let mut directory = left.directory.clone();
    directory.files.get_mut(&name).expect("a file")[9] ^= 0x20;
    assert_eq!(notice("a longer batch", &left, directory, name), Noticed::Refused);
}

#[test]
fn no_flipped_bit_of_a_segment_holds_a_rescan() {
    let left = left("stopped");
    let is_lost = |name: &Name| matches!(name, Name::Manifest(name) if name.shard.0 == 1);
    let manifest = *left.directory.files.keys().find(|name| is_lost(name)).expect("two shards");
    let mut without = left.directory.clone();
    without.files.remove(&manifest);
    let rescanned = {
        let broker = Broker::start(&mut without.clone(), SHARDS).expect("it starts");
        broker.report.rescanned
    };
    assert!(rescanned > 0, "shard 1 has partitions");
    let mut offline = 0;
    let segments = left.directory.files.keys().filter(|name| match name {
        Name::Segment(segment) => segment.base.0 == 0 && index_of(*segment).is_some(),
        _ => false,
    });
    for name in segments {
        for bit in 8 * 8..12 * 8 {
            let mut directory = without.clone();
            let file = directory.files.get_mut(name).expect("a file");
            file[bit / 8] ^= 1 << (bit % 8);
            let broker = Broker::start(&mut directory, SHARDS).expect("it starts");
            offline += broker.report.offline.len();
        }
    }
    assert!(offline > 0, "a length that cannot be is noticed");
}

#[test]
fn groups_whose_segment_was_cut_are_not_loaded_for_ever() {
    let mut left = left("stopped");
    for index in (0..super::PARTITIONS).filter(|index| *index != RESCUED) {
        let mut broker = Broker::start(&mut left.directory, SHARDS).expect("it starts");
        let of = |name: &Name| match name {
            Name::Segment(segment) => segment.partition == partition(index),
            _ => false,
        };
        let Directory { files, .. } = &mut broker.directory;
        for (_, bytes) in files.iter_mut().filter(|(name, _)| of(name)) {
            bytes.truncate(0);
        }
        assert!(!broker.load_groups(index), "partition {index}");
    }
}
