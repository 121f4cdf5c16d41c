//! Finding an offset or a time in a segment's sparse index.

use std::hint::black_box;

use corelog_engine::id::{Offset, Timestamp};
use corelog_engine::log::{POINT_SPACING, Points};
use criterion::{BenchmarkId, Criterion};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("index");
    for segment_bytes in [64 << 20, 1_u64 << 30] {
        let count = (segment_bytes / POINT_SPACING) as i64;
        let mut points = Points::default();
        for point in 0..count {
            let (offset, at) = (Offset(point * 64), point as u64 * POINT_SPACING);
            points.offer(offset, at, Timestamp(point), POINT_SPACING);
        }
        let mut wanted = 0;
        // A step that visits all points without a pattern the processor could learn.
        let mut next = move || {
            wanted = (wanted + 7919) % count;
            wanted
        };
        group.bench_function(BenchmarkId::new("by offset", segment_bytes), |bencher| {
            bencher.iter(|| black_box(&points).by_offset(Offset(next() * 64 + 1)));
        });
        group.bench_function(BenchmarkId::new("by time", segment_bytes), |bencher| {
            bencher.iter(|| black_box(&points).by_timestamp(Timestamp(next())));
        });
    }
    group.finish();
    criterion.final_summary();
}
