//! Taking possession of the data directory: lock it, see whose it is and that it is all there. The
//! start is noted before the first change, so that one that is refused leaves no trace.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use corelog_os::SharedFd;
use corelog_os::file::{self, Access, Existence};
use corelog_os::lock::{LockError, Patience, lock_exclusive};
use corelog_os::process::is_alive;

use crate::error::{IoContext, RunError};
use crate::handle::{Identity, random};
use crate::layout::{Layout, parse_manifest, temporary};
use crate::meta::{BadMeta, FORMAT, Meta, spelled};
use crate::settings::Settings;

/// A process that was killed holds its lock until the kernel has cleaned up behind it.
const LOCK_PATIENCE: Patience = Patience { tries: 200, pause: Duration::from_millis(10) };

/// Its rings hold the lock too (see [`Directory::lock`]): how long what they have in flight is
/// waited for.
pub(crate) const WRITE_PATIENCE: Patience =
    Patience { tries: 500, pause: Duration::from_millis(20) };

/// A data directory that is ours alone until this is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) layout: Layout,
    pub(crate) identity: Identity,
    /// The last start whose manifests were all durable.
    pub(crate) settled: u32,
    /// Held by every ring that writes, so that it is free only when the last write of this process
    /// is: a write that is still in a hung device when the process is killed would else land where
    /// the next one has written meanwhile.
    pub(crate) lock: SharedFd,
}

impl Directory {
    /// Locks the directory, making it when it is missing, and finds the number of this start.
    pub(crate) fn open(settings: &Settings) -> Result<Directory, RunError> {
        let layout = Layout::new(&settings.data_dir);
        fs::create_dir_all(layout.root()).context("creating", layout.root())?;
        let lock = lock(&layout)?;
        let meta = next_meta(&layout, settings)?;
        for directory in layout.directories() {
            fs::create_dir_all(&directory).context("creating", directory)?;
        }
        file::sync_directory(layout.root()).context("syncing", layout.root())?;
        let Meta { cluster_id, node_id, directory_id, start, settled } = meta;
        let identity = Identity { cluster_id, node_id, start, directory_id };
        Ok(Directory { layout, identity, settled, lock: Arc::new(lock) })
    }

    /// Notes this start, durably: from now on it may leave its number in other files.
    pub(crate) fn begin(&self) -> Result<(), RunError> {
        self.note(self.settled)
    }

    /// Notes that all manifests of this start are durable.
    pub(crate) fn settle(&self) -> Result<(), RunError> {
        self.note(self.identity.start)
    }

    fn note(&self, settled: u32) -> Result<(), RunError> {
        let Identity { cluster_id, node_id, start, directory_id } = self.identity;
        let meta = Meta { cluster_id, node_id, directory_id, start, settled };
        let path = self.layout.meta();
        replace_file(&path, meta.encode().as_bytes()).context("writing", path)
    }
}

fn lock(layout: &Layout) -> Result<OwnedFd, RunError> {
    let path = layout.lock();
    let lock = file::open(&path, Access::Write, Existence::Either).context("opening", &path)?;
    let mut outcome = lock_exclusive(&lock, LOCK_PATIENCE);
    if matches!(&outcome, Err(LockError::Held { by }) if !by.iter().any(|pid| is_alive(*pid))) {
        outcome = lock_exclusive(&lock, WRITE_PATIENCE);
    }
    match outcome {
        Ok(()) => {}
        Err(LockError::Held { by }) => return Err(held(layout, &by)),
        Err(LockError::Io(error)) => return Err(error).context("locking", path),
    }
    let number = format!("{}\n", std::process::id());
    let written =
        file::truncate(&lock, 0).and_then(|()| file::write_all_at(&lock, number.as_bytes(), 0));
    written.context("writing", path)?;
    Ok(lock)
}

/// Why somebody has the directory still: a process, or what one that is gone has left in flight.
fn held(layout: &Layout, by: &[u32]) -> RunError {
    if !by.is_empty() && !by.iter().any(|pid| is_alive(*pid)) {
        return RunError::StillWriting { path: layout.root().to_path_buf() };
    }
    let written = || fs::read_to_string(layout.lock()).ok()?.trim().parse().ok();
    let pid = by.first().copied().or_else(written);
    RunError::DirectoryInUse { path: layout.root().to_path_buf(), pid }
}

/// What this start goes by.
fn next_meta(layout: &Layout, settings: &Settings) -> Result<Meta, RunError> {
    let path = layout.meta();
    let old = match fs::read_to_string(&path) {
        Ok(text) => {
            let meta = Meta::decode(&text).map_err(|bad| match bad {
                BadMeta::Newer(found) => {
                    RunError::NewerFormat { path: path.clone(), found, known: FORMAT }
                }
                BadMeta::Foreign(why) => RunError::NotOurs { path: path.clone(), why },
            })?;
            check_directories(layout)?;
            meta
        }
        Err(error) if error.kind() == ErrorKind::NotFound => fresh_meta(layout, settings)?,
        Err(error) => return Err(error).context("reading", path),
    };
    if let Some(configured) = settings.cluster_id.filter(|id| *id != old.cluster_id) {
        let (configured, found) = (spelled(configured), spelled(old.cluster_id));
        return Err(RunError::ForeignCluster { path, configured, found });
    }
    if old.node_id != settings.node_id {
        let (configured, found) = (settings.node_id, old.node_id);
        return Err(RunError::ForeignNode { path, configured, found });
    }
    // A copy of an earlier day would have numbers given anew.
    let start = newest_manifest(layout)?.max(old.start).checked_add(1);
    let start = start.ok_or(RunError::NotOurs { path, why: "there are no more start numbers" })?;
    Ok(Meta { start, ..old })
}

/// The newest start that has written a manifest, 0 when none has.
fn newest_manifest(layout: &Layout) -> Result<u32, RunError> {
    let directory = layout.manifests();
    let names = match file::names(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        names => names.context("reading", directory)?,
    };
    let names = names.iter().filter_map(|name| name.to_str());
    Ok(names.filter_map(parse_manifest).map(|name| name.start).max().unwrap_or(0))
}

/// The directories of a start that came as far as its `meta.properties` are all there.
fn check_directories(layout: &Layout) -> Result<(), RunError> {
    for path in layout.directories_with_data() {
        if !path.is_dir() {
            return Err(RunError::DirectoryMissing { path, meta: layout.meta() });
        }
    }
    Ok(())
}

/// For a directory that has never been started. A start that ended before it wrote its
/// `meta.properties` has left nothing but the lock and empty directories.
fn fresh_meta(layout: &Layout, settings: &Settings) -> Result<Meta, RunError> {
    for directory in layout.directories() {
        let names = match file::names(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).context("reading", directory),
        };
        if !names.is_empty() {
            let why = "missing, though the directory holds data";
            return Err(RunError::NotOurs { path: layout.meta(), why });
        }
    }
    Ok(Meta {
        cluster_id: settings.cluster_id.unwrap_or_else(random),
        node_id: settings.node_id,
        directory_id: random(),
        start: 0,
        settled: 0,
    })
}

/// Replaces a file whole and durably: after a crash it is the old one or the new one.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    publish_draft(path, &write_draft(path, 0, bytes)?)
}

/// Writes part of what will replace a file beside it; at 0 it begins anew. What cannot be written
/// whole is removed: it would take room where there is none.
pub(crate) fn write_draft(path: &Path, at: u64, bytes: &[u8]) -> io::Result<OwnedFd> {
    let draft = temporary(path);
    let existence = if at == 0 { Existence::Either } else { Existence::Present };
    let written = file::open(&draft, Access::Write, existence).and_then(|file| {
        file::truncate(&file, at)?;
        file::write_all_at(&file, bytes, at)?;
        Ok(file)
    });
    written.inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Puts what was written beside a file into its place, durably.
pub(crate) fn publish_draft(path: &Path, draft: &OwnedFd) -> io::Result<()> {
    let temporary = temporary(path);
    file::sync_all(draft).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes a file's name durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    file::sync_directory(path.parent().unwrap_or(Path::new("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_is_not_named_as_the_holder() {
        let mut child = std::process::Command::new("true").spawn().expect("spawn");
        child.wait().expect("ended");
        let layout = Layout::new(Path::new("/d"));
        let living = std::process::id();
        for (by, gone, pid) in [
            (vec![child.id()], true, None),
            (vec![living], false, Some(living)),
            (vec![living, child.id()], false, Some(living)),
            (vec![], false, None),
        ] {
            match held(&layout, &by) {
                RunError::StillWriting { path } => assert!(gone && path == layout.root(), "{by:?}"),
                RunError::DirectoryInUse { pid: found, .. } => {
                    assert_eq!((found, gone), (pid, false))
                }
                other => panic!("{other}"),
            }
        }
    }
}
