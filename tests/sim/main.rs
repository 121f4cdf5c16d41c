//! Runs seeds of the simulator: `sim --seeds N [--from S] [--scenario NAME]`, or one of them to
//! look at: `sim --seed N [--scenario NAME] [--verbose]`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use corelog_tests::sim::scenario::Scenario;
use corelog_tests::sim::trace::Detail;
use corelog_tests::sim::world::run;

const USAGE: &str = "usage: sim (--seed N | --seeds N [--from S]) [--scenario NAME] [--verbose]";

struct Options {
    from: u64,
    seeds: u64,
    scenario: Option<Scenario>,
    one: bool,
    verbose: bool,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if options.one { look_at(&options) } else { run_all(&options) }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { from: 0, seeds: 100, scenario: None, one: false, verbose: false };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match arg.as_str() {
            "--seed" => (options.from, options.one) = (number(value()?)?, true),
            "--seeds" => options.seeds = number(value()?)?,
            "--from" => options.from = number(value()?)?,
            "--scenario" => {
                let name = value()?;
                let scenario = Scenario::named(&name).ok_or(format!("no scenario {name}"))?;
                options.scenario = Some(scenario);
            }
            "--verbose" => options.verbose = true,
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok(options)
}

/// Runs one seed, its last steps or all of them written out. A panic of the core ends it with its
/// own message, after the steps.
fn look_at(options: &Options) -> ExitCode {
    let scenario = options.scenario.unwrap_or(Scenario::of(options.from));
    let detail = if options.verbose { Detail::Echo } else { Detail::Tail };
    match run(options.from, scenario, detail) {
        Ok(summary) => {
            println!("seed {} of {scenario}: passed, {summary:?}", options.from);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            failure.lines.iter().for_each(|line| println!("{line}"));
            println!("seed {} of {scenario}: {}", options.from, failure.why);
            ExitCode::FAILURE
        }
    }
}

/// Runs seeds on all cores; one line for each that fails, and one at the end.
fn run_all(options: &Options) -> ExitCode {
    let next = AtomicU64::new(options.from);
    let end = options.from + options.seeds;
    let failed = Mutex::new(BTreeMap::new());
    std::panic::set_hook(Box::new(|_| {}));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    if let Some(why) = failure(seed, options.scenario) {
                        println!("{why}");
                        failed.lock().expect("no panic while it is held").insert(seed, why);
                    }
                }
            });
        }
    });
    let failed = failed.lock().expect("no panic while it is held").len() as u64;
    println!("{} passed, {failed} failed", options.seeds - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failure(seed: u64, scenario: Option<Scenario>) -> Option<String> {
    let scenario = scenario.unwrap_or(Scenario::of(seed));
    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, scenario, Detail::Hash)));
    let why = match outcome {
        Ok(Ok(_)) => return None,
        Ok(Err(failure)) => failure.why,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?"))
        }
    };
    let why: String = why.chars().take(300).collect();
    Some(format!("seed {seed} of {scenario}: {why}\n    sim --seed {seed} --scenario {scenario}"))
}
