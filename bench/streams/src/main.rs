//! The loads of the scenarios, for brokers that do not speak Kafka's protocol.
//!
//! From the top: [`scenario`] reads what `corelog-bench` would do, as far as it translates;
//! [`load`] does it through a [`system`], which is [`nats`] or [`rabbitmq`]; [`tail`] adds a
//! consumer; [`report`] writes the line of JSON that `corelog-bench` writes. What the numbers are
//! is said in `bench/METHOD.md`.

mod load;
mod tail;

mod scenario;

mod nats;
mod rabbitmq;
mod system;

mod content;
mod latencies;
mod pace;
mod process;
mod report;
mod tally;
mod units;

mod failure;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::failure::Failure;
use crate::load::Run;
use crate::nats::Nats;
use crate::process::Pid;
use crate::rabbitmq::RabbitMq;
use crate::report::Origin;
use crate::scenario::Plan;
use crate::system::{Address, System};

/// What does not translate ends with this code.
const UNTRANSLATABLE: u8 = 3;

/// Runs the load of a scenario against NATS JetStream or RabbitMQ streams.
#[derive(Debug, Parser)]
#[command(name = "corelog-bench-streams", version)]
struct Cli {
    /// What the broker speaks
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Where it listens, as host:port
    #[arg(long)]
    address: Address,
    /// File that describes the load
    #[arg(long)]
    scenario: PathBuf,
    /// Name of the broker in the result
    #[arg(long)]
    system: String,
    /// Number of the round in the result
    #[arg(long, default_value_t = 1)]
    round: u32,
    /// Process of the broker, to account for what it uses
    #[arg(long)]
    broker_pid: Option<u32>,
    /// Append the result to this file as a line of JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Protocol {
    Nats,
    #[value(name = "rabbitmq")]
    RabbitMq,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("corelog-bench-streams: {failure}");
            match failure {
                Failure::Untranslatable(_) => ExitCode::from(UNTRANSLATABLE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let plan = Plan::read(&cli.scenario)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Runtime)?;
    let address = cli.address.clone();
    runtime.block_on(async {
        match cli.protocol {
            Protocol::Nats => measure(cli, &plan, Nats::new(address, &plan.shape)).await,
            Protocol::RabbitMq => measure(cli, &plan, RabbitMq::new(address, &plan.shape)).await,
        }
    })
}

async fn measure(cli: &Cli, plan: &Plan, system: impl System) -> Result<(), Failure> {
    let origin = Origin::new(&cli.scenario, &cli.system, cli.round);
    let run = Run { plan, broker: cli.broker_pid.map(Pid) };
    let mut report = run.report(origin, &system).await?;
    report.setting("translation", &system.translation());
    report.publish(cli.json.as_deref()).map_err(Failure::Output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
