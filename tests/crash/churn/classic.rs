//! A member of a classic group.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelog_tests::live::client::Client;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::heartbeat::HeartbeatRequest;
use corelog_wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use corelog_wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use corelog_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use corelog_wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use corelog_wire::populate::Seed;
use corelog_wire::text::Str;

use super::{AGAIN, End, PARTITIONS, SESSION, Site, may_be, pause};

const JOIN: i16 = 9;
const SYNC: i16 = 5;
const HEARTBEAT: i16 = 4;
const LEAVE: i16 = 5;
const COMMIT: i16 = 10;

struct Member<'a> {
    site: &'a Site,
    client: Client,
    group: &'a str,
    id: Str,
    generation: i32,
    has: Vec<i32>,
}

impl<'a> Member<'a> {
    fn new(site: &'a Site, client: Client, group: &'a str) -> Member<'a> {
        Member { site, client, group, id: Str::new(), generation: -1, has: Vec::new() }
    }
}

/// A life: joins, reads, commits, and goes, with or without a word.
pub(super) fn live(
    site: &Site,
    client: Client,
    group: &str,
    _name: &str,
    seed: &mut Seed,
) -> Result<(), End> {
    let mut member = Member::new(site, client, group);
    while site.goes_on() && !member.joins()? {
        sleep(AGAIN);
    }
    while site.goes_on() {
        pause(seed);
        match seed.below(40) {
            0 => return member.leaves(),
            1 => return Ok(()),
            // Silent for longer than it may be.
            2 if seed.one_in(2) => sleep(SESSION + Duration::from_millis(500)),
            3..=15 => member.commits(seed)?,
            _ => {}
        }
        while site.goes_on() && !member.stays()? {
            while site.goes_on() && !member.joins()? {
                sleep(AGAIN);
            }
        }
    }
    Ok(())
}

/// Two members share the work; what each has.
pub(super) fn settle(site: &Site, group: &str, until: Instant) -> Result<Vec<Vec<i32>>, String> {
    let mut members = Vec::new();
    for _ in 0..2 {
        let client = Client::connect(site.address, super::PATIENCE).map_err(|e| e.to_string())?;
        members.push(Member::new(site, client, group));
    }
    let told = |end: End| match end {
        End::Broken(why) => why,
        End::Lost => "the broker is gone".to_owned(),
    };
    while Instant::now() < until {
        // Both at the same time: each waits for the other.
        std::thread::scope(|scope| {
            let joining: Vec<_> = members
                .iter_mut()
                .map(|member| {
                    scope.spawn(move || {
                        while Instant::now() < until && !member.joins()? {
                            sleep(AGAIN);
                        }
                        Ok(())
                    })
                })
                .collect();
            joining.into_iter().try_for_each(|thread| {
                thread.join().map_err(|_| "a member panicked".to_owned())?.map_err(told)
            })
        })?;
        let [one, other] = &mut members[..] else { return Err("two members".to_owned()) };
        let calm = one.stays().map_err(told)? && other.stays().map_err(told)?;
        let count = one.has.len() + other.has.len();
        if calm && one.generation == other.generation && count as i32 == PARTITIONS {
            return Ok(members.into_iter().map(|member| member.has).collect());
        }
    }
    Err("time is over".to_owned())
}

impl Member<'_> {
    /// Joins and fetches its part; whether it has one now.
    fn joins(&mut self) -> Result<bool, End> {
        self.has.clear();
        let protocol = JoinGroupRequestProtocol {
            name: Str::from_static("range"),
            metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        };
        let request = JoinGroupRequest {
            group_id: Str::from(self.group),
            session_timeout_ms: SESSION.as_millis() as i32,
            rebalance_timeout_ms: SESSION.as_millis() as i32,
            member_id: self.id.clone(),
            protocol_type: Str::from_static("consumer"),
            protocols: vec![protocol],
            ..JoinGroupRequest::default()
        };
        let joined = self.client.call(JOIN, &request)?;
        match joined.error_code {
            ErrorCode::None | ErrorCode::MemberIdRequired => self.id = joined.member_id,
            code => {
                may_be(code)?;
                self.id = Str::new();
            }
        }
        if joined.error_code != ErrorCode::None {
            return Ok(false);
        }
        self.generation = joined.generation_id;
        let members = joined.members.len();
        let share = |place: usize| -> Bytes {
            (0..PARTITIONS as u8).filter(|part| usize::from(*part) % members == place).collect()
        };
        let assignment = |(place, member_id): (usize, Str)| SyncGroupRequestAssignment {
            member_id,
            assignment: share(place),
        };
        let ids = joined.members.into_iter().map(|member| member.member_id).enumerate();
        let request = SyncGroupRequest {
            group_id: Str::from(self.group),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: joined.protocol_type,
            protocol_name: joined.protocol_name,
            assignments: ids.map(assignment).collect(),
            ..SyncGroupRequest::default()
        };
        let synced = self.client.call(SYNC, &request)?;
        if synced.error_code != ErrorCode::None {
            may_be(synced.error_code)?;
            return Ok(false);
        }
        self.has = synced.assignment.iter().map(|part| i32::from(*part)).collect();
        let given = self.site.ledger.given(self.group, self.generation, &self.id, &self.has);
        given.map_err(End::Broken)?;
        Ok(true)
    }

    /// A heartbeat; whether it is still a member where it was.
    fn stays(&mut self) -> Result<bool, End> {
        let request = HeartbeatRequest {
            group_id: Str::from(self.group),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        };
        match self.client.call(HEARTBEAT, &request)?.error_code {
            ErrorCode::None => Ok(true),
            code => {
                may_be(code)?;
                if code == ErrorCode::UnknownMemberId {
                    self.id = Str::new();
                }
                let rejoins = [
                    ErrorCode::UnknownMemberId,
                    ErrorCode::IllegalGeneration,
                    ErrorCode::RebalanceInProgress,
                ];
                Ok(!rejoins.contains(&code))
            }
        }
    }

    fn commits(&mut self, seed: &mut Seed) -> Result<(), End> {
        if self.has.is_empty() {
            return Ok(());
        }
        let partition = self.has[seed.below(self.has.len())];
        let by = By { group: self.group, member: &self.id, epoch: self.generation };
        commit(self.site, &mut self.client, by, partition)
    }

    fn leaves(&mut self) -> Result<(), End> {
        let member = MemberIdentity { member_id: self.id.clone(), ..MemberIdentity::default() };
        let request = LeaveGroupRequest {
            group_id: Str::from(self.group),
            members: vec![member],
            ..LeaveGroupRequest::default()
        };
        let left = self.client.call(LEAVE, &request)?;
        let codes = left.members.iter().map(|member| member.error_code).chain([left.error_code]);
        codes.filter(|code| *code != ErrorCode::None).try_for_each(may_be)
    }
}

/// Who commits.
pub(super) struct By<'a> {
    pub(super) group: &'a str,
    pub(super) member: &'a Str,
    pub(super) epoch: i32,
}

/// Commits the next offset of a partition.
pub(super) fn commit(
    site: &Site,
    client: &mut Client,
    by: By<'_>,
    partition: i32,
) -> Result<(), End> {
    let value = site.ledger.next(by.group, partition);
    let partitions = vec![OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: value,
        ..OffsetCommitRequestPartition::default()
    }];
    let topic_id = site.topic;
    let request = OffsetCommitRequest {
        group_id: Str::from(by.group),
        generation_id_or_member_epoch: by.epoch,
        member_id: by.member.clone(),
        topics: vec![OffsetCommitRequestTopic { topic_id, partitions, ..Default::default() }],
        ..OffsetCommitRequest::default()
    };
    let response = client.call(COMMIT, &request)?;
    match response.topics[0].partitions[0].error_code {
        ErrorCode::None => site.ledger.committed(by.group, partition, value),
        code => {
            may_be(code)?;
            if !super::is_in_doubt(code) {
                site.ledger.refused(by.group, partition, value);
            }
        }
    }
    Ok(())
}
