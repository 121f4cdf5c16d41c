//! Groups, on a topic of their own: offsets that are committed and fetched (`commits`), members of
//! consumer groups (`consumers`) and of classic ones (`classic`). None of them cancels what it
//! asks: what comes late would otherwise count as what comes next.

mod classic;
mod commits;
mod consumers;

use std::collections::BTreeMap;
use std::sync::Arc;

use corelog_engine::group::request::{GroupError, Reply, Request as Question};
use corelog_engine::id::{PartitionIndex, TopicId, TopicPartition};
use corelog_engine::metadata::Image;
use corelog_engine::shard::request::{GroupCall, Request};

use self::classic::Classic;
use self::commits::Committer;
use self::consumers::Consumer;
use super::{Asking, Setting, Wish, Workload};
use crate::sim::model::{Check, Model, Topic, TopicState};
use crate::sim::rng::Rng;

/// Partitions of the topic, and groups of each kind.
const PARTITIONS: u32 = 2;

/// What was asked of a coordinator, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Commit { who: usize, value: i64 },
    Fetch { who: usize },
    Beat { who: usize, at: u64, leaves: bool },
    Join { who: usize },
    Sync { who: usize },
    Heartbeat { who: usize },
}

/// Everyone who has to do with groups.
#[derive(Debug)]
pub(super) struct Groups {
    topic: Option<TopicId>,
    committers: Vec<Committer>,
    consumers: Vec<Consumer>,
    classics: Vec<Classic>,
    /// What classic members were given, by generation and partition of the work.
    given: BTreeMap<(i32, i32), usize>,
    /// The topics that there are, as the broker has told.
    pub(super) image: Arc<Image>,
}

impl Groups {
    pub(super) fn new(rng: &mut Rng) -> Groups {
        let count = |rng: &mut Rng, most: u64| rng.below(most + 1) as usize;
        Groups {
            topic: None,
            committers: (0..count(rng, 3)).map(Committer::new).collect(),
            consumers: (0..count(rng, 5)).map(Consumer::new).collect(),
            classics: (0..count(rng, 3)).map(Classic::new).collect(),
            given: BTreeMap::new(),
            image: Arc::default(),
        }
    }

    /// Nobody will tell what became of a request.
    fn unanswered(&mut self, asked: Asked) {
        match asked {
            Asked::Commit { who, .. } | Asked::Fetch { who } => self.committers[who].unanswered(),
            Asked::Beat { who, .. } => self.consumers[who].unanswered(),
            Asked::Join { who } | Asked::Sync { who } | Asked::Heartbeat { who } => {
                self.classics[who].unanswered();
            }
        }
    }

    /// The broker is gone, and with it every answer.
    pub(super) fn restart(&mut self) {
        self.committers.iter_mut().for_each(Committer::unanswered);
        self.consumers.iter_mut().for_each(Consumer::unanswered);
        self.classics.iter_mut().for_each(Classic::unanswered);
    }
}

impl Workload {
    pub(super) fn groups(&mut self, model: &mut Model, setting: Setting) -> Option<Asking> {
        let topic = self
            .groups
            .topic
            .filter(|id| model.topics.get(id).is_some_and(|topic| topic.state != TopicState::Gone));
        let Some(topic) = topic else {
            return self.rng.one_in(3).then(|| self.create_groups_topic(model, setting));
        };
        if model.topics[&topic].state != TopicState::Live {
            return None;
        }
        match self.rng.below(3) {
            0 => self.commit_or_fetch(setting),
            1 => self.beat(setting),
            _ => self.classic(setting),
        }
    }

    fn create_groups_topic(&mut self, model: &mut Model, setting: Setting) -> Asking {
        let (name, id) = ("__consumer_offsets".to_owned(), TopicId(self.rng.id()));
        self.groups.topic = Some(id);
        let topic = Topic {
            name,
            state: TopicState::Creating,
            caching: false,
            partitions: PARTITIONS,
            contested: false,
            of_groups: true,
        };
        self.make(model, setting, id, topic, BTreeMap::new())
    }

    /// Asks the coordinator of the group with this number.
    fn ask_group(
        &mut self,
        setting: Setting,
        group: usize,
        request: Question,
        asked: Asked,
    ) -> Option<Asking> {
        let index = PartitionIndex(group as u32 % PARTITIONS);
        let partition = TopicPartition { topic: self.groups.topic?, index };
        let image = self.groups.image.clone();
        let call = GroupCall { partition, image, request };
        Some(self.ask(setting, Request::Group(Box::new(call)), Wish::Group(asked)))
    }

    /// A coordinator has answered, or somebody in its place.
    pub(super) fn group_answered(
        &mut self,
        model: &Model,
        now: u64,
        asked: Asked,
        answer: Result<Reply, GroupError>,
    ) -> Check {
        let told = format!("{answer:?}");
        let wrong = || Err(format!("{asked:?} is answered {told}"));
        let excused = |error: GroupError| match error {
            // More waits for the disk than there is room for, or for the coordinator.
            GroupError::CoordinatorNotAvailable | GroupError::LoadInProgress => true,
            GroupError::NotCoordinator => model.excuses.groups || self.is_offline(model),
            _ => false,
        };
        let refused = |error| if excused(error) { Ok(()) } else { wrong() };
        if let Err(error) = answer {
            refused(error)?;
            self.groups.unanswered(asked);
            return Ok(());
        }
        match (asked, answer) {
            (Asked::Commit { who, value }, Ok(Reply::Commit(Ok(results)))) => {
                if results != [Ok(())] {
                    return wrong();
                }
                self.groups.committers[who].committed(value)
            }
            (Asked::Commit { who, .. }, Ok(Reply::Commit(Err(error)))) => {
                refused(error)?;
                self.groups.committers[who].unanswered();
                Ok(())
            }
            (Asked::Fetch { who }, Ok(Reply::Fetch(Ok(topics)))) => {
                let offset = topics[0].partitions[0].1.as_ref().map(|found| found.offset.0);
                self.groups.committers[who].fetched(offset)
            }
            (Asked::Beat { who, at, leaves }, Ok(Reply::ConsumerHeartbeat(result))) => {
                if let Err(no) = &result
                    && !excused(no.error)
                    && !consumers::may_be_told(no.error)
                {
                    return wrong();
                }
                self.groups.consumers[who].told(at, leaves, result.map_err(|no| no.error));
                consumers::check(&self.groups.consumers, now)
            }
            (Asked::Join { who }, Ok(Reply::Join(result))) => {
                self.groups.joined(who, result.map_err(|no| (no.error, no.member)))
            }
            (Asked::Sync { who }, Ok(Reply::Sync(result))) => self.groups.synced(who, result),
            (Asked::Heartbeat { who }, Ok(Reply::Heartbeat(result))) => {
                self.groups.classics[who].beaten(result)
            }
            _ => wrong(),
        }
    }

    fn is_offline(&self, model: &Model) -> bool {
        let of = |index| {
            let topic = self.groups.topic?;
            Some(TopicPartition { topic, index: PartitionIndex(index) })
        };
        (0..PARTITIONS).filter_map(of).any(|partition| model.excuses.offline(partition))
    }
}
