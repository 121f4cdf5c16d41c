//! Records against bytes that Apache Kafka 4.3.1 wrote (`MetadataRecordSerde`).

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use crate::fields::MAX_STRING;
use crate::id::{LeaderEpoch, PartitionIndex, ProducerId, TopicId};
use crate::metadata::record::*;

const ID: TopicId = TopicId([0, 16, 131, 16, 81, 135, 32, 146, 139, 48, 211, 143, 65, 20, 147, 81]);
const DIRECTORY: DirectoryId = DirectoryId([
    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0,
]);
const UNASSIGNED: DirectoryId = DirectoryId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

const PARTITION_V0: &str = "\
    0103000000000300108310518720928b30d38f41149351030000000100000002020000000101010000000100\
    0000070000000900";
const PARTITION_V0_RECOVERING: &str = "\
    0103000000000300108310518720928b30d38f41149351030000000100000002020000000101010000000100\
    0000070000000901000101";
const PARTITION_V1: &str = "\
    0103010000000300108310518720928b30d38f41149351030000000100000002020000000101010000000100\
    0000070000000903112233445566778899aabbccddeeff000000000000000000000000000000000100";
const PARTITION_V2: &str = "\
    0103020000000300108310518720928b30d38f41149351030000000100000002020000000101010000000100\
    0000070000000903112233445566778899aabbccddeeff000000000000000000000000000000000100";
const PARTITION_V2_ALL: &str = "\
    0103020000000300108310518720928b30d38f41149351030000000100000002020000000102000000020200\
    00012c00000001000000070000000903112233445566778899aabbccddeeff00000000000000000000000000\
    0000000103000101010502000000020209030000000400000005";
const PARTITION_V2_NO_ELIGIBLE: &str = "\
    0103020000000300108310518720928b30d38f41149351030000000100000002020000000102000000020200\
    00012c00000001000000070000000903112233445566778899aabbccddeeff00000000000000000000000000\
    0000000101010101";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn partition() -> PartitionRecord {
    PartitionRecord {
        topic: ID,
        index: PartitionIndex(3),
        replicas: vec![BrokerId(1), BrokerId(2)],
        isr: vec![BrokerId(1)],
        removing: Vec::new(),
        adding: Vec::new(),
        leader: BrokerId(1),
        recovery: LeaderRecovery::Recovered,
        leader_epoch: LeaderEpoch(7),
        partition_epoch: 9,
        directories: vec![DIRECTORY, UNASSIGNED],
        eligible_leaders: None,
        last_eligible_leaders: None,
    }
}

fn reassigned() -> PartitionRecord {
    PartitionRecord {
        removing: vec![BrokerId(2)],
        adding: vec![BrokerId(300)],
        eligible_leaders: Some(Vec::new()),
        ..partition()
    }
}

fn config(
    resource: ConfigResource,
    resource_name: &str,
    name: &str,
    value: Option<&str>,
) -> Record {
    Record::Config(ConfigRecord {
        resource,
        resource_name: resource_name.into(),
        name: name.into(),
        value: value.map(str::to_owned),
    })
}

fn opaque(key: u16, version: u16, body: &str) -> Record {
    Record::Opaque { key, version, body: hex(body).into() }
}

/// What Kafka writes at `metadata.version` 30, and so do we.
fn written() -> Vec<(String, Record)> {
    let topic = ConfigResource::Topic;
    let long = format!("010200c901{}00108310518720928b30d38f4114935100", "74".repeat(200));
    let all = PartitionRecord {
        recovery: LeaderRecovery::Recovering,
        eligible_leaders: Some(vec![BrokerId(2)]),
        last_eligible_leaders: Some(vec![BrokerId(4), BrokerId(5)]),
        ..reassigned()
    };
    let table = [
        (
            "010200076f726465727300108310518720928b30d38f4114935100",
            Record::Topic { name: "orders".into(), id: ID },
        ),
        (&long, Record::Topic { name: "t".repeat(200).into(), id: ID }),
        (PARTITION_V2, Record::Partition(partition())),
        (PARTITION_V2_ALL, Record::Partition(all)),
        (PARTITION_V2_NO_ELIGIBLE, Record::Partition(reassigned())),
        (
            "01040002076f72646572730d726574656e74696f6e2e6d7309383634303030303000",
            config(topic, "orders", "retention.ms", Some("86400000")),
        ),
        (
            "01040002076f72646572730d726574656e74696f6e2e6d730000",
            config(topic, "orders", "retention.ms", None),
        ),
        ("010400040102780100", config(ConfigResource::Broker, "", "x", Some(""))),
        (
            "01040002076f7264657273056e6f74650966c3bc7220e2888000",
            config(topic, "orders", "note", Some("für ∀")),
        ),
        ("01090000108310518720928b30d38f4114935100", Record::RemoveTopic(ID)),
        (
            "010c00116d657461646174612e76657273696f6e001e00",
            Record::FeatureLevel { name: "metadata.version".into(), level: 30 },
        ),
        ("010c000266fffe00", Record::FeatureLevel { name: "f".into(), level: -2 }),
        (
            "010f0000000001ffffffffffffffff00000000000003e800",
            Record::ProducerIds { broker: BrokerId(1), broker_epoch: -1, next: ProducerId(1000) },
        ),
        ("01140000", opaque(20, 0, "00")),
        ("01ffff01ffff01", opaque(0x7fff, 0x7fff, "")),
        (
            "01170001001212426f6f747374726170207265636f726473",
            opaque(23, 0, "01001212426f6f747374726170207265636f726473"),
        ),
        (
            "0105020000000300108310518720928b30d38f411493510200050200000001010400000001",
            opaque(5, 2, "0000000300108310518720928b30d38f411493510200050200000001010400000001"),
        ),
    ];
    table.map(|(bytes, record)| (bytes.to_owned(), record)).into()
}

#[test]
fn kafkas_bytes_are_read_and_written() {
    for (bytes, record) in written() {
        let bytes = hex(&bytes);
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record));
        assert_eq!(record.encode(), bytes, "{record:?}");
    }
}

#[test]
fn older_versions_are_read_and_written_as_the_newest() {
    let v0 = PartitionRecord { directories: Vec::new(), ..partition() };
    let recovering = PartitionRecord { recovery: LeaderRecovery::Recovering, ..v0.clone() };
    let table =
        [(PARTITION_V0, v0), (PARTITION_V0_RECOVERING, recovering), (PARTITION_V1, partition())];
    for (bytes, partition) in table {
        let record = Record::Partition(partition);
        assert_eq!(Record::decode(&hex(bytes)).as_ref(), Ok(&record));
        let rewritten = record.encode();
        assert_eq!(rewritten[..3], [1, 3, 2]);
        assert_eq!(Record::decode(&rewritten), Ok(record));
    }
}

#[test]
fn tagged_fields_of_later_writers_are_passed_over() {
    let mut topic = hex("010200076f726465727300108310518720928b30d38f41149351");
    topic.extend(hex("02 09 03 aabbcc 8001 00".replace(' ', "").as_str()));
    let expected = Record::Topic { name: "orders".into(), id: ID };
    assert_eq!(Record::decode(&topic), Ok(expected));

    let mut partition_v0 = hex(PARTITION_V0);
    partition_v0.pop();
    partition_v0.extend([1, 3, 1, 0xff]);
    let expected = PartitionRecord { directories: Vec::new(), ..partition() };
    assert_eq!(Record::decode(&partition_v0), Ok(Record::Partition(expected)));
}

#[test]
fn every_truncation_of_a_known_record_is_refused() {
    for (bytes, record) in written() {
        let bytes = hex(&bytes);
        let whole = bytes.len();
        for len in (0..whole).filter(|_| !matches!(record, Record::Opaque { .. })) {
            let error = Record::decode(&bytes[..len]).unwrap_err();
            assert_eq!(error.fault, Fault::Ended, "{len} of {whole}: {record:?}");
            assert!(error.position <= len);
        }
        let mut longer = bytes;
        longer.push(7);
        match Record::decode(&longer) {
            Ok(longer) => assert!(matches!(longer, Record::Opaque { .. })),
            Err(error) => {
                assert_eq!(error, DecodeError { position: whole, fault: Fault::Trailing(1) });
            }
        }
    }
}

#[test]
fn malformed_records_are_refused_where_they_are_wrong() {
    let without_tags = PARTITION_V0.len() - 2;
    let negative = "010300ffffffff";
    let too_long = BytesMut::from_iter([&[1, 9, 0][..], &[0; 16], &[0xff; 5]].concat());
    let table = [
        ("00090000".to_owned(), 1, Fault::FrameVersion(0)),
        ("02090000".into(), 1, Fault::FrameVersion(2)),
        ("0180800200".into(), 4, Fault::HeaderNumber(0x8000)),
        ("0102808002".into(), 5, Fault::HeaderNumber(0x8000)),
        ("01020100".into(), 3, Fault::RecordVersion { key: 2, version: 1 }),
        ("01030300".into(), 3, Fault::RecordVersion { key: 3, version: 3 }),
        ("010f0100".into(), 3, Fault::RecordVersion { key: 15, version: 1 }),
        ("010200006f".into(), 4, Fault::Null),
        ("01020002ff".into(), 5, Fault::Utf8),
        ("010c00818002".into(), 6, Fault::StringLength(MAX_STRING + 1)),
        (negative.into(), 7, Fault::Partition(-1)),
        (format!("{}01000102", &PARTITION_V0[..without_tags]), 55, Fault::LeaderRecovery(2)),
        (format!("{}01010101", &PARTITION_V0[..without_tags]), 54, Fault::Tag(1)),
        (format!("{}0101020101", &PARTITION_V2[..PARTITION_V2.len() - 2]), 88, Fault::Trailing(1)),
    ];
    for (bytes, position, fault) in table {
        assert_eq!(Record::decode(&hex(&bytes)), Err(DecodeError { position, fault }), "{bytes}");
    }
    let error = Record::decode(&too_long).unwrap_err();
    assert_eq!(error, DecodeError { position: 24, fault: Fault::Varint });
    assert_eq!(
        error.to_string(),
        "malformed metadata record at byte 24: a variable-length number has more than 32 bits"
    );
}

#[test]
fn the_longest_string_is_read_as_it_was_written() {
    let longest = Record::Topic { name: "t".repeat(MAX_STRING).into(), id: ID };
    assert_eq!(Record::decode(&longest.encode()), Ok(longest));
}

fn brokers() -> impl Strategy<Value = Vec<BrokerId>> {
    prop::collection::vec(any::<i32>().prop_map(BrokerId), 0..4)
}

fn any_partition() -> impl Strategy<Value = PartitionRecord> {
    let lists = (brokers(), brokers(), brokers(), brokers());
    let optional = (prop::option::of(brokers()), prop::option::of(brokers()));
    let directories = prop::collection::vec(any::<[u8; 16]>().prop_map(DirectoryId), 0..3);
    let numbers = (0..=i32::MAX as u32, any::<i32>(), any::<i32>(), any::<i32>());
    (any::<[u8; 16]>(), numbers, lists, directories, optional, any::<bool>()).prop_map(
        |(topic, numbers, lists, directories, optional, recovered)| PartitionRecord {
            topic: TopicId(topic),
            index: PartitionIndex(numbers.0),
            replicas: lists.0,
            isr: lists.1,
            removing: lists.2,
            adding: lists.3,
            leader: BrokerId(numbers.1),
            recovery: match recovered {
                true => LeaderRecovery::Recovered,
                false => LeaderRecovery::Recovering,
            },
            leader_epoch: LeaderEpoch(numbers.2),
            partition_epoch: numbers.3,
            directories,
            eligible_leaders: optional.0,
            last_eligible_leaders: optional.1,
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    let resource = prop_oneof![
        Just(ConfigResource::Topic),
        Just(ConfigResource::Broker),
        Just(ConfigResource::Other(-7)),
    ];
    let config = (resource, ".{0,40}", ".{0,200}", prop::option::of(".{0,200}"));
    prop_oneof![
        (".{0,140}", any::<[u8; 16]>())
            .prop_map(|(name, id)| Record::Topic { name: name.into(), id: TopicId(id) }),
        any_partition().prop_map(Record::Partition),
        config.prop_map(|(resource, resource_name, name, value)| {
            Record::Config(ConfigRecord { resource, resource_name, name, value })
        }),
        any::<[u8; 16]>().prop_map(|id| Record::RemoveTopic(TopicId(id))),
        (".{0,20}", any::<i16>()).prop_map(|(name, level)| Record::FeatureLevel { name, level }),
        any::<(i32, i64, i64)>().prop_map(|(broker, broker_epoch, next)| Record::ProducerIds {
            broker: BrokerId(broker),
            broker_epoch,
            next: ProducerId(next),
        }),
        (20..1000u16, 0..300u16, any::<Vec<u8>>()).prop_map(|(key, version, body)| {
            Record::Opaque { key, version, body: Bytes::from(body) }
        }),
    ]
}

proptest! {
    #[test]
    fn any_record_is_read_as_it_was_written(record in any_record()) {
        prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(
        key in 0..30u8,
        version in 0..3u8,
        body in prop::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..120),
    ) {
        let mut bytes = BytesMut::from(&[1, key, version][..]);
        bytes.put_slice(&body);
        match Record::decode(&bytes) {
            Ok(record) => prop_assert_eq!(Record::decode(&record.encode()), Ok(record)),
            Err(error) => prop_assert!(error.position <= bytes.len()),
        }
    }
}
