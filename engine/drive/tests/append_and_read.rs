//! What is appended is read: on one shard and across two, now or when it comes, in memory and from
//! files.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::client::{Client, append_body, batch, fetch_body, partition, producers_part};
use common::dir::TestDir;
use common::service::{ECHO, SILENT};
use common::{Broker, settings};

#[test]
fn what_is_appended_is_read_across_shards() {
    for shards in [1, 2] {
        let dir = TestDir::new();
        let broker = Broker::start(settings(dir.path(), shards));
        let mut client = Client::connect(broker.address());
        let topic = client.create("numbers", 4);
        for index in 0..4 {
            let partition = partition(topic, index);
            for number in 0..20u64 {
                let base = client.append(partition, &batch(number, 100)).expect("appended");
                assert_eq!(base, number as i64);
            }
        }
        for shard in 0..shards as u16 {
            let mut reader = Client::connect_to_shard(broker.address(), shard);
            assert_eq!(reader.topics(), 1);
            for index in 0..4 {
                let partition = partition(topic, index);
                let batches = reader.fetch_all(partition, 0);
                assert_eq!(batches.len(), 20);
                for (number, stored) in (0..).zip(&batches) {
                    assert_eq!(producers_part(stored), producers_part(&batch(number, 100)));
                }
                assert_eq!(reader.latest(partition), Ok(20));
            }
        }
        broker.stop();
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 2));
    let mut client = Client::connect(broker.address());
    let topic = client.create("numbers", 2);
    let (quiet, busy) = (partition(topic, 0), partition(topic, 1));
    // More than may be in flight, the first of them slow, some without an answer.
    client.send(&fetch_body(quiet, 0, 1000, 300));
    for number in 0..200u64 {
        client.send(&append_body(busy, &batch(number, 10)));
        client.send(&[SILENT]);
        client.send(&[&[ECHO][..], &number.to_le_bytes()].concat());
    }
    let began = Instant::now();
    assert_eq!(client.receive().expect("fetched").len(), 8, "nothing but the high watermark");
    assert!(began.elapsed() > Duration::from_millis(200), "{:?}", began.elapsed());
    for number in 0..200u64 {
        assert_eq!(client.receive(), Ok(number.to_le_bytes().to_vec()), "appended");
        assert_eq!(client.receive(), Ok(number.to_le_bytes().to_vec()), "echoed");
    }
    broker.stop();
}

#[test]
fn a_reader_waits_for_what_another_shard_appends() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 2));
    let address = broker.address();
    let topic = Client::connect(address).create("numbers", 2);
    let readers: Vec<_> = [(0, 0), (0, 1), (1, 0), (1, 1)]
        .map(|(shard, index)| {
            thread::spawn(move || {
                let mut reader = Client::connect_to_shard(address, shard);
                let began = Instant::now();
                let fetched = reader.fetch(partition(topic, index), 0, 1000, 10_000);
                (fetched.expect("fetched"), began.elapsed())
            })
        })
        .into();
    thread::sleep(Duration::from_millis(300));
    let mut writer = Client::connect(address);
    for index in 0..2 {
        writer.append(partition(topic, index), &batch(7, 50)).expect("appended");
    }
    for reader in readers {
        let ((high, batches), took) = reader.join().expect("no panic");
        assert_eq!((high, producers_part(&batches)), (1, producers_part(&batch(7, 50))));
        assert!(took < Duration::from_secs(5), "woken, not timed out: {took:?}");
    }
    broker.stop();
}

/// More than fits into memory: most of it is read from files, by splice and by reads.
#[test]
fn what_is_no_more_in_memory_is_read_from_files() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 2));
    let mut client = Client::connect(broker.address());
    let topic = client.create("numbers", 2);
    let sizes = [100, 5_000, 70_000, 300_000];
    let batches: Vec<_> = (0..200u64).map(|n| batch(n, sizes[n as usize % sizes.len()])).collect();
    for batch in &batches {
        for index in 0..2 {
            client.append(partition(topic, index), batch).expect("appended");
        }
    }
    for shard in 0..2 {
        let mut reader = Client::connect_to_shard(broker.address(), shard);
        for index in 0..2 {
            let stored = reader.fetch_all(partition(topic, index), 0);
            assert_eq!(stored.len(), batches.len());
            for (stored, sent) in stored.iter().zip(&batches) {
                assert!(producers_part(stored) == producers_part(sent));
            }
        }
    }
    broker.stop();
}

#[test]
fn a_deleted_topic_takes_its_files_with_it() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 2));
    let mut client = Client::connect(broker.address());
    let topic = client.create("numbers", 2);
    for number in 0..100 {
        for index in 0..2 {
            client.append(partition(topic, index), &batch(number, 50_000)).expect("appended");
        }
    }
    let topic_dir = dir.path().join("topics").join(topic.to_string());
    common::eventually("segments are written", || topic_dir.join("1").is_dir());
    client.delete(topic);
    assert_eq!(client.topics(), 0);
    let removed = dir.path().join("removed");
    let is_empty = || std::fs::read_dir(&removed).expect("readable").next().is_none();
    common::eventually("files are gone", || !topic_dir.exists() && is_empty());
    assert!(client.append(partition(topic, 0), &batch(1, 10)).is_err());
    broker.stop();
}
