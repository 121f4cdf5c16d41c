//! `page`: a comparison as one HTML file that needs nothing else.

mod axis;
mod bars;
mod lines;
mod markup;
mod plots;

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::claims::Goal;
use crate::comparison::{Comparison, Contest, Verdict};
use crate::failure::Failure;
use crate::grid::Grid;
use crate::table::{self, Sources};
use markup::Element;
use plots::{Colours, Plot, plots};

/// How many colours `style.css` has.
const COLOURS: usize = 10;
const STYLE: &str = include_str!("page/style.css");

/// Flags of `page`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PageArgs {
    #[command(flatten)]
    sources: Sources,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
}

/// Writes the page.
///
/// # Errors
/// The sources cannot be read, or the page cannot be written.
pub(crate) fn run(args: &PageArgs) -> Result<(), Failure> {
    let html = format!("<!DOCTYPE html>\n{}\n", page(&args.sources.read()?));
    fs::write(&args.out, html).map_err(|source| Failure::File { path: args.out.clone(), source })
}

fn page(comparison: &Comparison) -> Element {
    let meta = |name, content| Element::new("meta").with("name", name).with("content", content);
    let head = Element::new("head")
        .and(Element::new("meta").with("charset", "utf-8"))
        .and(meta("viewport", "width=device-width, initial-scale=1"))
        .and(Element::new("title").text("Corelog beside others"))
        .and(Element::new("style").text(STYLE));
    let systems = comparison.systems();
    let colour = |(nth, name)| (name, format!("c{}", nth % COLOURS));
    let colours: Colours<'_> = systems.into_iter().enumerate().map(colour).collect();
    let body = Element::new("body")
        .and(Element::new("h1").text("Corelog beside others"))
        .and(faint(&table::conditions(comparison)))
        .and(overview(comparison))
        .and(table::described(comparison).iter().map(html))
        .and(
            comparison
                .described
                .iter()
                .map(|(name, about)| faint(&format!("{name}: {}", about.note))),
        )
        .and(table::disk(&comparison.disk).iter().map(html))
        .and(table::unmeasured(comparison).map(|text| faint(&text)))
        .and(measured(comparison).map(|contest| section(contest, &colours)));
    Element::new("html").with("lang", "en").and(head).and(body)
}

fn measured(comparison: &Comparison) -> impl Iterator<Item = &Contest> {
    comparison.contests.iter().filter(|contest| contest.is_measured())
}

fn faint(text: &str) -> Element {
    Element::new("p").class("faint").text(text)
}

/// How many goals each scenario meets.
fn overview(comparison: &Comparison) -> Element {
    let item = |contest: &Contest| {
        let goals = contest.claim.goals.iter();
        let verdicts: Vec<Verdict> = goals.map(|goal| contest.judge(goal).verdict).collect();
        let (class, text) = summary(&verdicts);
        let target = format!("#{}", contest.claim.name);
        let link = Element::new("a").with("href", target).text(&contest.claim.title);
        Element::new("li").and([Element::new("span").class(class).text(text), link])
    };
    Element::new("ul").class("goals").and(measured(comparison).map(item))
}

/// What became of all goals of a scenario: the class that shows it, and the words.
fn summary(verdicts: &[Verdict]) -> (&'static str, String) {
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    let met = count(Verdict::Met) + count(Verdict::Beyond);
    let (open, all) = (count(Verdict::Unmeasured), verdicts.len());
    match all {
        0 => ("verdict", "no goals".to_owned()),
        _ if open == all => ("verdict", table::told(Verdict::Unmeasured).to_owned()),
        _ if met == all => ("verdict met", format!("{met} of {all} met")),
        _ if met + open == all => ("verdict", format!("{met} of {all} met")),
        _ => ("verdict missed", format!("{met} of {all} met")),
    }
}

fn section(contest: &Contest, colours: &Colours<'_>) -> Element {
    let claim = &contest.claim;
    let numbers = [table::figures(contest), table::ratios(contest), table::disk(&contest.disk)];
    let numbers: Vec<Element> = numbers.iter().flatten().map(html).collect();
    let numbers = (!numbers.is_empty()).then(|| {
        let summary = Element::new("summary").text("All numbers");
        Element::new("details").and(summary).and(numbers)
    });
    let goals = claim.goals.iter().map(|goal| verdict(contest, goal));
    Element::new("section")
        .with("id", &claim.name)
        .and(Element::new("h2").text(&claim.title))
        .and(Element::new("p").text(&claim.claim))
        .and(Element::new("ul").class("goals").and(goals))
        .and(table::absences(contest).map(|text| faint(&text)))
        .and(legend(contest, colours))
        .and(
            Element::new("div").class("plots").and(plots(contest, colours).into_iter().map(figure)),
        )
        .and(numbers)
}

/// A goal with what became of it.
fn verdict(contest: &Contest, goal: &Goal) -> Element {
    let judgement = contest.judge(goal);
    let class = match judgement.verdict {
        Verdict::Met | Verdict::Beyond => "verdict met",
        Verdict::Missed | Verdict::Errors => "verdict missed",
        Verdict::Unmeasured => "verdict",
    };
    let badge = Element::new("span").class(class).text(table::told(judgement.verdict));
    let reached = judgement.reached.map(|reached| format!(" — reached {}", table::plain(reached)));
    let limit = judgement.limit.map(|_| format!(", {} the limit", table::beside(&judgement)));
    let reached = reached
        .map(|text| text + &limit.unwrap_or_default())
        .map(|text| Element::new("span").class("faint").text(text));
    let aim = Element::new("span").text(table::aim(goal)).and(reached);
    Element::new("li").and([badge, aim])
}

fn legend(contest: &Contest, colours: &Colours<'_>) -> Option<Element> {
    let entry = |name: &str| {
        let colour = colours.get(name).map_or("", String::as_str);
        Element::new("span").and(Element::new("i").class(colour)).text(name)
    };
    let entries = contest.systems.iter().map(|system| entry(&system.name));
    let note = "thick: the median, thin: every round";
    let note = Element::new("span").class("faint").text(note);
    (!contest.systems.is_empty())
        .then(|| Element::new("div").class("legend").and(entries).and(note))
}

fn figure(plot: Plot) -> Element {
    Element::new("figure").and(Element::new("h3").text(plot.title)).and(plot.svg)
}

fn html(grid: &Grid) -> Element {
    let cell = |name, text: &String| Element::new(name).text(text);
    let head = Element::new("tr").and(grid.head.iter().map(|text| cell("th", text)));
    let row = |cells: &Vec<String>| {
        let first = cells.iter().take(1).map(|text| cell("th", text));
        Element::new("tr").and(first).and(cells.iter().skip(1).map(|text| cell("td", text)))
    };
    let table = Element::new("table")
        .and(Element::new("thead").and(head))
        .and(Element::new("tbody").and(grid.rows.iter().map(row)));
    Element::new("div").class("scroll").and(table)
}

#[cfg(test)]
#[path = "page/tests.rs"]
mod tests;
