//! As owner: calls with very many parts are taken in in pieces, in the order in which they came.

use std::collections::VecDeque;

use crate::id::{Instant, Now};
use crate::shard::Shard;
use crate::shard::effect::Effects;
use crate::shard::message::{Call, CallId};
use crate::shard::partition::{OwnerCall, Waiter};
use crate::shard::queue::Queue;
use crate::shard::request::Append;

/// Batches that one step appends, unless it is one: a millisecond's worth.
const APPENDS: usize = if cfg!(test) { 2 } else { 1_000 };

/// Bytes that one step appends, unless one batch has more: copying them takes a millisecond.
const APPEND_BYTES: usize = 4 << 20;

/// What waits for a later turn.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    appends: VecDeque<(Waiter, Append)>,
    /// Reads of this shard's own fetches.
    reads: Queue<CallId, Call>,
    /// When that goes on, if there is any.
    due: Option<Instant>,
}

impl Pieces {
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// A read that is one of many.
    pub(crate) fn add_read(&mut self, now: Now, id: CallId, call: Call) {
        self.reads.push(id, call);
        self.due = Some(now.instant);
    }

    /// Nobody waits for a read any more; whether it still waited here.
    pub(crate) fn withdraw(&mut self, id: CallId) -> bool {
        self.reads.remove(&id).is_some()
    }
}

impl Shard {
    /// Appends the parts of a call, behind those of calls before it.
    pub(super) fn append_parts(
        &mut self,
        now: Now,
        call: OwnerCall,
        parts: Vec<Append>,
        fx: &mut Effects,
    ) {
        let (is_first, is_one) = (self.pieces.appends.is_empty(), parts.len() <= 1);
        let parts = (0..).zip(parts).map(|(part, append)| (Waiter::Call { call, part }, append));
        if is_first && is_one {
            // The usual one.
            parts.for_each(|(waiter, append)| self.append(now, append, waiter, fx));
            return;
        }
        self.pieces.appends.extend(parts);
        match is_first {
            true => self.append_piece(now, fx),
            false => self.pieces.due = Some(now.instant),
        }
    }

    fn append_piece(&mut self, now: Now, fx: &mut Effects) {
        let mut bytes = 0;
        for _ in 0..APPENDS {
            let Some((waiter, append)) = self.pieces.appends.pop_front() else { return };
            bytes += append.batch.len();
            self.append(now, append, waiter, fx);
            if bytes >= APPEND_BYTES {
                break;
            }
        }
        if !self.pieces.appends.is_empty() {
            self.pieces.due = Some(now.instant);
        }
    }

    /// Takes in the next piece of what waits.
    pub(super) fn go_on_with_pieces(&mut self, now: Now, fx: &mut Effects) {
        if self.pieces.due.take().is_none() {
            return;
        }
        self.append_piece(now, fx);
        if let Some((id, call)) = self.pieces.reads.pop() {
            if !self.pieces.reads.is_empty() {
                self.pieces.due = Some(now.instant);
            }
            self.on_call(now, self.id, id, call, fx);
        }
    }
}
