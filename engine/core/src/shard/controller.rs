//! On shard 0: the cluster's metadata. Commands are decided, their records appended to the metadata
//! partition, published to every shard once durable, and only then answered. Deciding is a job:
//! what a command makes grows with what is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::{Now, ShardId, Timestamp, TopicPartition};
use crate::metadata::job::{Change, Decided, Undecidable, Undecided};
use crate::metadata::{Command, Controller, Outcome as Answered, Refusal};
use crate::shard::effect::Effects;
use crate::shard::job::{Job, RunJob};
use crate::shard::message::{Answer, CallId, Message};
use crate::shard::partition::{OwnerCall, Waiter};
use crate::shard::queue::Queue;
use crate::shard::request::{Append, AppendError, MetadataError};
use crate::shard::{Pending, Shard};

/// Bytes of the records of several commands that become one batch, about. What one alone needs
/// beyond that goes alone: if it is too much for the journal, only that one is refused.
const BYTES_TOGETHER: usize = 64 << 10;

/// A command's answer, to be given when its records are durable and published.
#[derive(Debug)]
struct Decision {
    call: OwnerCall,
    outcome: Result<Answered, Refusal>,
}

#[derive(Debug)]
enum Stage {
    Idle,
    /// Commands are being decided.
    Deciding(Vec<OwnerCall>),
    /// Records are being made durable.
    Appending {
        change: Box<Change>,
        decisions: Vec<Decision>,
    },
    /// Shards are taking in the change.
    Publishing {
        version: u64,
        open: BTreeSet<ShardId>,
        decisions: Vec<Decision>,
    },
}

/// The controller and the commands it has before it.
#[derive(Debug)]
pub(crate) struct ControllerSeat {
    controller: Controller,
    waiting: Queue<OwnerCall, Command>,
    stage: Stage,
}

impl ControllerSeat {
    pub(crate) fn new(controller: Controller) -> ControllerSeat {
        ControllerSeat { controller, waiting: Queue::default(), stage: Stage::Idle }
    }

    /// Commands that wait to be decided.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the commands that go together from the front of those that wait.
    fn take_together(&mut self) -> (Vec<OwnerCall>, Vec<Command>) {
        let (mut calls, mut commands) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        while let Some(first) = self.waiting.first() {
            bytes += first.weight(BYTES_TOGETHER);
            if bytes > BYTES_TOGETHER && !commands.is_empty() {
                break;
            }
            let Some((call, command)) = self.waiting.pop() else { break };
            calls.push(call);
            commands.push(command);
        }
        (calls, commands)
    }
}

impl Shard {
    pub(super) fn on_command(
        &mut self,
        now: Now,
        from: ShardId,
        id: CallId,
        command: Command,
        fx: &mut Effects,
    ) {
        let Some(seat) = &mut self.controller else { return };
        seat.waiting.push(OwnerCall { from, id }, command);
        self.decide(now, fx);
    }

    /// Nobody waits for a command any more. One that is being decided takes effect all the same.
    pub(super) fn withdraw_command(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        let Some(seat) = &mut self.controller else { return };
        if seat.waiting.remove(&call).is_some() {
            let withdrawn = Err(MetadataError::Unwritten(AppendError::Busy));
            self.answer_command(now, call, withdrawn, fx);
        }
    }

    /// Has what waits decided, unless something is under way.
    fn decide(&mut self, now: Now, fx: &mut Effects) {
        let Some(seat) = &mut self.controller else { return };
        if seat.waiting.is_empty() || !matches!(seat.stage, Stage::Idle) {
            return;
        }
        let (calls, commands) = seat.take_together();
        seat.stage = Stage::Deciding(calls);
        let controller = seat.controller.clone();
        let undecided = Box::new(Undecided { controller, commands, now: now.wall });
        let id = self.effect(Pending::Decide);
        fx.jobs.push(RunJob { id, job: Job::Decide(undecided) });
    }

    /// Commands are decided.
    pub(super) fn on_decided(
        &mut self,
        now: Now,
        decided: Arc<Result<Decided, Undecidable>>,
        fx: &mut Effects,
    ) {
        let Some(seat) = &mut self.controller else { return };
        let calls = match std::mem::replace(&mut seat.stage, Stage::Idle) {
            Stage::Deciding(calls) => calls,
            other => return seat.stage = other,
        };
        match Arc::unwrap_or_clone(decided) {
            Ok(Decided { outcomes, change }) => {
                let decisions = calls.into_iter().zip(outcomes);
                let decisions =
                    decisions.map(|(call, outcome)| Decision { call, outcome }).collect();
                match change {
                    Some(change) => return self.append_change(now, change, decisions, fx),
                    None => self.answer_commands(now, decisions, fx),
                }
            }
            Err(undecidable) => {
                for call in calls {
                    let error = Err(MetadataError::from(undecidable.clone()));
                    self.answer_command(now, call, error, fx);
                }
            }
        }
        self.decide(now, fx);
    }

    fn append_change(
        &mut self,
        now: Now,
        change: Change,
        decisions: Vec<Decision>,
        fx: &mut Effects,
    ) {
        let Some(seat) = &mut self.controller else { return };
        let (header, batch) = (change.header, change.batch.clone());
        seat.stage = Stage::Appending { change: Box::new(change), decisions };
        let (partition, append_time) = (TopicPartition::METADATA, Timestamp::NONE);
        self.append(now, Append { partition, header, batch, append_time }, Waiter::Controller, fx);
    }

    /// The records of a decision are durable, or will not be.
    pub(super) fn on_records(
        &mut self,
        now: Now,
        result: Result<(), AppendError>,
        fx: &mut Effects,
    ) {
        let Some(seat) = &mut self.controller else { return };
        let (change, decisions) = match std::mem::replace(&mut seat.stage, Stage::Idle) {
            Stage::Appending { change, decisions } => (change, decisions),
            other => return seat.stage = other,
        };
        if let Err(error) = result {
            for decision in decisions {
                let error = Err(MetadataError::Unwritten(error.clone()));
                self.answer_command(now, decision.call, error, fx);
            }
            return self.decide(now, fx);
        }
        let Change { controller, delta, .. } = *change;
        seat.controller = controller;
        let open: BTreeSet<ShardId> = (0..self.shards).map(ShardId).collect();
        let version = delta.version;
        seat.stage = Stage::Publishing { version, open: open.clone(), decisions };
        for shard in open {
            self.send(now, shard, Message::Publish(delta.clone()), fx);
        }
    }

    /// A shard has taken in a change.
    pub(super) fn on_applied(&mut self, now: Now, from: ShardId, version: u64, fx: &mut Effects) {
        let Some(seat) = &mut self.controller else { return };
        let Stage::Publishing { version: published, open, .. } = &mut seat.stage else { return };
        if *published != version {
            return;
        }
        open.remove(&from);
        if !open.is_empty() {
            return;
        }
        let stage = std::mem::replace(&mut seat.stage, Stage::Idle);
        if let Stage::Publishing { decisions, .. } = stage {
            self.answer_commands(now, decisions, fx);
        }
        self.decide(now, fx);
    }

    fn answer_commands(&mut self, now: Now, decisions: Vec<Decision>, fx: &mut Effects) {
        for decision in decisions {
            let result = decision.outcome.map_err(MetadataError::Refused);
            self.answer_command(now, decision.call, result, fx);
        }
    }

    fn answer_command(
        &mut self,
        now: Now,
        call: OwnerCall,
        result: Result<Answered, MetadataError>,
        fx: &mut Effects,
    ) {
        self.send(now, call.from, Message::Answer(call.id, Answer::Metadata(result)), fx);
    }
}

impl From<Undecidable> for MetadataError {
    fn from(undecidable: Undecidable) -> MetadataError {
        match undecidable {
            Undecidable::TooLarge => {
                MetadataError::Unwritten(AppendError::TooLarge { max: i32::MAX as u32 })
            }
            Undecidable::Contradiction(error) => MetadataError::Contradiction(error),
        }
    }
}
