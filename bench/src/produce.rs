//! What closed and open loop have in common: connections that divide the partitions, requests
//! prepared before the clock starts, a thread for each connection.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use corelog_wire::api::ApiKey;
use corelog_wire::messages::init_producer_id::InitProducerIdRequest;
use corelog_wire::messages::produce::ProduceRequest;
use serde::Serialize;

use crate::batch::{Batch, BatchArgs, Fill, Producer};
use crate::client::{ClientError, Connection, accepted, persist};
use crate::failure::Failure;
use crate::load::{Load, Order, Tally};
use crate::pace::{Pace, Schedule, Until};
use crate::process::{CpuUse, Pid};
use crate::request::{Acks, Prepared, Stamp};
use crate::topic::{Share, Topic, TopicArgs};
use crate::units::{self, mb_per_second};

/// What partitions are filled with.
pub(crate) const FILL_BATCH: Fill = Fill::Bytes(100 << 10);
/// Time for all threads to be there when the clock starts.
const ASSEMBLY: Duration = Duration::from_millis(20);
/// An open loop goes on for this longer than it should before it gives up, or as long again.
const GRACE: Duration = Duration::from_secs(10);

/// Flags of both loops.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    pub(crate) topic: TopicArgs,
    #[command(flatten)]
    pub(crate) batch: BatchArgs,
    /// Connections, which divide the partitions among them
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
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
    /// Process of the broker, to account for its processor time
    #[arg(long)]
    pub(crate) broker_pid: Option<u32>,
    /// Append the result to this file as a line of JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

impl ProduceArgs {
    /// Runs what the flags describe. `fill` is when a batch is full if they do not say.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub(crate) fn run(&self, fill: Fill, pacing: Pacing) -> Result<(Batch, Outcome), Failure> {
        let batch = self.batch.spec(fill).build()?;
        let topic = Topic::prepare(&self.topic)?;
        let identity = if self.idempotent { Identity::Idempotent } else { Identity::None };
        let plan = Plan {
            topic: &topic,
            batch: &batch,
            connections: self.connections,
            partitions_per_request: self.partitions_per_request,
            acks: self.acks,
            identity,
            pacing,
            warm_up: self.warm_up,
            broker: self.broker_pid.map(Pid),
        };
        let outcome = plan.run()?;
        Ok((batch, outcome))
    }
}

/// What batches say beside their records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity {
    None,
    /// Each connection is a producer with an id and sequences.
    Idempotent,
    /// See [`Stamp::Mark`].
    Mark {
        run: u64,
        epoch: Instant,
        value_len: usize,
    },
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
    pub(crate) batch: &'a Batch,
    pub(crate) connections: usize,
    pub(crate) partitions_per_request: usize,
    pub(crate) acks: Acks,
    pub(crate) identity: Identity,
    pub(crate) pacing: Pacing,
    pub(crate) warm_up: Duration,
    pub(crate) broker: Option<Pid>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// The end of the warm-up.
    pub(crate) measure_from: Instant,
    /// From the end of the warm-up to the last answer.
    pub(crate) elapsed: Duration,
    pub(crate) cpu: CpuUse,
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
    /// A connection fails, or there are fewer of them than leaders.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let shares = self.topic.shares(self.connections)?;
        let ready: Result<Vec<Ready>, ClientError> =
            shares.iter().map(|share| self.ready(share)).collect();
        let start = Instant::now() + ASSEMBLY;
        let measure_from = start + self.measured_after();
        let loads = (0..).zip(ready?).map(|(place, ready)| self.load(ready, place, start));
        let loads: Vec<Load> = loads.collect();
        let (cpu, tallies) = thread::scope(|scope| {
            let threads: Vec<_> =
                loads.into_iter().map(|load| scope.spawn(|| load.run())).collect();
            thread::sleep(measure_from.saturating_duration_since(Instant::now()));
            let cpu = CpuUse::now(self.broker);
            let tallies: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
            (cpu, tallies)
        });
        let cpu = CpuUse::now(self.broker).and_then(|now| Ok(now.since(cpu?)));
        let cpu = cpu.map_err(Failure::Account)?;
        let mut tally = Tally::new();
        for thread in tallies {
            tally.merge(thread.map_err(|_| Failure::Thread)??);
        }
        let end = tally.end.unwrap_or(measure_from);
        let elapsed = end.saturating_duration_since(measure_from);
        Ok(Outcome { tally, measure_from, elapsed, cpu })
    }

    fn measured_after(&self) -> Duration {
        match self.pacing {
            Pacing::Closed { extent: Extent::Bytes(_), .. } => Duration::ZERO,
            _ => self.warm_up,
        }
    }

    fn ready(&self, share: &Share) -> Result<Ready, ClientError> {
        let mut connection = Connection::open(&share.leader)?;
        let version = connection.version::<ProduceRequest>()?;
        let stamp = match self.identity {
            Identity::None => Stamp::Nothing,
            Identity::Idempotent => Stamp::Sequence(producer(&mut connection)?),
            Identity::Mark { run, epoch, value_len } => Stamp::Mark { run, epoch, value_len },
        };
        let requests = share
            .partitions
            .chunks(self.partitions_per_request.max(1))
            .map(|some| Prepared::new(self.topic, version, self.acks, some, self.batch, stamp));
        let requests = requests.collect::<Result<_, _>>()?;
        Ok(Ready { connection, version, requests, stamp })
    }

    fn load(&self, ready: Ready, place: u32, start: Instant) -> Load {
        let order = match self.pacing {
            Pacing::Open { order: Order::Random(seed), .. } => {
                Order::Random(seed.wrapping_add(u64::from(place)).max(1))
            }
            _ => Order::InTurn,
        };
        Load {
            socket: ready.connection.into_stream(),
            version: ready.version,
            requests: ready.requests,
            order,
            stamp: ready.stamp,
            pace: self.pace(place, start),
            measure_from: start + self.measured_after(),
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
        let batches = self.partitions_per_request.min(self.topic.partitions()).max(1) as u64;
        bytes.div_ceil(self.batch.bytes.len() as u64 * batches * self.connections as u64)
    }
}

/// Produces so many bytes as fast as one connection to each leader does; at how many MB/s.
///
/// # Errors
/// As [`Plan::run`].
pub(crate) fn fill(topic: &Topic, batch: &Batch, bytes: u64) -> Result<f64, Failure> {
    let plan = Plan {
        topic,
        batch,
        connections: topic.leaders(),
        partitions_per_request: 1,
        acks: Acks::All,
        identity: Identity::None,
        pacing: Pacing::Closed { in_flight: 5, extent: Extent::Bytes(bytes) },
        warm_up: Duration::ZERO,
        broker: None,
    };
    let Outcome { tally, elapsed, .. } = plan.run()?;
    match tally.errors.into_iter().next() {
        Some((error, count)) => Err(Failure::Refused { error, count }),
        None => Ok(mb_per_second(tally.batches * batch.bytes.len() as u64, elapsed)),
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
