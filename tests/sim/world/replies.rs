//! Replies on their way to clients. Pieces of files are read when they arrive: what a plan names
//! must stay as it is, even when its file is removed.

use bytes::{Bytes, BytesMut};
use corelog_engine::id::ShardId;
use corelog_engine::log::EpochEnd;
use corelog_engine::shard::event::Ticket;
use corelog_engine::shard::request::{Fetched, Piece, ReadError, Reply};

use super::{Due, Step, World, broken, check};
use crate::sim::disk::{Inode, Name};
use crate::sim::model::Read;
use crate::sim::workload::Answer;

/// Tickets from here on are the world's own.
pub(super) const DIRECT: u64 = 1 << 40;

/// A fetch's answer on its way.
#[derive(Debug)]
pub(super) struct Delivery(Vec<Result<Planned, ReadError>>);

#[derive(Debug)]
struct Planned {
    high: i64,
    start: i64,
    diverging: Option<EpochEnd>,
    pieces: Vec<Held>,
}

#[derive(Debug)]
enum Held {
    Memory(Bytes),
    File(Inode, u64, u64),
}

impl World {
    pub(super) fn reply(&mut self, shard: ShardId, ticket: Ticket, reply: Reply) -> Step<()> {
        self.trace.note(self.now, "reply", &[u64::from(shard.0), ticket.0], &reply);
        let answer = match reply {
            Reply::Produce(results) => Answer::Produce(results),
            Reply::Lookup(results) => Answer::Lookup(results),
            Reply::Metadata(result) => Answer::Metadata(result),
            Reply::Group(result) => Answer::Group(result),
            Reply::Stopped => {
                self.host(shard).stopped = true;
                return Ok(());
            }
            Reply::Fetch(results) => {
                let parts = results.into_iter().map(|result| self.hold(result?)).collect();
                let at = self.later(1, 20_000);
                self.schedule(at, Due::Deliver(ticket, Delivery(parts)));
                return Ok(());
            }
        };
        self.answer(ticket, answer)
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) -> Step<()> {
        if ticket.0 > DIRECT {
            if ticket.0 != DIRECT + self.asked || self.direct.is_some() {
                return broken(format!("{ticket:?} is answered twice"));
            }
            self.direct = Some(answer);
            return Ok(());
        }
        check(self.workload.answered(&mut self.model, self.now, ticket, answer))
    }

    /// Opens the files that a plan names. The file of a deleted topic may be gone.
    fn hold(&self, fetched: Fetched) -> Result<Planned, ReadError> {
        let hold = |piece| match piece {
            Piece::Memory(bytes) => Ok(Held::Memory(bytes)),
            Piece::File { segment, at, len, .. } => {
                let inode = self.disk.find(Name::Segment(segment));
                Ok(Held::File(inode.ok_or(ReadError::UnknownPartition)?, at, len))
            }
        };
        let pieces = fetched.pieces.into_iter().map(hold).collect::<Result<_, _>>()?;
        let (high, start) = (fetched.high_watermark.0, fetched.log_start.0);
        Ok(Planned { high, start, diverging: fetched.diverging, pieces })
    }

    pub(super) fn deliver(&mut self, ticket: Ticket, delivery: Delivery) -> Step<()> {
        let Delivery(parts) = delivery;
        let reads = parts.into_iter().map(|part| part.map(|planned| self.materialise(&planned)));
        let answer = Answer::Fetch(reads.collect());
        self.answer(ticket, answer)
    }

    fn materialise(&self, planned: &Planned) -> Read {
        let mut bytes = BytesMut::new();
        for piece in &planned.pieces {
            match piece {
                Held::Memory(memory) => bytes.extend_from_slice(memory),
                Held::File(inode, at, len) => {
                    bytes.extend_from_slice(&self.disk.read(*inode, *at, *len));
                }
            }
        }
        let Planned { high, start, diverging, .. } = *planned;
        Read { high, start, diverging, bytes: bytes.freeze() }
    }
}
