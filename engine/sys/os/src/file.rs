//! Files: opening, positioned bytes, durability and room.
//!
//! These calls block. On a core's own thread they are for starting and stopping only; while
//! serving, the same is asked of a [`Ring`](crate::ring::Ring) or on a helper thread.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{Advice, AtFlags, FallocateFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::aligned::AlignedBuf;

/// What an open file may be used for. All are closed on exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading through the page cache, and splicing.
    Read,
    /// Reading past the page cache.
    ReadDirect,
    /// Reading and writing through the page cache.
    Write,
    /// Reading and writing past the page cache; durable after a sync.
    WriteDirect,
    /// Reading and writing past the page cache; each write durable when it completes.
    WriteDurable,
}

/// What an open expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// The file is there, or NotFound.
    Present,
    /// The file is there or is created, empty.
    Either,
    /// The file is created, or AlreadyExists.
    New,
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenHow {
    /// For what.
    pub access: Access,
    /// Whether it is there.
    pub existence: Existence,
}

/// The kernel's O_DSYNC. rustix has O_SYNC's bits for its own `DSYNC`, which makes each write a
/// full fsync: the inode's times go to disk with it.
const DSYNC: OFlags = OFlags::from_bits_retain(libc::O_DSYNC.cast_unsigned());

impl OpenHow {
    /// Permissions of a new file: read and write for the owner, read for the group.
    pub(crate) const MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

    pub(crate) fn flags(self) -> OFlags {
        let access = match self.access {
            Access::Read => OFlags::RDONLY,
            Access::ReadDirect => OFlags::RDONLY | OFlags::DIRECT,
            Access::Write => OFlags::RDWR,
            Access::WriteDirect => OFlags::RDWR | OFlags::DIRECT,
            Access::WriteDurable => OFlags::RDWR | OFlags::DIRECT | DSYNC,
        };
        let existence = match self.existence {
            Existence::Present => OFlags::empty(),
            Existence::Either => OFlags::CREATE,
            Existence::New => OFlags::CREATE | OFlags::EXCL,
        };
        access | existence | OFlags::CLOEXEC
    }
}

/// Opens a file. A new one is durable only after [`sync_directory`].
///
/// # Errors
/// What the kernel says; EINVAL from the direct kinds where the file system has no O_DIRECT.
pub fn open(path: &Path, access: Access, existence: Existence) -> io::Result<OwnedFd> {
    let how = OpenHow { access, existence };
    Ok(rustix::fs::open(path, how.flags(), OpenHow::MODE)?)
}

/// Writes all of `bytes` at a position.
///
/// # Errors
/// What the kernel says; part of it may have been written.
pub fn write_all_at(file: impl AsFd, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(&file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Fills `bytes` from a position; says how much there was before the end of the file.
///
/// # Errors
/// What the kernel says.
pub fn read_at(file: impl AsFd, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::pread(&file, &mut bytes[done..], at + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

/// Fills `bytes` from a position, all of it.
///
/// # Errors
/// UnexpectedEof when the file ends before, or what the kernel says.
pub fn read_exact_at(file: impl AsFd, bytes: &mut [u8], at: u64) -> io::Result<()> {
    if read_at(file, bytes, at)? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// How much [`zero_fill`] writes at a time.
const ZEROS: usize = 1 << 20;

/// Writes zeros over the first `len` bytes and makes them durable, so that later overwrites need no
/// file-system journal. Use a descriptor without [`Access::WriteDurable`]; a direct one asks for
/// whole blocks. Others at the disk get a turn of `pause` behind each megabyte.
///
/// # Errors
/// What the kernel says.
pub fn zero_fill(file: impl AsFd, len: u64, pause: Duration) -> io::Result<()> {
    let zeros = AlignedBuf::zeroed(ZEROS);
    let mut at = 0;
    while at < len {
        let step = (len - at).min(ZEROS as u64);
        write_all_at(&file, &zeros[..step as usize], at)?;
        at += step;
        if !pause.is_zero() {
            sync_data(&file)?;
            thread::sleep(pause);
        }
    }
    sync_all(file)
}

/// Why a sync failed: the kernel's number. An error of its own, since what could not be written may
/// be forgotten: unlike a write, a sync is never to be tried again and believed, even if the disk
/// was only full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncFailed(pub i32);

impl SyncFailed {
    /// The same, if this is the error of a sync.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<SyncFailed> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<SyncFailed> for io::Error {
    fn from(failed: SyncFailed) -> io::Error {
        io::Error::new(io::Error::from_raw_os_error(failed.0).kind(), failed)
    }
}

impl fmt::Display for SyncFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl std::error::Error for SyncFailed {}

fn synced(result: rustix::io::Result<()>) -> io::Result<()> {
    result.map_err(|error| SyncFailed(error.raw_os_error()).into())
}

/// Makes bytes durable, and the size they need.
///
/// # Errors
/// [`SyncFailed`].
pub fn sync_data(file: impl AsFd) -> io::Result<()> {
    synced(rustix::fs::fdatasync(file))
}

/// Makes bytes and metadata durable.
///
/// # Errors
/// As [`sync_data`].
pub fn sync_all(file: impl AsFd) -> io::Result<()> {
    synced(rustix::fs::fsync(file))
}

/// Makes everything written to the descriptor's file system durable, in one go.
///
/// # Errors
/// As [`sync_data`].
pub fn sync_filesystem(file: impl AsFd) -> io::Result<()> {
    synced(rustix::fs::syncfs(file))
}

/// Makes a directory's entries durable: files created, renamed and removed in it.
///
/// # Errors
/// As [`sync_data`].
pub fn sync_directory(path: &Path) -> io::Result<()> {
    sync_all(open_directory(path)?)
}

/// A directory, to open files relative to it or to sync it.
///
/// # Errors
/// What the kernel says.
pub fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Cuts a file, or extends it with a hole.
///
/// # Errors
/// What the kernel says.
pub fn truncate(file: impl AsFd, len: u64) -> io::Result<()> {
    Ok(rustix::fs::ftruncate(file, len)?)
}

/// Reserves room on the disk for a range, extending the file if it ends before.
///
/// # Errors
/// StorageFull, or what the kernel says.
pub fn allocate(file: impl AsFd, at: u64, len: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), at, len)?)
}

/// The size of a file in bytes.
///
/// # Errors
/// What the kernel says.
pub fn size(file: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(file)?.st_size.cast_unsigned())
}

/// What an open file is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its size in bytes.
    pub size: u64,
    /// Whether a name leads to it: else it is gone when it is closed.
    pub is_linked: bool,
}

/// What an open file is now, in one call.
///
/// # Errors
/// What the kernel says.
pub fn status(file: impl AsFd) -> io::Result<Status> {
    let facts = rustix::fs::fstat(file)?;
    Ok(Status { size: facts.st_size.cast_unsigned(), is_linked: facts.st_nlink > 0 })
}

/// Has the kernel read of a file what is asked for, and nothing ahead.
///
/// # Errors
/// What the kernel says.
pub fn read_nothing_ahead(file: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, Advice::Random)?)
}

/// Bytes an ordinary user may still write to the file system.
///
/// # Errors
/// What the kernel says.
pub fn free_bytes(file: impl AsFd) -> io::Result<u64> {
    let room = rustix::fs::fstatvfs(file)?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

/// What O_DIRECT asks of memory addresses and of file positions, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectAlignment {
    /// Of addresses.
    pub memory: u32,
    /// Of positions and lengths.
    pub offset: u32,
}

/// The file's alignments, where the kernel knows them (Linux 6.1); zeros say "no O_DIRECT here".
///
/// # Errors
/// What the kernel says.
pub fn direct_alignment(file: impl AsFd) -> io::Result<Option<DirectAlignment>> {
    let facts = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)?;
    let known = facts.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
    let (memory, offset) = (facts.stx_dio_mem_align, facts.stx_dio_offset_align);
    Ok(known.then_some(DirectAlignment { memory, offset }))
}

/// The names in a directory, sorted.
///
/// # Errors
/// What the kernel says.
pub fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let entries = fs::read_dir(directory)?;
    let mut names: Vec<_> = entries.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Removes a file of a directory. Durable after [`sync_directory`].
///
/// # Errors
/// What the kernel says.
pub fn remove(directory: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aligned::BLOCK;
    use crate::testdir::TestDir;
    use std::os::fd::AsRawFd;

    /// O_LARGEFILE of asm-generic/fcntl.h; other architectures have other bits.
    const LARGE_FILE: i32 = if cfg!(target_arch = "aarch64") { 0o400_000 } else { 0o100_000 };

    #[test]
    fn the_error_of_a_sync_is_told_from_that_of_a_write() {
        let open = |path: &str| open(Path::new(path), Access::Write, Existence::Present);
        let full = write_all_at(open("/dev/full").expect("open"), b"x", 0).expect_err("full");
        assert_eq!((full.kind(), SyncFailed::of(&full)), (io::ErrorKind::StorageFull, None));
        let null = open("/dev/null").expect("open");
        let invalid = SyncFailed(Errno::INVAL.raw_os_error());
        for failed in [sync_data(&null), sync_all(&null)] {
            assert_eq!(SyncFailed::of(&failed.expect_err("no file")), Some(invalid));
        }
        let full = synced(Err(Errno::NOSPC)).expect_err("full");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert_eq!(SyncFailed::of(&full), Some(SyncFailed(Errno::NOSPC.raw_os_error())));
        assert_eq!(full.to_string(), io::Error::from(Errno::NOSPC).to_string());
    }

    #[test]
    fn existence_decides_what_an_open_finds() {
        let dir = TestDir::new();
        let path = dir.file("a");
        let kind = |existence| open(&path, Access::Write, existence).map_err(|e| e.kind()).err();
        assert_eq!(kind(Existence::Present), Some(io::ErrorKind::NotFound));
        assert_eq!(kind(Existence::New), None);
        assert_eq!(kind(Existence::New), Some(io::ErrorKind::AlreadyExists));
        assert_eq!(kind(Existence::Either), None);
        assert_eq!(names(dir.path()).expect("names"), ["a"]);
    }

    /// The status flags of an open file, as the kernel has them, and whether it is closed on exec.
    fn kernel_flags(file: &OwnedFd) -> i32 {
        let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
        let facts = fs::read_to_string(path).expect("fdinfo");
        let flags = facts.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        i32::from_str_radix(flags.trim(), 8).expect("octal")
    }

    #[test]
    fn the_kernel_has_each_access_as_it_was_meant() {
        let dir = TestDir::new();
        for (access, meant) in [
            (Access::Read, libc::O_RDONLY),
            (Access::ReadDirect, libc::O_RDONLY | libc::O_DIRECT),
            (Access::Write, libc::O_RDWR),
            (Access::WriteDirect, libc::O_RDWR | libc::O_DIRECT),
            (Access::WriteDurable, libc::O_RDWR | libc::O_DIRECT | libc::O_DSYNC),
        ] {
            open(&dir.file("a"), Access::Write, Existence::Either).expect("create");
            for existence in [Existence::Present, Existence::Either, Existence::New] {
                if existence == Existence::New {
                    fs::remove_file(dir.file("a")).expect("remove");
                }
                let file = open(&dir.file("a"), access, existence).expect("open");
                // What the kernel adds by itself on 64 bits; libc's is 0 there.
                let found = kernel_flags(&file) & !LARGE_FILE;
                assert_eq!(found, meant | libc::O_CLOEXEC, "{access:?}, {existence:?}: {found:#o}");
            }
        }
    }

    #[test]
    fn direct_bytes_come_back_and_misaligned_ones_are_refused() {
        let dir = TestDir::new();
        let file = open(&dir.file("a"), Access::WriteDurable, Existence::New).expect("open");
        let mut buf = AlignedBuf::zeroed(2 * BLOCK);
        buf.fill(7);
        write_all_at(&file, &buf, BLOCK as u64).expect("write");
        let mut back = AlignedBuf::zeroed(4 * BLOCK);
        assert_eq!(read_at(&file, &mut back, 0).expect("read"), 3 * BLOCK);
        assert!(back[..BLOCK].iter().all(|b| *b == 0));
        assert!(back[BLOCK..3 * BLOCK].iter().all(|b| *b == 7));
        let short = read_exact_at(&file, &mut back, 0).map_err(|e| e.kind());
        assert_eq!(short, Err(io::ErrorKind::UnexpectedEof));
        let odd = write_all_at(&file, &buf[..BLOCK - 1], 0).map_err(|e| e.raw_os_error());
        assert_eq!(odd, Err(Some(libc::EINVAL)));
    }

    #[test]
    fn a_read_only_descriptor_refuses_to_write() {
        let dir = TestDir::new();
        open(&dir.file("a"), Access::Write, Existence::New).expect("create");
        let file = open(&dir.file("a"), Access::Read, Existence::Present).expect("open");
        let refused = write_all_at(&file, b"x", 0).map_err(|e| e.raw_os_error());
        assert_eq!(refused, Err(Some(libc::EBADF)));
    }

    #[test]
    fn zero_filling_leaves_zeros_of_exactly_that_size() {
        let dir = TestDir::new();
        let len = ZEROS as u64 * 2 + BLOCK as u64;
        for access in [Access::Write, Access::WriteDirect] {
            let file = open(&dir.file("a"), access, Existence::Either).expect("open");
            truncate(&file, 0).expect("truncate");
            zero_fill(&file, len, Duration::ZERO).expect("fill");
            assert_eq!(size(&file).expect("size"), len);
            let mut bytes = AlignedBuf::zeroed(len as usize);
            bytes.fill(1);
            read_exact_at(&file, &mut bytes, 0).expect("read");
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn sizes_and_syncs_do_what_they_say() {
        let dir = TestDir::new();
        let file = open(&dir.file("a"), Access::WriteDirect, Existence::New).expect("open");
        allocate(&file, 0, 1 << 20).expect("allocate");
        assert_eq!(size(&file).expect("size"), 1 << 20);
        truncate(&file, 5000).expect("truncate");
        assert_eq!(size(&file).expect("size"), 5000);
        sync_data(&file).and_then(|()| sync_filesystem(&file)).expect("sync");
        sync_directory(dir.path()).expect("sync directory");
        assert_eq!(status(&file).expect("status"), Status { size: 5000, is_linked: true });
        assert!(free_bytes(&file).expect("free") > 0);
        let nothing = allocate(&file, 0, 0).map_err(|e| e.raw_os_error());
        assert_eq!(nothing, Err(Some(libc::EINVAL)));
        let directory = open_directory(dir.path()).expect("directory");
        remove(directory.as_fd(), Path::new("a")).expect("remove");
        assert!(names(dir.path()).expect("names").is_empty());
        assert_eq!(status(&file).expect("status"), Status { size: 5000, is_linked: false });
    }

    #[test]
    fn direct_alignment_is_a_power_of_two_that_blocks_satisfy() {
        let dir = TestDir::new();
        let file = open(&dir.file("a"), Access::WriteDirect, Existence::New).expect("open");
        let alignment = direct_alignment(&file).expect("statx").expect("Linux 6.1 knows");
        for bytes in [alignment.memory, alignment.offset] {
            assert!(bytes.is_power_of_two() && BLOCK.is_multiple_of(bytes as usize), "{bytes}");
        }
    }
}
