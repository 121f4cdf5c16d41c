//! What is decided, request by request.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::id::{ProducerId, TopicId};
use crate::metadata::command::*;
use crate::metadata::controller::{Broker, Controller, Decision, MAX_RECORDS};
use crate::metadata::create::MAX_PARTITIONS;
use crate::metadata::image::{Image, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSIONS};
use crate::metadata::name::NameFault;
use crate::metadata::record::{
    BrokerId, ConfigRecord, ConfigResource, DirectoryId, MAX_STRING, Record,
};
use crate::metadata::refusal::*;

const BROKER: Broker = Broker { id: BrokerId(7), directory: DirectoryId([9; 16]) };

/// `plain` with two partitions, `a.b` with one, and some producer ids given away.
pub(super) fn controller() -> Controller {
    let mut controller = Controller::new(BROKER, Image::default());
    controller.replay(&Controller::bootstrap(&[("transaction.version", 2)])).unwrap();
    let topics = vec![topic("plain", 1).partitions(2), topic("a.b", 2)];
    for command in [create(topics), Command::AllocateProducerIds { count: PRODUCER_ID_BLOCK }] {
        let decision = controller.decide(&command);
        controller.replay(&decision.records).unwrap();
    }
    assert_eq!(controller.image().partition_count(), 3);
    controller
}

pub(super) fn id(byte: u8) -> TopicId {
    TopicId([byte; 16])
}

pub(super) fn topic(name: &str, id_byte: u8) -> NewTopic {
    NewTopic {
        name: name.into(),
        id: id(id_byte),
        partitions: 1,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: BTreeMap::new(),
    }
}

impl NewTopic {
    fn partitions(self, partitions: i32) -> NewTopic {
        NewTopic { partitions, ..self }
    }

    fn factor(self, replication_factor: i16) -> NewTopic {
        NewTopic { replication_factor, ..self }
    }

    fn assign(self, assignments: &[(i32, &[i32])]) -> NewTopic {
        let assignment = |(partition, brokers): &(i32, &[i32])| Assignment {
            partition: *partition,
            brokers: brokers.iter().map(|broker| BrokerId(*broker)).collect(),
        };
        let assignments = assignments.iter().map(assignment).collect();
        NewTopic { assignments, partitions: -1, replication_factor: -1, ..self }
    }

    pub(super) fn with_configs(self, configs: &[(&str, &str)]) -> NewTopic {
        configs.iter().fold(self, |topic, (name, value)| topic.config(name, Some(value)))
    }

    fn config(mut self, name: &str, value: Option<&str>) -> NewTopic {
        self.configs.insert(name.into(), value.map(str::to_owned));
        self
    }
}

fn creation(topics: Vec<NewTopic>) -> CreateTopics {
    CreateTopics {
        topics,
        mode: Mode::Apply,
        defaults: Defaults { partitions: 3, replication_factor: 1 },
        clamp: Clamp::Off,
        limits: Limits { partitions: 10 },
    }
}

pub(super) fn create(topics: Vec<NewTopic>) -> Command {
    Command::CreateTopics(creation(topics))
}

fn results(decision: &Decision) -> Vec<(&str, Result<&Created, &CreateRefusal>)> {
    let Ok(Outcome::Topics(results)) = &decision.outcome else { panic!("{decision:?}") };
    results.iter().map(|topic| (topic.name.as_ref(), topic.result.as_ref())).collect()
}

#[test]
fn a_topic_that_cannot_be_is_refused_with_the_reason_that_kafka_gives() {
    use AssignmentFault as Assigned;
    use CreateRefusal as No;
    let broker = |id| BrokerId(id);
    let long = "v".repeat(MAX_STRING + 1);
    let table = [
        (topic("", 3), No::Name(NameFault::Empty)),
        (topic("..", 3), No::Name(NameFault::Dots)),
        (topic("a b", 3).partitions(0), No::Name(NameFault::Character(' '))),
        (topic(&"x".repeat(250), 3), No::Name(NameFault::Length(250))),
        (topic("plain", 3).config("x", None), No::Exists),
        (topic("a.b", 3), No::Exists),
        (topic("a_b", 3).partitions(0), No::Collision("a.b".into())),
        (
            topic("t", 3).config("b", None).config("a", None).config("c", Some("1")).factor(0),
            No::ConfigsWithoutValue(vec!["a".into(), "b".into()]),
        ),
        (topic("t", 3).config("x", Some(&long)), No::ConfigTooLong { length: MAX_STRING + 1 }),
        (topic("t", 3).config(&long, Some("")), No::ConfigTooLong { length: MAX_STRING + 1 }),
        (topic("t", 3).factor(0).partitions(0), No::ReplicationFactor(0)),
        (topic("t", 3).factor(-2), No::ReplicationFactor(-2)),
        (topic("t", 3).partitions(0).factor(2), No::Partitions(0)),
        (topic("t", 3).partitions(-2), No::Partitions(-2)),
        (topic("t", 3).factor(2), No::TooFewBrokers { factor: 2, brokers: 1 }),
        (topic("t", 3).partitions(8), No::NoRoom { wanted: 8, present: 3, limit: 10 }),
        (topic("t", 1), No::Id(id(1))),
        (topic("t", 0), No::Id(TopicId::default())),
        (NewTopic { id: TopicId::METADATA, ..topic("t", 3) }, No::Id(TopicId::METADATA)),
        (topic("t", 3).assign(&[(0, &[7])]).factor(1), No::FactorBesideAssignments(1)),
        (topic("t", 3).assign(&[(0, &[7])]).partitions(1), No::PartitionsBesideAssignments(1)),
        (
            topic("t", 3).assign(&[(0, &[7]), (0, &[8])]),
            No::Assignment(Assigned::PartitionTwice(0)),
        ),
        (topic("t", 3).assign(&[(0, &[])]), No::Assignment(Assigned::NoBrokers { partition: 0 })),
        (
            topic("t", 3).assign(&[(0, &[7]), (1, &[9, 8])]),
            No::Assignment(Assigned::UnknownBroker { partition: 1, broker: broker(8) }),
        ),
        (
            topic("t", 3).assign(&[(0, &[7, 7, 9])]),
            No::Assignment(Assigned::BrokerTwice { partition: 0, broker: broker(7) }),
        ),
        (topic("t", 3).assign(&[(2, &[7]), (0, &[7])]), No::Assignment(Assigned::Gap(1))),
        (topic("t", 3).assign(&[(-1, &[7]), (0, &[7])]), No::Assignment(Assigned::Gap(0))),
    ];
    for (topic, refusal) in table {
        let decision = controller().decide(&create(vec![topic.clone()]));
        assert_eq!(results(&decision), [(topic.name.as_ref(), Err(&refusal))]);
        assert_eq!(decision.records, []);
        assert!(!refusal.to_string().is_empty());
    }
}

#[test]
fn topics_of_one_request_are_judged_each_by_itself() {
    let topics = vec![
        topic("twice", 3),
        topic("__cluster_metadata", 4),
        topic("plain", 5),
        topic("new.topic", 6),
        topic("new_topic", 7),
        topic("same-id", 6),
        topic("twice", 8),
        topic("too-big", 9).partitions(6),
        topic("fits", 10).partitions(5),
    ];
    let decision = controller().decide(&create(topics));
    let verdicts: Vec<_> =
        results(&decision).into_iter().map(|(name, result)| (name, result.err())).collect();
    assert_eq!(
        verdicts,
        [
            ("plain", Some(&CreateRefusal::Exists)),
            ("new.topic", None),
            ("new_topic", None),
            ("same-id", Some(&CreateRefusal::Id(id(6)))),
            ("too-big", Some(&CreateRefusal::NoRoom { wanted: 6, present: 5, limit: 10 })),
            ("fits", None),
            ("twice", Some(&CreateRefusal::NamedTwice)),
            ("__cluster_metadata", Some(&CreateRefusal::Reserved)),
        ]
    );
    let created: Vec<_> = decision
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Topic { name, .. } => Some(name.as_ref()),
            _ => None,
        })
        .collect();
    assert_eq!(created, ["new.topic", "new_topic", "fits"]);
}

#[test]
fn the_metadata_log_named_twice_is_named_twice() {
    let topics = vec![topic("__cluster_metadata", 4), topic("__cluster_metadata", 5)];
    let decision = controller().decide(&create(topics));
    assert_eq!(results(&decision), [("__cluster_metadata", Err(&CreateRefusal::NamedTwice))]);
}

#[test]
fn a_created_topic_has_what_was_asked_for_or_the_defaults() {
    let configs = || topic("t", 3).config("b", Some("2")).config("a", Some(""));
    let defaults = Defaults { partitions: 3, replication_factor: 4 };
    let table = [
        (configs().partitions(2), Clamp::Off, (2, None)),
        (configs().partitions(-1), Clamp::Off, (3, None)),
        (configs().partitions(2).factor(-1), Clamp::On, (2, Some(4))),
        (configs().factor(3), Clamp::On, (1, Some(3))),
        (configs().factor(1), Clamp::On, (1, None)),
        (configs().assign(&[(1, &[7]), (0, &[7])]), Clamp::Off, (2, None)),
    ];
    for (topic, clamp, (partitions, clamped_from)) in table {
        let mut controller = controller();
        let command = CreateTopics { defaults, clamp, ..creation(vec![topic]) };
        let decision = controller.decide(&Command::CreateTopics(command));
        let wanted = BTreeMap::from([("a".into(), "".into()), ("b".into(), "2".into())]);
        let created = Created {
            id: id(3),
            partitions,
            replication_factor: 1,
            clamped_from,
            configs: Arc::new(wanted.clone()),
        };
        assert_eq!(results(&decision), [("t", Ok(&created))]);

        controller.replay(&decision.records).unwrap();
        let made = controller.image().topic("t").unwrap();
        assert_eq!((made.id, made.partitions, made.replication_factor), (id(3), partitions, 1));
        assert_eq!(*made.configs, wanted);
    }
}

#[test]
fn the_longest_config_can_be_written_and_read() {
    let longest = "v".repeat(MAX_STRING);
    let decision = controller().decide(&create(vec![topic("t", 3).config("x", Some(&longest))]));
    assert_eq!(Record::decode(&decision.records[1].encode()).as_ref(), Ok(&decision.records[1]));
    assert!(results(&decision)[0].1.is_ok());
}

#[test]
fn a_topic_is_written_before_its_configs_and_they_before_its_partitions() {
    let topic = topic("t", 3).partitions(2).config("b", Some("2")).config("a", Some("1"));
    let records = controller().decide(&create(vec![topic])).records;
    let config = |name: &str, value: &str| {
        Record::Config(ConfigRecord {
            resource: ConfigResource::Topic,
            resource_name: "t".into(),
            name: name.into(),
            value: Some(value.into()),
        })
    };
    let named = Record::Topic { name: "t".into(), id: id(3) };
    assert_eq!(records[..3], [named, config("a", "1"), config("b", "2")]);
    for (index, record) in records[3..].iter().enumerate() {
        let Record::Partition(partition) = record else { panic!("{record:?}") };
        assert_eq!((partition.topic, partition.index.0 as usize), (id(3), index));
        assert_eq!((&partition.replicas, &partition.isr), (&vec![BROKER.id], &vec![BROKER.id]));
        assert_eq!((partition.leader, partition.leader_epoch.0), (BROKER.id, 0));
        assert_eq!(partition.directories, [BROKER.directory]);
    }
    assert_eq!(records.len(), 5);
}

#[test]
fn validation_answers_like_creation_and_writes_nothing() {
    let topics = vec![topic("new", 3), topic("plain", 4)];
    let applied = controller().decide(&create(topics.clone()));
    let command = CreateTopics { mode: Mode::ValidateOnly, ..creation(topics) };
    let validated = controller().decide(&Command::CreateTopics(command));
    assert_eq!(validated.outcome, applied.outcome);
    assert_eq!((validated.records.len(), applied.records.len()), (0, 2));
}

#[test]
fn a_request_for_too_much_is_refused_whole() {
    let max = MAX_PARTITIONS as i32;
    let assigned: Vec<(i32, &[i32])> = (0..=max).map(|index| (index, &[7][..])).collect();
    let too_many = Some(Refusal::PartitionsPerRequest(MAX_PARTITIONS));
    let too_long = Some(Refusal::RecordsPerCommand(MAX_RECORDS));
    let configs = |count| {
        (0..count).fold(topic("t", 3).partitions(max), |topic, index| {
            topic.config(&format!("c{index}"), Some("1"))
        })
    };
    let room = MAX_RECORDS as i32 - max - 1;
    let table = [
        (vec![topic("t", 3).partitions(max)], None),
        (vec![topic("t", 3).partitions(max + 1)], too_many.clone()),
        (vec![topic("t", 3).partitions(max - 2), topic("u", 4).partitions(-1)], too_many.clone()),
        (vec![topic("t", 3).assign(&assigned[1..])], None),
        (vec![topic("t", 3).assign(&assigned)], too_many),
        (vec![topic("t", 3).partitions(max), topic("u", 4).partitions(-5)], None),
        (vec![topic("t", 3).partitions(max), topic("t", 4).partitions(max)], None),
        (vec![configs(room)], None),
        (vec![configs(room + 1)], too_long),
    ];
    for (topics, refusal) in table {
        let command = CreateTopics { limits: Limits { partitions: 1000 }, ..creation(topics) };
        let decision = controller().decide(&Command::CreateTopics(command));
        if refusal.is_some() {
            assert_eq!(decision.records, []);
        }
        assert_eq!(decision.outcome.err(), refusal);
    }
}

#[test]
fn topics_are_deleted_by_name_or_by_id_but_once() {
    use DeleteRefusal as No;
    let name = |name: &str| TopicRef::ByName(name.into());
    let by_id = |byte| TopicRef::ById(id(byte));
    let (plain, dots) = (|| Some("plain"), || Some("a.b"));
    let table = [
        (vec![name("plain")], vec![(plain(), Some(1), Ok(()))]),
        (vec![by_id(1)], vec![(plain(), Some(1), Ok(()))]),
        (vec![name("a.b"), by_id(1)], vec![(dots(), Some(2), Ok(())), (plain(), Some(1), Ok(()))]),
        (vec![name("a_b")], vec![(Some("a_b"), None, Err(No::UnknownName))]),
        (
            vec![name("__cluster_metadata")],
            vec![(Some("__cluster_metadata"), None, Err(No::UnknownName))],
        ),
        (vec![by_id(9)], vec![(None, Some(9), Err(No::UnknownId))]),
        (vec![name("plain"), name("plain")], vec![(plain(), None, Err(No::NamedTwice))]),
        (vec![name("x"), name("x")], vec![(Some("x"), None, Err(No::NamedTwice))]),
        (vec![by_id(1), by_id(1), by_id(1)], vec![(None, Some(1), Err(No::IdTwice))]),
        (vec![name("plain"), by_id(1)], vec![(plain(), Some(1), Err(No::NameAndId))]),
        (vec![by_id(1), name("plain")], vec![(plain(), Some(1), Err(No::NameAndId))]),
        (
            vec![by_id(1), name("plain"), by_id(1)],
            vec![(None, Some(1), Err(No::IdTwice)), (plain(), Some(1), Err(No::NameAndId))],
        ),
        (
            vec![name("plain"), by_id(1), name("plain")],
            vec![(plain(), None, Err(No::NamedTwice)), (plain(), Some(1), Ok(()))],
        ),
    ];
    for (topics, expected) in table {
        let decision = controller().decide(&Command::DeleteTopics(topics));
        let Ok(Outcome::Deleted(results)) = decision.outcome else { panic!() };
        let found: Vec<_> = results
            .iter()
            .map(|topic| (topic.name.as_deref(), topic.id.map(|id| id.0[0]), topic.result.clone()))
            .collect();
        assert_eq!(found, expected);
        let removed: Vec<_> = expected
            .iter()
            .filter(|(_, _, result)| result.is_ok())
            .filter_map(|(_, byte, _)| byte.map(|byte| Record::RemoveTopic(id(byte))))
            .collect();
        assert_eq!(decision.records, removed);
    }
}

#[test]
fn internal_topics_can_be_deleted() {
    let mut controller = Controller::new(BROKER, Image::default());
    let decision = controller.decide(&create(vec![topic("__consumer_offsets", 3)]));
    controller.replay(&decision.records).unwrap();
    assert!(controller.image().topic("__consumer_offsets").unwrap().is_internal());
    let name = TopicRef::ByName("__consumer_offsets".into());
    let decision = controller.decide(&Command::DeleteTopics(vec![name]));
    controller.replay(&decision.records).unwrap();
    assert_eq!(controller.image().topic_count(), 0);
}

#[test]
fn a_block_of_producer_ids_begins_where_the_last_one_ended() {
    let mut controller = controller();
    let count = NonZeroU32::new(2).unwrap();
    let decision = controller.decide(&Command::AllocateProducerIds { count });
    let Ok(Outcome::ProducerIds(mut block)) = decision.outcome else { panic!() };
    assert_eq!(block.left(), 2);
    let taken = std::array::from_fn(|_| block.take().map(|id| id.0));
    assert_eq!(taken, [Some(1000), Some(1001), None, None]);
    let next = ProducerId(1002);
    let record = Record::ProducerIds { broker: BROKER.id, broker_epoch: -1, next };
    assert_eq!(decision.records, [record]);
    controller.replay(&decision.records).unwrap();
    assert_eq!(controller.image().next_producer_id(), next);
}

#[test]
fn the_last_producer_ids_are_given_away_and_no_more() {
    let mut controller = controller();
    let used =
        |next| Record::ProducerIds { broker: BROKER.id, broker_epoch: -1, next: ProducerId(next) };
    let allocate = Command::AllocateProducerIds { count: PRODUCER_ID_BLOCK };
    controller.replay(&[used(i64::MAX - 1000)]).unwrap();
    assert!(controller.decide(&allocate).outcome.is_ok());
    controller.replay(&[used(i64::MAX - 999)]).unwrap();
    let exhausted = Refusal::ProducerIdsExhausted(ProducerId(i64::MAX - 999));
    assert_eq!(controller.decide(&allocate).outcome, Err(exhausted));
}

#[test]
fn a_feature_goes_the_way_its_request_says_and_metadata_only_up() {
    use FeatureChange::{Downgrade, Upgrade};
    let name = "transaction.version";
    let (first, newest) = (*METADATA_VERSIONS.start(), *METADATA_VERSIONS.end());
    let level = |level| Err(Refusal::FeatureLevel { name, level, supported: 0..=3 });
    let direction = |level| Err(Refusal::FeatureDirection { name, current: 2, level });
    let metadata =
        |supported, level| Err(Refusal::FeatureLevel { name: METADATA_VERSION, level, supported });
    let table = [
        (name, 0..=3, 3, Upgrade, Ok(())),
        (name, 0..=3, 2, Upgrade, Ok(())),
        (name, 0..=3, 2, Downgrade, Ok(())),
        (name, 0..=3, 0, Downgrade, Ok(())),
        (name, 0..=3, 1, Upgrade, direction(1)),
        (name, 0..=3, 3, Downgrade, direction(3)),
        (name, 0..=3, 4, Upgrade, level(4)),
        (name, 0..=3, -1, Downgrade, level(-1)),
        ("new.feature", 0..=1, 1, Upgrade, Ok(())),
        (METADATA_VERSION, 8..=31, newest, Upgrade, Ok(())),
        (METADATA_VERSION, 8..=31, 31, Upgrade, metadata(8..=newest, 31)),
        (METADATA_VERSION, 0..=newest, 6, Downgrade, metadata(first..=newest, 6)),
        (
            METADATA_VERSION,
            0..=newest,
            29,
            Downgrade,
            Err(Refusal::MetadataDowngrade { current: newest, level: 29 }),
        ),
        (KRAFT_VERSION, 0..=1, 1, Upgrade, Err(Refusal::FeatureElsewhere(KRAFT_VERSION))),
    ];
    for (name, supported, level, change, expected) in table {
        let mut controller = controller();
        let command = Command::SetFeature(SetFeature { name, level, supported, change });
        let decision = controller.decide(&command);
        assert_eq!(decision.outcome.as_ref().map(|_| ()), expected.as_ref().map(|_| ()));
        match expected {
            Ok(()) => {
                controller.replay(&decision.records).unwrap();
                let now = controller.image().features().get(name);
                assert_eq!(now.copied(), (level != 0).then_some(level));
            }
            Err(refusal) => {
                assert!(!refusal.to_string().is_empty());
                assert_eq!(decision, Decision { records: Vec::new(), outcome: Err(refusal) });
            }
        }
    }
}

#[test]
fn refusals_say_the_cause_and_the_remedy() {
    let table: [(&dyn std::error::Error, &str); 6] = [
        (
            &CreateRefusal::TooFewBrokers { factor: 3, brokers: 1 },
            "replication factor 3 with 1 broker(s); ask for at most 1, or set \
             clamp.replication.factor=true on the broker",
        ),
        (
            &CreateRefusal::NoRoom { wanted: 6, present: 5, limit: 10 },
            "6 more partitions beside the 5 there are exceed the broker's limit of 10; ask for \
             fewer, delete topics, or raise the limit",
        ),
        (
            &CreateRefusal::Name(NameFault::Length(250)),
            "the topic name has 250 characters; use at most 249",
        ),
        (
            &CreateRefusal::Assignment(AssignmentFault::Gap(1)),
            "partition 1 is not assigned; number the partitions 0, 1, 2, …",
        ),
        (&DeleteRefusal::UnknownId, "there is no topic with this id"),
        (
            &Refusal::FeatureDirection { name: "f", current: 2, level: 1 },
            "f is at level 2: level 1 needs an explicit downgrade request",
        ),
    ];
    for (refusal, text) in table {
        assert_eq!(refusal.to_string(), text);
    }
}
