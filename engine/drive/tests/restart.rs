//! What was acknowledged is there after every kind of end, whatever the number of shards.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::client::{Client, append_body, batch, partition, producers_part};
use common::dir::TestDir;
use common::service::Tiny;
use common::{Broker, eventually, settings};
use corelog_drive::{Stop, run};
use corelog_engine::id::{TopicId, TopicPartition};

const DIR: &str = "CORELOG_DRIVE_TEST_DIR";
const SHARDS: &str = "CORELOG_DRIVE_TEST_SHARDS";

/// Numbers of the batches that were acknowledged, by partition, in order.
type Acknowledged = BTreeMap<TopicPartition, Vec<u64>>;

fn check(address: SocketAddr, acknowledged: &Acknowledged, len: usize) {
    let mut client = Client::connect(address);
    for (partition, numbers) in acknowledged {
        let stored = client.fetch_all(*partition, 0);
        assert!(stored.len() >= numbers.len(), "{partition:?}: {} batches", stored.len());
        for (stored, number) in stored.iter().zip(numbers) {
            assert!(producers_part(stored) == producers_part(&batch(*number, len)), "{number}");
        }
    }
}

fn append_some(client: &mut Client, topic: TopicId, numbers: std::ops::Range<u64>, len: usize) {
    for number in numbers {
        for index in 0..3 {
            client.append(partition(topic, index), &batch(number, len)).expect("appended");
        }
    }
}

fn expected(topic: TopicId, numbers: std::ops::Range<u64>) -> Acknowledged {
    (0..3).map(|index| (partition(topic, index), numbers.clone().collect())).collect()
}

#[test]
fn everything_is_there_after_a_graceful_stop_and_after_a_crash() {
    let dir = TestDir::new();
    let mut topic = None;
    let mut end = 0;
    let mut identity = None;
    let ends: [fn(Broker); 4] = [Broker::stop, Broker::crash, Broker::crash, Broker::stop];
    for (shards, end_run) in [1, 2, 1, 2].into_iter().zip(ends) {
        let broker = Broker::start(settings(dir.path(), shards));
        let mut client = Client::connect(broker.address());
        let topic = *topic.get_or_insert_with(|| client.create("numbers", 3));
        check(broker.address(), &expected(topic, 0..end), 3000);
        append_some(&mut client, topic, end..end + 50, 3000);
        end += 50;
        check(broker.address(), &expected(topic, 0..end), 3000);

        let now = broker.ready.identity.clone();
        let before = identity.replace(now.clone());
        if let Some(before) = before {
            assert_eq!(before.start + 1, now.start);
            assert_eq!((before.cluster_id, before.node_id), (now.cluster_id, now.node_id));
            assert_eq!(before.directory_id, now.directory_id);
        }
        end_run(broker);
    }
}

#[test]
fn a_graceful_stop_answers_what_is_in_flight_and_leaves_nothing_to_replay() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 2));
    let mut client = Client::connect(broker.address());
    let topic = client.create("numbers", 3);
    append_some(&mut client, topic, 0..10, 100);
    for number in 10..30 {
        client.send(&append_body(partition(topic, 0), &batch(number, 100)));
    }
    // One that was read has all those before it read.
    assert_eq!(client.receive(), Ok(10i64.to_le_bytes().to_vec()));
    broker.stop_handle().request();
    let mut answered = 1;
    while let Ok(answer) = client.try_receive() {
        assert_eq!(answer, Ok((10 + answered as i64).to_le_bytes().to_vec()));
        answered += 1;
    }
    broker.wait();
    let broker = Broker::start(settings(dir.path(), 1));
    assert_eq!(broker.ready.report.replayed_entries, 0, "{:?}", broker.ready.report);
    let mut acknowledged = expected(topic, 0..10);
    acknowledged.insert(partition(topic, 0), (0..10 + answered).collect());
    check(broker.address(), &acknowledged, 100);
}

#[test]
fn a_lost_or_broken_manifest_is_made_anew_from_segments_and_journals() {
    let remove = |path: &Path| fs::remove_file(path).expect("removed");
    let break_it = |path: &Path| {
        let mut bytes = fs::read(path).expect("read");
        bytes[9] ^= 1;
        fs::write(path, bytes).expect("written");
    };
    let damages: [&dyn Fn(&Path); 2] = [&remove, &break_it];
    let ends: [fn(Broker); 2] = [Broker::stop, Broker::crash];
    for (damage, end) in damages.into_iter().flat_map(|d| ends.map(|e| (d, e))) {
        let dir = TestDir::new();
        let broker = Broker::start(settings(dir.path(), 2));
        let mut client = Client::connect(broker.address());
        let topic = client.create("numbers", 3);
        append_some(&mut client, topic, 0..40, 3000);
        end(broker);
        // That of shard 0 holds the metadata.
        damage(&dir.path().join("manifest/1-s1.manifest"));
        let broker = Broker::start(settings(dir.path(), 2));
        let report = &broker.ready.report;
        assert!(report.rescanned > 0 && report.offline.is_empty(), "{report:?}");
        check(broker.address(), &expected(topic, 0..40), 3000);
        let mut client = Client::connect(broker.address());
        append_some(&mut client, topic, 40..50, 3000);
        check(broker.address(), &expected(topic, 0..50), 3000);
        broker.stop();
    }
}

#[test]
fn a_segment_that_was_cut_keeps_its_partition_offline_at_every_start_and_its_bytes() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let mut client = Client::connect(broker.address());
    let topic = client.create("numbers", 3);
    append_some(&mut client, topic, 0..400, 3000);
    let flushed = |index: u32| {
        let name = format!("topics/{topic}/{index}/00000000000000000000.log");
        dir.path().join(name)
    };
    let len = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.len());
    eventually("a manifest says what is synced", || len(&flushed(0)) >= 1 << 20);
    broker.stop();
    let broker = Broker::start(settings(dir.path(), 1));
    let mut client = Client::connect(broker.address());
    append_some(&mut client, topic, 400..410, 3000);
    broker.crash();
    let whole = fs::read(flushed(0)).expect("read");
    File::options().write(true).open(flushed(0)).and_then(|file| file.set_len(4096)).expect("cut");
    for _ in 0..2 {
        let broker = Broker::start(settings(dir.path(), 1));
        let offline: Vec<_> = broker.ready.report.offline.iter().map(|(p, _)| *p).collect();
        assert_eq!(offline, [partition(topic, 0)]);
        let others = expected(topic, 0..410).into_iter().filter(|(p, _)| *p != offline[0]);
        check(broker.address(), &others.collect(), 3000);
        broker.crash();
    }
    // The operator has found the bytes again; what the journal had was kept all the while.
    fs::write(flushed(0), whole).expect("written");
    let broker = Broker::start(settings(dir.path(), 1));
    assert!(broker.ready.report.offline.is_empty(), "{:?}", broker.ready.report);
    check(broker.address(), &expected(topic, 0..410), 3000);
    broker.stop();
    assert_eq!(fs::read_dir(dir.path().join("rescue")).expect("read").count(), 0);
}

/// Not a test: the process that others kill.
#[test]
#[ignore = "started by other tests"]
fn broker_to_be_killed() {
    let (Ok(dir), Ok(shards)) = (std::env::var(DIR), std::env::var(SHARDS)) else { return };
    let shards = shards.parse().expect("a number");
    let ready = |ready: &corelog_drive::Ready| println!("\nlistening {}", ready.addresses[0]);
    run(settings(&PathBuf::from(dir), shards), Stop::new(), ready, Tiny::new).expect("a run");
}

fn start_child(dir: &Path, shards: usize) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().expect("path"))
        .args(["--exact", "broker_to_be_killed", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(SHARDS, shards.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let address = loop {
        let line = lines.next().expect("it listens before it ends").expect("text");
        if let Some(address) = line.strip_prefix("listening ") {
            break address.parse().expect("an address");
        }
    };
    // Whatever else it says must not fill the pipe.
    thread::spawn(move || lines.count());
    (child, address)
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_another_number_of_shards() {
    let dir = TestDir::new();
    let mut acknowledged = Acknowledged::new();
    let mut topic = None;
    for (round, shards) in [2, 1, 2, 2].into_iter().enumerate() {
        let (mut child, address) = start_child(dir.path(), shards);
        check(address, &acknowledged, 2000);
        let topic = *topic.get_or_insert_with(|| Client::connect(address).create("numbers", 4));
        let killed = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|index| {
                let killed = killed.clone();
                let partition = partition(topic, index);
                let before = acknowledged.remove(&partition).unwrap_or_default();
                thread::spawn(move || (partition, write(address, partition, before, &killed)))
            })
            .collect();
        thread::sleep(Duration::from_millis(300 + 170 * round as u64));
        killed.store(true, Ordering::SeqCst);
        child.kill().expect("kill");
        child.wait().expect("reaped");
        for writer in writers {
            let (partition, numbers) = writer.join().expect("no panic");
            acknowledged.insert(partition, numbers);
        }
    }
    let broker = Broker::start(settings(dir.path(), 1));
    check(broker.address(), &acknowledged, 2000);
    assert!(acknowledged.values().all(|numbers| numbers.len() > 4));
    broker.stop();
}

/// Appends one batch after the other until the broker is gone. The last one of a life may be stored
/// though nobody was told; the next life starts by looking.
fn write(
    address: SocketAddr,
    partition: TopicPartition,
    mut numbers: Vec<u64>,
    killed: &AtomicBool,
) -> Vec<u64> {
    let mut client = Client::connect(address);
    let stored = client.latest(partition).expect("found");
    let surplus = stored - numbers.len() as i64;
    assert!((0..=1).contains(&surplus), "{partition:?}: {surplus} more than were acknowledged");
    numbers.extend((0..surplus).map(|_| stored as u64 - 1));
    loop {
        let number = numbers.len() as u64;
        client.send(&append_body(partition, &batch(number, 2000)));
        match client.try_receive() {
            Ok(answer) => {
                assert_eq!(answer, Ok(number.to_le_bytes().to_vec()));
                numbers.push(number);
            }
            Err(error) => {
                assert!(killed.load(Ordering::SeqCst), "{error}");
                return numbers;
            }
        }
    }
}
