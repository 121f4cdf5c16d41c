//! What requests hold while they wait.

use std::mem::size_of;
use std::sync::Arc;

use crate::group::name::{InstanceId, MemberId};
use crate::group::pattern::Pattern;
use crate::group::request::{
    CommitOffset, CommitRequest, ConsumerHeartbeat, JoinRequest, LeaveRequest, Request, SyncRequest,
};

/// Bytes of an allocation beside what is in it: counts, and room that is not used.
const ALLOCATION: usize = 32;

impl Request {
    /// About how many bytes of memory it takes.
    pub(crate) fn weight(&self) -> usize {
        let (group, more) = match self {
            Request::Join(join) => (&join.group, size_of::<JoinRequest>() + of_join(join)),
            Request::Sync(sync) => (&sync.group, of_sync(sync)),
            Request::Heartbeat(beat) => (&beat.group, of_member(&beat.member, &beat.instance)),
            Request::Leave(leave) => (&leave.group, of_leave(leave)),
            Request::ConsumerHeartbeat(beat) => {
                (&beat.group, size_of::<ConsumerHeartbeat>() + of_heartbeat(beat))
            }
            Request::Commit(commit) => (&commit.group, of_commit(commit)),
            Request::Fetch(fetch) => {
                (&fetch.group, of_topics(fetch.topics.as_deref().unwrap_or_default()))
            }
            Request::DeleteOffsets(request) => (&request.group, of_topics(&request.topics)),
            Request::Delete(group)
            | Request::Describe(group)
            | Request::DescribeConsumer(group)
            | Request::History(group) => (group, 0),
            Request::List => return size_of::<Request>(),
        };
        size_of::<Request>() + of_name(group.as_str()) + more
    }
}

fn of_name(name: &str) -> usize {
    name.len() + ALLOCATION
}

fn of_member(member: &MemberId, instance: &Option<InstanceId>) -> usize {
    let instance = instance.as_ref().map_or(0, |instance| of_name(instance.as_str()));
    of_name(member.as_str()) + instance
}

fn of_join(join: &JoinRequest) -> usize {
    let protocols = join.protocols.iter();
    let protocols = protocols.map(|known| of_name(&known.name) + known.metadata.len() + ALLOCATION);
    let names = [&join.client_id, &join.client_host, &join.client_software, &join.protocol_type];
    names.into_iter().map(|name| of_name(name)).sum::<usize>()
        + of_member(&join.member, &join.instance)
        + protocols.sum::<usize>()
}

fn of_sync(sync: &SyncRequest) -> usize {
    let assignments = sync.assignments.iter();
    of_member(&sync.member, &sync.instance)
        + assignments
            .map(|(to, what)| of_name(to.as_str()) + what.len() + ALLOCATION)
            .sum::<usize>()
}

fn of_leave(leave: &LeaveRequest) -> usize {
    let of = |(member, instance): &(MemberId, Option<InstanceId>)| {
        size_of::<(MemberId, Option<InstanceId>)>() + of_member(member, instance)
    };
    leave.members.iter().map(of).sum()
}

fn of_heartbeat(heartbeat: &ConsumerHeartbeat) -> usize {
    let pattern = heartbeat.regex.as_ref().map(Pattern::text);
    let names = [heartbeat.rack.as_ref(), pattern, heartbeat.assignor.as_ref()];
    let topics = heartbeat.topics.iter().flatten();
    let owned = heartbeat.owned.as_ref().map_or(0, |owned| owned.count() * ALLOCATION);
    names.into_iter().flatten().map(|name| of_name(name)).sum::<usize>()
        + of_member(&heartbeat.member, &heartbeat.instance)
        + topics.map(|name| of_name(name)).sum::<usize>()
        + owned
}

/// The names of topics are the metadata's.
fn of_commit(commit: &CommitRequest) -> usize {
    let offsets = commit.offsets.iter();
    of_member(&commit.member, &commit.instance)
        + offsets.map(|offset| size_of::<CommitOffset>() + of_name(&offset.metadata)).sum::<usize>()
}

fn of_topics(topics: &[(Arc<str>, Vec<i32>)]) -> usize {
    let of = |(name, partitions): &(Arc<str>, Vec<i32>)| {
        size_of::<(Arc<str>, Vec<i32>)>() + of_name(name) + partitions.len() * size_of::<i32>()
    };
    topics.iter().map(of).sum()
}
