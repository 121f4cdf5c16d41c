//! The thread of a shard that moves many bytes: segment writes, responses that hold file
//! ranges, index files.
//! It has a ring of its own, so that what waits for an inode or a slow disk holds back no journal
//! write; it opens files and makes directories, so it may block.

mod chunks;
mod deliveries;
mod segments;

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use corelog_engine::id::{Instant, ShardId, TopicPartition};
use corelog_engine::log::SegmentId;
use corelog_engine::shard::effect::{ReadIndex, WriteSegment};
use corelog_engine::shard::event::Outcome;
use corelog_os::SharedFd;
use corelog_os::cpu::{CoreId, pin_current_thread};
use corelog_os::ring::{Completion, Op, Readiness, Ring, WorkerLimits};
use crossbeam_queue::SegQueue;

use crate::abort::AbortOnPanic;
use crate::bell::Bell;
use crate::clock::Clock;
use crate::error::{IoContext, RunError};
use crate::failure::failure;
use crate::layout::Layout;
use crate::mesh::{Letter, Mailbox};
use crate::written::Written;
pub(crate) use chunks::{CHUNK, FileRange};
use chunks::{Chunk, Chunks};
use deliveries::Deliveries;
pub(crate) use deliveries::{Delivery, DeliveryError, Part};
use segments::{Segments, Write};

/// Entries of the ring's submission queue; more may be in flight.
const RING_ENTRIES: u32 = 64;

/// Kernel threads for this thread's ring: extending writes of as many segments as the core has in
/// flight, and as many splices.
const WORKERS: WorkerLimits = WorkerLimits { bounded: 4, unbounded: 8 };

/// Orders taken in before completions are looked at again.
const ORDERS: usize = 64;

/// What a bulk thread works with.
pub(crate) struct BulkSetup {
    pub(crate) shard: ShardId,
    pub(crate) layout: Layout,
    /// The directory's lock, which lasts as long as this thread's writes.
    pub(crate) lock: SharedFd,
    /// Where this thread and the kernel's threads behind it may run.
    pub(crate) cores: Vec<CoreId>,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) written: Arc<Written>,
    /// Pipes that this shard may have at a time.
    pub(crate) pipes: usize,
    /// Chunks of files that it may have in memory.
    pub(crate) chunks: usize,
}

/// What is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    Segment(SegmentId),
    Partition(TopicPartition),
}

impl Removed {
    pub(crate) fn covers(self, segment: SegmentId) -> bool {
        match self {
            Removed::Segment(removed) => removed == segment,
            Removed::Partition(removed) => removed == segment.partition,
        }
    }
}

enum Order {
    Write(WriteSegment),
    Deliver(Delivery),
    ReadIndex(ReadIndex),
    /// Forget files; the channel is told once no write to them is in flight.
    Forget(Removed, SyncSender<()>),
    Stop,
}

struct Orders {
    queue: SegQueue<Order>,
    bell: Bell,
}

/// The way to a shard's bulk thread, from any thread.
#[derive(Clone)]
pub(crate) struct Bulk(Arc<Orders>);

impl Bulk {
    /// Starts the thread.
    pub(crate) fn start(setup: BulkSetup) -> Result<(Bulk, JoinHandle<()>), RunError> {
        let path = setup.layout.root().to_path_buf();
        let bell = Bell::new().context("making an eventfd for", &path)?;
        let bulk = Bulk(Arc::new(Orders { queue: SegQueue::new(), bell }));
        let (told, outcome) = mpsc::channel();
        let (orders, name) = (bulk.clone(), format!("corelog-bulk-{}", setup.shard.0));
        let mailbox = setup.mailbox.clone();
        let run = move || {
            let _abort = AbortOnPanic;
            match Worker::new(setup, orders) {
                Ok(worker) => {
                    // Whoever started this thread waits for it.
                    let _ = told.send(Ok(()));
                    if let Err(error) = worker.run() {
                        mailbox.deliver(Letter::Broken(error));
                    }
                }
                Err(error) => {
                    let _ = told.send(Err(error));
                }
            }
        };
        let thread = thread::Builder::new().name(name).spawn(run);
        let thread = thread.context("starting a thread for", &path)?;
        let started = outcome.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        started.context("making a ring for", path)?;
        Ok((bulk, thread))
    }

    pub(crate) fn write(&self, write: WriteSegment) {
        self.order(Order::Write(write));
    }

    pub(crate) fn read_index(&self, read: ReadIndex) {
        self.order(Order::ReadIndex(read));
    }

    pub(crate) fn deliver(&self, delivery: Delivery) {
        self.order(Order::Deliver(delivery));
    }

    /// Forgets the descriptors of what is removed, and waits for the writes to it.
    pub(crate) fn forget(&self, removed: Removed) {
        let (sender, done) = sync_channel(1);
        self.order(Order::Forget(removed, sender));
        // An error means that the thread has ended, and its writes with it.
        let _ = done.recv();
    }

    /// Ends the thread once the writes in flight are complete.
    pub(crate) fn stop(&self) {
        self.order(Order::Stop);
    }

    fn order(&self, order: Order) {
        self.0.queue.push(order);
        self.0.bell.ring();
    }
}

/// What an operation in flight is for.
enum Work {
    /// An order has come while the thread slept.
    Wake,
    Write(Write),
    /// The next step of a delivery, by its number.
    Deliver(usize),
    /// A chunk is read for deliveries.
    Chunk(Chunk),
}

struct Worker {
    orders: Bulk,
    ring: Ring<Work>,
    segments: Segments,
    deliveries: Deliveries,
    clock: Clock,
    layout: Layout,
    mailbox: Arc<Mailbox>,
    /// Waits for the last write to what is removed.
    forgetting: Vec<(Removed, SyncSender<()>)>,
    ending: bool,
}

impl Worker {
    fn new(setup: BulkSetup, orders: Bulk) -> io::Result<Worker> {
        pin_current_thread(&setup.cores)?;
        let mut ring = Ring::new(RING_ENTRIES)?;
        ring.hold(&setup.lock)?;
        ring.limit_workers(WORKERS)?;
        ring.place_workers(&setup.cores)?;
        listen(&mut ring, orders.0.bell.descriptor());
        Ok(Worker {
            orders,
            ring,
            segments: Segments::new(
                setup.layout.clone(),
                setup.mailbox.clone(),
                setup.written,
                setup.clock,
            ),
            deliveries: Deliveries::new(
                setup.pipes,
                Chunks::new(setup.layout.clone(), setup.chunks),
                setup.clock,
            ),
            clock: setup.clock,
            layout: setup.layout,
            mailbox: setup.mailbox,
            forgetting: Vec::new(),
            ending: false,
        })
    }

    /// Works until it is told to end.
    ///
    /// # Errors
    /// When the kernel takes no operations any more.
    fn run(mut self) -> io::Result<()> {
        while !(self.ending && self.segments.in_flight() == 0) {
            for _ in 0..ORDERS {
                let Some(order) = self.orders.0.queue.pop() else { break };
                self.take(order);
            }
            let now = self.clock.instant();
            self.deliveries.pace(self.segments.are_written(now));
            self.complete();
            self.deliveries.expire(now);
            self.deliveries.go_on(&mut self.ring);
            self.answer_forgets();
            self.sleep()?;
        }
        Ok(())
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Write(write) => self.segments.start(write, &mut self.ring),
            Order::Deliver(delivery) => self.deliveries.start(delivery),
            Order::ReadIndex(ReadIndex { id, segment }) => {
                let outcome = match fs::read(self.layout.index(segment)) {
                    Ok(bytes) => Outcome::Read(Bytes::from(bytes)),
                    Err(error) => Outcome::Failed(failure(&error)),
                };
                self.mailbox.deliver(Letter::Done(id, outcome));
            }
            Order::Forget(removed, done) => {
                self.segments.forget(removed);
                self.deliveries.forget(removed);
                self.forgetting.push((removed, done));
            }
            Order::Stop => self.ending = true,
        }
    }

    fn complete(&mut self) {
        let completions: Vec<_> = self.ring.completions().collect();
        for completion in completions {
            let Completion { payload, op, result, .. } = completion;
            match payload {
                Work::Wake => {
                    self.orders.0.bell.silence();
                    listen(&mut self.ring, self.orders.0.bell.descriptor());
                }
                Work::Write(write) => {
                    drop(op);
                    self.segments.complete(write, result, &mut self.ring);
                }
                Work::Deliver(number) => {
                    // With the operation goes its hold on the pipe.
                    drop(op);
                    self.deliveries.complete(number, result);
                }
                Work::Chunk(chunk) => {
                    self.deliveries.arrived(chunk, op, result, &mut self.ring);
                }
            }
        }
    }

    fn answer_forgets(&mut self) {
        let segments = &self.segments;
        self.forgetting.retain(|(removed, done)| {
            let writing = segments.is_writing(*removed);
            if !writing {
                // Nobody waits any more when the files thread has ended.
                let _ = done.send(());
            }
            writing
        });
    }

    /// Hands what is queued to the kernel and sleeps until something has happened.
    fn sleep(&mut self) -> io::Result<()> {
        self.orders.0.bell.arm();
        let settled = self.ending && self.segments.in_flight() == 0;
        let idle = self.orders.0.queue.is_empty() && !self.deliveries.are_ready();
        let waited = if idle && !settled {
            let now = self.clock.instant();
            let until = |at: Instant| Duration::from_micros(at.0.saturating_sub(now.0));
            let limit = self.deliveries.next_expiry().map(until);
            self.ring.wait(limit)
        } else {
            self.ring.flush()
        };
        self.orders.0.bell.disarm();
        waited
    }
}

fn listen(ring: &mut Ring<Work>, wake: SharedFd) {
    ring.submit(Op::Poll { fd: wake, until: Readiness::Readable }, Work::Wake);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::testdir::TestDir;
    use corelog_os::cpu::allowed_cores;
    use corelog_os::file::{self, Access, Existence};
    use corelog_os::lock::{LockError, Patience, lock_exclusive};

    const ONCE: Patience = Patience { tries: 1, pause: Duration::ZERO };
    const PATIENT: Patience = Patience { tries: 500, pause: Duration::from_millis(10) };

    /// Whether the lock of a directory lasts as long as what is made with it, after its descriptor.
    fn outlasts<T>(make: impl FnOnce(&Layout, SharedFd) -> T, end: impl FnOnce(T)) -> bool {
        let dir = TestDir::new();
        let layout = Layout::new(dir.path());
        let open = |existence| file::open(&layout.lock(), Access::Write, existence).expect("open");
        let (ours, theirs) = (Arc::new(open(Existence::New)), open(Existence::Present));
        lock_exclusive(&*ours, ONCE).expect("free");
        let holder = make(&layout, ours);
        let held = matches!(lock_exclusive(&theirs, ONCE), Err(LockError::Held { .. }));
        end(holder);
        lock_exclusive(&theirs, PATIENT).expect("free");
        held
    }

    #[test]
    fn both_rings_of_a_shard_hold_the_directorys_lock() {
        let mailbox = Arc::new(Mailbox::new().expect("eventfd"));
        let cores = allowed_cores().expect("affinity");
        let disk = |layout: &Layout, lock: SharedFd| {
            Disk::new(layout.clone(), &lock, &cores, mailbox.clone(), 1 << 20).expect("a ring")
        };
        assert!(outlasts(disk, drop));
        let bulk = |layout: &Layout, lock: SharedFd| {
            Bulk::start(BulkSetup {
                shard: ShardId(0),
                layout: layout.clone(),
                lock,
                cores: cores.clone(),
                clock: Clock::start(),
                mailbox: mailbox.clone(),
                written: Arc::default(),
                pipes: 1,
                chunks: 1 << 20,
            })
            .expect("a thread")
        };
        let end = |(bulk, thread): (Bulk, JoinHandle<()>)| {
            bulk.stop();
            thread.join().expect("no panic");
        };
        assert!(outlasts(bulk, end));
    }
}
