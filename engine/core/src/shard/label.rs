//! What an event is about, for whoever watches how long it takes.

use std::fmt;

use crate::id::TopicPartition;
use crate::shard::event::Event;
use crate::shard::message::{Answer, Call, Message};
use crate::shard::read::{Look, Purpose};
use crate::shard::request::Request;
use crate::shard::{Pending, Shard};

/// The kind of an event, and the partition, or the first of them, that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The kind.
    pub kind: &'static str,
    /// The partition, if there is one.
    pub partition: Option<TopicPartition>,
}

impl Label {
    fn of(kind: &'static str) -> Label {
        Label { kind, partition: None }
    }

    fn at(kind: &'static str, partition: Option<TopicPartition>) -> Label {
        Label { kind, partition }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match self.partition {
            Some(TopicPartition { topic, index }) => write!(f, " (topic {topic}, {})", index.0),
            None => Ok(()),
        }
    }
}

impl Shard {
    /// What an event is that is yet to come.
    #[must_use]
    pub fn label(&self, event: &Event) -> Label {
        match event {
            Event::Request(_, request) => request.label(),
            Event::Message(_, message) => message.label(),
            Event::Done(id, _) | Event::Finished(id, _) => {
                self.pending.get(id).map_or(Label::of("nothing"), |pending| self.done(pending))
            }
            Event::Cancel(_) => Label::of("a cancelled request"),
            Event::DiskFree(_) => Label::of("the disk's free space"),
            Event::Tick => Label::of(self.due()),
            Event::Stop(_) => Label::of("a stop"),
        }
    }

    /// What a tick is for, if it is for work that was left.
    fn due(&self) -> &'static str {
        let left = [
            (self.applying.next_deadline(), "a piece of changed metadata"),
            (self.searches.next_deadline(), "a piece of searches by time"),
            (self.pieces.next_deadline(), "a piece of a request with many parts"),
        ];
        left.into_iter().find(|(due, _)| due.is_some()).map_or("time", |(_, what)| what)
    }

    fn done(&self, pending: &Pending) -> Label {
        let (kind, slot) = match pending {
            Pending::Commit => ("a commit's end", None),
            Pending::Segment(slot) => ("a segment write's end", Some(slot)),
            Pending::Seal(slot) => ("a segment's close", Some(slot)),
            Pending::Format(_) => ("a journal file", None),
            Pending::Index(slot) => ("pages of an index", Some(slot)),
            Pending::Barrier => ("a barrier's end", None),
            Pending::Manifest => ("a manifest's end", None),
            Pending::Look(Look { slot, purpose }) => (purpose.kind(), Some(slot)),
            Pending::Rescue(slot) => ("a rescue file's end", Some(slot)),
            Pending::Load(slot) => ("groups that are loaded", Some(slot)),
            Pending::Decide => ("decided metadata", None),
            Pending::Find(search, _) => ("a record found by its time", Some(&search.slot)),
            Pending::Match(slot) => ("a pattern of a group", Some(slot)),
            Pending::Nothing => ("a file's end", None),
        };
        let partition = slot.and_then(|slot| self.partitions.get(slot));
        Label::at(kind, partition.map(|partition| partition.log.partition()))
    }
}

impl Purpose {
    fn kind(&self) -> &'static str {
        match self {
            Purpose::LastBlock => "a last block",
            Purpose::Read { .. } => "stored bytes for a fetch",
            Purpose::Index { .. } => "an index",
            Purpose::Rebuild { .. } => "an index made anew",
            Purpose::Search { .. } => "stored bytes for a search by time",
        }
    }
}

impl Request {
    fn label(&self) -> Label {
        match self {
            Request::Produce(parts) => {
                Label::at("a produce request", parts.first().map(|part| part.partition))
            }
            Request::Fetch(fetch) => {
                Label::at("a fetch request", fetch.parts.first().map(|part| part.partition))
            }
            Request::Lookup(parts) => {
                Label::at("a request for offsets", parts.first().map(|part| part.partition))
            }
            Request::Metadata(_) => Label::of("a command to the metadata"),
            Request::Group(call) => Label::at(call.request.kind(), Some(call.partition)),
        }
    }
}

impl Message {
    fn label(&self) -> Label {
        match self {
            Message::Call(_, Call::Append(parts)) => {
                Label::at("an append", parts.first().map(|part| part.partition))
            }
            Message::Call(_, Call::Read { parts, .. }) => {
                Label::at("a read", parts.first().map(|part| part.partition))
            }
            Message::Call(_, Call::Lookup(parts)) => {
                Label::at("a lookup", parts.first().map(|part| part.partition))
            }
            Message::Answer(_, answer) => Label::of(match answer {
                Answer::Append(_) => "an append's answer",
                Answer::Read(_) => "a read's answer",
                Answer::Lookup(_) => "a lookup's answer",
                Answer::Metadata(_) => "a command's answer",
                Answer::Group(_) => "a coordinator's answer",
            }),
            Message::Wake(_) => Label::of("a fetch that is woken"),
            Message::Cancel(_) => Label::of("a call that nobody waits for"),
            Message::Publish(_) => Label::of("changed metadata"),
            Message::Applied(_) => Label::of("metadata taken in"),
            Message::DirectoryOffline => Label::of("a directory that is offline"),
            Message::Pressure(_) => Label::of("another shard's pressure"),
            Message::Disk(_) => Label::of("another shard's room on the disk"),
            Message::Weigh => Label::of("the largest topics"),
            Message::Weighed(_) => Label::of("another shard's largest topics"),
            Message::Command(..) => Label::of("a command to the metadata"),
            Message::Group(_, call) => Label::at(call.request.kind(), Some(call.partition)),
        }
    }
}
