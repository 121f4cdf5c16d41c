//! `compare`: scenarios against Corelog and its rivals in turn, each on a broker of its own that
//! is new, and beside them the bare disk and a broker that does nothing.
//!
//! Each measurement is a process, so that none of them finds the memory of another one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::broker::{Broker, Launch, log_of};
use crate::comparison::OWN;
use crate::failure::Failure;
use crate::held::{Group, Temporary};
use crate::report::{append_json, now_ms};
use crate::results::{ABSENT, RAW};
use crate::rival::{ECHO, Protocol, Rival};
use crate::run::has_flag;
use crate::scenario::{Extent, Part, Scenario};

/// Those whose protocol is another one are driven by this program, which lies beside this one.
const STREAMS: &str = "corelog-bench-streams";
/// How that program says that it cannot run a scenario.
const REFUSED: i32 = 3;
/// Between two measurements, for a disk that takes note of deleted files after they are gone.
const REST: Duration = Duration::from_secs(3);

/// Flags of `compare`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompareArgs {
    /// The folder with a folder for each system
    #[arg(long, default_value = "bench/rivals")]
    rivals: PathBuf,
    /// The folder with a file for each scenario
    #[arg(long, default_value = "bench/scenario")]
    scenarios: PathBuf,
    /// Where data directories are made, and removed in the end; on the disk to be measured
    #[arg(long)]
    parent: PathBuf,
    /// Append the results to this file, each as a line of JSON
    #[arg(long)]
    json: PathBuf,
    /// How often everything is repeated
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Corelog alone, one round, a quarter of the times and bytes
    #[arg(long)]
    quick: bool,
    /// The scenarios; if there are none, all, or those that are marked as quick
    names: Vec<String>,
}

/// What could not be measured.
#[derive(Debug, Serialize)]
struct Absent<'a> {
    test: &'static str,
    system: &'a str,
    /// All of them, if there is none.
    scenario: Option<&'a str>,
    round: Option<u32>,
    started_ms: u64,
    why: String,
}

/// Compares, and prints results as they come.
///
/// # Errors
/// A scenario cannot be read, Corelog not be built, the disk not be measured; or, in the end, a
/// measurement failed.
pub(crate) fn run(args: &CompareArgs) -> Result<(), Failure> {
    let mut scenarios = Scenario::all(&args.scenarios, &args.names)?;
    if args.quick && args.names.is_empty() {
        scenarios.retain(Scenario::is_quick);
    }
    let mut comparison = Comparison { args, present: BTreeMap::new(), failed: 0 };
    comparison.fetch(OWN)?;
    if !comparison.has(OWN) {
        return Err(Failure::NothingToCompare);
    }
    for system in scenarios.iter().flat_map(|scenario| scenario.systems()) {
        if !args.quick {
            comparison.fetch(system)?;
        }
    }
    comparison.present.insert(ECHO.to_owned(), Some(Rival::echo(&own_path()?)));
    let rounds = if args.quick { 1 } else { args.rounds };
    for round in 1..=rounds {
        comparison.disk(round)?;
        for scenario in &scenarios {
            comparison.round(scenario, round)?;
        }
    }
    match comparison.failed {
        0 => Ok(()),
        failed => Err(Failure::Comparison(failed)),
    }
}

struct Comparison<'a> {
    args: &'a CompareArgs,
    /// `None` is a system that cannot be had.
    present: BTreeMap<String, Option<Rival>>,
    failed: usize,
}

impl Comparison<'_> {
    fn fetch(&mut self, system: &str) -> Result<(), Failure> {
        if self.present.contains_key(system) {
            return Ok(());
        }
        println!("fetching {system}");
        let rival = match Rival::fetch(&self.args.rivals, system)? {
            Ok(rival) => Some(rival),
            Err(why) => {
                self.absent(system, None, None, why)?;
                None
            }
        };
        self.present.insert(system.to_owned(), rival);
        Ok(())
    }

    fn absent(
        &self,
        system: &str,
        scenario: Option<&str>,
        round: Option<u32>,
        why: String,
    ) -> Result<(), Failure> {
        println!("{system} is absent: {why}");
        let absent = Absent { test: ABSENT, system, scenario, round, started_ms: now_ms(), why };
        append_json(&self.args.json, &absent).map_err(Failure::Output)
    }

    fn disk(&self, round: u32) -> Result<(), Failure> {
        println!("\nround {round}: the disk");
        let mut command = own_program()?;
        command.arg("raw").arg("--dir").arg(&self.args.parent).args(["--system", RAW]);
        command.args(["--round", &round.to_string()]).arg("--json").arg(&self.args.json);
        if self.args.quick {
            command.args(["--writes", "4000", "--sequential-bytes", "512MiB"]);
        }
        match self.wait(&mut command)? {
            Some(0) => Ok(()),
            _ => Err(Failure::Disk(self.args.parent.clone())),
        }
    }

    /// How a program ended, by its number.
    fn wait(&self, command: &mut Command) -> Result<Option<i32>, Failure> {
        let status = Group::spawn(command).and_then(Group::wait).map_err(|source| {
            let command = command.get_program().to_string_lossy().into_owned();
            Failure::Start { command, source }
        })?;
        Ok(status.code())
    }

    fn round(&mut self, scenario: &Scenario, round: u32) -> Result<(), Failure> {
        for system in in_turn(self.contestants(scenario), round) {
            let Some(Some(rival)) = self.present.get(system) else { continue };
            println!("\nround {round}: {} ({}), {system}", scenario.title(), scenario.name);
            let failure = match self.measure(rival, scenario, round) {
                Ok(None) => continue,
                Ok(Some(why)) => why,
                Err(failure @ Failure::Output(_)) => return Err(failure),
                Err(failure) => Outcome::Failed(failure.to_string()),
            };
            let why = match failure {
                Outcome::Refused => {
                    "it has nothing that this scenario could be run with".to_owned()
                }
                Outcome::Failed(why) => {
                    self.failed += 1;
                    why
                }
            };
            self.absent(system, Some(&scenario.name), Some(round), why)?;
        }
        Ok(())
    }

    /// Those who can be had of whom a scenario is run with.
    fn contestants<'a>(&self, scenario: &'a Scenario) -> Vec<&'a str> {
        let echo = scenario.only_produces().then_some(ECHO);
        let others = scenario.systems().iter().map(String::as_str).chain(echo);
        let all = [OWN].into_iter().chain(others.filter(|_| !self.args.quick));
        all.filter(|system| self.has(system)).collect()
    }

    fn has(&self, system: &str) -> bool {
        matches!(self.present.get(system), Some(Some(_)))
    }

    /// Runs a scenario on a new broker; what became of it where there is no result.
    fn measure(
        &self,
        rival: &Rival,
        scenario: &Scenario,
        round: u32,
    ) -> Result<Option<Outcome>, Failure> {
        let (own, name) = (std::process::id(), &scenario.name);
        // Logs of failures stay, so no two measurements have the same.
        let path = format!("corelog-bench-{own}-{name}-{}-{round}", rival.name);
        let path = self.args.parent.join(path);
        fs::create_dir_all(&path).map_err(|source| Failure::File { path: path.clone(), source })?;
        // Named whole: whoever is started may work somewhere else.
        let path =
            path.canonicalize().map_err(|source| Failure::File { path: path.clone(), source })?;
        let dir = Temporary::new(path);
        let log = Temporary::new(log_of(dir.path()));
        if !self.args.quick {
            // What the one before has left in memory and deleted is not this one's burden.
            rustix::fs::sync();
            thread::sleep(REST);
        }
        let code = if scenario.starts_brokers() {
            self.wait(&mut self.starting(rival, scenario, dir.path(), round)?)
        } else {
            match rival.start(dir.path()) {
                Ok((broker, launch)) => {
                    let code = self.wait(&mut self.load(rival, scenario, &broker, &launch, round)?);
                    broker.stop();
                    code
                }
                Err(failure) => {
                    log.keep();
                    return Err(failure);
                }
            }
        };
        Ok(match code? {
            Some(0) => None,
            Some(REFUSED) if rival.about.protocol != Protocol::Kafka => Some(Outcome::Refused),
            code => {
                let how = code.map_or("by a signal".to_owned(), |code| format!("with {code}"));
                let log = log.keep();
                let log = log.display();
                Some(Outcome::Failed(format!("the load ended {how}; the broker's log is {log}")))
            }
        })
    }

    /// A load on a broker that was started for it.
    fn load(
        &self,
        rival: &Rival,
        scenario: &Scenario,
        broker: &Broker,
        launch: &Launch,
        round: u32,
    ) -> Result<Command, Failure> {
        let (mut command, address) = match rival.about.protocol {
            Protocol::Kafka => (self.own(scenario, &launch.dir)?, "--bootstrap"),
            protocol => (streams(protocol, scenario)?, "--address"),
        };
        command.arg(address).arg(launch.address.to_string());
        command.args(["--broker-pid", &broker.pid().0.to_string()]);
        command.args(["--system", &rival.name, "--round", &round.to_string()]);
        command.arg("--json").arg(&self.args.json);
        Ok(command)
    }

    /// A measurement that starts brokers itself.
    fn starting(
        &self,
        rival: &Rival,
        scenario: &Scenario,
        dir: &Path,
        round: u32,
    ) -> Result<Command, Failure> {
        let launch = rival.launch(dir)?;
        let mut command = own_program()?;
        if let Some(words) = scenario.words(Part::Load, self.extent(), has_flag)? {
            command.arg(words.command).args(words.flags);
        }
        command.args(launch.words.iter().map(|word| format!("--broker={word}")));
        command.arg("--dir").arg(dir);
        command.arg("--bootstrap").arg(launch.address.to_string());
        command.args(["--scenario", &scenario.name]);
        command.args(["--system", &rival.name, "--round", &round.to_string()]);
        command.arg("--json").arg(&self.args.json);
        Ok(command)
    }

    fn extent(&self) -> Extent {
        if self.args.quick { Extent::Quick } else { Extent::Full }
    }

    fn own(&self, scenario: &Scenario, dir: &Path) -> Result<Command, Failure> {
        let mut command = own_program()?;
        command.arg("run").arg(&scenario.path).arg("--data-dir").arg(dir);
        command.args(self.args.quick.then_some("--quick"));
        Ok(command)
    }
}

/// Why a measurement has no result.
enum Outcome {
    Refused,
    Failed(String),
}

/// The order of a round: each begins with the next system, so that what the place in a round is
/// worth is not always worth it to the same one.
fn in_turn(mut systems: Vec<&str>, round: u32) -> Vec<&str> {
    let first = round.saturating_sub(1) as usize % systems.len().max(1);
    systems.rotate_left(first);
    systems
}

fn own_program() -> Result<Command, Failure> {
    Ok(Command::new(own_path()?))
}

fn own_path() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|source| Failure::Start { command: "corelog-bench".to_owned(), source })
}

fn streams(protocol: Protocol, scenario: &Scenario) -> Result<Command, Failure> {
    let mut command = Command::new(own_path()?.with_file_name(STREAMS));
    command.args(["--protocol", protocol.name()]).arg("--scenario").arg(&scenario.path);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_read_who_is_absent_and_why() {
        let why = "no network".to_owned();
        let (scenario, round) = (Some("tail"), Some(2));
        let absent = Absent { test: ABSENT, system: "kafka", scenario, round, started_ms: 1, why };
        let value = serde_json::to_value(absent).expect("JSON");
        let expected = serde_json::json!({
            "test": "absent", "system": "kafka", "scenario": "tail", "round": 2, "started_ms": 1,
            "why": "no network",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn every_system_is_once_the_first() {
        for (round, order) in
            [(1, ["a", "b", "c"]), (2, ["b", "c", "a"]), (3, ["c", "a", "b"]), (4, ["a", "b", "c"])]
        {
            assert_eq!(in_turn(vec!["a", "b", "c"], round), order, "{round}");
        }
        assert!(in_turn(Vec::new(), 7).is_empty());
    }

    #[test]
    fn what_cannot_be_had_is_in_the_results_and_ends_nothing() {
        let id = std::process::id();
        let folder = std::env::temp_dir().join(format!("corelog-bench-compare-{id}"));
        let folder = Temporary::new(folder);
        fs::create_dir(folder.path()).expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(
            path("x.toml"),
            "title = \"X\"\nclaim = \"C\"\nsystems = [\"missing\"]\n[load]\ncommand = \"tail\"",
        )
        .expect("a file");
        let args = CompareArgs {
            rivals: path("rivals"),
            scenarios: folder.path().to_owned(),
            parent: folder.path().to_owned(),
            json: path("json"),
            rounds: 1,
            quick: false,
            names: vec!["x".to_owned()],
        };
        let mut comparison = Comparison { args: &args, present: BTreeMap::new(), failed: 0 };
        for system in [OWN, "missing", "missing"] {
            comparison.fetch(system).expect("a file to write to");
        }
        let scenario = &Scenario::all(&args.scenarios, &args.names).expect("a scenario")[0];
        comparison.round(scenario, 1).expect("nothing to do");
        let told = fs::read_to_string(&args.json).expect("results");
        let systems: Vec<_> = told.lines().map(|line| line.split('"').nth(7)).collect();
        assert_eq!(systems, [Some(OWN), Some("missing")], "{told}");
        assert_eq!(comparison.failed, 0);
    }
}
