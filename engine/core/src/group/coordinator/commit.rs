//! Commits: who may, and what is remembered.

use crate::fields::MAX_STRING;
use crate::group::coordinator::{Coordinator, Group, Output};
use crate::group::name::Epoch;
use crate::group::record::{Committed, OffsetKey, Record};
use crate::group::request::{Asker, CommitOffset, CommitRequest, GroupError, Reply};
use crate::group::turn::{Kind, Turn};
use crate::id::{Now, Timestamp};

impl Coordinator {
    pub(super) fn commit(&mut self, now: Now, asker: Asker, request: CommitRequest) -> Output {
        let most = self.settings.max_metadata;
        let full = self.groups.len() >= self.settings.max_groups;
        self.turn(now, |groups, turn| {
            let group = groups.get(&request.group);
            if let Err(error) = may_commit(group, full, &request, turn) {
                return turn.reply_when_durable(asker, Reply::Commit(Err(error)));
            }
            let expires =
                request.retention_ms.map(|ms| Timestamp(now.wall.0.saturating_add_unsigned(ms)));
            let mut results = Vec::with_capacity(request.offsets.len());
            for offset in request.offsets {
                results.push(match is_too_long(&offset.metadata, most) {
                    true => Err(GroupError::MetadataTooLarge),
                    false => {
                        let (key, value) = remembered(&request.group, offset, now.wall, expires);
                        turn.records.push(Record::Offset(key, Some(value)));
                        Ok(())
                    }
                });
            }
            turn.reply_when_durable(asker, Reply::Commit(Ok(results)));
        })
    }
}

/// Kafka counts UTF-16 code units; no setting makes longer what can be stored.
fn is_too_long(metadata: &str, most: usize) -> bool {
    metadata.len() > MAX_STRING || metadata.encode_utf16().count() > most
}

fn may_commit(
    group: Option<&Group>,
    full: bool,
    request: &CommitRequest,
    turn: &mut Turn<'_>,
) -> Result<(), GroupError> {
    let most = turn.settings.max_metadata;
    match group.map(|group| &group.kind) {
        Some(Kind::Classic(classic)) => classic.may_commit(request, turn),
        Some(Kind::Consumer(group)) => {
            let stored = request.offsets.iter().filter(|one| !is_too_long(&one.metadata, most));
            let partitions = stored.map(|one| (one.topic_id, one.partition));
            let (member, epoch) = (&request.member, Epoch(request.generation.0));
            group.may_commit(member, epoch, request.knows_not_found, partitions)
        }
        None if request.generation.0 < 0 && full => Err(GroupError::CoordinatorNotAvailable),
        None if request.generation.0 < 0 => Ok(()),
        None if request.knows_not_found => Err(GroupError::NotFound),
        None => Err(GroupError::IllegalGeneration),
    }
}

fn remembered(
    group: &crate::group::name::GroupId,
    offset: CommitOffset,
    time: Timestamp,
    expires: Option<Timestamp>,
) -> (OffsetKey, Committed) {
    let CommitOffset { topic, topic_id, partition, offset, epoch, metadata } = offset;
    let key = OffsetKey { group: group.clone(), topic, partition };
    (key, Committed { offset, epoch, metadata, time, expires, topic: topic_id })
}
