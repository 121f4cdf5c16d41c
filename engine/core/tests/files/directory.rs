//! A data directory in memory: every change is durable at once, and may be the last one.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use corelog_engine::boot::effect::{
    BootAnswer, BootEffect, EntryFile, JournalFile, ManifestName, RescueFile,
};
use corelog_engine::id::{Offset, TopicPartition};
use corelog_engine::log::SegmentId;

/// A file of the core's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Journal(JournalFile),
    Manifest(ManifestName),
    Rescue(RescueFile),
    Segment(SegmentId),
    Index(SegmentId),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Journal(file) => file.fmt(f),
            Name::Manifest(name) => name.fmt(f),
            Name::Rescue(file) => file.fmt(f),
            Name::Segment(segment) => segment.fmt(f),
            Name::Index(segment) => write!(f, "index of {segment}"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) files: BTreeMap<Name, Vec<u8>>,
    /// Manifests in the making: no start looks at them.
    pub(crate) drafts: BTreeMap<ManifestName, Vec<u8>>,
    /// The number of the last start.
    pub(crate) starts: u32,
    /// The last start whose manifests were all durable.
    pub(crate) settled: u32,
    /// Changes until the process is killed.
    pub(crate) fuse: Option<u32>,
}

impl Directory {
    /// Whether the process lives on to make one more change.
    pub(crate) fn lives(&mut self) -> bool {
        match &mut self.fuse {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    pub(crate) fn write(&mut self, name: Name, at: u64, bytes: &[u8]) {
        let file = self.files.entry(name).or_default();
        let end = at as usize + bytes.len();
        file.resize(file.len().max(end), 0);
        file[at as usize..end].copy_from_slice(bytes);
    }

    /// Writes a part of a manifest in the making; the first begins it anew.
    pub(crate) fn draft(&mut self, name: ManifestName, at: u64, bytes: &[u8]) {
        let draft = self.drafts.entry(name).or_default();
        draft.truncate(at as usize);
        assert_eq!(draft.len() as u64, at, "parts follow each other");
        draft.extend_from_slice(bytes);
    }

    /// The manifest is from now on what was drafted.
    pub(crate) fn replace_by_draft(&mut self, name: ManifestName) {
        let draft = self.drafts.remove(&name).unwrap_or_default();
        self.files.insert(Name::Manifest(name), draft);
    }

    pub(crate) fn cut(&mut self, segment: SegmentId, len: u64) {
        self.files.entry(Name::Segment(segment)).or_default().resize(len as usize, 0);
    }

    /// As much of a range as the file has; `None` when there is no file.
    pub(crate) fn read(&self, name: Name, at: u64, len: u64) -> Option<Bytes> {
        let file = self.files.get(&name)?;
        let from = file.len().min(at as usize);
        let to = file.len().min(from.saturating_add(len as usize));
        Some(Bytes::copy_from_slice(&file[from..to]))
    }

    /// Carries out what recovery wants; `None` when the process is killed at it.
    pub(crate) fn carry_out(&mut self, effect: &BootEffect) -> Option<BootAnswer> {
        if effect.changes() && !self.lives() {
            return None;
        }
        let read = |name, at, len| match self.read(name, at, len) {
            Some(bytes) => BootAnswer::Bytes(bytes),
            None => BootAnswer::Failed(format!("{name}: no such file")),
        };
        Some(match effect {
            BootEffect::ListFiles => self.list_files(),
            BootEffect::ListTopics => {
                let topics = self.segments(None).map(|(segment, _)| segment.partition.topic);
                let mut topics: Vec<_> = topics.collect();
                topics.dedup();
                BootAnswer::Topics(topics)
            }
            BootEffect::ListSegments(partition) => {
                let segments = self.segments(Some(*partition));
                let facts: Vec<(Offset, u64)> =
                    segments.map(|(segment, len)| (segment.base, len)).collect();
                BootAnswer::Segments(facts)
            }
            BootEffect::ReadManifest(name) => read(Name::Manifest(*name), 0, u64::MAX >> 1),
            BootEffect::ReadEntries(EntryFile::Journal(file), at, len) => {
                read(Name::Journal(*file), *at, u64::from(*len))
            }
            BootEffect::ReadEntries(EntryFile::Rescue(file), at, len) => {
                read(Name::Rescue(*file), *at, u64::from(*len))
            }
            BootEffect::ReadSegment(segment, at, len) => {
                read(Name::Segment(*segment), *at, u64::from(*len))
            }
            change => {
                self.change(change);
                BootAnswer::Done
            }
        })
    }

    fn change(&mut self, effect: &BootEffect) {
        match effect {
            BootEffect::WriteSegment(segment, at, bytes) => {
                self.write(Name::Segment(*segment), *at, bytes);
            }
            BootEffect::Truncate(segment, len) => self.cut(*segment, *len),
            BootEffect::DraftManifest(name, at, bytes) => self.draft(*name, *at, bytes),
            BootEffect::ReplaceManifest(name, at, bytes) => {
                self.draft(*name, *at, bytes);
                self.replace_by_draft(*name);
            }
            BootEffect::RemoveManifest(name) => drop(self.files.remove(&Name::Manifest(*name))),
            BootEffect::Rescue(file, bytes) => {
                self.files.insert(Name::Rescue(*file), bytes.to_vec());
            }
            BootEffect::RemoveRescue(file) => drop(self.files.remove(&Name::Rescue(*file))),
            BootEffect::RemoveJournal(file) => drop(self.files.remove(&Name::Journal(*file))),
            BootEffect::Barrier => {}
            other => panic!("no test removes a topic: {other:?}"),
        }
    }

    fn list_files(&self) -> BootAnswer {
        let (mut journals, mut manifests, mut rescues) = (Vec::new(), Vec::new(), Vec::new());
        for (name, bytes) in &self.files {
            let len = bytes.len() as u64;
            match name {
                Name::Journal(file) => journals.push((*file, len)),
                Name::Manifest(name) => manifests.push(*name),
                Name::Rescue(file) => rescues.push((*file, len)),
                Name::Segment(_) | Name::Index(_) => {}
            }
        }
        BootAnswer::Files { journals, manifests, rescues }
    }

    fn segments(&self, of: Option<TopicPartition>) -> impl Iterator<Item = (SegmentId, u64)> {
        self.files.iter().filter_map(move |(name, bytes)| match name {
            Name::Segment(segment) if of.is_none_or(|of| of == segment.partition) => {
                Some((*segment, bytes.len() as u64))
            }
            _ => None,
        })
    }
}
