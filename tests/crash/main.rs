//! Crash tests: a real broker, killed, restarted with other cores, with a full disk; whatever it
//! acknowledged must be there.
//!
//! `world` and `ledger` know what must be found; `writer`, `tail` and `admin` make the load;
//! `verify` reads everything back; `rounds`, `cores`, `churn` and `full` are the tests.

mod options;

mod batch;
mod ledger;
mod verify;
mod world;

mod admin;
mod churn;
mod load;
mod tail;
mod writer;

mod cores;
mod full;
mod mount;
mod rounds;

use std::process::ExitCode;

use clap::Parser;
use corelog_tests::live::report::Report;

use options::{Cli, Part};

fn main() -> ExitCode {
    let Cli { options, only } = Cli::parse();
    let wanted = |part| only.is_none_or(|only| only == part);
    if wanted(Part::Full) {
        mount::make_private();
    }
    println!("seed {}", options.seed);
    let mut report = Report::default();
    if wanted(Part::Kill) {
        rounds::run(&options, &mut report);
    }
    if wanted(Part::Cores) {
        cores::run(&options, &mut report);
    }
    if wanted(Part::Groups) {
        churn::run(&options, &mut report);
    }
    if wanted(Part::Full) {
        full::run(&options, &mut report);
    }
    report.close()
}
