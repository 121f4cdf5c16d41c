//! Load generator for Kafka-compatible brokers. `METHOD.md` says what is measured and how.
//!
//! From the top: a command ([`closed`], [`open`], [`mod@fetch`], [`tail`], [`raw`], [`start`],
//! [`figures`]) reads its flags, lets [`produce`] divide a topic among connections, each of which
//! is a [`load`] that follows its [`pace`] with requests prepared by [`request`], and puts what
//! was counted into a [`report`].
//!
//! [`table`] and [`page`] show a [`comparison`] of many such [`results`] with what was claimed.

mod closed;
mod fetch;
mod figures;
mod open;
mod raw;
mod start;
mod tail;

mod produce;

mod load;
mod pace;

mod batch;
mod request;

mod broker;
mod client;
mod offsets;
mod topic;

mod claims;
mod comparison;
mod grid;
mod page;
mod results;
mod scale;
mod table;

mod histogram;
mod process;
mod report;

mod failure;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Load generator for Kafka-compatible brokers.
#[derive(Debug, Parser)]
#[command(name = "corelog-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Produce as much as the broker takes (closed loop)
    Produce(closed::ClosedArgs),
    /// Produce at a given rate, and see how long it takes (open loop)
    Open(open::OpenArgs),
    /// Read partitions from their start
    Fetch(fetch::FetchArgs),
    /// Produce at a given rate, and see when a consumer at the end of the log has it
    Tail(tail::TailArgs),
    /// Measure the disk without a broker
    Raw(raw::RawArgs),
    /// Start a broker, kill it, start it again, and see how long it takes
    Start(start::StartArgs),
    /// Measure all that Corelog promises
    Figures(figures::FiguresArgs),
    /// Show a comparison as text
    Table(table::TableArgs),
    /// Show a comparison as a page of HTML, with plots
    Page(page::PageArgs),
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("corelog-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Produce(args) => closed::run(args),
        Command::Open(args) => open::run(args),
        Command::Fetch(args) => fetch::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Raw(args) => raw::run(args),
        Command::Start(args) => start::run(args),
        Command::Figures(args) => figures::run(args),
        Command::Table(args) => table::run(args),
        Command::Page(args) => page::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines() {
        for (line, valid) in [
            ("produce", true),
            ("produce --topic t --partitions 4 --connections 2 --in-flight 5", true),
            ("produce --record-size 100 --batch-bytes 16KiB --compression lz4 --acks 1", true),
            ("produce --records-per-batch 3 --partitions-per-request 10 --idempotent", true),
            ("produce --bytes 1GB --json out.json --broker-pid 1", true),
            ("produce --bytes 1GB --seconds 3", false),
            ("produce --records-per-batch 3 --batch-bytes 1KiB", false),
            ("produce --acks 0", false),
            ("produce --bootstrap localhost", false),
            ("produce --topic-config flush.messages=1", true),
            ("produce --topic-config flush.messages", false),
            ("open --rate 2000 --order random --warm-up 500ms --acks -1", true),
            ("open --rate 0", false),
            ("fetch --fill 1GB --max-bytes 8MiB --check-crc --seconds 5", true),
            ("tail --rate 100 --record-size 16", true),
            ("raw --dir /tmp --rate 2000 --writes 100", true),
            ("start --broker corelog --dir d --fill 10GB --partitions 1000", true),
            ("start --dir d", false),
            ("figures --broker corelog --parent /tmp --json f", true),
            ("compare", false),
            ("table --results f --scenarios d --markdown", true),
            ("table --results f", false),
            ("page --results f --scenarios d --out f.html", true),
            ("page --results f --scenarios d", false),
        ] {
            let arguments = ["corelog-bench"].into_iter().chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(arguments).is_ok(), valid, "{line}");
        }
    }
}
