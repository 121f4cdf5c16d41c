//! Settings that are each allowed and do not go together.

use super::broker::{MEMORY_RESERVE_PERCENT, Memory};
use super::problem::{Origin, Problem, Wrong};
use super::setting::{GIB, KIB, Unit};
use super::settings::Settings;
use super::units::pretty;

/// A record batch is at most this part of a journal file, so that a commit never straddles files.
const BATCHES_PER_JOURNAL_FILE: i64 = 4;
/// What a commit is aligned to, in bytes; `journal.file.bytes` is a multiple of it.
const BLOCK: i64 = 4 * KIB;

const HEARTBEAT: &str = "group.consumer.heartbeat.interval.ms";
const SESSION: &str = "group.consumer.session.timeout.ms";
const ASSIGNORS: &str = "group.consumer.assignors";
/// Times of consumer groups, with the settings that are their bounds.
const BOUNDED: [[&str; 3]; 3] = [
    [SESSION, "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"],
    [
        HEARTBEAT,
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ],
    [
        "group.consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ],
];

/// What limits the size of a record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchLimit {
    /// It must fit a quarter of a journal file.
    Journal,
    /// It must fit the memory for requests, or it is never received.
    Requests,
    /// It must fit the memory for unflushed records, or it is never admitted.
    Dirty,
}

impl BatchLimit {
    /// The largest record batch that this broker can take, in bytes, and why it is no larger.
    pub(super) fn of(settings: &Settings) -> (i64, BatchLimit) {
        let memory = Memory::of(settings);
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let journal = settings.number("journal.file.bytes") / BATCHES_PER_JOURNAL_FILE;
        [(signed(memory.requests), BatchLimit::Requests), (signed(memory.dirty), BatchLimit::Dirty)]
            .into_iter()
            .fold(
                (journal, BatchLimit::Journal),
                |least, other| {
                    if other.0 < least.0 { other } else { least }
                },
            )
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            BatchLimit::Journal => "a quarter of journal.file.bytes",
            BatchLimit::Requests => "memory.share.requests of memory.per.core",
            BatchLimit::Dirty => "memory.share.dirty of memory.per.core",
        }
    }
}

/// Two settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Conflict {
    /// The largest batch that may be sent cannot be taken.
    #[error(
        "message.max.bytes is {}, more than {} ({})",
        pretty(*.message, Unit::Bytes), .reason.reason(), pretty(*.limit, Unit::Bytes)
    )]
    MessageTooLarge {
        /// `message.max.bytes`.
        message: i64,
        /// The largest batch, in bytes.
        limit: i64,
        /// Why it is no larger.
        reason: BatchLimit,
    },
    /// The shares leave no reserve. Percent.
    #[error("the memory.share settings add up to {0} percent")]
    SharesBeyondMemory(u64),
    /// Compacted at the latest before it may be compacted. Milliseconds.
    #[error(
        "log.cleaner.min.compaction.lag.ms is {}, more than log.cleaner.max.compaction.lag.ms ({})",
        pretty(*.min, Unit::Millis), pretty(*.max, Unit::Millis)
    )]
    LagsCross {
        /// The earliest age.
        min: i64,
        /// The latest age.
        max: i64,
    },
    /// Members would count as gone before they are to be heard of again. Milliseconds.
    #[error(
        "group.consumer.heartbeat.interval.ms is {}, not less than \
         group.consumer.session.timeout.ms ({})",
        pretty(*.heartbeat, Unit::Millis), pretty(*.session, Unit::Millis)
    )]
    BeatsTooSlow {
        /// Between two heartbeats.
        heartbeat: i64,
        /// Until a member counts as gone.
        session: i64,
    },
    /// A time of consumer groups that the broker's own bounds do not allow.
    #[error(
        "{name} is {}, not from {} to {} ({min_name} and {max_name})",
        pretty(*.value, Unit::Millis), pretty(*.min, Unit::Millis), pretty(*.max, Unit::Millis)
    )]
    OutOfBounds {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: i64,
        /// The setting that is its lower bound.
        min_name: &'static str,
        /// The lower bound.
        min: i64,
        /// The setting that is its upper bound.
        max_name: &'static str,
        /// The upper bound.
        max: i64,
    },
    /// Nothing divides the work.
    #[error("group.consumer.assignors is empty")]
    NoAssignor,
}

impl Conflict {
    pub(super) fn remedy(&self) -> String {
        match self {
            Conflict::MessageTooLarge { message, reason: BatchLimit::Journal, .. } => {
                match journal_file_for(*message) {
                    bytes if bytes <= GIB => {
                        let bytes = pretty(bytes, Unit::Bytes);
                        format!("lower it, or raise journal.file.bytes to {bytes}")
                    }
                    _ => "lower it; journal.file.bytes is at most 1GiB".to_owned(),
                }
            }
            Conflict::MessageTooLarge { .. } => "lower it, or raise memory.per.core".to_owned(),
            Conflict::SharesBeyondMemory(_) => {
                let limit = 100 - MEMORY_RESERVE_PERCENT;
                format!("lower some until they add up to at most {limit}")
            }
            Conflict::LagsCross { .. } | Conflict::BeatsTooSlow { .. } => {
                "lower the first or raise the second".to_owned()
            }
            Conflict::OutOfBounds { .. } => "change it, or its bounds".to_owned(),
            Conflict::NoAssignor => "name at least one of uniform and range".to_owned(),
        }
    }
}

fn journal_file_for(message: i64) -> i64 {
    let bytes = message.saturating_mul(BATCHES_PER_JOURNAL_FILE);
    bytes.saturating_add(BLOCK - 1) / BLOCK * BLOCK
}

/// Every conflict among `settings`.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let bounded = BOUNDED.iter().map(|names| (out_of_bounds(settings, names), names.as_slice()));
    let found = [
        (
            message_too_large(settings),
            ["message.max.bytes", "journal.file.bytes", "memory.per.core"].as_slice(),
        ),
        (shares_beyond_memory(settings), &Memory::SHARES),
        (
            lags_cross(settings),
            &["log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"],
        ),
        (beats_too_slow(settings), &[HEARTBEAT, SESSION]),
        (no_assignor(settings), &[ASSIGNORS]),
    ];
    let problem = |(conflict, names): (Option<Conflict>, &[&str])| {
        let origin = blame(settings, names);
        conflict.map(|conflict| Problem { origin, wrong: Wrong::Conflict(conflict) })
    };
    found.into_iter().chain(bounded).filter_map(problem).collect()
}

/// Where the first of `names` was written that somebody wrote.
fn blame(settings: &Settings, names: &[&str]) -> Origin {
    let written = names.iter().map(|name| settings.origin(name));
    written.into_iter().find(|origin| *origin != Origin::Default).unwrap_or(Origin::Default)
}

fn message_too_large(settings: &Settings) -> Option<Conflict> {
    let message = settings.number("message.max.bytes");
    let (limit, reason) = BatchLimit::of(settings);
    (message > limit).then_some(Conflict::MessageTooLarge { message, limit, reason })
}

fn shares_beyond_memory(settings: &Settings) -> Option<Conflict> {
    let total: u64 = Memory::SHARES.iter().map(|name| settings.count(name)).sum();
    (total > 100 - MEMORY_RESERVE_PERCENT).then_some(Conflict::SharesBeyondMemory(total))
}

fn beats_too_slow(settings: &Settings) -> Option<Conflict> {
    let (heartbeat, session) = (settings.number(HEARTBEAT), settings.number(SESSION));
    (heartbeat >= session).then_some(Conflict::BeatsTooSlow { heartbeat, session })
}

fn out_of_bounds(settings: &Settings, names: &[&'static str; 3]) -> Option<Conflict> {
    let [name, min_name, max_name] = *names;
    let [value, min, max] = names.map(|name| settings.number(name));
    let conflict = Conflict::OutOfBounds { name, value, min_name, min, max_name, max };
    (!(min..=max).contains(&value)).then_some(conflict)
}

fn no_assignor(settings: &Settings) -> Option<Conflict> {
    settings.list(ASSIGNORS).is_empty().then_some(Conflict::NoAssignor)
}

fn lags_cross(settings: &Settings) -> Option<Conflict> {
    let min = settings.number("log.cleaner.min.compaction.lag.ms");
    let max = settings.number("log.cleaner.max.compaction.lag.ms");
    (min > max).then_some(Conflict::LagsCross { min, max })
}
