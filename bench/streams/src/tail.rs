//! From when a message should have been sent until a consumer at the end of the stream has it.
//!
//! Every message says when it was due, on the clock of this process, which both ends share.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout_at;

use crate::content::{Content, MARK_LEN, Mark};
use crate::failure::Failure;
use crate::latencies::Latencies;
use crate::load::Run;
use crate::report::{Origin, Report};
use crate::system::{Delivery, System};

/// How long the consumer waits for the last messages after the producer has ended.
const GRACE: Duration = Duration::from_secs(5);

/// Runs producer and consumer, and reports.
///
/// # Errors
/// The broker does not do its part, or messages have no room for the time they were sent at.
pub(crate) async fn report<S: System>(
    run: &Run<'_>,
    origin: Origin,
    system: &S,
) -> Result<Report, Failure> {
    let bytes = run.plan.shape.message_bytes;
    if bytes < MARK_LEN || run.plan.shape.messages > 1 {
        let line = format!("`tail` takes requests of one message of {MARK_LEN} bytes or more");
        return Err(Failure::Untranslatable(line));
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (number, epoch) = (since_epoch.as_nanos() as u64, Instant::now());
    let (to, deliveries) = unbounded_channel();
    system.deliver(to).await?;
    let mut consumer = Consumer { deliveries, run: number, epoch, received: Vec::new() };
    let outcome = {
        let content = Content::marked(number, epoch, bytes);
        let mut load = std::pin::pin!(run.drive(system, &content));
        loop {
            tokio::select! {
                outcome = &mut load => break outcome?,
                () = consumer.take() => {}
            }
        }
    };
    let (from, acknowledged) = (outcome.tally.from, outcome.tally.requests());
    let receipts = consumer.rest(from, acknowledged).await;
    let mut report = Report::new(origin, run.plan, &outcome);
    let lost = acknowledged.saturating_sub(receipts.count());
    report.lost(lost);
    report.latencies("receipt", &receipts);
    Ok(report)
}

struct Consumer {
    deliveries: UnboundedReceiver<Delivery>,
    run: u64,
    epoch: Instant,
    /// When messages were due and how much later they came.
    received: Vec<(Instant, Duration)>,
}

impl Consumer {
    /// Takes the next message; never ends when there are no more.
    async fn take(&mut self) {
        match self.deliveries.recv().await {
            Some((at, message)) => self.note(at, &message),
            None => std::future::pending().await,
        }
    }

    fn note(&mut self, at: Instant, message: &[u8]) {
        let Some(mark) = Mark::read(message).filter(|mark| mark.run == self.run) else { return };
        let due = self.epoch + Duration::from_nanos(mark.at_nanos);
        self.received.push((due, at.saturating_duration_since(due)));
    }

    /// Waits for so many messages that were due since then, but not forever.
    async fn rest(mut self, from: Instant, messages: u64) -> Latencies {
        let deadline = Instant::now() + GRACE;
        while (self.since(from).count() as u64) < messages
            && timeout_at(deadline.into(), self.take()).await.is_ok()
        {}
        let mut latencies = Latencies::new();
        self.since(from).for_each(|latency| latencies.record(latency));
        latencies
    }

    fn since(&self, from: Instant) -> impl Iterator<Item = Duration> {
        self.received.iter().filter(move |(due, _)| *due >= from).map(|(_, latency)| *latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_of_this_run_are_waited_for() {
        let (to, deliveries) = unbounded_channel();
        let (epoch, ms) = (Instant::now(), Duration::from_millis(1));
        for (run, due) in [(1, 0), (2, 10), (1, 10), (1, 20)] {
            let message = Content::marked(run, epoch, 100).at(epoch + due * ms);
            to.send((epoch + 25 * ms, message[0].clone())).expect("a receiver");
        }
        let consumer = Consumer { deliveries, run: 1, epoch, received: Vec::new() };
        let latencies = consumer.rest(epoch + 5 * ms, 2).await;
        assert_eq!(latencies.count(), 2);
        assert!((latencies.at(1.0) - 15_000.0).abs() < 20.0, "{}", latencies.at(1.0));
    }
}
