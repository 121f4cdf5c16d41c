//! What the scenario files claim, beside the loads that they describe.

use serde::Deserialize;

/// What a scenario is to show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    /// The scenario's name: that of its file.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) claim: String,
    pub(crate) systems: Vec<String>,
    pub(crate) goals: Vec<Goal>,
}

/// What Corelog is to reach: so much of what a rival reaches, or, without a rival, of the limit;
/// without either, a number.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "Keys")]
pub(crate) struct Goal {
    pub(crate) metric: String,
    pub(crate) against: Option<String>,
    pub(crate) bound: Bound,
    /// What the machine allows: enough where a rival would demand more.
    pub(crate) limit: Option<Limit>,
}

/// A goal as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    metric: String,
    against: Option<String>,
    at_least: Option<f64>,
    at_most: Option<f64>,
    limit: Option<Limit>,
}

impl TryFrom<Keys> for Goal {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Goal, &'static str> {
        let Keys { metric, against, at_least, at_most, limit } = keys;
        let bound = match (at_least, at_most) {
            (Some(bound), None) => Bound::AtLeast(bound),
            (None, Some(bound)) => Bound::AtMost(bound),
            _ => return Err("a goal has either `at_least` or `at_most`"),
        };
        Ok(Goal { metric, against, bound, limit })
    }
}

/// On which side of the goal is the good one, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// The cores of the machine.
    Cores,
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
            Yardstick::Cores => "the cores",
            Yardstick::RoundTrip => "1 / (the disk's median + echo's)",
        }
    }
}

fn once() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_have_one_bound() {
        for (goal, expected) in [
            ("at_least = 1.5", Some(Bound::AtLeast(1.5))),
            ("at_most = 1", Some(Bound::AtMost(1.0))),
            ("at_least = \"much\"", None),
            ("", None),
            ("at_least = 1\nat_most = 2", None),
            ("at_most = 1\nagains = \"kafka\"", None),
        ] {
            let goal = toml::from_str(&format!("metric = \"m\"\n{goal}"));
            assert_eq!(goal.ok().map(|goal: Goal| goal.bound), expected);
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
}
