//! Responses that hold file ranges, to their sockets: memory by sends, file ranges through pipes,
//! inside the kernel.
//!
//! What is in the page cache moves at once, on this thread. What is not is read in chunks past it
//! ([`super::chunks`]), or else by the kernel's workers, into the pipe. A pipe is filled only for a
//! socket that is writable now. What a slow socket leaves in it goes out later, but not much later:
//! then the pipe is closed, for others to have one, and the range is spliced again from where the
//! socket has got to.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use corelog_engine::id::Instant;
use corelog_os::net::{self, Rest};
use corelog_os::ring::{Op, Readiness, Ring};
use corelog_os::splice::{self, PipePair, PipePool, Progress};
use corelog_os::{SharedFd, pagecache};

use super::chunks::{Arrived, Chunk, Chunks, FileRange, Found};
use super::{Removed, Work};
use crate::clock::Clock;
use crate::oneshot::Sender;
use crate::pulse::ENOUGH;

/// Bytes that one pipe is made to hold: what an ordinary user may have.
pub(crate) const PIPE_BYTES: usize = 1 << 20;

/// Bytes of a file that are looked up at a time when the page cache holds only some of a range.
const PROBE: u32 = 128 << 10;

/// Bytes of a file that are read at a time.
const READ: usize = 512 << 10;

/// Milliseconds that a pipe may wait for a socket that takes nothing.
const PIPE_PATIENCE_MS: u64 = 20;

/// Something to be sent.
pub(crate) enum Part {
    Memory(Bytes),
    /// The file is one to be read through the page cache.
    File {
        file: SharedFd,
        range: FileRange,
    },
}

/// Parts to be sent, one behind the other.
pub(crate) struct Delivery {
    pub(crate) parts: VecDeque<Part>,
    /// O_NONBLOCK.
    pub(crate) socket: SharedFd,
    /// Raised by every byte that the socket has taken, and by [`ENOUGH`] when the peer had to wait
    /// for the disk.
    pub(crate) progress: Arc<AtomicU64>,
    /// Told when all of it is sent, or why not.
    pub(crate) done: Sender<Result<(), DeliveryError>>,
}

/// Why a delivery was not sent whole.
#[derive(Debug)]
pub(crate) enum DeliveryError {
    /// The file is shorter than the range.
    FileEnded,
    /// The file could not be read.
    File(io::Error),
    /// The socket is closed.
    Socket(io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It can go on.
    Ready,
    /// Waiting until the socket is writable.
    Polling,
    /// Waiting for its turn to have a pipe.
    Queueing,
    /// The kernel reads, into the pipe or into a chunk.
    Filling,
}

struct Job {
    delivery: Delivery,
    pipe: Option<PipePair>,
    /// Bytes in the pipe.
    held: u64,
    step: Step,
    /// The wait that the present poll belongs to.
    wait: u64,
}

impl Job {
    /// What the socket has taken. The first part is let go of once it is gone.
    fn advance(&mut self, count: u64) {
        self.delivery.progress.fetch_add(count, Ordering::Relaxed);
        let over = match self.delivery.parts.front_mut() {
            Some(Part::Memory(bytes)) => {
                bytes.advance(count as usize);
                bytes.is_empty()
            }
            Some(Part::File { range, .. }) => {
                self.held = self.held.saturating_sub(count);
                range.at += count;
                range.at == range.end
            }
            None => false,
        };
        if over {
            self.delivery.parts.pop_front();
        }
    }

    /// Whether there is more than what is being sent now.
    fn rest(&self, sending: u64) -> Rest {
        let left = match self.delivery.parts.front() {
            Some(Part::File { range, .. }) => range.end - range.at,
            Some(Part::Memory(bytes)) => bytes.len() as u64,
            None => 0,
        };
        if self.delivery.parts.len() > 1 || left > sending { Rest::Follows } else { Rest::None }
    }
}

/// All deliveries of a shard.
pub(super) struct Deliveries {
    jobs: Vec<Option<Job>>,
    free: Vec<usize>,
    /// Those that can go on, each a step at a time.
    ready: VecDeque<usize>,
    pool: PipePool,
    /// Pipes that may still be taken.
    pipes: usize,
    queue: VecDeque<usize>,
    chunks: Chunks,
    waits: u64,
    /// Jobs that keep bytes in a pipe while they wait for the socket, by when that must end.
    patience: VecDeque<(Instant, usize, u64)>,
    clock: Clock,
}

impl Deliveries {
    /// With at most so many pipes at a time.
    pub(super) fn new(pipes: usize, chunks: Chunks, clock: Clock) -> Deliveries {
        Deliveries {
            jobs: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            pool: PipePool::new(PIPE_BYTES, pipes),
            pipes,
            queue: VecDeque::new(),
            chunks,
            waits: 0,
            patience: VecDeque::new(),
            clock,
        }
    }

    pub(super) fn start(&mut self, delivery: Delivery) {
        let job = Job { delivery, pipe: None, held: 0, step: Step::Ready, wait: 0 };
        let number = self.free.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        self.jobs[number] = Some(job);
        self.ready.push_back(number);
    }

    /// Whether some can go on.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty() || (self.pipes > 0 && !self.queue.is_empty())
    }

    /// Takes every one that can go on one step further. Pipes that are free go to whoever waits
    /// longest, as far as their sockets are still writable.
    pub(super) fn go_on(&mut self, ring: &mut Ring<Work>) {
        let free = self.pipes.min(self.queue.len());
        for number in self.queue.drain(..free).collect::<Vec<_>>() {
            self.set_ready(number);
        }
        for number in std::mem::take(&mut self.ready) {
            self.go_on_with(number, ring);
        }
    }

    fn go_on_with(&mut self, number: usize, ring: &mut Ring<Work>) {
        let Some(job) = self.jobs[number].as_mut().filter(|job| job.step == Step::Ready) else {
            return;
        };
        match job.delivery.parts.front() {
            None => self.end(number, Ok(())),
            Some(_) if job.held > 0 => self.drain(number, ring),
            Some(Part::Memory(_)) => self.send(number, ring),
            // Asked for free; a pipe is not filled to stand and wait.
            Some(Part::File { .. }) if net::is_writable(&job.delivery.socket) => {
                self.fill(number, ring);
            }
            Some(Part::File { .. }) => self.poll(number, ring),
        }
    }

    fn set_ready(&mut self, number: usize) {
        if let Some(job) = &mut self.jobs[number] {
            job.step = Step::Ready;
            self.ready.push_back(number);
        }
    }

    /// An operation of a job has ended.
    pub(super) fn complete(&mut self, number: usize, result: io::Result<u32>) {
        let Some(job) = &mut self.jobs[number] else { return };
        match (job.step, Progress::from(result)) {
            (Step::Polling, Progress::Moved(_)) => self.set_ready(number),
            (Step::Filling, Progress::Moved(count)) => {
                job.held = u64::from(count.get());
                job.delivery.progress.fetch_add(ENOUGH, Ordering::Relaxed);
                self.set_ready(number);
            }
            (Step::Filling, Progress::Ended) => {
                self.end(number, Err(DeliveryError::FileEnded));
            }
            (Step::Filling, Progress::Failed(error)) => {
                self.end(number, Err(DeliveryError::File(error)));
            }
            (_, Progress::Failed(error)) => self.fail(number, error),
            (_, Progress::Blocked | Progress::Cancelled | Progress::Ended)
            | (Step::Queueing | Step::Ready, _) => {
                self.fail(number, io::ErrorKind::Interrupted.into());
            }
        }
    }

    /// A chunk has been read, or has not.
    pub(super) fn arrived(
        &mut self,
        chunk: Chunk,
        op: Op,
        result: io::Result<u32>,
        ring: &mut Ring<Work>,
    ) {
        let Arrived { askers, result } = self.chunks.complete(chunk, op, result, ring);
        for number in askers {
            match &result {
                Ok(()) => {
                    if let Some(job) = &self.jobs[number] {
                        job.delivery.progress.fetch_add(ENOUGH, Ordering::Relaxed);
                    }
                    self.set_ready(number);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.end(number, Err(DeliveryError::FileEnded));
                }
                Err(error) => {
                    let error = io::Error::new(error.kind(), error.to_string());
                    self.end(number, Err(DeliveryError::File(error)));
                }
            }
        }
    }

    /// Tells whether segments are written now.
    pub(super) fn pace(&mut self, writing: bool) {
        self.chunks.pace(writing);
    }

    /// Forgets files that are removed.
    pub(super) fn forget(&mut self, removed: Removed) {
        self.chunks.forget(removed);
    }

    /// Closes the pipes whose sockets have taken nothing for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((at, number, wait)) = self.patience.front().copied() {
            if at > now {
                return;
            }
            self.patience.pop_front();
            let job = self.jobs[number].as_mut();
            if let Some(job) = job.filter(|job| job.step == Step::Polling && job.wait == wait) {
                job.held = 0;
                // What the pipe holds is lost with it, and spliced again when the socket is ready.
                drop(job.pipe.take());
                self.pipes += 1;
            }
        }
    }

    /// When [`expire`](Self::expire) has something to do, if nothing else happens before.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.patience.front().map(|(at, ..)| *at)
    }

    fn poll(&mut self, number: usize, ring: &mut Ring<Work>) {
        self.waits += 1;
        let Some(job) = &mut self.jobs[number] else { return };
        (job.step, job.wait) = (Step::Polling, self.waits);
        if job.held > 0 {
            let until = self.clock.instant().plus_ms(PIPE_PATIENCE_MS);
            self.patience.push_back((until, number, job.wait));
        }
        let fd = job.delivery.socket.clone();
        ring.submit(Op::Poll { fd, until: Readiness::Writable }, Work::Deliver(number));
    }

    fn send(&mut self, number: usize, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        let Some(Part::Memory(bytes)) = job.delivery.parts.front() else { return };
        let rest = job.rest(bytes.len() as u64);
        let sent = net::send(&job.delivery.socket, bytes, rest);
        self.sent(number, sent, ring);
    }

    /// The socket has taken so much, or nothing.
    fn sent(&mut self, number: usize, sent: io::Result<usize>, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        match sent {
            Ok(count) => {
                job.advance(count as u64);
                self.set_ready(number);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.poll(number, ring),
            Err(error) => self.fail(number, error),
        }
    }

    /// Sends of a chunk that is here, or has somebody read: into a chunk or a pipe.
    fn fill(&mut self, number: usize, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        let Some(Part::File { file, range }) = job.delivery.parts.front() else { return };
        match self.chunks.find(range, number, ring) {
            Some(Found::Here(bytes)) => {
                let rest = job.rest(bytes.len() as u64);
                let sent = net::send(&job.delivery.socket, bytes, rest);
                self.sent(number, sent, ring);
            }
            Some(Found::Coming) => job.step = Step::Filling,
            None => match cached(file, range) {
                0 if self.chunks.read(range, number, ring) => job.step = Step::Filling,
                cached => self.fill_pipe(number, cached, ring),
            },
        }
    }

    /// Fills a pipe, as soon as there is one for this job; at once with what is cached.
    fn fill_pipe(&mut self, number: usize, cached: u32, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        let Some(Part::File { file, range }) = job.delivery.parts.front() else { return };
        if self.pipes == 0 {
            job.step = Step::Queueing;
            return self.queue.push_back(number);
        }
        let pipe = match self.pool.take() {
            Ok(pipe) => pipe,
            Err(error) => return self.end(number, Err(DeliveryError::File(error))),
        };
        self.pipes -= 1;
        job.delivery.progress.fetch_add(ENOUGH, Ordering::Relaxed);
        job.step = Step::Filling;
        if cached > 0 {
            let len = pipe.capacity().min(cached as usize);
            let filled = splice::fill(file, range.at, &pipe, len);
            job.pipe = Some(pipe);
            return self.complete(number, filled.map(|count| count as u32));
        }
        let len = (range.end - range.at).min(pipe.capacity().min(READ) as u64) as u32;
        let op = Op::SpliceIn { file: file.clone(), at: range.at, pipe: pipe.write_end(), len };
        job.pipe = Some(pipe);
        ring.submit(op, Work::Deliver(number));
    }

    fn drain(&mut self, number: usize, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        let Some(pipe) = &job.pipe else { return };
        let drained =
            splice::drain(pipe, &job.delivery.socket, job.held as usize, job.rest(job.held));
        match Progress::from(drained.map(|count| count as u32)) {
            Progress::Moved(count) => {
                job.advance(u64::from(count.get()));
                if job.held > 0 {
                    return self.poll(number, ring);
                }
                if let Some(pipe) = job.pipe.take() {
                    self.return_pipe(pipe);
                }
                self.set_ready(number);
            }
            Progress::Blocked => self.poll(number, ring),
            Progress::Failed(error) => self.fail(number, error),
            Progress::Ended | Progress::Cancelled => {
                self.fail(number, io::ErrorKind::Interrupted.into());
            }
        }
    }

    fn fail(&mut self, number: usize, error: io::Error) {
        self.end(number, Err(DeliveryError::Socket(error)));
    }

    fn end(&mut self, number: usize, result: Result<(), DeliveryError>) {
        let Some(job) = self.jobs[number].take() else { return };
        self.free.push(number);
        if let Some(pipe) = job.pipe {
            self.return_pipe(pipe);
        }
        job.delivery.done.send(result);
    }

    fn return_pipe(&mut self, pipe: PipePair) {
        self.pool.give_back(pipe);
        self.pipes += 1;
    }
}

/// How many bytes of a range can be read now, from its start on; no more than a pipe holds.
fn cached(file: &SharedFd, range: &FileRange) -> u32 {
    let len = (range.end - range.at).min(PIPE_BYTES as u64) as u32;
    if pagecache::holds(file, range.at, len) {
        return len;
    }
    let probes = (0..len).step_by(PROBE as usize).map(|start| (start, (start + PROBE).min(len)));
    let held = |(start, end): &(u32, u32)| {
        pagecache::holds(file, range.at + u64::from(*start), end - start)
    };
    probes.take_while(held).last().map_or(0, |(_, end)| end)
}
