//! A broker of the driver's own, with a protocol of a few bytes, and a client for it.

#![allow(dead_code, reason = "each test file uses its part of it")]

pub(crate) mod client;
pub(crate) mod dir;
pub(crate) mod service;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corelog_drive::{Ready, RunError, Settings, Stop, run};
use corelog_engine::log::LogConfig;
use corelog_engine::shard::setup::ShardLimits;

use service::Tiny;

/// Settings that make rare things common: small files, small memory.
pub(crate) fn settings(dir: &Path, shards: usize) -> Settings {
    let cores = corelog_os::cpu::allowed_cores().expect("affinity");
    Settings {
        data_dir: dir.to_path_buf(),
        cores: (0..shards).map(|shard| usize::from(cores[shard % cores.len()].0)).collect(),
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        cluster_id: None,
        node_id: 1,
        limits: ShardLimits {
            journal_file_bytes: 8 << 20,
            dirty_bytes: 16 << 20,
            tail_bytes: 4 << 20,
            index_bytes: 4 << 10,
            disk_reserve: 64 << 20,
            ..ShardLimits::small()
        },
        request_bytes: 32 << 20,
        work_bytes: 8 << 20,
        answer_bytes: 8 << 20,
        max_frame_bytes: 8 << 20,
        max_connections: 1000,
        idle_connection_ms: 600_000,
        defaults: Arc::new(LogConfig::default()),
        features: Vec::new(),
        record: None,
    }
}

/// A broker in threads of this process. Stopped when dropped.
pub(crate) struct Broker {
    pub(crate) ready: Ready,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), RunError>>>,
}

impl Broker {
    pub(crate) fn start(settings: Settings) -> Broker {
        Broker::try_start(settings).expect("the broker starts")
    }

    pub(crate) fn try_start(settings: Settings) -> Result<Broker, RunError> {
        let stop = Stop::new();
        let (sender, receiver) = channel();
        let for_run = stop.clone();
        let thread = thread::spawn(move || {
            let ready = move |ready: &Ready| sender.send(ready.clone()).expect("the test waits");
            run(settings, for_run, ready, Tiny::new)
        });
        match receiver.recv() {
            Ok(ready) => Ok(Broker { ready, stop, thread: Some(thread) }),
            Err(_) => Err(thread.join().expect("no panic").expect_err("it was never ready")),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.ready.addresses[0]
    }

    pub(crate) fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Stops it gracefully.
    pub(crate) fn stop(mut self) {
        self.stop.request();
        self.join().expect("a graceful stop");
    }

    /// Waits until it has stopped for other reasons.
    pub(crate) fn wait(mut self) {
        self.join().expect("a graceful stop");
    }

    /// Stops it at once, as a crash would.
    pub(crate) fn crash(mut self) {
        self.stop.now();
        self.join().expect("a stop");
    }

    fn join(&mut self) -> Result<(), RunError> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().expect("no panic"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.now();
        let _ = self.join();
    }
}

/// Waits for something that is about to happen.
pub(crate) fn eventually(what: &str, holds: impl FnMut() -> bool) {
    within(Duration::from_secs(10), what, holds);
}

pub(crate) fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < limit, "not in {limit:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
