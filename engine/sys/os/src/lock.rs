//! One process at a time: exclusive locks on open files.
//!
//! After a crash the lock goes away only when the last request in flight on the descriptor has
//! completed, and a child process holds it between fork and exec. So a lock that is refused may be
//! free a moment later, and waiting for it, bounded, is part of starting.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, fstat, major, minor};
use rustix::io::Errno;

/// How often to try and how long to sleep in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries in all; at least one is made.
    pub tries: u32,
    /// Sleep between two tries.
    pub pause: Duration,
}

/// Why a file is not locked.
#[derive(Debug)]
pub enum LockError {
    /// Another open file description has it: the processes, as far as they can be seen.
    Held {
        /// Process numbers, empty when hidden (another container, or gone since).
        by: Vec<u32>,
    },
    /// The kernel cannot lock this file.
    Io(io::Error),
}

/// Locks an open file against everybody else, until its last descriptor is closed.
///
/// # Errors
/// [`LockError::Held`] when the patience is over.
pub fn lock_exclusive(file: impl AsFd, patience: Patience) -> Result<(), LockError> {
    for _ in 1..patience.tries {
        if try_lock(&file)? {
            return Ok(());
        }
        thread::sleep(patience.pause);
    }
    if try_lock(&file)? {
        return Ok(());
    }
    Err(LockError::Held { by: holders(file).unwrap_or_default() })
}

fn try_lock(file: impl AsFd) -> Result<bool, LockError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(LockError::Io(error.into())),
    }
}

/// The processes that hold a lock of this kind on the file, by what the kernel shows us.
///
/// # Errors
/// When the list of locks cannot be read.
pub fn holders(file: impl AsFd) -> io::Result<Vec<u32>> {
    let facts = fstat(file)?;
    let (major, minor) = (major(facts.st_dev), minor(facts.st_dev));
    let wanted = format!("{major:02x}:{minor:02x}:{}", facts.st_ino);
    Ok(parse_holders(&fs::read_to_string("/proc/locks")?, &wanted))
}

/// Lines read `1: FLOCK  ADVISORY  WRITE 812 fe:00:1234 0 EOF`; waiters have `->` before the kind.
fn parse_holders(locks: &str, wanted: &str) -> Vec<u32> {
    let holder = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, process, file) = (words.next()?, words.nth(2)?, words.next()?);
        (kind == "FLOCK" && file == wanted).then(|| process.parse().ok()).flatten()
    };
    locks.lines().filter_map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Access, Existence, open};
    use crate::testdir::TestDir;
    use std::io::{BufRead, BufReader, Read};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    const ONCE: Patience = Patience { tries: 1, pause: Duration::ZERO };
    const PATIENT: Patience = Patience { tries: 500, pause: Duration::from_millis(10) };
    const FILE_VARIABLE: &str = "CORELOG_OS_TEST_LOCK";

    /// Not a test: the other process of `another_process_is_refused_until_the_holder_dies`.
    #[test]
    #[ignore = "started by another test"]
    fn hold_the_lock_until_killed() {
        let Ok(path) = std::env::var(FILE_VARIABLE) else { return };
        let file = open(Path::new(&path), Access::WriteDirect, Existence::Present).expect("open");
        lock_exclusive(&file, ONCE).expect("free");
        println!("\nlocked");
        let _ = std::io::stdin().read(&mut [0]);
    }

    fn start_holder(path: &Path) -> Child {
        let mut child = Command::new(std::env::current_exe().expect("path"))
            .args(["--exact", "lock::tests::hold_the_lock_until_killed"])
            .args(["--ignored", "--nocapture"])
            .env(FILE_VARIABLE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        assert!(lines.any(|line| line.expect("utf-8") == "locked"), "the child never locked");
        child
    }

    #[test]
    fn another_process_is_refused_until_the_holder_dies() {
        let dir = TestDir::new();
        let path = dir.file("a");
        let file = open(&path, Access::WriteDirect, Existence::New).expect("open");
        let mut child = start_holder(&path);
        match lock_exclusive(&file, ONCE) {
            Err(LockError::Held { by }) => assert_eq!(by, [child.id()]),
            other => panic!("{other:?}"),
        }
        child.kill().expect("kill");
        lock_exclusive(&file, PATIENT).expect("free after the kill");
        child.wait().expect("reaped");
        assert_eq!(holders(&file).expect("holders"), [std::process::id()]);
    }

    #[test]
    fn a_second_open_of_the_same_process_is_refused_too() {
        let dir = TestDir::new();
        let first = open(&dir.file("a"), Access::Write, Existence::New).expect("open");
        let second = open(&dir.file("a"), Access::Write, Existence::Present).expect("open");
        lock_exclusive(&first, ONCE).expect("free");
        let twice = Patience { tries: 2, pause: Duration::from_millis(1) };
        assert!(matches!(lock_exclusive(&second, twice), Err(LockError::Held { .. })));
        drop(first);
        // A process being started by the test beside this one holds copies of all descriptors
        // for a moment.
        lock_exclusive(&second, PATIENT).expect("released by closing");
    }

    #[test]
    fn lock_lists_are_read_by_kind_and_file() {
        let locks = "1: FLOCK  ADVISORY  WRITE 812 fe:00:1234 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 900 fe:00:1234 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 813 fe:00:1234 0 EOF\n\
                     3: FLOCK  ADVISORY  READ  814 fe:00:1235 0 EOF\n\
                     4: FLOCK  ADVISORY  READ  815 fe:00:1234 0 EOF\n\
                     5: FLOCK  ADVISORY  WRITE -1 fe:00:1234 0 EOF\n\
                     garbage\n";
        assert_eq!(parse_holders(locks, "fe:00:1234"), [812, 815]);
    }
}
