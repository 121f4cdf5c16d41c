//! The recovery scan of a journal file: every commit found and checked, and judged. A restart does
//! it for all files of all cores before it serves anyone.

mod common;

use std::hint::black_box;

use corelog_engine::boot::effect::JournalFile;
use corelog_engine::id::ShardId;
use corelog_engine::journal::commit::Seq;
use corelog_engine::journal::scan::{FoundEntry, Scan};
use criterion::{BenchmarkId, Criterion, Throughput};

use common::{LIFE, buffer, commit};

/// A journal file's default size.
const FILE_BYTES: usize = 32 << 20;
const FILE: JournalFile = JournalFile { shard: ShardId(0), slot: 0 };

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Bytes(FILE_BYTES as u64));
    for (entries, size) in [(1, 1 << 10), (100, 1 << 10), (10, 100 << 10)] {
        let (file, commits) = full_file(entries, size);
        assert_eq!(scan(&file).len(), commits * entries, "all of it counts");
        let name = format!("{entries} of {size} B");
        group.bench_with_input(BenchmarkId::from_parameter(name), &file, |bencher, file| {
            bencher.iter(|| scan(black_box(file)));
        });
    }
    group.finish();
    criterion.final_summary();
}

fn scan(file: &[u8]) -> Vec<FoundEntry> {
    let mut scan = Scan::default();
    scan.file(FILE, file);
    scan.judge(LIFE, Seq(1)).expect("nothing is missing")
}

/// A file with as many commits of so many entries as fit, and how many those are.
fn full_file(entries: usize, size: usize) -> (Vec<u8>, usize) {
    let payload = vec![7; size];
    let mut file = Vec::with_capacity(FILE_BYTES);
    let mut seq = Seq(1);
    loop {
        let commit = commit(buffer(entries, size), seq, entries, &payload);
        if file.len() + commit.len() > FILE_BYTES {
            break;
        }
        file.extend_from_slice(commit.bytes());
        seq = seq.next();
    }
    file.resize(FILE_BYTES, 0);
    (file, seq.0 as usize - 1)
}
