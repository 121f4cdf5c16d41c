//! `corelog topic`: a file for each command, with what it asks, what it finds and how that reads.

mod create;
mod delete;
mod describe;
mod list;

use clap::Subcommand;

use super::client::ClientArguments;
use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a topic.
    Create(create::Arguments),
    /// List all topics.
    List {
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Show a topic's partitions, how far they reach, and the settings that are not default.
    Describe {
        /// The topic's name
        name: String,
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Delete a topic with all its records.
    Delete {
        /// The topic's name
        name: String,
        #[command(flatten)]
        client: ClientArguments,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => create::run(&arguments),
        Command::List { client } => list::run(&client),
        Command::Describe { name, client } => describe::run(&name, &client),
        Command::Delete { name, client } => delete::run(&name, &client),
    }
}

/// How long a broker may take to change a topic.
const TIMEOUT_MS: i32 = 20_000;
