//! CRC-32C over batches of the usual sizes: paid once by every byte that is produced.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("crc");
    for size in [100, 1 << 10, 16 << 10, 1 << 20] {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
        group.throughput(Throughput::Bytes(size));
        group.bench_with_input(BenchmarkId::from_parameter(size), &bytes, |bencher, bytes| {
            bencher.iter(|| crc32c::crc32c(black_box(bytes)));
        });
    }
    group.finish();
    criterion.final_summary();
}
