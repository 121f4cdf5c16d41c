//! Groups from outside: requests in, answers out, with a log that keeps what it is given.

mod classic;
mod consumer;
mod consumer_chaos;
mod consumer_rules;
mod migration;
mod offsets;
mod own_times;
mod restart;
mod stat;
mod topics;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::group::coordinator::{BatchNumber, Coordinator, Output};
use crate::group::history::Rebalance;
use crate::group::name::{Generation, InstanceId, MemberId};
use crate::group::record::Record;
use crate::group::request::{
    Asker, CommitOffset, CommitRequest, Description, FetchRequest, GroupError, HeartbeatRequest,
    JoinKnows, JoinRefused, JoinRequest, Joined, LeaveRequest, Protocol, Reply, Request,
    SyncRequest, Synced,
};
use crate::group::settings::GroupSettings;
use crate::id::{Instant, Now, Offset, Timestamp};

const GROUP: &str = "g";
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;
const DELAY_MS: u64 = 3_000;

/// A coordinator with a log.
struct World {
    coordinator: Coordinator,
    topics: topics::Topics,
    settings: GroupSettings,
    now: Now,
    log: Vec<Record>,
    /// Batches that are not durable.
    waiting: VecDeque<(BatchNumber, Vec<Record>)>,
    /// Whether batches are durable at once.
    quick: bool,
    replies: BTreeMap<Asker, Reply>,
    askers: u64,
}

impl World {
    fn new() -> World {
        World::with(GroupSettings::default())
    }

    fn with(settings: GroupSettings) -> World {
        let mut world = World {
            coordinator: Coordinator::new(settings.clone()),
            topics: topics::Topics::new(),
            settings,
            now: Now { instant: Instant(0), wall: Timestamp(1_700_000_000_000) },
            log: Vec::new(),
            waiting: VecDeque::new(),
            quick: true,
            replies: BTreeMap::new(),
            askers: 0,
        };
        let loaded = world.coordinator.loaded(world.now);
        world.take(loaded);
        world
    }

    /// Another coordinator, with what is in the log.
    fn restart(&mut self) {
        self.waiting.clear();
        self.coordinator = Coordinator::new(self.settings.clone());
        self.coordinator.learn(self.topics.image());
        for record in self.log.clone() {
            let stored = record.encode();
            let read = Record::decode(&stored.key, stored.value.as_deref()).expect("a record");
            assert_eq!(read.as_ref(), Some(&record));
            self.coordinator.replay(record, self.now);
        }
        let loaded = self.coordinator.loaded(self.now);
        self.take(loaded);
    }

    fn take(&mut self, output: Output) {
        for (asker, reply) in output.replies {
            let twice = self.replies.insert(asker, reply);
            assert_eq!(twice, None, "{asker:?} is answered twice");
        }
        self.waiting.extend(output.batch);
        for lookup in output.lookups {
            let output = self.coordinator.matched(self.now, lookup.run());
            self.take(output);
        }
        while self.quick && !self.waiting.is_empty() {
            self.write();
        }
    }

    /// The oldest batch is durable.
    fn write(&mut self) {
        let (number, records) = self.waiting.pop_front().expect("a batch");
        self.log.extend(records);
        let output = self.coordinator.durable(self.now, number);
        self.take(output);
    }

    /// The oldest batch, and all behind it, cannot be written.
    fn fail(&mut self, error: GroupError) {
        let (number, _) = self.waiting.pop_front().expect("a batch");
        self.waiting.clear();
        let output = self.coordinator.failed(self.now, number, error);
        self.take(output);
    }

    fn ask(&mut self, request: Request) -> Asker {
        self.askers += 1;
        let asker = Asker(self.askers);
        self.coordinator.learn(self.topics.image());
        let output = self.coordinator.request(self.now, asker, request);
        self.take(output);
        asker
    }

    fn answer(&mut self, request: Request) -> Reply {
        let asker = self.ask(request);
        self.replies.remove(&asker).expect("an answer at once")
    }

    fn told(&mut self, asker: Asker) -> Option<Reply> {
        self.replies.remove(&asker)
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now.instant.plus_ms(ms);
        while let Some(at) = self.coordinator.next_deadline().filter(|at| *at <= until) {
            self.set(at);
            let output = self.coordinator.tick(self.now);
            self.take(output);
        }
        self.set(until);
    }

    fn set(&mut self, at: Instant) {
        let ms = at.ms_since(self.now.instant);
        self.now.wall = Timestamp(self.now.wall.0 + ms as i64);
        self.now.instant = at;
    }
}

/// Chance that a seed repeats.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// What a member would ask.
impl World {
    fn join(&mut self, member: &Member) -> Asker {
        self.askers += 1;
        let mut request = member.join.clone();
        request.fresh[0] = self.askers as u8;
        self.ask(Request::Join(Box::new(request)))
    }

    fn joined(&mut self, asker: Asker) -> Result<Joined, JoinRefused> {
        match self.told(asker) {
            Some(Reply::Join(result)) => result,
            other => panic!("{asker:?} is told {other:?}"),
        }
    }

    /// Joins with an id that was asked for first.
    fn enter(&mut self, member: &mut Member) -> Asker {
        let asker = self.join(member);
        let refused = self.joined(asker).expect_err("it has no id");
        assert_eq!(refused.error, GroupError::MemberIdRequired);
        member.join.member = refused.member;
        self.join(member)
    }

    fn sync(&mut self, joined: &Joined, assignments: &[(&MemberId, &'static str)]) -> Asker {
        let assign = |(id, bytes): &(&MemberId, &'static str)| {
            ((*id).clone(), Bytes::from_static(bytes.as_bytes()))
        };
        self.sync_bytes(joined, assignments.iter().map(assign).collect())
    }

    fn sync_bytes(&mut self, joined: &Joined, assignments: Vec<(MemberId, Bytes)>) -> Asker {
        self.ask(Request::Sync(SyncRequest {
            group: GROUP.into(),
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: joined.protocol_type.clone(),
            protocol: joined.protocol.clone(),
            assignments,
        }))
    }

    fn synced(&mut self, asker: Asker) -> Result<Synced, GroupError> {
        match self.told(asker) {
            Some(Reply::Sync(result)) => result,
            other => panic!("{asker:?} is told {other:?}"),
        }
    }

    fn heartbeat(&mut self, member: &MemberId, generation: Generation) -> Result<(), GroupError> {
        let (group, member) = (GROUP.into(), member.clone());
        let request = HeartbeatRequest { group, member, instance: None, generation };
        match self.answer(Request::Heartbeat(request)) {
            Reply::Heartbeat(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn leave(
        &mut self,
        members: &[(&str, Option<&str>)],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let leaves = |(id, instance): &(&str, Option<&str>)| {
            (MemberId::from(*id), instance.map(InstanceId::from))
        };
        let members = members.iter().map(leaves).collect();
        match self.answer(Request::Leave(LeaveRequest { group: GROUP.into(), members })) {
            Reply::Leave(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn describe(&mut self) -> Option<Description> {
        match self.answer(Request::Describe(GROUP.into())) {
            Reply::Describe(result) => result.ok().map(|described| *described),
            other => panic!("{other:?}"),
        }
    }

    /// Why the group has rebalanced, the newest last.
    fn history(&mut self) -> Vec<Rebalance> {
        match self.answer(Request::History(GROUP.into())) {
            Reply::History(history) => history,
            other => panic!("{other:?}"),
        }
    }

    /// A stable group of so many members; what each was told when it joined, the leader first.
    fn stable(&mut self, members: &mut [Member]) -> Vec<Joined> {
        let askers: Vec<Asker> = members.iter_mut().map(|member| self.enter(member)).collect();
        self.pass(3 * DELAY_MS);
        let mut joined: Vec<Joined> =
            askers.into_iter().map(|asker| self.joined(asker).expect("joined")).collect();
        joined.sort_by_key(|joined| joined.member != joined.leader);
        let syncs: Vec<Asker> = joined.clone().iter().map(|one| self.sync(one, &[])).collect();
        for sync in syncs {
            self.synced(sync).expect("synced");
        }
        joined
    }

    fn commit(
        &mut self,
        request: CommitRequest,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        match self.answer(Request::Commit(request)) {
            Reply::Commit(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// What is committed for a partition of a topic.
    fn committed(&mut self, topic: &str, partition: i32) -> Option<i64> {
        let topics = Some(vec![(Arc::from(topic), vec![partition])]);
        let request = FetchRequest { group: GROUP.into(), member: None, stable: false, topics };
        match self.answer(Request::Fetch(request)) {
            Reply::Fetch(Ok(topics)) => {
                topics[0].partitions[0].1.as_ref().map(|committed| committed.offset.0)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A client.
#[derive(Clone)]
struct Member {
    join: JoinRequest,
}

impl Member {
    fn new(client: &str) -> Member {
        Member {
            join: JoinRequest {
                group: GROUP.into(),
                member: MemberId::default(),
                instance: None,
                client_id: client.into(),
                client_host: "/127.0.0.1".into(),
                client_software: "".into(),
                session_ms: SESSION_MS,
                rebalance_ms: REBALANCE_MS,
                protocol_type: "consumer".into(),
                protocols: vec![protocol("range", &["t"])],
                fresh: [0; 16],
                knows: JoinKnows { member_id_required: true, skip_assignment: true },
            },
        }
    }

    fn named(client: &str, instance: &str) -> Member {
        let mut member = Member::new(client);
        member.join.instance = Some(instance.into());
        member
    }

    fn with(mut self, change: impl FnOnce(&mut JoinRequest)) -> Member {
        change(&mut self.join);
        self
    }
}

/// A consumer's words: a subscription of version 0.
fn protocol(name: &str, topics: &[&str]) -> Protocol {
    let mut metadata = vec![0, 0];
    metadata.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        metadata.extend((topic.len() as i16).to_be_bytes());
        metadata.extend(topic.as_bytes());
    }
    metadata.extend((-1i32).to_be_bytes());
    Protocol { name: name.into(), metadata: metadata.into() }
}

/// A commit of one offset by nobody in particular.
fn commit(topic: &str, partition: i32, offset: i64) -> CommitRequest {
    CommitRequest {
        group: GROUP.into(),
        member: MemberId::default(),
        instance: None,
        generation: Generation(-1),
        retention_ms: None,
        knows_not_found: true,
        offsets: vec![CommitOffset {
            topic: topic.into(),
            topic_id: None,
            partition,
            offset: Offset(offset),
            epoch: None,
            metadata: "".into(),
        }],
    }
}
