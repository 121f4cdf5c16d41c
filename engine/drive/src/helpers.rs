//! The threads beside the shards, three for each. They end, and are waited for, when this is
//! dropped: after the shards have let go of them.

use std::sync::Arc;
use std::thread::JoinHandle;

use corelog_engine::boot::effect::ManifestName;
use corelog_engine::id::ShardId;
use corelog_os::SharedFd;
use corelog_os::cpu::CoreId;

use crate::bulk::{Bulk, BulkSetup};
use crate::clock::Clock;
use crate::error::RunError;
use crate::files::{Files, FilesSetup};
use crate::layout::Layout;
use crate::mesh::Mailbox;
use crate::sweep::Sweeper;
use crate::work::Work;
use crate::written::Written;

/// Pipes of 1 MiB for all shards together: three quarters of what the kernel grants an ordinary
/// user by default (`pipe-user-pages-soft`). Beyond that, pipes get smaller, not fewer.
const PIPES: usize = 48;

/// A shard has at least so many.
const PIPES_OF_SHARD: usize = 2;

/// What all helpers share.
pub(crate) struct HelperSetup {
    pub(crate) layout: Layout,
    /// The directory's.
    pub(crate) lock: SharedFd,
    pub(crate) sweeper: Arc<Sweeper>,
    /// Where they may run.
    pub(crate) cores: Vec<CoreId>,
    pub(crate) clock: Clock,
    pub(crate) journal_bytes: u64,
    pub(crate) start: u32,
    pub(crate) shards: usize,
    /// Chunks of files that each may have in memory.
    pub(crate) chunks: usize,
}

/// The threads that have been started.
#[derive(Default)]
pub(crate) struct Helpers {
    bulks: Vec<(Bulk, JoinHandle<()>)>,
    files: Vec<JoinHandle<()>>,
    works: Vec<(Work, JoinHandle<()>)>,
}

/// The ways to a shard's helpers.
pub(crate) struct Ways {
    pub(crate) bulk: Bulk,
    pub(crate) files: Files,
    pub(crate) work: Work,
}

impl Helpers {
    /// Starts those of one shard.
    pub(crate) fn start(
        &mut self,
        setup: &HelperSetup,
        shard: ShardId,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Ways, RunError> {
        let written = Arc::new(Written::default());
        let (bulk, thread) = Bulk::start(BulkSetup {
            shard,
            layout: setup.layout.clone(),
            lock: setup.lock.clone(),
            cores: setup.cores.clone(),
            clock: setup.clock,
            mailbox: mailbox.clone(),
            written: written.clone(),
            pipes: (PIPES / setup.shards).max(PIPES_OF_SHARD),
            chunks: setup.chunks,
        })?;
        self.bulks.push((bulk.clone(), thread));
        let (files, thread) = Files::start(FilesSetup {
            manifest: ManifestName { start: setup.start, shard },
            layout: setup.layout.clone(),
            cores: setup.cores.clone(),
            journal_bytes: setup.journal_bytes,
            mailbox: mailbox.clone(),
            bulk: bulk.clone(),
            written,
            sweeper: setup.sweeper.clone(),
        })?;
        self.files.push(thread);
        let cores = setup.cores.clone();
        let (work, thread) = Work::start(shard, &setup.layout, cores, mailbox.clone())?;
        self.works.push((work.clone(), thread));
        Ok(Ways { bulk, files, work })
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        // A files thread may still ask its bulk thread, so it goes first. A thread that has
        // panicked has taken the process with it.
        self.files.drain(..).for_each(|thread| drop(thread.join()));
        for (bulk, thread) in self.bulks.drain(..) {
            bulk.stop();
            drop(thread.join());
        }
        for (work, thread) in self.works.drain(..) {
            work.stop();
            drop(thread.join());
        }
    }
}
