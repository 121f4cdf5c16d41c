//! Whose directory it is, and who may not have it.

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use common::dir::TestDir;
use common::{Broker, settings};
use corelog_drive::{RunError, Settings};

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
    edit(&meta, "corelog.format=1", "corelog.format=9");
    let error = refused(settings(dir.path(), 1));
    assert!(matches!(error, RunError::NewerFormat { found: 9, known: 1, .. }), "{error}");
    edit(&meta, "corelog.format=9\n", "version=1\n");
    assert!(matches!(refused(settings(dir.path(), 1)), RunError::NotOurs { .. }));
    fs::remove_file(&meta).expect("removable");
    assert!(matches!(refused(settings(dir.path(), 1)), RunError::NotOurs { .. }));
    fs::write(&meta, original).expect("writable");
    Broker::start(settings(dir.path(), 1)).stop();
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
