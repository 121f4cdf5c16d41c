//! Building a journal commit: the copy and the checksum that every durable byte pays.

use corelog_engine::id::{Offset, PartitionIndex, TopicId, TopicPartition};
use corelog_engine::journal::commit::{
    CommitBuilder, ENTRY_HEADER, EntryHead, EntryKind, Incarnation, Seq, buffer_for,
};
use corelog_engine::log::{LogVersion, Place};
use corelog_mem::SlabWriter;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("commit");
    for (entries, size) in [(1, 1 << 10), (100, 1 << 10), (1000, 1 << 10), (10, 100 << 10)] {
        let payload = vec![7; size];
        let name = format!("{entries} of {size} B");
        group.throughput(Throughput::Bytes((entries * size) as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            // The broker uses its buffers again, so making one is not counted.
            let buffer = || SlabWriter::new(buffer_for(entries * (ENTRY_HEADER + size)));
            bencher.iter_batched(buffer, |b| commit(b, entries, &payload), BatchSize::LargeInput);
        });
    }
    group.finish();
    criterion.final_summary();
}

fn commit(buffer: SlabWriter, entries: usize, payload: &[u8]) -> SlabWriter {
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
    builder.finish(Incarnation([1; 16]), Seq(2), Seq(1))
}
