//! A segment's file as its writers find it. A segment grows from its start without a gap, so one
//! that is gone, or shorter than what was written to it, is no place for the next bytes: made anew,
//! it would hold zeros where records were.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

use corelog_engine::log::SegmentId;
use corelog_os::file::{self, Access, Existence};

use crate::failure::{missing, short};
use crate::layout::Layout;
use crate::written::Names;

/// Opens a segment to write at a position. Only a write at its start makes the file; names may have
/// changed even when that fails.
pub(crate) fn open(layout: &Layout, segment: SegmentId, at: u64) -> (io::Result<OwnedFd>, Names) {
    if at == 0 {
        return open_or_make(layout, segment);
    }
    let file = file::open(&layout.segment(segment), Access::WriteDirect, Existence::Present);
    (file.and_then(|file| reaches(&file, at).map(|()| file)), Names::Same)
}

/// Opens a segment, or makes it, and its directory.
pub(crate) fn open_or_make(layout: &Layout, segment: SegmentId) -> (io::Result<OwnedFd>, Names) {
    let path = layout.segment(segment);
    match file::open(&path, Access::WriteDirect, Existence::Present) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let directory = fs::create_dir_all(layout.partition(segment.partition));
            let open = |()| file::open(&path, Access::WriteDirect, Existence::Either);
            (directory.and_then(open), Names::Changed)
        }
        file => (file, Names::Same),
    }
}

/// Whether an open segment still has its name and all that was written before a position.
///
/// # Errors
/// What [`failure`](crate::failure::failure) calls missing or short, or what the kernel says.
pub(crate) fn reaches(file: impl AsFd, at: u64) -> io::Result<()> {
    let status = file::status(file)?;
    match status.is_linked {
        false => Err(missing()),
        true if status.size < at => Err(short()),
        true => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::failure;
    use crate::testdir::TestDir;
    use corelog_engine::id::{Offset, TopicPartition};
    use corelog_engine::shard::event::Failure;

    const SEGMENT: SegmentId = SegmentId { partition: TopicPartition::METADATA, base: Offset(7) };

    fn with_bytes(len: u64) -> impl Fn(&Layout) {
        move |layout| {
            let (file, _) = open(layout, SEGMENT, 0);
            file::truncate(file.expect("made"), len).expect("extended");
        }
    }

    #[test]
    fn only_a_write_at_the_start_makes_a_file() {
        let nothing: &dyn Fn(&Layout) = &|_| {};
        let directory: &dyn Fn(&Layout) = &|layout| {
            fs::create_dir_all(layout.partition(SEGMENT.partition)).expect("made");
        };
        let (same, changed) = (Names::Same, Names::Changed);
        for (there, at, expected, names) in [
            (nothing, 0, Ok(()), changed),
            (directory, 0, Ok(()), changed),
            (nothing, 4096, Err(Failure::Missing), same),
            (directory, 8192, Err(Failure::Missing), same),
            (&with_bytes(0), 0, Ok(()), same),
            (&with_bytes(0), 4096, Err(Failure::Short), same),
            (&with_bytes(8192), 4096, Ok(()), same),
            (&with_bytes(8192), 8192, Ok(()), same),
            (&with_bytes(8191), 8192, Err(Failure::Short), same),
        ] {
            let dir = TestDir::new();
            let layout = Layout::new(dir.path());
            there(&layout);
            let before = layout.segment(SEGMENT).exists();
            let (file, found) = open(&layout, SEGMENT, at);
            let outcome = file.map(drop).map_err(|error| failure(&error));
            assert_eq!((outcome, found), (expected, names), "at {at}");
            assert_eq!(layout.segment(SEGMENT).exists(), before || expected.is_ok(), "at {at}");
        }
    }

    #[test]
    fn an_open_file_is_looked_at_again() {
        let dir = TestDir::new();
        let layout = Layout::new(dir.path());
        let (file, _) = open(&layout, SEGMENT, 0);
        let file = file.expect("made");
        let found = |at| reaches(&file, at).map_err(|error| failure(&error));
        file::truncate(&file, 8192).expect("extended");
        assert_eq!((found(0), found(8192)), (Ok(()), Ok(())));
        file::truncate(&file, 4096).expect("cut");
        assert_eq!((found(4096), found(8192)), (Ok(()), Err(Failure::Short)));
        fs::remove_file(layout.segment(SEGMENT)).expect("removed");
        assert_eq!((found(0), found(4096)), (Err(Failure::Missing), Err(Failure::Missing)));
    }
}
