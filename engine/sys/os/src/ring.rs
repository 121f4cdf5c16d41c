//! An io_uring that owns what it lends to the kernel.
//!
//! [`Ring::submit`] moves an [`Op`], with its buffers and descriptors, and a payload of the
//! caller's into the ring's table, and they come back together in a [`Completion`]. In between
//! nobody can touch or free them, whatever happens to the future that waits. A ring that is dropped
//! cancels what is in flight and waits for it first: to have it carried out, take its completions
//! before.
//!
//! Nothing reaches the kernel before [`Ring::flush`] or [`Ring::wait`], and the kernel does nothing
//! for the ring while its thread runs. It lives on the thread that made it, which sleeps in
//! [`Ring::wait`]; to be woken by others it polls an [`EventFd`](crate::event::EventFd).

mod op;
mod table;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};

use crate::cpu::{self, CoreId};
pub use op::{Op, Readiness, SyncWhat, WriteBuf};
pub use table::Token;
use table::{Held, Table};

/// Marks entries whose completion concerns nobody: cancellations.
const UNOWNED: u64 = u64::MAX;

/// How long a dropped ring waits for the kernel without any progress, in rounds of [`DRAIN_ROUND`],
/// before it rather leaks the memory than frees what may still be written.
const DRAIN_ROUNDS: usize = 100;
const DRAIN_ROUND: Duration = Duration::from_millis(100);

/// How a sleep in the kernel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slept {
    UntilWoken,
    InVain,
}

/// What became of a submitted operation.
#[derive(Debug)]
pub struct Completion<T> {
    /// What [`Ring::submit`] answered.
    pub token: Token,
    /// What came with the operation.
    pub payload: T,
    /// The operation, with its buffers.
    pub op: Op,
    /// The count, as the [`Op`] documents it, or the kernel's error; ECANCELED after
    /// [`Ring::cancel`].
    pub result: io::Result<u32>,
    /// The descriptor of a successful [`Op::Open`].
    pub opened: Option<OwnedFd>,
}

/// Limits on the kernel threads that carry out what would block. They hold for all rings of the
/// thread together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerLimits {
    /// For work on regular files, whose duration is bounded.
    pub bounded: u32,
    /// For the rest: sockets and pipes, hence splicing.
    pub unbounded: u32,
}

/// An io_uring with its operations in flight; `T` is the caller's own per operation.
pub struct Ring<T> {
    uring: IoUring,
    table: Table<T>,
    /// Not yet in the submission queue.
    queued: VecDeque<squeue::Entry>,
    /// Completed, not yet handed out.
    finished: VecDeque<Completion<T>>,
    /// The kernel accepts submissions from the thread that made the ring, and no other.
    this_thread: PhantomData<*const ()>,
}

impl<T> Ring<T> {
    /// A ring for a thread that sleeps in [`Ring::wait`]. `entries` is the size of the submission
    /// queue; more may be in flight.
    ///
    /// # Errors
    /// ENOSYS, EPERM, ENOMEM or EINVAL when the kernel has no such ring for this process; see
    /// [`preflight`](crate::preflight).
    pub fn new(entries: u32) -> io::Result<Ring<T>> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().setup_submit_all();
        Ok(Ring {
            uring: builder.build(entries)?,
            table: Table::new(),
            queued: VecDeque::new(),
            finished: VecDeque::new(),
            this_thread: PhantomData,
        })
    }

    /// Operations submitted and not yet handed out by [`Ring::completions`].
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.table.len() + self.finished.len()
    }

    /// Takes an operation, to be handed to the kernel by the next [`Ring::flush`] or
    /// [`Ring::wait`]. Order among operations in flight is the kernel's choice.
    pub fn submit(&mut self, op: Op, payload: T) -> Token {
        let mut op = op;
        let mut vectors = Vec::new();
        let entry = op.entry(&mut vectors);
        let token = self.table.insert(Held { op, payload, vectors });
        self.queued.push_back(entry.user_data(token.0));
        token
    }

    /// Asks the kernel to give up an operation. It still completes, perhaps successfully; a token
    /// that has completed already is ignored.
    pub fn cancel(&mut self, token: Token) {
        let entry = opcode::AsyncCancel::new(token.0).build();
        self.queued.push_back(entry.user_data(UNOWNED));
    }

    /// Hands what is queued to the kernel; a system call only if there is something.
    ///
    /// When the kernel is short of resources the rest stays queued until the next call: call again
    /// after completions.
    ///
    /// # Errors
    /// When the kernel refuses and nothing in flight will free resources.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.fill_queue() > 0 {
            if let Err(error) = self.uring.submit() {
                let retry = self.after_refusal(error)?;
                if !retry {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Flushes, then sleeps until an operation has completed or the time is over; without a time
    /// limit and with nothing in flight it returns at once. It may end early: by a signal, or when
    /// a cancellation has been dealt with.
    ///
    /// # Errors
    /// As [`Ring::flush`].
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.sleep(limit).map(drop)
    }

    fn sleep(&mut self, limit: Option<Duration>) -> io::Result<Slept> {
        self.fill_queue();
        if !self.queued.is_empty() {
            self.flush()?;
        }
        self.reap();
        let nothing_to_come = limit.is_none() && self.table.len() == 0;
        if nothing_to_come || !self.finished.is_empty() {
            return self.flush().map(|()| Slept::UntilWoken);
        }
        let slept = match self.submit_and_sleep(limit) {
            Ok(_) => Slept::UntilWoken,
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => Slept::InVain,
            Err(error) => self.after_refusal(error).map(|_| Slept::InVain)?,
        };
        self.reap();
        Ok(slept)
    }

    /// What has completed. Reads memory shared with the kernel, and enters it only when the kernel
    /// says that it keeps completions back. What is not taken is kept for the next call.
    pub fn completions(&mut self) -> impl Iterator<Item = Completion<T>> + '_ {
        self.reap();
        std::iter::from_fn(|| self.finished.pop_front())
    }

    /// Limits the kernel's worker threads for this thread's rings.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn limit_workers(&self, limits: WorkerLimits) -> io::Result<()> {
        let mut counts = [limits.bounded, limits.unbounded];
        self.uring.submitter().register_iowq_max_workers(&mut counts)
    }

    /// Keeps an open file open for as long as the kernel works for this ring, also after the
    /// process has been killed: a lock on it ends only when nothing that was submitted is in flight
    /// any more. Once for each ring.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn hold(&mut self, file: impl AsFd) -> io::Result<()> {
        // A ring's table of files belongs to the ring and goes with it, behind its last operation.
        self.uring.submitter().register_files(&[file.as_fd().as_raw_fd()])
    }

    /// Says on which cores the kernel's worker threads of this thread's rings may run.
    ///
    /// # Errors
    /// InvalidInput for a core number out of range, or what the kernel says.
    pub fn place_workers(&self, cores: &[CoreId]) -> io::Result<()> {
        self.uring.submitter().register_iowq_aff(&cpu::kernel_mask(cores)?)
    }

    /// Moves queued entries into the submission queue as far as they fit; says how many it holds.
    fn fill_queue(&mut self) -> usize {
        let mut submission = self.uring.submission();
        while !submission.is_full() {
            let Some(entry) = self.queued.pop_front() else { break };
            // SAFETY: all that the entry points to is in the table, which moves no heap memory and
            // gives nothing back before the kernel has completed the operation.
            let pushed = unsafe { submission.push(&entry) };
            debug_assert!(pushed.is_ok(), "the queue was not full");
        }
        submission.len()
    }

    /// After a failed submission: `Ok(true)` to try again now, `Ok(false)` to leave it queued.
    fn after_refusal(&mut self, error: io::Error) -> io::Result<bool> {
        match error.raw_os_error() {
            Some(libc::EINTR) => Ok(true),
            Some(libc::EAGAIN | libc::EBUSY) => {
                let before = self.finished.len();
                self.reap();
                let unsent = self.queued.len() + self.uring.submission().len();
                match (self.finished.len() > before, self.table.len() > unsent) {
                    (true, _) => Ok(true),
                    (false, true) => Ok(false),
                    (false, false) => Err(error),
                }
            }
            _ => Err(error),
        }
    }

    fn submit_and_sleep(&self, limit: Option<Duration>) -> io::Result<usize> {
        let Some(limit) = limit else { return self.uring.submit_and_wait(1) };
        let limit = types::Timespec::from(limit);
        let arguments = types::SubmitArgs::new().timespec(&limit);
        self.uring.submitter().submit_with_args(1, &arguments)
    }

    /// Moves what the kernel has completed from its queue, and from behind its queue, to ours.
    fn reap(&mut self) {
        self.drain_queue();
        while self.kernel_keeps_completions() && self.fetch_completions().is_ok() {
            let before = self.finished.len();
            self.drain_queue();
            // The flag is raised after the work is queued, so it can be raised for work that has
            // been done meanwhile, and then stays up until there is more.
            if self.finished.len() == before {
                break;
            }
        }
    }

    fn drain_queue(&mut self) {
        for entry in self.uring.completion() {
            if let Some(held) = self.table.take(Token(entry.user_data())) {
                self.finished.push_back(Completion::new(held, &entry));
            }
        }
    }

    fn kernel_keeps_completions(&mut self) -> bool {
        let submission = self.uring.submission();
        submission.taskrun() || submission.cq_overflow()
    }

    fn fetch_completions(&self) -> io::Result<usize> {
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: submits nothing and passes no argument; only runs what the kernel deferred.
        unsafe { self.uring.submitter().enter::<libc::sigset_t>(0, 0, flags, None) }
    }

    /// Gives back what the kernel has never seen.
    fn drop_queued(&mut self) {
        for entry in mem::take(&mut self.queued) {
            self.table.take(Token(entry.get_user_data()));
        }
    }

    fn cancel_all(&mut self) {
        let everything = types::CancelBuilder::any();
        let entry = opcode::AsyncCancel2::new(everything).build();
        self.queued.push_back(entry.user_data(UNOWNED));
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        self.drop_queued();
        self.cancel_all();
        let mut rounds = 0;
        while self.table.len() > 0 && rounds < DRAIN_ROUNDS {
            if !matches!(self.sleep(Some(DRAIN_ROUND)), Ok(Slept::UntilWoken)) {
                rounds += 1;
                self.cancel_all();
            }
            self.finished.clear();
        }
        if self.table.len() == 0 {
            // What is held is free at once, and not when the kernel comes round to it.
            let _ = self.uring.submitter().unregister_files();
        }
        mem::forget(mem::replace(&mut self.table, Table::new()));
    }
}

impl<T> Completion<T> {
    fn new(held: Held<T>, entry: &cqueue::Entry) -> Completion<T> {
        let Held { op, payload, vectors } = held;
        drop(vectors);
        let token = Token(entry.user_data());
        let result = match u32::try_from(entry.result()) {
            Ok(count) => Ok(count),
            Err(_) => Err(io::Error::from_raw_os_error(entry.result().wrapping_neg())),
        };
        match op {
            Op::Open { .. } => Self::of_open(token, payload, op, result),
            Op::Close(fd) => Self::of_close(token, payload, fd, result),
            _ => Completion { token, payload, op, result, opened: None },
        }
    }

    fn of_open(token: Token, payload: T, op: Op, result: io::Result<u32>) -> Completion<T> {
        // SAFETY: the kernel has just opened it for this operation, and nobody else knows it.
        let own = |fd: u32| unsafe { OwnedFd::from_raw_fd(fd.cast_signed()) };
        let (result, opened) = match result {
            Ok(fd) => (Ok(0), Some(own(fd))),
            Err(error) => (Err(error), None),
        };
        Completion { token, payload, op, result, opened }
    }

    /// The kernel closes a descriptor whatever it reports, unless the operation never ran; then
    /// dropping our handle closes it.
    fn of_close(token: Token, payload: T, fd: OwnedFd, result: io::Result<u32>) -> Completion<T> {
        let ran = !matches!(&result, Err(e) if e.raw_os_error() == Some(libc::ECANCELED));
        if ran {
            let _ = fd.into_raw_fd();
        }
        Completion { token, payload, op: Op::Nop, result, opened: None }
    }
}
