//! How offsets and groups end: by request, by age, with their topics.

use std::sync::Arc;

use crate::group::classic::CONSUMER;
use crate::group::classic::Then;
use crate::group::coordinator::{Coordinator, Group, Output};
use crate::group::name::GroupId;
use crate::group::offsets::Since;
use crate::group::record::{OffsetKey, Record};
use crate::group::request::{Asker, DeleteOffsetsRequest, GroupError, GroupState, Reply};
use crate::group::timers::Timer;
use crate::id::{Now, TopicId};

/// Records of one look at what has expired; the rest comes with the next, soon.
const AT_ONCE: usize = 1_000;
const SOON_MS: u64 = 10;

impl Coordinator {
    pub(super) fn delete_offsets(
        &mut self,
        now: Now,
        asker: Asker,
        request: &DeleteOffsetsRequest,
    ) -> Output {
        self.turn(now, |groups, turn| {
            let group = match groups.get(&request.group) {
                _ if request.group.is_empty() => Err(GroupError::InvalidGroupId),
                None => Err(GroupError::NotFound),
                Some(group) if group.keeps_offsets() => Err(GroupError::NonEmpty),
                Some(group) => Ok(group),
            };
            let results = group.map(|group| {
                let delete = |(topic, partitions): &(Arc<str>, Vec<i32>)| {
                    if group.classic.reads(topic) {
                        return Err(GroupError::SubscribedToTopic);
                    }
                    let there =
                        partitions.iter().filter(|p| group.offsets.get(topic, **p).is_some());
                    turn.records.extend(there.map(|p| removal(&request.group, topic, *p)));
                    Ok(())
                };
                request.topics.iter().map(delete).collect()
            });
            turn.reply_when_durable(asker, Reply::DeleteOffsets(results));
        })
    }

    pub(super) fn delete(&mut self, now: Now, asker: Asker, id: &GroupId) -> Output {
        let refusal = match self.groups.get(id) {
            None => Some(GroupError::NotFound),
            Some(group) if !group.classic.is_empty() => Some(GroupError::NonEmpty),
            Some(_) => None,
        };
        if let Some(error) = refusal {
            return self.turn(now, |_, turn| {
                turn.reply_when_durable(asker, Reply::Delete(Err(error)));
            });
        }
        let mut records = self.removals_on_their_way(id);
        let mut forgotten = Vec::new();
        self.forget(id, &mut records, &mut forgotten);
        let then = vec![Then::Answer(asker, Reply::Delete(Ok(())))];
        self.submit(records, then, Vec::new(), forgotten)
    }

    /// A group ends: its offsets, then itself.
    fn forget(
        &mut self,
        id: &GroupId,
        records: &mut Vec<Record>,
        forgotten: &mut Vec<(GroupId, Group)>,
    ) {
        let Some(group) = self.groups.remove(id) else { return };
        let offsets = group.offsets.all();
        records.extend(offsets.map(|(topic, partition, _)| removal(id, topic, partition)));
        records.push(Record::ClassicGroup(id.clone(), None));
        forgotten.push((id.clone(), group));
    }

    /// Removals of what is committed and not durable yet.
    fn removals_on_their_way(&self, id: &GroupId) -> Vec<Record> {
        let records = self.in_flight.iter().flat_map(|batch| &batch.records);
        let of_group = records.filter_map(|record| match record {
            Record::Offset(key, Some(_)) if key.group == *id => Some(key.clone()),
            Record::Offset(..) | Record::ClassicGroup(..) => None,
        });
        of_group.map(|key| Record::Offset(key, None)).collect()
    }

    /// Looks for offsets, and groups, that nobody will ask for any more.
    pub(super) fn expire(&mut self, now: Now) -> Output {
        let (mut records, mut forgotten) = (Vec::new(), Vec::new());
        let ids: Vec<GroupId> = self.groups.keys().cloned().collect();
        for id in ids {
            if records.len() >= AT_ONCE {
                break;
            }
            self.expire_group(&id, now, &mut records, &mut forgotten);
        }
        let again =
            if records.len() >= AT_ONCE { SOON_MS } else { self.settings.expiry_interval_ms };
        self.timers.set(Timer::Expiry, now.instant.plus_ms(again));
        self.submit(records, Vec::new(), Vec::new(), forgotten)
    }

    fn expire_group(
        &mut self,
        id: &GroupId,
        now: Now,
        records: &mut Vec<Record>,
        forgotten: &mut Vec<(GroupId, Group)>,
    ) {
        let Some(group) = self.groups.get(id) else { return };
        let since = group.since();
        let retention = self.settings.retention_ms;
        let expired: Vec<_> = group
            .offsets
            .all()
            .filter(|(topic, ..)| !group.classic.reads(topic))
            .filter(|(.., committed)| committed.is_expired(now.wall, since, retention))
            .map(|(topic, partition, _)| removal(id, topic, partition))
            .collect();
        let all = expired.len() == group.offsets.all().count();
        // What is committed again, and not durable yet, must not be removed behind that.
        let coming = self.removals_on_their_way(id);
        if all && group.classic.is_empty() && coming.is_empty() {
            return self.forget(id, records, forgotten);
        }
        let expired = expired.into_iter().filter(|removal| !coming.contains(removal));
        records.extend(expired);
    }

    /// Topics are no more: nor is what was committed for them. What was committed for a later topic
    /// of the same name stays, and what was committed before topics had ids.
    pub fn topics_deleted(&mut self, now: Now, topics: &[TopicId]) -> Output {
        self.turn(now, |groups, turn| {
            for (id, group) in groups.iter() {
                for (topic, partition, committed) in group.offsets.all() {
                    if committed.topic.is_some_and(|id| topics.contains(&id)) {
                        turn.records.push(removal(id, topic, partition));
                    }
                }
            }
        })
    }
}

impl Group {
    /// Whether members that the broker does not understand may need the offsets.
    fn keeps_offsets(&self) -> bool {
        !self.classic.is_empty() && self.classic.protocol_type() != Some(CONSUMER)
    }

    /// From when on its offsets age (`ClassicGroup.offsetExpirationCondition`).
    fn since(&self) -> Since {
        let classic = &self.classic;
        match (classic.protocol_type(), classic.state()) {
            (None, _) => Since::Commit,
            (Some(_), GroupState::Empty) => classic.since().map_or(Since::Commit, Since::Empty),
            (Some(CONSUMER), GroupState::Stable) if classic.subscribed().is_some() => Since::Commit,
            (Some(_), _) => Since::Never,
        }
    }
}

fn removal(group: &GroupId, topic: &Arc<str>, partition: i32) -> Record {
    let key = OffsetKey { group: group.clone(), topic: topic.clone(), partition };
    Record::Offset(key, None)
}
