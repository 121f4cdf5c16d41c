//! What can be asked of the kernel, each operation owning all that the kernel will touch.

use std::ffi::CString;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

use corelog_mem::SlabSlice;
use io_uring::{opcode, squeue, types};
use libc::iovec;

use crate::SharedFd;
use crate::aligned::AlignedBuf;
use crate::file::OpenHow;

/// One operation. Lengths and positions are bytes; with O_DIRECT they, and the memory, are whole
/// blocks. A count may come back short: the caller decides what that means.
#[derive(Debug)]
pub enum Op {
    /// Nothing; completes with 0.
    Nop,
    /// Writes one buffer at a position. Counts bytes.
    Write {
        /// Where to.
        file: SharedFd,
        /// From the start of the file.
        at: u64,
        /// What.
        from: WriteBuf,
    },
    /// Writes several buffers, at most 1,024, one behind the other. Counts bytes.
    WriteVectored {
        /// Where to.
        file: SharedFd,
        /// From the start of the file.
        at: u64,
        /// What, in order.
        from: Vec<WriteBuf>,
    },
    /// Reads into the front of a buffer. Counts bytes; 0 is the end of the file.
    Read {
        /// Where from.
        file: SharedFd,
        /// From the start of the file.
        at: u64,
        /// Where to.
        into: AlignedBuf,
        /// How much at most; never more than the buffer.
        len: usize,
    },
    /// Makes what was written durable. Completes with 0.
    Sync {
        /// Of which file.
        file: SharedFd,
        /// How much of it.
        what: SyncWhat,
    },
    /// Opens a file: the descriptor is in [`Completion::opened`](crate::ring::Completion::opened).
    Open {
        /// What a relative path is relative to: a directory, or else the working directory.
        directory: Option<SharedFd>,
        /// Which file.
        path: CString,
        /// For what.
        how: OpenHow,
    },
    /// Closes a descriptor. Completes with 0 and comes back as [`Op::Nop`]: there is nothing left.
    Close(OwnedFd),
    /// Moves file bytes into a pipe, without waiting for room in the pipe: EAGAIN when it is full.
    /// Counts bytes; 0 is the end of the file.
    SpliceIn {
        /// Where from.
        file: SharedFd,
        /// From the start of the file.
        at: u64,
        /// The pipe's end for writing.
        pipe: SharedFd,
        /// How much at most.
        len: u32,
    },
    /// Waits until a descriptor is ready, has failed or was hung up. Completes with the `poll(2)`
    /// bits that hold.
    Poll {
        /// Which descriptor.
        fd: SharedFd,
        /// For what.
        until: Readiness,
    },
}

/// Memory to write from.
#[derive(Debug)]
pub enum WriteBuf {
    /// A whole buffer.
    Whole(AlignedBuf),
    /// A range of a buffer.
    Part(AlignedBuf, Range<usize>),
    /// A range of a shared slab.
    Slab(SlabSlice),
}

impl WriteBuf {
    /// What will be written.
    ///
    /// # Panics
    /// When the range of a [`WriteBuf::Part`] is not within its buffer.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            WriteBuf::Whole(buf) => buf,
            WriteBuf::Part(buf, range) => &buf[range.clone()],
            WriteBuf::Slab(slice) => slice,
        }
    }
}

/// How much of a file an [`Op::Sync`] makes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncWhat {
    /// The bytes, and of the metadata what is needed to read them back (its size).
    Data,
    /// The bytes and all metadata.
    DataAndMetadata,
}

/// What an [`Op::Poll`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// A read would not block.
    Readable,
    /// A write would not block.
    Writable,
    /// A socket's peer sends no more, whatever is left to be read.
    HungUp,
}

/// More than the kernel moves in one call (0x7fff_f000), and a whole number of blocks.
const LONGEST: usize = 0x8000_0000;

fn length(bytes: usize) -> u32 {
    bytes.min(LONGEST) as u32
}

/// A pipe has no positions.
const NO_POSITION: i64 = -1;

fn target(fd: &SharedFd) -> types::Fd {
    types::Fd(fd.as_raw_fd())
}

impl Op {
    /// The submission entry. It points into `self` and `vectors`, so both must stay where they are,
    /// untouched, until the kernel has completed it. (Heap memory stays when its handle moves.)
    pub(super) fn entry(&mut self, vectors: &mut Vec<iovec>) -> squeue::Entry {
        match self {
            Op::Nop => opcode::Nop::new().build(),
            Op::Write { file, at, from } => {
                let bytes = from.bytes();
                let length = length(bytes.len());
                opcode::Write::new(target(file), bytes.as_ptr(), length).offset(*at).build()
            }
            Op::WriteVectored { file, at, from } => {
                vectors.extend(from.iter().map(vector));
                let count = length(vectors.len());
                opcode::Writev::new(target(file), vectors.as_ptr(), count).offset(*at).build()
            }
            Op::Read { file, at, into, len } => {
                let length = length((*len).min(into.len()));
                opcode::Read::new(target(file), into.as_kernel_target(), length).offset(*at).build()
            }
            Op::Sync { file, what } => {
                let flags = match what {
                    SyncWhat::Data => types::FsyncFlags::DATASYNC,
                    SyncWhat::DataAndMetadata => types::FsyncFlags::empty(),
                };
                opcode::Fsync::new(target(file)).flags(flags).build()
            }
            Op::Open { directory, path, how } => {
                let base = directory.as_ref().map_or(types::Fd(libc::AT_FDCWD), target);
                opcode::OpenAt::new(base, path.as_ptr())
                    .flags(how.flags().bits() as i32)
                    .mode(OpenHow::MODE.bits())
                    .build()
            }
            Op::Close(fd) => opcode::Close::new(types::Fd(fd.as_raw_fd())).build(),
            Op::SpliceIn { file, at, pipe, len } => {
                let (from, to) = (target(file), target(pipe));
                opcode::Splice::new(from, at.cast_signed(), to, NO_POSITION, *len)
                    .flags(libc::SPLICE_F_NONBLOCK)
                    .build()
            }
            Op::Poll { fd, until } => {
                let events = match until {
                    Readiness::Readable => libc::POLLIN,
                    Readiness::Writable => libc::POLLOUT,
                    Readiness::HungUp => libc::POLLRDHUP,
                };
                opcode::PollAdd::new(target(fd), events as u32).build()
            }
        }
    }
}

fn vector(buf: &WriteBuf) -> iovec {
    let bytes = buf.bytes();
    iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
