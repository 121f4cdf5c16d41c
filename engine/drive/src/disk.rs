//! The shard's own ring: journal writes, aligned reads, and waiting: for sockets, and for the bell
//! of the shard's mailbox. The shard sleeps in it.
//!
//! The loop and the tasks of a shard share it, one at a time. Operations are queued here and handed
//! to the kernel together, by the loop, at the latest when it goes to sleep, which is one system
//! call with it.

mod reads;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corelog_engine::log::SegmentId;
use corelog_engine::shard::effect::{ReadFile, WriteJournal};
use corelog_engine::shard::event::{EffectId, Event, Outcome};
use corelog_os::SharedFd;
use corelog_os::cpu::CoreId;
use corelog_os::ring::{Completion, Op, Readiness, Ring, WorkerLimits, WriteBuf};

use crate::bulk::Removed;
use crate::failure::{NOT_WHOLE, failure};
use crate::layout::Layout;
use crate::mesh::Mailbox;
use crate::oneshot::{Receiver, Sender, channel};
pub(crate) use reads::{FileKind, ReadError};
use reads::{Opening, Read, Reads};

/// Entries of the ring's submission queue; more may be in flight.
const RING_ENTRIES: u32 = 64;

/// Kernel threads for this thread's rings: reads that find an inode locked, files to be opened.
const WORKERS: WorkerLimits = WorkerLimits { bounded: 4, unbounded: 2 };

/// What an operation in flight is for.
enum Work {
    Journal {
        id: EffectId,
        len: usize,
    },
    Open(Opening),
    Read(Read),
    Ready(Sender<io::Result<()>>),
    /// The mailbox's bell has rung.
    Bell,
}

/// A shard's disk. Stays on the shard's thread.
pub(crate) struct Disk {
    ring: Ring<Work>,
    journals: Vec<Option<SharedFd>>,
    reads: Reads,
    /// Picked up from the ring and not yet looked at.
    completed: VecDeque<Completion<Work>>,
    mailbox: Arc<Mailbox>,
}

impl Disk {
    /// A disk for the present thread, which sleeps in it. The directory's lock lasts as long as
    /// what is written. Its reads in flight may have so many bytes of buffers.
    pub(crate) fn new(
        layout: Layout,
        lock: &SharedFd,
        cores: &[CoreId],
        mailbox: Arc<Mailbox>,
        reads: usize,
    ) -> io::Result<Disk> {
        let mut ring = Ring::new(RING_ENTRIES)?;
        ring.hold(lock)?;
        ring.limit_workers(WORKERS)?;
        ring.place_workers(cores)?;
        let (journals, completed) = (Vec::new(), VecDeque::new());
        let reads = Reads::new(layout, reads);
        let mut disk = Disk { ring, journals, reads, completed, mailbox };
        disk.listen();
        Ok(disk)
    }

    fn listen(&mut self) {
        let fd = self.mailbox.bell().descriptor();
        self.submit(Op::Poll { fd, until: Readiness::Readable }, Work::Bell);
    }

    /// From now on commits may go to this journal file.
    pub(crate) fn set_journal(&mut self, slot: u16, file: SharedFd) {
        let slot = usize::from(slot);
        if self.journals.len() <= slot {
            self.journals.resize(slot + 1, None);
        }
        self.journals[slot] = Some(file);
    }

    /// Queues a commit.
    ///
    /// # Panics
    /// When its file was not set: the core uses no slot that was not reported formatted.
    pub(crate) fn write_journal(&mut self, write: WriteJournal) {
        let WriteJournal { id, slot, at, bytes } = write;
        let file = self.journals.get(usize::from(slot)).and_then(Option::clone);
        let file = file.expect("a formatted journal file is open");
        let len = bytes.len();
        self.submit(Op::Write { file, at, from: WriteBuf::Slab(bytes) }, Work::Journal { id, len });
    }

    /// Queues a read of the core's.
    pub(crate) fn read_file(&mut self, read: ReadFile) {
        let ReadFile { id, segment, at, len } = read;
        let ops = self.reads.start_for_core(segment, at, len as usize, id);
        self.submit_all(ops);
    }

    /// Reads part of a file of the direct kind for a task; shorter only at the end of the file.
    pub(crate) fn read(
        &mut self,
        file: SharedFd,
        at: u64,
        len: usize,
    ) -> Receiver<Result<Bytes, ReadError>> {
        let (sender, receiver) = channel();
        let ops = self.reads.start(file, at, len, sender);
        self.submit_all(ops);
        receiver
    }

    /// Opens a segment for reading, or finds it open.
    pub(crate) fn open(
        &mut self,
        segment: SegmentId,
        kind: FileKind,
    ) -> Receiver<Result<SharedFd, ReadError>> {
        let (sender, receiver) = channel();
        let op = self.reads.open(segment, kind, sender);
        self.submit_all(op);
        receiver
    }

    /// Resolves when the descriptor is ready for it, or failed, or was hung up.
    pub(crate) fn ready(&mut self, fd: SharedFd, until: Readiness) -> Receiver<io::Result<()>> {
        let (sender, receiver) = channel();
        self.submit(Op::Poll { fd, until }, Work::Ready(sender));
        receiver
    }

    /// Closes what is removed, as soon as nobody reads it.
    pub(crate) fn forget(&mut self, removed: Removed) {
        self.reads.forget(removed);
    }

    /// Whether [`complete`](Self::complete) has something to do.
    pub(crate) fn has_completed(&mut self) -> bool {
        self.completed.extend(self.ring.completions());
        !self.completed.is_empty()
    }

    /// Hands the kernel what is queued; no system call if nothing is.
    ///
    /// # Errors
    /// When the kernel refuses for good. Nothing can be promised then.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.ring.flush()
    }

    /// Hands the kernel what is queued and sleeps until something has completed, the bell has rung,
    /// or the time is over.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub(crate) fn sleep(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.ring.wait(limit)
    }

    /// Looks at what has completed; what concerns the core becomes events.
    pub(crate) fn complete(&mut self, events: &mut Vec<Event>) {
        self.completed.extend(self.ring.completions());
        while let Some(completion) = self.completed.pop_front() {
            let Completion { payload, op, result, opened, .. } = completion;
            match payload {
                Work::Journal { id, len } => {
                    events.push(Event::Done(id, journal_outcome(result, len)));
                }
                Work::Open(opening) => {
                    let opened = result.map(|_| opened);
                    let reads = self.reads.opened(opening, opened, events);
                    self.submit_all(reads);
                }
                Work::Read(read) => {
                    let more = self.reads.done(read, op, result, events);
                    self.submit_all(more);
                }
                Work::Ready(sender) => sender.send(result.map(|_| ())),
                Work::Bell => {
                    self.mailbox.bell().silence();
                    self.listen();
                }
            }
        }
    }

    fn submit_all(&mut self, ops: Vec<(Op, Work)>) {
        for (op, work) in ops {
            self.submit(op, work);
        }
    }

    fn submit(&mut self, op: Op, work: Work) {
        self.ring.submit(op, work);
    }
}

/// A commit is on disk whole, or it is not.
fn journal_outcome(result: io::Result<u32>, len: usize) -> Outcome {
    match result {
        Ok(count) if count as usize == len => Outcome::Done,
        Ok(_) => Outcome::Failed(NOT_WHOLE),
        Err(error) => Outcome::Failed(failure(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::shard::event::Failure;

    #[test]
    fn a_commit_is_written_whole_or_has_failed() {
        let rows = [
            (Ok(4096), None),
            (Ok(0), Some(NOT_WHOLE)),
            (Ok(8192), Some(NOT_WHOLE)),
            (Err(io::Error::from_raw_os_error(28)), Some(Failure::Full)),
            (Err(io::Error::from_raw_os_error(5)), Some(Failure::Io(5))),
        ];
        for (result, expected) in rows {
            let said = format!("{result:?}");
            match (journal_outcome(result, 4096), expected) {
                (Outcome::Done, None) => {}
                (Outcome::Failed(failure), Some(expected)) => assert_eq!(failure, expected),
                (outcome, _) => panic!("{said}: {outcome:?}"),
            }
        }
    }
}
