//! Every error that can be made here has words and a remedy.

use std::io;
use std::path::PathBuf;

use corelog_drive::{Obstacle, RunError};
use corelog_engine::boot::BootRefusal;
use corelog_engine::boot::effect::JournalFile;
use corelog_engine::id::ShardId;
use corelog_engine::journal::commit::Seq;
use corelog_engine::journal::scan::Damage;
use corelog_engine::manifest::record::Broken;

use super::of_run;

fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EADDRINUSE: i32 = 98;
const EADDRNOTAVAIL: i32 = 99;
const EIO: i32 = 5;

/// The only refusal of `error` says `what`, and what to do.
fn check(error: &RunError, what: &str, remedy: &str) {
    let refusals = of_run(error);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals[0].what.contains(what), "{} lacks {what}", refusals[0]);
    assert!(refusals[0].remedy.contains(remedy), "{} lacks {remedy}", refusals[0]);
}

#[test]
fn hosts() {
    for (obstacle, what, remedy) in [
        (Obstacle::IoUringMissing, "no io_uring", "Linux 6.1"),
        (Obstacle::IoUringDisabled { level: 1 }, "io_uring_disabled is 1", "io_uring_group"),
        (Obstacle::IoUringDisabled { level: 2 }, "io_uring_disabled is 2", "sysctl -w"),
        (Obstacle::IoUringForbidden, "seccomp", "seccomp=unconfined"),
        (Obstacle::IoUringTooOld, "too old", "Linux 6.1"),
        (Obstacle::OperationMissing { name: "IORING_OP_SPLICE" }, "_SPLICE", "Linux 6.1"),
        (Obstacle::IoUringFailed(os(12)), "Cannot allocate memory", "RLIMIT_MEMLOCK"),
        (Obstacle::DirectWritesRefused { directory: "/d".into() }, "of /d does not", "tmpfs"),
        (
            Obstacle::DirectoryUnusable { directory: "/d".into(), error: os(EACCES) },
            "/d: Permission denied",
            "chown",
        ),
    ] {
        check(&RunError::Preflight(vec![obstacle]), what, remedy);
    }
}

#[test]
fn every_obstacle_is_told() {
    let obstacles = vec![Obstacle::IoUringTooOld, Obstacle::IoUringForbidden];
    assert_eq!(of_run(&RunError::Preflight(obstacles)).len(), 2);
}

#[test]
fn directories() {
    let path = || PathBuf::from("/d/meta.properties");
    let found = || "AAAAAAAAAAAAAAAAAAAAAQ".to_owned();
    for (error, what, remedy) in [
        (RunError::NoCores, "no core", "`cores`"),
        (
            RunError::DirectoryInUse { path: "/d".into(), pid: Some(812) },
            "/d is in use by process 812",
            "`kill 812`",
        ),
        (RunError::DirectoryInUse { path: "/d".into(), pid: None }, "/d is in use", "container"),
        (RunError::StillWriting { path: "/d/j".into() }, "/d/j is still", "few seconds"),
        (
            RunError::ForeignCluster { path: path(), configured: "x".into(), found: found() },
            "meta.properties belongs to cluster AAAAAAAAAAAAAAAAAAAAAQ, and `cluster.id` is x",
            "set `cluster.id` to AAAAAAAAAAAAAAAAAAAAAQ",
        ),
        (
            RunError::ForeignNode { path: path(), configured: 2, found: 7 },
            "belongs to node 7, and `node.id` is 2",
            "`node.id` to 7",
        ),
        (
            RunError::NewerFormat { path: path(), found: 3, known: 1 },
            "in format 3; this one knows 1",
            "newer Corelog",
        ),
        (
            RunError::DirectoryMissing { path: "/d/journal".into(), meta: path() },
            "/d/journal is missing, though /d/meta.properties is there",
            "restore the whole data directory",
        ),
        (
            RunError::NotOurs { path: path(), why: "no corelog.format" },
            "/d/meta.properties does not say that this is a directory of Corelog: no corelog.f",
            "Kafka",
        ),
    ] {
        check(&error, what, remedy);
    }
}

#[test]
fn addresses() {
    for (address, code, what, remedy) in [
        ("127.0.0.1:9092", EADDRINUSE, "cannot listen on 127.0.0.1:9092", "`ss -ltnp 'sport = :90"),
        ("192.0.2.1:9092", EADDRNOTAVAIL, "192.0.2.1:9092", "`ip address`"),
        ("[::1]:80", EACCES, "[::1]:80", "below 1024"),
        ("[::1]:9092", EACCES, "[::1]:9092", "another address"),
    ] {
        let address = address.parse().expect("an address");
        check(&RunError::Bind { address, error: os(code) }, what, remedy);
    }
}

#[test]
fn files() {
    for (code, what, remedy) in [
        (EACCES, "creating /d: Permission denied", "chown"),
        (ENOSPC, "creating /d: No space", "`df -h`"),
        (EROFS, "Read-only", "mount"),
        (ENOTDIR, "Not a directory", "in the way"),
        (EIO, "Input/output error", "dmesg"),
    ] {
        let error = RunError::Io { path: "/d".into(), doing: "creating", error: os(code) };
        check(&error, what, remedy);
    }
}

#[test]
fn recoveries() {
    let near = Some((JournalFile { shard: ShardId(1), slot: 2 }, 8192));
    let damage = Damage { seq: Seq(7), durable: Seq(9), near };
    let manifest = |broken| BootRefusal::Manifest { shard: ShardId(0), broken };
    for (refusal, what, remedy) in [
        (BootRefusal::Io("Input/output error".into()), "recovery: Input/output", "dmesg"),
        (
            BootRefusal::Journal { shard: ShardId(1), damage },
            "journal of shard 1 is damaged: commit 7",
            "copy the directory",
        ),
        (
            BootRefusal::JournalFile {
                file: JournalFile { shard: ShardId(0), slot: 3 },
                expected: 8192,
                found: None,
            },
            "the journal file journal/s0-3.journal is missing",
            "put it back",
        ),
        (
            BootRefusal::JournalFile {
                file: JournalFile { shard: ShardId(0), slot: 3 },
                expected: 8192,
                found: Some(4096),
            },
            "journal/s0-3.journal is 4096 bytes long and was made with 8192",
            "nothing was changed",
        ),
        (
            BootRefusal::NoManifests { settled: 7, found: None },
            "there is no manifest in manifest/, though start 7 had written manifest/7-s0.manifest",
            "mount the volume",
        ),
        (
            BootRefusal::NoManifests { settled: 0, found: None },
            "though the directory holds data",
            "mount the volume",
        ),
        (manifest(Broken::Newer { format: 2 }), "format 2", "newer Corelog"),
        (manifest(Broken::NoHeader), "shard 0", "copy the directory"),
        (BootRefusal::Metadata("no such topic".into()), "no such topic", "copy the directory"),
    ] {
        check(&RunError::Refused(refusal), what, remedy);
    }
}
