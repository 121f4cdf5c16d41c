//! What a start notices: every file of the core's, in every way in which it can be another than it
//! was left, after a clean stop and after a kill. Refused, or that partition offline, or made anew
//! with nothing lost; never silently less.
#![allow(missing_docs, reason = "tests")]

mod broker;
mod directory;
mod lengths;

use std::collections::BTreeMap;

use broker::{Broker, NotStarted, index_of};
use corelog_engine::boot::BootRefusal;
use corelog_engine::id::TopicPartition;
use corelog_engine::manifest::record::{Record, decode, encode};
use directory::{Directory, Name};

const SHARDS: u16 = 2;
const PARTITIONS: u32 = 4;
/// Its segments fail.
const RESCUED: u32 = 3;

/// A directory as a broker has left it, as it was some time before, and what was acknowledged.
struct Left {
    name: &'static str,
    directory: Directory,
    earlier: Directory,
    acknowledged: BTreeMap<u32, i64>,
}

/// Appends so many batches to each partition that takes them.
fn append(broker: &mut Broker, acknowledged: &mut BTreeMap<u32, i64>, count: i64) {
    for _ in 0..count {
        for index in 0..PARTITIONS {
            let next = acknowledged.entry(index).or_default();
            if broker.append(index, *next) {
                *next += 1;
            }
        }
    }
}

/// Commits that went several times round the journal, closed segments, a rescue file, and records
/// that are in the journal alone unless it is stopped.
fn left(name: &'static str) -> Left {
    let mut broker = Broker::start(&mut Directory::default(), SHARDS).expect("fresh");
    broker.create(PARTITIONS as i32);
    let mut acknowledged = BTreeMap::new();
    append(&mut broker, &mut acknowledged, 60);
    broker.pass(10_000);
    append(&mut broker, &mut acknowledged, 5);
    broker.failing.insert(broker::partition(RESCUED));
    let earlier = broker.directory.clone();
    broker.pass(10_000);
    append(&mut broker, &mut acknowledged, 40);
    broker.pass(2_000);
    append(&mut broker, &mut acknowledged, 3);
    let directory = if name == "stopped" { broker.stop() } else { broker.directory };
    assert!(acknowledged.values().all(|count| *count >= 65), "{acknowledged:?}");
    Left { name, directory, earlier, acknowledged }
}

/// What has become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Missing,
    Empty,
    Shorter,
    Longer,
    Older,
}

const LOSSES: [Loss; 5] = [Loss::Missing, Loss::Empty, Loss::Shorter, Loss::Longer, Loss::Older];

/// The directory with that loss; `None` when it would be as it was.
fn lose(left: &Left, name: Name, loss: Loss) -> Option<Directory> {
    let mut directory = left.directory.clone();
    let file = directory.files.get_mut(&name)?;
    match loss {
        Loss::Missing => drop(directory.files.remove(&name)),
        Loss::Empty => file.clear(),
        Loss::Shorter => file.truncate(file.len().saturating_sub(1) / 4096 * 4096),
        Loss::Longer => file.extend([0xaa; 4096]),
        Loss::Older => *file = left.earlier.files.get(&name)?.clone(),
    }
    (directory != left.directory).then_some(directory)
}

/// What a start makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noticed {
    /// Refused, and the file was named where that is certain.
    Refused,
    /// A partition is offline, and the file was named.
    Offline,
    /// Not by the start: whoever reads what was there finds that it is no batch.
    WhenRead,
    /// Everything that was acknowledged can be read.
    Whole,
}

/// Starts and reads everything. Panics where less is there than was acknowledged, and nobody says.
fn notice(case: &str, left: &Left, mut directory: Directory, name: Name) -> Noticed {
    let mut broker = match Broker::start(&mut directory, SHARDS) {
        Ok(broker) => broker,
        Err(NotStarted::Refused(refusal)) => {
            let names = !matches!(refusal, BootRefusal::Journal { .. });
            let told = refusal.to_string();
            assert!(!names || told.contains(&name.to_string()), "{case}: {told}");
            return Noticed::Refused;
        }
        Err(NotStarted::Killed) => panic!("{case}: nobody kills it"),
    };
    let offline = broker.report.offline.clone();
    let mut noticed = if offline.is_empty() { Noticed::Whole } else { Noticed::Offline };
    for (partition, count) in &left.acknowledged {
        let told = offline.iter().find(|(p, _)| *p == broker::partition(*partition));
        match (broker.read(*partition), told) {
            (Err(_), Some((_, why))) => {
                assert!(why.contains(&name.to_string()), "{case}: {why}");
            }
            (Ok(read), None) => assert_eq!(read, *count, "{case}: partition {partition}"),
            (Err(_), None) => noticed = Noticed::WhenRead,
            (read, told) => panic!("{case}: partition {partition}: {read:?}, told {told:?}"),
        }
    }
    assert!(offline.len() <= 1, "{case}: {offline:?}");
    noticed
}

/// What a start may make of a loss. The table of docs/durability.md.
fn allowed(name: Name, loss: Loss) -> &'static [Noticed] {
    use Noticed::{Offline, Refused, WhenRead, Whole};
    let metadata = |partition: TopicPartition| partition == TopicPartition::METADATA;
    match (name, loss) {
        // An older copy may have all that is still needed.
        (Name::Journal(_), Loss::Older) => &[Refused, Whole],
        (Name::Journal(_), _) => &[Refused],
        // The last appends are missing: those before them ask for more of the journal.
        (Name::Manifest(_), Loss::Shorter | Loss::Older) => &[Refused, Whole],
        (Name::Manifest(_), Loss::Longer) => &[Whole],
        (Name::Manifest(manifest), _) if manifest.shard.0 == 0 => &[Refused],
        (Name::Manifest(_), _) => &[Whole],
        (Name::Segment(_), Loss::Longer) => &[Whole],
        // What was flushed and not recorded comes from the journal.
        (Name::Segment(segment), _) if metadata(segment.partition) => &[Refused, Whole],
        // A copy of the same length differs in its last block alone.
        (Name::Segment(_), Loss::Older) => &[Offline, WhenRead, Whole],
        (Name::Segment(_), _) => &[Offline, Whole],
        (Name::Index(_), _) => &[Whole],
        (Name::Rescue(_), _) => &[Offline],
    }
}

#[test]
fn every_file_in_every_way_after_every_end() {
    for left in [left("stopped"), left("killed")] {
        let untouched = notice(left.name, &left, left.directory.clone(), any(&left));
        assert_eq!(untouched, Noticed::Whole, "{}", left.name);
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for (name, loss) in left.directory.files.keys().flat_map(|n| LOSSES.map(|l| (*n, l))) {
            let Some(directory) = lose(&left, name, loss) else { continue };
            let case = format!("{}, {name} {loss:?}", left.name);
            let noticed = notice(&case, &left, directory, name);
            assert!(allowed(name, loss).contains(&noticed), "{case}: {noticed:?}");
            let kind = name.to_string().split('/').next().unwrap_or_default().to_owned();
            *seen.entry(format!("{kind} {loss:?} {noticed:?}")).or_default() += 1;
        }
        for must in [
            "journal Missing Refused",
            "journal Older Refused",
            "manifest Missing Refused",
            "manifest Missing Whole",
            "topics Missing Offline",
            "topics Missing Refused",
            "topics Shorter Offline",
            "index of topics Missing Whole",
            "rescue Missing Offline",
            "rescue Empty Offline",
        ] {
            assert!(seen.contains_key(must), "{}: no {must} in {seen:#?}", left.name);
        }
    }
}

fn any(left: &Left) -> Name {
    *left.directory.files.keys().next().expect("files")
}

#[test]
fn directories_that_lack_journals_or_manifests_are_no_fresh_ones() {
    let journal = |name: &Name| matches!(name, Name::Journal(_));
    let manifest = |name: &Name| matches!(name, Name::Manifest(_));
    let both = |name: &Name| matches!(name, Name::Journal(_) | Name::Manifest(_));
    let all = |_: &Name| true;
    type Gone = fn(&Name) -> bool;
    let rows: [(&str, Gone, &str); 4] = [
        ("journal/ is empty", journal, "journal/s0-0.journal is missing"),
        ("manifest/ is empty", manifest, "no manifest in manifest/"),
        ("both are empty", both, "no manifest in manifest/"),
        ("everything is gone", all, "no manifest in manifest/"),
    ];
    for left in [left("stopped"), left("killed")] {
        for (case, gone, told) in rows {
            // An earlier Corelog did not note which start was settled.
            for settled in [left.directory.settled, 0] {
                let mut directory = Directory { settled, ..left.directory.clone() };
                directory.files.retain(|name, _| !gone(name));
                if directory.files.is_empty() && settled == 0 {
                    continue;
                }
                match Broker::start(&mut directory, SHARDS) {
                    Err(NotStarted::Refused(refusal)) => {
                        let refusal = refusal.to_string();
                        assert!(refusal.contains(told), "{case}: {refusal}");
                    }
                    other => panic!("{case}: {:?}", other.map(|broker| broker.report)),
                }
            }
        }
    }
}

#[test]
fn manifests_of_an_earlier_start_are_refused() {
    let Left { mut directory, .. } = left("stopped");
    let older = directory.clone();
    let broker = Broker::start(&mut directory, SHARDS).expect("it starts");
    let mut directory = broker.stop();
    directory.files.retain(|name, _| !matches!(name, Name::Manifest(_)));
    let manifests = older.files.into_iter().filter(|(name, _)| matches!(name, Name::Manifest(_)));
    directory.files.extend(manifests);
    match Broker::start(&mut directory, SHARDS) {
        Err(NotStarted::Refused(refusal)) => {
            let told = refusal.to_string();
            assert!(told.contains("newer than start 1"), "{told}");
        }
        other => panic!("{:?}", other.map(|broker| broker.report)),
    }
}

/// Wherever the process is killed, the next start finds all that was acknowledged and is refused
/// nothing: a journal file may be half made, or made and not named.
#[test]
fn a_kill_at_any_change_leaves_a_directory_that_starts() {
    let mut fuse = 0;
    loop {
        let mut directory = Directory { fuse: Some(fuse), ..Directory::default() };
        let mut acknowledged = BTreeMap::new();
        let mut over = false;
        if let Ok(mut broker) = Broker::start(&mut directory, SHARDS) {
            broker.create(PARTITIONS as i32);
            append(&mut broker, &mut acknowledged, 2);
            over = broker.lives();
            directory = broker.directory;
        }
        // A second process is killed too, as early, and then one that is let live.
        directory.fuse = Some(fuse);
        if let Ok(broker) = Broker::start(&mut directory, 1) {
            directory = broker.directory;
        }
        directory.fuse = None;
        let broker = Broker::start(&mut directory, SHARDS);
        let mut broker = broker.unwrap_or_else(|why| panic!("after {fuse} changes: {why:?}"));
        for (partition, count) in &acknowledged {
            if *count > 0 {
                let read = broker.read(*partition);
                assert!(read.as_ref().is_ok_and(|read| read >= count), "{fuse}: {read:?}");
            }
        }
        if over {
            return assert!(fuse > 20, "there were many changes");
        }
        fuse += 1;
    }
}

/// What a Corelog of manifest format 1 has left names no files.
fn of_format_1(mut directory: Directory) -> Directory {
    for (name, bytes) in &mut directory.files {
        if matches!(name, Name::Manifest(_)) {
            let mut records = decode(bytes).expect("a manifest");
            records.retain(|record| {
                !matches!(
                    record,
                    Record::Journal { .. } | Record::Durable(_) | Record::Rescue { .. }
                )
            });
            let mut old = encode(&records).to_vec();
            old[9..13].copy_from_slice(&1u32.to_le_bytes());
            let checksum = crc32c::crc32c(&old[8..]);
            old[4..8].copy_from_slice(&checksum.to_le_bytes());
            *bytes = old;
        }
    }
    Directory { settled: 0, ..directory }
}

#[test]
fn a_directory_of_an_earlier_corelog_starts_and_what_it_tells_is_heeded() {
    for mut left in [left("stopped"), left("killed")] {
        left.directory = of_format_1(left.directory);
        let whole = notice(left.name, &left, left.directory.clone(), any(&left));
        assert_eq!(whole, Noticed::Whole);
        let mut directory = left.directory.clone();
        directory.files.retain(|name, _| !matches!(name, Name::Journal(_)));
        match Broker::start(&mut directory, SHARDS) {
            Err(NotStarted::Refused(refusal)) => {
                let told = refusal.to_string();
                assert!(told.contains("the journal of shard 0 is damaged"), "{told}");
            }
            other => panic!("{:?}", other.map(|broker| broker.report)),
        }
    }
}

#[test]
fn a_partition_that_was_offline_is_whole_again_when_its_file_is_back() {
    let left = left("killed");
    let lost = |name: &Name| match name {
        Name::Segment(segment) => index_of(*segment).is_some(),
        Name::Rescue(_) => true,
        _ => false,
    };
    for name in left.directory.files.keys().filter(|name| lost(name)) {
        let mut directory = left.directory.clone();
        let file = directory.files.remove(name).expect("a file");
        for start in 0..2 {
            let broker = Broker::start(&mut directory, SHARDS).expect("it starts");
            if broker.report.offline.is_empty() {
                break;
            }
            assert_eq!(broker.report.offline.len(), 1, "{name}, start {start}");
            directory = broker.directory;
            if start == 1 {
                directory.files.insert(*name, file.clone());
            }
        }
        let case = format!("{name} is back");
        assert_eq!(notice(&case, &left, directory, *name), Noticed::Whole);
    }
}
