//! Load generator for Kafka-compatible brokers. `METHOD.md` says what is measured and how.
//!
//! From the top: [`compare`] starts a [`rival`] for a [`scenario`] that it has [`mod@run`]. That,
//! or whoever writes it on a command line, is a command ([`closed`], [`open`], [`mod@fetch`],
//! [`tail`], [`mixed`], [`ramp`], [`groups`], [`raw`], [`start`]) that reads its flags, lets
//! [`produce`] divide a topic among connections, each of which is a [`load`] that follows its
//! [`pace`] with requests prepared by [`request`], and puts what was counted into a [`report`].
//!
//! [`table`] and [`page`] show a [`comparison`] of many such [`results`] with what was claimed.

mod closed;
mod compare;
mod echo;
mod fetch;
mod groups;
mod mixed;
mod open;
mod ramp;
mod raw;
mod run;
mod start;
mod tail;

mod rival;
mod scenario;

mod produce;

mod load;
mod pace;

mod batch;
mod keys;
mod random;
mod request;
mod supply;

mod broker;
mod client;
mod held;
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
mod memory;
mod process;
mod report;
mod timeline;

mod failure;
mod units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    /// Produce at a given rate while some consumers follow and others catch up
    Mixed(mixed::MixedArgs),
    /// Raise the rate until clients wait too long
    Ramp(ramp::RampArgs),
    /// Members of consumer groups that commit, are heard of, and rebalance
    Groups(groups::GroupsArgs),
    /// Measure the disk without a broker
    Raw(raw::RawArgs),
    /// Start a broker, kill it, start it again, and see how long it takes
    Start(start::StartArgs),
    /// Be a broker that keeps nothing and answers at once, to see what a load itself costs
    Echo(echo::EchoArgs),
    /// Run a scenario against a broker
    Run(run::RunArgs),
    /// Run scenarios against Corelog and its rivals in turn
    Compare(compare::CompareArgs),
    /// Show a comparison as text
    Table(table::TableArgs),
    /// Show a comparison as a page of HTML, with plots
    Page(page::PageArgs),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    match prepare(&command).and_then(|()| execute(&command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("corelog-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Lets signals end what is started, and allows as many connections as the system does.
fn prepare(command: &Command) -> Result<(), Failure> {
    let patience = match command {
        // What it starts ends brokers itself, which takes as long as that is given.
        Command::Compare(_) => held::PATIENCE * 2,
        _ => held::PATIENCE,
    };
    held::end_on_signals(patience).map_err(Failure::Signals)?;
    let limit = getrlimit(Resource::Nofile);
    // Where it stays lower, connections fail and say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    Ok(())
}

fn execute(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Produce(args) => closed::run(args),
        Command::Open(args) => open::run(args),
        Command::Fetch(args) => fetch::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Mixed(args) => mixed::run(args),
        Command::Ramp(args) => ramp::run(args),
        Command::Groups(args) => groups::run(args),
        Command::Raw(args) => raw::run(args),
        Command::Start(args) => start::run(args),
        Command::Echo(args) => echo::run(args),
        Command::Run(args) => run::run(args),
        Command::Compare(args) => compare::run(args),
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
            ("produce --acks 0 --keys 1000", true),
            ("produce --bootstrap localhost", false),
            ("produce --topic-config flush.messages=1", true),
            ("produce --topic-config flush.messages", false),
            ("open --rate 2000 --order random --warm-up 500ms --acks -1", true),
            ("open --rate 0", false),
            ("fetch --fill 1GB --max-bytes 8MiB --check-crc --seconds 5", true),
            ("tail --rate 100 --record-size 16", true),
            ("groups --members 50 --groups 5 --rebalancing 10 --rebalances 3 --seconds 1s", true),
            ("raw --dir /tmp --rate 2000 --writes 100", true),
            ("start --broker corelog --dir d --fill 10GB --partitions 1000", true),
            ("start --broker=a --broker={port} --dir d", true),
            ("start --dir d", false),
            ("fetch --warm-up 1s", false),
            ("fetch --seconds 3 --warm-up 1s --cold --data-dir d", true),
            ("fetch --cold", false),
            ("mixed --fill 1GB --of-peak 0.5 --readers 2 --tails 3", true),
            ("mixed --rate 5 --of-peak 0.5", false),
            ("ramp --rate 500 --p99 2ms --halvings 3 --connections 8", true),
            ("run f.toml --system kafka --round 2 --quick", true),
            ("compare --parent p --json f --quick open-16 tail", true),
            ("compare --json f", false),
            ("compare --parent p --json f --rounds 0", false),
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
