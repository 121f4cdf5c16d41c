//! `fetch`: reads partitions from their start, as a consumer that has to catch up does.
//!
//! The kernel copies a response into a buffer that is used again for the next one; the bytes of
//! the records are then looked at only if their CRC is checked. Each connection has one request
//! under way, as Kafka's consumers do.

use std::convert::Infallible;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use clap::Args;
use corelog_engine::record::batch::{self, crc_matches};
use corelog_wire::api::ApiKey;
use corelog_wire::header::decode_response;
use corelog_wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use serde::Serialize;

use crate::batch::BatchArgs;
use crate::client::{ClientError, Connection, accepted, persist};
use crate::failure::Failure;
use crate::histogram::Latencies;
use crate::memory::MemoryArgs;
use crate::offsets::{End, offsets};
use crate::process::{Pid, Usage, thread_ends};
use crate::produce::{FILL_BATCH, fill};
use crate::report::{Report, ResultArgs};
use crate::timeline::{Point, Progress, Recorder, watch};
use crate::topic::{Share, Topic, TopicArgs};
use crate::units;

/// As a consumer of Kafka: `fetch.max.wait.ms`.
const MAX_WAIT_MS: i32 = 500;

/// Flags of `fetch`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// Connections, which divide the partitions among them
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// The most bytes of a response
    #[arg(long, default_value = "50MiB", value_parser = units::bytes)]
    max_bytes: u64,
    /// The most bytes of a partition in a response
    #[arg(long, default_value = "1MiB", value_parser = units::bytes)]
    partition_max_bytes: u64,
    /// Begin again at the end until this time is over, in place of reading once
    #[arg(long, value_parser = units::time)]
    seconds: Option<Duration>,
    /// Reading that is not measured, before that which is
    #[arg(long, default_value = "0s", value_parser = units::time, requires = "seconds")]
    warm_up: Duration,
    /// Check the CRC of every batch
    #[arg(long)]
    check_crc: bool,
    /// Produce so many bytes first
    #[arg(long, value_parser = units::bytes)]
    fill: Option<u64>,
    #[command(flatten)]
    batch: BatchArgs,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    result: ResultArgs,
}

/// Runs the reading and reports.
///
/// # Errors
/// A connection or the reading fails, or a CRC does not match.
pub(crate) fn run(args: &FetchArgs) -> Result<(), Failure> {
    let topic = Topic::prepare(&args.topic)?;
    let mut report = Report::new("fetch", args, &args.result);
    if let Some(bytes) = args.fill {
        let batch = args.batch.spec(FILL_BATCH).build()?;
        let filled = fill(&topic, &batch, bytes)?;
        report.reading("filled at", filled, "MB/s");
    }
    args.memory.settle()?;
    let plan = FetchPlan {
        topic: &topic,
        connections: args.connections,
        sizes: Sizes::new(args.max_bytes, args.partition_max_bytes),
        extent: args.seconds.map_or(ReadExtent::Once, ReadExtent::Time),
        check: if args.check_crc { Check::Crc } else { Check::Frames },
        warm_up: args.warm_up,
        broker: args.result.broker(),
        progress: Progress::Shown,
    };
    let FetchOutcome { tally, elapsed, usage, timeline } = plan.run()?;
    report.throughput(tally.bytes, elapsed, usage);
    report.rate("records", tally.records, elapsed);
    report.rate("requests", tally.answers.summary().count, elapsed);
    report.footprint(usage, elapsed);
    report.latencies("answer", &tally.answers);
    report.timeline(timeline);
    report.publish()
}

/// The largest responses, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    response: i32,
    partition: i32,
}

impl Sizes {
    /// As a consumer of Kafka asks: `fetch.max.bytes` and `max.partition.fetch.bytes`.
    pub(crate) const CONSUMER: Sizes = Sizes { response: 50 << 20, partition: 1 << 20 };

    pub(crate) fn new(response: u64, partition: u64) -> Sizes {
        let field = |bytes| i32::try_from(bytes).unwrap_or(i32::MAX);
        Sizes { response: field(response), partition: field(partition) }
    }
}

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadExtent {
    /// Everything that is there at the beginning, once.
    Once,
    /// That, over and over for so long.
    Time(Duration),
}

/// What is looked at in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    /// Its length and offsets.
    Frames,
    /// Also whether it matches its CRC.
    Crc,
}

/// A reading of all partitions of a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchPlan<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) connections: usize,
    pub(crate) sizes: Sizes,
    pub(crate) extent: ReadExtent,
    pub(crate) check: Check,
    /// Before what is measured.
    pub(crate) warm_up: Duration,
    pub(crate) broker: Option<Pid>,
    pub(crate) progress: Progress,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct FetchTally {
    pub(crate) answers: Latencies,
    /// Of whole batches.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

impl FetchTally {
    fn new() -> FetchTally {
        FetchTally { answers: Latencies::new(), bytes: 0, records: 0 }
    }

    fn merge(&mut self, other: &FetchTally) {
        self.answers.merge(&other.answers);
        self.bytes += other.bytes;
        self.records += other.records;
    }
}

#[derive(Debug)]
pub(crate) struct FetchOutcome {
    pub(crate) tally: FetchTally,
    pub(crate) elapsed: Duration,
    pub(crate) usage: Usage,
    pub(crate) timeline: Vec<Point>,
}

impl FetchPlan<'_> {
    /// Connects, then reads until all partitions are at their ends or the time is over.
    ///
    /// # Errors
    /// A connection or the reading fails, or a CRC does not match.
    pub(crate) fn run(&self) -> Result<FetchOutcome, Failure> {
        let shares = self.topic.shares(self.connections)?;
        // More connections than partitions have nothing to read.
        let busy = shares.iter().take(self.topic.partitions().max(self.topic.leaders()));
        let readers = busy.map(|share| Reader::open(self, share)).collect::<Result<Vec<_>, _>>()?;
        let recorders: Vec<Recorder> = readers.iter().map(|r| r.recorder.clone()).collect();
        let (running, over) = mpsc::channel();
        let mut before = None;
        let start = Instant::now() + self.warm_up;
        let (timeline, results) = thread::scope(|scope| {
            let threads: Vec<_> = readers
                .into_iter()
                .map(|reader| (reader, running.clone()))
                .map(|(reader, running)| scope.spawn(move || run_reader(reader, start, running)))
                .collect();
            drop(running);
            let begin = || before = Some(Usage::now(self.broker));
            let timeline = watch(&recorders, start, &over, self.progress, begin);
            let results: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
            (timeline, results)
        });
        let elapsed = start.elapsed();
        let after = Usage::now(self.broker).map_err(Failure::Account)?;
        let before = before.transpose().map_err(Failure::Account)?.unwrap_or(after);
        let mut tally = FetchTally::new();
        for result in results {
            tally.merge(&result.map_err(|_| Failure::Thread)??);
        }
        let usage = after.since(before);
        Ok(FetchOutcome { tally, elapsed, usage, timeline })
    }
}

/// What the thread of a connection does; `running` is gone once it is over.
fn run_reader(
    reader: Reader<'_>,
    start: Instant,
    running: mpsc::Sender<Infallible>,
) -> Result<FetchTally, Failure> {
    let result = reader.run(start);
    thread_ends();
    drop(running);
    result
}

/// A partition being read.
#[derive(Clone, Copy, Debug)]
struct Position {
    partition: i32,
    start: i64,
    next: i64,
    end: i64,
}

struct Reader<'a> {
    plan: &'a FetchPlan<'a>,
    connection: Connection,
    version: i16,
    positions: Vec<Position>,
    /// As large as the largest response so far; taken while a response is looked at.
    buffer: BytesMut,
    tally: FetchTally,
    recorder: Recorder,
}

impl<'a> Reader<'a> {
    fn open(plan: &'a FetchPlan<'a>, share: &Share) -> Result<Reader<'a>, ClientError> {
        let mut connection = Connection::open(&share.leader)?;
        let version = connection.version::<FetchRequest>()?;
        let starts = offsets(&mut connection, plan.topic, &share.partitions, End::First)?;
        let ends = offsets(&mut connection, plan.topic, &share.partitions, End::Last)?;
        let positions = share.partitions.iter().zip(starts.into_iter().zip(ends));
        let positions = positions.map(|(&partition, (start, end))| Position {
            partition,
            start,
            next: start,
            end,
        });
        Ok(Reader {
            plan,
            connection,
            version,
            positions: positions.collect(),
            buffer: BytesMut::new(),
            tally: FetchTally::new(),
            recorder: Recorder::new(),
        })
    }

    fn run(mut self, start: Instant) -> Result<FetchTally, Failure> {
        while self.goes_on(start) {
            self.fetch(start)?;
        }
        Ok(self.tally)
    }

    fn goes_on(&mut self, start: Instant) -> bool {
        let unread = |position: &Position| position.next < position.end;
        match self.plan.extent {
            ReadExtent::Once => self.positions.iter().any(unread),
            ReadExtent::Time(time) => {
                if !self.positions.iter().any(unread) {
                    self.positions.iter_mut().for_each(|position| position.next = position.start);
                }
                self.positions.iter().any(unread) && Instant::now() < start + time
            }
        }
    }

    fn fetch(&mut self, start: Instant) -> Result<(), Failure> {
        let sent = Instant::now();
        self.connection.send(self.version, &self.request())?;
        let frame = self.receive()?;
        let latency = sent.elapsed();
        let (_, response) = decode_response::<FetchResponse>(frame.clone(), self.version)
            .map_err(ClientError::from)?;
        accepted(ApiKey::Fetch, response.error_code)?;
        let mut read = Read::default();
        for data in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            self.take(&data, &mut read)?;
        }
        if sent >= start {
            self.tally.answers.record(latency);
            self.tally.bytes += read.bytes;
            self.tally.records += read.records;
        }
        self.recorder.answer(latency, read.bytes);
        // Everything that pointed into the frame is gone, so this is the buffer itself.
        self.buffer = frame.try_into_mut().unwrap_or_default();
        Ok(())
    }

    fn request(&self) -> FetchRequest {
        let unread = self.positions.iter().filter(|position| position.next < position.end);
        let partitions = unread.map(|position| FetchPartition {
            partition: position.partition,
            fetch_offset: position.next,
            partition_max_bytes: self.plan.sizes.partition,
            ..FetchPartition::default()
        });
        request(self.plan.topic, partitions.collect(), self.plan.sizes.response)
    }

    /// The next response, in the buffer; it may be followed by what an earlier one left there.
    fn receive(&mut self) -> Result<Bytes, ClientError> {
        let size = self.connection.receive_size()?;
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        self.connection.receive_exact(&mut self.buffer[..size])?;
        self.connection.expect_own(&self.buffer[..size])?;
        Ok(std::mem::take(&mut self.buffer).freeze())
    }

    fn take(&mut self, data: &PartitionData, read: &mut Read) -> Result<(), Failure> {
        accepted(ApiKey::Fetch, data.error_code)?;
        let index = data.partition_index;
        let position = self.positions.iter_mut().find(|position| position.partition == index);
        let records = data.records.as_ref().and_then(|records| records.as_bytes());
        if let (Some(position), Some(records)) = (position, records) {
            let part = position.take(records, self.plan.check)?;
            read.bytes += part.bytes;
            read.records += part.records;
        }
        Ok(())
    }
}

/// What a partition's part of a response held.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    bytes: u64,
    records: u64,
}

impl Position {
    /// Goes on behind the whole batches; a last one that is cut off comes again.
    fn take(&mut self, records: &Bytes, check: Check) -> Result<Read, Failure> {
        let mut read = Read::default();
        for (header, batch) in batch::split(records).map_while(Result::ok) {
            if matches!(check, Check::Crc) && !crc_matches(&header, &batch) {
                let offset = header.base_offset.0;
                return Err(Failure::Crc { partition: self.partition, offset });
            }
            self.next = header.next_offset().0;
            read.bytes += batch.len() as u64;
            read.records += u64::from(header.count());
        }
        Ok(read)
    }
}

/// A fetch without a session.
pub(crate) fn request(
    topic: &Topic,
    partitions: Vec<FetchPartition>,
    max_bytes: i32,
) -> FetchRequest {
    let topic = FetchTopic { topic: topic.name.clone(), topic_id: topic.id, partitions };
    FetchRequest {
        max_wait_ms: MAX_WAIT_MS,
        min_bytes: 1,
        max_bytes,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

/// Waits until each of the partitions answers a fetch from its end; not for records to come there.
///
/// # Errors
/// A connection fails, or a partition does not answer in time.
pub(crate) fn answer_fetches(topic: &Topic) -> Result<(), Failure> {
    for share in topic.shares(topic.leaders())? {
        let mut connection = Connection::open(&share.leader)?;
        let ends = offsets(&mut connection, topic, &share.partitions, End::Last)?;
        let place = |(&partition, fetch_offset)| FetchPartition {
            partition,
            fetch_offset,
            partition_max_bytes: 1,
            ..FetchPartition::default()
        };
        let places = share.partitions.iter().zip(ends).map(place).collect();
        let request = FetchRequest { max_wait_ms: 0, ..request(topic, places, 1) };
        persist(|| {
            let response = connection.call(&request)?;
            accepted(ApiKey::Fetch, response.error_code)?;
            let parts = response.responses.iter().flat_map(|topic| &topic.partitions);
            let codes: Vec<_> = parts.map(|part| part.error_code).collect();
            codes.iter().try_for_each(|&code| accepted(ApiKey::Fetch, code))?;
            let all = codes.len() == share.partitions.len();
            if all { Ok(()) } else { Err(ClientError::Missing { api: ApiKey::Fetch }) }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchSpec, Fill};
    use corelog_engine::id::{LeaderEpoch, Offset};

    /// Three batches of two records from offset 10 on, with the length of one.
    fn log() -> (Vec<u8>, usize) {
        let batch = BatchSpec::plain(100, Fill::Records(2)).build().expect("a batch").bytes;
        let batches = [10, 12, 14].map(|base| {
            let mut batch = batch.to_vec();
            batch::stamp(&mut batch, Offset(base), LeaderEpoch(1));
            batch
        });
        (batches.concat(), batch.len())
    }

    fn position() -> Position {
        Position { partition: 3, start: 10, next: 10, end: 16 }
    }

    #[test]
    fn reading_goes_on_behind_the_last_whole_batch() {
        let (log, len) = log();
        for (received, batches) in
            [(0, 0), (5, 0), (len - 1, 0), (len, 1), (2 * len + 70, 2), (3 * len, 3)]
        {
            let mut position = position();
            let records = Bytes::copy_from_slice(&log[..received]);
            let read = position.take(&records, Check::Crc).expect("CRCs that match");
            let expected = Read { bytes: batches * len as u64, records: 2 * batches };
            assert_eq!((read, position.next), (expected, 10 + 2 * batches as i64));
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_where_crcs_are_checked() {
        let (mut log, len) = log();
        log[2 * len - 1] ^= 1;
        let records = Bytes::from(log);
        let result = position().take(&records, Check::Crc);
        assert!(matches!(result, Err(Failure::Crc { partition: 3, offset: 12 })), "{result:?}");
        assert_eq!(position().take(&records, Check::Frames).expect("frames").records, 6);
    }
}
