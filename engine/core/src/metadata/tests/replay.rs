//! What replays add up to: the image, the deltas, and the same image again after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use bytes::Bytes;
use proptest::prelude::*;

use crate::id::{LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId, TopicPartition};
use crate::metadata::command::*;
use crate::metadata::controller::{Broker, Controller};
use crate::metadata::delta::{Delta, Fate};
use crate::metadata::image::{Configs, Image, LoadError, LoadFault, METADATA_VERSION, ReplayError};
use crate::metadata::record::*;

const BROKER: Broker = Broker { id: BrokerId(1), directory: DirectoryId([9; 16]) };

fn id(byte: u8) -> TopicId {
    TopicId([byte; 16])
}

fn named(name: &str, byte: u8) -> Record {
    Record::Topic { name: name.into(), id: id(byte) }
}

/// With two replicas; partition 1 has lost one of them.
fn partition(topic: u8, index: u32) -> Record {
    let replicas = if index == 1 { vec![BrokerId(1)] } else { vec![BrokerId(1), BrokerId(2)] };
    Record::Partition(PartitionRecord {
        topic: id(topic),
        index: PartitionIndex(index),
        replicas,
        isr: vec![BrokerId(1)],
        removing: Vec::new(),
        adding: Vec::new(),
        leader: BrokerId(1),
        recovery: LeaderRecovery::Recovered,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        directories: Vec::new(),
        eligible_leaders: None,
        last_eligible_leaders: None,
    })
}

fn config(resource: ConfigResource, of: &str, name: &str, value: Option<&str>) -> Record {
    Record::Config(ConfigRecord {
        resource,
        resource_name: of.into(),
        name: name.into(),
        value: value.map(str::to_owned),
    })
}

fn feature(name: &str, level: i16) -> Record {
    Record::FeatureLevel { name: name.into(), level }
}

fn producer_ids(next: i64) -> Record {
    Record::ProducerIds { broker: BROKER.id, broker_epoch: -1, next: ProducerId(next) }
}

fn opaque(key: u16) -> Record {
    Record::Opaque { key, version: 0, body: Bytes::from_static(&[0]) }
}

fn stored(records: &[Record]) -> Vec<(Offset, Bytes)> {
    (0..).map(Offset).zip(records.iter().map(Record::encode)).collect()
}

fn image(records: &[Record]) -> Image {
    let mut image = Image::default();
    image.load(stored(records)).unwrap();
    image
}

#[test]
fn an_image_is_what_its_records_add_up_to() {
    let topic = ConfigResource::Topic;
    let image = image(&[
        feature(METADATA_VERSION, 30),
        feature("kraft.version", 1),
        feature("group.version", 1),
        feature("share.version", 1),
        feature("group.version", 0),
        opaque(23),
        named("b", 2),
        partition(2, 0),
        partition(2, 1),
        partition(2, 0),
        named("a", 3),
        config(topic, "b", "x", Some("1")),
        config(topic, "b", "y", Some("2")),
        config(topic, "b", "x", None),
        config(topic, "b", "never", None),
        config(ConfigResource::Broker, "", "x", Some("1")),
        producer_ids(1000),
        named("gone.by", 4),
        partition(4, 0),
        Record::RemoveTopic(id(4)),
    ]);
    assert_eq!((image.version(), image.ignored()), (20, 3));
    let features = [(METADATA_VERSION.into(), 30), ("share.version".into(), 1)];
    assert_eq!(*image.features(), BTreeMap::from(features));
    assert_eq!(image.metadata_version(), Some(30));
    assert_eq!(image.next_producer_id(), ProducerId(1000));
    assert_eq!((image.topic_count(), image.partition_count()), (2, 2));
    let names: Vec<_> = image.topics().map(|topic| topic.name.as_ref()).collect();
    assert_eq!(names, ["a", "b"]);
    let b = image.topic("b").unwrap();
    assert_eq!(image.topic_by_id(id(2)), Some(b));
    assert_eq!((b.partitions, b.replication_factor), (2, 2));
    assert_eq!(*b.configs, BTreeMap::from([("y".into(), "2".into())]));
    assert_eq!((image.topic("gone.by"), image.colliding("gone_by")), (None, None));
}

#[test]
fn names_that_differ_in_dots_and_underscores_collide() {
    let names = ["a.b", "a_c", "plain", "a.b.c", "a-b", "_", "b.b"];
    let records: Vec<_> = names.iter().zip(1..).map(|(name, byte)| named(name, byte)).collect();
    let image = image(&records);
    let table = [
        ("a_b", Some("a.b")),
        ("a.c", Some("a_c")),
        ("a_b_c", Some("a.b.c")),
        (".", Some("_")),
        ("b_b", Some("b.b")),
        ("plain", None),
        ("a.b_", None),
        ("a_d", None),
    ];
    for (name, expected) in table {
        assert_eq!(image.colliding(name).map(|found| found.as_ref()), expected, "{name}");
    }
}

#[test]
fn a_record_that_contradicts_others_is_refused_and_changes_nothing() {
    let before = [named("t", 1), partition(1, 0), producer_ids(5)];
    let topic = ConfigResource::Topic;
    let table = [
        (named("t", 2), ReplayError::TopicNameTaken { name: "t".into() }),
        (named("u", 1), ReplayError::TopicIdTaken { id: id(1), by: "t".into() }),
        (partition(2, 0), ReplayError::UnknownTopicId(id(2))),
        (partition(1, 2), ReplayError::PartitionGap { id: id(1), index: 2, partitions: 1 }),
        (config(topic, "u", "x", None), ReplayError::UnknownTopicName("u".into())),
        (Record::RemoveTopic(id(2)), ReplayError::UnknownTopicId(id(2))),
        (
            producer_ids(5),
            ReplayError::ProducerIdsGivenTwice { current: ProducerId(5), next: ProducerId(5) },
        ),
        (feature(METADATA_VERSION, 31), ReplayError::MetadataVersion(31)),
        (feature(METADATA_VERSION, 0), ReplayError::MetadataVersion(0)),
        (opaque(25), ReplayError::Aborted),
    ];
    for (record, error) in table {
        let good = image(&before);
        let mut tried = good.clone();
        assert_eq!(tried.replay(&record), Err(error.clone()));
        assert_eq!(tried, good);

        let mut controller = Controller::new(BROKER, good.clone());
        let batch = [named("other", 9), record.clone()];
        assert_eq!(controller.replay(&batch).unwrap_err(), error);
        assert_eq!(**controller.image(), good);

        let mut loaded = good.clone();
        let failed = loaded.load([(Offset(3), record.encode())]).unwrap_err();
        let fault = LoadFault::Contradiction(error);
        assert_eq!(failed, LoadError { offset: Offset(3), fault });
        assert!(failed.to_string().starts_with("metadata log, offset 3: "));
    }
}

#[test]
fn a_log_is_loaded_up_to_the_record_that_is_wrong() {
    let records = stored(&[named("a", 1), partition(1, 0), named("b", 2)]);
    let malformed = DecodeError { position: 2, fault: Fault::Ended };
    let table = [
        (
            vec![records[0].clone(), (Offset(1), Bytes::from_static(&[1, 3]))],
            LoadError { offset: Offset(1), fault: LoadFault::Malformed(malformed) },
        ),
        (
            vec![records[0].clone(), records[2].clone()],
            LoadError { offset: Offset(2), fault: LoadFault::Order { expected: 1 } },
        ),
        (
            vec![records[0].clone(), records[0].clone()],
            LoadError { offset: Offset(0), fault: LoadFault::Order { expected: 1 } },
        ),
        (
            vec![records[0].clone(), (Offset(-1), records[1].1.clone())],
            LoadError { offset: Offset(-1), fault: LoadFault::Order { expected: 1 } },
        ),
    ];
    for (log, error) in table {
        let mut loaded = Image::default();
        assert_eq!(loaded.load(log), Err(error));
        assert_eq!(loaded, image(&[named("a", 1)]));
    }
}

#[test]
fn a_fresh_log_begins_with_the_metadata_version() {
    let features = [("b.version", 2), ("off.version", 0), ("a.version", 1), (METADATA_VERSION, 9)];
    let expected =
        [feature(METADATA_VERSION, 30), feature("a.version", 1), feature("b.version", 2)];
    assert_eq!(Controller::bootstrap(&features), expected);
    assert_eq!(image(&expected).metadata_version(), Some(30));
}

#[test]
fn a_delta_names_the_partitions_that_came_went_or_changed() {
    let topic = ConfigResource::Topic;
    let before = [named("old", 1), partition(1, 0), partition(1, 1), named("kept", 2)];
    let mut controller = Controller::new(BROKER, image(&before));
    let delta = controller
        .replay(&[
            config(topic, "old", "x", Some("1")),
            partition(1, 2),
            named("new", 3),
            config(topic, "new", "y", Some("2")),
            partition(3, 0),
            named("brief", 4),
            partition(4, 0),
            Record::RemoveTopic(id(4)),
            config(topic, "kept", "never", None),
            producer_ids(9),
            opaque(20),
        ])
        .unwrap();
    let seen = |delta: &Delta| -> Vec<_> {
        let changes = delta.changes.iter().map(|change| {
            let (what, configs) = match &change.fate {
                Fate::Created(configs) => ("created", configs.clone()),
                Fate::Removed => ("removed", Configs::default()),
                Fate::Configured(configs) => ("configured", configs.clone()),
            };
            let names: String = configs.keys().cloned().collect();
            (change.topic, change.partitions.clone(), what, names)
        });
        changes.collect()
    };
    let named_x = |what, partitions| (id(1), partitions, what, "x".to_owned());
    let created = (id(3), 0..1, "created", "y".to_owned());
    assert_eq!(seen(&delta), [named_x("configured", 0..2), named_x("created", 2..3), created]);
    assert_eq!(delta.version, 15);
    assert!(std::sync::Arc::ptr_eq(&delta.image, controller.image()));

    let delta = controller.replay(&[Record::RemoveTopic(id(1)), named("old", 5)]).unwrap();
    assert_eq!(seen(&delta), [(id(1), 0..3, "removed", String::new())]);
    assert_eq!(delta.version, 17);
}

#[test]
fn commands_decided_together_see_each_other() {
    let create = |byte| {
        Command::CreateTopics(CreateTopics {
            topics: vec![new_topic("t".into(), byte, 1, false)],
            mode: Mode::Apply,
            defaults: Defaults { partitions: 1, replication_factor: 1 },
            clamp: Clamp::Off,
            limits: Limits { partitions: 10 },
        })
    };
    let commands = [
        create(1),
        create(2),
        Command::DeleteTopics(vec![TopicRef::ByName("t".into())]),
        create(3),
        Command::AllocateProducerIds { count: PRODUCER_ID_BLOCK },
        Command::AllocateProducerIds { count: PRODUCER_ID_BLOCK },
    ];
    let mut controller = Controller::new(BROKER, Image::default());
    let decisions = controller.decide_all(&commands).unwrap();
    assert_eq!(**controller.image(), Image::default());
    let counts: Vec<_> = decisions.iter().map(|decision| decision.records.len()).collect();
    assert_eq!(counts, [2, 0, 1, 2, 1, 1]);
    for decision in &decisions {
        controller.replay(&decision.records).unwrap();
    }
    assert_eq!(controller.image().topic("t").unwrap().id, id(3));
    assert_eq!(controller.image().next_producer_id(), ProducerId(2000));
}

fn new_topic(name: String, byte: u8, partitions: i32, configured: bool) -> NewTopic {
    let configs = configured.then(|| ("x".to_owned(), Some(byte.to_string())));
    NewTopic {
        name: name.into(),
        id: id(byte),
        partitions,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: configs.into_iter().collect(),
    }
}

/// One step of a random life; ids of topics are filled in, each used once.
#[derive(Clone, Debug)]
enum Step {
    Create(Vec<(String, i32, bool)>, Mode),
    Delete(Vec<String>),
    DeleteIds(Vec<u8>),
    Allocate(u32),
    Feature(i16),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || "[ab][._]?[ab]?";
    let mode = prop_oneof![4 => Just(Mode::Apply), 1 => Just(Mode::ValidateOnly)];
    let topics = prop::collection::vec((name(), -1..4i32, any::<bool>()), 0..4);
    prop_oneof![
        4 => (topics, mode).prop_map(|(topics, mode)| Step::Create(topics, mode)),
        2 => prop::collection::vec(name().prop_map(String::from), 0..3).prop_map(Step::Delete),
        1 => prop::collection::vec(1..40u8, 0..3).prop_map(Step::DeleteIds),
        1 => (1..5u32).prop_map(Step::Allocate),
        1 => (0..3i16).prop_map(Step::Feature),
    ]
}

fn command(step: Step, next_id: &mut u8) -> Command {
    match step {
        Step::Create(topics, mode) => {
            let mut fill = |(name, partitions, configured)| {
                *next_id += 1;
                new_topic(name, *next_id, partitions, configured)
            };
            Command::CreateTopics(CreateTopics {
                topics: topics.into_iter().map(&mut fill).collect(),
                mode,
                defaults: Defaults { partitions: 2, replication_factor: 1 },
                clamp: Clamp::Off,
                limits: Limits { partitions: 12 },
            })
        }
        Step::Delete(names) => Command::DeleteTopics(
            names.iter().map(|n| TopicRef::ByName(n.as_str().into())).collect(),
        ),
        Step::DeleteIds(ids) => {
            Command::DeleteTopics(ids.into_iter().map(|byte| TopicRef::ById(id(byte))).collect())
        }
        Step::Allocate(count) => {
            Command::AllocateProducerIds { count: NonZeroU32::new(count).unwrap() }
        }
        Step::Feature(level) => Command::SetFeature(SetFeature {
            name: "f.version",
            level,
            supported: 0..=2,
            change: FeatureChange::Upgrade,
        }),
    }
}

/// What a shard knows that only ever hears deltas.
#[derive(Default)]
struct Shard {
    partitions: BTreeMap<TopicPartition, Configs>,
    version: u64,
}

impl Shard {
    fn hear(&mut self, delta: &Delta) {
        assert!(delta.version > self.version);
        self.version = delta.version;
        for change in &delta.changes {
            for partition in change.partitions.clone().map(|index| change.partition(index)) {
                let before = match &change.fate {
                    Fate::Removed => self.partitions.remove(&partition),
                    Fate::Created(configs) | Fate::Configured(configs) => {
                        self.partitions.insert(partition, configs.clone())
                    }
                };
                match &change.fate {
                    Fate::Created(_) => assert_eq!(before, None),
                    Fate::Removed => assert!(before.is_some()),
                    Fate::Configured(configs) => {
                        assert!(before.is_some_and(|before| before != *configs));
                    }
                }
            }
        }
    }
}

fn partitions_of(image: &Image) -> BTreeMap<TopicPartition, Configs> {
    let of_topic = |topic: &std::sync::Arc<crate::metadata::Topic>| {
        let configs = topic.configs.clone();
        topic.partitions_from(0).map(move |partition| (partition, configs.clone()))
    };
    image.topics().flat_map(of_topic).collect()
}

/// A config change, which no command makes, for one of the topics.
fn reconfigure(image: &Image, pick: usize) -> Option<Record> {
    let topic = image.topics().nth(pick % 8)?;
    let value = (!pick.is_multiple_of(3)).then(|| pick.to_string());
    Some(config(ConfigResource::Topic, &topic.name, "x", value.as_deref()))
}

proptest! {
    #[test]
    fn every_life_of_the_metadata_is_replayed_the_same(
        turns in prop::collection::vec((prop::collection::vec(step(), 1..4), 0..99usize), 0..12),
    ) {
        let mut controller = Controller::new(BROKER, Image::default());
        let mut shard = Shard::default();
        let (mut log, mut next_id) = (Vec::new(), 0);
        let mut given = BTreeSet::new();
        for (steps, pick) in turns {
            let commands: Vec<_> = steps.into_iter().map(|s| command(s, &mut next_id)).collect();
            let decisions = controller.decide_all(&commands).unwrap();
            for (decision, command) in decisions.into_iter().zip(&commands) {
                prop_assert_eq!(&controller.decide(command), &decision);
                if let Ok(Outcome::ProducerIds(mut block)) = decision.outcome {
                    while let Some(id) = block.take() {
                        prop_assert!(given.insert(id));
                    }
                }
                if !decision.records.is_empty() {
                    shard.hear(&controller.replay(&decision.records).unwrap());
                    log.extend(decision.records);
                }
            }
            if let Some(record) = reconfigure(controller.image(), pick) {
                shard.hear(&controller.replay(std::slice::from_ref(&record)).unwrap());
                log.push(record);
            }
            prop_assert_eq!(&shard.partitions, &partitions_of(controller.image()));
        }
        let live = controller.image();
        prop_assert_eq!(&image(&log), &**live);
        prop_assert_eq!(live.version(), log.len() as u64);
        prop_assert_eq!(live.partition_count(), shard.partitions.len() as u64);
        prop_assert_eq!(live.next_producer_id().0, given.len() as i64);
        for topic in live.topics() {
            prop_assert_eq!(live.topic(&topic.name), live.topic_by_id(topic.id));
            let collidable = topic.name.contains(['.', '_']);
            prop_assert_eq!(live.colliding(&topic.name).is_some(), collidable);
        }
    }
}
