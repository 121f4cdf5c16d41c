//! A rescue file: entries of one partition that neither its segments nor, any longer, the journals
//! hold. Commits as in a journal, from seq 1, one entry each. It gets its name when it is whole.

use corelog_mem::SlabWriter;

use crate::boot::effect::{EntryFile, RescueFile};
use crate::journal::commit::{CommitBuilder, CommitHead, EntryHead, Incarnation, Seq, buffer_for};
use crate::journal::scan::FoundEntry;

/// The file's bytes.
#[must_use]
pub fn encode<P: AsRef<[u8]>>(entries: &[(EntryHead, Vec<P>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (seq, (head, pieces)) in (1..).map(Seq).zip(entries) {
        let mut builder = CommitBuilder::new(SlabWriter::new(buffer_for(head.len as usize)));
        builder.push(head, pieces.iter().map(AsRef::as_ref));
        let commit = builder.finish(Incarnation::default(), seq, Seq(0));
        bytes.extend_from_slice(commit.bytes());
    }
    bytes
}

/// The entries in a file's bytes; `None` when it is damaged or another partition's.
#[must_use]
pub fn decode(file: RescueFile, bytes: &[u8]) -> Option<Vec<FoundEntry>> {
    let mut entries = Vec::new();
    let (mut at, mut expected) = (0, Seq(1));
    while at < bytes.len() {
        let head = CommitHead::decode(&bytes[at..])?;
        let commit = bytes.get(at..at + head.size() as usize)?;
        if !head.verify(commit) || head.seq != expected {
            return None;
        }
        for (entry, payload) in head.entries(commit) {
            if entry.partition != file.partition {
                return None;
            }
            let payload = (at + payload) as u64;
            entries.push(FoundEntry { head: entry, file: EntryFile::Rescue(file), at: payload });
        }
        at += commit.len();
        expected = expected.next();
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Offset, PartitionIndex, TopicId, TopicPartition};
    use crate::journal::commit::EntryKind;
    use crate::log::{LogVersion, Place};

    const PARTITION: TopicPartition =
        TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(3) };
    const FILE: RescueFile = RescueFile { partition: PARTITION, start: 5 };

    fn entries() -> Vec<(EntryHead, Vec<Vec<u8>>)> {
        let head = |len, offset| EntryHead {
            kind: if len > 0 { EntryKind::Data } else { EntryKind::Roll },
            partition: PARTITION,
            version: LogVersion { start: 5, change: 0 },
            place: Place { segment: Offset(0), at: 4096 },
            next_offset: Offset(offset),
            len,
        };
        vec![
            (head(5000, 9), vec![vec![1; 4000], vec![2; 1000]]),
            (head(0, 9), Vec::new()),
            (head(3, 10), vec![b"abc".to_vec()]),
        ]
    }

    #[test]
    fn entries_are_read_back() {
        let (entries, bytes) = (entries(), encode(&entries()));
        let found = decode(FILE, &bytes).expect("whole");
        assert_eq!(found.len(), entries.len());
        for (found, (head, pieces)) in found.iter().zip(entries) {
            assert_eq!((found.head, found.file), (head, EntryFile::Rescue(FILE)));
            let at = found.at as usize;
            assert_eq!(bytes[at..at + head.len as usize], pieces.concat());
        }
        assert_eq!(decode(FILE, &[]), Some(Vec::new()));
    }

    #[test]
    fn damage_and_foreign_entries_are_noticed() {
        let bytes = encode(&entries());
        for at in [0, 100, bytes.len() - 4096 + 60] {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert_eq!(decode(FILE, &broken), None, "byte {at}");
        }
        assert_eq!(decode(FILE, &bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(FILE, &bytes[8192..]), None, "the first commit is missing");
        let index = PartitionIndex(4);
        let other = RescueFile { partition: TopicPartition { index, ..PARTITION }, ..FILE };
        assert_eq!(decode(other, &bytes), None);
    }
}
