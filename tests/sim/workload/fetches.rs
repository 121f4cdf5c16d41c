//! Consumers that follow partitions with long polls, and reads of anything.

use corelog_engine::id::{LeaderEpoch, Offset, TopicPartition};
use corelog_engine::record::batch::split;
use corelog_engine::shard::request::{Fetch, FetchPart, ReadError, Request};

use super::{Asking, Setting, Wish, Workload, deadline};
use crate::sim::model::{Check, Known, Model, Read, TopicState};

/// One that reads a partition from its start and waits at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Consumer {
    place: Option<(TopicPartition, i64)>,
    /// The epoch of the last record that it has read there.
    last_epoch: Option<LeaderEpoch>,
    waits: bool,
}

impl Consumer {
    /// Its request is gone.
    pub(super) fn idle(&mut self) {
        self.waits = false;
    }
}

impl Workload {
    pub(super) fn consume(&mut self, model: &Model, setting: Setting) -> Option<Asking> {
        let which = self.rng.below(self.consumers.len() as u64) as usize;
        if self.consumers[which].waits {
            return None;
        }
        let there = |place: &(TopicPartition, i64)| model.state(place.0) == TopicState::Live;
        let place = self.consumers[which].place.filter(there);
        let (partition, at, last_epoch) = match place.filter(|_| !self.rng.one_in(60)) {
            Some((partition, at)) => (partition, at, self.consumers[which].last_epoch),
            None => (self.any_partition(model)?, 0, None),
        };
        self.consumers[which] = Consumer { place: Some((partition, at)), last_epoch, waits: true };
        let (offset, epoch) = (Offset(at), None);
        let part = FetchPart { partition, offset, max_bytes: 1 << 20, epoch, last_epoch };
        let max_bytes = self.rng.pick(&[1, 5000, 1 << 20]);
        let min_bytes = self.rng.pick(&[0, 1, 1, 1, 3000]);
        let ms = self.rng.pick(&[0, 5, 500, 2000]);
        let parts = [FetchPart { max_bytes, ..part }].into();
        let fetch =
            Fetch { max_bytes: 1 << 20, min_bytes, deadline: deadline(setting.now, ms), parts };
        Some(self.fetch(model, setting, fetch, Some(which)))
    }

    pub(super) fn fetch_anything(&mut self, model: &Model, setting: Setting) -> Option<Asking> {
        let mut parts = Vec::new();
        for _ in 0..self.rng.within(1..=4) {
            let partition = self.any_partition(model)?;
            let high = model.high(partition) as u64;
            let offset = match self.rng.below(10) {
                0 => 0,
                1 => high + self.rng.below(3),
                _ => self.rng.below(high + 1),
            };
            let epoch = model.start as i32 - i32::from(self.rng.one_in(20));
            let epoch = self.rng.one_in(4).then_some(LeaderEpoch(epoch));
            let last = self.rng.below(u64::from(model.start) + 2) as i32;
            let last_epoch = self.rng.one_in(6).then_some(LeaderEpoch(last));
            let max_bytes = self.rng.spread(1..=1 << 20) as u32;
            let offset = Offset(offset as i64);
            parts.push(FetchPart { partition, offset, max_bytes, epoch, last_epoch });
        }
        let fetch = Fetch {
            max_bytes: self.rng.spread(1..=1 << 20) as u32,
            min_bytes: self.rng.pick(&[0, 1, 10_000]),
            deadline: deadline(setting.now, self.rng.pick(&[0, 50, 1000])),
            parts: parts.into(),
        };
        Some(self.fetch(model, setting, fetch, None))
    }

    fn fetch(
        &mut self,
        model: &Model,
        setting: Setting,
        fetch: Fetch,
        consumer: Option<usize>,
    ) -> Asking {
        let known = fetch.parts.iter().map(|part| model.known(part.partition)).collect();
        let request = Request::Fetch(fetch.clone());
        self.ask(setting, request, Wish::Fetch { fetch, known, consumer })
    }

    pub(super) fn fetched(
        &mut self,
        model: &mut Model,
        fetch: &Fetch,
        known: &[Known],
        consumer: Option<usize>,
        results: &[Result<Read, ReadError>],
    ) -> Check {
        let mut next = 0;
        for ((part, known), result) in fetch.parts.iter().zip(known).zip(results) {
            next = model.read(part, *known, result)?;
        }
        let lens = results.iter().flatten().map(|read| read.bytes.len()).filter(|len| *len > 0);
        let (total, pieces) = lens.fold((0, 0), |(total, pieces), len| (total + len, pieces + 1));
        if total > fetch.max_bytes as usize && pieces > 1 {
            return Err(format!("{fetch:?} is answered {total} bytes in {pieces} parts"));
        }
        let behind = fetch.parts.iter().zip(known).any(|(part, known)| part.offset.0 < known.high);
        let plain = |read: &Result<Read, ReadError>| {
            read.as_ref().is_ok_and(|read| read.diverging.is_none())
        };
        let plain = results.iter().all(plain);
        if behind && total == 0 && plain {
            return Err(format!("{fetch:?} is answered nothing, {known:?}"));
        }
        if let Some(consumer) = consumer.map(|consumer| &mut self.consumers[consumer]) {
            let read = results.iter().flatten().flat_map(|read| split(&read.bytes)).flatten();
            let last = read.last().map(|(header, _)| header.leader_epoch);
            consumer.waits = false;
            consumer.last_epoch = last.or(consumer.last_epoch);
            consumer.place = consumer.place.filter(|_| plain).map(|place| (place.0, next));
        }
        Ok(())
    }
}
