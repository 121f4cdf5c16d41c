//! A run from beginning to end: take the directory, recover it, start the shards, wait for them.

use std::io;
use std::net::SocketAddr;
use std::num::TryFromIntError;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use corelog_engine::boot::{BootPlan, BootReport, Recovered};
use corelog_engine::id::ShardId;
use corelog_engine::journal::commit::Incarnation;
use corelog_engine::metadata::controller::Broker;
use corelog_engine::metadata::record::{BrokerId, DirectoryId};
use corelog_os::cpu::CoreId;
use corelog_os::heap::keep_freed_memory;
use corelog_os::preflight::{self, Needs};
use corelog_os::process::{Allowance, Limit};
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use crate::boot;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::error::{IoContext, RunError};
use crate::handle::{Identity, ShardHandle, random};
use crate::helpers::{HelperSetup, Helpers};
use crate::mesh::Mailbox;
use crate::net;
use crate::registry::Places;
use crate::service::Service;
use crate::settings::Settings;
use crate::shares::AnswerShares;
use crate::start::{Common, ShardParts, run_shard};
use crate::stop::Stop;
use crate::sweep::Sweeper;

/// Memory of an executor's own buffers. None of its file operations is on the data path, so the
/// least that it takes.
const EXECUTOR_MEMORY: usize = 64 << 10;

/// Entries of an executor's rings; more may be in flight.
const EXECUTOR_RING: usize = 32;

/// How often the executor interrupts its tasks to look at its own rings. They are of no use to us
/// (see [`crate::shard`]), and an interruption at the wrong moment sends it to sleep in them (see
/// [`crate::tasks`]).
const EXECUTOR_PATIENCE: Duration = Duration::from_secs(3600);

/// Bytes of locked memory for each shard: what the executor registers, and the rings.
const LOCKED_BYTES: u64 = 256 << 10;

/// Descriptors that each shard may have besides connections: segments, journals, rings, pipes.
const DESCRIPTORS: u64 = 1024;

/// Descriptors of a connection.
const OF_CONNECTION: u64 = 2;

/// A host that has not even so many connections to give is no host for a broker.
const FEWEST_CONNECTIONS: u64 = 64;

/// Recovery is done and every shard accepts connections.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Facts about the directory and the run.
    pub identity: Identity,
    /// What is listened on, port 0 resolved.
    pub addresses: Vec<SocketAddr>,
    /// What recovery found and did.
    pub report: BootReport,
    /// From the call of [`run`] until now.
    pub took: Duration,
}

/// Runs the broker until it has stopped; blocks the calling thread. `ready` is called once, when
/// every shard accepts connections.
///
/// # Errors
/// [`RunError`]: why it did not start, or why it could not go on.
pub fn run<S: Service>(
    settings: Settings,
    stop: Stop,
    ready: impl FnOnce(&Ready),
    service: impl Fn(ShardHandle) -> S + Clone + Send + 'static,
) -> Result<(), RunError> {
    let clock = Clock::start();
    keep_freed_memory();
    let cores = cores(&settings)?;
    let connections = check_host(&settings, cores.len())?;
    let directory = Directory::open(&settings)?;
    net::check_free(&settings.listen)?;
    let (layout, identity) = (directory.layout.clone(), directory.identity.clone());
    let sweeper = Sweeper::start(&layout, identity.start).context("reading", layout.removed())?;
    let plan = plan(&settings, &identity, directory.settled, clock);
    let Recovered { shards, image, report } = boot::recover(&directory, &sweeper, plan)?;

    let mut addresses = settings.listen.clone();
    let listeners = net::listen(&mut addresses, shards.len())?;
    let mailboxes = mailboxes(shards.len()).context("making eventfds for", layout.root())?;
    stop.watch(&mailboxes);
    let common = Common {
        layout: layout.clone(),
        lock: directory.lock.clone(),
        identity: Arc::new(identity.clone()),
        image,
        clock,
        mailboxes,
        stop: stop.clone(),
        together: Arc::default(),
        places: Arc::new(Places::new(connections)),
        cores: cores.clone(),
        record: settings.record.clone(),
        request_bytes: settings.request_bytes,
        work_bytes: settings.work_bytes,
        answers: AnswerShares::of(settings.answer_bytes),
        max_frame_bytes: settings.max_frame_bytes,
        idle_connection_ms: settings.idle_connection_ms,
    };
    let helper_setup = HelperSetup {
        layout,
        lock: directory.lock,
        sweeper: Arc::new(sweeper),
        cores,
        clock,
        journal_bytes: settings.limits.journal_file_bytes,
        start: identity.start,
        shards: shards.len(),
        chunks: common.answers.chunks,
    };
    let mut helpers = Helpers::default();
    let mut parts = Vec::new();
    for (setup, listeners) in shards.into_iter().zip(listeners) {
        let mailbox = &common.mailboxes[usize::from(setup.id.0)];
        let ways = helpers.start(&helper_setup, setup.id, mailbox)?;
        parts.push(ShardParts { common: common.clone(), setup, ways, listeners });
    }
    let ready = || ready(&Ready { identity, addresses, report, took: clock.running() });
    run_shards(parts, &settings.cores, &stop, ready, service)
}

fn mailboxes(shards: usize) -> io::Result<Arc<[Arc<Mailbox>]>> {
    (0..shards).map(|_| Mailbox::new().map(Arc::new)).collect()
}

fn cores(settings: &Settings) -> Result<Vec<CoreId>, RunError> {
    if settings.cores.is_empty() {
        return Err(RunError::NoCores);
    }
    let cores = settings.cores.iter().map(|core| u16::try_from(*core).map(CoreId));
    let cores: Result<Vec<_>, TryFromIntError> = cores.collect();
    cores.map_err(io::Error::other).context("reading the cores of", &settings.data_dir)
}

/// What a run of this many shards needs of the host; says how many connections it can have.
fn check_host(settings: &Settings, shards: usize) -> Result<usize, RunError> {
    // When it cannot be raised, what is enforced now is all there is.
    let limit = Limit::OpenFiles.raise().unwrap_or_else(|_| Limit::OpenFiles.current());
    let own = DESCRIPTORS * shards as u64;
    let needs = Needs {
        locked_memory: LOCKED_BYTES * shards as u64,
        open_files: own + FEWEST_CONNECTIONS * OF_CONNECTION,
    };
    let directory: &Path = &settings.data_dir;
    std::fs::create_dir_all(directory).context("creating", directory)?;
    let obstacles = preflight::obstacles(needs, &[directory]);
    if !obstacles.is_empty() {
        return Err(RunError::Preflight(obstacles));
    }
    let most = settings.max_connections;
    Ok(match limit {
        Allowance::Unlimited => most,
        Allowance::UpTo(files) => {
            let possible = (files - own) / OF_CONNECTION;
            most.min(usize::try_from(possible).unwrap_or(usize::MAX))
        }
    })
}

fn plan(settings: &Settings, identity: &Identity, settled: u32, clock: Clock) -> BootPlan {
    BootPlan {
        start: identity.start,
        settled,
        incarnations: settings.cores.iter().map(|_| Incarnation(random())).collect(),
        limits: settings.limits.clone(),
        defaults: settings.defaults.clone(),
        broker: Broker {
            id: BrokerId(identity.node_id),
            directory: DirectoryId(identity.directory_id),
        },
        now: clock.now().wall,
        features: settings.features.clone(),
    }
}

/// Runs the shards to their end. The first error is the run's.
fn run_shards<S: Service>(
    parts: Vec<ShardParts>,
    cores: &[usize],
    stop: &Stop,
    ready: impl FnOnce(),
    service: impl Fn(ShardHandle) -> S + Clone + Send + 'static,
) -> Result<(), RunError> {
    let (told, started) = channel();
    let mut executors = Vec::new();
    let mut result = Ok(());
    for (parts, core) in parts.into_iter().zip(cores) {
        match spawn(parts, *core, service.clone(), told.clone()) {
            Ok(executor) => executors.push(executor),
            Err(error) => result = result.and(Err(error)),
        }
    }
    drop(told);
    // Ends when every shard has told, or has ended without.
    result = started.into_iter().fold(result, Result::and);
    match &result {
        Ok(()) => ready(),
        Err(_) => stop.now(),
    }
    for executor in executors {
        let ended = executor.join().map_err(executor_error).and_then(|ended| ended);
        result = result.and(ended);
    }
    result
}

fn spawn<S: Service>(
    parts: ShardParts,
    core: usize,
    service: impl Fn(ShardHandle) -> S + Send + 'static,
    started: Sender<Result<(), RunError>>,
) -> Result<ExecutorJoinHandle<Result<(), RunError>>, RunError> {
    let ShardId(number) = parts.setup.id;
    LocalExecutorBuilder::new(Placement::Fixed(core))
        .name(&format!("corelog-{number}"))
        .io_memory(EXECUTOR_MEMORY)
        .ring_depth(EXECUTOR_RING)
        .preempt_timer(EXECUTOR_PATIENCE)
        .spawn(move || run_shard(parts, service, started))
        .map_err(executor_error)
}

fn executor_error(error: glommio::GlommioError<()>) -> RunError {
    let error = io::Error::other(error.to_string());
    RunError::Io { path: "executor".into(), doing: "running an", error }
}
