//! Members of a consumer group that come, go, are silent, come back as others, miss answers and do
//! what they are told or not, over a log that is slow, fails, and is read again.

use std::collections::BTreeMap;

use super::consumer::Consumer;
use super::*;
use crate::group::name::Epoch;
use crate::group::partitions::Partitions;
use crate::group::request::{ConsumerHeartbeat, GroupState};
use crate::id::TopicId;

/// Nobody ever has what another has; a restart finds what was; whoever does as it is told has, in
/// the end, its share.
#[test]
fn whatever_happens_every_partition_has_one_reader() {
    for seed in 1..=300 {
        Chaos::new(seed).run(200);
    }
}

struct Chaos {
    world: World,
    chance: Chance,
    members: Vec<Consumer>,
    /// Heartbeats that are not answered, and the members that wait for them.
    waiting: BTreeMap<usize, Asker>,
    /// How often each has come back under a new id.
    lives: usize,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut world = if seed.is_multiple_of(2) { World::prompt() } else { World::new() };
        world.quick = false;
        world.topics.create("t", 3);
        world.topics.create("u", 4);
        let members = (0..4).map(|nth| match nth {
            0 => Consumer::named("m0", "i0"),
            _ => Consumer::new(&format!("m{nth}")),
        });
        Chaos {
            world,
            chance: Chance::new(seed),
            members: members.collect(),
            waiting: BTreeMap::new(),
            lives: 0,
        }
    }

    fn run(mut self, steps: u64) {
        for _ in 0..steps {
            let who = self.chance.draw(4) as usize;
            match self.chance.draw(16) {
                0..=1 => self.join(who),
                2..=5 => self.beat(who, true),
                6 => self.beat(who, false),
                7 => self.leave(who),
                8 => self.comes_back(who),
                9 => {
                    let ms = self.chance.draw(30_000);
                    self.world.pass(ms);
                }
                10 if self.chance.draw(4) == 0 => self.crash(),
                11 if self.chance.draw(4) == 0 && !self.world.waiting.is_empty() => {
                    self.world.fail(GroupError::CoordinatorNotAvailable);
                }
                12 if self.chance.draw(4) == 0 => self.change_topics(),
                _ if !self.world.waiting.is_empty() => self.world.write(),
                _ => {}
            }
            self.hear();
            self.check();
        }
        self.settle();
    }

    fn ask(&mut self, who: usize, beat: ConsumerHeartbeat) {
        let asker = self.world.ask(Request::ConsumerHeartbeat(Box::new(beat)));
        self.waiting.insert(who, asker);
    }

    fn topics(&mut self) -> &'static [&'static str] {
        match self.chance.draw(3) {
            0 => &["t"],
            1 => &["t", "u"],
            _ => &["u"],
        }
    }

    fn join(&mut self, who: usize) {
        let topics = self.topics();
        self.members[who].has = Partitions::default();
        let beat = self.members[who].joining(topics);
        self.ask(who, beat);
    }

    /// A heartbeat, which may tell what the member has.
    fn beat(&mut self, who: usize, tells: bool) {
        let member = &self.members[who];
        if member.epoch.0 <= 0 {
            return self.join(who);
        }
        let owned = tells.then(|| member.has.clone());
        let beat = ConsumerHeartbeat { epoch: member.epoch, owned, ..member.beat.clone() };
        self.ask(who, beat);
    }

    fn leave(&mut self, who: usize) {
        let is_static = self.members[who].beat.instance.is_some();
        let away = is_static && self.chance.draw(2) == 0;
        let epoch = if away { Epoch::AWAY } else { Epoch::LEFT };
        let beat = ConsumerHeartbeat { epoch, ..self.members[who].beat.clone() };
        self.members[who].has = Partitions::default();
        self.ask(who, beat);
    }

    /// A new process in the place of another, which may go on as a zombie for a while.
    fn comes_back(&mut self, who: usize) {
        self.lives += 1;
        let member = &mut self.members[who];
        member.beat.member = format!("m{who}.{}", self.lives).as_str().into();
        (member.epoch, member.has) = (Epoch(0), Partitions::default());
        self.join(who);
    }

    fn crash(&mut self) {
        let quiet = self.world.waiting.is_empty();
        let before = quiet.then(|| self.described());
        self.world.restart();
        self.waiting.clear();
        if let Some(before) = before {
            // What a restart itself writes would come later.
            assert_eq!(self.described(), before, "a restart changes nothing");
        }
    }

    fn change_topics(&mut self) {
        match self.chance.draw(3) {
            0 => {
                let topic = self.world.topics.image().topic("t").expect("it").partitions;
                self.world.topics.grow("t", topic + 1);
            }
            1 => {
                self.world.topics.delete("u");
                self.world.topics.create("u", 2);
            }
            _ => {
                let count = self.world.topics.image().topic("u").expect("it").partitions;
                self.world.topics.grow("u", count + 2);
            }
        }
    }

    /// What has been answered.
    fn hear(&mut self) {
        for (who, asker) in std::mem::take(&mut self.waiting) {
            let member = &mut self.members[who];
            match self.world.told(asker) {
                None => drop(self.waiting.insert(who, asker)),
                Some(Reply::ConsumerHeartbeat(Ok(standing))) => {
                    member.epoch = standing.epoch;
                    if let Some(assignment) = standing.assignment {
                        member.has = assignment;
                    }
                }
                Some(Reply::ConsumerHeartbeat(Err(refused))) => match refused.error {
                    GroupError::CoordinatorNotAvailable => {}
                    // It gives up everything.
                    _ => (member.epoch, member.has) = (Epoch(0), Partitions::default()),
                },
                Some(other) => panic!("{other:?}"),
            }
        }
        self.world.replies.clear();
    }

    fn described(&mut self) -> Option<crate::group::request::ConsumerDescription> {
        // Also while batches are on their way.
        match self.world.coordinator.describe_consumer(&GROUP.into()) {
            Reply::DescribeConsumer(result) => result.ok().map(|described| *described),
            other => panic!("{other:?}"),
        }
    }

    /// No partition is two members'; no member is ahead of its group.
    fn check(&mut self) {
        assert!(self.world.coordinator.is_consistent());
        let Some(described) = self.described() else { return };
        let mut owners: BTreeMap<(TopicId, i32), MemberId> = BTreeMap::new();
        let mut targets = owners.clone();
        assert!(described.assignment_epoch <= described.epoch);
        for member in &described.members {
            assert!(member.epoch <= described.assignment_epoch, "{described:?}");
            for partition in member.assignment.iter() {
                let twice = owners.insert(partition, member.member.clone());
                assert_eq!(twice, None, "{partition:?} of {described:?}");
            }
            for partition in member.target.iter() {
                let twice = targets.insert(partition, member.member.clone());
                assert_eq!(twice, None, "{partition:?} is meant for two: {described:?}");
            }
        }
    }

    /// Everyone does as it is told: after some rounds all have their shares.
    fn settle(mut self) {
        self.world.quick = true;
        while !self.world.waiting.is_empty() {
            self.world.write();
        }
        self.hear();
        // Whoever is silent is gone.
        self.world.pass(100_000);
        for who in 0..4 {
            self.comes_back(who);
            self.hear();
        }
        for round in 0..30 {
            self.world.pass(1_000);
            for who in 0..4 {
                self.beat(who, round > 0);
                self.hear();
                self.check();
            }
        }
        let described = self.described().expect("a group");
        assert_eq!((described.state, described.members.len()), (GroupState::Stable, 4));
        let image = self.world.topics.image().clone();
        for name in ["t", "u"] {
            let topic = image.topic(name).expect("it");
            let reads = |member: &crate::group::request::ConsumerMember| {
                member.topics.iter().any(|read| &**read == name)
            };
            let is_read = described.members.iter().any(reads);
            for index in 0..topic.partitions.cast_signed() {
                let has = |member: &&Consumer| member.has.contains(topic.id, index);
                let owners = self.members.iter().filter(has).count();
                assert_eq!(owners, usize::from(is_read), "{name} {index} {described:?}");
            }
        }
        let before = self.described();
        self.world.restart();
        assert_eq!(self.described(), before);
    }
}
