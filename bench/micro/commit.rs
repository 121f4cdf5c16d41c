//! Building a journal commit: the copy and the checksum that every durable byte pays.

mod common;

use corelog_engine::journal::commit::Seq;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use common::{buffer, commit};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("commit");
    for (entries, size) in [(1, 1 << 10), (100, 1 << 10), (1000, 1 << 10), (10, 100 << 10)] {
        let payload = vec![7; size];
        let name = format!("{entries} of {size} B");
        group.throughput(Throughput::Bytes((entries * size) as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            // The broker uses its buffers again, so making one is not counted.
            let buffer = || buffer(entries, size);
            let commit = |buffer| commit(buffer, Seq(2), entries, &payload);
            bencher.iter_batched(buffer, commit, BatchSize::LargeInput);
        });
    }
    group.finish();
    criterion.final_summary();
}
