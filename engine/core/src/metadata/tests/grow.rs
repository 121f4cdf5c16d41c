//! Topics that get more partitions.

use super::decide::{controller, create, topic};
use crate::metadata::command::*;
use crate::metadata::controller::MAX_RECORDS;
use crate::metadata::delta::{Change, Fate};
use crate::metadata::record::BrokerId;
use crate::metadata::refusal::{AssignmentFault, GrowRefusal};

fn growth(name: &str, partitions: i32) -> Growth {
    Growth { name: name.into(), partitions, assignments: None }
}

impl Growth {
    fn assign(self, brokers: &[&[i32]]) -> Growth {
        let ids = |ids: &&[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
        Growth { assignments: Some(brokers.iter().map(ids).collect()), ..self }
    }
}

fn grow(topics: Vec<Growth>, mode: Mode, limit: u64) -> Command {
    let limits = Limits { partitions: limit };
    Command::CreatePartitions(CreatePartitions { topics, mode, limits })
}

/// `plain` has two partitions, `a.b` one; ten are allowed.
#[test]
fn a_topic_grows_or_is_refused_with_the_reason_that_kafka_gives() {
    use GrowRefusal as No;
    let mut controller = controller();
    let decision = controller.decide(&create(vec![topic("__consumer_offsets", 9)]));
    controller.replay(&decision.records).unwrap();
    let table = [
        (growth("plain", 3), Ok(())),
        (growth("plain", 8), Ok(())),
        (growth("plain", 9), Err(No::NoRoom { wanted: 7, present: 4, limit: 10 })),
        (growth("plain", 2), Err(No::NoIncrease { present: 2, wanted: 2 })),
        (growth("plain", 1), Err(No::NoIncrease { present: 2, wanted: 1 })),
        (growth("plain", -1), Err(No::NoIncrease { present: 2, wanted: -1 })),
        (growth("plain", i32::MAX), Err(No::TooMany(MAX_RECORDS))),
        (growth("other", 3), Err(No::UnknownTopic)),
        (growth("__consumer_offsets", 3), Err(No::Internal)),
        (growth("plain", 4).assign(&[&[7], &[7]]), Ok(())),
        (
            growth("plain", 4).assign(&[&[7]]),
            Err(No::AssignmentCount { partitions: 2, assignments: 1 }),
        ),
        (
            growth("plain", 3).assign(&[&[8]]),
            Err(No::Assignment(AssignmentFault::UnknownBroker {
                partition: 0,
                broker: BrokerId(8),
            })),
        ),
        (
            growth("plain", 3).assign(&[&[]]),
            Err(No::Assignment(AssignmentFault::NoBrokers { partition: 0 })),
        ),
    ];
    for (growth, expected) in table {
        let decision = controller.decide(&grow(vec![growth.clone()], Mode::Apply, 10));
        assert_eq!(decision.outcome, Ok(Outcome::Grown(vec![expected.clone()])), "{growth:?}");
        let added = if expected.is_ok() { growth.partitions as usize - 2 } else { 0 };
        assert_eq!(decision.records.len(), added, "{growth:?}");
        let dry = controller.decide(&grow(vec![growth], Mode::ValidateOnly, 10));
        assert_eq!((dry.outcome, dry.records), (decision.outcome, Vec::new()));
    }
}

#[test]
fn the_new_partitions_are_created_and_the_others_stay() {
    let mut controller = controller();
    let topics = vec![growth("plain", 4), growth("none", 2), growth("a.b", 2)];
    let decision = controller.decide(&grow(topics, Mode::Apply, 10));
    let expected = vec![Ok(()), Err(GrowRefusal::UnknownTopic), Ok(())];
    assert_eq!(decision.outcome, Ok(Outcome::Grown(expected)));
    let delta = controller.replay(&decision.records).unwrap();
    let image = controller.image();
    let mut expected = [("plain", 2..4), ("a.b", 1..2)].map(|(name, partitions)| {
        let topic = image.topic(name).unwrap();
        Change { topic: topic.id, partitions, fate: Fate::Created(topic.configs.clone()) }
    });
    expected.sort_by_key(|change| change.topic);
    assert_eq!(delta.changes, expected);
    assert_eq!(image.partition_count(), 6);
    assert_eq!(image.topic("plain").unwrap().partitions, 4);
}

/// Topics of one request share the room there is.
#[test]
fn together_they_are_no_more_than_there_may_be() {
    let topics = vec![growth("plain", 5), growth("a.b", 3)];
    let decision = controller().decide(&grow(topics, Mode::Apply, 7));
    let refused = GrowRefusal::NoRoom { wanted: 2, present: 6, limit: 7 };
    assert_eq!(decision.outcome, Ok(Outcome::Grown(vec![Ok(()), Err(refused)])));
    assert_eq!(decision.records.len(), 3);
}
