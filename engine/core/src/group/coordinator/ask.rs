//! Requests, to groups of the one protocol and the other.

use crate::group::classic::ClassicGroup;
use crate::group::consumer::{self, ConsumerGroup};
use crate::group::coordinator::outcome::attempt;
use crate::group::coordinator::{Coordinator, Group, Groups, Output};
use crate::group::name::{Epoch, MemberId};
use crate::group::request::{
    Asker, ConsumerHeartbeat, ConsumerStanding, GroupError, HeartbeatRequest, JoinRefused,
    JoinRequest, LeaveRequest, Refused, Reply, Request, SyncRequest,
};
use crate::group::turn::{Kind, Then, Turn};
use crate::id::Now;

impl Coordinator {
    /// Decides about a request.
    pub fn request(&mut self, now: Now, asker: Asker, request: Request) -> Output {
        match request {
            Request::Join(request) => self.join(now, asker, &request),
            Request::Sync(request) => {
                self.turn(now, |groups, turn| sync(groups, request, asker, turn))
            }
            Request::Heartbeat(request) => self.turn(now, |groups, turn| {
                let result = heartbeat(groups, &request, turn);
                turn.reply_when_durable(asker, Reply::Heartbeat(result));
            }),
            Request::Leave(request) => self.turn(now, |groups, turn| {
                let result = leave(groups, &request, turn);
                turn.reply_when_durable(asker, Reply::Leave(result));
            }),
            Request::ConsumerHeartbeat(request) => self.consumer_heartbeat(now, asker, &request),
            Request::Commit(request) => self.commit(now, asker, request),
            Request::DeleteOffsets(request) => self.delete_offsets(now, asker, &request),
            Request::Delete(group) => self.delete(now, asker, &group),
            Request::Fetch(request) => self.fetch(now, asker, request),
            Request::Describe(group) => Output::reply(asker, self.describe(&group)),
            Request::DescribeConsumer(group) => {
                let described = self.describe_consumer(&group);
                self.turn(now, |_, turn| turn.reply_when_durable(asker, described))
            }
            Request::History(group) => Output::reply(asker, self.history(&group)),
            Request::List => {
                let listed = self.list();
                self.turn(now, |_, turn| turn.reply_when_durable(asker, listed))
            }
        }
    }

    fn join(&mut self, now: Now, asker: Asker, request: &JoinRequest) -> Output {
        let session = self.settings.min_session_ms..=self.settings.max_session_ms;
        let exists = match self.groups.get(&request.group) {
            None => false,
            Some(Group { kind: Kind::Consumer(group), .. }) => !group.is_empty(),
            Some(_) => true,
        };
        let known = self.groups.contains_key(&request.group);
        let full = !known && self.groups.len() >= self.settings.max_groups;
        let error = match () {
            () if request.group.is_empty() => Some(GroupError::InvalidGroupId),
            () if !session.contains(&request.session_ms) => Some(GroupError::InvalidSessionTimeout),
            () if !exists && !request.member.is_empty() => Some(GroupError::UnknownMember),
            () if full => Some(GroupError::CoordinatorNotAvailable),
            () => None,
        };
        if let Some(error) = error {
            let member: MemberId = request.member.clone();
            return Output::reply(asker, Reply::Join(Err(JoinRefused { error, member })));
        }
        self.turn(now, |groups, turn| join(groups, request, asker, turn))
    }

    fn consumer_heartbeat(
        &mut self,
        now: Now,
        asker: Asker,
        request: &ConsumerHeartbeat,
    ) -> Output {
        let full = self.groups.len() >= self.settings.max_groups;
        self.turn(now, |groups, turn| {
            let act = |groups: &mut Groups, turn: &mut Turn<'_>| beat(groups, request, full, turn);
            let result = attempt(groups, turn, act);
            turn.reply_when_durable(asker, Reply::ConsumerHeartbeat(result));
        })
    }
}

fn join(groups: &mut Groups, request: &JoinRequest, asker: Asker, turn: &mut Turn<'_>) {
    let id = &request.group;
    let exists = groups.contains_key(id);
    match groups.get_mut(id).map(|group| &mut group.kind) {
        Some(Kind::Consumer(group)) if !group.is_empty() => {
            let result = attempt(groups, turn, |groups, turn| match groups.get_mut(id) {
                Some(group) => consumer::join(&mut group.kind, request, turn),
                None => Err(JoinRefused { error: GroupError::Unknown, member: id_of(request) }),
            });
            return turn.reply_when_durable(asker, Reply::Join(result));
        }
        Some(kind @ Kind::Consumer(_)) => begin_classic(kind, request, turn),
        Some(Kind::Classic(_)) | None => {}
    }
    let group = groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), turn.now));
    let Kind::Classic(classic) = &mut group.kind else { return };
    classic.join(request, asker, turn);
    if !exists && turn.records.is_empty() {
        turn.records.push(classic.first_record());
        turn.then.push(Then::Created(id.clone()));
    }
}

fn id_of(request: &JoinRequest) -> MemberId {
    request.member.clone()
}

/// Makes a consumer group that nobody is in a classic one.
fn begin_classic(kind: &mut Kind, request: &JoinRequest, turn: &mut Turn<'_>) {
    let Kind::Consumer(group) = &*kind else { return };
    let endings = group.endings();
    turn.remember(&request.group, Some(kind.clone()));
    let classic = ClassicGroup::new(request.group.clone(), turn.now.wall);
    turn.records.extend(endings);
    turn.records.push(classic.first_record());
    *kind = Kind::Classic(classic);
}

fn sync(groups: &mut Groups, request: SyncRequest, asker: Asker, turn: &mut Turn<'_>) {
    let error = match groups.get_mut(&request.group).map(|group| &mut group.kind) {
        _ if request.group.is_empty() => GroupError::InvalidGroupId,
        Some(Kind::Classic(classic)) => return classic.sync(request, asker, turn),
        Some(Kind::Consumer(group)) => {
            let result = group.sync(&request, turn);
            return turn.reply_when_durable(asker, Reply::Sync(result));
        }
        None => GroupError::UnknownMember,
    };
    turn.reply(asker, Reply::Sync(Err(error)));
}

fn heartbeat(
    groups: &Groups,
    request: &HeartbeatRequest,
    turn: &mut Turn<'_>,
) -> Result<(), GroupError> {
    match groups.get(&request.group).map(|group| &group.kind) {
        _ if request.group.is_empty() => Err(GroupError::InvalidGroupId),
        Some(Kind::Classic(classic)) => classic.heartbeat(request, turn),
        Some(Kind::Consumer(group)) => group.classic_heartbeat(request, turn),
        None => Err(GroupError::UnknownMember),
    }
}

fn leave(
    groups: &mut Groups,
    request: &LeaveRequest,
    turn: &mut Turn<'_>,
) -> Result<Vec<Result<(), GroupError>>, GroupError> {
    match groups.get_mut(&request.group).map(|group| &mut group.kind) {
        _ if request.group.is_empty() => Err(GroupError::InvalidGroupId),
        Some(Kind::Classic(classic)) => Ok(classic.leave(&request.members, turn)),
        Some(kind @ Kind::Consumer(_)) => Ok(consumer::leave_all(kind, &request.members, turn)),
        None => Ok(vec![Err(GroupError::UnknownMember); request.members.len()]),
    }
}

fn beat(
    groups: &mut Groups,
    request: &ConsumerHeartbeat,
    full: bool,
    turn: &mut Turn<'_>,
) -> Result<ConsumerStanding, Refused> {
    let id = &request.group;
    let not_found = |what: &str| Refused::new(GroupError::NotFound, format!("Group {id} {what}."));
    let joins = request.epoch == Epoch::JOINING;
    if !groups.contains_key(id) {
        if !joins {
            return Err(not_found("not found"));
        }
        if full {
            return Err(GroupError::CoordinatorNotAvailable.into());
        }
        turn.remember(id, None);
        let kind = Kind::Consumer(ConsumerGroup::new(id.clone()));
        groups.insert(id.clone(), Group::of(kind));
    }
    let Some(group) = groups.get_mut(id) else { return Err(not_found("not found")) };
    if request.epoch < Epoch::JOINING {
        return match &group.kind {
            Kind::Consumer(_) => consumer::leave(&mut group.kind, request, turn),
            Kind::Classic(_) => Err(not_found("is not a consumer group")),
        };
    }
    if matches!(group.kind, Kind::Classic(_)) && !joins {
        return Err(not_found("is not a consumer group"));
    }
    consumer::upgrade(&mut group.kind, request, turn)?;
    match &mut group.kind {
        Kind::Consumer(group) => group.heartbeat(request, turn),
        Kind::Classic(_) => Err(not_found("is not a consumer group")),
    }
}
