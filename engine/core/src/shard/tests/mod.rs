//! A shard with a disk that does what it is told: what frees what is bounded, what timers bring
//! about, and that nothing is kept for those who are gone.

mod cancelling;
mod disk;
mod journal;
mod leaks;
mod memory;
mod watching;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::group::coordinator::BatchNumber;
use crate::id::{
    Instant, Now, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition,
};
use crate::journal::ring::Slot as FileSlot;
use crate::record::{BatchBuilder, BatchHeader, Codec, NewRecord};
use crate::shard::Shard;
use crate::shard::effect::{Effects, FileAction, FileEffect, Notice};
use crate::shard::event::{Adopted, EffectId, Event, Failure, Outcome, Ticket};
use crate::shard::job::RunJob;
use crate::shard::message::{Answer, Call, CallId, Message};
use crate::shard::partition::Waiter;
use crate::shard::request::{Append, AppendError, Fetch, FetchPart, Reply, Request};
use crate::shard::setup::ShardSetup;

/// A partition of the one topic.
fn partition(index: u32) -> TopicPartition {
    TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(index) }
}

fn append(index: u32, value: usize) -> Append {
    let mut builder = BatchBuilder::new(Codec::None).base_offset(Offset::ZERO);
    let value = vec![7; value];
    builder.append(NewRecord { value: Some(&value), ..NewRecord::default() });
    let batch = builder.build().expect("a batch");
    let header = BatchHeader::parse(&batch).expect("a header");
    Append { partition: partition(index), header, batch, append_time: Timestamp::NONE }
}

/// The first of so many shards, with so many partitions that all are its own.
fn setup(shards: u16, partitions: u32) -> ShardSetup {
    ShardSetup { shards, ..ShardSetup::small((0..partitions).map(partition)) }
}

/// How the disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Works,
    /// Takes no segment byte, for this reason.
    Refuses(Failure),
    /// Nothing ends.
    Hangs,
    /// No segment write ends.
    Stuck,
    /// Has no room for one more journal file.
    Small,
}

/// What a shard wants of the disk.
enum Act {
    Journal,
    Segment(Vec<u8>, crate::log::SegmentId, u64),
    Format,
    File,
    Read(crate::log::SegmentId, u64, u32),
    /// Of which there is none.
    Index,
}

/// A shard, its disk, and what it has said.
struct World {
    shard: Shard,
    fx: Effects,
    now: Now,
    disk: Disk,
    tickets: u64,
    /// Effects that have not ended.
    open: Vec<(EffectId, Act)>,
    /// Jobs that have not run.
    jobs: VecDeque<RunJob>,
    /// Bytes of segments.
    stored: std::collections::BTreeMap<crate::log::SegmentId, Vec<u8>>,
    segment_writes: u64,
    replies: Vec<(Ticket, Reply)>,
    notices: Vec<Notice>,
}

impl World {
    fn new(setup: ShardSetup) -> World {
        World::on(Disk::Works, setup)
    }

    fn on(disk: Disk, setup: ShardSetup) -> World {
        let mut world = World {
            shard: Shard::new(setup),
            fx: Effects::default(),
            now: Now { instant: Instant(1), wall: Timestamp(0) },
            disk,
            tickets: 0,
            open: Vec::new(),
            jobs: VecDeque::new(),
            stored: std::collections::BTreeMap::new(),
            segment_writes: 0,
            replies: Vec::new(),
            notices: Vec::new(),
        };
        world.shard.start(&mut world.fx);
        world.settle();
        world
    }

    fn step(&mut self, event: Event) {
        self.shard.step(self.now, event, &mut self.fx);
        self.settle();
    }

    fn ask(&mut self, request: Request) -> Ticket {
        self.tickets += 1;
        self.step(Event::Request(Ticket(self.tickets), request));
        Ticket(self.tickets)
    }

    /// Ends the turn, and what the disk ends, until nothing is left to do.
    fn settle(&mut self) {
        loop {
            self.shard.end_of_turn(self.now, &mut self.fx);
            self.take_effects();
            let ended = self.end_acts();
            if ended.is_empty() {
                return;
            }
            for (id, outcome) in ended {
                self.shard.step(self.now, Event::Done(id, outcome), &mut self.fx);
            }
        }
    }

    fn take_effects(&mut self) {
        let fx = &mut self.fx;
        let journal = fx.journal.drain(..).map(|write| (write.id, Act::Journal));
        self.open.extend(journal);
        for write in fx.segments.drain(..) {
            let bytes: Vec<u8> = write.bytes.iter().flat_map(|slice| slice.to_vec()).collect();
            self.open.push((write.id, Act::Segment(bytes, write.segment, write.at)));
        }
        let files = fx.files.drain(..).map(|FileEffect { id, action }| match action {
            FileAction::FormatJournal(_) => (id, Act::Format),
            _ => (id, Act::File),
        });
        self.open.extend(files);
        let reads = fx.reads.drain(..).map(|r| (r.id, Act::Read(r.segment, r.at, r.len)));
        self.open.extend(reads);
        self.open.extend(fx.indexes.drain(..).map(|read| (read.id, Act::Index)));
        self.jobs.extend(fx.jobs.drain(..));
        self.replies.append(&mut fx.replies);
        self.notices.append(&mut fx.notices);
    }

    fn end_acts(&mut self) -> Vec<(EffectId, Outcome)> {
        let mut ended = Vec::new();
        for (id, act) in std::mem::take(&mut self.open) {
            let stuck = self.disk == Disk::Stuck && matches!(act, Act::Segment(..));
            let hangs = self.disk == Disk::Hangs || stuck;
            match (act, self.disk) {
                (act, _) if hangs => self.open.push((id, act)),
                (Act::Segment(..), Disk::Refuses(failure)) => {
                    ended.push((id, Outcome::Failed(failure)));
                }
                (Act::Format, Disk::Small) => ended.push((id, Outcome::Failed(Failure::Full))),
                (act, _) => ended.push((id, self.carry_out(act))),
            }
        }
        ended
    }

    fn carry_out(&mut self, act: Act) -> Outcome {
        match act {
            Act::Journal | Act::Format | Act::File => Outcome::Done,
            Act::Index => Outcome::Failed(Failure::Missing),
            Act::Segment(bytes, segment, at) => {
                self.segment_writes += 1;
                let file = self.stored.entry(segment).or_default();
                let end = at as usize + bytes.len();
                file.resize(file.len().max(end), 0);
                file[at as usize..end].copy_from_slice(&bytes);
                Outcome::Done
            }
            Act::Read(segment, at, len) => {
                let file = self.stored.get(&segment).map_or(&[][..], |file| &file[..]);
                let from = file.len().min(at as usize);
                let to = file.len().min(at as usize + len as usize);
                Outcome::Read(Bytes::copy_from_slice(&file[from..to]))
            }
        }
    }

    /// Lets time pass; ticks come when the shard has asked for them.
    fn pass(&mut self, ms: u64) {
        let until = self.now.instant.plus_ms(ms);
        while let Some(at) = self.shard.next_deadline().filter(|at| *at <= until) {
            self.now.instant = self.now.instant.max(at);
            self.step(Event::Tick);
        }
        self.now.instant = until;
    }

    /// Runs the oldest job, and what follows from it at once.
    fn run_job(&mut self) {
        let RunJob { id, job } = self.jobs.pop_front().expect("a job");
        self.step(Event::Finished(id, job.run()));
        self.pass(0);
    }

    fn produce(&mut self, append: Append) -> Option<Result<(), AppendError>> {
        let ticket = self.ask(Request::Produce(vec![append]));
        self.answer(ticket)
    }

    /// The same, as another shard would have it done: the partition need not be this shard's by
    /// its place.
    fn produce_here(&mut self, append: Append) -> Option<Result<(), AppendError>> {
        self.tickets += 1;
        let call = Call::Append(vec![append]);
        self.step(Event::Message(ShardId(1), Message::Call(CallId(self.tickets), call)));
        self.fx.messages.drain(..).find_map(|(_, message)| match message {
            Message::Answer(_, Answer::Append(mut parts)) => parts.pop().map(|p| p.map(drop)),
            _ => None,
        })
    }

    /// Appends what a coordinator wants to remember. It has no group here that waits for it.
    fn append_for_group(&mut self, append: Append) {
        let slot = self.shard.slots[&append.partition];
        let waiter = Waiter::Group { slot, number: BatchNumber(1) };
        self.shard.append(self.now, append, waiter, &mut self.fx);
        self.settle();
    }

    /// How the one append of a request went, if that is known.
    fn answer(&mut self, ticket: Ticket) -> Option<Result<(), AppendError>> {
        let at = self.replies.iter().position(|(of, _)| *of == ticket)?;
        match self.replies.swap_remove(at).1 {
            Reply::Produce(mut parts) => parts.pop().map(|part| part.map(drop)),
            other => panic!("{other:?} for a produce"),
        }
    }

    /// A long poll.
    fn fetch(&self, index: u32, offset: i64, wait_ms: u64) -> Request {
        let offset = Offset(offset);
        let part = FetchPart {
            partition: partition(index),
            offset,
            max_bytes: 1000,
            epoch: None,
            last_epoch: None,
        };
        let deadline = self.now.instant.plus_ms(wait_ms);
        let parts = vec![part].into();
        Request::Fetch(Fetch { max_bytes: 1000, min_bytes: 1 << 20, deadline, parts })
    }
}
