//! A producer: five requests in flight, each with batches for one to three partitions. What has no
//! answer when a connection ends is sent again on the next one: all of it by an idempotent
//! producer, half of it by a plain one. Now and then it hangs up by itself.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelog_tests::live::calls::{self, CallError, PRODUCE};
use corelog_tests::live::client::Client;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::produce::{ProduceRequest, ProduceResponse};
use corelog_wire::populate::Seed;

use crate::batch::{BatchId, Stamp, Stored};
use crate::ledger::Delivery;
use crate::world::{Partition, Phase, World};

const IN_FLIGHT: usize = 5;
const PARTITIONS_PER_REQUEST: usize = 3;
/// A request is the last of its connection once in so many times.
const HANG_UP_ODDS: usize = 300;
/// For one answer; a broker that takes longer is taken for dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// Batches may be refused for so long.
const REFUSALS_MAX: Duration = Duration::from_secs(20);
/// Before refused batches are sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
/// All writers together send so much at full speed between two crashes, so that checking does not
/// take longer than the load.
const FULL_SPEED_BYTES: u64 = 192 << 20;
/// Between two requests after that.
const SLOW_PAUSE: Duration = Duration::from_millis(10);

/// A batch without answer.
struct Pending {
    partition: Partition,
    bytes: Bytes,
}

/// A writer's progress in a partition.
#[derive(Clone, Copy, Default)]
struct Sequence {
    /// Of the next record.
    next: i32,
    /// The broker has accepted a batch. Until then there is one in flight at most: Kafka takes any
    /// sequence for a producer's first, so that a later batch could overtake a refused first one.
    established: bool,
}

/// A producer. Outlives connections and brokers.
pub(crate) struct Writer {
    delivery: Delivery,
    seed: Seed,
    producer: Option<i64>,
    sequences: BTreeMap<Partition, Sequence>,
    pending: BTreeMap<BatchId, Pending>,
    accepted: Instant,
}

/// A connection of a writer.
struct Session<'a> {
    writer: &'a mut Writer,
    world: &'a World,
    client: Client,
    /// To be sent again, in order, before anything new.
    again: VecDeque<BatchId>,
    flight: VecDeque<Vec<BatchId>>,
    /// Something was refused; it goes out again, in order, when nothing is in flight.
    refused: bool,
    hanging_up: bool,
}

impl Writer {
    pub(crate) fn new(delivery: Delivery, seed: u64) -> Writer {
        Writer {
            delivery,
            seed: Seed(seed),
            producer: None,
            sequences: BTreeMap::new(),
            pending: BTreeMap::new(),
            accepted: Instant::now(),
        }
    }

    /// How many batches have no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// Produces until the broker is killed, or until told to drain.
    pub(crate) fn run(&mut self, address: SocketAddr, world: &World) {
        self.accepted = Instant::now();
        loop {
            let done = self.session(address, world);
            match (world.phase(), done) {
                (Phase::Killed, _) => return,
                (Phase::Drain, Ok(())) if self.pending.is_empty() => return,
                (_, Ok(())) => {}
                (_, Err(error)) => {
                    let kind = self.delivery;
                    return world.fault(format!("{kind:?} writer, while the broker runs: {error}"));
                }
            }
        }
    }

    fn session(&mut self, address: SocketAddr, world: &World) -> Result<(), CallError> {
        let mut client =
            Client::connect(address, PATIENCE).map_err(|error| CallError::Client(error.into()))?;
        match self.delivery {
            Delivery::Plain => self.forget_half(),
            Delivery::Idempotent if self.producer.is_none() => {
                let ask = || calls::producer_id(&mut client);
                self.producer = Some(calls::eventually(REFUSALS_MAX, ask)?);
            }
            Delivery::Idempotent => {}
        }
        let again = self.pending.keys().copied().collect();
        let session = Session {
            writer: self,
            world,
            client,
            again,
            flight: VecDeque::new(),
            refused: false,
            hanging_up: false,
        };
        session.run()
    }

    /// Gives up on every other batch without answer; nobody will ever know.
    fn forget_half(&mut self) {
        let seed = &mut self.seed;
        self.pending.retain(|_, _| seed.one_in(2));
    }

    /// New batches for some partitions.
    fn make(&mut self, world: &World) -> Vec<BatchId> {
        let wanted = 1 + self.seed.below(PARTITIONS_PER_REQUEST);
        let mut partitions = world.topics().pick(wanted, &mut self.seed);
        if self.delivery == Delivery::Idempotent {
            partitions
                .retain(|p| self.sequences.get(p).is_none_or(|sequence| sequence.established));
        }
        partitions.into_iter().map(|partition| self.make_for(partition, world)).collect()
    }

    fn make_for(&mut self, partition: Partition, world: &World) -> BatchId {
        let id = world.new_batch_id();
        let sequence = self.sequences.entry(partition).or_default();
        let first = sequence.next;
        let stamp = self.producer.map(|producer| Stamp { producer, first });
        let bytes = world.maker.make(id, stamp, &mut self.seed);
        let records = Stored::of(&bytes, 0).map_or(0, |batch| batch.records);
        sequence.next += records as i32;
        self.pending.insert(id, Pending { partition, bytes });
        id
    }
}

impl Session<'_> {
    fn run(mut self) -> Result<(), CallError> {
        loop {
            while self.flight.len() < IN_FLIGHT && !self.hanging_up && !self.refused {
                let batches = self.next_request();
                if batches.is_empty() {
                    break;
                }
                self.send(batches)?;
                self.hanging_up = self.writer.seed.one_in(HANG_UP_ODDS);
            }
            if self.hanging_up && self.writer.seed.one_in(2) {
                return Ok(());
            }
            let Some(batches) = self.flight.pop_front() else {
                if self.hanging_up || self.is_over() {
                    return Ok(());
                }
                self.retry();
                continue;
            };
            let response = self.client.receive::<ProduceRequest>(PRODUCE)?;
            self.settle(batches, &response)?;
        }
    }

    fn is_over(&self) -> bool {
        match self.world.phase() {
            Phase::Load => false,
            Phase::Drain => self.writer.pending.is_empty(),
            Phase::Killed => true,
        }
    }

    /// Everything without answer goes out again.
    fn retry(&mut self) {
        sleep(RETRY_PAUSE);
        self.again = self.writer.pending.keys().copied().collect();
        self.refused = false;
    }

    /// What goes out again comes first; a request has one batch of a partition.
    fn next_request(&mut self) -> Vec<BatchId> {
        let mut batches: Vec<BatchId> = Vec::new();
        let mut partitions = Vec::new();
        while let Some(&id) = self.again.front()
            && batches.len() < PARTITIONS_PER_REQUEST
        {
            // Its topic may have gone meanwhile.
            if let Some(pending) = self.writer.pending.get(&id) {
                if partitions.contains(&pending.partition) {
                    break;
                }
                partitions.push(pending.partition);
                batches.push(id);
            }
            self.again.pop_front();
        }
        if batches.is_empty() && self.world.phase() == Phase::Load {
            if self.world.sent_bytes.load(Ordering::Relaxed) > FULL_SPEED_BYTES {
                sleep(SLOW_PAUSE);
            }
            batches = self.writer.make(self.world);
        }
        batches
    }

    fn send(&mut self, batches: Vec<BatchId>) -> Result<(), CallError> {
        let mut parts = Vec::new();
        for id in &batches {
            let Some(Pending { partition, bytes }) = self.writer.pending.get(id) else { continue };
            if let Some(batch) = Stored::of(bytes, 0) {
                self.world.sending(*partition, &batch, self.writer.delivery);
            }
            self.world.sent_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            parts.push((partition.topic, partition.index, bytes.clone()));
        }
        self.flight.push_back(batches);
        Ok(self.client.send(PRODUCE, &calls::produce_request(parts))?)
    }

    fn settle(
        &mut self,
        mut batches: Vec<BatchId>,
        response: &ProduceResponse,
    ) -> Result<(), CallError> {
        for topic in &response.responses {
            for answer in &topic.partition_responses {
                let partition = Partition { topic: topic.topic_id, index: answer.index };
                let asked = |id: &BatchId| {
                    self.writer.pending.get(id).is_some_and(|sent| sent.partition == partition)
                };
                let Some(at) = batches.iter().position(asked) else {
                    return Err(CallError::Missing);
                };
                let id = batches.swap_remove(at);
                match answer.error_code {
                    ErrorCode::None => self.accepted(partition, id, answer.base_offset),
                    code => self.not_accepted(partition, id, code),
                }
            }
        }
        if batches.is_empty() { Ok(()) } else { Err(CallError::Missing) }
    }

    fn accepted(&mut self, partition: Partition, id: BatchId, offset: i64) {
        self.world.acknowledged(partition, id, offset);
        self.writer.pending.remove(&id);
        self.writer.sequences.entry(partition).or_default().established = true;
        self.writer.accepted = Instant::now();
    }

    fn not_accepted(&mut self, partition: Partition, id: BatchId, code: ErrorCode) {
        use ErrorCode::{OutOfOrderSequenceNumber, UnknownTopicId, UnknownTopicOrPartition};
        let gone = !self.world.topics().is_live(partition.topic);
        match code {
            UnknownTopicId | UnknownTopicOrPartition if gone => {
                self.writer.pending.remove(&id);
            }
            // It follows one that was refused.
            OutOfOrderSequenceNumber if self.is_behind_another(partition, id) => {
                self.refused_for_now(partition, id, code);
            }
            code if calls::is_transient(code) => self.refused_for_now(partition, id, code),
            code => {
                self.world.fault(format!("{id} for {partition:?} refused: {code}"));
                self.writer.pending.remove(&id);
            }
        }
    }

    fn refused_for_now(&mut self, partition: Partition, id: BatchId, code: ErrorCode) {
        self.refused = true;
        self.world.on(partition, |ledger| {
            ledger.refused(id);
            Ok(())
        });
        if self.writer.accepted.elapsed() > REFUSALS_MAX {
            self.world.fault(format!("nothing but {code} for {REFUSALS_MAX:?}"));
            self.writer.pending.remove(&id);
        }
    }

    /// Whether one of an earlier request for the same partition has no answer yet, or was refused.
    fn is_behind_another(&self, partition: Partition, id: BatchId) -> bool {
        self.writer.pending.range(..id).any(|(_, pending)| pending.partition == partition)
    }
}
