//! What stops a start: facts about this host, each with the numbers one needs to remove it.
//!
//! Nothing here is a guess from a version number. A ring is built, its operations are asked for,
//! and a block is written past the page cache in the very directory.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

use crate::aligned::{AlignedBuf, BLOCK};
use crate::file::{self, Access, DirectAlignment, Existence};
use crate::process::{Allowance, Limit, may_lock_without_limit};
use crate::ring::Ring;

/// What the process is going to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Bytes to be locked, or lent to io_uring.
    pub locked_memory: u64,
    /// Descriptors.
    pub open_files: u64,
}

/// One reason why a start would fail, or fail later.
#[derive(Debug)]
pub enum Obstacle {
    /// The kernel has no io_uring.
    IoUringMissing,
    /// The administrator has switched io_uring off for this process.
    IoUringDisabled {
        /// The value of `kernel.io_uring_disabled`: 1 for unprivileged processes, 2 for all.
        level: u8,
    },
    /// Something between us and the kernel refuses io_uring, as containers' seccomp profiles do.
    IoUringForbidden,
    /// The kernel knows io_uring but not the kinds of rings we use (Linux 6.1 does).
    IoUringTooOld,
    /// The kernel's io_uring lacks an operation.
    OperationMissing {
        /// Its name, as in `IORING_OP_SPLICE`.
        name: &'static str,
    },
    /// A ring cannot be made for another reason.
    IoUringFailed(io::Error),
    /// RLIMIT_MEMLOCK.
    LockedMemoryTooSmall {
        /// Bytes allowed, for all processes of the user together.
        limit: Allowance,
        /// Bytes needed by this one.
        needed: u64,
    },
    /// RLIMIT_NOFILE.
    OpenFilesTooFew {
        /// Descriptors allowed.
        limit: Allowance,
        /// Descriptors needed.
        needed: u64,
    },
    /// The directory's file system does not write past the page cache.
    DirectWritesRefused {
        /// Where.
        directory: PathBuf,
    },
    /// The directory's file system wants coarser blocks than we write.
    DirectWritesTooCoarse {
        /// Where.
        directory: PathBuf,
        /// What it asks for.
        alignment: DirectAlignment,
    },
    /// The directory cannot be written at all.
    DirectoryUnusable {
        /// Where.
        directory: PathBuf,
        /// Why: not there, not ours, full, broken.
        error: io::Error,
    },
}

/// The smallest RLIMIT_MEMLOCK with which a core's executor starts, in bytes.
const EXECUTOR_MEMLOCK: u64 = 512 * 1024;

/// The file that tests a directory; removed again.
const TEST_FILE: &str = ".direct-write-test";

/// The operations of [`Op`](crate::ring::Op), and cancelling.
const OPERATIONS: [(u8, &str); 10] = [
    (opcode::Nop::CODE, "IORING_OP_NOP"),
    (opcode::Write::CODE, "IORING_OP_WRITE"),
    (opcode::Writev::CODE, "IORING_OP_WRITEV"),
    (opcode::Read::CODE, "IORING_OP_READ"),
    (opcode::Fsync::CODE, "IORING_OP_FSYNC"),
    (opcode::OpenAt::CODE, "IORING_OP_OPENAT"),
    (opcode::Close::CODE, "IORING_OP_CLOSE"),
    (opcode::Splice::CODE, "IORING_OP_SPLICE"),
    (opcode::PollAdd::CODE, "IORING_OP_POLL_ADD"),
    (opcode::AsyncCancel::CODE, "IORING_OP_ASYNC_CANCEL"),
];

/// Everything in the way of a start with data in `directories`; empty when nothing is.
#[must_use]
pub fn obstacles(needs: Needs, directories: &[&Path]) -> Vec<Obstacle> {
    let mut found = io_uring_obstacles();
    found.extend(locked_memory_obstacle(
        needs.locked_memory,
        Limit::LockedMemory.current(),
        may_lock_without_limit(),
    ));
    found.extend(open_files_obstacle(needs.open_files, Limit::OpenFiles.current()));
    found.extend(directories.iter().filter_map(|directory| directory_obstacle(directory)));
    found
}

fn io_uring_obstacles() -> Vec<Obstacle> {
    let built = Ring::<()>::new(8);
    if let Err(error) = built {
        let plain = if IoUring::new(8).is_ok() { PlainRing::Works } else { PlainRing::Refused };
        return vec![refusal(error, plain, disabled_level())];
    }
    match supported_operations() {
        Ok(probe) => missing_operations(|code| probe.is_supported(code)),
        Err(error) => vec![Obstacle::IoUringFailed(error)],
    }
}

fn supported_operations() -> io::Result<Probe> {
    let mut probe = Probe::new();
    IoUring::new(8)?.submitter().register_probe(&mut probe)?;
    Ok(probe)
}

fn missing_operations(supported: impl Fn(u8) -> bool) -> Vec<Obstacle> {
    let missing = OPERATIONS.iter().filter(|(code, _)| !supported(*code));
    missing.map(|(_, name)| Obstacle::OperationMissing { name }).collect()
}

/// How a ring without any special wishes fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlainRing {
    Works,
    Refused,
}

/// Why our rings were refused.
fn refusal(error: io::Error, plain: PlainRing, level: Option<u8>) -> Obstacle {
    match (error.raw_os_error(), plain, level) {
        (Some(libc::ENOSYS), _, _) => Obstacle::IoUringMissing,
        (Some(libc::EPERM), _, Some(level @ 1..)) => Obstacle::IoUringDisabled { level },
        (Some(libc::EPERM | libc::EACCES), _, _) => Obstacle::IoUringForbidden,
        (Some(libc::EINVAL), PlainRing::Works, _) => Obstacle::IoUringTooOld,
        _ => Obstacle::IoUringFailed(error),
    }
}

/// `kernel.io_uring_disabled`, where the kernel has it (Linux 6.6).
fn disabled_level() -> Option<u8> {
    fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// The executor looks at the limit even where the kernel does not.
fn locked_memory_obstacle(needed: u64, limit: Allowance, exempt: bool) -> Option<Obstacle> {
    let needed = if exempt { EXECUTOR_MEMLOCK } else { needed.max(EXECUTOR_MEMLOCK) };
    (!limit.covers(needed)).then_some(Obstacle::LockedMemoryTooSmall { limit, needed })
}

fn open_files_obstacle(needed: u64, limit: Allowance) -> Option<Obstacle> {
    (!limit.covers(needed)).then_some(Obstacle::OpenFilesTooFew { limit, needed })
}

fn directory_obstacle(directory: &Path) -> Option<Obstacle> {
    let owned = || directory.to_path_buf();
    let unusable = |error| Some(Obstacle::DirectoryUnusable { directory: owned(), error });
    if let Err(error) = in_test_file(directory, Access::Write, |_| Ok(())) {
        return unusable(error);
    }
    let direct = in_test_file(directory, Access::WriteDirect, |file| {
        let alignment = file::direct_alignment(file)?;
        file::write_all_at(file, &AlignedBuf::zeroed(BLOCK), 0).map(|()| alignment)
    });
    match direct {
        Ok(None) => None,
        Ok(Some(alignment)) => alignment_obstacle(directory, alignment),
        Err(error) if is_refusal_of_direct_writes(&error) => {
            Some(Obstacle::DirectWritesRefused { directory: owned() })
        }
        Err(error) => unusable(error),
    }
}

/// Creates the test file, does something with it, and removes it whatever happened.
fn in_test_file<T>(
    directory: &Path,
    access: Access,
    work: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let path = directory.join(TEST_FILE);
    let result = file::open(&path, access, Existence::Either).and_then(|file| work(file.as_fd()));
    match fs::remove_file(&path) {
        Err(error) if result.is_ok() => Err(error),
        _ => result,
    }
}

/// Zero is how a file system says that it will accept such writes and cache them all the same.
fn alignment_obstacle(directory: &Path, alignment: DirectAlignment) -> Option<Obstacle> {
    let directory = directory.to_path_buf();
    match alignment.memory.max(alignment.offset) {
        0 => Some(Obstacle::DirectWritesRefused { directory }),
        coarsest if coarsest as usize > BLOCK => {
            Some(Obstacle::DirectWritesTooCoarse { directory, alignment })
        }
        _ => None,
    }
}

fn is_refusal_of_direct_writes(error: &io::Error) -> bool {
    let refusals = [Errno::INVAL, Errno::OPNOTSUPP];
    refusals.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testdir::TestDir;

    #[test]
    fn a_usable_host_has_no_obstacles_and_keeps_no_traces() {
        let dir = TestDir::new();
        let needs = Needs { locked_memory: 1 << 20, open_files: 64 };
        let found = obstacles(needs, &[dir.path()]);
        assert!(found.is_empty(), "{found:?}");
        assert!(file::names(dir.path()).expect("names").is_empty());
    }

    #[test]
    fn refusals_of_a_ring_are_told_apart() {
        use PlainRing::{Refused, Works};
        for (code, plain, level, expected) in [
            (libc::ENOSYS, Refused, None, "IoUringMissing"),
            (libc::EPERM, Refused, Some(2), "IoUringDisabled { level: 2 }"),
            (libc::EPERM, Refused, Some(1), "IoUringDisabled { level: 1 }"),
            (libc::EPERM, Refused, Some(0), "IoUringForbidden"),
            (libc::EPERM, Refused, None, "IoUringForbidden"),
            (libc::EINVAL, Works, Some(0), "IoUringTooOld"),
            (libc::EINVAL, Refused, Some(0), "IoUringFailed"),
            (libc::ENOMEM, Works, Some(0), "IoUringFailed"),
        ] {
            let found = refusal(io::Error::from_raw_os_error(code), plain, level);
            assert!(format!("{found:?}").starts_with(expected), "{code} {plain:?}: {found:?}");
        }
    }

    #[test]
    fn a_missing_operation_is_named() {
        let found = missing_operations(|code| code != opcode::Splice::CODE);
        assert!(
            matches!(&found[..], [Obstacle::OperationMissing { name: "IORING_OP_SPLICE" }]),
            "{found:?}"
        );
    }

    #[test]
    fn limits_are_obstacles_below_what_is_needed() {
        let mib = 1 << 20;
        let eight = Allowance::UpTo(8 * mib);
        let tiny = Allowance::UpTo(64 * 1024);
        for (needed, limit, exempt, expected) in [
            (8 * mib, eight, false, None),
            (9 * mib, eight, false, Some(9 * mib)),
            (9 * mib, eight, true, None),
            (9 * mib, Allowance::Unlimited, false, None),
            (0, tiny, false, Some(EXECUTOR_MEMLOCK)),
            (0, tiny, true, Some(EXECUTOR_MEMLOCK)),
        ] {
            let found = locked_memory_obstacle(needed, limit, exempt).map(|found| match found {
                Obstacle::LockedMemoryTooSmall { limit: named, needed } if named == limit => needed,
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected, "{needed} {limit:?} {exempt}");
        }
        assert!(open_files_obstacle(1024, Allowance::UpTo(1024)).is_none());
        assert!(matches!(
            open_files_obstacle(1025, Allowance::UpTo(1024)),
            Some(Obstacle::OpenFilesTooFew { needed: 1025, .. })
        ));
    }

    #[test]
    fn unusable_directories_are_named() {
        let dir = TestDir::new();
        let missing = dir.file("missing");
        let file = dir.file("file");
        fs::write(&file, b"").expect("write");
        // A file system that has files, but neither ours nor on a disk.
        let kernel = PathBuf::from("/proc");
        for path in [missing, file, kernel] {
            match directory_obstacle(&path) {
                Some(Obstacle::DirectoryUnusable { directory, .. }) => assert_eq!(directory, path),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn coarse_alignments_and_refusals_are_recognised() {
        for (memory, offset, expected) in [
            (4, 512, "None"),
            (4096, 4096, "None"),
            (4, 8192, "Some(DirectWritesTooCoarse"),
            (8192, 512, "Some(DirectWritesTooCoarse"),
            (0, 0, "Some(DirectWritesRefused"),
        ] {
            let found = alignment_obstacle(Path::new("/"), DirectAlignment { memory, offset });
            assert!(format!("{found:?}").starts_with(expected), "{memory} {offset}: {found:?}");
        }
        for (code, refused) in [(libc::EINVAL, true), (libc::EOPNOTSUPP, true), (libc::EIO, false)]
        {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(is_refusal_of_direct_writes(&error), refused);
        }
    }
}
