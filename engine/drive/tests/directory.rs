//! Whose directory it is, and who may not have it.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Client, batch, partition};
use common::dir::TestDir;
use common::{Broker, eventually, settings};
use corelog_drive::{RunError, Settings};
use corelog_engine::id::TopicId;
use corelog_engine::manifest::record::{Record, decode};

fn refused(settings: Settings) -> RunError {
    match Broker::try_start(settings) {
        Ok(_) => panic!("it must not start"),
        Err(error) => error,
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("readable");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).expect("writable");
}

#[test]
fn a_second_broker_is_refused_and_told_who_has_it() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    match refused(settings(dir.path(), 1)) {
        RunError::DirectoryInUse { path, pid } => {
            assert_eq!((path.as_path(), pid), (dir.path(), Some(std::process::id())));
        }
        other => panic!("{other}"),
    }
    broker.stop();
    Broker::start(settings(dir.path(), 1)).stop();
}

#[test]
fn a_directory_belongs_to_one_cluster_and_one_node() {
    let dir = TestDir::new();
    let mut ours = settings(dir.path(), 1);
    ours.cluster_id = Some([3; 16]);
    let broker = Broker::start(ours.clone());
    assert_eq!(broker.ready.identity.cluster_id, [3; 16]);
    assert_eq!(broker.ready.identity.start, 1);
    broker.stop();

    let mut other = ours.clone();
    other.cluster_id = Some([4; 16]);
    assert!(matches!(refused(other), RunError::ForeignCluster { .. }));
    let mut other = ours.clone();
    other.node_id = 2;
    let error = refused(other);
    assert!(matches!(error, RunError::ForeignNode { configured: 2, found: 1, .. }), "{error}");

    let mut any = ours;
    any.cluster_id = None;
    let broker = Broker::start(any);
    assert_eq!(broker.ready.identity.cluster_id, [3; 16]);
    assert_eq!(broker.ready.identity.start, 2, "refusals are no starts");
    broker.stop();
}

#[test]
fn what_is_newer_or_not_ours_is_left_alone() {
    let dir = TestDir::new();
    Broker::start(settings(dir.path(), 1)).stop();
    let meta = dir.path().join("meta.properties");
    let original = fs::read_to_string(&meta).expect("readable");
    edit(&meta, "corelog.format=2", "corelog.format=9");
    let error = refused(settings(dir.path(), 1));
    assert!(matches!(error, RunError::NewerFormat { found: 9, known: 2, .. }), "{error}");
    edit(&meta, "corelog.format=9\n", "version=1\n");
    assert!(matches!(refused(settings(dir.path(), 1)), RunError::NotOurs { .. }));
    fs::remove_file(&meta).expect("removable");
    assert!(matches!(refused(settings(dir.path(), 1)), RunError::NotOurs { .. }));
    fs::write(&meta, original).expect("writable");
    Broker::start(settings(dir.path(), 1)).stop();
}

/// Every file of a directory with its bytes, but for the lock.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(contents(&path));
            all.insert(path, None);
        } else if !path.ends_with("lock") {
            let bytes = fs::read(&path).expect("readable");
            all.insert(path, Some(bytes));
        }
    }
    all
}

/// A directory that a broker has left, with the batches of its topic.
fn left(end: fn(Broker)) -> (TestDir, TopicId) {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let mut client = Client::connect(broker.address());
    let topic = client.create("numbers", 1);
    for number in 0..20 {
        client.append(partition(topic, 0), &batch(number, 1000)).expect("appended");
    }
    let named = || {
        let manifest = fs::read(dir.path().join("manifest/1-s0.manifest")).expect("readable");
        let records = decode(&manifest).unwrap_or_default();
        records.iter().filter(|record| matches!(record, Record::Journal { .. })).count() == 4
    };
    eventually("all journal files are named", named);
    end(broker);
    (dir, topic)
}

const ENDS: [fn(Broker); 2] = [Broker::stop, Broker::crash];

#[test]
fn what_is_missing_is_named_and_nothing_is_touched() {
    let remove = |path: &Path| {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.expect("removed");
    };
    let empty = |path: &Path| {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("readable");
            entries.for_each(|entry| remove(&entry.expect("an entry").path()));
        } else {
            fs::write(path, []).expect("written");
        }
    };
    let shorter = |path: &Path| {
        let file = File::options().write(true).open(path).expect("opened");
        let len = file.metadata().expect("facts").len();
        file.set_len(len / 2).expect("cut");
    };
    type Loss<'a> = &'a dyn Fn(&Path);
    let rows: [(&[&str], Loss<'_>, &str); 13] = [
        (&["journal"], &remove, "journal is missing"),
        (&["manifest"], &remove, "manifest is missing"),
        (&["topics"], &remove, "topics is missing"),
        (&["rescue"], &remove, "rescue is missing"),
        (&["journal", "manifest"], &remove, "journal is missing"),
        (&["journal"], &empty, "journal/s0-0.journal is missing"),
        (&["manifest"], &empty, "there is no manifest"),
        (&["journal", "manifest"], &empty, "there is no manifest"),
        (&["journal/s0-2.journal"], &remove, "journal/s0-2.journal is missing"),
        (&["journal/s0-3.journal"], &shorter, "journal/s0-3.journal is 4194304 bytes long"),
        (&["meta.properties"], &remove, "meta.properties"),
        (&["meta.properties"], &empty, "meta.properties"),
        (&["meta.properties"], &shorter, "meta.properties"),
    ];
    for (paths, loss, told) in rows {
        for end in ENDS {
            let (dir, _) = left(end);
            paths.iter().for_each(|path| loss(&dir.path().join(path)));
            let before = contents(dir.path());
            let error = refused(settings(dir.path(), 1)).to_string();
            assert!(error.contains(told), "{paths:?}: {error}");
            assert!(contents(dir.path()) == before, "{paths:?}: something was changed");
        }
    }
}

#[test]
fn what_is_no_matter_is_made_anew() {
    type Loss<'a> = &'a dyn Fn(&Path, &Path);
    let older = |dir: &Path, copy: &Path| {
        fs::copy(copy, dir.join("meta.properties")).expect("copied");
    };
    let longer = |name: &'static str| {
        move |dir: &Path, _: &Path| {
            let file = File::options().append(true).open(dir.join(name));
            file.and_then(|mut file| file.write_all(b"more\n")).expect("appended");
        }
    };
    let (longer_meta, longer_lock) = (longer("meta.properties"), longer("lock"));
    let rows: [(&str, Loss<'_>); 6] = [
        ("an older meta.properties", &older),
        ("a longer meta.properties", &longer_meta),
        ("a longer lock", &longer_lock),
        ("no lock", &|dir, _| fs::remove_file(dir.join("lock")).expect("removed")),
        ("no orphans/", &|dir, _| fs::remove_dir(dir.join("orphans")).expect("removed")),
        ("no removed/", &|dir, _| fs::remove_dir_all(dir.join("removed")).expect("removed")),
    ];
    for (name, loss) in rows {
        let (dir, topic) = left(Broker::stop);
        let copy = TestDir::new();
        let copy = copy.path().join("copy");
        fs::copy(dir.path().join("meta.properties"), &copy).expect("copied");
        for _ in 0..2 {
            Broker::start(settings(dir.path(), 1)).stop();
        }
        loss(dir.path(), &copy);
        let broker = Broker::start(settings(dir.path(), 1));
        assert_eq!(broker.ready.identity.start, 4, "{name}: no number is given twice");
        let mut client = Client::connect(broker.address());
        let stored = client.fetch_all(partition(topic, 0), 0);
        assert_eq!(stored.len(), 20, "{name}");
        broker.stop();
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let dir = TestDir::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut settings = settings(dir.path(), 2);
    settings.listen = vec![taken.local_addr().expect("bound")];
    match refused(settings.clone()) {
        RunError::Bind { address, .. } => assert_eq!(address, settings.listen[0]),
        other => panic!("{other}"),
    }
    // A broker's port too, though its sockets let others share it.
    let other_dir = TestDir::new();
    let broker = Broker::start(common::settings(other_dir.path(), 2));
    settings.listen = vec![broker.address()];
    assert!(matches!(refused(settings.clone()), RunError::Bind { .. }));
    settings.listen = vec!["127.0.0.1:0".parse().expect("address"); 2];
    let broker = Broker::start(settings);
    assert_ne!(broker.ready.addresses[0], broker.ready.addresses[1]);
    assert!(broker.ready.addresses.iter().all(|address| address.port() != 0));
    broker.stop();
}

#[test]
fn no_cores_is_no_run() {
    let dir = TestDir::new();
    assert!(matches!(refused(settings(dir.path(), 0)), RunError::NoCores));
}

#[test]
fn a_start_waits_for_what_a_dead_process_has_in_flight() {
    let dir = TestDir::new();
    Broker::start(settings(dir.path(), 1)).stop();
    // A process that has ended, and something that still holds its lock, as a ring would.
    let lock = File::options().write(true).open(dir.path().join("lock")).expect("there");
    let mut locking = Command::new("flock");
    locking.args(["-n", "0"]).stdin(lock.try_clone().expect("open"));
    assert!(locking.status().expect("flock(1)").success());
    drop(locking);
    let waited = thread::spawn(move || {
        thread::sleep(Duration::from_secs(4));
        drop(lock);
    });
    let began = Instant::now();
    Broker::start(settings(dir.path(), 1)).stop();
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
    waited.join().expect("no panic");
}
