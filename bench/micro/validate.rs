//! Validation of a producer's batch: CRC, header, and every record of it, decompressed if need be.

use std::hint::black_box;

use corelog_engine::id::Timestamp;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord, Rules, validate};
use criterion::{BenchmarkId, Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("validate");
    let shapes = [(1, 1024, Codec::None), (98, 1024, Codec::None), (800, 100, Codec::None)]
        .into_iter()
        .chain(Codec::ALL.into_iter().skip(1).map(|codec| (98, 1024, codec)));
    for (records, size, codec) in shapes {
        let batch = batch(records, size, codec);
        let name = format!("{records} of {size} B");
        group.throughput(Throughput::Bytes((records * size) as u64));
        group.bench_with_input(BenchmarkId::new(codec.name(), name), &batch, |bencher, batch| {
            let rules = Rules::default();
            bencher.iter(|| validate(black_box(batch), &rules, Timestamp(1)).map(drop));
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Values that compress somewhat.
fn batch(records: usize, size: usize, codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for record in 0..records {
        let value: Vec<u8> = (0..size).map(|at| (record * 7 + at * at % 61) as u8 % 61).collect();
        let value = Some(value.as_slice());
        builder.append(NewRecord { timestamp: Timestamp(1), value, ..NewRecord::default() });
    }
    builder.build().expect("a small batch").to_vec()
}
