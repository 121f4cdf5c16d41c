//! Corelog, a Kafka-compatible broker: the daemon and its command line.
//!
//! `cli` reads the command line; `config` says what settings there are and mean; `daemon` is the
//! broker as a process; `broker` answers Kafka's requests.

mod broker;
mod cli;
mod config;
mod daemon;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
