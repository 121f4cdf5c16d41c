//! What the writers, the tail reader and the administrator of a run know together: which topics
//! there should be, a ledger for each of their partitions, and what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use corelog_tests::live::calls::Place;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::metadata::MetadataResponseTopic;
use corelog_wire::populate::Seed;
use corelog_wire::uuid::Uuid;

use crate::batch::{BatchId, Maker, Stored};
use crate::ledger::{Delivery, Fault, Ledger};

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Partition {
    pub(crate) topic: Uuid,
    pub(crate) index: i32,
}

/// What the workers shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Their work.
    Load,
    /// Wait for answers, then end.
    Drain,
    /// The broker is being killed: connections fail from now on.
    Killed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TopicState {
    Live,
    /// Its deletion was asked for, and not answered yet.
    Deleting,
}

pub(crate) struct Topic {
    pub(crate) name: String,
    state: TopicState,
    pub(crate) partitions: Vec<Ledger>,
    /// How many partitions were asked for last, while there is no answer.
    growing: Option<usize>,
}

/// Topics by id, and what else is known of them.
pub(crate) struct Topics {
    pub(crate) by_id: BTreeMap<Uuid, Topic>,
    deleted: BTreeSet<Uuid>,
    /// Names of topics whose creation was asked for, and not answered yet.
    creating: BTreeSet<String>,
}

pub(crate) struct World {
    topics: Mutex<Topics>,
    faults: Mutex<Vec<String>>,
    phase: Mutex<Phase>,
    next_id: AtomicI64,
    /// Batches acknowledged, and bytes sent, since the load began.
    pub(crate) acknowledged: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) maker: Maker,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds a lock")
}

impl World {
    pub(crate) fn new(seed: &mut Seed) -> World {
        let topics =
            Topics { by_id: BTreeMap::new(), deleted: BTreeSet::new(), creating: BTreeSet::new() };
        World {
            topics: Mutex::new(topics),
            faults: Mutex::default(),
            phase: Mutex::new(Phase::Load),
            // Batches' numbers are their timestamps. From now on, so that no producer looks
            // expired; an hour ahead of the clock is allowed, which is 3.6 million batches.
            next_id: AtomicI64::new(now_ms()),
            acknowledged: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            maker: Maker::new(seed),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    /// Begins to count anew.
    pub(crate) fn begin_load(&self) {
        self.acknowledged.store(0, Ordering::Relaxed);
        self.sent_bytes.store(0, Ordering::Relaxed);
        self.enter(Phase::Load);
    }

    pub(crate) fn topics(&self) -> MutexGuard<'_, Topics> {
        lock(&self.topics)
    }

    pub(crate) fn fault(&self, what: String) {
        lock(&self.faults).push(what);
    }

    pub(crate) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.faults))
    }

    pub(crate) fn new_batch_id(&self) -> BatchId {
        BatchId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Does something with a partition's ledger, unless its topic is gone.
    pub(crate) fn on(
        &self,
        partition: Partition,
        act: impl FnOnce(&mut Ledger) -> Result<(), Fault>,
    ) {
        let mut topics = self.topics();
        let Some(topic) = topics.by_id.get_mut(&partition.topic) else { return };
        let name = topic.name.clone();
        let Some(ledger) = topic.partitions.get_mut(partition.index as usize) else { return };
        if let Err(fault) = act(ledger) {
            drop(topics);
            self.fault(format!("{name}-{}: {fault}", partition.index));
        }
    }

    pub(crate) fn sending(&self, partition: Partition, batch: &Stored, delivery: Delivery) {
        self.on(partition, |ledger| {
            ledger.sending(batch, delivery);
            Ok(())
        });
    }

    pub(crate) fn acknowledged(&self, partition: Partition, id: BatchId, offset: i64) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.on(partition, |ledger| ledger.acknowledged(id, offset));
    }
}

impl Topics {
    /// Partitions of topics that nobody deletes, different ones, at most `count`.
    pub(crate) fn pick(&self, count: usize, seed: &mut Seed) -> Vec<Partition> {
        let live: Vec<Partition> = self.live().collect();
        if live.is_empty() {
            return Vec::new();
        }
        let chosen: BTreeSet<Partition> =
            (0..count).map(|_| live[seed.below(live.len())]).collect();
        chosen.into_iter().collect()
    }

    /// Where the tail reader goes on in every partition that nobody deletes.
    pub(crate) fn tails(&self) -> Vec<Place> {
        let place = |Partition { topic, index }| {
            let ledger = &self.by_id[&topic].partitions[index as usize];
            Place { topic, partition: index, offset: ledger.tail() }
        };
        self.live().map(place).collect()
    }

    /// Every partition of every topic that nobody deletes.
    pub(crate) fn live(&self) -> impl Iterator<Item = Partition> {
        let live = self.by_id.iter().filter(|(_, topic)| topic.state == TopicState::Live);
        live.flat_map(|(&id, topic)| {
            (0..topic.partitions.len())
                .map(move |index| Partition { topic: id, index: index as i32 })
        })
    }

    pub(crate) fn is_live(&self, topic: Uuid) -> bool {
        self.by_id.get(&topic).is_some_and(|topic| topic.state == TopicState::Live)
    }

    /// A topic that nobody deletes, if there are more than `keep`.
    pub(crate) fn pick_topic(&self, keep: usize, seed: &mut Seed) -> Option<Uuid> {
        let live: Vec<Uuid> = self.by_id.keys().copied().filter(|id| self.is_live(*id)).collect();
        (live.len() > keep).then(|| live[seed.below(live.len())])
    }

    /// Whether a topic may have this name.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.creating.contains(name) || self.by_id.values().any(|topic| topic.name == name)
    }

    pub(crate) fn creating(&mut self, name: &str) {
        self.creating.insert(name.to_owned());
    }

    pub(crate) fn created(&mut self, name: &str, id: Uuid, partitions: usize) {
        self.creating.remove(name);
        let partitions = (0..partitions).map(|_| Ledger::default()).collect();
        let (name, state) = (name.to_owned(), TopicState::Live);
        self.by_id.insert(id, Topic { name, state, partitions, growing: None });
    }

    /// A topic is to get one more partition: its name, and how many it is to have.
    pub(crate) fn growing(&mut self, id: Uuid) -> Option<(String, usize)> {
        let topic = self.by_id.get_mut(&id)?;
        let partitions = topic.partitions.len() + 1;
        topic.growing = Some(partitions);
        Some((topic.name.clone(), partitions))
    }

    /// It has as many as were asked for.
    pub(crate) fn grown(&mut self, id: Uuid) {
        let Some(topic) = self.by_id.get_mut(&id) else { return };
        let partitions = topic.growing.take().unwrap_or(topic.partitions.len());
        topic.partitions.resize_with(partitions, Ledger::default);
    }

    pub(crate) fn not_created(&mut self, name: &str) {
        self.creating.remove(name);
    }

    pub(crate) fn deleting(&mut self, id: Uuid) {
        if let Some(topic) = self.by_id.get_mut(&id) {
            topic.state = TopicState::Deleting;
        }
    }

    pub(crate) fn deleted(&mut self, id: Uuid) {
        self.by_id.remove(&id);
        self.deleted.insert(id);
    }

    pub(crate) fn not_deleted(&mut self, id: Uuid) {
        if let Some(topic) = self.by_id.get_mut(&id) {
            topic.state = TopicState::Live;
        }
    }

    /// Holds the topics that the broker has after a crash against those it must have, and learns
    /// what became of commands without answer.
    pub(crate) fn reconcile(&mut self, found: &[MetadataResponseTopic]) -> Vec<String> {
        let mut faults = Vec::new();
        for topic in found {
            let name = topic.name.as_deref().unwrap_or_default();
            let partitions = topic.partitions.len();
            if self.deleted.contains(&topic.topic_id) {
                faults.push(format!("deleted topic {name} is back"));
            } else if let Some(known) = self.by_id.get_mut(&topic.topic_id) {
                if known.growing == Some(partitions) {
                    known.partitions.resize_with(partitions, Ledger::default);
                }
                if (known.name.as_str(), known.partitions.len()) != (name, partitions) {
                    faults.push(format!("topic {} is now {name} x {partitions}", known.name));
                }
            } else if self.creating.contains(name) {
                self.created(name, topic.topic_id, partitions);
            } else {
                faults.push(format!("nobody created topic {name}"));
            }
            let ill = topic.partitions.iter().filter(|p| p.error_code != ErrorCode::None);
            faults.extend(ill.map(|p| format!("{name}-{}: {}", p.partition_index, p.error_code)));
        }
        self.creating.clear();
        let found: BTreeSet<Uuid> = found.iter().map(|topic| topic.topic_id).collect();
        let missing: Vec<Uuid> =
            self.by_id.keys().copied().filter(|id| !found.contains(id)).collect();
        for id in missing {
            match &self.by_id[&id] {
                Topic { name, state: TopicState::Live, .. } => {
                    faults.push(format!("topic {name} is lost"));
                }
                Topic { state: TopicState::Deleting, .. } => self.deleted(id),
            }
        }
        // What was to be deleted and is there lives on, and what did not grow stays as it is.
        for topic in self.by_id.values_mut() {
            (topic.state, topic.growing) = (TopicState::Live, None);
        }
        faults
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |time| time.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use corelog_wire::messages::metadata::MetadataResponsePartition;

    use super::*;

    fn found(name: &str, id: u8, partitions: usize) -> MetadataResponseTopic {
        MetadataResponseTopic {
            name: Some(name.into()),
            topic_id: Uuid([id; 16]),
            partitions: vec![MetadataResponsePartition::default(); partitions],
            ..MetadataResponseTopic::default()
        }
    }

    /// `a` lives, `b` is being deleted, `c` is deleted, `d` is being created, `e` grows.
    fn topics() -> Topics {
        let mut topics =
            Topics { by_id: BTreeMap::new(), deleted: BTreeSet::new(), creating: BTreeSet::new() };
        for (name, id) in [("a", 1), ("b", 2), ("c", 3)] {
            topics.created(name, Uuid([id; 16]), 2);
        }
        topics.deleting(Uuid([2; 16]));
        topics.deleted(Uuid([3; 16]));
        topics.creating("d");
        topics.created("e", Uuid([6; 16]), 2);
        topics.growing(Uuid([6; 16]));
        topics
    }

    #[test]
    fn what_was_answered_must_be_so_and_the_rest_may_be() {
        let ill = MetadataResponsePartition {
            error_code: ErrorCode::KafkaStorageError,
            ..MetadataResponsePartition::default()
        };
        let ill = MetadataResponseTopic { partitions: vec![ill.clone(), ill], ..found("a", 1, 2) };
        let e = || found("e", 6, 2);
        for (broker, faults, live) in [
            (vec![found("a", 1, 2), e()], 0, &[1, 6][..]),
            (vec![found("a", 1, 2), found("e", 6, 3)], 0, &[1, 6]),
            (vec![found("a", 1, 2), found("e", 6, 4)], 1, &[1, 6]),
            (vec![found("a", 1, 2), found("b", 2, 2), e()], 0, &[1, 2, 6]),
            (vec![found("a", 1, 2), found("d", 4, 1), e()], 0, &[1, 4, 6]),
            (vec![e()], 1, &[1, 6]),
            (vec![found("a", 1, 3), e()], 1, &[1, 6]),
            (vec![found("x", 1, 2), e()], 1, &[1, 6]),
            (vec![found("a", 1, 2), found("c", 3, 2), e()], 1, &[1, 6]),
            (vec![found("a", 1, 2), found("c", 5, 2), e()], 1, &[1, 6]),
            (vec![ill, e()], 2, &[1, 6]),
        ] {
            let mut topics = topics();
            let said = topics.reconcile(&broker);
            assert_eq!(said.len(), faults, "{broker:?}: {said:?}");
            let known: Vec<u8> = topics.by_id.keys().map(|id| id.0[0]).collect();
            assert_eq!(known, live, "{broker:?}");
            assert!(topics.by_id.keys().all(|id| topics.is_live(*id)));
        }
    }
}
