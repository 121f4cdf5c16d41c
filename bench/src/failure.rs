//! Why a run has no result.

use std::io;
use std::path::PathBuf;

use corelog_engine::record::builder::BatchTooLarge;

use crate::client::ClientError;
use crate::comparison::ComparisonError;
use crate::topic::TopicError;

/// Everything that ends a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error(transparent)]
    Batch(#[from] BatchTooLarge),
    #[error("records need at least {0} bytes for the time they were sent at")]
    NoRoomForMark(usize),
    #[error("consumers follow only records that are neither compressed nor idempotent")]
    NoMark,
    #[error("a consumer reads from one broker here, and the topic has {0} leaders")]
    SeveralLeaders(usize),
    #[error("the batch at offset {offset} of partition {partition} does not match its CRC")]
    Crc { partition: i32, offset: i64 },
    #[error("there were errors: {error}, {count} times")]
    Refused { error: &'static str, count: u64 },
    #[error(
        "a connection has {there} partitions, which requests of {each} do not divide; choose \
         --connections and --partitions-per-request so that each connection's partitions do"
    )]
    Remainder { there: usize, each: usize },
    #[error("a thread for each member cannot be started: {0}; take fewer of them")]
    Spawn(io::Error),
    #[error("a thread panicked")]
    Thread,
    #[error("the account of a process cannot be read: {0}")]
    Account(io::Error),
    #[error("the result cannot be written: {0}")]
    Output(io::Error),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {what}", path.display())]
    Scenario { path: PathBuf, what: String },
    #[error("the disk below {} could not be measured", .0.display())]
    Disk(PathBuf),
    #[error("Corelog is absent, and without it there is nothing that others are held against")]
    NothingToCompare,
    #[error("{0} measurements failed")]
    Comparison(usize),
    #[error("signals cannot be waited for: {0}")]
    Signals(io::Error),
    #[error("no port is free: {0}")]
    NoPort(io::Error),
    #[error("where will the broker listen? say --bootstrap, or use {{port}} in its command")]
    NoAddress,
    #[error("`{command}` cannot be started: {source}")]
    Start { command: String, source: io::Error },
    #[error("the broker ended before it served, see {}", .0.display())]
    Ended(PathBuf),
    #[error("the broker did not serve within {0} s")]
    Unready(u64),
    #[error("{}:{line}: {source}", path.display())]
    Line { path: PathBuf, line: usize, source: serde_json::Error },
    #[error(transparent)]
    Results(#[from] ComparisonError),
}
