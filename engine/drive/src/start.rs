//! A shard's beginning and end, on its own thread: its ring, its descriptors, its tasks, its loop.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use corelog_engine::boot::effect::JournalFile;
use corelog_engine::metadata::Image;
use corelog_engine::shard::Shard;
use corelog_engine::shard::setup::ShardSetup;
use corelog_os::SharedFd;
use corelog_os::cpu::CoreId;

use crate::abort::AbortOnPanic;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::ending::Together;
use crate::error::{IoContext, RunError};
use crate::files::open_journal;
use crate::handle::{Budgets, Desk, DeskSetup, Identity, ShardHandle};
use crate::helpers::Ways;
use crate::layout::Layout;
use crate::mesh::Mailbox;
use crate::net::{Net, scratch};
use crate::perform::Hands;
use crate::record::Recording;
use crate::registry::{Places, Registry};
use crate::service::Service;
use crate::shard::{ShardLoop, Turn};
use crate::shares::AnswerShares;
use crate::stall::Watch;
use crate::stop::Stop;
use crate::tasks::Tasks;
use crate::timers::Timers;

/// Rounds of the executor in which the tasks of ended connections come to their end.
const LAST_ROUNDS: usize = 1000;

/// What every shard starts with.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) layout: Layout,
    /// The directory's.
    pub(crate) lock: SharedFd,
    pub(crate) identity: Arc<Identity>,
    pub(crate) image: Arc<Image>,
    pub(crate) clock: Clock,
    /// Of all shards, in order.
    pub(crate) mailboxes: Arc<[Arc<Mailbox>]>,
    pub(crate) stop: Stop,
    pub(crate) together: Arc<Together>,
    pub(crate) places: Arc<Places>,
    /// Where the kernel's threads may run.
    pub(crate) cores: Vec<CoreId>,
    pub(crate) record: Option<Recording>,
    pub(crate) request_bytes: u64,
    pub(crate) work_bytes: u64,
    pub(crate) answers: AnswerShares,
    pub(crate) max_frame_bytes: u32,
    pub(crate) idle_connection_ms: u64,
}

impl Common {
    /// A shard's.
    fn budgets(&self) -> Budgets {
        Budgets {
            frames: Budget::new(self.request_bytes),
            work: Budget::new(self.work_bytes),
            records: Budget::new(self.answers.records),
            permits: Budget::new(0),
            shortages: Rc::default(),
        }
    }
}

/// What one shard starts with.
pub(crate) struct ShardParts {
    pub(crate) common: Common,
    pub(crate) setup: ShardSetup,
    pub(crate) ways: Ways,
    pub(crate) listeners: Vec<OwnedFd>,
}

/// Runs a shard to its end. `started` is told once it accepts, or why it does not.
pub(crate) async fn run_shard<S: Service>(
    parts: ShardParts,
    service: impl Fn(ShardHandle) -> S,
    started: Sender<Result<(), RunError>>,
) -> Result<(), RunError> {
    let _abort = AbortOnPanic;
    let (stop, layout) = (parts.common.stop.clone(), parts.common.layout.clone());
    let running = match prepare(parts, service) {
        Ok(running) => running,
        Err(error) => {
            // Whoever starts shards waits for this, and then ends the others.
            let _ = started.send(Err(error));
            return Ok(());
        }
    };
    let registry = running.net.registry.clone();
    let tasks = running.net.start();
    let _ = started.send(Ok(()));
    drop(started);
    let result = running.run().await;
    if result.is_err() {
        stop.now();
    }
    registry.end_all();
    for task in tasks {
        task.cancel().await;
    }
    for _ in 0..LAST_ROUNDS {
        if registry.is_empty() {
            break;
        }
        glommio::executor().yield_now().await;
    }
    result.context("driving the disk of", layout.root())
}

fn prepare<S: Service>(
    parts: ShardParts,
    service: impl Fn(ShardHandle) -> S,
) -> Result<ShardLoop<S>, RunError> {
    let ShardParts { common, setup, ways: Ways { bulk, files, work }, listeners } = parts;
    let budgets = common.budgets();
    let disk = Rc::new(RefCell::new(open_disk(&common, &setup)?));
    let Common { identity, image, clock, mailboxes, stop, together, places, .. } = common;
    let mailbox = mailboxes[usize::from(setup.id.0)].clone();
    let watch = Rc::new(Watch::new(setup.id, clock));
    let tasks = Rc::new(Tasks::new(mailbox.clone(), watch.clone()));
    let desk = Rc::new(Desk::new(DeskSetup {
        id: setup.id,
        shards: setup.shards,
        identity,
        clock,
        mailbox: mailbox.clone(),
        image,
        budgets: budgets.clone(),
        work: work.clone(),
        tasks: tasks.clone(),
    }));
    let service = Rc::new(service(ShardHandle::new(desk.clone())));
    let (budget, idle_ms) = (budgets.frames.clone(), common.idle_connection_ms);
    let timers = Rc::new(Timers::new(clock));
    let registry = Rc::new(Registry::new(places, budgets, clock, idle_ms, mailbox, timers.clone()));
    let net = Rc::new(Net {
        service: service.clone(),
        disk: disk.clone(),
        bulk: bulk.clone(),
        budget,
        registry,
        tasks: tasks.clone(),
        timers: timers.clone(),
        clock,
        max_frame_bytes: common.max_frame_bytes,
        listeners: listeners.into_iter().map(Arc::new).collect(),
        scratch: scratch(),
    });
    let hands =
        Hands { disk: disk.clone(), bulk, files, work, mailboxes, desk: desk.clone(), service };
    let turn = Turn::new(clock.instant());
    let recorder = common.record.map(|recording| recording.begin(&setup));
    let shard = Shard::new(setup);
    Ok(ShardLoop {
        shard,
        clock,
        desk,
        disk,
        hands,
        net,
        tasks,
        timers,
        stop,
        together,
        turn,
        recorder,
        watch,
    })
}

/// The shard's ring, with the journal files that it has.
fn open_disk(common: &Common, setup: &ShardSetup) -> Result<Disk, RunError> {
    let Common { layout, lock, cores, mailboxes, .. } = common;
    let mailbox = mailboxes[usize::from(setup.id.0)].clone();
    let disk = Disk::new(layout.clone(), lock, cores, mailbox, common.answers.reads);
    let mut disk = disk.context("making a ring for", layout.root())?;
    for slot in &setup.formatted {
        let journal = JournalFile { shard: setup.id, slot: slot.0 };
        let file = open_journal(layout, journal).context("opening", layout.journal(journal))?;
        disk.set_journal(slot.0, file);
    }
    Ok(disk)
}
