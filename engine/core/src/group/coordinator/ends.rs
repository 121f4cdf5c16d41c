//! How offsets and groups end: by request, by age, with their topics.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::group::classic::{CONSUMER, State};
use crate::group::coordinator::{Coordinator, Group, Output, Undo};
use crate::group::name::GroupId;
use crate::group::offsets::Since;
use crate::group::record::{OffsetKey, Record};
use crate::group::request::{Asker, DeleteOffsetsRequest, GroupError, Reply};
use crate::group::timers::Timer;
use crate::group::turn::{Kind, Then};
use crate::id::Now;

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
        let coming = self.on_their_way(|key| key.group == request.group);
        self.turn(now, |groups, turn| {
            let group = match groups.get(&request.group) {
                _ if request.group.is_empty() => Err(GroupError::InvalidGroupId),
                None => Err(GroupError::NotFound),
                Some(group) if group.keeps_offsets() => Err(GroupError::NonEmpty),
                Some(group) => Ok(group),
            };
            let results = group.map(|group| {
                let delete = |(topic, partitions): &(Arc<str>, Vec<i32>)| {
                    if group.reads(topic) {
                        return Err(GroupError::SubscribedToTopic);
                    }
                    let keys = partitions.iter().map(|p| key(&request.group, topic, *p));
                    let there = keys.filter(|key| {
                        let durable = group.offsets.get(topic, key.partition).is_some();
                        durable || coming.contains(key)
                    });
                    turn.records.extend(there.map(|key| Record::Offset(key, None)));
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
            Some(group) if !group.is_empty() => Some(GroupError::NonEmpty),
            Some(_) => None,
        };
        if let Some(error) = refusal {
            return self.turn(now, |_, turn| {
                turn.reply_when_durable(asker, Reply::Delete(Err(error)));
            });
        }
        let mut undo = Undo::default();
        let records = self.forget(id, &mut undo);
        let then = vec![Then::Answer(asker, Reply::Delete(Ok(())))];
        self.submit(records, then, Vec::new(), undo)
    }

    /// A group ends: its offsets, also those on their way, then itself.
    fn forget(&mut self, id: &GroupId, undo: &mut Undo) -> Vec<Record> {
        let mut keys = self.on_their_way(|key| key.group == *id);
        let Some(group) = self.groups.remove(id) else { return Vec::new() };
        keys.extend(group.offsets.all().map(|(topic, index, _)| key(id, topic, index)));
        let mut records: Vec<Record> =
            keys.into_iter().map(|key| Record::Offset(key, None)).collect();
        match &group.kind {
            Kind::Classic(_) => records.push(Record::ClassicGroup(id.clone(), None)),
            Kind::Consumer(consumer) => records.extend(consumer.endings()),
        }
        undo.forgotten.push((id.clone(), group));
        records
    }

    /// What is committed, or removed, and not durable yet, as far as it is wanted.
    fn on_their_way(&self, is_wanted: impl Fn(&OffsetKey) -> bool) -> BTreeSet<OffsetKey> {
        let keys = self.in_flight.iter().flat_map(|batch| &batch.offsets).map(|(key, _)| key);
        keys.filter(|key| is_wanted(key)).cloned().collect()
    }

    /// Looks for offsets, and groups, that nobody will ask for any more. Groups end whole; of the
    /// others' offsets, and of the groups, the rest comes with the next look if there are many.
    pub(super) fn expire(&mut self, now: Now) -> Output {
        let (mut records, mut undo) = (Vec::new(), Undo::default());
        let coming = self.on_their_way(|_| true);
        let from = std::mem::take(&mut self.expire_from);
        let ids: Vec<GroupId> = self.groups.range(from..).map(|(id, _)| id.clone()).collect();
        let mut again = self.settings.expiry_interval_ms;
        for id in ids {
            if records.len() >= AT_ONCE {
                (self.expire_from, again) = (id, SOON_MS);
                break;
            }
            let most = AT_ONCE - records.len();
            records.extend(self.expire_group(&id, now, most, &coming, &mut undo));
        }
        self.timers.set(Timer::Expiry, now.instant.plus_ms(again));
        self.submit(records, Vec::new(), Vec::new(), undo)
    }

    fn expire_group(
        &mut self,
        id: &GroupId,
        now: Now,
        most: usize,
        coming: &BTreeSet<OffsetKey>,
        undo: &mut Undo,
    ) -> Vec<Record> {
        let Some(group) = self.groups.get(id) else { return Vec::new() };
        let since = group.since();
        let retention = self.settings.retention_ms;
        // What is committed again, and not durable yet, must not be removed behind that; nor twice.
        let is_coming = |key: &OffsetKey| coming.contains(key);
        let mut expired = group
            .offsets
            .all()
            .filter(|(topic, ..)| !group.reads(topic))
            .filter(|(.., committed)| committed.is_expired(now.wall, since, retention))
            .map(|(topic, partition, _)| key(id, topic, partition))
            .filter(|key| !is_coming(key))
            .peekable();
        let few: Vec<OffsetKey> = expired.by_ref().take(most).collect();
        let is_all = expired.peek().is_none() && few.len() == group.offsets.all().count();
        drop(expired);
        let first = OffsetKey { group: id.clone(), topic: "".into(), partition: i32::MIN };
        let nothing_comes = coming.range(first..).next().is_none_or(|key| key.group != *id);
        if is_all && group.is_empty() && nothing_comes {
            return self.forget(id, undo);
        }
        few.into_iter().map(|key| Record::Offset(key, None)).collect()
    }

    /// Topics are no more: nor is, soon, what was committed for them.
    pub fn topics_deleted(&mut self, now: Now) {
        self.timers.set(Timer::Orphans, now.instant);
    }

    /// Looks for what was committed for topics that are no more. What was committed for a later
    /// topic of the same name stays, and what was committed before topics had ids. The rest comes
    /// with the next look if there is much.
    pub(super) fn remove_orphans(&mut self, now: Now) -> Output {
        let coming = self.on_their_way(|_| true);
        let offsets = self.groups.iter().flat_map(|(id, group)| {
            group.offsets.all().map(move |(topic, index, committed)| (id, topic, index, committed))
        });
        let gone = offsets.filter(|(.., committed)| {
            committed.topic.is_some_and(|topic| self.image.topic_by_id(topic).is_none())
        });
        let keys = gone.map(|(id, topic, index, _)| key(id, topic, index));
        let records: Vec<Record> = keys
            .filter(|key| !coming.contains(key))
            .take(AT_ONCE)
            .map(|key| Record::Offset(key, None))
            .collect();
        if records.len() == AT_ONCE {
            self.timers.set(Timer::Orphans, now.instant.plus_ms(SOON_MS));
        }
        self.submit(records, Vec::new(), Vec::new(), Undo::default())
    }
}

impl Group {
    /// Whether members that the broker does not understand may need the offsets.
    fn keeps_offsets(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => {
                !classic.is_empty() && classic.protocol_type() != Some(CONSUMER)
            }
            Kind::Consumer(_) => false,
        }
    }

    /// From when on its offsets age (`ClassicGroup.offsetExpirationCondition`).
    fn since(&self) -> Since {
        let Kind::Classic(classic) = &self.kind else { return Since::Commit };
        match (classic.protocol_type(), classic.state()) {
            (None, _) => Since::Commit,
            (Some(_), State::Empty) => classic.since().map_or(Since::Commit, Since::Empty),
            (Some(CONSUMER), State::Stable) if classic.subscribed().is_some() => Since::Commit,
            (Some(_), _) => Since::Never,
        }
    }
}

fn key(group: &GroupId, topic: &Arc<str>, partition: i32) -> OffsetKey {
    OffsetKey { group: group.clone(), topic: topic.clone(), partition }
}
