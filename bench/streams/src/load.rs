//! A load: connections that divide the partitions, each with its requests under way.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use crate::content::{Content, xorshift};
use crate::failure::Failure;
use crate::pace::{Pace, Schedule};
use crate::process::{Pid, Usage};
use crate::report::{Origin, Report};
use crate::scenario::{Order, Pacing, Plan, Test};
use crate::system::{Answer, Publisher, System};
use crate::tail;
use crate::tally::Tally;

/// Time for all tasks to be there when the clock starts.
const ASSEMBLY: Duration = Duration::from_millis(20);
/// An open loop goes on for this longer than it should before it gives up, or as long again.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait for the last answers.
const PATIENCE: Duration = Duration::from_secs(60);
const SEED: u64 = 0x5eed;

/// A load and whom it is measured with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) broker: Option<Pid>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) client: Usage,
    pub(crate) broker: Option<Usage>,
}

impl Run<'_> {
    /// Runs the load and reports.
    ///
    /// # Errors
    /// The broker does not do its part.
    pub(crate) async fn report<S: System>(
        &self,
        origin: Origin,
        system: &S,
    ) -> Result<Report, Failure> {
        system.prepare().await?;
        if self.plan.test == Test::Tail {
            return tail::report(self, origin, system).await;
        }
        let shape = self.plan.shape;
        let content = Content::fixed(shape.messages, shape.message_bytes);
        let outcome = self.drive(system, &content).await?;
        Ok(Report::new(origin, self.plan, &outcome))
    }

    /// Connects, sends, and waits for all answers.
    ///
    /// # Errors
    /// As [`Run::report`].
    pub(crate) async fn drive<S: System>(
        &self,
        system: &S,
        content: &Content,
    ) -> Result<Outcome, Failure> {
        let mut publishers = Vec::new();
        for place in 0..self.plan.shape.connections {
            let partitions = self.share(place);
            publishers.push((system.publisher(&partitions).await?, partitions));
        }
        let start = Instant::now() + ASSEMBLY;
        let from = start + self.plan.warm_up;
        let stop = from + self.plan.time;
        let tally = Arc::new(Mutex::new(Tally::new(from)));
        let (thread, paces) = self.paces(start, stop);
        let mut tasks = JoinSet::new();
        for ((place, (publisher, partitions)), pace) in (0..).zip(publishers).zip(paces) {
            let connection = Connection {
                publisher,
                partitions,
                pick: self.pick(place),
                pace,
                in_flight: self.in_flight(),
                content: content.clone(),
                give_up: stop + self.plan.time.max(GRACE),
                tally: Arc::clone(&tally),
            };
            tasks.spawn(connection.run());
        }
        sleep_until(from.into()).await;
        let before = self.usage()?;
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| Failure::Panicked)??;
        }
        let after = self.usage()?;
        thread.map_or(Ok(()), |thread| thread.join()).map_err(|_| Failure::Panicked)?;
        let tally = Arc::into_inner(tally).ok_or(Failure::Panicked)?;
        Ok(Outcome {
            tally: tally.into_inner().unwrap_or_else(PoisonError::into_inner),
            client: after.0.since(before.0),
            broker: after.1.zip(before.1).map(|(after, before)| after.since(before)),
        })
    }

    /// The partitions of a connection: one connection for each, unless there are more of these.
    fn share(&self, place: usize) -> Vec<u32> {
        let partitions = self.plan.shape.partitions;
        let hands = self.plan.shape.connections.min(partitions as usize);
        (0..partitions).skip(place % hands).step_by(hands).collect()
    }

    fn paces(
        &self,
        start: Instant,
        stop: Instant,
    ) -> (Option<std::thread::JoinHandle<()>>, Vec<Pace>) {
        let connections = self.plan.shape.connections;
        match self.plan.pacing {
            Pacing::Closed { .. } => (None, (0..connections).map(|_| Pace::Closed(stop)).collect()),
            Pacing::Open { rate, .. } => {
                let (thread, paces) = Schedule { start, stop, rate }.follow(connections);
                (Some(thread), paces)
            }
        }
    }

    fn pick(&self, place: u64) -> Pick {
        match self.plan.pacing {
            Pacing::Open { order: Order::Random, .. } => Pick::Random(SEED + place),
            _ => Pick::InTurn(0),
        }
    }

    fn in_flight(&self) -> usize {
        match self.plan.pacing {
            Pacing::Closed { in_flight } | Pacing::Open { in_flight, .. } => in_flight,
        }
    }

    fn usage(&self) -> Result<(Usage, Option<Usage>), Failure> {
        let broker = self.broker.map(Pid::usage).transpose().map_err(Failure::Account)?;
        Ok((Pid::own().usage().map_err(Failure::Account)?, broker))
    }
}

/// Which partition is next.
#[derive(Clone, Copy, Debug)]
enum Pick {
    InTurn(u64),
    /// State of a generator, not 0.
    Random(u64),
}

impl Pick {
    fn next(&mut self, partitions: &[u32]) -> u32 {
        let draw = match self {
            Pick::InTurn(number) => {
                *number += 1;
                *number - 1
            }
            Pick::Random(state) => {
                *state = xorshift(*state);
                *state
            }
        };
        partitions[(draw % partitions.len() as u64) as usize]
    }
}

struct Connection<P> {
    publisher: P,
    partitions: Vec<u32>,
    pick: Pick,
    pace: Pace,
    in_flight: usize,
    content: Content,
    give_up: Instant,
    tally: Arc<Mutex<Tally>>,
}

impl<P: Publisher> Connection<P> {
    async fn run(self) -> Result<(), Failure> {
        let deadline = self.give_up + PATIENCE;
        timeout_at(deadline.into(), self.all()).await.map_err(|_| Failure::Silent)?
    }

    async fn all(mut self) -> Result<(), Failure> {
        let mut under_way = FuturesUnordered::new();
        let mut give_up = pin!(sleep_until(self.give_up.into()));
        let mut over = false;
        while !over || !under_way.is_empty() {
            tokio::select! {
                // Otherwise the times of answers would be read late.
                biased;
                Some((intended, answer)) = under_way.next() => {
                    self.count(intended, Instant::now(), answer);
                }
                () = &mut give_up, if !over => {
                    over = true;
                    self.miss(Instant::now());
                }
                next = self.pace.next(), if !over && under_way.len() < self.in_flight => {
                    match next {
                        Some(intended) => {
                            let answer = self.send(intended).await?;
                            under_way.push(async move { (intended, answer.await) });
                        }
                        None => over = true,
                    }
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, intended: Instant) -> Result<Answer, Failure> {
        let messages = self.content.at(intended);
        let partition = self.pick.next(&self.partitions);
        let answer = self.publisher.publish(partition, &messages).await?;
        self.tally().sent(intended, Instant::now());
        Ok(answer)
    }

    fn count(&self, intended: Instant, now: Instant, answer: Result<(), String>) {
        match answer {
            Ok(()) => self.tally().answered(intended, now),
            Err(error) => self.tally().refused(intended, error),
        }
    }

    fn miss(&mut self, now: Instant) {
        for due in self.pace.missed() {
            self.tally().missed(due, now);
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
