//! What of a file the page cache holds, found out without reading.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::{ReadWriteFlags, preadv2};
use rustix::param::page_size;

/// cachestat(2), Linux 6.5: a number that all architectures share.
const SYS_CACHESTAT: libc::c_long = 451;

#[repr(C)]
struct Range {
    at: u64,
    len: u64,
}

/// Numbers of pages.
#[repr(C)]
#[derive(Default)]
struct Stat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Whether a range of a file's bytes can be read without waiting for the disk. Older kernels are
/// asked for its first and last byte, which may have them read it: a read that must not wait starts
/// the reading of what it does not find.
#[must_use]
pub fn holds(file: impl AsFd, at: u64, len: u32) -> bool {
    let Some(last) = len.checked_sub(1).map(|rest| at + u64::from(rest)) else { return true };
    let page = page_size() as u64;
    match cached_pages(&file, at, u64::from(len)) {
        Some(pages) => pages > last / page - at / page,
        None => has_byte(&file, at) && has_byte(&file, last),
    }
}

/// `None` when the kernel does not tell.
fn cached_pages(file: impl AsFd, at: u64, len: u64) -> Option<u64> {
    let range = Range { at, len };
    let mut stat = Stat::default();
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed, and both structs have the kernel's shape and outlive the
    // call, which only reads the first and writes the second.
    let refused = unsafe { libc::syscall(SYS_CACHESTAT, fd, &raw const range, &raw mut stat, 0) };
    (refused == 0).then_some(stat.cached)
}

fn has_byte(file: impl AsFd, at: u64) -> bool {
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    preadv2(file, &mut into, at, ReadWriteFlags::NOWAIT).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::aligned::{AlignedBuf, BLOCK};
    use crate::file::{Access, Existence, open, write_all_at};
    use crate::testdir::TestDir;

    #[test]
    fn what_was_read_through_the_page_cache_is_in_it() {
        let dir = TestDir::new();
        let path = dir.file("a");
        let file = open(&path, Access::WriteDirect, Existence::New).expect("open");
        write_all_at(&file, &AlignedBuf::zeroed(2 * BLOCK), 0).expect("write");
        let file = open(&path, Access::Read, Existence::Present).expect("open");
        let block = BLOCK as u32;
        let held = || {
            let ranges = [(0, 1), (1, block), (0, 2 * block), (block.into(), 2 * block)];
            ranges.map(|(at, len)| holds(&file, at, len))
        };
        if cached_pages(&file, 0, 1).is_some() {
            // Again and again: to ask is not to read.
            assert_eq!([held(), held(), held()], [[false; 4]; 3]);
        }
        fs::read(&path).expect("read");
        assert_eq!(held(), [true, true, true, false]);
        assert!(holds(&file, 0, 0));
    }
}
