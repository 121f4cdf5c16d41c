//! Freeing the space of what is removed, aside: unlinking a large file takes the file system's
//! time, and no barrier shall wait for it. What is removed disappears by a rename, at once; a
//! thread then unlinks it, and the next start what was left.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use corelog_os::file;

use crate::layout::Layout;

/// Takes away files and directories. One for all shards.
#[derive(Debug)]
pub(crate) struct Sweeper {
    removed: PathBuf,
    start: u32,
    next: AtomicU64,
    queue: Sender<PathBuf>,
}

impl Sweeper {
    /// Starts the thread; what an earlier run has left goes first.
    pub(crate) fn start(layout: &Layout, start: u32) -> io::Result<Sweeper> {
        let removed = layout.removed();
        let (queue, work) = channel();
        let left = file::names(&removed)?;
        let left: Vec<PathBuf> = left.into_iter().map(|name| removed.join(name)).collect();
        let sweep = move || {
            left.iter().for_each(|path| unlink(path));
            drain(&work);
        };
        thread::Builder::new().name("corelog-sweep".to_owned()).spawn(sweep)?;
        Ok(Sweeper { removed, start, next: AtomicU64::new(0), queue })
    }

    /// Takes a file or a directory away; one that is missing is gone already.
    pub(crate) fn discard(&self, path: &Path) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let aside = self.removed.join(format!("{}-{number}", self.start));
        match fs::rename(path, &aside) {
            Ok(()) => {
                // Without the thread the next start unlinks it.
                let _ = self.queue.send(aside);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn drain(work: &Receiver<PathBuf>) {
    while let Ok(path) = work.recv() {
        unlink(&path);
    }
}

fn unlink(path: &Path) {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir());
    let done = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot free removed data");
        }
        _ => {}
    }
}
