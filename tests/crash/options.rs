//! What a person may say.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};

/// Kills a real broker, fills its disk, changes its cores, and looks whether anything that it
/// acknowledged is gone.
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Only this [default: all]
    #[command(subcommand)]
    pub(crate) only: Option<Part>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The `corelog` binary
    #[arg(long, value_name = "PATH")]
    pub(crate) broker: PathBuf,
    /// Where data directories are made; must not be a memory file system
    #[arg(long, value_name = "DIR", default_value = "target/crash")]
    pub(crate) dir: PathBuf,
    /// How often the broker is killed under load: 50 for long, 5 for quick
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How many seconds members of groups come and go: 300 for long, 30 for quick
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) churn: Duration,
    /// Where random choices come from [default: the time]
    #[arg(long, value_name = "S", default_value_t = seed_of_now())]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Part {
    /// kill -9 under load
    Kill,
    /// Start with another number of cores
    Cores,
    /// Members of groups that come and go
    Groups,
    /// A disk that is full; needs root
    Full,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
