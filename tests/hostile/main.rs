//! Bytes and behaviour of bad faith, over TCP against a real broker, which must stay up, within its
//! memory, of service to others, and quiet in its log; it answers with Kafka's code or hangs up.
//!
//! `site` is the broker with everything that is watched beside each test, `answer` what may come
//! back; `wide` makes requests; the other modules are the attacks.

mod answer;
mod bystander;
mod site;

mod batches;
mod bombs;
mod floods;
mod frames;
mod heavy;
mod memory;
mod requests;
mod wide;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use corelog_tests::live::report::Report;
use corelog_wire::populate::Seed;

use site::{Case, ORDINARY, Site};

/// Attacks a real broker with bad bytes.
#[derive(Debug, Parser)]
struct Options {
    /// The `corelog` binary
    #[arg(long, value_name = "PATH")]
    broker: PathBuf,
    /// Where the data directory is made
    #[arg(long, value_name = "DIR", default_value = "target/hostile")]
    dir: PathBuf,
    /// Tests whose name contains it
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Where random choices come from [default: the time]
    #[arg(long, value_name = "S", default_value_t = seed_of_now())]
    seed: u64,
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn main() -> ExitCode {
    let options = Options::parse();
    println!("seed {}", options.seed);
    let mut report = Report::default();
    let mut site = None;
    report.test("start", || {
        site = Some(Site::start(&options.broker, &options.dir, ORDINARY)?);
        Ok(String::new())
    });
    if let Some(site) = &mut site {
        let all = [
            frames::CASES,
            requests::CASES,
            batches::CASES,
            bombs::CASES,
            heavy::CASES,
            floods::CASES,
        ];
        for Case { name, attack } in all.into_iter().flatten() {
            if name.contains(&options.only) {
                report.test(name, || site.guard(|site| attack(site, &mut Seed(options.seed))));
            }
        }
    }
    drop(site);
    memory::test(&mut report, &options.broker, &options.dir, &options.only);
    heavy::test_wide(&mut report, &options.broker, &options.dir, &options.only);
    report.close()
}
