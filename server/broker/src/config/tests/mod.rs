//! Tests of the whole path from sources to what is shown, by what they look at.

mod describe;
mod errors;
mod facts;
mod group;
mod load;
mod show;
mod topic;

use std::collections::BTreeMap;

use super::broker::Config;
use super::load::{ConfigFile, Flags, Loaded, Mode, Sources, UnknownNames, load};
use super::problem::Rejected;

/// A file, the environment, `--set` flags.
type Written<'a> = (Option<(&'a str, &'a str)>, &'a [(&'a str, &'a str)], &'a [&'a str]);

fn sources((file, environment, set): Written<'_>) -> Sources {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        mode: Mode::Production,
        file: file.map(|(path, text)| ConfigFile::new(path, text.to_owned())),
        environment: environment.iter().map(owned).collect(),
        flags: Flags { set: set.iter().map(|s| (*s).to_owned()).collect(), ..Flags::default() },
        host_name: "machine".to_owned(),
        unknown: UnknownNames::Ignored,
    }
}

fn loaded(written: Written<'_>) -> Result<Loaded, Rejected> {
    load(&sources(written))
}

/// The configuration of a TOML file.
fn toml(text: &str) -> Config {
    accepted(loaded((Some(("c.toml", text)), &[], &[]))).config
}

/// The configuration of a `.properties` file.
fn properties(text: &str) -> Loaded {
    accepted(loaded((Some(("server.properties", text)), &[], &[])))
}

fn accepted(outcome: Result<Loaded, Rejected>) -> Loaded {
    outcome.unwrap_or_else(|rejected| panic!("{rejected}"))
}

/// The problems, one per line.
fn refused(outcome: Result<Loaded, Rejected>) -> String {
    match outcome {
        Ok(_) => panic!("accepted"),
        Err(rejected) => rejected.to_string(),
    }
}

/// The text of the value that counts.
fn value(config: &Config, name: &str) -> Option<String> {
    config.settings().effective(name).map(|assigned| assigned.value.to_string())
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
