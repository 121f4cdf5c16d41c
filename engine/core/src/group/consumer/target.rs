//! What each member is to have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::group::assignor::{Assignor, Reader};
use crate::group::consumer::ConsumerGroup;
use crate::group::name::MemberId;
use crate::group::partitions::Partitions;
use crate::group::record::{Record, TargetEpoch};
use crate::group::settings::ConsumerSettings;
use crate::group::turn::Turn;
use crate::id::TopicId;
use crate::metadata::Image;

impl ConsumerGroup {
    /// The assignor that most members prefer; the broker's first if nobody does. Of several, the
    /// first of the broker's. (Kafka leaves that to chance.)
    pub(super) fn assignor(&self, settings: &ConsumerSettings) -> Assignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        let preferred = self.members.values().filter_map(|m| m.metadata.assignor.as_deref());
        preferred.for_each(|name| *votes.entry(name).or_default() += 1);
        let count = |assignor: &Assignor| votes.get(assignor.name()).copied().unwrap_or(0);
        let offered = settings.assignors.iter().rev();
        offered.max_by_key(|assignor| count(assignor)).copied().unwrap_or(Assignor::Uniform)
    }

    /// Divides the work anew if the group has changed, and the last time was long enough ago
    /// (KIP-1263).
    pub(super) fn retarget(&mut self, turn: &mut Turn<'_>) {
        if self.epoch <= self.target_epoch || !self.may_retarget(turn) {
            return;
        }
        let given = self.divide(turn.image, self.assignor(&turn.settings.consumer));
        let mut moved = 0;
        for (id, target) in given {
            let before = self.targets.get(&id).cloned().unwrap_or_default();
            moved +=
                target.iter().filter(|(topic, index)| !before.contains(*topic, *index)).count();
            if self.targets.get(&id).is_none_or(|before| **before != target) {
                self.write(Record::Target(self.id.clone(), id, Some(target)), turn);
            }
        }
        turn.moved(&self.id, moved);
        let value = TargetEpoch { epoch: self.epoch, time: turn.now.wall };
        self.write(Record::TargetEpoch(self.id.clone(), Some(value)), turn);
    }

    fn may_retarget(&self, turn: &Turn<'_>) -> bool {
        let since = turn.now.wall.0 - self.target_time.0;
        let interval = i64::from(turn.times(&self.id).assignment_interval_ms);
        // A clock that was set back holds nobody up.
        self.target_time.0 == 0 || !(0..interval).contains(&since)
    }

    fn divide(&self, image: &Image, assignor: Assignor) -> Vec<(MemberId, Partitions)> {
        let none = Arc::new(Partitions::default());
        // Most members read the same.
        let mut read: BTreeMap<_, Arc<BTreeSet<TopicId>>> = BTreeMap::new();
        let readers: Vec<Reader<'_>> = self
            .members
            .iter()
            .map(|(id, member)| {
                let metadata = &member.metadata;
                let topics = read
                    .entry((&metadata.topics, &metadata.regex))
                    .or_insert_with(|| Arc::new(self.topics_of(metadata, image)));
                Reader {
                    member: id,
                    instance: metadata.instance.as_ref(),
                    topics: topics.clone(),
                    before: self.targets.get(id).unwrap_or(&none),
                }
            })
            .collect();
        let ids: BTreeSet<TopicId> =
            read.values().flat_map(|topics| topics.iter().copied()).collect();
        let count = |id: TopicId| Some((id, image.topic_by_id(id)?.partitions.cast_signed()));
        let counts = ids.into_iter().filter_map(count).collect();
        let given = assignor.assign(&readers, &counts);
        readers.iter().map(|reader| reader.member.clone()).zip(given).collect()
    }
}
