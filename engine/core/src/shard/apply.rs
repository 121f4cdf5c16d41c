//! As owner: following the metadata. A change may be about a million partitions, so it is taken in
//! in pieces, between which everything else goes on as if it had not come yet.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::{Instant, Now, ShardId, TopicPartition};
use crate::log::LogConfig;
use crate::metadata::Delta;
use crate::metadata::delta::Fate;
use crate::place::owner;
use crate::shard::effect::{Effects, FileAction};
use crate::shard::event::Adopted;
use crate::shard::message::Message;
use crate::shard::request::AppendError;
use crate::shard::{Pending, Shard};

/// Partitions that are taken in, or let go of, in one step: about a millisecond's worth.
const PIECE: usize = if cfg!(test) { 3 } else { 512 };

/// Partitions that are looked at in one step, most of which may be other shards'.
const LOOKS: usize = if cfg!(test) { 8 } else { 32 << 10 };

/// Changes that are not taken in whole.
#[derive(Debug, Default)]
pub(crate) struct Applying {
    deltas: VecDeque<Arc<Delta>>,
    /// How far the first is.
    at: Position,
    /// When it goes on, if there is one.
    due: Option<Instant>,
}

/// A place within a delta.
#[derive(Debug, Default)]
struct Position {
    change: usize,
    /// Partitions of that change that are done.
    partitions: u32,
    /// The configs of that change, made of what the topic was given.
    config: Option<Arc<LogConfig>>,
}

impl Applying {
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }
}

impl Shard {
    /// The metadata has changed: this shard's partitions follow.
    pub(super) fn on_publish(&mut self, now: Now, delta: Arc<Delta>, fx: &mut Effects) {
        self.applying.deltas.push_back(delta);
        if self.applying.deltas.len() == 1 {
            self.go_on_applying(now, fx);
        }
    }

    /// Takes in the next piece of what has been published.
    pub(super) fn go_on_applying(&mut self, now: Now, fx: &mut Effects) {
        let Some(delta) = self.applying.deltas.front().cloned() else { return };
        self.applying.due = Some(now.instant);
        if !self.apply_piece(now, &delta, fx) {
            return;
        }
        self.applying.deltas.pop_front();
        self.applying.at = Position::default();
        if self.applying.deltas.is_empty() {
            self.applying.due = None;
        }
        if delta.changes.iter().any(|change| change.fate == Fate::Removed) {
            self.forget_offsets(now, &delta.image);
        }
        fx.published = Some(delta.image.clone());
        self.send(now, ShardId(0), Message::Applied(delta.version), fx);
    }

    /// Whether all of the delta is taken in with that.
    fn apply_piece(&mut self, now: Now, delta: &Delta, fx: &mut Effects) -> bool {
        let (mut room, mut looks) = (PIECE, LOOKS);
        while let Some(change) = delta.changes.get(self.applying.at.change) {
            for index in change.partitions.clone().skip(self.applying.at.partitions as usize) {
                if room == 0 || looks == 0 {
                    return false;
                }
                looks -= 1;
                self.applying.at.partitions += 1;
                let partition = change.partition(index);
                if owner(partition, self.shards) == self.id {
                    room -= 1;
                    self.apply(now, partition, &change.fate, fx);
                }
            }
            self.applying.at =
                Position { change: self.applying.at.change + 1, ..Default::default() };
            looks = looks.saturating_sub(1);
        }
        true
    }

    fn apply(&mut self, now: Now, partition: TopicPartition, fate: &Fate, fx: &mut Effects) {
        let configs = match fate {
            Fate::Removed => return self.remove_partition(now, partition, fx),
            Fate::Created(configs) | Fate::Configured(configs) => configs,
        };
        let defaults = &self.defaults;
        let config =
            self.applying.at.config.get_or_insert_with(|| Arc::new(defaults.with(configs)));
        let config = config.clone();
        if matches!(fate, Fate::Created(_)) {
            return self.adopt(Adopted::created(partition, self.version.start, config));
        }
        if let Some((_, partition)) = self.partition(partition) {
            partition.log.set_config(config);
        }
    }

    pub(super) fn remove_partition(
        &mut self,
        now: Now,
        partition: TopicPartition,
        fx: &mut Effects,
    ) {
        let Some(slot) = self.slots.remove(&partition) else { return };
        self.fail_waiters(now, slot, &AppendError::UnknownPartition, fx);
        self.forget_log(slot);
        let id = self.effect(Pending::Nothing);
        fx.file(id, FileAction::RemovePartition(partition));
    }
}
