//! `run`: a scenario against one broker, which somebody else has started.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser};

use crate::client::Address;
use crate::failure::Failure;
use crate::scenario::{Extent, Part, Scenario, Words};
use crate::{Cli, execute};

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// The scenario's file
    scenario: PathBuf,
    /// Address of any broker of the cluster
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: Address,
    /// The broker's data directory, for loads that ask for it
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Name of what is measured, for the result
    #[arg(long)]
    system: Option<String>,
    /// Which repetition this is, for the result
    #[arg(long)]
    round: Option<u32>,
    /// Process of the broker, to account for its processor time
    #[arg(long)]
    broker_pid: Option<u32>,
    /// Append the result to this file as a line of JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// A quarter of the times and bytes
    #[arg(long)]
    quick: bool,
}

/// Runs the scenario's loads, one after the other.
///
/// # Errors
/// It is none, or as its loads.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let scenario = Scenario::read(&args.scenario)?;
    if scenario.starts_brokers() {
        return Err(Failure::Scenario {
            path: args.scenario.clone(),
            what: "it starts brokers itself: `compare` runs it, or `start` with its flags".into(),
        });
    }
    let extent = if args.quick { Extent::Quick } else { Extent::Full };
    for part in [Part::Setup, Part::Load] {
        if let Some(mut words) = scenario.words(part, extent, has_flag)? {
            args.complete(&mut words, part, &scenario.name);
            execute(&command(&words, &args.scenario)?)?;
        }
    }
    Ok(())
}

/// Whether a command of this program has a flag.
pub(crate) fn has_flag(command: &str, flag: &str) -> bool {
    let cli = Cli::command();
    let command = cli.find_subcommand(command);
    command.is_some_and(|command| command.get_arguments().any(|a| a.get_long() == Some(flag)))
}

fn command(words: &Words, path: &std::path::Path) -> Result<crate::Command, Failure> {
    let line = ["corelog-bench", &words.command].into_iter();
    let line = line.chain(words.flags.iter().map(String::as_str));
    let cli = Cli::try_parse_from(line).map_err(|error| {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().to_owned();
        Failure::Scenario { path: path.to_owned(), what }
    })?;
    Ok(cli.command)
}

impl RunArgs {
    /// Adds what only the run knows.
    fn complete(&self, words: &mut Words, part: Part, name: &str) {
        // A load on what the setup did not do is another load.
        if part == Part::Setup && has_flag(&words.command, "no-errors") {
            words.flags.push("--no-errors".to_owned());
        }
        let mut add = |flag: &str, value: Option<String>| {
            if let Some(value) = value.filter(|_| has_flag(&words.command, flag)) {
                words.flags.push(format!("--{flag}={value}"));
            }
        };
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        add("bootstrap", Some(self.bootstrap.to_string()));
        add("data-dir", self.data_dir.as_ref().map(path));
        if part == Part::Load {
            add("scenario", Some(name.to_owned()));
            add("system", self.system.clone());
            add("round", self.round.map(|round| round.to_string()));
            add("broker-pid", self.broker_pid.map(|pid| pid.to_string()));
            add("json", self.json.as_ref().map(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_scenario_is_a_command_line() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario");
        let scenarios = Scenario::all(&folder, &[]).expect("scenarios");
        assert!(!scenarios.is_empty());
        let line = "corelog-bench run f --data-dir d --system s --round 1 --json j --broker-pid 7";
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("a command line");
        let crate::Command::Run(args) = cli.command else { panic!("it is `run`") };
        for scenario in scenarios.iter().filter(|scenario| !scenario.starts_brokers()) {
            for (part, extent) in [
                (Part::Setup, Extent::Full),
                (Part::Load, Extent::Full),
                (Part::Load, Extent::Quick),
            ] {
                let words = scenario.words(part, extent, has_flag);
                let Some(mut words) = words.expect("flags") else { continue };
                args.complete(&mut words, part, &scenario.name);
                command(&words, &scenario.path).expect("a command line");
            }
        }
    }

    #[test]
    fn values_that_a_flag_refuses_are_told_with_the_file() {
        let words = Words { command: "open".into(), flags: vec!["--rate=0".into()] };
        let told = command(&words, Path::new("x.toml")).expect_err("no rate").to_string();
        assert!(told.contains("x.toml") && told.contains("--rate"), "{told}");
    }
}
