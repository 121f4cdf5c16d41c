//! On shard 0: the cluster's metadata. Commands are decided, their records appended to the metadata
//! partition, replayed once durable, published to every shard, and only then answered.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::id::{Now, ShardId, Timestamp, TopicPartition};
use crate::log::{Known, LogImage};
use crate::metadata::{
    self, Command, Controller, Delta, Outcome as Decided, Record, Refusal, batch,
};
use crate::place::owner;
use crate::shard::Pending;
use crate::shard::Shard;
use crate::shard::effect::{Effects, FileAction};
use crate::shard::event::{Adopted, Health};
use crate::shard::message::{Answer, CallId, Message};
use crate::shard::partition::{OwnerCall, Waiter};
use crate::shard::request::{Append, AppendError, MetadataError};

/// Bytes of the records of several commands that become one batch. What one alone needs beyond
/// that goes alone: if it is too much for the journal, only that one is refused.
const BYTES_TOGETHER: usize = 64 << 10;

/// A decided command, to be answered when its records are durable and published.
#[derive(Debug)]
struct Decision {
    call: OwnerCall,
    outcome: Result<Decided, Refusal>,
}

#[derive(Debug)]
enum Stage {
    Idle,
    /// Records are being made durable.
    Appending {
        records: Vec<Record>,
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
    waiting: VecDeque<(OwnerCall, Command)>,
    stage: Stage,
}

impl ControllerSeat {
    pub(crate) fn new(controller: Controller) -> ControllerSeat {
        ControllerSeat { controller, waiting: VecDeque::new(), stage: Stage::Idle }
    }

    /// Decides the commands that wait, as many as make no more records than go together; the
    /// others wait for the next time.
    fn take_decided(&mut self) -> Vec<(OwnerCall, metadata::Decision)> {
        let commands: Vec<Command> = self.waiting.iter().map(|(_, c)| c.clone()).collect();
        let decided = match self.controller.decide_all(&commands) {
            Ok(decided) => decided,
            Err(error) => unreachable!("decisions are replayable: {error}"),
        };
        let mut bytes = 0;
        let together = decided.iter().take_while(|decision| {
            let first = bytes == 0;
            bytes += decision.records.iter().map(|record| record.encode().len()).sum::<usize>();
            first || bytes <= BYTES_TOGETHER
        });
        let count = together.count();
        let calls = self.waiting.drain(..count).map(|(call, _)| call);
        calls.zip(decided).collect()
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
        seat.waiting.push_back((OwnerCall { from, id }, command));
        self.decide(now, fx);
    }

    /// Decides everything that waits, unless a decision is under way.
    fn decide(&mut self, now: Now, fx: &mut Effects) {
        let Some(seat) = &mut self.controller else { return };
        if seat.waiting.is_empty() || !matches!(seat.stage, Stage::Idle) {
            return;
        }
        let mut records = Vec::new();
        let mut decisions = Vec::new();
        for (call, decision) in seat.take_decided() {
            records.extend(decision.records);
            decisions.push(Decision { call, outcome: decision.outcome });
        }
        if records.is_empty() {
            return self.answer_commands(now, decisions, fx);
        }
        let batch = batch::encode(&records, now.wall);
        seat.stage = Stage::Appending { records, decisions };
        match batch {
            Some((header, batch)) => {
                let (partition, append_time) = (TopicPartition::METADATA, Timestamp::NONE);
                let append = Append { partition, header, batch, append_time };
                self.append(now, append, Waiter::Controller, fx);
            }
            None => {
                let too_large = Err(AppendError::TooLarge { max: i32::MAX as u32 });
                self.on_records(now, too_large, fx);
            }
        }
    }

    /// The records of a decision are durable, or will not be.
    pub(super) fn on_records(
        &mut self,
        now: Now,
        result: Result<(), AppendError>,
        fx: &mut Effects,
    ) {
        let Some(seat) = &mut self.controller else { return };
        let stage = std::mem::replace(&mut seat.stage, Stage::Idle);
        let Stage::Appending { records, decisions } = stage else {
            seat.stage = stage;
            return;
        };
        if let Err(error) = result {
            for decision in decisions {
                let error = Err(MetadataError::Unwritten(error.clone()));
                self.answer_command(now, decision.call, error, fx);
            }
            return self.decide(now, fx);
        }
        let delta = match seat.controller.replay(&records) {
            Ok(delta) => Arc::new(delta),
            Err(error) => unreachable!("what was decided is replayable: {error}"),
        };
        let open: BTreeSet<ShardId> = (0..self.shards).map(ShardId).collect();
        let version = delta.version;
        seat.stage = Stage::Publishing { version, open: open.clone(), decisions };
        for shard in open {
            self.send(now, shard, Message::Publish(delta.clone()), fx);
        }
    }

    /// A change of the metadata: this shard's partitions follow it.
    pub(super) fn on_publish(&mut self, now: Now, delta: &Arc<Delta>, fx: &mut Effects) {
        for removed in &delta.removed {
            self.remove_partition(now, *removed, fx);
        }
        if !delta.removed.is_empty() {
            self.forget_offsets(now, &delta.image);
        }
        for created in &delta.created {
            if owner(created.partition, self.shards) == self.id {
                let config = Arc::new(self.defaults.with(&created.configs));
                let (partition, log) = (created.partition, LogImage::empty(self.version));
                let (health, known) = (Health::Online, Known::No);
                self.adopt(Adopted { partition, log, config, health, known });
            }
        }
        for changed in &delta.changed {
            let config = Arc::new(self.defaults.with(&changed.configs));
            if let Some((_, partition)) = self.partition(changed.partition) {
                partition.log.set_config(config);
            }
        }
        fx.published = Some(delta.image.clone());
        self.send(now, ShardId(0), Message::Applied(delta.version), fx);
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
        result: Result<Decided, MetadataError>,
        fx: &mut Effects,
    ) {
        self.send(now, call.from, Message::Answer(call.id, Answer::Metadata(result)), fx);
    }

    fn remove_partition(&mut self, now: Now, partition: TopicPartition, fx: &mut Effects) {
        let Some(slot) = self.slots.remove(&partition) else { return };
        self.fail_waiters(now, slot, &AppendError::UnknownPartition, fx);
        self.forget_log(slot);
        let id = self.effect(Pending::Nothing);
        fx.file(id, FileAction::RemovePartition(partition));
    }
}
