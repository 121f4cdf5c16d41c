//! File ranges to sockets through pipes, inside the kernel.
//!
//! A pipe is filled only for a socket that is writable now. What a slow socket leaves in it goes
//! out later, but not much later: then the pipe is closed, for others to have one, and the range is
//! spliced again from where the socket has got to.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use corelog_engine::id::Instant;
use corelog_os::ring::{Op, Readiness, Ring};
use corelog_os::splice::{PipePair, PipePool, Progress};
use corelog_os::{SharedFd, net};

use super::Work;
use crate::clock::Clock;
use crate::oneshot::Sender;

/// Bytes that one pipe is made to hold: what an ordinary user may have.
pub(crate) const PIPE_BYTES: usize = 1 << 20;

/// Milliseconds that a pipe may wait for a socket that takes nothing.
const PIPE_PATIENCE_MS: u64 = 20;

/// A range to be sent.
pub(crate) struct Splice {
    pub(crate) file: SharedFd,
    /// Bytes from the start of the file.
    pub(crate) at: u64,
    /// Behind the last byte.
    pub(crate) end: u64,
    /// O_NONBLOCK.
    pub(crate) socket: SharedFd,
    /// Raised by every byte that the socket has taken.
    pub(crate) progress: Arc<AtomicU64>,
    /// Told when all of it is sent, or why not.
    pub(crate) done: Sender<Result<(), SpliceError>>,
}

/// Why a range was not sent whole.
#[derive(Debug)]
pub(crate) enum SpliceError {
    /// The file is shorter than the range.
    FileEnded,
    /// The file could not be read, or the socket is closed.
    Io(io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Waiting until the socket is writable.
    Polling,
    /// Waiting for its turn to have a pipe.
    Queueing,
    /// File to pipe.
    Filling,
    /// Pipe to socket.
    Draining,
}

struct Job {
    splice: Splice,
    pipe: Option<PipePair>,
    /// Bytes in the pipe.
    held: u64,
    step: Step,
    /// The wait that the present poll belongs to.
    wait: u64,
}

/// All splices of a shard.
pub(super) struct Splices {
    jobs: Vec<Option<Job>>,
    free: Vec<usize>,
    pool: PipePool,
    /// Pipes that may still be taken.
    pipes: usize,
    queue: VecDeque<usize>,
    waits: u64,
    /// Jobs that keep bytes in a pipe while they wait for the socket, by when that must end.
    patience: VecDeque<(Instant, usize, u64)>,
    clock: Clock,
}

impl Splices {
    /// With at most so many pipes at a time.
    pub(super) fn new(pipes: usize, clock: Clock) -> Splices {
        Splices {
            jobs: Vec::new(),
            free: Vec::new(),
            pool: PipePool::new(PIPE_BYTES, pipes),
            pipes,
            queue: VecDeque::new(),
            waits: 0,
            patience: VecDeque::new(),
            clock,
        }
    }

    pub(super) fn start(&mut self, splice: Splice, ring: &mut Ring<Work>) {
        let job = Job { splice, pipe: None, held: 0, step: Step::Polling, wait: 0 };
        let number = self.free.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        self.jobs[number] = Some(job);
        self.fill_when_writable(number, ring);
    }

    /// Asks at once, for free; waits for the socket only when it must.
    fn fill_when_writable(&mut self, number: usize, ring: &mut Ring<Work>) {
        let writable = |job: &Job| net::is_writable(&job.splice.socket);
        if self.jobs[number].as_ref().is_some_and(writable) {
            self.fill(number, ring);
        } else {
            self.poll(number, ring);
        }
    }

    /// The step of a job has ended.
    pub(super) fn complete(
        &mut self,
        number: usize,
        result: io::Result<u32>,
        ring: &mut Ring<Work>,
    ) {
        let Some(job) = &mut self.jobs[number] else { return };
        match (job.step, Progress::from(result)) {
            (Step::Polling, Progress::Moved(_)) if job.held > 0 => self.drain(number, ring),
            (Step::Polling, Progress::Moved(_)) => self.fill(number, ring),
            (Step::Filling, Progress::Moved(count)) => {
                job.held = u64::from(count.get());
                self.drain(number, ring);
            }
            (Step::Filling, Progress::Ended) => self.end(number, Err(SpliceError::FileEnded), ring),
            (Step::Draining, Progress::Moved(count)) => {
                let count = u64::from(count.get());
                job.held -= count;
                job.splice.at += count;
                job.splice.progress.fetch_add(count, Ordering::Relaxed);
                self.drained(number, ring);
            }
            (Step::Draining, Progress::Blocked) => self.drained(number, ring),
            (_, Progress::Failed(error)) => {
                self.end(number, Err(SpliceError::Io(error)), ring);
            }
            (_, Progress::Blocked | Progress::Cancelled | Progress::Ended)
            | (Step::Queueing, _) => {
                let error = io::Error::from(io::ErrorKind::Interrupted);
                self.end(number, Err(SpliceError::Io(error)), ring);
            }
        }
    }

    /// Closes the pipes whose sockets have taken nothing for too long.
    pub(super) fn expire(&mut self, now: Instant, ring: &mut Ring<Work>) {
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
                self.pipe_is_free(ring);
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
            self.patience.push_back((
                self.clock.instant().plus_ms(PIPE_PATIENCE_MS),
                number,
                job.wait,
            ));
        }
        let fd = job.splice.socket.clone();
        ring.submit(Op::Poll { fd, until: Readiness::Writable }, Work::Splice(number));
    }

    /// Fills a pipe, as soon as there is one for this job.
    fn fill(&mut self, number: usize, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        if self.pipes == 0 {
            job.step = Step::Queueing;
            return self.queue.push_back(number);
        }
        let pipe = match self.pool.take() {
            Ok(pipe) => pipe,
            Err(error) => return self.end(number, Err(SpliceError::Io(error)), ring),
        };
        self.pipes -= 1;
        job.step = Step::Filling;
        let left = job.splice.end - job.splice.at;
        let op = Op::SpliceIn {
            file: job.splice.file.clone(),
            at: job.splice.at,
            pipe: pipe.write_end(),
            len: left.min(pipe.capacity() as u64) as u32,
        };
        job.pipe = Some(pipe);
        ring.submit(op, Work::Splice(number));
    }

    fn drain(&mut self, number: usize, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        let Some(pipe) = &job.pipe else { return };
        job.step = Step::Draining;
        let (pipe, socket) = (pipe.read_end(), job.splice.socket.clone());
        let op = Op::SpliceOut { pipe, socket, len: job.held as u32 };
        ring.submit(op, Work::Splice(number));
    }

    /// The socket has taken what it takes for now.
    fn drained(&mut self, number: usize, ring: &mut Ring<Work>) {
        let Some(job) = &mut self.jobs[number] else { return };
        if job.held > 0 {
            return self.poll(number, ring);
        }
        if job.splice.at == job.splice.end {
            return self.end(number, Ok(()), ring);
        }
        if let Some(pipe) = job.pipe.take() {
            self.return_pipe(pipe, ring);
        }
        self.fill_when_writable(number, ring);
    }

    fn end(&mut self, number: usize, result: Result<(), SpliceError>, ring: &mut Ring<Work>) {
        let Some(job) = self.jobs[number].take() else { return };
        self.free.push(number);
        if let Some(pipe) = job.pipe {
            self.return_pipe(pipe, ring);
        }
        job.splice.done.send(result);
    }

    fn return_pipe(&mut self, pipe: PipePair, ring: &mut Ring<Work>) {
        self.pool.give_back(pipe);
        self.pipe_is_free(ring);
    }

    /// Whoever waits longest gets it. Its socket was writable when it queued; a wrong guess costs
    /// one step.
    fn pipe_is_free(&mut self, ring: &mut Ring<Work>) {
        self.pipes += 1;
        if let Some(number) = self.queue.pop_front() {
            self.fill(number, ring);
        }
    }
}
