//! File ranges reach the socket byte for byte, however slowly it is read and however many read.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Client, file_body, flushed_body, partition};
use common::dir::TestDir;
use common::{Broker, eventually, settings};
use corelog_engine::id::{TopicId, TopicPartition};
use corelog_os::file::{self, Access, Existence};
use corelog_os::pagecache;

const LEN: usize = 24 << 20;

/// A segment that no core knows of; a file is a file.
fn make_file(dir: &TestDir) -> (TopicPartition, Vec<u8>) {
    let topic = TopicId([9; 16]);
    let bytes: Vec<u8> =
        (0..LEN as u64).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let partition = partition(topic, 0);
    let path = segment(dir, partition);
    fs::create_dir_all(path.parent().expect("a directory's file")).expect("a directory");
    fs::write(path, &bytes).expect("a file");
    (partition, bytes)
}

fn segment(dir: &TestDir, partition: TopicPartition) -> PathBuf {
    let place = dir.path().join("topics").join(partition.topic.to_string()).join("0");
    place.join("00000000000000000000.log")
}

/// A file of which nothing is in memory.
fn make_cold_file(dir: &TestDir) -> (TopicPartition, Vec<u8>) {
    let made = make_file(dir);
    let file = fs::File::open(segment(dir, made.0)).expect("a file");
    file.sync_all().expect("on the disk");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("out of memory");
    made
}

#[test]
fn ranges_are_sent_whole_from_any_position() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let (partition, bytes) = make_file(&dir);
    let mut client = Client::connect(broker.address());
    let ranges = [
        (0, LEN),
        (1, 65_535),
        (1, 65_536),
        (4095, 2),
        (4096, 4096),
        (12_345, 3 << 20),
        (LEN - 65_536, 65_536),
        (LEN - 10, 10),
    ];
    for (at, len) in ranges {
        let sent = client.ask(&file_body(partition, 0, at as u64, len as u64)).expect("sent");
        assert!(sent == bytes[at..at + len], "{at} {len}");
    }
}

#[test]
fn only_what_is_read_again_goes_through_the_page_cache() {
    // Odd sizes: ranges begin and end anywhere in the chunks that are read.
    const PIECE: u64 = 1_000_003;
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let (partition, bytes) = make_cold_file(&dir);
    let path = segment(&dir, partition);
    let file = file::open(&path, Access::Read, Existence::Present).expect("a file");
    let cached =
        || (0..LEN as u64).step_by(PIECE as usize).filter(|at| pagecache::holds(&file, *at, 1));
    let mut client = Client::connect(broker.address());
    // What is still in chunks of memory, 8 MiB of the 24, is not read again.
    for all in [0..=1, 15..=30, 15..=30] {
        for at in (0..LEN as u64).step_by(PIECE as usize) {
            let len = PIECE.min(LEN as u64 - at);
            let body = flushed_body(partition, 0, [at, len, LEN as u64]);
            let sent = client.ask(&body).expect("sent");
            assert!(sent == bytes[at as usize..(at + len) as usize], "{at}");
        }
        // The last chunk of a file that does not end with one is never read past the page cache.
        assert!(all.contains(&cached().count()), "{} cached, {all:?}", cached().count());
    }
}

#[test]
fn many_readers_of_what_is_on_the_disk_get_everything() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let (partition, bytes) = make_cold_file(&dir);
    let address = broker.address();
    let whole = &bytes;
    // More readers than chunks, each of its own part.
    thread::scope(|scope| {
        for reader in 0..24 {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for piece in 0..10 {
                    let at = reader * (LEN as u64 / 24) + piece * 100_001;
                    let body = flushed_body(partition, 0, [at, 100_001, LEN as u64]);
                    let sent = client.ask(&body).expect("sent");
                    assert!(sent == whole[at as usize..][..100_001], "{reader} {piece}");
                }
            });
        }
    });
}

#[test]
fn a_slow_reader_gets_everything_and_holds_up_nobody() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let (partition, bytes) = make_file(&dir);
    let address = broker.address();
    let whole = file_body(partition, 0, 0, LEN as u64);
    // Far more slow readers than a shard has pipes.
    let slow: Vec<_> = (0..60)
        .map(|_| {
            let mut client = Client::connect(address);
            client.send(&whole);
            client
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    let mut quick = Client::connect(address);
    assert!(quick.ask(&whole).expect("sent") == bytes);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    let mut slow = slow.into_iter();
    let mut patient = slow.next().expect("sixty");
    let mut received = Vec::new();
    let mut chunk = vec![0; 300_000];
    while received.len() < LEN + 5 {
        let count = patient.stream.read(&mut chunk).expect("more");
        assert!(count > 0, "closed after {}", received.len());
        received.extend_from_slice(&chunk[..count]);
        thread::sleep(Duration::from_millis(4));
    }
    assert!(received[5..] == bytes);
    // The others go away amid their answers.
    drop(slow);
    assert!(quick.ask(&whole).expect("sent") == bytes);
    broker.stop();
}

#[test]
fn an_answer_that_cannot_be_completed_closes_the_connection() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let (partition, _) = make_file(&dir);
    for (base, at, len) in [
        (0, LEN - 10, 100_000),
        (0, LEN - 10, 11),
        (0, LEN + 10_000_000, 100_000),
        (1, 0, 10),
        (1, 0, 100_000),
    ] {
        let mut client = Client::connect(broker.address());
        client.send(&file_body(partition, base, at as u64, len));
        assert!(client.try_receive().is_err(), "{base} {at} {len}");
    }
}

#[test]
fn a_reader_that_goes_away_lets_go_of_the_file() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let (partition, _) = make_file(&dir);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Client::connect(broker.address());
            client.send(&file_body(partition, 0, 0, LEN as u64));
            client.stream.read_exact(&mut [0; 5]).expect("it has begun");
            client
        })
        .collect();
    let connections = || connections(broker.address());
    assert_eq!(connections(), 20);
    drop(clients);
    eventually("connections are closed", || connections() == 0);
    let mut client = Client::connect(broker.address());
    assert_eq!(client.echo(b"x"), b"x");
    broker.stop();
}

/// Connections that the broker has not closed, as the kernel sees them: a closed one may linger for
/// the peer's sake, but has no owner any more.
fn connections(address: SocketAddr) -> usize {
    let local = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("proc");
    let owned = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (at, peer) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (state, inode) = (words.next().unwrap_or_default(), words.nth(5).unwrap_or_default());
        let ours = at.ends_with(&local) && state != "0A" && inode != "0";
        ours.then(|| peer.to_owned())
    };
    // The kernel may list one twice when others come and go meanwhile.
    table.lines().skip(1).filter_map(owned).collect::<BTreeSet<_>>().len()
}
