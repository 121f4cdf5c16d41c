//! A journal commit as the broker builds it, for those who measure building and those who measure
//! reading back.

use corelog_engine::id::{Offset, PartitionIndex, TopicId, TopicPartition};
use corelog_engine::journal::commit::{
    CommitBuilder, ENTRY_HEADER, EntryHead, EntryKind, Incarnation, Seq, buffer_for,
};
use corelog_engine::log::{LogVersion, Place};
use corelog_mem::SlabWriter;

/// The life of the journal that all commits are of.
pub(crate) const LIFE: Incarnation = Incarnation([1; 16]);

/// A buffer for a commit of so many entries of `size` bytes.
pub(crate) fn buffer(entries: usize, size: usize) -> SlabWriter {
    SlabWriter::new(buffer_for(entries * (ENTRY_HEADER + size)))
}

/// A commit with an entry for each of so many partitions; the one before it was durable.
pub(crate) fn commit(buffer: SlabWriter, seq: Seq, entries: usize, payload: &[u8]) -> SlabWriter {
    let mut builder = CommitBuilder::new(buffer);
    for entry in 0..entries {
        let index = PartitionIndex(entry as u32);
        let head = EntryHead {
            kind: EntryKind::Data,
            partition: TopicPartition { topic: TopicId([7; 16]), index },
            version: LogVersion { start: 1, change: 0 },
            place: Place { segment: Offset::ZERO, at: 0 },
            next_offset: Offset(1),
            len: payload.len() as u32,
        };
        builder.push(&head, std::iter::once(payload));
    }
    builder.finish(LIFE, seq, Seq(seq.0 - 1))
}
