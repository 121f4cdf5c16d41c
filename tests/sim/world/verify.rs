//! With nothing in flight, everything is looked at: logs are read from end to end, lookups compared
//! with a scan, and producers asked whether they are remembered.

use std::collections::BTreeSet;
use std::sync::Arc;

use corelog_engine::id::{LeaderEpoch, Offset, ProducerEpoch, ShardId, Timestamp, TopicPartition};
use corelog_engine::record::batch::split;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};
use corelog_engine::shard::event::{Event, Ticket};
use corelog_engine::shard::request::{
    Append, AppendError, Appended, Fetch, FetchPart, Lookup, ReadError, Request, Target,
};

use super::replies::DIRECT;
use super::{Answer, Step, World, broken, check};
use crate::sim::model::{Knowledge, Read, Remembered, TopicState, Uid};

/// Microseconds that a request may take when nothing else goes on.
const PATIENCE: u64 = 60_000_000;

impl World {
    /// Asks a shard of chance and waits for the answer.
    pub(super) fn ask(&mut self, request: Request) -> Step<Answer> {
        let home = ShardId(self.rng.verify.below(self.hosts.len() as u64) as u16);
        self.asked += 1;
        self.direct = None;
        let event = Event::Request(Ticket(DIRECT + self.asked), request);
        self.arrive(home, event, Vec::new());
        let until = self.now + PATIENCE;
        loop {
            if let Some(answer) = self.direct.take() {
                return Ok(answer);
            }
            if self.now > until {
                return broken(format!("request {} is not answered", self.asked));
            }
            self.advance()?;
        }
    }

    /// Looks at everything. Partitions that a fault has taken offline are left out.
    pub(super) fn verify(&mut self) -> Step<()> {
        for partition in self.model.partitions(TopicState::Live) {
            if !self.verify_log(partition)? {
                continue;
            }
            self.verify_lookups(partition)?;
            for producer in self.model.remembered(partition) {
                self.verify_producer(partition, &producer)?;
            }
        }
        Ok(())
    }

    /// Reads a log from end to end; whether that could be done.
    fn verify_log(&mut self, partition: TopicPartition) -> Step<bool> {
        if !self.verify_lookup(partition, Target::Latest)? {
            return Ok(false);
        }
        let end = self.model.high(partition);
        let (mut next, mut bases) = (0, BTreeSet::new());
        while next < end {
            let max_bytes = self.rng.verify.spread(1..=1 << 20) as u32;
            let offset = Offset(next);
            let (epoch, last_epoch) = (None, None);
            let part = FetchPart { partition, offset, max_bytes, epoch, last_epoch };
            let known = self.model.known(partition);
            let result = self.fetch_one(part)?;
            let further = check_next(self.model.read(&part, known, &result))?;
            let Ok(read) = result else { return Ok(false) };
            let found = split(&read.bytes).flatten().map(|(header, _)| header.base_offset.0);
            bases.extend(found);
            if further == next {
                return broken(format!("{partition:?} gives nothing at {next}, it ends at {end}"));
            }
            next = further;
        }
        check(self.model.verified(partition, &bases))?;
        Ok(true)
    }

    fn fetch_one(&mut self, part: FetchPart) -> Step<Result<Read, ReadError>> {
        let deadline = self.time().instant;
        let parts: Arc<[FetchPart]> = [part].into();
        let fetch = Fetch { max_bytes: part.max_bytes, min_bytes: 0, deadline, parts };
        match self.ask(Request::Fetch(fetch))? {
            Answer::Fetch(mut results) if results.len() == 1 => Ok(results.remove(0)),
            other => broken(format!("a fetch is answered {other:?}")),
        }
    }

    fn verify_lookups(&mut self, partition: TopicPartition) -> Step<()> {
        let wall = self.time().wall;
        let mut targets = vec![Target::Earliest, Target::MaxTimestamp];
        for _ in 0..3 {
            targets.push(Target::At(self.workload.sizes.time(wall, &mut self.rng.verify)));
        }
        targets.push(Target::At(Timestamp(0)));
        targets
            .extend((-1..=self.model.start as i32 + 1).map(|e| Target::EpochEnd(LeaderEpoch(e))));
        for target in targets {
            self.verify_lookup(partition, target)?;
        }
        Ok(())
    }

    fn verify_lookup(&mut self, partition: TopicPartition, target: Target) -> Step<bool> {
        let lookup = Lookup { partition, epoch: None, target };
        let known = self.model.known(partition);
        match self.ask(Request::Lookup(vec![lookup]))? {
            Answer::Lookup(results) if results.len() == 1 => {
                check(self.model.looked_up(&lookup, known, Knowledge::Whole, &results[0]))?;
                Ok(results[0].is_ok())
            }
            other => broken(format!("a lookup is answered {other:?}")),
        }
    }

    /// Its last batches are known again, what cannot follow them is refused.
    fn verify_producer(&mut self, part: TopicPartition, producer: &Remembered) -> Step<()> {
        for (uid, _, base) in producer.known() {
            let result = self.append_again(*uid)?;
            if !matches!(&result, Ok(appended) if appended.base == *base) {
                self.excuse(part, &format!("{uid} again, {producer:?}"), &result)?;
            }
        }
        let Some((_, newest, _)) = producer.known().last() else { return Ok(()) };
        let expected = newest.last.plus(1);
        let gap = (producer.epoch, expected.plus(3));
        let result = self.append_probe(part, producer, gap.0, gap.1)?;
        let right =
            |error: &AppendError| *error == AppendError::OutOfOrder { expected, got: gap.1 };
        if !result.as_ref().is_err_and(right) {
            self.excuse(part, &format!("a gap after {producer:?}"), &result)?;
        }
        if producer.epoch.0 > 0 {
            let old = ProducerEpoch(producer.epoch.0 - 1);
            let result = self.append_probe(part, producer, old, expected)?;
            let current = producer.epoch;
            if !result.as_ref().is_err_and(|error| *error == AppendError::Fenced { current }) {
                self.excuse(part, &format!("an old epoch after {producer:?}"), &result)?;
            }
        }
        Ok(())
    }

    fn append_again(&mut self, uid: Uid) -> Step<Result<Appended, AppendError>> {
        let known = self.model.known(self.model.batches[&uid].partition);
        self.model.send(uid);
        let batch = &self.model.batches[&uid];
        let (partition, header, bytes) = (batch.partition, batch.header, batch.bytes.clone());
        let append_time = Timestamp::NONE;
        let part = Append { partition, header, batch: bytes, append_time };
        match self.ask(Request::Produce(vec![part]))? {
            Answer::Produce(results) if results.len() == 1 => {
                check(self.model.appended(uid, known, &results[0]))?;
                Ok({ results }.remove(0))
            }
            other => broken(format!("a produce is answered {other:?}")),
        }
    }

    /// Sends a batch that must be refused.
    fn append_probe(
        &mut self,
        partition: TopicPartition,
        producer: &Remembered,
        epoch: ProducerEpoch,
        first: corelog_engine::record::Sequence,
    ) -> Step<Result<Appended, AppendError>> {
        let mut builder = BatchBuilder::new(Codec::None).producer(producer.id, epoch, first);
        let uid = u64::MAX - self.asked;
        let value = uid.to_be_bytes();
        let timestamp = self.time().wall;
        builder.append(NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
        let bytes = builder.build().expect("a batch of one small record");
        self.model.make(uid, partition, bytes, vec![timestamp.0]);
        self.append_again(uid)
    }

    /// Only a fault excuses this result.
    fn excuse(
        &self,
        partition: TopicPartition,
        what: &str,
        result: &Result<Appended, AppendError>,
    ) -> Step<()> {
        let excuses = &self.model.excuses;
        match result {
            Err(AppendError::Busy) => Ok(()),
            Err(AppendError::DiskFull) if excuses.full => Ok(()),
            Err(AppendError::Offline) if excuses.offline(partition) => Ok(()),
            other => broken(format!("{what}: {other:?}")),
        }
    }

    /// With no fault left, appends to every partition succeed after a while.
    pub(super) fn append_everywhere(&mut self) -> Step<()> {
        for partition in self.model.partitions(TopicState::Live) {
            let wall = self.time().wall;
            let uid = self.workload.plain_batch(&mut self.model, partition, wall);
            let until = self.now + PATIENCE;
            loop {
                match self.append_again(uid)? {
                    Ok(_) => break,
                    Err(AppendError::Busy) if self.now < until => self.pass(50_000)?,
                    Err(error) => return broken(format!("{partition:?} still says {error:?}")),
                }
            }
        }
        Ok(())
    }

    /// Lets time pass, in microseconds.
    pub(super) fn pass(&mut self, time: u64) -> Step<()> {
        let until = self.now + time;
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            self.advance()?;
        }
        self.now = self.now.max(until);
        Ok(())
    }
}

fn check_next(result: Result<i64, String>) -> Step<i64> {
    result.map_err(super::Halt::Broken)
}
