//! Reads journals back: which commits of an incarnation are whole, and whether what is missing is a
//! torn tail or damage below what was acknowledged (storage.md, section 3, commit table).

use std::collections::BTreeMap;
use std::fmt;

use corelog_mem::BLOCK;

use crate::boot::effect::{EntryFile, JournalFile};
use crate::journal::commit::{CommitHead, EntryHead, Incarnation, Seq};

/// An entry with where its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// What it says.
    pub head: EntryHead,
    /// The file that holds it.
    pub file: EntryFile,
    /// Where its payload starts in that file, in bytes.
    pub at: u64,
}

#[derive(Debug)]
struct FoundCommit {
    file: JournalFile,
    at: u64,
    entries: Vec<FoundEntry>,
}

/// Everything found of one incarnation.
#[derive(Debug, Default)]
pub struct Found {
    commits: BTreeMap<Seq, FoundCommit>,
    durable: Seq,
}

/// Everything found in the journals of a directory.
#[derive(Debug, Default)]
pub struct Scan {
    incarnations: BTreeMap<Incarnation, Found>,
}

/// Why a journal must not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The commit that is missing or broken.
    pub seq: Seq,
    /// The highest commit that another one says was durable.
    pub durable: Seq,
    /// Where the commit before it ends, if that one was found: the place to look at.
    pub near: Option<(JournalFile, u64)>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seq, durable) = (self.seq.0, self.durable.0);
        write!(f, "commit {seq} is missing or broken, and commit {durable} was already on disk")?;
        match self.near {
            Some((file, at)) => write!(f, " (look at byte {at} of {file})"),
            None => Ok(()),
        }
    }
}

impl Scan {
    /// Takes in a whole file, block after block: every whole commit in it, wherever it starts. What
    /// is stale is told by its incarnation and seq in [`Scan::judge`], not by its place.
    pub fn file(&mut self, file: JournalFile, bytes: &[u8]) {
        let mut at = 0;
        while at + BLOCK <= bytes.len() {
            at += self.commit(file, at, &bytes[at..]).unwrap_or(BLOCK);
        }
    }

    /// Takes in the commit that starts here and says how many bytes it takes.
    fn commit(&mut self, file: JournalFile, at: usize, bytes: &[u8]) -> Option<usize> {
        let head = CommitHead::decode(bytes)?;
        let size = head.size() as usize;
        let commit = bytes.get(..size).filter(|commit| head.verify(commit))?;
        let entries = head.entries(commit).map(|(entry, payload)| FoundEntry {
            head: entry,
            file: EntryFile::Journal(file),
            at: (at + payload) as u64,
        });
        let found = self.incarnations.entry(head.incarnation).or_default();
        found.durable = found.durable.max(head.durable);
        let entries = entries.collect();
        found.commits.insert(head.seq, FoundCommit { file, at: (at + size) as u64, entries });
        Some(size)
    }

    /// The entries that count of an incarnation, oldest first: those of all commits from `needed`
    /// on up to the first that is missing. Missing at or below a seq that was durable, says another
    /// commit or the manifest, is damage. The ring never gives up its last file: if commits before
    /// `needed` were released, one of the incarnation is there, or its files are gone.
    pub fn judge(
        &mut self,
        incarnation: Incarnation,
        needed: Seq,
        durable: Seq,
    ) -> Result<Vec<FoundEntry>, Damage> {
        let found = self.incarnations.remove(&incarnation);
        if found.is_none() && needed > Seq(1) {
            let durable = durable.max(Seq(needed.0 - 1));
            return Err(Damage { seq: durable, durable, near: None });
        }
        let mut found = found.unwrap_or_default();
        found.durable = found.durable.max(durable);
        found.run(needed)
    }
}

impl Scan {
    /// The entries of incarnations that no manifest has claimed, as far as they belong to the
    /// newest start among them: for a shard whose manifest is lost. Without that manifest nothing
    /// tells which commits are needed, so all count that are there: files are overwritten oldest
    /// first, so there is no gap between the oldest and the last that was durable.
    pub fn unclaimed(&mut self) -> Result<Vec<FoundEntry>, Damage> {
        let found = std::mem::take(&mut self.incarnations);
        let start = |found: &Found| {
            let entries = found.commits.values().flat_map(|commit| &commit.entries);
            entries.map(|entry| entry.head.version.start).max()
        };
        let newest = found.values().filter_map(start).max();
        let newest = found.into_values().filter(|found| start(found) == newest);
        let mut entries = Vec::new();
        for mut found in newest {
            if let Some(oldest) = found.commits.keys().next().copied() {
                entries.extend(found.run(oldest)?);
            }
        }
        Ok(entries)
    }
}

impl Found {
    /// The entries of the commits from `first` on, up to the first that is missing.
    fn run(&mut self, first: Seq) -> Result<Vec<FoundEntry>, Damage> {
        let mut expected = first;
        let mut entries = Vec::new();
        let mut near = None;
        while let Some(commit) = self.commits.remove(&expected) {
            near = Some((commit.file, commit.at));
            entries.extend(commit.entries);
            expected = expected.next();
        }
        if expected <= self.durable {
            return Err(Damage { seq: expected, durable: self.durable, near });
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Offset, PartitionIndex, ShardId, TopicId, TopicPartition};
    use crate::journal::commit::{CommitBuilder, EntryKind};
    use crate::log::{LogVersion, Place};
    use corelog_mem::SlabWriter;

    const LIFE: Incarnation = Incarnation([1; 16]);
    const OTHER: Incarnation = Incarnation([2; 16]);
    const FILE: JournalFile = JournalFile { shard: ShardId(0), slot: 0 };

    /// A commit with one entry, whose offset names the commit.
    fn commit(life: Incarnation, seq: u64, durable: u64) -> Vec<u8> {
        let head = EntryHead {
            kind: EntryKind::Data,
            partition: TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(0) },
            version: LogVersion::default(),
            place: Place::default(),
            next_offset: Offset(seq as i64),
            len: 3,
        };
        let mut builder = CommitBuilder::new(SlabWriter::new(BLOCK));
        builder.push(&head, [&b"abc"[..]].into_iter());
        builder.finish(life, Seq(seq), Seq(durable)).bytes().to_vec()
    }

    fn bad(mut commit: Vec<u8>) -> Vec<u8> {
        commit[100] ^= 1;
        commit
    }

    fn scan(files: &[Vec<Vec<u8>>]) -> Scan {
        let mut scan = Scan::default();
        for (slot, file) in files.iter().enumerate() {
            scan.file(JournalFile { slot: slot as u16, ..FILE }, &file.concat());
        }
        scan
    }

    /// The commits that count, or the one that is missing.
    fn seqs(judged: Result<Vec<FoundEntry>, Damage>) -> Result<Vec<i64>, u64> {
        match judged {
            Ok(entries) => Ok(entries.iter().map(|entry| entry.head.next_offset.0).collect()),
            Err(damage) => Err(damage.seq.0),
        }
    }

    fn judge(needed: u64, files: &[Vec<Vec<u8>>]) -> Result<Vec<i64>, u64> {
        seqs(scan(files).judge(LIFE, Seq(needed), Seq(0)))
    }

    /// checksum | seq | durable elsewhere | verdict, row by row.
    #[test]
    fn the_commit_table() {
        let c = |seq, durable| commit(LIFE, seq, durable);
        type Row = (&'static str, u64, Vec<Vec<Vec<u8>>>, Result<Vec<i64>, u64>);
        let rows: Vec<Row> = vec![
            ("nothing written", 1, vec![vec![]], Ok(vec![])),
            ("ok, expected", 1, vec![vec![c(1, 0), c(2, 1)]], Ok(vec![1, 2])),
            ("ok, expected, next file", 1, vec![vec![c(2, 1)], vec![c(1, 0)]], Ok(vec![1, 2])),
            ("ok, lower: stale", 3, vec![vec![c(3, 2), c(2, 1)]], Ok(vec![3])),
            ("another incarnation", 1, vec![vec![c(1, 0), commit(OTHER, 2, 1)]], Ok(vec![1])),
            ("bad, nothing durable: torn", 1, vec![vec![c(1, 0), bad(c(2, 1))]], Ok(vec![1])),
            ("bad, later whole: cut", 1, vec![vec![c(1, 0), bad(c(2, 0)), c(3, 1)]], Ok(vec![1])),
            ("bad below durable", 1, vec![vec![c(1, 0), bad(c(2, 0)), c(3, 2)]], Err(2)),
            ("bad at durable, other file", 1, vec![vec![bad(c(1, 0))], vec![c(2, 1)]], Err(1)),
            ("higher, not durable: cut", 1, vec![vec![c(1, 0), c(3, 1)]], Ok(vec![1])),
            ("higher, durable: missing", 1, vec![vec![c(1, 0), c(4, 3)]], Err(2)),
            ("missing, needed says so", 3, vec![vec![c(3, 2)]], Ok(vec![3])),
            ("first missing, below durable", 2, vec![vec![c(3, 2)]], Err(2)),
            ("first missing, not durable", 3, vec![vec![c(4, 2)]], Ok(vec![])),
        ];
        for (name, needed, files, verdict) in rows {
            assert_eq!(judge(needed, &files), verdict, "{name}");
        }
    }

    /// What the manifest knows to be durable counts as what another commit says of it.
    #[test]
    fn the_commit_table_durable_by_the_manifest() {
        let c = |seq, durable| commit(LIFE, seq, durable);
        type Row = (&'static str, u64, u64, Vec<Vec<u8>>, Result<Vec<i64>, u64>);
        let rows: [Row; 7] = [
            ("nothing written", 1, 0, vec![], Ok(vec![])),
            ("all there", 1, 2, vec![c(1, 0), c(2, 0)], Ok(vec![1, 2])),
            ("more there", 1, 1, vec![c(1, 0), c(2, 0)], Ok(vec![1, 2])),
            ("the last missing", 1, 2, vec![c(1, 0)], Err(2)),
            ("all missing", 1, 2, vec![], Err(1)),
            ("released, all missing", 3, 0, vec![], Err(2)),
            ("released, only older there", 3, 2, vec![c(2, 1)], Ok(vec![])),
        ];
        for (name, needed, durable, file, verdict) in rows {
            let judged = scan(&[file]).judge(LIFE, Seq(needed), Seq(durable));
            assert_eq!(seqs(judged), verdict, "{name}");
        }
    }

    /// Without a manifest all that is there counts, and a hole below what was durable is damage.
    #[test]
    fn the_commit_table_without_a_manifest() {
        let c = |seq, durable| commit(LIFE, seq, durable);
        type Row = (&'static str, Vec<Vec<u8>>, Result<Vec<i64>, u64>);
        let rows: [Row; 5] = [
            ("nothing", vec![], Ok(vec![])),
            ("from the middle on", vec![c(5, 3), c(6, 4)], Ok(vec![5, 6])),
            ("torn behind what was durable", vec![c(1, 0), c(2, 1), c(4, 2)], Ok(vec![1, 2])),
            ("a hole", vec![c(1, 0), c(2, 1), c(4, 3)], Err(3)),
            ("the last missing", vec![c(1, 0), c(3, 2)], Err(2)),
        ];
        for (name, file, verdict) in rows {
            assert_eq!(seqs(scan(&[file]).unclaimed()), verdict, "{name}");
        }
    }

    #[test]
    fn payloads_are_found_where_they_are() {
        let mut scan = Scan::default();
        let bytes = [commit(LIFE, 1, 0), commit(LIFE, 2, 0)].concat();
        scan.file(FILE, &bytes);
        for entry in scan.judge(LIFE, Seq(1), Seq(0)).expect("no damage") {
            assert_eq!(&bytes[entry.at as usize..][..3], b"abc");
        }
    }
}
