//! Why a client command was not done. `Display` is what the person at the keyboard reads.

use std::io;

use corelog_wire::error_code::ErrorCode;
use corelog_wire::text::Str;

use super::client::ClientError;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A broker cannot be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A broker said no.
    #[error("{what}: {}", refusal(*.code, .message.as_ref()))]
    Refused {
        /// What was asked of it.
        what: String,
        /// Its answer.
        code: ErrorCode,
        /// Its own words, if it has any.
        message: Option<Str>,
    },
    /// The broker left out what was asked for.
    #[error("{what}: the broker did not answer that part of the request")]
    NoAnswer {
        /// What was asked of it.
        what: String,
    },
    #[error("there is no topic `{0}`; create it with `corelog topic create {0}`")]
    NoTopic(String),
    #[error("topic `{topic}` has no partition {partition}, it has {count} (0 to {})", .count - 1)]
    NoPartition { topic: String, partition: i32, count: usize },
    #[error("partition {partition} of `{topic}` has no leader; its brokers are down or starting")]
    NoLeader { topic: String, partition: i32 },
    #[error("there is no group `{0}`; `corelog group list` shows all there are")]
    NoGroup(String),
    #[error(
        "{what}: it has members, which `corelog group describe {group}` shows; end them, and try \
         again (one with an instance leaves when its session times out)"
    )]
    GroupInUse {
        /// What was asked for.
        what: String,
        group: String,
    },
    #[error(
        "group `{group}` has committed nothing in partition {partition} of `{topic}`: say where it \
         is to begin with --to"
    )]
    NothingCommitted { group: String, topic: String, partition: i32 },
    #[error("the brokers are too old to tell groups apart by {0}: leave it out")]
    NoFilter(&'static str),
    #[error("line {line} has no `{separator}` between key and value")]
    NoSeparator { line: u64, separator: String },
    #[error(
        "partition {partition} of `{topic}` has no offset {offset}, it has {earliest} to {latest}"
    )]
    NoOffset { topic: String, partition: i32, offset: i64, earliest: i64, latest: i64 },
    #[error("an offset is one of a partition, and `{topic}` has {count} of them: add --partition")]
    WhichPartition { topic: String, count: usize },
    /// What is stored, or came over the network, is not a record batch.
    #[error("the batch at offset {offset} of partition {partition} cannot be read: {why}")]
    BadBatch { partition: i32, offset: i64, why: String },
    #[error("a record batch cannot be made: {0}")]
    Batch(#[from] corelog_engine::record::builder::BatchTooLarge),
    #[error("standard input cannot be read: {0}")]
    Input(io::Error),
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Whether somebody who read our output does not want more of it.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// `Ok` without an error code, else the refusal of `what`.
pub(super) fn check(
    code: ErrorCode,
    message: Option<Str>,
    what: impl FnOnce() -> String,
) -> Result<(), Failure> {
    match code {
        ErrorCode::None => Ok(()),
        code => Err(Failure::Refused { what: what(), code, message }),
    }
}

/// Some brokers send the general message of a code as their own words, some send none.
fn refusal(code: ErrorCode, message: Option<&Str>) -> String {
    let words = message.map_or(code.message(), |message| message);
    format!("{words} ({})", code.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_brokers_words_or_ours() {
        let refused = |message: Option<&str>| Failure::Refused {
            what: "topic `t`".to_owned(),
            code: ErrorCode::TopicAlreadyExists,
            message: message.map(Str::from),
        };
        assert_eq!(
            refused(Some("Topic 't' already exists.")).to_string(),
            "topic `t`: Topic 't' already exists. (TOPIC_ALREADY_EXISTS)"
        );
        let ours = ErrorCode::TopicAlreadyExists.message();
        assert_eq!(refused(None).to_string(), format!("topic `t`: {ours} (TOPIC_ALREADY_EXISTS)"));
    }

    #[test]
    fn only_a_closed_pipe_is_no_failure() {
        let output = |kind: io::ErrorKind| Failure::from(io::Error::from(kind));
        assert!(output(io::ErrorKind::BrokenPipe).is_closed_pipe());
        assert!(!output(io::ErrorKind::StorageFull).is_closed_pipe());
        assert!(!Failure::Input(io::ErrorKind::BrokenPipe.into()).is_closed_pipe());
    }
}
