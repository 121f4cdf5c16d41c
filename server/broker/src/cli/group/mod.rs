//! `corelog group`: a file for each command, with what it asks, what it finds and how that reads.
//! What several of them, or `describe` alone, must find out has files of its own:
//!
//! - [`members`]: a group and who is in it
//! - [`assignment`]: the bytes that members of classic groups are assigned with
//! - [`committed`]: how far a group has read
//! - [`unread`]: since when it could have read on
//! - [`why`]: why it has rebalanced lately

mod assignment;
mod committed;
mod members;
mod unread;
mod why;

mod delete;
mod describe;
mod list;
mod reset;

use clap::Subcommand;

use super::client::ClientArguments;
use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List groups.
    List(list::Arguments),
    /// Show a group's members, how far it has read and lags behind, and why it has rebalanced.
    Describe {
        /// The group's name
        name: String,
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Delete groups without members, with all that they have committed.
    Delete {
        /// The groups' names
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        client: ClientArguments,
    },
    /// Set where a group without members is to go on reading a topic.
    Reset(reset::Arguments),
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list::run(&arguments),
        Command::Describe { name, client } => describe::run(&name, &client),
        Command::Delete { names, client } => delete::run(&names, &client),
        Command::Reset(arguments) => reset::run(&arguments),
    }
}

/// In place of what is not known, or not there.
const NOTHING: &str = "-";

fn word(text: Option<&str>) -> String {
    text.unwrap_or(NOTHING).to_owned()
}

fn number(number: Option<i64>) -> String {
    number.map_or(NOTHING.to_owned(), |number| number.to_string())
}

/// Nothing in place of the empty text, which stands for it in answers.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
