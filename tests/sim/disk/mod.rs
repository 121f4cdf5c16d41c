//! The disk and its file system, as bad as they may be without breaking a promise.
//!
//! Every file and name has a *view*, which the process sees, and a *stable* state, which a power
//! cut leaves. A change (a write, a cut, a name made or removed) starts in flight. When it has
//! landed, the view has it; when it is durable, the stable state has it too. In between it is
//! volatile.
//!
//! - Journal writes and manifest appends are durable when they land (O_DSYNC, fdatasync): their own
//!   bytes, and nothing else of the file, nor its name.
//! - Segment writes, cuts, index files, new and removed names are volatile until a barrier that was
//!   issued after their completion had been reported. A barrier covers nothing else.
//! - Replacing a manifest leaves the old or the new one, and is durable when it lands. What was
//!   drafted of it before has no name, and no crash leaves any of it.
//! - A power cut leaves, of each volatile or flying change, any subset of its 512-byte sectors: a
//!   sector has its stable bytes, or those after any change since, or, where the head was on it,
//!   neither. Sizes and names are those of any moment since they were stable, each on its own.
//! - A killed process leaves the view; what was in flight lands, or does not, or lands in part.
//! - A failed write leaves each of its sectors old, new or neither. A failed barrier may lose any
//!   change that it was to cover, at once and for good.
//! - Files take `capacity` bytes together; a write that exceeds it fails, after a part perhaps.
//!
//! What is stable never changes by itself; tests of detection use [`Disk::flip`].

mod file;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use corelog_engine::boot::effect::{JournalFile, ManifestName, RescueFile};
use corelog_engine::id::{Offset, TopicId, TopicPartition};
use corelog_engine::log::SegmentId;

use self::file::{Act, File, Tear};
use crate::sim::rng::Rng;

/// A file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A journal file.
    Journal(JournalFile),
    /// A shard's manifest.
    Manifest(ManifestName),
    /// A segment.
    Segment(SegmentId),
    /// A segment's index.
    Index(SegmentId),
    /// A partition's directory.
    Directory(TopicPartition),
    /// What a failed segment would not take.
    Rescue(RescueFile),
}

impl Name {
    /// The partition whose directory holds it.
    #[must_use]
    pub fn partition(self) -> Option<TopicPartition> {
        match self {
            Name::Segment(segment) | Name::Index(segment) => Some(segment.partition),
            Name::Directory(partition) => Some(partition),
            Name::Journal(_) | Name::Manifest(_) | Name::Rescue(..) => None,
        }
    }
}

/// An open file: it can be read after its name is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode(u64);

/// An operation that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Op(u64);

/// What a barrier covers: everything reported up to here.
#[derive(Clone, Copy, Debug)]
pub struct Cover(u64);

/// What of an operation is durable as soon as it has landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// Its bytes, with what the file had before, and its name: both were synced.
    Durable,
    /// Its bytes, and the size they need.
    Bytes,
    /// Not before a barrier.
    Volatile,
}

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Flying,
    Landed,
    /// Durable, above earlier changes that are not.
    Durable,
    /// The process has been told; counts such tellings.
    Reported(u64),
}

#[derive(Debug)]
struct Change<T> {
    op: Op,
    act: T,
    stage: Stage,
}

/// What a name leads to.
#[derive(Debug, Default)]
struct Entry {
    stable: Option<Inode>,
    view: Option<Inode>,
    changes: Vec<Change<Option<Inode>>>,
}

/// What an operation changes.
#[derive(Clone, Debug, Default)]
struct Targets {
    files: Vec<Inode>,
    names: Vec<Name>,
}

/// The disk.
#[derive(Debug, Default)]
pub struct Disk {
    files: BTreeMap<Inode, File>,
    names: BTreeMap<Name, Entry>,
    /// Operations that are not durable.
    open: BTreeMap<Op, Targets>,
    /// Manifests that are not whole yet.
    drafts: BTreeMap<ManifestName, Vec<u8>>,
    next: u64,
    reports: u64,
    /// Bytes that all files may take together.
    pub capacity: Option<u64>,
    /// Topics whose directories were moved away.
    pub orphans: BTreeSet<TopicId>,
}

/// What the process sees.
impl Disk {
    fn visible(&self) -> impl Iterator<Item = (Name, Inode)> {
        self.names.iter().filter_map(|(name, entry)| entry.view.map(|inode| (*name, inode)))
    }

    /// The names there are, sorted.
    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.visible().map(|(name, _)| name)
    }

    /// Bytes in all files together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.visible().map(|(_, inode)| self.view(inode).len() as u64).sum()
    }

    /// Bytes that are free; very many when there is no limit.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(self.used()))
    }

    /// The file of this name.
    #[must_use]
    pub fn find(&self, name: Name) -> Option<Inode> {
        self.names.get(&name)?.view
    }

    fn view(&self, inode: Inode) -> &[u8] {
        self.files.get(&inode).map_or(&[], |file| &file.view)
    }

    /// Bytes of a file.
    #[must_use]
    pub fn len(&self, name: Name) -> Option<u64> {
        self.find(name).map(|inode| self.view(inode).len() as u64)
    }

    /// Bytes of a file, shorter than asked for only at its end.
    #[must_use]
    pub fn read(&self, inode: Inode, at: u64, len: u64) -> Bytes {
        let view = self.view(inode);
        let (from, to) = (view.len().min(at as usize), view.len().min((at + len) as usize));
        Bytes::copy_from_slice(&view[from..to])
    }

    /// The segments of a partition with their lengths, ascending.
    #[must_use]
    pub fn segments(&self, partition: TopicPartition) -> Vec<(Offset, u64)> {
        let segments = self.visible().filter_map(|(name, inode)| match name {
            Name::Segment(id) if id.partition == partition => Some((id.base, inode)),
            _ => None,
        });
        segments.map(|(base, inode)| (base, self.view(inode).len() as u64)).collect()
    }

    /// The partitions that have a directory.
    #[must_use]
    pub fn partitions(&self) -> BTreeSet<TopicPartition> {
        self.names().filter_map(Name::partition).collect()
    }
}

/// What the process begins.
impl Disk {
    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Begins to write; a missing file is made at once, with its directory.
    pub fn write(&mut self, name: Name, at: u64, bytes: Bytes) -> Op {
        self.change(name, Act::Write { at: at as usize, bytes })
    }

    /// Begins to cut or extend a file.
    pub fn cut(&mut self, name: Name, len: u64) -> Op {
        self.change(name, Act::Cut(len as usize))
    }

    fn change(&mut self, name: Name, act: Act) -> Op {
        let op = Op(self.fresh());
        let inode = self.make(op, name);
        self.files.entry(inode).or_default().changes.push(Change { op, act, stage: Stage::Flying });
        self.open.entry(op).or_default().files.push(inode);
        op
    }

    /// Begins to put a file of these bytes into the place of the one of this name.
    pub fn replace(&mut self, name: Name, bytes: &[u8]) -> Op {
        let op = Op(self.fresh());
        let inode = Inode(self.fresh());
        let file = File { stable: bytes.to_vec(), view: bytes.to_vec(), changes: Vec::new() };
        self.files.insert(inode, file);
        self.rename(op, name, Some(inode), Stage::Flying);
        op
    }

    /// Writes part of a manifest that is none yet, behind what there is of it; at 0 it begins anew.
    pub fn draft(&mut self, name: ManifestName, at: u64, bytes: &[u8]) {
        let draft = self.drafts.entry(name).or_default();
        draft.truncate(at as usize);
        assert_eq!(draft.len() as u64, at, "a draft has no holes");
        draft.extend_from_slice(bytes);
    }

    /// What there is of a manifest is given up.
    pub fn drop_draft(&mut self, name: ManifestName) {
        self.drafts.remove(&name);
    }

    /// Begins to put what was drafted into the manifest's place.
    pub fn replace_by_draft(&mut self, name: ManifestName) -> Op {
        let draft = self.drafts.remove(&name).unwrap_or_default();
        self.replace(Name::Manifest(name), &draft)
    }

    /// Begins to remove names.
    pub fn remove(&mut self, gone: impl Fn(Name) -> bool) -> Op {
        let op = Op(self.fresh());
        let names: Vec<Name> = self.names().filter(|name| gone(*name)).collect();
        for name in names {
            self.rename(op, name, None, Stage::Flying);
        }
        op
    }

    fn make(&mut self, op: Op, name: Name) -> Inode {
        if let Some(inode) = self.find(name) {
            return inode;
        }
        if let Some(directory) = name.partition().map(Name::Directory).filter(|d| *d != name) {
            self.make(op, directory);
        }
        let inode = Inode(self.fresh());
        self.files.insert(inode, File::default());
        self.rename(op, name, Some(inode), Stage::Landed);
        inode
    }

    fn rename(&mut self, op: Op, name: Name, to: Option<Inode>, stage: Stage) {
        let entry = self.names.entry(name).or_default();
        entry.changes.push(Change { op, act: to, stage });
        if stage == Stage::Landed {
            entry.view = to;
        }
        self.open.entry(op).or_default().names.push(name);
    }
}

/// What becomes of it.
impl Disk {
    /// The operation has been carried out.
    pub fn land(&mut self, op: Op, landing: Landing) {
        let targets = self.open.get(&op).cloned().unwrap_or_default();
        for inode in &targets.files {
            self.files.entry(*inode).or_default().land(op, landing);
        }
        for name in &targets.names {
            self.names.entry(*name).or_default().land(op, landing);
        }
        match landing {
            Landing::Durable => {
                let entries = self.names.values_mut();
                let entries = entries.filter(|entry| entry.leads_to(&targets.files));
                entries.for_each(|entry| entry.settle(|stage| stage != Stage::Flying));
                self.open.remove(&op);
            }
            Landing::Bytes if targets.names.is_empty() && !self.is_pending(op, &targets) => {
                self.open.remove(&op);
            }
            Landing::Bytes | Landing::Volatile => {}
        }
    }

    fn is_pending(&self, op: Op, targets: &Targets) -> bool {
        let files = targets.files.iter().filter_map(|inode| self.files.get(inode));
        files.flat_map(|file| &file.changes).any(|change| change.op == op)
    }

    /// The operation has failed: its bytes are old, new or neither.
    pub fn spoil(&mut self, op: Op, rng: &mut Rng) {
        let tear = Tear::spoiled(rng);
        self.each_flying(op, |act, view| act.mix(view, tear, rng));
        self.land(op, Landing::Volatile);
    }

    /// The operation has failed for want of space: a part at its start may be there.
    pub fn overflow(&mut self, op: Op, rng: &mut Rng) {
        self.each_flying(op, |act, _| act.shorten(rng));
        self.land(op, Landing::Volatile);
    }

    fn each_flying(&mut self, op: Op, mut f: impl FnMut(&mut Act, &[u8])) {
        for inode in self.open.get(&op).map(|targets| targets.files.clone()).unwrap_or_default() {
            let File { changes, view, .. } = self.files.entry(inode).or_default();
            changes.iter_mut().filter(|c| c.op == op).for_each(|change| f(&mut change.act, view));
        }
    }

    /// The process has been told that the operation is complete.
    pub fn report(&mut self, op: Op) {
        let Some(targets) = self.open.get(&op) else { return };
        self.reports += 1;
        let stage = Stage::Reported(self.reports);
        for inode in &targets.files {
            if let Some(file) = self.files.get_mut(inode) {
                restage(&mut file.changes, op, stage);
            }
        }
        for (name, entry) in &mut self.names {
            if targets.names.contains(name) {
                restage(&mut entry.changes, op, stage);
            } else if entry.leads_to(&targets.files) {
                let landed = entry.changes.iter_mut().filter(|c| c.stage == Stage::Landed);
                landed.for_each(|change| change.stage = stage);
            }
        }
    }

    /// What a barrier that is issued now covers.
    #[must_use]
    pub fn cover(&self) -> Cover {
        Cover(self.reports)
    }

    /// A barrier has passed.
    pub fn settle(&mut self, cover: Cover) {
        self.settle_where(|stage| cover.includes(stage));
    }

    /// A barrier has passed that covers everything which has landed.
    pub fn settle_all(&mut self) {
        self.settle_where(|stage| stage != Stage::Flying);
    }

    fn settle_where(&mut self, covered: impl Fn(Stage) -> bool) {
        self.files.values_mut().for_each(|file| file.settle(&covered));
        self.names.values_mut().for_each(|entry| entry.settle(&covered));
        self.forget_durable();
    }

    /// A barrier has failed: what it was to cover may be lost already.
    pub fn fail_barrier(&mut self, cover: Cover, rng: &mut Rng) {
        for file in self.files.values_mut() {
            if file.changes.iter().any(|change| cover.includes(change.stage)) && rng.one_in(2) {
                file.lose(|stage| cover.includes(stage), rng);
            }
        }
        self.forget_durable();
    }

    /// The power is cut.
    pub fn cut_power(&mut self, rng: &mut Rng) {
        for file in self.files.values_mut().filter(|file| !file.changes.is_empty()) {
            file.lose(|_| true, rng);
        }
        for entry in self.names.values_mut() {
            let kept = rng.below(entry.changes.len() as u64 + 1) as usize;
            entry.stable = entry.changes[..kept].last().map_or(entry.stable, |change| change.act);
            entry.view = entry.stable;
            entry.changes.clear();
        }
        self.restart();
    }

    /// The process is killed: what was in flight may still land.
    pub fn kill(&mut self, rng: &mut Rng) {
        for op in self.open.keys().copied().collect::<Vec<_>>() {
            match rng.below(3) {
                0 => self.drop_flying(op),
                1 => self.each_flying(op, |act, view| act.mix(view, Tear::HALF, rng)),
                _ => {}
            }
            self.land_flying(op);
        }
        self.restart();
    }

    fn drop_flying(&mut self, op: Op) {
        let flies = |stage: Stage, of: Op| stage == Stage::Flying && of == op;
        let targets = self.open.get(&op).cloned().unwrap_or_default();
        for inode in targets.files {
            let file = self.files.entry(inode).or_default();
            file.changes.retain(|change| !flies(change.stage, change.op));
        }
        for name in targets.names {
            let entry = self.names.entry(name).or_default();
            entry.changes.retain(|change| !flies(change.stage, change.op));
        }
    }

    fn land_flying(&mut self, op: Op) {
        let targets = self.open.get(&op).cloned().unwrap_or_default();
        let flying =
            |file: &File| file.changes.iter().any(|c| c.op == op && c.stage == Stage::Flying);
        let files = targets.files.iter().filter_map(|inode| self.files.get(inode)).any(flying);
        let names = targets.names.iter().filter_map(|name| self.names.get(name));
        if files || names.flat_map(|e| &e.changes).any(|c| c.op == op && c.stage == Stage::Flying) {
            self.land(op, Landing::Volatile);
        }
    }

    /// Forgets what no process can reach any more.
    fn restart(&mut self) {
        self.drafts.clear();
        self.forget_durable();
        let entries = self.names.values();
        let led_to = entries.flat_map(|entry| {
            let changes = entry.changes.iter().filter_map(|change| change.act);
            entry.stable.into_iter().chain(entry.view).chain(changes)
        });
        let reachable: BTreeSet<Inode> = led_to.collect();
        self.files.retain(|inode, _| reachable.contains(inode));
    }

    fn forget_durable(&mut self) {
        self.names.retain(|_, e| !e.changes.is_empty() || e.stable.is_some() || e.view.is_some());
        let mut open = BTreeSet::new();
        open.extend(self.files.values().flat_map(|file| &file.changes).map(|change| change.op));
        open.extend(self.names.values().flat_map(|entry| &entry.changes).map(|change| change.op));
        self.open.retain(|op, _| open.contains(op));
    }

    /// Flips a bit of what is stable, behind everyone's back.
    pub fn flip(&mut self, name: Name, at: u64) {
        let inode = self.find(name);
        if let Some(file) = inode.and_then(|inode| self.files.get_mut(&inode)) {
            file.stable[at as usize] ^= 1;
            file.view[at as usize] ^= 1;
        }
    }
}

impl Cover {
    fn includes(self, stage: Stage) -> bool {
        matches!(stage, Stage::Reported(at) if at <= self.0)
    }
}

fn restage<T>(changes: &mut [Change<T>], op: Op, stage: Stage) {
    let told = changes.iter_mut().filter(|c| c.op == op && c.stage != Stage::Durable);
    told.for_each(|change| change.stage = stage);
}

impl Entry {
    /// An earlier, failed operation may have made the name of a file.
    fn leads_to(&self, files: &[Inode]) -> bool {
        self.view.is_some_and(|inode| files.contains(&inode))
    }

    fn land(&mut self, op: Op, landing: Landing) {
        let Some(at) = self.changes.iter().position(|change| change.op == op) else { return };
        self.changes[at].stage = Stage::Landed;
        self.view = self.changes[at].act;
        if landing == Landing::Durable {
            self.stable = self.view;
            self.changes.drain(..=at);
        }
    }

    fn settle(&mut self, covered: impl Fn(Stage) -> bool) {
        if let Some(last) = self.changes.iter().rposition(|change| covered(change.stage)) {
            self.stable = self.changes[last].act;
            self.changes.drain(..=last);
        }
    }
}
