//! Plain producers, and idempotent ones: batches in sequence, none more than four behind one
//! without an answer, sent again after errors and restarts until they are acknowledged, and
//! sometimes after.

use std::collections::{BTreeMap, VecDeque};

use corelog_engine::id::{ProducerEpoch, ProducerId, TopicPartition};
use corelog_engine::record::Sequence;
use corelog_engine::shard::request::{AppendError, Appended, Request};

use super::{Asking, Sending, Setting, Wish, Workload, append};
use crate::sim::model::{Check, Model, TopicState, Uid};

/// Batches of one partition from the first one without an answer on: as many as a broker knows
/// again.
const IN_FLIGHT: u64 = 5;

/// An idempotent producer.
#[derive(Debug)]
pub(super) struct Producer {
    pub(super) id: ProducerId,
    epoch: ProducerEpoch,
    lanes: BTreeMap<TopicPartition, Lane>,
}

/// What a producer has in hand for one partition.
#[derive(Debug)]
struct Lane {
    next: Sequence,
    /// How many batches have been made.
    made: u64,
    /// Not acknowledged, in sequence.
    waiting: VecDeque<Waiting>,
    last_acknowledged: Option<Uid>,
    /// An acknowledged batch that was sent once more.
    echo: Option<Uid>,
}

/// A batch that is not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    uid: Uid,
    /// How many were made before it.
    number: u64,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Sent,
    /// Sent while all before it were acknowledged: it can only be accepted.
    SentFirst,
    ToSend,
}

impl Producer {
    pub(super) fn new(id: ProducerId) -> Producer {
        Producer { id, epoch: ProducerEpoch(0), lanes: BTreeMap::new() }
    }

    /// A new incarnation, which knows nothing of what the old one had in hand.
    fn begin_anew(&mut self) {
        self.epoch = ProducerEpoch(self.epoch.0 + 1);
        self.lanes.clear();
    }
}

impl Lane {
    fn is_sending(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.way != Way::ToSend)
    }

    fn to_send(&self) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.way == Way::ToSend)
    }

    fn is_full(&self) -> bool {
        self.waiting.front().is_some_and(|first| self.made - first.number >= IN_FLIGHT)
    }
}

impl Workload {
    pub(super) fn produce(&mut self, model: &mut Model, setting: Setting) -> Option<Asking> {
        let mut sendings = Vec::new();
        let mut parts = Vec::new();
        for _ in 0..self.rng.pick(&[1, 1, 2, 5]) {
            let partition = self.any_partition(model)?;
            let uid = self.batch(model, partition, setting.wall, None);
            sendings.push(Sending { uid, producer: None, known: model.known(partition) });
            parts.push(append(model, uid));
        }
        Some(self.ask(setting, Request::Produce(parts), Wish::Produce(sendings)))
    }

    pub(super) fn produce_in_order(
        &mut self,
        model: &mut Model,
        setting: Setting,
    ) -> Option<Asking> {
        let which = self.rng.below(self.producers.len().max(1) as u64) as usize;
        if self.rng.one_in(80) {
            self.producers.get_mut(which)?.begin_anew();
        }
        let producer = self.producers.get_mut(which)?;
        producer.lanes.retain(|partition, _| model.state(*partition) != TopicState::Gone);
        let live = |partition: &TopicPartition| model.state(*partition) == TopicState::Live;
        let known: Vec<_> = producer.lanes.keys().copied().filter(live).collect();
        let partition = match known.as_slice() {
            [_, ..] if !self.rng.one_in(5) => self.rng.pick(&known),
            _ => self.any_partition(model)?,
        };
        let uid = self.next_in_lane(model, setting, which, partition)?;
        let known = model.known(partition);
        let sending = Sending { uid, producer: Some(which), known };
        let parts = vec![append(model, uid)];
        Some(self.ask(setting, Request::Produce(parts), Wish::Produce(vec![sending])))
    }

    fn next_in_lane(
        &mut self,
        model: &mut Model,
        setting: Setting,
        which: usize,
        partition: TopicPartition,
    ) -> Option<Uid> {
        let near_the_end = self.rng.one_in(4);
        let echoes = self.rng.one_in(8);
        let Producer { id, epoch, lanes } = &mut self.producers[which];
        let (id, epoch) = (*id, *epoch);
        let first = if near_the_end && epoch.0 == 0 { i32::MAX - 20 } else { 0 };
        let lane = lanes.entry(partition).or_insert_with(|| Lane {
            next: Sequence(first),
            made: 0,
            waiting: VecDeque::new(),
            last_acknowledged: None,
            echo: None,
        });
        if let Some(at) = lane.to_send() {
            let sending = lane.waiting.iter().skip(at).any(|other| other.way != Way::ToSend);
            if sending {
                return None;
            }
            let way = if at == 0 { Way::SentFirst } else { Way::Sent };
            lane.waiting[at].way = way;
            return Some(lane.waiting[at].uid);
        }
        // The first one goes alone: of an unknown producer any sequence is taken.
        let first = lane.last_acknowledged.is_none() && !lane.waiting.is_empty();
        if first || lane.echo.is_some() || lane.is_full() {
            return None;
        }
        if let Some(uid) = lane.last_acknowledged.filter(|_| echoes && !lane.is_sending()) {
            lane.echo = Some(uid);
            return Some(uid);
        }
        let way = if lane.waiting.is_empty() { Way::SentFirst } else { Way::Sent };
        let sequence = lane.next;
        let uid = self.batch(model, partition, setting.wall, Some((id, epoch, sequence)));
        let count = model.batches[&uid].timestamps.len() as i32;
        let lane = self.producers[which].lanes.get_mut(&partition)?;
        lane.next = sequence.plus(count);
        lane.waiting.push_back(Waiting { uid, number: lane.made, way });
        lane.made += 1;
        Some(uid)
    }

    /// Nobody will tell what became of a batch: it is sent again.
    pub(super) fn unanswered(&mut self, model: &Model, sending: Sending) {
        let Sending { uid, producer, .. } = sending;
        let Some(producer) = producer else { return };
        let lanes = &mut self.producers[producer].lanes;
        let Some(lane) = lanes.get_mut(&model.batches[&uid].partition) else { return };
        lane.echo = lane.echo.filter(|echo| *echo != uid);
        if let Some(waiting) = lane.waiting.iter_mut().find(|waiting| waiting.uid == uid) {
            waiting.way = Way::ToSend;
        }
    }

    /// A batch is answered.
    pub(super) fn produced(
        &mut self,
        model: &mut Model,
        sending: Sending,
        result: &Result<Appended, AppendError>,
        now: u64,
    ) -> Check {
        let Sending { uid, producer, known } = sending;
        model.appended(uid, known, result)?;
        let partition = model.batches[&uid].partition;
        if let Ok(appended) = result {
            self.wake_readers(partition, appended.base.0 + 1, now);
        }
        let Some(producer) = producer else { return Ok(()) };
        let lanes = &mut self.producers[producer].lanes;
        let Some(lane) = lanes.get_mut(&partition) else { return Ok(()) };
        let place = lane.waiting.iter().position(|waiting| waiting.uid == uid);
        let echo = lane.echo == Some(uid) && place.is_none();
        lane.echo = lane.echo.filter(|_| !echo);
        let way = place.map(|at| lane.waiting[at].way);
        match (result, place) {
            (Ok(_), Some(at)) => {
                lane.waiting.remove(at);
                lane.last_acknowledged = Some(uid);
            }
            (Err(_), Some(at)) => lane.waiting[at].way = Way::ToSend,
            (_, None) => {}
        }
        let wrong =
            matches!(result, Err(AppendError::OutOfOrder { .. } | AppendError::Fenced { .. }));
        if !wrong || !(echo || way == Some(Way::SentFirst)) {
            return Ok(());
        }
        // A crash may have taken acknowledged batches back: Kafka's clients begin anew, too.
        if model.topics[&partition.topic].caching {
            self.producers[producer].begin_anew();
            return Ok(());
        }
        Err(format!("batch {uid} for {partition:?} continues its producer's, but {result:?}"))
    }
}
