//! Results brought together with what was claimed: systems side by side, round by round.

use std::collections::BTreeMap;
use std::path::Path;

use crate::claims::{Claim, Goal, Limit, Yardstick};
use crate::failure::Failure;
use crate::results::{ABSENT, Line, RAW};
use crate::rival::{About, ECHO};

/// The system that all others are compared with.
pub(crate) const OWN: &str = "corelog";

/// All scenarios with what was measured in them.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) contests: Vec<Contest>,
    /// The disk alone, where it was measured for no particular scenario.
    pub(crate) disk: System,
    /// What the systems are, as far as somebody said so.
    pub(crate) described: Vec<(String, About)>,
}

/// One scenario.
#[derive(Clone, Debug)]
pub(crate) struct Contest {
    pub(crate) claim: Claim,
    /// Those with results: Corelog, then its rivals as the scenario orders them.
    pub(crate) systems: Vec<System>,
    pub(crate) absences: BTreeMap<Absence, Vec<u32>>,
    pub(crate) disk: System,
    /// What limits are taken from: the disk alone, by round, whichever scenario it was.
    machine: System,
}

/// Which system has no results, and why; beside it the rounds, none where it is all of them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Absence {
    pub(crate) system: String,
    pub(crate) why: String,
}

/// One system's runs, by round.
#[derive(Clone, Debug, Default)]
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) runs: Vec<Line>,
}

/// What can be told of a run as one number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) unit: String,
}

/// A number's values in all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Met,
    /// The number says so, but the rival could not do what was asked of it: requests failed.
    Beyond,
    Missed,
    /// Requests were answered with errors, or Corelog failed in a round: numbers say nothing then.
    Errors,
    Unmeasured,
}

/// A goal beside what was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// As a multiple of what the goal's bound is a multiple of.
    pub(crate) reached: Option<Spread>,
    /// As a multiple of the limit.
    pub(crate) limit: Option<Spread>,
    pub(crate) verdict: Verdict,
}

/// Why results cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum ComparisonError {
    #[error("there are results of scenario {0}, but no file of that name")]
    UnknownScenario(String),
    #[error(
        "scenario {scenario} has two results of {system} in round {round}; each comparison needs \
         a file of its own"
    )]
    Twice { scenario: String, system: String, round: u32 },
}

impl Comparison {
    /// Runs by hand, without a scenario, are passed over.
    ///
    /// # Errors
    /// A scenario is unknown, or a round has two results.
    pub(crate) fn new(lines: Vec<Line>, claims: Vec<Claim>) -> Result<Comparison, ComparisonError> {
        let mut contests: Vec<Contest> = claims.into_iter().map(Contest::new).collect();
        let mut disk = System::named(RAW);
        for line in lines {
            match line.scenario.clone() {
                Some(name) => {
                    let contest = contests.iter_mut().find(|contest| contest.claim.name == name);
                    contest.ok_or(ComparisonError::UnknownScenario(name))?.add(line)?;
                }
                None if line.test == RAW => disk.runs.push(line),
                None if line.test == ABSENT => {
                    contests.iter_mut().for_each(|contest| contest.miss(&line));
                }
                None => {}
            }
        }
        for contest in &mut contests {
            contest.sort();
            contest.machine.runs = contest.disk.runs.iter().chain(&disk.runs).cloned().collect();
        }
        Ok(Comparison { contests, disk, described: Vec::new() })
    }

    /// Reads what the systems are that have a folder in `rivals`.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(crate) fn describe(&mut self, rivals: &Path) -> Result<(), Failure> {
        let mut described = Vec::new();
        for name in self.systems() {
            let folder = rivals.join(name);
            if folder.is_dir() {
                described.push((name.to_owned(), About::read(&folder)?));
            }
        }
        self.described = described;
        Ok(())
    }

    /// Every run of a system.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Line> {
        self.contests.iter().flat_map(|contest| &contest.systems).flat_map(|system| &system.runs)
    }

    /// All systems: Corelog, then its rivals in the order in which scenarios name them.
    pub(crate) fn systems(&self) -> Vec<&str> {
        let mut names = vec![OWN];
        for system in self.contests.iter().flat_map(|contest| &contest.systems) {
            if !names.contains(&system.name.as_str()) {
                names.push(&system.name);
            }
        }
        names
    }
}

impl Contest {
    fn new(claim: Claim) -> Contest {
        let (disk, machine) = (System::named(RAW), System::named(RAW));
        Contest { claim, systems: Vec::new(), absences: BTreeMap::new(), disk, machine }
    }

    fn add(&mut self, line: Line) -> Result<(), ComparisonError> {
        match line.test.as_str() {
            RAW => self.disk.runs.push(line),
            ABSENT => self.miss(&line),
            _ => {
                let name = line.system.clone().unwrap_or_else(|| OWN.to_owned());
                let place = self.systems.iter().position(|system| system.name == name);
                let place = place.unwrap_or_else(|| {
                    self.systems.push(System::named(&name));
                    self.systems.len() - 1
                });
                let runs = &mut self.systems[place].runs;
                if runs.iter().any(|run| run.round == line.round) {
                    let (scenario, round) = (self.claim.name.clone(), line.round.unwrap_or(0));
                    return Err(ComparisonError::Twice { scenario, system: name, round });
                }
                runs.push(line);
            }
        }
        Ok(())
    }

    fn miss(&mut self, line: &Line) {
        let system = line.system.clone().unwrap_or_default();
        if self.claim.systems.contains(&system) || line.scenario.is_some() {
            let why = line.why.clone().unwrap_or_default();
            self.absences.entry(Absence { system, why }).or_default().extend(line.round);
        }
    }

    fn sort(&mut self) {
        let named = &self.claim.systems;
        let place = |name: &String| named.iter().position(|n| n == name).unwrap_or(named.len());
        self.systems.sort_by_key(|system| (system.name != OWN, place(&system.name)));
        self.systems.iter_mut().for_each(|system| system.runs.sort_by_key(|run| run.round));
    }

    /// Whether there is a result of any system, or one in a round that failed.
    pub(crate) fn is_measured(&self) -> bool {
        !self.systems.is_empty() || self.absences.values().any(|rounds| !rounds.is_empty())
    }

    pub(crate) fn system(&self, name: &str) -> Option<&System> {
        self.systems.iter().find(|system| system.name == name)
    }

    pub(crate) fn rivals(&self) -> impl Iterator<Item = &System> {
        self.systems.iter().filter(|system| system.name != OWN)
    }

    /// Everything that was measured of any system, what matters most first.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for metric in self.systems.iter().flat_map(System::metrics) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        metrics.sort_by_key(Metric::rank);
        metrics
    }

    /// Corelog's number divided by the rival's of the same round.
    pub(crate) fn ratio(&self, metric: &str, rival: &str) -> Option<Spread> {
        let (own, rival) = (self.system(OWN)?, self.system(rival)?);
        let ratio = |run: &Line| Some(run.number(metric)? / rival.run(run.round)?.number(metric)?);
        Spread::of(own.runs.iter().filter_map(ratio).filter(|ratio| ratio.is_finite()))
    }

    /// What became of a goal: the median of the rounds decides.
    pub(crate) fn judge(&self, goal: &Goal) -> Judgement {
        let rounds: Vec<Round> = self.rounds(goal).collect();
        let spread = |number: fn(&Round) -> Option<f64>| {
            Spread::of(rounds.iter().filter_map(number).filter(|number| number.is_finite()))
        };
        let share = spread(|round| Some(round.number / round.needed));
        let failed = self.absences.keys().any(|absence| absence.system == OWN);
        let erring = |name: &str| self.system(name).is_some_and(|system| system.errors() > 0);
        let rival_errs = goal.against.as_deref().is_some_and(erring);
        let verdict = match share {
            None => Verdict::Unmeasured,
            Some(_) if failed || erring(OWN) => Verdict::Errors,
            Some(share) => match (goal.bound.holds(share.median, 1.0), rival_errs) {
                (true, false) => Verdict::Met,
                (true, true) => Verdict::Beyond,
                (false, false) => Verdict::Missed,
                (false, true) => Verdict::Errors,
            },
        };
        let limit = spread(|round| round.limit);
        Judgement { reached: spread(|round| Some(round.number / round.basis)), limit, verdict }
    }

    fn rounds<'a>(&'a self, goal: &'a Goal) -> impl Iterator<Item = Round> + use<'a> {
        let own = self.system(OWN).into_iter().flat_map(|own| &own.runs);
        own.filter_map(|run| {
            let number = run.number(&goal.metric)?;
            let limit = goal.limit.and_then(|limit| self.limit(goal, limit, run));
            let basis = match (&goal.against, goal.limit) {
                (Some(rival), _) => self.system(rival)?.run(run.round)?.number(&goal.metric)?,
                (None, Some(_)) => limit?,
                (None, None) => 1.0,
            };
            let needed = goal.bound.value() * basis;
            let needed = match (&goal.against, limit) {
                (Some(_), Some(limit)) => goal.bound.easier(needed, limit),
                _ => needed,
            };
            Some(Round { number, basis, limit: limit.map(|limit| number / limit), needed })
        })
    }

    /// What the machine allows in the round of a run of Corelog.
    fn limit(&self, goal: &Goal, limit: Limit, own: &Line) -> Option<f64> {
        let disk = |name| self.machine.run(own.round)?.number(name);
        let echo = |name| self.system(ECHO)?.run(own.round)?.number(name);
        let number = match limit.of {
            Yardstick::DiskWrite => disk("sequential write")?,
            Yardstick::DiskRead => disk("sequential read")?,
            Yardstick::DiskLatency => disk("durable write p50")?,
            Yardstick::Echo => echo(&goal.metric)?,
            Yardstick::Cores => own.cores? as f64,
            Yardstick::RoundTrip => 1e6 / (disk("durable write p50")? + echo("answer p50")?),
        };
        Some(number * limit.times + limit.plus)
    }
}

/// A goal's numbers in one round.
struct Round {
    number: f64,
    /// What the bound is a multiple of.
    basis: f64,
    /// The number as a multiple of the limit.
    limit: Option<f64>,
    /// What the number should be, on the goal's side.
    needed: f64,
}

impl System {
    fn named(name: &str) -> System {
        System { name: name.to_owned(), runs: Vec::new() }
    }

    fn run(&self, round: Option<u32>) -> Option<&Line> {
        self.runs.iter().find(|run| run.round == round)
    }

    pub(crate) fn spread(&self, metric: &str) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| run.number(metric)))
    }

    /// Everything that was measured, each thing once.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for run in &self.runs {
            let latencies = run.latencies.iter().filter(|(_, latency)| latency.count > 0);
            let parts = latencies.flat_map(|(name, _)| {
                Metric::PARTS.map(|part| Metric::new(&format!("{name} {part}"), "us"))
            });
            let readings = run.readings.iter().map(|r| Metric::new(&r.name, &r.unit));
            for metric in readings.chain(parts) {
                if !metrics.contains(&metric) {
                    metrics.push(metric);
                }
            }
        }
        metrics
    }

    /// How many requests were answered with an error.
    pub(crate) fn errors(&self) -> u64 {
        self.runs.iter().flat_map(|run| run.errors.values()).sum()
    }
}

impl Metric {
    /// What is told of latencies.
    const PARTS: [&str; 3] = ["p50", "p99", "p99.9"];

    fn new(name: &str, unit: &str) -> Metric {
        Metric { name: name.to_owned(), unit: unit.to_owned() }
    }

    fn rank(&self) -> usize {
        let first = ["throughput", "highest rate", "requests", "records"];
        let place = first.iter().position(|name| *name == self.name);
        place.unwrap_or(first.len() + usize::from(self.unit != "us"))
    }
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { min, median: f64::midpoint(low, high), max })
    }

    pub(crate) fn times(self, factor: f64) -> Spread {
        let Spread { min, median, max } = self;
        Spread { min: min * factor, median: median * factor, max: max * factor }
    }
}

#[cfg(test)]
#[path = "comparison/tests.rs"]
mod tests;
