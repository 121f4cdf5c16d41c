//! `table`: a comparison as text, for terminals or in Markdown.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;

use crate::claims::{Bound, Goal, Limit};
use crate::comparison::{
    Absence, Comparison, Contest, Judgement, Metric, OWN, Spread, System, Verdict,
};
use crate::failure::Failure;
use crate::grid::{Grid, escaped};
use crate::results;
use crate::rival::About;
use crate::scale::{Scale, digits};
use crate::scenario::Scenario;

/// Flags of `table`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TableArgs {
    #[command(flatten)]
    sources: Sources,
    /// Markdown in place of aligned columns
    #[arg(long)]
    markdown: bool,
}

/// What a comparison is read from.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sources {
    /// The file of JSON lines that the comparison wrote
    #[arg(long)]
    results: PathBuf,
    /// The folder with the scenarios' files
    #[arg(long)]
    scenarios: PathBuf,
    /// The folder with a folder for each system, which says what it is
    #[arg(long)]
    rivals: Option<PathBuf>,
}

impl Sources {
    /// Reads both and brings them together.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub(crate) fn read(&self) -> Result<Comparison, Failure> {
        let lines = results::read(&self.results)?;
        let scenarios = Scenario::all(&self.scenarios, &[])?;
        let mut comparison =
            Comparison::new(lines, scenarios.into_iter().map(Scenario::claim).collect())?;
        if let Some(rivals) = &self.rivals {
            comparison.describe(rivals)?;
        }
        Ok(comparison)
    }
}

/// Prints the tables.
///
/// # Errors
/// The sources cannot be read, or standard output takes nothing.
pub(crate) fn run(args: &TableArgs) -> Result<(), Failure> {
    let comparison = args.sources.read()?;
    let style = if args.markdown { Style::Markdown } else { Style::Text };
    let text: String = blocks(&comparison).iter().map(|block| style.show(block)).collect();
    io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)
}

enum Block {
    Heading(String),
    Text(String),
    Grid(Grid),
}

enum Style {
    Text,
    Markdown,
}

impl Style {
    fn show(&self, block: &Block) -> String {
        match (self, block) {
            (Style::Text, Block::Heading(text)) => {
                format!("{text}\n{}\n\n", "=".repeat(text.chars().count()))
            }
            (Style::Markdown, Block::Heading(text)) => format!("## {}\n\n", escaped(text)),
            (Style::Text, Block::Text(text)) => format!("{text}\n\n"),
            (Style::Markdown, Block::Text(text)) => format!("{}\n\n", escaped(text)),
            (Style::Text, Block::Grid(grid)) => format!("{}\n", grid.text()),
            (Style::Markdown, Block::Grid(grid)) => format!("{}\n", grid.markdown()),
        }
    }
}

fn blocks(comparison: &Comparison) -> Vec<Block> {
    let mut blocks = vec![Block::Text(conditions(comparison))];
    blocks.extend(described(comparison).map(Block::Grid));
    blocks.extend(disk(&comparison.disk).map(Block::Grid));
    let measured = comparison.contests.iter().filter(|contest| contest.is_measured());
    blocks.extend(measured.flat_map(contest_blocks));
    blocks.extend(unmeasured(comparison).map(Block::Text));
    blocks
}

/// Which scenarios have no results.
pub(crate) fn unmeasured(comparison: &Comparison) -> Option<String> {
    let contests = comparison.contests.iter().filter(|contest| !contest.is_measured());
    let names: Vec<&str> = contests.map(|contest| contest.claim.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("Not measured: {}.", names.join(", ")))
}

fn contest_blocks(contest: &Contest) -> Vec<Block> {
    let claim = &contest.claim;
    let heading = format!("{} ({})", claim.title, claim.name);
    let mut blocks = vec![Block::Heading(heading), Block::Text(claim.claim.clone())];
    let grids = [goals(contest), figures(contest), ratios(contest), disk(&contest.disk)];
    blocks.extend(grids.into_iter().flatten().map(Block::Grid));
    blocks.extend(absences(contest).map(Block::Text));
    blocks
}

/// When and on what the runs took place.
pub(crate) fn conditions(comparison: &Comparison) -> String {
    let mut machines: Vec<String> = Vec::new();
    for run in comparison.runs() {
        let kernel = run.kernel.as_deref().unwrap_or("unknown");
        let machine = format!("Kernel {kernel}, {} cores.", run.cores.unwrap_or(0));
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    let started: BTreeSet<u64> = comparison.runs().filter_map(|run| run.started_ms).collect();
    let mut days: Vec<String> =
        started.first().into_iter().chain(started.last()).map(day).collect();
    days.dedup();
    let when = Some(days.join(" to ")).filter(|days| !days.is_empty()).map(|days| days + ".");
    let what = "Medians, and in parentheses the least and the most of all rounds.".to_owned();
    when.into_iter().chain(machines).chain([what]).collect::<Vec<_>>().join(" ")
}

fn day(ms: &u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(*ms);
    humantime::format_rfc3339_seconds(time).to_string().chars().take_while(|c| *c != 'T').collect()
}

/// Who has no results, and why.
pub(crate) fn absences(contest: &Contest) -> impl Iterator<Item = String> {
    contest.absences.iter().map(|(Absence { system, why }, rounds)| {
        let rounds: Vec<String> = rounds.iter().map(u32::to_string).collect();
        match rounds.as_slice() {
            [] => format!("{system} is absent: {why}."),
            [round] => format!("{system} has no result of round {round}: {why}."),
            rounds => format!("{system} has no results of rounds {}: {why}.", rounds.join(", ")),
        }
    })
}

/// Goals, what was reached, and whether that is enough.
pub(crate) fn goals(contest: &Contest) -> Option<Grid> {
    let row = |goal: &Goal| {
        let judgement = contest.judge(goal);
        let reached = judgement.reached.map_or("-".to_owned(), plain);
        vec![aim(goal), reached, beside(&judgement), told(judgement.verdict).to_owned()]
    };
    let rows: Vec<_> = contest.claim.goals.iter().map(row).collect();
    let head = ["goal", "reached", "of the limit", ""].map(str::to_owned).to_vec();
    (!rows.is_empty()).then_some(Grid { head, rows })
}

/// What was reached of a limit, if there is one.
pub(crate) fn beside(judgement: &Judgement) -> String {
    judgement.limit.map_or("-".to_owned(), |limit| format!("{} ×", plain(limit)))
}

/// A goal in words.
pub(crate) fn aim(goal: &Goal) -> String {
    let words = match goal.bound {
        Bound::AtLeast(_) => "at least",
        Bound::AtMost(_) => "at most",
    };
    let (metric, bound) = (&goal.metric, goal.bound.value());
    match (&goal.against, goal.limit) {
        (Some(rival), Some(limit)) => {
            format!("{metric}: {words} {bound} × {rival}, or {}", allowed(limit))
        }
        (Some(rival), None) => format!("{metric}: {words} {bound} × {rival}"),
        (None, Some(limit)) => format!("{metric}: {words} {bound} × {}", allowed(limit)),
        (None, None) => format!("{metric}: {words} {bound}"),
    }
}

/// A limit in words.
fn allowed(Limit { of, times, plus }: Limit) -> String {
    let times = if times == 1.0 { String::new() } else { format!("{times} × ") };
    let plus = if plus == 0.0 { String::new() } else { format!(" + {plus}") };
    format!("{times}{}{plus}", of.words())
}

/// A verdict in words.
pub(crate) fn told(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Beyond => "met: the other failed requests",
        Verdict::Missed => "NOT MET",
        Verdict::Errors => "NOT MET: errors",
        Verdict::Unmeasured => "not measured",
    }
}

/// A median with its extremes.
pub(crate) fn plain(spread: Spread) -> String {
    let [min, median, max] = [spread.min, spread.median, spread.max].map(digits);
    if min == max { median } else { format!("{median} ({min}..{max})") }
}

/// What was measured, a column for each system.
pub(crate) fn figures(contest: &Contest) -> Option<Grid> {
    let systems = &contest.systems;
    let counted = |name: &str, count: &dyn Fn(&System) -> String| {
        [name.to_owned()].into_iter().chain(systems.iter().map(count)).collect::<Vec<_>>()
    };
    let mut rows = vec![counted("rounds", &|system| system.runs.len().to_string())];
    rows.extend(contest.metrics().iter().map(|metric| metric_row(metric, systems)));
    if systems.iter().any(|system| system.errors() > 0) {
        rows.push(counted("errors", &|system| system.errors().to_string()));
    }
    let head = counted("", &|system| system.name.clone());
    (!systems.is_empty()).then_some(Grid { head, rows })
}

fn metric_row(metric: &Metric, systems: &[System]) -> Vec<String> {
    let spreads: Vec<_> = systems.iter().map(|system| system.spread(&metric.name)).collect();
    let most = spreads.iter().flatten().map(|spread| spread.median).fold(0.0, f64::max);
    let scale = Scale::fitting(&metric.unit, most);
    let cell = |spread: &Option<Spread>| {
        spread.map_or("-".to_owned(), |spread| plain(spread.times(scale.factor)))
    };
    let unit = Some(&scale.unit).filter(|unit| !unit.is_empty());
    let name = [Some(&metric.name), unit].into_iter().flatten().map(String::as_str);
    let name = name.collect::<Vec<_>>().join(", ");
    [name].into_iter().chain(spreads.iter().map(cell)).collect()
}

/// Corelog's figures divided by its rivals', round by round.
pub(crate) fn ratios(contest: &Contest) -> Option<Grid> {
    let rivals: Vec<&str> = contest.rivals().map(|rival| rival.name.as_str()).collect();
    let row = |metric: Metric| {
        let ratios: Vec<_> =
            rivals.iter().map(|rival| contest.ratio(&metric.name, rival).map(plain)).collect();
        ratios.iter().any(Option::is_some).then(|| {
            let cells = ratios.into_iter().map(|ratio| ratio.unwrap_or("-".to_owned()));
            [metric.name].into_iter().chain(cells).collect::<Vec<_>>()
        })
    };
    let rows: Vec<_> = contest.metrics().into_iter().filter_map(row).collect();
    let heads = rivals.iter().map(|rival| format!("{OWN} / {rival}"));
    let head = [String::new()].into_iter().chain(heads).collect();
    (!rows.is_empty()).then_some(Grid { head, rows })
}

/// What each system is.
pub(crate) fn described(comparison: &Comparison) -> Option<Grid> {
    let row = |(name, about): &(String, About)| {
        let kept = if about.durable { "on the disk" } else { "in memory" };
        vec![name.clone(), about.title.clone(), kept.to_owned()]
    };
    let rows: Vec<_> = comparison.described.iter().map(row).collect();
    let head = ["system", "what it is", "what is acknowledged is"].map(str::to_owned).to_vec();
    (!rows.is_empty()).then_some(Grid { head, rows })
}

/// What the disk did without a broker.
pub(crate) fn disk(disk: &System) -> Option<Grid> {
    let systems = std::slice::from_ref(disk);
    let rows: Vec<_> = disk.metrics().iter().map(|metric| metric_row(metric, systems)).collect();
    let head = ["", "raw disk"].map(str::to_owned).to_vec();
    (!rows.is_empty()).then_some(Grid { head, rows })
}

#[cfg(test)]
#[path = "table/tests.rs"]
pub(crate) mod tests;
