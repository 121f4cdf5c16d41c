//! What closed and open loop have in common: connections that divide the partitions, requests
//! prepared before the clock starts, a thread for each connection.

use std::convert::Infallible;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use corelog_wire::api::ApiKey;
use corelog_wire::messages::init_producer_id::InitProducerIdRequest;
use corelog_wire::messages::produce::ProduceRequest;
use serde::Serialize;

use crate::batch::{Batch, BatchArgs, BatchSpec, Fill, Producer};
use crate::client::{ClientError, Connection, accepted, persist};
use crate::failure::Failure;
use crate::load::{Load, Order, Tally};
use crate::pace::{Pace, Schedule, Until};
use crate::process::{Pid, Usage, thread_ends};
use crate::report::ResultArgs;
use crate::request::{Acks, Marking, Prepared, Stamp};
use crate::supply::Supply;
use crate::timeline::{Point, Progress, Recorder, watch};
use crate::topic::{Share, Topic, TopicArgs};
use crate::units::{self, mb_per_second};

/// What partitions are filled with.
pub(crate) const FILL_BATCH: Fill = Fill::Bytes(FILL_BYTES);
pub(crate) const FILL_BYTES: u64 = 100 << 10;
/// Where random orders begin.
pub(crate) const SEED: u64 = 0x5eed;
/// Time for all threads to be there when the clock starts, and more of it for each of them.
const ASSEMBLY: Duration = Duration::from_millis(20);
const ASSEMBLY_EACH: Duration = Duration::from_micros(200);
/// An open loop goes on for this longer than it should before it gives up, or as long again.
const GRACE: Duration = Duration::from_secs(10);

/// Flags of both loops.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    #[command(flatten)]
    pub(crate) batch: BatchArgs,
    /// Connections, which divide the partitions among them; with --keys, each has them all
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// Records have one of so many keys, and are where Kafka's partitioner puts their keys
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: Option<u32>,
    /// Partitions that each request has a batch for
    #[arg(long, default_value_t = 1)]
    pub(crate) partitions_per_request: usize,
    /// When the broker answers
    #[arg(long, value_enum, default_value = "all", allow_hyphen_values = true)]
    pub(crate) acks: Acks,
    /// Send as an idempotent producer
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Load that is not measured, before that which is
    #[arg(long, default_value = "1s", value_parser = units::time)]
    pub(crate) warm_up: Duration,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
}

impl ProduceArgs {
    /// Runs what the flags describe. `fill` is when a batch is full if they do not say.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub(crate) fn run(&self, fill: Fill, pacing: Pacing) -> Result<Outcome, Failure> {
        let topic = Topic::prepare(&self.topic)?;
        let supply = self.supply(&self.batch.spec(fill), &topic)?;
        self.plan(&topic, &supply, pacing).run()
    }

    /// What the partitions of `topic` get.
    ///
    /// # Errors
    /// As [`BatchSpec::build`].
    pub(crate) fn supply(&self, spec: &BatchSpec, topic: &Topic) -> Result<Supply, Failure> {
        Ok(match self.keys {
            Some(keys) => {
                let partitions = u32::try_from(topic.partitions()).unwrap_or(u32::MAX);
                Supply::keyed(spec, keys, partitions)?
            }
            None => Supply::Same(spec.build()?),
        })
    }

    /// The load of these batches.
    pub(crate) fn plan<'a>(
        &self,
        topic: &'a Topic,
        supply: &'a Supply,
        pacing: Pacing,
    ) -> Plan<'a> {
        Plan {
            topic,
            supply,
            connections: self.connections,
            partitions_per_request: self.partitions_per_request,
            acks: self.acks,
            identity: if self.idempotent { Identity::Idempotent } else { Identity::None },
            pacing,
            warm_up: self.warm_up,
            broker: self.result.broker(),
            progress: Progress::Shown,
        }
    }
}

/// What batches say beside their records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity {
    None,
    /// Each connection is a producer with an id and sequences.
    Idempotent,
    /// See [`Stamp::Mark`].
    Mark(Marking),
}

/// When requests are sent, for all connections together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pacing {
    /// `in_flight` requests of each connection.
    Closed { in_flight: usize, extent: Extent },
    /// `rate` requests per second, at most `in_flight` of each connection.
    Open { rate: u32, order: Order, time: Duration, in_flight: usize },
}

/// How much a closed loop does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// Goes on for so long after the warm-up.
    Time(Duration),
    /// Sends so many bytes of batches, all of them measured.
    Bytes(u64),
}

/// A load of produce requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) supply: &'a Supply,
    pub(crate) connections: usize,
    pub(crate) partitions_per_request: usize,
    pub(crate) acks: Acks,
    pub(crate) identity: Identity,
    pub(crate) pacing: Pacing,
    pub(crate) warm_up: Duration,
    pub(crate) broker: Option<Pid>,
    pub(crate) progress: Progress,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// The end of the warm-up.
    pub(crate) measure_from: Instant,
    /// From the end of the warm-up to the last answer.
    pub(crate) elapsed: Duration,
    pub(crate) usage: Usage,
    pub(crate) timeline: Vec<Point>,
}

/// A connection that is ready for the clock to start.
struct Ready {
    connection: Connection,
    version: i16,
    requests: Vec<Prepared>,
    stamp: Stamp,
}

impl Plan<'_> {
    /// Connects, prepares, sends, and waits for all answers.
    ///
    /// # Errors
    /// A connection fails, or there are fewer of them than leaders, or what each has does not make
    /// whole requests.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let shares = match self.supply {
            Supply::Same(_) => self.topic.shares(self.connections)?,
            Supply::Keyed(_) => self.topic.whole_shares(self.connections)?,
        };
        shares.iter().try_for_each(|share| self.divides(share))?;
        let ready: Result<Vec<Ready>, ClientError> =
            shares.iter().map(|share| self.ready(share)).collect();
        let threads = u32::try_from(shares.len()).unwrap_or(u32::MAX);
        let start = Instant::now() + ASSEMBLY + ASSEMBLY_EACH * threads;
        let measure_from = start + self.measured_after();
        let loads = (0..).zip(ready?).map(|(place, ready)| self.load(ready, place, start));
        let loads: Vec<Load> = loads.collect();
        let recorders: Vec<Recorder> = loads.iter().map(|load| load.recorder.clone()).collect();
        let (running, over) = mpsc::channel();
        let mut before = None;
        let (timeline, tallies) = thread::scope(|scope| {
            let threads: Vec<_> = loads
                .into_iter()
                .map(|load| (load, running.clone()))
                .map(|(load, running)| scope.spawn(move || run(load, start, running)))
                .collect();
            drop(running);
            let begin = || before = Some(Usage::now(self.broker));
            let timeline = watch(&recorders, measure_from, &over, self.progress, begin);
            let tallies: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
            (timeline, tallies)
        });
        let after = Usage::now(self.broker);
        let mut tally = Tally::new();
        for thread in tallies {
            tally.merge(thread.map_err(|_| Failure::Thread)??);
        }
        let after = after.map_err(Failure::Account)?;
        let before = before.transpose().map_err(Failure::Account)?.unwrap_or(after);
        let usage = after.since(before);
        let end = tally.end.unwrap_or(measure_from);
        let elapsed = end.saturating_duration_since(measure_from);
        Ok(Outcome { tally, measure_from, elapsed, usage, timeline })
    }

    fn measured_after(&self) -> Duration {
        match self.pacing {
            Pacing::Closed { extent: Extent::Bytes(_), .. } => Duration::ZERO,
            _ => self.warm_up,
        }
    }

    /// What each partition of a connection gets, if it gets anything.
    fn parts<'a>(&'a self, share: &'a Share) -> Vec<(i32, &'a Batch)> {
        let part = |&partition: &i32| self.supply.of(partition).map(|batch| (partition, batch));
        share.partitions.iter().filter_map(part).collect()
    }

    /// A request with fewer partitions than the others would be a cheaper one.
    fn divides(&self, share: &Share) -> Result<(), Failure> {
        let (there, each) = (self.parts(share).len(), self.partitions_per_request.max(1));
        if there.is_multiple_of(each) { Ok(()) } else { Err(Failure::Remainder { there, each }) }
    }

    fn ready(&self, share: &Share) -> Result<Ready, ClientError> {
        let mut connection = Connection::open(&share.leader)?;
        let version = connection.version::<ProduceRequest>()?;
        let stamp = match self.identity {
            Identity::None => Stamp::Nothing,
            Identity::Idempotent => Stamp::Sequence(producer(&mut connection)?),
            Identity::Mark(marking) => Stamp::Mark(marking),
        };
        let parts = self.parts(share);
        let requests = parts
            .chunks(self.partitions_per_request.max(1))
            .map(|some| Prepared::new(self.topic, version, self.acks, some, stamp));
        let requests = requests.collect::<Result<_, _>>()?;
        Ok(Ready { connection, version, requests, stamp })
    }

    fn load(&self, ready: Ready, place: u32, start: Instant) -> Load {
        let random = |seed: u64| Order::Random(seed.wrapping_add(u64::from(place)).max(1));
        let order = match (self.pacing, self.supply) {
            (Pacing::Open { order: Order::Random(seed), .. }, _) => random(seed),
            // Those who have all partitions do not go through them side by side.
            (_, Supply::Keyed(_)) => random(SEED),
            _ => Order::InTurn,
        };
        Load {
            socket: ready.connection.into_stream(),
            version: ready.version,
            acks: self.acks,
            requests: ready.requests,
            order,
            stamp: ready.stamp,
            pace: self.pace(place, start),
            measure_from: start + self.measured_after(),
            recorder: Recorder::new(),
        }
    }

    fn pace(&self, place: u32, start: Instant) -> Pace {
        match self.pacing {
            Pacing::Closed { in_flight, extent } => {
                let until = match extent {
                    Extent::Time(time) => Until::Instant(start + self.warm_up + time),
                    Extent::Bytes(bytes) => Until::Requests(self.requests_for(bytes)),
                };
                Pace::Closed { in_flight, until }
            }
            Pacing::Open { rate, time, in_flight, .. } => {
                let connections = u32::try_from(self.connections).unwrap_or(u32::MAX);
                let schedule = Schedule { start, rate, connections, place };
                let stop = start + self.warm_up + time;
                Pace::Open { schedule, in_flight, stop, give_up: stop + time.max(GRACE) }
            }
        }
    }

    /// Of one connection.
    fn requests_for(&self, bytes: u64) -> u64 {
        let batches = self.partitions_per_request.max(1) as u64;
        bytes.div_ceil((self.supply.batch_len() * batches * self.connections as u64).max(1))
    }
}

/// What the thread of a connection does from `start` on; `running` is gone once it is over.
fn run(
    load: Load,
    start: Instant,
    running: mpsc::Sender<Infallible>,
) -> Result<Tally, ClientError> {
    thread::sleep(start.saturating_duration_since(Instant::now()));
    let result = load.run();
    thread_ends();
    drop(running);
    result
}

/// Produces so many bytes as fast as one connection to each leader does; at how many MB/s.
///
/// # Errors
/// As [`Plan::run`].
pub(crate) fn fill(topic: &Topic, batch: &Batch, bytes: u64) -> Result<f64, Failure> {
    let plan = Plan {
        topic,
        supply: &Supply::Same(batch.clone()),
        connections: topic.leaders(),
        partitions_per_request: 1,
        acks: Acks::All,
        identity: Identity::None,
        pacing: Pacing::Closed { in_flight: 5, extent: Extent::Bytes(bytes) },
        warm_up: Duration::ZERO,
        broker: None,
        progress: Progress::Quiet,
    };
    let Outcome { tally, elapsed, .. } = plan.run()?;
    match tally.errors.into_iter().next() {
        Some((error, count)) => Err(Failure::Refused { error, count }),
        None => Ok(mb_per_second(tally.bytes, elapsed)),
    }
}

fn producer(connection: &mut Connection) -> Result<Producer, ClientError> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        ..InitProducerIdRequest::default()
    };
    let response = persist(|| {
        let response = connection.call(&request)?;
        accepted(ApiKey::InitProducerId, response.error_code).map(|()| response)
    })?;
    Ok(Producer { id: response.producer_id, epoch: response.producer_epoch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_all_have_as_many_partitions() {
        let topic = Topic::for_tests("t", 8);
        let batch = BatchSpec::plain(10, Fill::Records(1)).build().expect("a batch");
        let supply = Supply::Same(batch);
        for (connections, partitions_per_request, expected) in [
            (1, 8, None),
            (4, 2, None),
            (16, 1, None),
            (4, 0, None),
            (1, 3, Some((8, 3))),
            (3, 3, Some((2, 3))),
            (4, 8, Some((2, 8))),
        ] {
            let plan = Plan {
                topic: &topic,
                supply: &supply,
                connections,
                partitions_per_request,
                acks: Acks::All,
                identity: Identity::None,
                pacing: Pacing::Closed { in_flight: 1, extent: Extent::Bytes(1) },
                warm_up: Duration::ZERO,
                broker: None,
                progress: Progress::Quiet,
            };
            // Nobody listens, so a load without a remainder fails later.
            let remainder = match plan.run() {
                Err(Failure::Remainder { there, each }) => Some((there, each)),
                _ => None,
            };
            assert_eq!(remainder, expected, "{connections} {partitions_per_request}");
        }
    }
}
