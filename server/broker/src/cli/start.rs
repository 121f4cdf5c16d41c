//! `corelog start`: gathers everything that settings are read from, and runs the broker with them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::client::BOOTSTRAP_VARIABLE;
use super::output::complain;
use crate::config::load::{
    CONFIG_FILE_VARIABLE, ConfigFile, Flags, Mode, Sources, UnknownNames, load,
};
use crate::config::problem::Rejected;
use crate::daemon::{self, MISCONFIGURED};

/// Flags win over the environment (CORELOG_NUM_PARTITIONS is num.partitions), which wins over the
/// file.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Settings: TOML, or a Kafka server.properties as it is
    #[arg(long, value_name = "FILE", env = CONFIG_FILE_VARIABLE)]
    config: Option<PathBuf>,
    /// The directory that holds everything [default: ./corelog-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where to listen; an empty host is every address, port 0 a free port
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where clients are told to connect, when it is not where the broker listens
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// The cores to run on, such as 0,1,4-7 [default: all]
    #[arg(long, value_name = "LIST|all")]
    cores: Option<String>,
    /// For trying things out on one machine: advertises localhost, clamps replication
    #[arg(long)]
    dev: bool,
    /// Refuse a server.properties with names that neither Kafka nor Corelog has
    #[arg(long)]
    strict: bool,
    /// Any setting of `corelog config list`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    let loaded = sources(arguments).and_then(|sources| load(&sources));
    match loaded {
        Ok(loaded) => daemon::start(loaded),
        Err(rejected) => refuse(&rejected),
    }
}

fn sources(arguments: Arguments) -> Result<Sources, Rejected> {
    let Arguments { config, data_dir, listen, advertise, cores, dev, strict, set } = arguments;
    Ok(Sources {
        mode: if dev { Mode::Dev } else { Mode::Production },
        file: config.as_deref().map(ConfigFile::read).transpose()?,
        environment: environment(),
        unknown: unknown_names(strict),
        flags: Flags { set, data_dir, listen, advertise, cores },
        host_name: host_name(),
    })
}

/// What `--strict` says.
pub(super) fn unknown_names(strict: bool) -> UnknownNames {
    match strict {
        true => UnknownNames::Refused,
        false => UnknownNames::Ignored,
    }
}

/// There is no log yet: the level is one of the settings.
fn refuse(rejected: &Rejected) -> ExitCode {
    for problem in &rejected.problems {
        complain(problem);
    }
    ExitCode::from(MISCONFIGURED)
}

/// The environment, as far as it is text and for the broker.
pub(super) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != BOOTSTRAP_VARIABLE)
        .collect()
}

/// What the machine calls itself.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
