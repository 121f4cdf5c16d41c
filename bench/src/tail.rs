//! `tail`: from when a record should have been sent until a consumer at the end of the log has it.
//!
//! Every record says when it was due, on the clock of this process, which both ends share.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use corelog_engine::record::{Records, batch};
use corelog_wire::api::ApiKey;
use corelog_wire::messages::fetch::{FetchPartition, FetchRequest};
use serde::Serialize;

use crate::batch::{BatchSpec, Fill, Mark};
use crate::client::{ClientError, Connection, accepted};
use crate::failure::Failure;
use crate::fetch;
use crate::histogram::Latencies;
use crate::load::Order;
use crate::offsets::{End, offsets};
use crate::produce::{Identity, Outcome, Pacing, Plan};
use crate::report::{Report, ResultArgs};
use crate::request::{Acks, Marking};
use crate::supply::Supply;
use crate::timeline::Progress;
use crate::topic::{Topic, TopicArgs};
use crate::units;

/// How long the consumer looks for the last records after the producer has ended.
const GRACE: Duration = Duration::from_secs(5);
const MAX_BYTES: i32 = 50 << 20;
const MAX_DECOMPRESSED: u64 = 64 << 20;

/// Flags of `tail`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// Records per second, each in a request of its own, to all partitions in turn
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Bytes of a record's value
    #[arg(long, default_value = "1KiB", value_parser = units::bytes)]
    record_size: u64,
    /// When the broker answers
    #[arg(long, value_enum, default_value = "all", allow_hyphen_values = true)]
    acks: Acks,
    /// Load that is not measured, before that which is
    #[arg(long, default_value = "1s", value_parser = units::time)]
    warm_up: Duration,
    /// How long to measure
    #[arg(long, default_value = "10s", value_parser = units::time)]
    seconds: Duration,
    #[command(flatten)]
    result: ResultArgs,
}

/// Runs producer and consumer, and reports.
///
/// # Errors
/// A connection fails, or the topic's partitions have several leaders.
pub(crate) fn run(args: &TailArgs) -> Result<(), Failure> {
    let marking = Marking::new(args.record_size)?;
    let topic = Topic::prepare(&args.topic)?;
    let supply = Supply::Same(BatchSpec::plain(args.record_size, Fill::Records(1)).build()?);
    let mut report = Report::new("tail", args, &args.result);
    let plan = args.plan(&topic, &supply, marking);
    let (outcome, received) = follow(&plan, vec![Consumer::open(&topic, marking)?])?;
    let measured = received.measured(outcome.measure_from);
    report.reading("intended rate", f64::from(args.rate), "/s");
    report.rate("achieved rate", outcome.tally.requests, outcome.elapsed);
    report.throughput(outcome.tally.bytes, outcome.elapsed, outcome.usage);
    let lost = outcome.tally.batches.saturating_sub(measured.summary().count);
    report.lost(lost);
    report.request_cost(outcome.usage, outcome.tally.requests);
    report.footprint(outcome.usage, outcome.elapsed);
    report.latencies("receipt", &measured);
    report.latencies("answer", &outcome.tally.answers);
    report.latencies("sending lag", &outcome.tally.lags);
    report.timeline(outcome.timeline);
    report.errors(&outcome.tally.errors);
    report.publish()
}

impl TailArgs {
    fn plan<'a>(&self, topic: &'a Topic, supply: &'a Supply, marking: Marking) -> Plan<'a> {
        let order = Order::InTurn;
        let pacing =
            Pacing::Open { rate: self.rate, order, time: self.seconds, in_flight: usize::MAX };
        Plan {
            topic,
            supply,
            connections: topic.leaders(),
            partitions_per_request: 1,
            acks: self.acks,
            identity: Identity::Mark(marking),
            pacing,
            warm_up: self.warm_up,
            broker: self.result.broker(),
            progress: Progress::Shown,
        }
    }
}

/// What the consumer has to wait for once the producer has ended.
struct Goal {
    measure_from: Instant,
    records: u64,
    deadline: Instant,
}

/// Runs a load and consumers that follow it; what all these received.
///
/// # Errors
/// A connection fails.
pub(crate) fn follow(
    plan: &Plan<'_>,
    consumers: Vec<Consumer<'_>>,
) -> Result<(Outcome, Received), Failure> {
    let goal = OnceLock::new();
    thread::scope(|scope| {
        let consuming: Vec<_> =
            consumers.into_iter().map(|consumer| scope.spawn(|| consumer.run(&goal))).collect();
        let outcome = plan.run();
        let (measure_from, records) = match &outcome {
            Ok(outcome) => (outcome.measure_from, outcome.tally.batches),
            Err(_) => (Instant::now(), 0),
        };
        let deadline = Instant::now() + GRACE;
        // Set once, here.
        let _ = goal.set(Goal { measure_from, records, deadline });
        let mut received = Received(Vec::new());
        for thread in consuming {
            received.0.append(&mut thread.join().map_err(|_| Failure::Thread)??.0);
        }
        Ok((outcome?, received))
    })
}

/// When records were due and how much later they came.
pub(crate) struct Received(Vec<(Instant, Duration)>);

impl Received {
    fn since(&self, from: Instant) -> impl Iterator<Item = Duration> {
        self.0.iter().filter(move |(due, _)| *due >= from).map(|(_, latency)| *latency)
    }

    /// Those that were due from then on.
    pub(crate) fn measured(&self, from: Instant) -> Latencies {
        let mut latencies = Latencies::new();
        self.since(from).for_each(|latency| latencies.record(latency));
        latencies
    }

    fn reaches(&self, goal: &Goal) -> bool {
        Instant::now() >= goal.deadline
            || self.since(goal.measure_from).count() as u64 >= goal.records
    }
}

/// Reads what is new in all partitions.
pub(crate) struct Consumer<'a> {
    topic: &'a Topic,
    connection: Connection,
    /// Partition and next offset.
    positions: Vec<(i32, i64)>,
    marking: Marking,
    received: Received,
}

impl<'a> Consumer<'a> {
    /// Begins behind what is there.
    ///
    /// # Errors
    /// The topic has several leaders, or does not say where it ends.
    pub(crate) fn open(topic: &'a Topic, marking: Marking) -> Result<Consumer<'a>, Failure> {
        let shares = topic.shares(topic.leaders())?;
        let [share] = shares.as_slice() else { return Err(Failure::SeveralLeaders(shares.len())) };
        let mut connection = Connection::open(&share.leader)?;
        connection.version::<FetchRequest>()?;
        let ends = offsets(&mut connection, topic, &share.partitions, End::Last)?;
        let positions = share.partitions.iter().copied().zip(ends).collect();
        Ok(Consumer { topic, connection, positions, marking, received: Received(Vec::new()) })
    }

    fn run(mut self, goal: &OnceLock<Goal>) -> Result<Received, ClientError> {
        while !goal.get().is_some_and(|goal| self.received.reaches(goal)) {
            let partitions =
                self.positions.iter().map(|&(partition, fetch_offset)| FetchPartition {
                    partition,
                    fetch_offset,
                    partition_max_bytes: MAX_BYTES,
                    ..FetchPartition::default()
                });
            let request = fetch::request(self.topic, partitions.collect(), MAX_BYTES);
            let response = self.connection.call(&request)?;
            let now = Instant::now();
            accepted(ApiKey::Fetch, response.error_code)?;
            for data in response.responses.into_iter().flat_map(|topic| topic.partitions) {
                accepted(ApiKey::Fetch, data.error_code)?;
                if let Some(records) = data.records.as_ref().and_then(|records| records.as_bytes())
                {
                    self.take(data.partition_index, records, now);
                }
            }
        }
        Ok(self.received)
    }

    fn take(&mut self, partition: i32, records: &Bytes, now: Instant) {
        let (marks, next) = marks(records, self.marking.run);
        let position = self.positions.iter_mut().find(|position| position.0 == partition);
        if let (Some((_, position)), Some(next)) = (position, next) {
            *position = next;
        }
        for mark in marks {
            let due = self.marking.epoch + Duration::from_nanos(mark.at_nanos);
            self.received.0.push((due, now.saturating_duration_since(due)));
        }
    }
}

/// The marks of a run in whole batches, and the offset behind these.
fn marks(records: &Bytes, run: u64) -> (Vec<Mark>, Option<i64>) {
    let (mut marks, mut next) = (Vec::new(), None);
    for (header, batch) in batch::split(records).map_while(Result::ok) {
        next = Some(header.next_offset().0);
        let Ok(records) = Records::open(&header, &batch, MAX_DECOMPRESSED) else { continue };
        let values = records.iter().map_while(Result::ok).filter_map(|record| record.value);
        marks.extend(values.filter_map(Mark::read).filter(|mark| mark.run == run));
    }
    (marks, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::set_mark;

    fn marked(run: u64, at_nanos: u64) -> Vec<u8> {
        let batch = BatchSpec::plain(40, Fill::Records(1)).build().expect("a batch");
        let mut batch = batch.bytes.to_vec();
        set_mark(&mut batch, 40, Mark { run, at_nanos });
        batch
    }

    #[test]
    fn marks_of_other_runs_and_cut_off_batches_are_passed_over() {
        let whole = [marked(1, 10), marked(2, 20), marked(1, 30)].concat();
        let records = Bytes::from([&whole[..], &marked(1, 40)[..80]].concat());
        let (marks, next) = marks(&records, 1);
        assert_eq!(marks.iter().map(|mark| mark.at_nanos).collect::<Vec<_>>(), [10, 30]);
        assert_eq!(next, Some(1), "every batch here is at offset 0");
        assert_eq!(super::marks(&Bytes::new(), 1), (Vec::new(), None));
    }

    #[test]
    fn the_consumer_waits_for_all_that_was_acknowledged_but_not_forever() {
        let from = Instant::now();
        let ms = Duration::from_millis(1);
        let received = Received(vec![(from - ms, ms), (from, 2 * ms), (from + ms, 3 * ms)]);
        assert_eq!(received.measured(from).summary().count, 2);
        for (records, deadline, reaches) in [
            (2, from + 3600 * 1000 * ms, true),
            (3, from + 3600 * 1000 * ms, false),
            (3, from, true),
        ] {
            assert_eq!(received.reaches(&Goal { measure_from: from, records, deadline }), reaches);
        }
    }
}
