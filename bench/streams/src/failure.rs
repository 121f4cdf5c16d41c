//! Why a run has no result.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

/// Everything that ends a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Untranslatable(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {message}", path.display())]
    Scenario { path: PathBuf, message: String },
    #[error("the broker: {0}")]
    Broker(String),
    #[error("the broker does not answer any more")]
    Silent,
    #[error("a task or a thread panicked")]
    Panicked,
    #[error("no runtime: {0}")]
    Runtime(io::Error),
    #[error("the account of a process cannot be read: {0}")]
    Account(io::Error),
    #[error("the result cannot be written: {0}")]
    Output(io::Error),
}

impl Failure {
    /// What a client library says.
    pub(crate) fn broker(error: impl Display) -> Failure {
        Failure::Broker(error.to_string())
    }
}
