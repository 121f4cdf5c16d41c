//! What the scenario files claim, beside the loads that they describe.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;

/// What a scenario is to show.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Claim {
    /// The scenario's name: that of its file.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) claim: String,
    #[serde(default)]
    pub(crate) systems: Vec<String>,
    #[serde(default, rename = "goal")]
    pub(crate) goals: Vec<Goal>,
}

/// What Corelog is to reach: so much of what a rival reaches, or, without a rival, of the limit;
/// without either, a number.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Goal {
    pub(crate) metric: String,
    pub(crate) against: Option<String>,
    #[serde(flatten)]
    pub(crate) bound: Bound,
    /// What the machine allows: enough where a rival would demand more.
    pub(crate) limit: Option<Limit>,
}

/// On which side of the goal is the good one, and where it begins.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(crate) fn value(self) -> f64 {
        match self {
            Bound::AtLeast(bound) | Bound::AtMost(bound) => bound,
        }
    }

    /// Whether a number is good that should be on this side of `needed`.
    pub(crate) fn holds(self, number: f64, needed: f64) -> bool {
        match self {
            Bound::AtLeast(_) => number >= needed,
            Bound::AtMost(_) => number <= needed,
        }
    }

    /// Which of two numbers is the easier to reach.
    pub(crate) fn easier(self, one: f64, other: f64) -> f64 {
        match self {
            Bound::AtLeast(_) => one.min(other),
            Bound::AtMost(_) => one.max(other),
        }
    }
}

/// A number that was measured of the machine in the same round, times a factor, plus a number.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    pub(crate) of: Yardstick,
    #[serde(default = "once")]
    pub(crate) times: f64,
    #[serde(default)]
    pub(crate) plus: f64,
}

/// What is measured beside the systems.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Yardstick {
    /// Sequential writing, in MB/s.
    DiskWrite,
    /// Sequential reading, in MB/s.
    DiskRead,
    /// The median of single durable writes, in microseconds.
    DiskLatency,
    /// The same metric of the broker that does nothing.
    Echo,
    /// Requests a second of one client that waits for the disk and for the broker that does
    /// nothing, one after the other.
    RoundTrip,
}

impl Yardstick {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Yardstick::DiskWrite => "the disk's writing",
            Yardstick::DiskRead => "the disk's reading",
            Yardstick::DiskLatency => "the disk's median",
            Yardstick::Echo => "echo",
            Yardstick::RoundTrip => "1 / (the disk's median + echo's)",
        }
    }
}

fn once() -> f64 {
    1.0
}

/// Reads the claims of all scenario files of a folder, by name.
///
/// # Errors
/// The folder or a file cannot be read, or a file is no scenario.
pub(crate) fn read(folder: &Path) -> Result<Vec<Claim>, Failure> {
    let failed = |path: &Path, source| Failure::File { path: path.to_owned(), source };
    let mut claims = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        if path.extension() == Some(OsStr::new("toml")) {
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let broken = |source| Failure::Claim { path: path.clone(), source: Box::new(source) };
            claims.push(parse(&name, &text).map_err(broken)?);
        }
    }
    claims.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(claims)
}

/// The claim of a scenario file.
pub(crate) fn parse(name: &str, text: &str) -> Result<Claim, toml::de::Error> {
    Ok(Claim { name: name.to_owned(), ..toml::from_str(text)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_have_one_bound() {
        let scenario = |goal: &str| {
            let head = "title = \"T\"\nclaim = \"C\"\n[[goal]]\nmetric = \"m\"\n";
            parse("n", &format!("{head}{goal}\n[load]\ncommand = \"produce\"")).ok()
        };
        for (goal, expected) in [
            ("at_least = 1.5", Some(Bound::AtLeast(1.5))),
            ("at_most = 1", Some(Bound::AtMost(1.0))),
            ("at_least = \"much\"", None),
            ("", None),
        ] {
            let bound = scenario(goal).map(|claim| claim.goals[0].bound);
            assert_eq!(bound, expected, "{goal}");
        }
    }

    #[test]
    fn limits_say_what_they_are_taken_from() {
        let goal = |limit: &str| {
            let text = format!("metric = \"m\"\nagainst = \"k\"\nat_most = 1\nlimit = {limit}");
            toml::from_str(&text).ok().and_then(|goal: Goal| goal.limit)
        };
        let latency = Limit { of: Yardstick::DiskLatency, times: 3.0, plus: 150.0 };
        let echo = Limit { of: Yardstick::Echo, times: 1.0, plus: 0.0 };
        for (limit, expected) in [
            ("{ of = \"disk-latency\", times = 3, plus = 150 }", Some(latency)),
            ("{ of = \"echo\" }", Some(echo)),
            ("{ of = \"luck\" }", None),
            ("{ of = \"echo\", time = 3 }", None),
            ("{ times = 3 }", None),
        ] {
            assert_eq!(goal(limit), expected, "{limit}");
        }
    }

    #[test]
    fn a_bound_holds_at_itself() {
        for (bound, number, holds) in [
            (Bound::AtLeast(1.5), 1.5, true),
            (Bound::AtLeast(1.5), 1.4, false),
            (Bound::AtMost(0.5), 0.5, true),
            (Bound::AtMost(0.5), 0.6, false),
        ] {
            assert_eq!(bound.holds(number, bound.value()), holds, "{bound:?} {number}");
        }
    }

    #[test]
    fn files_are_read_by_name_and_others_passed_over() {
        let folder = std::env::temp_dir().join(format!("corelog-claims-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        for (file, text) in [
            ("b.toml", "title = \"B\"\nclaim = \"\""),
            ("a.toml", "title = \"A\"\nclaim = \"\""),
            ("notes.md", "# no scenario"),
        ] {
            fs::write(folder.join(file), text).expect("a file");
        }
        let names = read(&folder).map(|claims| claims.into_iter().map(|c| c.name).collect());
        fs::write(folder.join("c.toml"), "title = 1").expect("a file");
        let broken = read(&folder).err().map(|failure| failure.to_string());
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(names.ok(), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert!(broken.is_some_and(|text| text.contains("c.toml")));
    }
}
