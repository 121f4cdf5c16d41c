//! `groups`: many members that commit and are heard of, and one group that rebalances.
//!
//! The members are of the classic protocol, as most are today, and each has a connection and a
//! thread of its own: a broker answers a JoinGroup when it likes, and nothing else on the
//! connection before. Nobody waits between two requests, so the rates are the most that the broker
//! takes from so many members.

mod member;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::client::{ClientError, Connection, persist};
use crate::failure::Failure;
use crate::histogram::Latencies;
use crate::process::{Usage, thread_ends};
use crate::report::{Report, ResultArgs};
use crate::topic::{Topic, TopicArgs};
use crate::units;
use member::Member;

/// Bytes of a thread's stack: there are a thousand.
const STACK: usize = 256 << 10;

/// Flags of `groups`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct GroupsArgs {
    #[command(flatten)]
    topic: TopicArgs,
    /// Members that commit, then send heartbeats
    #[arg(long, default_value_t = 1000)]
    members: usize,
    /// Groups that they are in
    #[arg(long, default_value_t = 10)]
    groups: usize,
    /// Members of the group that rebalances
    #[arg(long, default_value_t = 100)]
    rebalancing: usize,
    /// How often it does
    #[arg(long, default_value_t = 20)]
    rebalances: usize,
    /// Load that is not measured, before that which is
    #[arg(long, default_value = "1s", value_parser = units::time)]
    warm_up: Duration,
    /// How long to measure commits, and heartbeats
    #[arg(long, default_value = "10s", value_parser = units::time)]
    seconds: Duration,
    #[command(flatten)]
    result: ResultArgs,
}

/// What a member does over and over.
#[derive(Clone, Copy, Debug)]
enum Work {
    Commit,
    Heartbeat,
}

/// What was measured of it.
struct Done {
    latencies: Latencies,
    elapsed: Duration,
    usage: Usage,
}

/// Runs all three, and reports.
///
/// # Errors
/// A connection fails, or a member is refused.
pub(crate) fn run(args: &GroupsArgs) -> Result<(), Failure> {
    let topic = Topic::prepare(&args.topic)?;
    let mut report = Report::new("groups", args, &args.result);
    let mut members = open(args, "bench-load", args.members, args.groups.max(1))?;
    settle(&mut members)?;
    let commits = work(args, &topic, &mut members, Work::Commit)?;
    let beats = work(args, &topic, &mut members, Work::Heartbeat)?;
    drop(members);

    let mut members = open(args, "bench-rebalance", args.rebalancing, 1)?;
    settle(&mut members)?;
    let rebalances = rebalance(&mut members, args.rebalances)?;
    report.rate("commits", commits.latencies.summary().count, commits.elapsed);
    report.rate("heartbeats", beats.latencies.summary().count, beats.elapsed);
    report.reading("rebalance", rebalances.at(0.5).as_secs_f64() * 1e3, "ms");
    report.request_cost(commits.usage, commits.latencies.summary().count);
    report.footprint(commits.usage, commits.elapsed);
    report.latencies("commit", &commits.latencies);
    report.latencies("heartbeat", &beats.latencies);
    report.latencies("rebalance", &rebalances);
    report.publish()
}

fn open(
    args: &GroupsArgs,
    name: &str,
    count: usize,
    groups: usize,
) -> Result<Vec<Member>, Failure> {
    let member = |nth: usize| -> Result<Member, ClientError> {
        let group = format!("{name}-{}", nth % groups);
        let mut connection = Connection::open(&args.topic.bootstrap)?;
        // The first one has the broker make its topic for groups.
        if nth < groups {
            persist(|| member::find_coordinator(&mut connection, &group))?;
        }
        Ok(Member::new(connection, group, args.topic.topic.clone()))
    };
    Ok((0..count).map(member).collect::<Result<_, _>>()?)
}

/// All join, and have their parts.
fn settle(members: &mut [Member]) -> Result<(), Failure> {
    each(members, |member| member.join(), || ())
}

/// All join anew so often; how long it took each time from the first one's asking until the last
/// one had its part.
fn rebalance(members: &mut [Member], times: usize) -> Result<Latencies, Failure> {
    let barrier = Barrier::new(members.len());
    let failed_in = AtomicUsize::new(times);
    let spans: Vec<Mutex<Option<Span>>> = (0..times).map(|_| Mutex::new(None)).collect();
    let act = |member: &mut Member| {
        let mut joined = Ok(());
        for (nth, span) in spans.iter().enumerate() {
            barrier.wait();
            // Nobody goes on without one who cannot: all would wait for it.
            if failed_in.load(Ordering::Relaxed) < nth {
                break;
            }
            let start = Instant::now();
            joined = member.join();
            let end = Instant::now();
            if joined.is_err() {
                failed_in.fetch_min(nth, Ordering::Relaxed);
            } else if let Ok(mut span) = span.lock() {
                let all = span.unwrap_or(Span { start, end });
                *span = Some(Span { start: all.start.min(start), end: all.end.max(end) });
            }
        }
        joined
    };
    each(members, act, || ())?;
    let mut latencies = Latencies::new();
    for span in spans {
        let span = span.into_inner().map_err(|_| Failure::Thread)?;
        span.iter().for_each(|span| latencies.record(span.end.duration_since(span.start)));
    }
    Ok(latencies)
}

/// From when to when.
#[derive(Clone, Copy)]
struct Span {
    start: Instant,
    end: Instant,
}

fn work(
    args: &GroupsArgs,
    topic: &Topic,
    members: &mut [Member],
    work: Work,
) -> Result<Done, Failure> {
    let from = Instant::now() + args.warm_up;
    let until = from + args.seconds;
    let partitions = topic.partitions() as i32;
    let done = Mutex::new(Latencies::new());
    let act = |member: &mut Member| {
        let mut latencies = Latencies::new();
        let mut next = 0i64;
        while Instant::now() < until {
            let start = Instant::now();
            match work {
                Work::Commit => member.commit(topic, next as i32 % partitions, next)?,
                Work::Heartbeat => member.heartbeat()?,
            }
            let latency = start.elapsed();
            next += 1;
            if start >= from {
                latencies.record(latency);
            }
        }
        if let Ok(mut all) = done.lock() {
            all.merge(&latencies);
        }
        Ok(())
    };
    let before = each(members, act, || {
        thread::sleep(from.saturating_duration_since(Instant::now()));
        Usage::now(args.result.broker())
    })?;
    let elapsed = Instant::now().duration_since(from);
    let usage = Usage::now(args.result.broker()).map_err(Failure::Account)?;
    let before = before.map_err(Failure::Account)?;
    let latencies = done.into_inner().map_err(|_| Failure::Thread)?;
    Ok(Done { latencies, elapsed, usage: usage.since(before) })
}

/// Has every member do something, all from the same time on, and something else be done beside
/// them, whose result it returns.
fn each<T>(
    members: &mut [Member],
    act: impl Fn(&mut Member) -> Result<(), ClientError> + Sync,
    beside: impl FnOnce() -> T,
) -> Result<T, Failure> {
    // Whether all threads are there. Those that wait for it go home if one could not be started.
    let complete = OnceLock::new();
    thread::scope(|scope| {
        let start = |member| {
            let (act, complete) = (&act, &complete);
            let run = move || {
                let result = if *complete.wait() { act(member) } else { Ok(()) };
                thread_ends();
                result
            };
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run)
        };
        let threads: Result<Vec<_>, _> = members.iter_mut().map(start).collect();
        complete.get_or_init(|| threads.is_ok());
        let threads = threads.map_err(Failure::Spawn)?;
        let beside = beside();
        for thread in threads {
            thread.join().map_err(|_| Failure::Thread)??;
        }
        Ok(beside)
    })
}
