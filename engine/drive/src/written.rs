//! Which segments have changed since the last barrier: told by the thread that writes them before
//! it reports a write, asked by the thread that syncs them.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use corelog_engine::log::SegmentId;
use corelog_os::{SharedFd, file};

/// With more files than this one sync of the whole file system is cheaper than one for each.
const FEW: usize = 8;

/// What the next barrier must cover.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    files: HashMap<(SegmentId, Part), SharedFd>,
    names: Names,
}

/// A segment's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Log,
    Index,
}

/// Whether names have changed: only a sync of the file system covers those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    #[default]
    Same,
    Changed,
}

impl Written {
    /// The file has changed.
    pub(crate) fn note(&self, segment: SegmentId, file: SharedFd) {
        self.changes().files.insert((segment, Part::Log), file);
    }

    /// The same of its index file.
    pub(crate) fn note_index(&self, segment: SegmentId, file: SharedFd) {
        self.changes().files.insert((segment, Part::Index), file);
    }

    /// Names have changed, whatever becomes of the files that they lead to.
    pub(crate) fn note_names(&self) {
        self.changes().names = Names::Changed;
    }

    /// Whether the next barrier covers this file.
    #[cfg(test)]
    pub(crate) fn covers(&self, segment: SegmentId) -> bool {
        self.changes().files.contains_key(&(segment, Part::Log))
    }

    /// Whether the next barrier must cover names.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Names {
        self.changes().names
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes everything noted so far durable. A file system tells of failed writes to one file only
    /// when that file is synced, so one is, whatever happens.
    ///
    /// # Errors
    /// What the kernel says. Nothing noted so far is known to be durable then, nor ever will be.
    pub(crate) fn sync(&self, root: &SharedFd) -> io::Result<()> {
        let changes = mem::take(&mut *self.changes());
        let mut files = changes.files.values();
        if changes.names == Names::Changed || files.len() > FEW {
            file::sync_filesystem(root)?;
            return files.next().map_or(Ok(()), file::sync_data);
        }
        files.try_for_each(file::sync_data)
    }
}
