//! `corelog config`: what can be set, and whether a file is right.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::output::complain;
use super::start::{environment, host_name, unknown_names};
use crate::config::check;
use crate::config::list::{ListFormat, list};
use crate::config::load::{ConfigFile, Flags, Loaded, Mode, Sources, load};
use crate::config::problem::Rejected;
use crate::daemon::MISCONFIGURED;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show every setting with its type, default and meaning.
    List {
        /// How to print them
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// Say what a file, with the environment over it, adds up to, or all that is wrong with it.
    Check {
        /// TOML, or a Kafka server.properties as it is
        file: PathBuf,
        /// Refuse a server.properties with names that neither Kafka nor Corelog has
        #[arg(long)]
        strict: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Markdown,
}

pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::List { output } => {
            let format = match output {
                Format::Text => ListFormat::Text,
                Format::Json => ListFormat::Json,
                Format::Markdown => ListFormat::Markdown,
            };
            print(&list(format))
        }
        Command::Check { file, strict } => {
            let outcome = outcome(&file, strict);
            let report = check::report(&outcome);
            match outcome {
                Ok(_) => print(&report),
                Err(_) => {
                    let _ = io::stderr().lock().write_all(report.as_bytes());
                    ExitCode::from(MISCONFIGURED)
                }
            }
        }
    }
}

fn outcome(file: &Path, strict: bool) -> Result<Loaded, Rejected> {
    load(&Sources {
        mode: Mode::Production,
        file: Some(ConfigFile::read(file)?),
        environment: environment(),
        unknown: unknown_names(strict),
        flags: Flags::default(),
        host_name: host_name(),
    })
}

/// A pipe that is closed has been read enough of.
fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(format_args!("standard output cannot be written: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
