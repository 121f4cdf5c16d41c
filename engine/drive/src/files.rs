//! The thread of a shard that changes names, sizes and manifests, and makes things durable: one act
//! after the other, in the order wanted. It blocks; the shard hears of each act by letter.

use std::fs;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corelog_engine::boot::effect::{JournalFile, ManifestName};
use corelog_engine::id::TopicPartition;
use corelog_engine::log::{Pages, SegmentId};
use corelog_engine::shard::effect::{FileAction, FileEffect};
use corelog_os::SharedFd;
use corelog_os::cpu::{CoreId, pin_current_thread};
use corelog_os::file::{self, Access, Existence};
use corelog_os::lock::{LockError, Patience, lock_exclusive};

use crate::abort::AbortOnPanic;
use crate::bulk::{Bulk, Removed};
use crate::directory::{publish_draft, replace_file, sync_parent, write_draft};
use crate::error::{IoContext, RunError};
use crate::failure::outcome;
use crate::layout::Layout;
use crate::mesh::{Letter, Mailbox};
use crate::segment_file;
use crate::sweep::Sweeper;
use crate::written::Written;

/// Nobody else has a business with our files; what is locked is about to be unlocked.
const LOCK_PATIENCE: Patience = Patience { tries: 50, pause: Duration::from_millis(20) };

/// Between two megabytes of a journal file that nobody waits for yet.
const PAUSE: Duration = Duration::from_millis(2);

/// What a files thread works with.
pub(crate) struct FilesSetup {
    /// This start's manifest of the shard.
    pub(crate) manifest: ManifestName,
    pub(crate) layout: Layout,
    /// Where this thread may run.
    pub(crate) cores: Vec<CoreId>,
    pub(crate) journal_bytes: u64,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) bulk: Bulk,
    pub(crate) written: Arc<Written>,
    pub(crate) sweeper: Arc<Sweeper>,
}

enum Job {
    Effect(FileEffect),
    DiskFree,
}

/// The way to a shard's files thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Files(Sender<Job>);

impl Files {
    /// Opens the shard's manifest and starts the thread.
    pub(crate) fn start(setup: FilesSetup) -> Result<(Files, JoinHandle<()>), RunError> {
        let layout = &setup.layout;
        let manifest = Manifest::open(&layout.manifest(setup.manifest))?;
        let root = file::open_directory(layout.root()).context("opening", layout.root())?;
        let (sender, jobs) = channel();
        let name = format!("corelog-files-{}", setup.manifest.shard.0);
        let path = layout.root().to_path_buf();
        let worker = Worker { manifest, root: Arc::new(root), has_journal: false, setup };
        let thread = thread::Builder::new().name(name).spawn(move || worker.run(&jobs));
        Ok((Files(sender), thread.context("starting a thread for", path)?))
    }

    pub(crate) fn perform(&self, effect: FileEffect) {
        self.send(Job::Effect(effect));
    }

    /// Asks for the bytes that are free.
    pub(crate) fn measure(&self) {
        self.send(Job::DiskFree);
    }

    fn send(&self, job: Job) {
        // The thread ends only after this sender is gone, or with the process.
        let _ = self.0.send(job);
    }
}

/// Opens a journal file for the shard's ring and locks it.
pub(crate) fn open_journal(layout: &Layout, journal: JournalFile) -> io::Result<SharedFd> {
    let path = layout.journal(journal);
    let file = file::open(&path, Access::WriteDurable, Existence::Present)?;
    lock(&file)?;
    Ok(Arc::new(file))
}

fn lock(file: &OwnedFd) -> io::Result<()> {
    lock_exclusive(file, LOCK_PATIENCE).map_err(|error| match error {
        LockError::Held { .. } => ErrorKind::ResourceBusy.into(),
        LockError::Io(error) => error,
    })
}

struct Worker {
    setup: FilesSetup,
    manifest: Manifest,
    root: SharedFd,
    /// Whether a journal file was formatted.
    has_journal: bool,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        let _abort = AbortOnPanic;
        if let Err(error) = pin_current_thread(&self.setup.cores) {
            tracing::warn!(%error, "a helper thread runs on any core");
        }
        while let Ok(job) = jobs.recv() {
            let letter = match job {
                Job::Effect(effect) => self.carry_out(effect),
                Job::DiskFree => match file::free_bytes(&self.root) {
                    Ok(bytes) => Letter::DiskFree(bytes),
                    Err(error) => {
                        tracing::warn!(%error, "cannot tell how much of the disk is free");
                        continue;
                    }
                },
            };
            self.setup.mailbox.deliver(letter);
        }
    }

    fn carry_out(&mut self, FileEffect { id, action }: FileEffect) -> Letter {
        let done = match action {
            FileAction::FormatJournal(slot) => match self.format_journal(slot) {
                Ok(file) => return Letter::JournalReady(id, slot, file),
                Err(error) => Err(error),
            },
            FileAction::Barrier => self.setup.written.sync(&self.root),
            FileAction::AppendManifest(bytes) => self.manifest.append(&bytes),
            FileAction::DraftManifest(at, bytes) => self.draft_manifest(at, &bytes).map(drop),
            FileAction::ReplaceManifest(at, bytes) => self.replace_manifest(at, &bytes),
            FileAction::Truncate(segment, len) => self.truncate(segment, len),
            FileAction::WriteIndex(segment, pages) => self.write_index(segment, &pages),
            FileAction::RemoveSegment(segment) => self.remove_segment(segment),
            FileAction::RemovePartition(partition) => self.remove_partition(partition),
            FileAction::Rescue(file, bytes) => {
                replace_file(&self.setup.layout.rescued(file), &bytes)
            }
        };
        Letter::Done(id, outcome(done))
    }

    fn format_journal(&mut self, slot: u16) -> io::Result<SharedFd> {
        // The first commits wait for the first file, and must not wait for the others.
        let pause = if mem::replace(&mut self.has_journal, true) { PAUSE } else { Duration::ZERO };
        let layout = &self.setup.layout;
        let journal = JournalFile { shard: self.setup.manifest.shard, slot };
        let path = layout.journal(journal);
        let file = file::open(&path, Access::WriteDirect, Existence::Either)?;
        let filled = file::truncate(&file, 0)
            .and_then(|()| file::zero_fill(&file, self.setup.journal_bytes, pause))
            .and_then(|()| sync_parent(&path));
        drop(file);
        filled.and_then(|()| open_journal(layout, journal)).inspect_err(|_| {
            // Half a journal file is of no use and takes space.
            let _ = fs::remove_file(&path);
        })
    }

    fn draft_manifest(&self, at: u64, bytes: &[u8]) -> io::Result<OwnedFd> {
        write_draft(&self.setup.layout.manifest(self.setup.manifest), at, bytes)
    }

    fn replace_manifest(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let draft = self.draft_manifest(at, bytes)?;
        lock(&draft)?;
        publish_draft(&self.setup.layout.manifest(self.setup.manifest), &draft)?;
        self.manifest = Manifest { file: draft, end: at + bytes.len() as u64 };
        Ok(())
    }

    fn write_index(&self, segment: SegmentId, pages: &Pages) -> io::Result<()> {
        let path = self.setup.layout.index(segment);
        let file = match file::open(&path, Access::Write, Existence::Present) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.setup.written.note_names();
                file::open(&path, Access::Write, Existence::Either)?
            }
            file => file?,
        };
        file::write_all_at(&file, &pages.bytes, pages.at)?;
        self.setup.written.note_index(segment, Arc::new(file));
        Ok(())
    }

    fn truncate(&self, segment: SegmentId, len: u64) -> io::Result<()> {
        let path = self.setup.layout.segment(segment);
        let file = Arc::new(file::open(&path, Access::Write, Existence::Present)?);
        segment_file::reaches(&file, len)?;
        file::truncate(&file, len)?;
        self.setup.written.note(segment, file);
        Ok(())
    }

    fn remove_segment(&self, segment: SegmentId) -> io::Result<()> {
        self.setup.bulk.forget(Removed::Segment(segment));
        let FilesSetup { layout, sweeper, .. } = &self.setup;
        sweeper.discard(&layout.segment(segment))?;
        sweeper.discard(&layout.index(segment))
    }

    fn remove_partition(&self, partition: TopicPartition) -> io::Result<()> {
        self.setup.bulk.forget(Removed::Partition(partition));
        let FilesSetup { layout, sweeper, .. } = &self.setup;
        sweeper.discard(&layout.partition(partition))?;
        // The topic's own directory goes with its last partition, which may be another shard's.
        let _ = fs::remove_dir(layout.topic(partition.topic));
        Ok(())
    }
}

/// This shard's manifest, locked: records that are whole, up to `end`.
struct Manifest {
    file: OwnedFd,
    end: u64,
}

impl Manifest {
    /// The one that recovery has written.
    fn open(path: &Path) -> Result<Manifest, RunError> {
        let file = file::open(path, Access::Write, Existence::Present).context("opening", path)?;
        lock(&file).context("locking", path)?;
        let end = file::size(&file).context("measuring", path)?;
        Ok(Manifest { file, end })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = file::write_all_at(&self.file, bytes, self.end);
        match written.and_then(|()| file::sync_data(&self.file)) {
            Ok(()) => {
                self.end += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What was written in part is no record; the next one goes to its place.
                let _ = file::truncate(&self.file, self.end);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use corelog_engine::shard::event::Failure;
    use corelog_os::file::SyncFailed;

    use super::*;
    use crate::failure::failure;

    #[test]
    fn only_a_write_finds_the_disk_full() {
        const EINVAL: i32 = 22;
        // One takes no byte, the other takes any and cannot be synced.
        let rows = [("/dev/full", Failure::Full), ("/dev/null", Failure::Io(EINVAL))];
        for (path, expected) in rows {
            let file = file::open(Path::new(path), Access::Write, Existence::Present);
            let mut manifest = Manifest { file: file.expect("open"), end: 0 };
            let error = manifest.append(b"record").expect_err(path);
            assert_eq!((failure(&error), manifest.end), (expected, 0), "{path}");
            assert_eq!(SyncFailed::of(&error).is_some(), expected != Failure::Full, "{path}");
        }
    }
}
