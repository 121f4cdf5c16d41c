//! Why a group has rebalanced lately. In memory only: a restart forgets it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::group::name::{InstanceId, MemberId};
use crate::id::{Instant, Now, Timestamp};

/// Rebalances of a group that are remembered.
const KEPT: usize = 50;

/// Characters of a name that are remembered: clients choose them, and there are many.
const NAME: usize = 100;

/// A member at the time when it brought something about. Its names are cut where they are long, and
/// without what a terminal or a log would take for more than text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its id.
    member: Arc<str>,
    /// The name of a static member.
    instance: Option<Arc<str>>,
    /// Who it says it is.
    client_id: Arc<str>,
    /// Where it connects from.
    client_host: Arc<str>,
    /// What it is and in which version; empty if that is not known.
    client_software: Arc<str>,
}

/// A client, as it has said who it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    pub(crate) host: &'a str,
    pub(crate) software: &'a str,
}

impl Who {
    pub(crate) fn new(member: &MemberId, instance: Option<&InstanceId>, client: Client<'_>) -> Who {
        let clip = |text: &str| -> Arc<str> {
            let plain = |c: char| if c.is_control() { '?' } else { c };
            text.chars().take(NAME).map(plain).collect::<String>().into()
        };
        Who {
            member: clip(member.as_str()),
            instance: instance.map(|instance| clip(instance.as_str())),
            client_id: clip(client.id),
            client_host: clip(client.host),
            client_software: clip(client.software),
        }
    }
}

/// What began a rebalance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A member is new.
    Joined(Who),
    /// A member reads other topics, divides work in another way, or wants it divided anew.
    Changed(Who),
    /// A member has left.
    Left(Who),
    /// A member was silent for its session timeout.
    SessionTimedOut(Who),
    /// A member did not give up partitions, join again, or fetch its part within its rebalance
    /// timeout.
    TooSlow(Who),
    /// Topics that the group reads have come, gone or grown.
    TopicsChanged,
    /// More members than are allowed were found at the start.
    TooMany,
    /// What the group had decided could not be written.
    NotWritten,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Who { member, client_id, client_host, client_software, .. } = self;
        write!(f, "member {member} (client {client_id} at {client_host}")?;
        if !client_software.is_empty() {
            write!(f, ", {client_software}")?;
        }
        match &self.instance {
            Some(instance) => write!(f, ", instance {instance})"),
            None => write!(f, ")"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Joined(who) => write!(f, "{who} joined"),
            Cause::Changed(who) => write!(f, "{who} joined again or reads other topics"),
            Cause::Left(who) => write!(f, "{who} left"),
            Cause::SessionTimedOut(who) => write!(f, "{who} was silent for its session timeout"),
            Cause::TooSlow(who) => write!(f, "{who} was slower than its rebalance timeout"),
            Cause::TopicsChanged => write!(f, "topics have come, gone or grown"),
            Cause::TooMany => write!(f, "the group has more members than are allowed"),
            Cause::NotWritten => write!(f, "what the group had decided could not be written"),
        }
    }
}

/// One rebalance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebalance {
    /// When it began.
    pub time: Timestamp,
    /// Why.
    pub cause: Cause,
    /// How many more causes there were until it ended.
    pub more: u32,
    /// The generation, or epoch, that it led to; `None` while it goes on.
    pub number: Option<i32>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Partitions that came to another member.
    pub moved: u32,
}

impl Rebalance {
    /// Why, in words.
    #[must_use]
    pub fn causes(&self) -> String {
        match self.more {
            0 => self.cause.to_string(),
            more => format!("{} (and {more} more)", self.cause),
        }
    }
}

impl fmt::Display for Rebalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.causes())?;
        match self.number {
            None => write!(f, ": still going on"),
            Some(number) => {
                let Rebalance { took_ms, moved, .. } = self;
                write!(f, ": {moved} partitions moved in {took_ms} ms, now at {number}")
            }
        }
    }
}

/// What happens in a step.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// There is a reason to divide the work anew.
    Began(Cause),
    /// So many partitions are to move.
    Moved(u32),
    /// Everyone has its part; the generation, or epoch.
    Ended(i32),
}

/// The rebalances of a group, the newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    past: VecDeque<Rebalance>,
    /// When the last began, while it goes on.
    since: Option<Instant>,
}

impl History {
    pub(crate) fn is_open(&self) -> bool {
        self.since.is_some()
    }

    /// Takes note; the rebalance that has ended with that.
    pub(crate) fn note(&mut self, event: Event, now: Now) -> Option<Rebalance> {
        match (event, self.since, self.past.back_mut()) {
            (Event::Began(_), Some(_), Some(last)) => last.more += 1,
            (Event::Began(cause), ..) => self.begin(cause, now),
            (Event::Moved(count), Some(_), Some(last)) => last.moved += count,
            (Event::Ended(number), Some(since), Some(last)) => {
                last.number = Some(number);
                last.took_ms = now.instant.ms_since(since);
                self.since = None;
                return Some(last.clone());
            }
            (Event::Moved(_) | Event::Ended(_), ..) => {}
        }
        None
    }

    fn begin(&mut self, cause: Cause, now: Now) {
        if self.past.len() == KEPT {
            self.past.pop_front();
        }
        self.since = Some(now.instant);
        let time = now.wall;
        self.past.push_back(Rebalance { time, cause, more: 0, number: None, took_ms: 0, moved: 0 });
    }

    pub(crate) fn list(&self) -> Vec<Rebalance> {
        self.past.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { instant: Instant(ms * 1000), wall: Timestamp(ms as i64) }
    }

    #[test]
    fn a_rebalance_has_its_first_cause_and_its_end() {
        let mut history = History::default();
        assert_eq!(history.note(Event::Ended(1), at(0)), None);
        history.note(Event::Began(Cause::TopicsChanged), at(5));
        history.note(Event::Began(Cause::TooMany), at(6));
        history.note(Event::Moved(3), at(7));
        let ended = history.note(Event::Ended(4), at(15)).expect("it has ended");
        assert_eq!((&ended.cause, ended.more, ended.moved), (&Cause::TopicsChanged, 1, 3));
        assert_eq!((ended.time, ended.took_ms, ended.number), (Timestamp(5), 10, Some(4)));
        assert!(!history.is_open());
        assert_eq!(history.list(), [ended]);
    }

    #[test]
    fn names_are_cut_and_plain() {
        let long = "x".repeat(40_000);
        let who = Who::new(
            &long.as_str().into(),
            Some(&"a\nb".into()),
            Client { id: &long, host: "/\u{1b}[1m", software: "" },
        );
        let text = Cause::Left(who).to_string();
        assert!(text.len() < 400 && !text.contains(char::is_control), "{text}");
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut history = History::default();
        for number in 0..60 {
            history.note(Event::Began(Cause::TopicsChanged), at(number));
            history.note(Event::Ended(number as i32), at(number));
        }
        let list = history.list();
        assert_eq!((list.len(), list[0].number), (KEPT, Some(10)));
    }
}
