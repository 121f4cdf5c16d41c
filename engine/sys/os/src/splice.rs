//! Pipes for moving file bytes to sockets inside the kernel.
//!
//! A range travels in two steps. Into a pipe: what is in the page cache by [`fill`], what may have
//! to be read first by [`Op::SpliceIn`](crate::ring::Op::SpliceIn). Out of it into a socket,
//! possibly in several calls: [`drain`]. Pipe memory is limited per user and for all pipes
//! together, so pipes are few and reused.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::{Errno, ioctl_fionread};
use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};

use crate::SharedFd;
use crate::net::Rest;

/// Both ends of one pipe.
#[derive(Debug)]
pub struct PipePair {
    read: SharedFd,
    write: SharedFd,
    capacity: usize,
}

impl PipePair {
    /// A pipe of `wanted` bytes, or of what the user's limit still allows: see
    /// [`PipePair::capacity`].
    ///
    /// # Errors
    /// When descriptors or kernel memory run out.
    pub fn new(wanted: usize) -> io::Result<PipePair> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let capacity = match fcntl_setpipe_size(&write, wanted) {
            Ok(capacity) => capacity,
            Err(Errno::PERM | Errno::NOMEM) => fcntl_getpipe_size(&write)?,
            Err(error) => return Err(error.into()),
        };
        Ok(PipePair { read: Arc::new(read), write: Arc::new(write), capacity })
    }

    /// The end to splice out of.
    #[must_use]
    pub fn read_end(&self) -> SharedFd {
        Arc::clone(&self.read)
    }

    /// The end to splice into.
    #[must_use]
    pub fn write_end(&self) -> SharedFd {
        Arc::clone(&self.write)
    }

    /// Bytes it holds at most, when filled with whole pages.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes in it now.
    ///
    /// # Errors
    /// Never in practice.
    pub fn held(&self) -> io::Result<u64> {
        Ok(ioctl_fionread(&*self.read)?)
    }

    fn is_unused(&self) -> bool {
        let idle = Arc::strong_count(&self.read) == 1 && Arc::strong_count(&self.write) == 1;
        idle && self.held().is_ok_and(|bytes| bytes == 0)
    }
}

/// Pipes that wait for their next use.
#[derive(Debug)]
pub struct PipePool {
    idle: Vec<PipePair>,
    wanted: usize,
    most: usize,
}

impl PipePool {
    /// A pool that makes pipes of `wanted` bytes and keeps `most` of them.
    #[must_use]
    pub fn new(wanted: usize, most: usize) -> PipePool {
        PipePool { idle: Vec::new(), wanted, most }
    }

    /// An empty pipe, a used one if there is one.
    ///
    /// # Errors
    /// As [`PipePair::new`].
    pub fn take(&mut self) -> io::Result<PipePair> {
        self.idle.pop().map_or_else(|| PipePair::new(self.wanted), Ok)
    }

    /// Keeps a pipe for later, if it is empty, in no operation, and not one too many; else closes
    /// it, and what is left in it with it.
    pub fn give_back(&mut self, pipe: PipePair) {
        if self.idle.len() < self.most && pipe.is_unused() {
            self.idle.push(pipe);
        }
    }

    /// Pipes kept at the moment.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.len()
    }
}

/// Moves file bytes into a pipe, and waits for the disk if it must. Counts bytes; 0 is the end of
/// the file.
///
/// # Errors
/// WouldBlock when the pipe is full, or what the file says.
pub fn fill(file: impl AsFd, at: u64, pipe: &PipePair, len: usize) -> io::Result<usize> {
    let mut at = at;
    Ok(splice(file, Some(&mut at), &pipe.write, None, len, SpliceFlags::NONBLOCK)?)
}

/// Moves a pipe's bytes into a socket that is O_NONBLOCK. Counts bytes.
///
/// # Errors
/// WouldBlock when the socket takes none, or what the socket says.
pub fn drain(pipe: &PipePair, socket: impl AsFd, len: usize, rest: Rest) -> io::Result<usize> {
    let mut flags = SpliceFlags::NONBLOCK;
    flags.set(SpliceFlags::MORE, rest == Rest::Follows);
    Ok(splice(&pipe.read, None, socket, None, len, flags)?)
}

/// What the result of a splice means.
#[derive(Debug)]
pub enum Progress {
    /// So many bytes moved, perhaps fewer than asked for.
    Moved(NonZeroU32),
    /// None moved now: the pipe is full, or the socket takes none. Poll, then try again.
    Blocked,
    /// None will: the end of the file.
    Ended,
    /// The operation was cancelled.
    Cancelled,
    /// The file or the socket failed.
    Failed(io::Error),
}

impl From<io::Result<u32>> for Progress {
    fn from(result: io::Result<u32>) -> Progress {
        match result {
            Ok(count) => NonZeroU32::new(count).map_or(Progress::Ended, Progress::Moved),
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN) => Progress::Blocked,
                Some(libc::ECANCELED | libc::EINTR) => Progress::Cancelled,
                _ => Progress::Failed(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{read, write};

    #[test]
    fn a_pipe_has_the_wanted_size_rounded_up_by_the_kernel() {
        for (wanted, capacity) in [(4096, 4096), (65_536, 65_536), (200_000, 262_144)] {
            assert_eq!(PipePair::new(wanted).expect("pipe").capacity(), capacity, "{wanted}");
        }
    }

    #[test]
    fn only_empty_unshared_pipes_are_kept() {
        let mut pool = PipePool::new(65_536, 1);
        let (clean, dirty) = (pool.take().expect("pipe"), pool.take().expect("pipe"));
        write(&*dirty.write_end(), b"left").expect("write");
        assert_eq!(dirty.held().expect("held"), 4);
        let end = clean.read_end();
        pool.give_back(dirty);
        pool.give_back(clean);
        assert_eq!(pool.idle(), 0);
        // The end of the pipe, once no process being started by another test has a copy.
        while read(&*end, &mut [0; 1]) == Err(Errno::AGAIN) {
            std::thread::yield_now();
        }
        assert_eq!(read(&*end, &mut [0; 1]).expect("closed elsewhere"), 0);

        let (one, other) = (pool.take().expect("pipe"), pool.take().expect("pipe"));
        pool.give_back(one);
        pool.give_back(other);
        assert_eq!(pool.idle(), 1, "one too many is closed");
        let again = pool.take().expect("pipe");
        assert_eq!((pool.idle(), again.held().expect("held")), (0, 0));
    }

    #[test]
    fn results_are_told_apart() {
        let failed = |code| Err(io::Error::from_raw_os_error(code));
        assert!(matches!(Progress::from(Ok(3)), Progress::Moved(count) if count.get() == 3));
        assert!(matches!(Progress::from(Ok(0)), Progress::Ended));
        assert!(matches!(Progress::from(failed(libc::EAGAIN)), Progress::Blocked));
        assert!(matches!(Progress::from(failed(libc::ECANCELED)), Progress::Cancelled));
        assert!(matches!(Progress::from(failed(libc::EINTR)), Progress::Cancelled));
        assert!(matches!(Progress::from(failed(libc::EPIPE)), Progress::Failed(_)));
    }
}
