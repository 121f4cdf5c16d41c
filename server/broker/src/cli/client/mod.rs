//! A small blocking Kafka client: one connection per broker, one request at a time on each.
//!
//! - [`connection`]: a broker, and which versions it speaks
//! - [`cluster`]: which broker to ask
//! - [`coordinator`]: which broker to ask about a group
//! - [`offsets`]: where a partition begins and ends
//! - [`fetch`]: its records
//! - [`retries`]: asking again

mod cluster;
mod connection;
mod coordinator;
mod error;
mod fetch;
mod offsets;
mod retries;

pub(super) use cluster::{Cluster, Partition, Topic, by_leader};
pub(super) use coordinator::patiently;
pub(super) use error::ClientError;
pub(super) use fetch::{Refusal, Start, records};
pub(super) use offsets::{EARLIEST, Found, LATEST};
pub(super) use retries::Retries;

use clap::Args;

use super::output::Format;

/// Names the default of `--bootstrap`.
pub(super) const BOOTSTRAP_VARIABLE: &str = "CORELOG_BOOTSTRAP";

/// What every client command is told.
#[derive(Debug, Args)]
pub(super) struct ClientArguments {
    /// A broker of the cluster, or several separated by commas
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = BOOTSTRAP_VARIABLE,
        default_value = "127.0.0.1:9092"
    )]
    pub(super) bootstrap: String,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(super) output: Format,
}
