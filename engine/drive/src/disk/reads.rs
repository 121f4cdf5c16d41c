//! Reads of segments: files opened once and kept, ranges widened to whole blocks, memory bounded.

use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use corelog_engine::log::SegmentId;
use corelog_engine::shard::event::{EffectId, Event, Failure, Outcome};
use corelog_os::SharedFd;
use corelog_os::aligned::{AlignedBuf, BLOCK};
use corelog_os::file::{self, Access, Existence, OpenHow};
use corelog_os::ring::Op;

use super::Work;
use crate::aligned_bytes::{aligned_len, block_start, into_bytes};
use crate::bulk::Removed;
use crate::failure::{NOT_WHOLE, failure};
use crate::fd_cache::FdCache;
use crate::layout::Layout;
use crate::oneshot::Sender;

/// Descriptors kept open for the next read, of both kinds together.
const OPEN_FILES: usize = 256;

/// How a segment is read. Bytes that were written past the page cache are read past it, except by
/// the kernel on their way to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FileKind {
    /// To be read.
    Direct,
    /// To be spliced.
    Buffered,
}

/// Why a task's read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadError(pub(crate) Failure);

type Key = (SegmentId, FileKind);

/// Whom a read is for.
enum Asker {
    Core(EffectId),
    Task(Sender<Result<Bytes, ReadError>>),
}

/// A read, at whatever stage.
pub(super) struct Read {
    at: u64,
    len: usize,
    asker: Asker,
    /// Blocks that have come, when the kernel has stopped early.
    before: Vec<u8>,
}

/// An open in flight.
pub(super) struct Opening(Key);

#[derive(Default)]
struct Waiting {
    reads: Vec<Read>,
    tasks: Vec<Sender<Result<SharedFd, ReadError>>>,
    /// Whether the file was removed meanwhile; then its descriptor is not kept.
    removed: bool,
}

/// All reads of a shard. Its functions answer what is to be submitted.
pub(super) struct Reads {
    layout: Layout,
    files: FdCache<Key>,
    opening: HashMap<Key, Waiting>,
    in_flight: usize,
    /// Bytes of buffers that they may have; one read goes ahead however large.
    most: usize,
    queue: VecDeque<(Read, SharedFd)>,
}

impl Reads {
    pub(super) fn new(layout: Layout, most: usize) -> Reads {
        let (files, opening) = (FdCache::new(OPEN_FILES), HashMap::new());
        Reads { layout, files, opening, in_flight: 0, most, queue: VecDeque::new() }
    }

    pub(super) fn forget(&mut self, removed: Removed) {
        self.files.forget(|(segment, _)| removed.covers(segment));
        let opening = self.opening.iter_mut().filter(|((segment, _), _)| removed.covers(*segment));
        opening.for_each(|(_, waiting)| waiting.removed = true);
    }

    /// For a task, from a file of the direct kind.
    pub(super) fn start(
        &mut self,
        file: SharedFd,
        at: u64,
        len: usize,
        sender: Sender<Result<Bytes, ReadError>>,
    ) -> Vec<(Op, Work)> {
        let read = Read { at, len, asker: Asker::Task(sender), before: Vec::new() };
        self.queue.push_back((read, file));
        self.pump()
    }

    /// For the core.
    pub(super) fn start_for_core(
        &mut self,
        segment: SegmentId,
        at: u64,
        len: usize,
        id: EffectId,
    ) -> Vec<(Op, Work)> {
        let read = Read { at, len, asker: Asker::Core(id), before: Vec::new() };
        let key = (segment, FileKind::Direct);
        if let Some(file) = self.files.get(key) {
            self.queue.push_back((read, file));
            return self.pump();
        }
        self.wait_for(key, |waiting| waiting.reads.push(read))
    }

    pub(super) fn open(
        &mut self,
        segment: SegmentId,
        kind: FileKind,
        sender: Sender<Result<SharedFd, ReadError>>,
    ) -> Vec<(Op, Work)> {
        let key = (segment, kind);
        if let Some(file) = self.files.get(key) {
            sender.send(Ok(file));
            return Vec::new();
        }
        self.wait_for(key, |waiting| waiting.tasks.push(sender))
    }

    fn wait_for(&mut self, key: Key, join: impl FnOnce(&mut Waiting)) -> Vec<(Op, Work)> {
        if let Some(waiting) = self.opening.get_mut(&key) {
            join(waiting);
            return Vec::new();
        }
        join(self.opening.entry(key).or_default());
        let access = match key.1 {
            FileKind::Direct => Access::ReadDirect,
            FileKind::Buffered => Access::Read,
        };
        let how = OpenHow { access, existence: Existence::Present };
        let path = c_path(&self.layout.segment(key.0));
        vec![(Op::Open { directory: None, path, how }, Work::Open(Opening(key)))]
    }

    /// A file is open, or is not to be had.
    pub(super) fn opened(
        &mut self,
        Opening(key): Opening,
        result: io::Result<Option<OwnedFd>>,
        events: &mut Vec<Event>,
    ) -> Vec<(Op, Work)> {
        let Waiting { reads, tasks, removed } = self.opening.remove(&key).unwrap_or_default();
        let file = result.map_err(|error| failure(&error)).and_then(|fd| fd.ok_or(NOT_WHOLE));
        match file {
            Ok(file) => {
                // Read-ahead would be megabytes at a time, which others at the disk would wait for.
                if key.1 == FileKind::Buffered {
                    // If it cannot be advised it only reads more than it should.
                    let _ = file::read_nothing_ahead(&file);
                }
                let file = Arc::new(file);
                if !removed {
                    self.files.insert(key, file.clone());
                }
                tasks.into_iter().for_each(|task| task.send(Ok(file.clone())));
                self.queue.extend(reads.into_iter().map(|read| (read, file.clone())));
                self.pump()
            }
            Err(failure) => {
                tasks.into_iter().for_each(|task| task.send(Err(ReadError(failure))));
                reads.into_iter().for_each(|read| answer(read.asker, Err(failure), events));
                Vec::new()
            }
        }
    }

    /// A part of a read, usually all of it, is here.
    pub(super) fn done(
        &mut self,
        mut read: Read,
        op: Op,
        result: io::Result<u32>,
        events: &mut Vec<Event>,
    ) -> Vec<(Op, Work)> {
        let Op::Read { file, into, len, .. } = op else { return Vec::new() };
        self.in_flight -= into.len();
        match result {
            Err(error) => answer(read.asker, Err(failure(&error)), events),
            Ok(count) => {
                let count = count as usize;
                let at_end = count == 0 || !count.is_multiple_of(BLOCK);
                if count < len && !at_end {
                    // Short though it is not known to be the end: only the next read tells.
                    read.before.extend_from_slice(&into[..count]);
                    self.queue.push_front((read, file));
                } else {
                    let bytes = read.bytes(into, count);
                    answer(read.asker, Ok(bytes), events);
                }
            }
        }
        self.pump()
    }

    /// Starts what fits.
    fn pump(&mut self) -> Vec<(Op, Work)> {
        let mut ops = Vec::new();
        while let Some((read, _)) = self.queue.front() {
            let (at, len) = read.blocks_to_come();
            if self.in_flight > 0 && self.in_flight + len > self.most {
                break;
            }
            let Some((read, file)) = self.queue.pop_front() else { break };
            self.in_flight += len;
            let op = Op::Read { file, at, into: AlignedBuf::zeroed(len), len };
            ops.push((op, Work::Read(read)));
        }
        ops
    }
}

impl Read {
    /// Where whole blocks that are still missing start, and their bytes.
    fn blocks_to_come(&self) -> (u64, usize) {
        let whole = aligned_len(self.at, self.len);
        (block_start(self.at) + self.before.len() as u64, whole - self.before.len())
    }

    /// What was asked for, out of the blocks that have come.
    fn bytes(&mut self, last: AlignedBuf, count: usize) -> Bytes {
        let skip = (self.at - block_start(self.at)) as usize;
        if self.before.is_empty() {
            let end = (skip + self.len).min(count);
            return into_bytes(last, skip.min(end)..end);
        }
        let mut blocks = mem::take(&mut self.before);
        blocks.extend_from_slice(&last[..count]);
        let end = (skip + self.len).min(blocks.len());
        Bytes::from(blocks).slice(skip.min(end)..end)
    }
}

fn answer(asker: Asker, result: Result<Bytes, Failure>, events: &mut Vec<Event>) {
    match asker {
        Asker::Core(id) => events.push(Event::Done(
            id,
            match result {
                Ok(bytes) => Outcome::Read(bytes),
                Err(failure) => Outcome::Failed(failure),
            },
        )),
        Asker::Task(sender) => sender.send(result.map_err(ReadError)),
    }
}

/// # Panics
/// Never: the layout's names contain no zero byte, and a directory's path that does cannot be made.
fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path that exists has no zero byte")
}
