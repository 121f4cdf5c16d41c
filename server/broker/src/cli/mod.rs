//! The command line. `start` is the broker; the other commands are a small Kafka client, for any
//! cluster that speaks the protocol.
//!
//! Exit code 0: done. 1: not done, standard error says why. 2: wrong flags or settings. What a
//! command found is printed to standard output: one value of one type, as text or as JSON.

mod config;
mod start;

mod client;
mod clock;
mod failure;
mod output;
mod place;
mod separator;

mod consume;
mod group;
mod produce;
mod topic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// A Kafka-compatible broker in one binary: durable, a thread per core.
#[derive(Debug, Parser)]
#[command(name = "corelog", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker.
    Start(start::Arguments),
    /// Show what can be set, and check settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Create, list, describe and delete topics.
    #[command(subcommand)]
    Topic(topic::Command),
    /// List, describe, delete and reset consumer groups.
    #[command(subcommand)]
    Group(group::Command),
    /// Write each line of standard input to a topic, as one record.
    Produce(produce::Arguments),
    /// Print the records of a topic.
    Consume(consume::Arguments),
}

/// Does what the command line says. Ends the process itself for wrong flags, `--help` and
/// `--version`.
pub(crate) fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Start(arguments) => return start::run(arguments),
        Command::Config(command) => return config::run(command),
        Command::Topic(command) => topic::run(command),
        Command::Group(command) => group::run(command),
        Command::Produce(arguments) => produce::run(&arguments),
        Command::Consume(arguments) => consume::run(&arguments),
    };
    done.map_or_else(report, |()| ExitCode::SUCCESS)
}

/// Whoever closes the pipe has read enough.
fn report(failure: Failure) -> ExitCode {
    if !failure.is_closed_pipe() {
        output::complain(failure);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
