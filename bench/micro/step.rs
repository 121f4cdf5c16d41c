//! One step of a shard: batches in, the commit that holds them out, its write reported done, the
//! answers out. It is what the core costs between the codec and the disk.
//!
//! Whatever else a shard wants done is done at once, so segment writes, barriers and manifests are
//! counted as often as they come when nothing ever waits for the disk.

use corelog_engine::id::{Now, PartitionIndex, Timestamp, TopicId, TopicPartition};
use corelog_engine::record::{BatchBuilder, BatchHeader, Codec, NewRecord};
use corelog_engine::shard::Shard;
use corelog_engine::shard::effect::Effects;
use corelog_engine::shard::event::{EffectId, Event, Outcome, Ticket};
use corelog_engine::shard::request::{Append, Reply, Request};
use corelog_engine::shard::setup::{ShardLimits, ShardSetup};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

/// Between two steps, as the shard's clock has it.
const STEP_US: u64 = 100;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("step");
    for (requests, size) in [(1, 1 << 10), (100, 1 << 10), (1, 100 << 10)] {
        let appends: Vec<Append> = (0..requests).map(|index| append(index, size)).collect();
        let mut turns = Turns::new(requests);
        let name = format!("{requests} of {size} B");
        group.throughput(Throughput::Bytes(u64::from(requests) * size as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let appends = || appends.clone();
            bencher.iter_batched(appends, |a| turns.produce(a), BatchSize::SmallInput);
        });
    }
    group.finish();
    criterion.final_summary();
}

/// A batch with one record, for the partition `index`.
fn append(index: u32, size: usize) -> Append {
    let mut builder = BatchBuilder::new(Codec::None);
    let value = vec![7; size];
    builder.append(NewRecord { value: Some(&value), ..NewRecord::default() });
    let batch = builder.build().expect("a small batch");
    let header = BatchHeader::parse(&batch).expect("a batch");
    Append { partition: partition(index), header, batch, append_time: Timestamp::NONE }
}

fn partition(index: u32) -> TopicPartition {
    TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(index) }
}

/// A shard, and a disk that is done at once.
struct Turns {
    shard: Shard,
    effects: Effects,
    now: Now,
    tickets: u64,
}

impl Turns {
    fn new(partitions: u32) -> Turns {
        let mut turns = Turns {
            shard: Shard::new(setup(partitions)),
            effects: Effects::default(),
            now: Now::default(),
            tickets: 0,
        };
        turns.shard.start(&mut turns.effects);
        turns
    }

    /// Takes in a request for each batch, and all that comes of them until they are answered.
    fn produce(&mut self, appends: Vec<Append>) {
        self.now.instant.0 += STEP_US;
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= self.now.instant) {
            self.step(Event::Tick);
        }
        let requests = appends.len();
        for append in appends {
            self.tickets += 1;
            self.step(Event::Request(Ticket(self.tickets), Request::Produce(vec![append])));
        }
        self.shard.end_of_turn(self.now, &mut self.effects);
        loop {
            let done = carry_out(&mut self.effects);
            if done.is_empty() {
                break;
            }
            done.into_iter().for_each(|id| self.step(Event::Done(id, Outcome::Done)));
            self.shard.end_of_turn(self.now, &mut self.effects);
        }
        let replies = self.effects.replies.drain(..);
        let appended = replies.filter(|(_, reply)| is_appended(reply)).count();
        assert_eq!(appended, requests, "every batch is appended");
    }

    fn step(&mut self, event: Event) {
        self.shard.step(self.now, event, &mut self.effects);
    }
}

/// Lets go of all bytes to write, and says which effects are done.
fn carry_out(effects: &mut Effects) -> Vec<EffectId> {
    assert!(effects.reads.is_empty(), "what is needed is in memory");
    let journal = effects.journal.drain(..).map(|write| write.id);
    let segments = effects.segments.drain(..).map(|write| write.id);
    let files = effects.files.drain(..).map(|file| file.id);
    journal.chain(segments).chain(files).collect()
}

fn is_appended(reply: &Reply) -> bool {
    matches!(reply, Reply::Produce(parts) if parts.iter().all(Result::is_ok))
}

/// The only shard there is, with limits as the broker's defaults make them.
fn setup(partitions: u32) -> ShardSetup {
    let limits = ShardLimits {
        journal_file_bytes: 32 << 20,
        dirty_bytes: 76 << 20,
        tail_bytes: 204 << 20,
        index_bytes: 25 << 20,
        ..ShardLimits::small()
    };
    ShardSetup { limits, ..ShardSetup::small((0..partitions).map(partition)) }
}
