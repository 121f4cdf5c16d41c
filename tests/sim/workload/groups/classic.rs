//! Members of one classic group: whoever leads divides six pieces of work. In one generation no
//! piece is given to two.

use bytes::Bytes;
use corelog_engine::group::name::{Generation, MemberId};
use corelog_engine::group::request::{
    GroupError, HeartbeatRequest, JoinKnows, JoinRequest, Joined, Protocol, Request as Question,
    SyncRequest, Synced,
};

use super::{Asked, Groups};
use crate::sim::model::Check;
use crate::sim::scenario::SESSION_MS;
use crate::sim::workload::{Asking, Setting, Workload};

const GROUP: usize = 1;
const PIECES: u8 = 6;

/// How far a member is.
#[derive(Debug)]
enum Step {
    Joins,
    /// What it was told; it leads if that lists members.
    Syncs(Joined),
    Works(Generation),
}

/// A member.
#[derive(Debug)]
pub(super) struct Classic {
    name: usize,
    id: MemberId,
    step: Step,
    waits: bool,
}

impl Classic {
    pub(super) fn new(name: usize) -> Classic {
        Classic { name, id: MemberId::default(), step: Step::Joins, waits: false }
    }

    /// Whatever it was told is in doubt.
    pub(super) fn unanswered(&mut self) {
        (self.step, self.waits) = (Step::Joins, false);
    }

    pub(super) fn beaten(&mut self, result: Result<(), GroupError>) -> Check {
        self.waits = false;
        match result {
            Ok(()) => {}
            Err(GroupError::UnknownMember) => *self = Classic::new(self.name),
            Err(error) if may_be_told(error) => self.step = Step::Joins,
            Err(error) => return Err(format!("{self:?} is told {error:?}")),
        }
        Ok(())
    }
}

/// What a member may hear that has to begin again, or to ask again.
fn may_be_told(error: GroupError) -> bool {
    matches!(
        error,
        GroupError::RebalanceInProgress
            | GroupError::IllegalGeneration
            | GroupError::UnknownMember
            | GroupError::CoordinatorNotAvailable
            | GroupError::NotCoordinator
    )
}

impl Groups {
    pub(super) fn joined(
        &mut self,
        who: usize,
        result: Result<Joined, (GroupError, MemberId)>,
    ) -> Check {
        let member = &mut self.classics[who];
        member.waits = false;
        match result {
            Ok(joined) => {
                member.id = joined.member.clone();
                member.step = Step::Syncs(joined);
            }
            Err((GroupError::MemberIdRequired, id)) => member.id = id,
            Err((GroupError::UnknownMember, _)) => *member = Classic::new(member.name),
            Err((error, _)) if may_be_told(error) => {}
            Err((error, _)) => return Err(format!("{member:?} may not join: {error:?}")),
        }
        Ok(())
    }

    pub(super) fn synced(&mut self, who: usize, result: Result<Synced, GroupError>) -> Check {
        let member = &mut self.classics[who];
        member.waits = false;
        let Step::Syncs(joined) = &member.step else { return Ok(()) };
        let generation = joined.generation;
        let synced = match result {
            Ok(synced) => synced,
            Err(error) => return member.beaten(Err(error)),
        };
        member.step = Step::Works(generation);
        for piece in synced.assignment {
            let key = (generation.0, i32::from(piece));
            let owner = *self.given.entry(key).or_insert(who);
            if owner != who {
                return Err(format!("piece {piece} of {generation:?} is {owner}'s and {who}'s"));
            }
        }
        Ok(())
    }
}

impl Workload {
    pub(super) fn classic(&mut self, setting: Setting) -> Option<Asking> {
        let count = self.groups.classics.len() as u64;
        let who = (count > 0).then(|| self.rng.below(count) as usize)?;
        let (dies, fresh) = (self.rng.one_in(60), self.rng.id());
        let member = &mut self.groups.classics[who];
        if member.waits {
            return None;
        }
        if dies {
            *member = Classic::new(member.name);
        }
        member.waits = true;
        let (request, asked) = match &member.step {
            Step::Joins => (join(member, fresh), Asked::Join { who }),
            Step::Syncs(joined) => (sync(member, joined), Asked::Sync { who }),
            Step::Works(generation) => {
                let request = HeartbeatRequest {
                    group: "classic".into(),
                    member: member.id.clone(),
                    instance: None,
                    generation: *generation,
                };
                (Question::Heartbeat(request), Asked::Heartbeat { who })
            }
        };
        self.ask_group(setting, GROUP, request, asked)
    }
}

fn join(member: &Classic, fresh: [u8; 16]) -> Question {
    // A consumer's subscription, to nothing.
    let metadata = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    Question::Join(Box::new(JoinRequest {
        group: "classic".into(),
        member: member.id.clone(),
        instance: None,
        client_id: format!("c{}", member.name).into(),
        client_host: "/127.0.0.1".into(),
        client_software: "".into(),
        session_ms: SESSION_MS,
        rebalance_ms: SESSION_MS,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata }],
        fresh,
        knows: JoinKnows { member_id_required: true, skip_assignment: true },
    }))
}

fn sync(member: &Classic, joined: &Joined) -> Question {
    let members = &joined.members;
    let share = |place: usize| -> Bytes {
        (0..PIECES).filter(|piece| usize::from(*piece) % members.len() == place).collect()
    };
    let assignments = members.iter().enumerate();
    Question::Sync(SyncRequest {
        group: "classic".into(),
        member: member.id.clone(),
        instance: None,
        generation: joined.generation,
        protocol_type: joined.protocol_type.clone(),
        protocol: joined.protocol.clone(),
        assignments: assignments.map(|(place, one)| (one.member.clone(), share(place))).collect(),
    })
}
