//! Loads against a broker that answers after a while, all in this process.

use super::*;
use crate::system::Delivery;
use bytes::Bytes;
use std::future;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

/// Answers after so long; refuses what goes to partition 1; delivers nothing.
struct Slow(Duration);

impl Publisher for Slow {
    async fn publish(&mut self, partition: u32, messages: &[Bytes]) -> Result<Answer, Failure> {
        assert!(!messages.is_empty());
        let time = self.0;
        Ok(Box::pin(async move {
            sleep(time).await;
            if partition == 1 { Err("refused".to_owned()) } else { Ok(()) }
        }))
    }
}

impl System for Slow {
    type Publisher = Slow;

    fn translation(&self) -> String {
        String::new()
    }

    async fn prepare(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn publisher(&self, _partitions: &[u32]) -> Result<Slow, Failure> {
        Ok(Slow(self.0))
    }

    fn deliver(
        &self,
        _to: UnboundedSender<Delivery>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        future::ready(Ok(()))
    }
}

fn plan(load: &str) -> Plan {
    let load = format!("{load}\nwarm-up = '100ms'\nseconds = '500ms'");
    Plan::translate(&load.parse().expect("TOML")).expect("a plan")
}

async fn drive(plan: &Plan, latency: Duration) -> Tally {
    let run = Run { plan, broker: None };
    let content = Content::fixed(1, 100);
    run.drive(&Slow(latency), &content).await.expect("an outcome").tally
}

#[tokio::test]
async fn a_closed_loop_keeps_its_requests_under_way() {
    let plan = plan("command = 'produce'\nconnections = 2\nin-flight = 3");
    let tally = drive(&plan, Duration::from_millis(50)).await;
    // Six requests at most each 50 ms.
    assert!((12..=60).contains(&tally.requests()), "{}", tally.requests());
    assert!(tally.answers.at(0.0) >= 49_000.0);
}

#[tokio::test]
async fn an_open_loop_sends_all_that_is_due() {
    let plan = plan("command = 'open'\nrate = 200\nconnections = 3");
    let tally = drive(&plan, Duration::from_millis(50)).await;
    assert_eq!(tally.requests(), 100);
    assert_eq!(tally.lags.count(), 100);
}

#[tokio::test]
async fn what_waits_for_room_is_charged_with_the_wait() {
    // Due each 20 ms, answered after 50 ms, one at a time: the last waits for all before it.
    let plan = plan("command = 'open'\nrate = 50\nin-flight = 1");
    let tally = drive(&plan, Duration::from_millis(50)).await;
    assert_eq!(tally.requests(), 25);
    assert!(tally.answers.at(1.0) > 500_000.0, "{}", tally.answers.at(1.0));
}

#[tokio::test]
async fn refusals_are_errors_and_nothing_else() {
    let plan = plan("command = 'open'\nrate = 200\npartitions = 2");
    let tally = drive(&plan, Duration::from_millis(1)).await;
    assert_eq!((tally.requests(), tally.errors["refused"]), (50, 50));
}

#[test]
fn connections_divide_the_partitions() {
    for (partitions, connections, expected) in [
        (5, 1, vec![vec![0, 1, 2, 3, 4]]),
        (5, 2, vec![vec![0, 2, 4], vec![1, 3]]),
        (2, 3, vec![vec![0], vec![1], vec![0]]),
    ] {
        let load =
            format!("command = 'produce'\npartitions = {partitions}\nconnections = {connections}");
        let plan = plan(&load);
        let run = Run { plan: &plan, broker: None };
        let shares: Vec<_> = (0..connections).map(|place| run.share(place)).collect();
        assert_eq!(shares, expected, "{load}");
    }
}
