//! A commit: one aligned journal write that holds entries of any number of partitions. Valid whole
//! or not at all.
//!
//! ```text
//! commit   magic u32 | checksum u32 | incarnation [16] | seq u64 | durable_seq u64 | length u32 |
//!          entries u32 | entry … | zeros up to a whole block
//! entry    kind u8 | topic [16] | partition u32 | start u32 | change u32 | segment i64 | at u64 |
//!          next_offset i64 | length u32 | bytes
//! ```
//! Little-endian. The checksum is CRC-32C over everything behind it up to `length`, which counts
//! from the magic to the end of the last entry. `durable_seq` is the highest seq known complete,
//! with all before it, when this commit was built.

use corelog_mem::{BLOCK, SlabWriter, align_up};

use crate::codec::length_of;
use crate::id::{Offset, PartitionIndex, TopicId, TopicPartition};
use crate::log::{LogVersion, Place};

const MAGIC: u32 = u32::from_le_bytes(*b"CLJ1");

/// Bytes of a commit before its first entry.
pub const COMMIT_HEADER: usize = 48;

/// Bytes of an entry before its payload.
pub const ENTRY_HEADER: usize = 57;

/// Names one life of one shard's journal; random at every start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

/// The number of a commit within its incarnation, from 1, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The next one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Bytes of a segment from `place` on; `next_offset` is the one behind their last batch.
    Data,
    /// The segment ends at `place`; the next one starts with `next_offset`.
    Roll,
}

/// An entry without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// What it says.
    pub kind: EntryKind,
    /// Of which partition.
    pub partition: TopicPartition,
    /// Of which life of its log.
    pub version: LogVersion,
    /// Where in the log.
    pub place: Place,
    /// The offset behind it.
    pub next_offset: Offset,
    /// Bytes of payload.
    pub len: u32,
}

impl EntryHead {
    /// Where its payload ends in the log.
    #[must_use]
    pub fn end(&self) -> Place {
        self.place.plus(u64::from(self.len))
    }

    fn encode(&self) -> [u8; ENTRY_HEADER] {
        let mut bytes = [0; ENTRY_HEADER];
        bytes[0] = match self.kind {
            EntryKind::Data => 1,
            EntryKind::Roll => 2,
        };
        bytes[1..17].copy_from_slice(&self.partition.topic.0);
        bytes[17..21].copy_from_slice(&self.partition.index.0.to_le_bytes());
        bytes[21..25].copy_from_slice(&self.version.start.to_le_bytes());
        bytes[25..29].copy_from_slice(&self.version.change.to_le_bytes());
        bytes[29..37].copy_from_slice(&self.place.segment.0.to_le_bytes());
        bytes[37..45].copy_from_slice(&self.place.at.to_le_bytes());
        bytes[45..53].copy_from_slice(&self.next_offset.0.to_le_bytes());
        bytes[53..57].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<EntryHead> {
        let kind = match bytes.first()? {
            1 => EntryKind::Data,
            2 => EntryKind::Roll,
            _ => return None,
        };
        Some(EntryHead {
            kind,
            partition: TopicPartition {
                topic: TopicId(array(bytes, 1)?),
                index: PartitionIndex(u32_at(bytes, 17)?),
            },
            version: LogVersion { start: u32_at(bytes, 21)?, change: u32_at(bytes, 25)? },
            place: Place {
                segment: Offset(i64::from_le_bytes(array(bytes, 29)?)),
                at: u64_at(bytes, 37)?,
            },
            next_offset: Offset(i64::from_le_bytes(array(bytes, 45)?)),
            len: u32_at(bytes, 53)?,
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Builds one commit in a journal buffer.
#[derive(Debug)]
pub struct CommitBuilder {
    buffer: SlabWriter,
    limit: usize,
    entries: u32,
}

impl CommitBuilder {
    /// Starts in an empty buffer of at least one block.
    #[must_use]
    pub fn new(mut buffer: SlabWriter) -> CommitBuilder {
        debug_assert!(buffer.is_empty());
        buffer.append_zeros(COMMIT_HEADER);
        let limit = buffer.capacity();
        CommitBuilder { buffer, limit, entries: 0 }
    }

    /// The same, to become no larger than `limit` bytes: at least one block, whole ones.
    #[must_use]
    pub fn limited(self, limit: usize) -> CommitBuilder {
        CommitBuilder { limit: limit.min(self.limit), ..self }
    }

    fn left(&self) -> usize {
        self.limit.saturating_sub(self.buffer.len())
    }

    /// Bytes of payload that one more entry may have.
    #[must_use]
    pub fn room(&self) -> usize {
        self.left().saturating_sub(ENTRY_HEADER)
    }

    /// Whether one more entry, if without payload, fits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.left() >= ENTRY_HEADER
    }

    /// Adds an entry; its pieces are `head.len` bytes together and fit (see [`room`](Self::room)).
    pub fn push<'a>(&mut self, head: &EntryHead, pieces: impl Iterator<Item = &'a [u8]>) {
        let start = self.buffer.len() + ENTRY_HEADER;
        self.buffer.append(&head.encode());
        for piece in pieces {
            self.buffer.append(piece);
        }
        assert_eq!(self.buffer.len(), start + head.len as usize, "an entry is written whole");
        self.entries += 1;
    }

    /// Writes the header and pads to whole blocks.
    #[must_use]
    pub fn finish(mut self, incarnation: Incarnation, seq: Seq, durable: Seq) -> SlabWriter {
        let length = self.buffer.len();
        let mut header = [0; COMMIT_HEADER];
        header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[8..24].copy_from_slice(&incarnation.0);
        header[24..32].copy_from_slice(&seq.0.to_le_bytes());
        header[32..40].copy_from_slice(&durable.0.to_le_bytes());
        header[40..44].copy_from_slice(&length_of::<u32>(length).to_le_bytes());
        header[44..48].copy_from_slice(&self.entries.to_le_bytes());
        let checksum = crc32c::crc32c(&header[8..]);
        let checksum = crc32c::crc32c_append(checksum, &self.buffer.bytes()[COMMIT_HEADER..]);
        header[4..8].copy_from_slice(&checksum.to_le_bytes());
        let patched = self.buffer.patch(0, &header);
        assert!(patched, "nobody reads a commit before it is finished");
        self.buffer.pad_to_block();
        self.buffer
    }
}

/// What the first block of a commit says about it, before the checksum is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitHead {
    checksum: u32,
    /// Which journal wrote it.
    pub incarnation: Incarnation,
    /// Its number.
    pub seq: Seq,
    /// The highest seq that was complete, with all before it, when it was built.
    pub durable: Seq,
    length: u32,
    entries: u32,
}

impl CommitHead {
    /// Reads the head; `None` when these bytes are no commit's.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<CommitHead> {
        if u32_at(bytes, 0)? != MAGIC {
            return None;
        }
        let head = CommitHead {
            checksum: u32_at(bytes, 4)?,
            incarnation: Incarnation(array(bytes, 8)?),
            seq: Seq(u64_at(bytes, 24)?),
            durable: Seq(u64_at(bytes, 32)?),
            length: u32_at(bytes, 40)?,
            entries: u32_at(bytes, 44)?,
        };
        (head.length as usize >= COMMIT_HEADER).then_some(head)
    }

    /// Bytes it takes in its file, whole blocks.
    #[must_use]
    pub fn size(&self) -> u64 {
        align_up(self.length as usize) as u64
    }

    /// Whether `commit`, which starts with this head, matches the checksum.
    #[must_use]
    pub fn verify(&self, commit: &[u8]) -> bool {
        let body = commit.get(8..self.length as usize);
        body.is_some_and(|body| crc32c::crc32c(body) == self.checksum)
    }

    /// The entries of a verified commit with where their payloads start in it.
    pub fn entries(self, commit: &[u8]) -> impl Iterator<Item = (EntryHead, usize)> {
        let commit = &commit[..self.length as usize];
        let mut at = COMMIT_HEADER;
        (0..self.entries).map_while(move |_| {
            let head = EntryHead::decode(commit.get(at..)?)?;
            let payload = at + ENTRY_HEADER;
            at = payload + head.len as usize;
            (at <= commit.len()).then_some((head, payload))
        })
    }
}

/// The most bytes a single entry may carry in a journal file of `file_bytes`.
#[must_use]
pub const fn largest_entry(file_bytes: u64) -> u64 {
    file_bytes / 4
}

/// Bytes of a buffer that takes one entry of `payload` bytes.
#[must_use]
pub const fn buffer_for(payload: usize) -> usize {
    align_up(COMMIT_HEADER + ENTRY_HEADER + payload)
}

const _: () = assert!(COMMIT_HEADER + ENTRY_HEADER < BLOCK);

#[cfg(test)]
mod tests {
    use super::*;

    fn head(partition: u32, at: u64, len: u32) -> EntryHead {
        let topic = TopicId([7; 16]);
        EntryHead {
            kind: EntryKind::Data,
            partition: TopicPartition { topic, index: PartitionIndex(partition) },
            version: LogVersion { start: 3, change: 1 },
            place: Place { segment: Offset(1000), at },
            next_offset: Offset(1010),
            len,
        }
    }

    fn commit() -> (SlabWriter, Vec<EntryHead>) {
        let roll = EntryHead { kind: EntryKind::Roll, ..head(2, 900, 0) };
        let heads = vec![head(1, 0, 5), roll, head(3, 4096, 5000)];
        let mut builder = CommitBuilder::new(SlabWriter::new(4 * BLOCK));
        for head in &heads {
            let bytes = vec![head.partition.index.0 as u8; head.len as usize];
            builder.push(head, bytes.chunks(700));
        }
        (builder.finish(Incarnation([9; 16]), Seq(5), Seq(3)), heads)
    }

    #[test]
    fn a_commit_is_read_back() {
        let (commit, heads) = commit();
        let head = CommitHead::decode(commit.bytes()).expect("a commit");
        assert_eq!(
            (head.incarnation, head.seq, head.durable),
            (Incarnation([9; 16]), Seq(5), Seq(3))
        );
        assert_eq!(head.size(), commit.len() as u64);
        assert!(head.verify(commit.bytes()));
        let entries: Vec<_> = head.entries(commit.bytes()).collect();
        assert_eq!(entries.iter().map(|(head, _)| *head).collect::<Vec<_>>(), heads);
        for (head, payload) in entries {
            let bytes = &commit.bytes()[payload..payload + head.len as usize];
            assert!(bytes.iter().all(|byte| u32::from(*byte) == head.partition.index.0));
        }
    }

    #[test]
    fn a_change_of_any_counted_byte_is_noticed() {
        let (commit, _) = commit();
        let length = COMMIT_HEADER + 3 * ENTRY_HEADER + 5005;
        for at in 0..length {
            let mut bytes = commit.bytes().to_vec();
            bytes[at] ^= 0x10;
            let valid = CommitHead::decode(&bytes).is_some_and(|head| head.verify(&bytes));
            assert!(!valid, "byte {at}");
        }
    }

    #[test]
    fn a_commit_cut_anywhere_is_invalid() {
        let (commit, _) = commit();
        for blocks in 0..commit.len() / 512 {
            let mut bytes = commit.bytes().to_vec();
            if bytes[blocks * 512..].iter().all(|b| *b == 0) {
                continue;
            }
            bytes[blocks * 512..].fill(0);
            assert!(!CommitHead::decode(&bytes).is_some_and(|head| head.verify(&bytes)));
        }
    }
}
