//! Heavy work that needs nothing of a shard but what it owns: pure functions, for the driver to run
//! on a thread that serves nobody. What a client can make longer than some milliseconds is a job,
//! so that the shard goes on serving others meanwhile.

use std::sync::Arc;

use bytes::Bytes;

use crate::group::lookup::{Lookup, Matched};
use crate::id::{Offset, Timestamp};
use crate::metadata::job::{Decided, Undecidable, Undecided};
use crate::record::BatchHeader;
use crate::record::records::{first_at_or_after, offset_of_max_timestamp};
use crate::shard::event::EffectId;

/// Has a helper thread run a job; answered
/// [`Event::Finished`](crate::shard::event::Event::Finished). In no order with anything.
#[derive(Debug)]
pub struct RunJob {
    /// Reported back.
    pub id: EffectId,
    /// What to run.
    pub job: Job,
}

/// What is to be worked out.
#[derive(Debug)]
pub enum Job {
    /// What becomes of commands to the metadata.
    Decide(Box<Undecided>),
    /// Which record of a batch is wanted.
    Find(Find),
    /// Which topics a pattern matches.
    Match(Lookup),
}

/// What a job has come to.
#[derive(Clone, Debug)]
pub enum Finished {
    /// To [`Job::Decide`].
    Decided(Arc<Result<Decided, Undecidable>>),
    /// To [`Job::Find`].
    Found(Match),
    /// To [`Job::Match`].
    Matched(Matched),
}

impl Job {
    /// Works it out.
    #[must_use]
    pub fn run(self) -> Finished {
        match self {
            Job::Decide(undecided) => Finished::Decided(Arc::new(undecided.decide())),
            Job::Find(find) => Finished::Found(find.run()),
            Job::Match(lookup) => Finished::Matched(lookup.run()),
        }
    }
}

/// A batch in which a record is looked for by its time.
#[derive(Debug)]
pub struct Find {
    /// The batch's header.
    pub header: BatchHeader,
    /// The whole batch.
    pub batch: Bytes,
    /// Which record is wanted.
    pub goal: Goal,
}

/// Which record a search by time wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The first record at or after this time.
    At(Timestamp),
    /// A record with this, the log's greatest timestamp.
    Newest(Timestamp),
}

/// What a batch has of what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// This record.
    Record(Offset, Timestamp),
    /// Nothing.
    Nothing,
    /// Its records cannot be read.
    Damaged,
}

impl Goal {
    /// The earliest time that will do.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        match self {
            Goal::At(timestamp) | Goal::Newest(timestamp) => timestamp,
        }
    }
}

impl Find {
    /// Reads, and decompresses, the records up to the wanted one. Holds one decoder's memory
    /// meanwhile ([`compress`](crate::record::compress)).
    #[must_use]
    pub fn run(&self) -> Match {
        let (header, batch) = (&self.header, &self.batch[..]);
        let found = match self.goal {
            Goal::At(timestamp) => first_at_or_after(header, batch, timestamp, Offset::ZERO),
            Goal::Newest(timestamp) => offset_of_max_timestamp(header, batch)
                .map(|offset| offset.map(|offset| (offset, timestamp))),
        };
        match found {
            Ok(Some((offset, timestamp))) => Match::Record(offset, timestamp),
            Ok(None) => Match::Nothing,
            Err(_) => Match::Damaged,
        }
    }
}
