//! What a restart finds, and that it is what was there.

use super::*;
use crate::group::request::GroupState;

#[test]
fn members_go_on_where_they_were() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let joined = world.stable(&mut members);
    let before = world.describe();
    world.pass(SESSION_MS as u64 - 1);
    world.restart();
    assert_eq!(world.describe(), before);
    // Their time begins again.
    world.pass(SESSION_MS as u64 - 1);
    for one in &joined {
        assert_eq!(world.heartbeat(&one.member, one.generation), Ok(()));
    }
    world.pass(SESSION_MS as u64);
    assert_eq!(world.describe().expect("a group").state, GroupState::Empty);
}

#[test]
fn a_rebalance_that_did_not_end_never_was() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let joined = world.stable(&mut members);
    let leader = members.iter().find(|m| m.join.member == joined[0].member).expect("it").clone();
    world.join(&leader);
    assert_eq!(world.describe().expect("a group").state, GroupState::PreparingRebalance);
    world.replies.clear();
    world.restart();
    let described = world.describe().expect("a group");
    assert_eq!((described.state, described.members.len()), (GroupState::Stable, 2));
    assert_eq!(world.heartbeat(&joined[1].member, Generation(1)), Ok(()));
}

#[test]
fn everything_that_was_committed_is_there() {
    let mut world = World::new();
    for (partition, offset) in [(0, 5), (1, 7), (0, 6)] {
        world.commit(commit("t", partition, offset)).expect("committed").remove(0).expect("it");
    }
    world.restart();
    assert_eq!([0, 1].map(|p| world.committed("t", p)), [Some(6), Some(7)]);
}

/// Members that come, go, are silent and commit, over a log that is slow, fails, and is read again:
/// nothing that was acknowledged is lost, and everyone is answered.
#[test]
fn whatever_happens_a_restart_finds_what_was_acknowledged() {
    for seed in 1..=200 {
        Chaos::new(seed).run(300);
    }
}

struct Chaos {
    world: World,
    chance: Chance,
    members: Vec<Member>,
    generations: Vec<Generation>,
    /// What was acknowledged, by partition.
    acknowledged: BTreeMap<i32, i64>,
    commits: Vec<(Asker, i32, i64)>,
    joins: Vec<(Asker, usize)>,
    syncs: Vec<Asker>,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let members = (0..4).map(|nth| match nth {
            0 => Member::named("c0", "i0"),
            _ => Member::new(&format!("c{nth}")),
        });
        let mut world = World::new();
        world.quick = false;
        Chaos {
            world,
            chance: Chance::new(seed),
            members: members.collect(),
            generations: vec![Generation(-1); 4],
            acknowledged: BTreeMap::new(),
            commits: Vec::new(),
            joins: Vec::new(),
            syncs: Vec::new(),
        }
    }

    fn run(mut self, steps: u64) {
        for step in 0..steps {
            let who = self.chance.draw(4) as usize;
            match self.chance.draw(12) {
                0..=2 => self.join(who),
                3 => self.commit(who, step as i64),
                4 => drop(self.world.ask(Request::Commit(commit("t", 9, 0)))),
                5 => self.leave(who),
                6 => {
                    let ms = self.chance.draw(20_000);
                    self.world.pass(ms);
                }
                7 if self.chance.draw(4) == 0 => self.crash(),
                8 if self.chance.draw(4) == 0 && !self.world.waiting.is_empty() => {
                    self.world.fail(GroupError::CoordinatorNotAvailable);
                }
                _ if !self.world.waiting.is_empty() => self.world.write(),
                _ => {}
            }
            self.hear();
        }
        self.world.quick = true;
        while !self.world.waiting.is_empty() {
            self.world.write();
        }
        self.world.pass(600_000);
        self.hear();
        assert!(self.joins.is_empty(), "{} joins are not answered", self.joins.len());
        assert!(self.syncs.is_empty() && self.commits.is_empty(), "somebody is not answered");
        self.check();
    }

    fn join(&mut self, who: usize) {
        let asker = self.world.join(&self.members[who].clone());
        self.joins.push((asker, who));
    }

    fn commit(&mut self, who: usize, offset: i64) {
        let partition = self.chance.draw(3) as i32;
        let member = self.members[who].join.member.clone();
        let generation = self.generations[who];
        let request = CommitRequest { member, generation, ..commit("t", partition, offset) };
        let asker = self.world.ask(Request::Commit(request));
        self.commits.push((asker, partition, offset));
    }

    fn leave(&mut self, who: usize) {
        let id = self.members[who].join.member.clone();
        let members = vec![(id, None)];
        self.world.ask(Request::Leave(LeaveRequest { group: GROUP.into(), members }));
        self.members[who].join.member = MemberId::default();
    }

    /// Takes in what was answered.
    fn hear(&mut self) {
        for (asker, who) in std::mem::take(&mut self.joins) {
            match self.world.told(asker) {
                None => self.joins.push((asker, who)),
                Some(Reply::Join(Ok(joined))) => {
                    self.members[who].join.member = joined.member.clone();
                    self.generations[who] = joined.generation;
                    let sync = self.world.sync(&joined, &[(&joined.member, "part")]);
                    self.syncs.push(sync);
                }
                Some(Reply::Join(Err(refused))) => {
                    let named = refused.error == GroupError::MemberIdRequired;
                    self.members[who].join.member =
                        if named { refused.member } else { MemberId::default() };
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        self.syncs.retain(|asker| self.world.replies.remove(asker).is_none());
        for (asker, partition, offset) in std::mem::take(&mut self.commits) {
            match self.world.told(asker) {
                None => self.commits.push((asker, partition, offset)),
                Some(Reply::Commit(Ok(results))) if results[0].is_ok() => {
                    self.acknowledged.insert(partition, offset);
                }
                Some(_) => {}
            }
        }
    }

    /// The broker is gone and comes back; whoever waited is not answered.
    fn crash(&mut self) {
        self.joins.clear();
        self.syncs.clear();
        // Some of these may be in the log all the same.
        self.commits.clear();
        self.world.replies.clear();
        self.world.restart();
        self.check();
    }

    fn check(&mut self) {
        for (partition, offset) in self.acknowledged.clone() {
            let found = self.world.committed("t", partition);
            assert!(found >= Some(offset), "partition {partition}: {found:?} for {offset}");
        }
    }
}
