//! Reads manifests, journals and rescue files: what each partition's segments hold for sure, and
//! which entries may say more.

use std::collections::{BTreeMap, BTreeSet};

use crate::boot::effect::{
    BootAnswer, BootEffect, EntryFile, JournalFile, ManifestName, RescueFile,
};
use crate::boot::missing;
use crate::boot::partitions::{Partitions, Work};
use crate::boot::replay::{Offline, Replay};
use crate::boot::{BootPlan, BootRefusal, Progress};
use crate::id::TopicPartition;
use crate::journal::rescue;
use crate::journal::scan::{FoundEntry, Scan};
use crate::log::{LogImage, LogVersion};
use crate::manifest::record::{Broken, decode};
use crate::manifest::state::ManifestState;

/// Journal bytes that are read in one go.
const READ_AT_ONCE: u64 = 64 << 20;

/// Whether every manifest of the last start could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manifests {
    Whole,
    /// At least one is missing or broken: partitions that the others do not know are rescanned.
    Lost,
}

/// What manifests, journals and rescue files say.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) journals: Vec<(JournalFile, u64)>,
    pub(super) manifests: Vec<ManifestName>,
    pub(super) rescues: Vec<RescueFile>,
    pub(super) whole: Manifests,
    pub(super) states: BTreeMap<TopicPartition, LogImage>,
    /// Partitions of which an earlier start could not tell how far they are.
    pub(super) lost: BTreeSet<TopicPartition>,
    /// Rescue files that manifests name, with their lengths.
    pub(super) named: BTreeMap<RescueFile, u64>,
    /// Rescue files that are missing or cannot be read, and how that shows.
    pub(super) damaged: BTreeMap<RescueFile, String>,
    pub(super) entries: BTreeMap<TopicPartition, Vec<FoundEntry>>,
}

#[derive(Debug)]
enum Stage {
    Start,
    Listing,
    Manifests,
    /// No shard has ever run, say the files that are read first: the topics must say so too.
    Fresh,
    /// Journals from this one on are still to be read; `reading` of them are under way.
    Journals {
        next: usize,
        reading: usize,
    },
    /// Rescue files from this one on are still to be read, one after the other.
    Rescues {
        next: usize,
    },
}

/// Manifests and journals being read.
#[derive(Debug)]
pub(super) struct Reading {
    stage: Stage,
    journals: Vec<(JournalFile, u64)>,
    manifests: Vec<ManifestName>,
    rescues: Vec<(RescueFile, u64)>,
    states: Vec<ManifestState>,
    whole: Manifests,
    scan: Scan,
    rescued: Vec<FoundEntry>,
    damaged: BTreeMap<RescueFile, String>,
}

impl Reading {
    pub(super) fn new() -> Reading {
        Reading {
            stage: Stage::Start,
            journals: Vec::new(),
            manifests: Vec::new(),
            rescues: Vec::new(),
            states: Vec::new(),
            whole: Manifests::Whole,
            scan: Scan::default(),
            rescued: Vec::new(),
            damaged: BTreeMap::new(),
        }
    }

    pub(super) fn step(
        &mut self,
        answers: Vec<BootAnswer>,
        settled: u32,
    ) -> Result<Progress<Inventory>, BootRefusal> {
        match self.stage {
            Stage::Start => {
                self.stage = Stage::Listing;
                // What an earlier process wrote may not be durable yet: first make it so.
                Ok(Progress::More(vec![BootEffect::Barrier, BootEffect::ListFiles]))
            }
            Stage::Listing => {
                self.list(answers);
                self.stage = Stage::Manifests;
                let reads: Vec<_> =
                    self.manifests.iter().map(|name| BootEffect::ReadManifest(*name)).collect();
                if reads.is_empty() {
                    self.step(Vec::new(), settled)
                } else {
                    Ok(Progress::More(reads))
                }
            }
            Stage::Manifests => {
                self.read_manifests(answers, settled)?;
                if self.states.is_empty() && self.whole == Manifests::Whole {
                    self.stage = Stage::Fresh;
                    return Ok(Progress::More(missing::ask_topics()));
                }
                missing::check_journals(&self.states, &self.journals)?;
                self.note_rescues();
                self.stage = Stage::Journals { next: 0, reading: 0 };
                self.step(Vec::new(), settled)
            }
            Stage::Fresh => {
                missing::check_fresh(&answers, &self.rescues)?;
                self.stage = Stage::Rescues { next: self.rescues.len() };
                self.step(Vec::new(), settled)
            }
            Stage::Journals { next, reading } => {
                self.scan_journals(next - reading, answers);
                let reads = self.read_journals(next);
                if reads.is_empty() {
                    self.stage = Stage::Rescues { next: 0 };
                    return self.step(Vec::new(), settled);
                }
                Ok(Progress::More(reads))
            }
            Stage::Rescues { next } => {
                self.take_rescue(next, answers);
                let Some((file, len)) = self.rescues.get(next) else {
                    return self.judge().map(Progress::Over);
                };
                self.stage = Stage::Rescues { next: next + 1 };
                let file = EntryFile::Rescue(*file);
                Ok(Progress::More(vec![BootEffect::ReadEntries(file, 0, *len)]))
            }
        }
    }

    fn list(&mut self, answers: Vec<BootAnswer>) {
        for answer in answers {
            if let BootAnswer::Files { journals, manifests, rescues } = answer {
                (self.journals, self.manifests, self.rescues) = (journals, manifests, rescues);
            }
        }
        self.journals.sort_unstable();
        self.manifests.sort_unstable();
        self.rescues.sort_unstable();
    }

    /// Takes the newest start of which all manifests are there; a later start that wrote only some
    /// of its own did not get as far as serving. One before `settled` is an older copy.
    fn read_manifests(
        &mut self,
        answers: Vec<BootAnswer>,
        settled: u32,
    ) -> Result<(), BootRefusal> {
        let mut read = BTreeMap::new();
        for (name, answer) in self.manifests.iter().zip(answers) {
            let BootAnswer::Bytes(bytes) = answer else { continue };
            let state = read_manifest(*name, &bytes)?;
            read.entry(name.start).or_insert_with(Vec::new).push(state);
        }
        let read_until = read.keys().next_back().copied();
        read.retain(|start, _| *start >= settled);
        let complete = read.iter().rev().find(|(_, states)| is_complete(states));
        if complete.is_none() && self.journals.is_empty() && settled == 0 {
            // No shard has ever run: the first start did not get that far.
            return Ok(());
        }
        if read.is_empty() {
            return Err(BootRefusal::NoManifests { settled, found: read_until });
        }
        let newest = complete.or(read.iter().next_back()).map(|(start, _)| *start);
        if let Some(states) = newest.and_then(|start| read.remove(&start)) {
            let whole = is_complete(&states) && states.iter().all(Option::is_some);
            self.whole = if whole { Manifests::Whole } else { Manifests::Lost };
            self.states = states.into_iter().flatten().collect();
        }
        Ok(())
    }

    fn scan_journals(&mut self, first: usize, answers: Vec<BootAnswer>) {
        for ((file, _), answer) in self.journals[first..].iter().zip(answers) {
            if let BootAnswer::Bytes(bytes) = answer {
                self.scan.file(*file, &bytes);
            }
        }
    }

    /// Takes in the rescue file before `next`.
    fn take_rescue(&mut self, next: usize, answers: Vec<BootAnswer>) {
        let file = next.checked_sub(1).map(|at| self.rescues[at]);
        for ((file, len), answer) in file.into_iter().zip(answers) {
            let BootAnswer::Bytes(bytes) = answer else { continue };
            let whole = bytes.len() as u64 == len;
            match rescue::decode(file, &bytes).filter(|_| whole) {
                Some(entries) => self.rescued.extend(entries),
                None => {
                    self.damaged.entry(file).or_insert_with(|| "damaged".to_owned());
                }
            }
        }
    }

    /// Finds out which rescue files are missing or have another length than they were given.
    fn note_rescues(&mut self) {
        let named = self.states.iter().flat_map(|state| &state.rescues);
        for (file, expected) in named {
            let found = self.rescues.iter().find(|(found, _)| found == file);
            let found = found.map(|(_, len)| *len);
            if found != Some(*expected) {
                self.damaged.insert(*file, missing::told(found, *expected));
            }
        }
    }

    fn read_journals(&mut self, first: usize) -> Vec<BootEffect> {
        let mut room = READ_AT_ONCE;
        let mut reads = Vec::new();
        for (file, len) in &self.journals[first..] {
            if !reads.is_empty() && *len > room {
                break;
            }
            room = room.saturating_sub(*len);
            reads.push(BootEffect::ReadEntries(EntryFile::Journal(*file), 0, *len));
        }
        self.stage = Stage::Journals { next: first + reads.len(), reading: reads.len() };
        reads
    }

    fn judge(&mut self) -> Result<Inventory, BootRefusal> {
        let mut entries: BTreeMap<TopicPartition, Vec<FoundEntry>> = BTreeMap::new();
        let (mut states, mut lost, mut named) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for manifest in std::mem::take(&mut self.states) {
            let (shard, incarnation) = (manifest.header.shard, manifest.header.incarnation);
            let found = self.scan.judge(incarnation, manifest.needed, manifest.durable);
            let found = found.map_err(|damage| BootRefusal::Journal { shard, damage })?;
            for entry in found {
                entries.entry(entry.head.partition).or_default().push(entry);
            }
            states.extend(manifest.partitions);
            lost.extend(manifest.lost);
            named.extend(manifest.rescues);
        }
        for entry in std::mem::take(&mut self.rescued) {
            entries.entry(entry.head.partition).or_default().push(entry);
        }
        if self.whole == Manifests::Lost {
            let unclaimed = self.scan.unclaimed().map_err(BootRefusal::UnclaimedJournal)?;
            for entry in unclaimed {
                entries.entry(entry.head.partition).or_default().push(entry);
            }
        }
        for entries in entries.values_mut() {
            entries.sort_by_key(|entry| (entry.head.version, entry.head.place, entry.head.end()));
        }
        Ok(Inventory {
            journals: std::mem::take(&mut self.journals),
            manifests: std::mem::take(&mut self.manifests),
            rescues: self.rescues.iter().map(|(file, _)| *file).collect(),
            whole: self.whole,
            states,
            lost,
            named,
            damaged: std::mem::take(&mut self.damaged),
            entries,
        })
    }
}

/// A manifest's state; `None` when it is broken. A newer format is refused, not rescanned.
fn read_manifest(name: ManifestName, bytes: &[u8]) -> Result<Option<ManifestState>, BootRefusal> {
    match decode(bytes) {
        Ok(records) => Ok(ManifestState::replay(records)),
        Err(broken @ Broken::Newer { .. }) => {
            Err(BootRefusal::Manifest { shard: name.shard, broken })
        }
        Err(Broken::NoHeader | Broken::Damaged { .. }) => Ok(None),
    }
}

/// Whether as many manifests are there, broken or not, as the start had shards.
fn is_complete(states: &[Option<ManifestState>]) -> bool {
    let shards = states.iter().flatten().map(|state| usize::from(state.header.shards)).next();
    shards.is_some_and(|shards| states.len() >= shards)
}

impl Inventory {
    /// The metadata partition, to be replayed before all others.
    pub(super) fn take_metadata(&mut self, plan: &BootPlan) -> Result<Partitions, BootRefusal> {
        let partition = TopicPartition::METADATA;
        let image = self.states.remove(&partition);
        if image.is_none() && self.whole == Manifests::Lost {
            let shard = crate::place::owner(partition, 1);
            let start = self.manifests.last().map_or(plan.settled, |name| name.start);
            let name = ManifestName { start, shard };
            let lost = format!("its manifest is missing or broken ({name})");
            return Err(BootRefusal::Metadata(lost));
        }
        let entries = self.entries.remove(&partition).unwrap_or_default();
        let image = image.unwrap_or_else(|| unknown_log(&entries, plan.start));
        let replay = Replay::new(partition, image);
        let offline = damage(&self.damaged, partition);
        Ok(Partitions::new(vec![Work { partition, replay, entries, offline }]))
    }
}

/// Why a partition must stay offline, if one of these rescue files is its own.
pub(super) fn damage(
    damaged: &BTreeMap<RescueFile, String>,
    partition: TopicPartition,
) -> Option<Offline> {
    let (file, how) = damaged.iter().find(|(file, _)| file.partition == partition)?;
    Some(Offline::Unknown(format!("its rescue file {file} is {how}")))
}

/// A log that no manifest knows: it has been created since the last one.
pub(super) fn unknown_log(entries: &[FoundEntry], start: u32) -> LogImage {
    let version = entries.first().map_or(LogVersion { start, change: 0 }, |e| e.head.version);
    LogImage::empty(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{PartitionIndex, ShardId, TopicId};
    use crate::journal::commit::{Incarnation, Seq};
    use crate::manifest::record::{Header, Record, encode};

    #[test]
    fn a_rescue_file_is_read_whole_however_long_it_is() {
        let partition = TopicPartition { topic: TopicId([1; 16]), index: PartitionIndex(0) };
        let file = RescueFile { partition, start: 1 };
        let rescues = vec![(file, (4 << 30) + 4096)];
        let (journals, manifests) =
            (Vec::new(), vec![ManifestName { start: 1, shard: ShardId(0) }]);
        let files = BootAnswer::Files { journals, manifests, rescues };
        let header =
            Header { start: 1, shard: ShardId(0), shards: 1, incarnation: Incarnation([1; 16]) };
        let manifest = encode(&[Record::Header(header), Record::Needed(Seq(1))]);
        let mut reading = Reading::new();
        let mut wanted = Vec::new();
        for answers in
            [Vec::new(), vec![BootAnswer::Done, files], vec![BootAnswer::Bytes(manifest)]]
        {
            let Ok(Progress::More(more)) = reading.step(answers, 1) else { panic!("it goes on") };
            wanted = more;
        }
        let [BootEffect::ReadEntries(found, 0, len)] = wanted[..] else { panic!("{wanted:?}") };
        assert_eq!((found, len), (EntryFile::Rescue(file), (4 << 30) + 4096));
    }
}
