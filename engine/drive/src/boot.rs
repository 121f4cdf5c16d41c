//! Carries out what recovery wants, with plain blocking calls on a few threads: no shard runs yet.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use corelog_engine::boot::effect::{BootAnswer, BootEffect, BootStep, EntryFile, ManifestName};
use corelog_engine::boot::{Boot, BootPlan, Recovered};
use corelog_engine::id::{Offset, TopicId, TopicPartition};
use corelog_engine::log::SegmentId;
use corelog_engine::shard::event::Failure;
use corelog_os::aligned::AlignedBuf;
use corelog_os::file::{self, Access, Existence};
use corelog_os::lock::{LockError, lock_exclusive};

use crate::aligned_bytes::{aligned_len, into_bytes};
use crate::directory::{
    Directory, WRITE_PATIENCE, publish_draft, replace_file, sync_parent, write_draft,
};
use crate::error::{IoContext, RunError};
use crate::failure::failure;
use crate::layout::{self, Layout};
use crate::segment_file;
use crate::sweep::Sweeper;

/// Threads that carry out a batch. More than cores: they wait for the disk.
const THREADS: usize = 8;

/// Recovers the directory.
pub(crate) fn recover(
    directory: &Directory,
    sweeper: &Sweeper,
    plan: BootPlan,
) -> Result<Recovered, RunError> {
    let layout = &directory.layout;
    outwait_dead_writers(layout)?;
    remove_drafts(layout)?;
    let root = file::open_directory(layout.root()).context("opening", layout.root())?;
    file::sync_filesystem(root).context("syncing", layout.root())?;
    let disk = Disk { layout, sweeper };
    let mut boot = Boot::new(plan);
    let mut answers = Vec::new();
    let mut begun = false;
    loop {
        match boot.step(answers) {
            BootStep::Perform(effects) => {
                if !begun && effects.iter().any(BootEffect::changes) {
                    directory.begin()?;
                    begun = true;
                }
                answers = disk.perform(&effects);
            }
            BootStep::Ready(recovered) => {
                directory.settle()?;
                return Ok(*recovered);
            }
            BootStep::Refuse(refusal) => return Err(RunError::Refused(refusal)),
        }
    }
}

/// After `kill -9` writes in flight outlive their process, and the lock on their descriptor with
/// them (storage.md, invariant 12).
fn outwait_dead_writers(layout: &Layout) -> Result<(), RunError> {
    for directory in [layout.journals(), layout.manifests()] {
        for name in file::names(&directory).context("reading", &directory)? {
            let path = directory.join(name);
            let file = file::open(&path, Access::Write, Existence::Present);
            match lock_exclusive(file.context("opening", &path)?, WRITE_PATIENCE) {
                Ok(()) => {}
                Err(LockError::Held { .. }) => return Err(RunError::StillWriting { path }),
                Err(LockError::Io(error)) => return Err(error).context("locking", path),
            }
        }
    }
    Ok(())
}

/// Removes what an earlier process was about to put into a manifest's place.
fn remove_drafts(layout: &Layout) -> Result<(), RunError> {
    let directory = layout.manifests();
    for name in text_names(&directory).context("reading", &directory)? {
        if layout::is_draft(&name) {
            let path = directory.join(name);
            fs::remove_file(&path).context("removing", path)?;
        }
    }
    Ok(())
}

struct Disk<'a> {
    layout: &'a Layout,
    sweeper: &'a Sweeper,
}

impl Disk<'_> {
    /// Carries out a batch in any order; answers in the order asked.
    fn perform(&self, effects: &[BootEffect]) -> Vec<BootAnswer> {
        if let [only] = effects {
            return vec![self.answer(only)];
        }
        let next = AtomicUsize::new(0);
        let answers = Mutex::new(Vec::with_capacity(effects.len()));
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(effect) = effects.get(index) else { return };
                let answer = self.answer(effect);
                answers.lock().unwrap_or_else(PoisonError::into_inner).push((index, answer));
            }
        };
        thread::scope(|scope| {
            for _ in 1..effects.len().min(THREADS) {
                scope.spawn(work);
            }
            work();
        });
        let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        answers.sort_unstable_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn answer(&self, effect: &BootEffect) -> BootAnswer {
        let answer = match effect {
            BootEffect::ListFiles => self.list_files(),
            BootEffect::ListTopics => self.list_topics().map(BootAnswer::Topics),
            BootEffect::ListSegments(partition) => {
                self.list_segments(*partition).map(BootAnswer::Segments)
            }
            BootEffect::ReadManifest(name) => self.read_manifest(*name).map(BootAnswer::Bytes),
            BootEffect::ReadEntries(file, at, len) => {
                self.read_entries(*file, *at, *len).map(BootAnswer::Bytes)
            }
            BootEffect::ReadSegment(segment, at, len) => {
                self.read_segment(*segment, *at, *len).map(BootAnswer::Bytes)
            }
            other => self.change(other).map(|()| BootAnswer::Done),
        };
        answer.unwrap_or_else(|error| match failure(&error) {
            Failure::Full => BootAnswer::Full(error.to_string()),
            Failure::Missing | Failure::Short | Failure::Offline | Failure::Io(_) => {
                BootAnswer::Failed(error.to_string())
            }
        })
    }

    fn change(&self, effect: &BootEffect) -> io::Result<()> {
        match effect {
            BootEffect::WriteSegment(segment, at, bytes) => self.write(*segment, *at, bytes),
            BootEffect::Truncate(segment, len) => {
                let path = self.layout.segment(*segment);
                let file = file::open(&path, Access::Write, Existence::Present)?;
                segment_file::reaches(&file, *len)?;
                file::truncate(file, *len)
            }
            BootEffect::Barrier => file::sync_filesystem(file::open_directory(self.layout.root())?),
            BootEffect::DraftManifest(name, at, bytes) => {
                write_draft(&self.layout.manifest(*name), *at, bytes).map(drop)
            }
            BootEffect::ReplaceManifest(name, at, bytes) => {
                let path = self.layout.manifest(*name);
                publish_draft(&path, &write_draft(&path, *at, bytes)?)
            }
            BootEffect::RemoveManifest(name) => remove_durably(&self.layout.manifest(*name)),
            BootEffect::Rescue(file, bytes) => replace_file(&self.layout.rescued(*file), bytes),
            BootEffect::RemoveRescue(file) => remove_durably(&self.layout.rescued(*file)),
            BootEffect::RemoveJournal(journal) => remove_durably(&self.layout.journal(*journal)),
            BootEffect::RemoveTopic(topic) => self.sweeper.discard(&self.layout.topic(*topic)),
            BootEffect::Orphan(topic) => self.orphan(*topic),
            BootEffect::ListFiles
            | BootEffect::ListTopics
            | BootEffect::ListSegments(_)
            | BootEffect::ReadManifest(_)
            | BootEffect::ReadEntries(..)
            | BootEffect::ReadSegment(..) => Ok(()),
        }
    }

    fn list_files(&self) -> io::Result<BootAnswer> {
        let mut journals = Vec::new();
        for name in text_names(&self.layout.journals())? {
            if let Some(journal) = layout::parse_journal(&name) {
                journals.push((journal, fs::metadata(self.layout.journal(journal))?.len()));
            }
        }
        let manifests = text_names(&self.layout.manifests())?;
        let manifests = manifests.iter().filter_map(|name| layout::parse_manifest(name)).collect();
        let mut rescues = Vec::new();
        for name in text_names(&self.layout.rescue())? {
            if let Some(rescue) = layout::parse_rescue(&name) {
                rescues.push((rescue, fs::metadata(self.layout.rescued(rescue))?.len()));
            }
        }
        Ok(BootAnswer::Files { journals, manifests, rescues })
    }

    fn list_topics(&self) -> io::Result<Vec<TopicId>> {
        let names = text_names(&self.layout.topics())?;
        Ok(names.iter().filter_map(|name| TopicId::parse(name)).collect())
    }

    fn list_segments(&self, partition: TopicPartition) -> io::Result<Vec<(Offset, u64)>> {
        let names = match text_names(&self.layout.partition(partition)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let mut segments = Vec::new();
        for base in names.iter().filter_map(|name| layout::parse_segment(name)) {
            let path = self.layout.segment(SegmentId { partition, base });
            segments.push((base, fs::metadata(path)?.len()));
        }
        Ok(segments)
    }

    fn read_manifest(&self, name: ManifestName) -> io::Result<Bytes> {
        fs::read(self.layout.manifest(name)).map(Bytes::from)
    }

    fn read_entries(&self, file: EntryFile, at: u64, len: u64) -> io::Result<Bytes> {
        let path = self.layout.entries(file);
        let file = file::open(&path, Access::ReadDirect, Existence::Present)?;
        let mut buffer = AlignedBuf::zeroed(aligned_len(0, len as usize));
        let count = file::read_at(file, &mut buffer, at)?;
        Ok(into_bytes(buffer, 0..count.min(len as usize)))
    }

    fn read_segment(&self, segment: SegmentId, at: u64, len: u32) -> io::Result<Bytes> {
        let file = file::open(&self.layout.segment(segment), Access::Read, Existence::Present)?;
        let mut bytes = vec![0; len as usize];
        let count = file::read_at(file, &mut bytes, at)?;
        bytes.truncate(count);
        Ok(Bytes::from(bytes))
    }

    fn write(&self, segment: SegmentId, at: u64, bytes: &[u8]) -> io::Result<()> {
        // The writes of a batch come in any order, so that any of them may be the one that makes
        // the file: recovery has looked at what there is. Its barrier covers names.
        let (file, _) = segment_file::open_or_make(self.layout, segment);
        file::write_all_at(file?, bytes, at)
    }

    /// Moves a topic's directory away, beside what earlier starts have moved.
    fn orphan(&self, topic: TopicId) -> io::Result<()> {
        let orphans = self.layout.orphans();
        let numbered = (1..).map(|number| orphans.join(format!("{topic}.{number}")));
        let mut places = std::iter::once(orphans.join(topic.to_string())).chain(numbered);
        let Some(place) = places.find(|place| !place.exists()) else { return Ok(()) };
        fs::rename(self.layout.topic(topic), place)
    }
}

fn remove_durably(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => sync_parent(path),
    }
}

/// The names in a directory that we could have given: the others are nobody's.
fn text_names(directory: &Path) -> io::Result<Vec<String>> {
    Ok(file::names(directory)?.into_iter().filter_map(|name| name.into_string().ok()).collect())
}
