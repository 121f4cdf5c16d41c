//! Bytes that Kafka writes, both ways, and bytes that nobody should.

use super::*;
use crate::group::name::Generation;
use crate::id::{LeaderEpoch, Offset, Timestamp, TopicId};

const TIME: Timestamp = Timestamp(1_700_000_000_000);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn offset_key() -> OffsetKey {
    OffsetKey { group: "g1".into(), topic: "topic".into(), partition: 3 }
}

fn committed() -> Committed {
    Committed {
        offset: Offset(42),
        epoch: None,
        metadata: "".into(),
        time: TIME,
        expires: None,
        topic: None,
    }
}

const OFFSET_KEY: &str = "0001 00026731 0005746f706963 00000003";
const GROUP_KEY: &str = "0002 00026731";

fn group() -> ClassicGroupValue {
    let subscription = bytes("0000 00000001 0005746f706963 ffffffff");
    let assignment = bytes("0000 00000001 0005746f706963 00000001 00000000 ffffffff");
    ClassicGroupValue {
        protocol_type: "consumer".to_owned(),
        generation: Generation(1),
        protocol: Some("range".to_owned()),
        leader: Some("c-1".into()),
        since: Some(TIME),
        members: vec![MemberValue {
            id: "c-1".into(),
            instance: None,
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_ms: 300_000,
            session_ms: 45_000,
            subscription: subscription.into(),
            assignment: assignment.into(),
        }],
    }
}

const GROUP_VALUE: &str = "0003 0008636f6e73756d6572 00000001 000572616e6765 0003632d31
    0000018bcfe56800 00000001
    0003632d31 ffff 000163 000a2f3132372e302e302e31 000493e0 0000afc8
    00000011 0000 00000001 0005746f706963 ffffffff
    00000019 0000 00000001 0005746f706963 00000001 00000000 ffffffff";

fn written() -> Vec<(Record, &'static str, Option<&'static str>)> {
    let id = TopicId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    let epoch = Some(LeaderEpoch(7));
    let expires = Some(Timestamp(TIME.0 + 24 * 3_600_000));
    let offset = |committed| Record::Offset(offset_key(), Some(committed));
    let empty = ClassicGroupValue { since: Some(TIME), ..ClassicGroupValue::default() };
    vec![
        (
            offset(Committed { epoch, metadata: "m".into(), topic: Some(id), ..committed() }),
            OFFSET_KEY,
            Some(
                "0004 000000000000002a 00000007 026d 0000018bcfe56800
                 01 00 10 0102030405060708090a0b0c0d0e0f10",
            ),
        ),
        (
            offset(committed()),
            OFFSET_KEY,
            Some("0004 000000000000002a ffffffff 01 0000018bcfe56800 00"),
        ),
        (
            offset(Committed { metadata: "m".into(), expires, ..committed() }),
            OFFSET_KEY,
            Some("0001 000000000000002a 00016d 0000018bcfe56800 0000018bd50bc400"),
        ),
        (Record::Offset(offset_key(), None), OFFSET_KEY, None),
        (Record::ClassicGroup("g1".into(), Some(group())), GROUP_KEY, Some(GROUP_VALUE)),
        (
            Record::ClassicGroup("g1".into(), Some(empty)),
            GROUP_KEY,
            Some("0003 0000 00000000 ffff ffff 0000018bcfe56800 00000000"),
        ),
        (Record::ClassicGroup("g1".into(), None), GROUP_KEY, None),
    ]
}

#[test]
fn records_are_stored_as_kafka_stores_them() {
    for (record, key, value) in written() {
        let stored = record.encode();
        assert_eq!(stored.key, bytes(key), "{record:?}");
        assert_eq!(stored.value.as_deref().map(<[u8]>::to_vec), value.map(bytes), "{record:?}");
        let read = Record::decode(&stored.key, stored.value.as_deref());
        assert_eq!(read, Ok(Some(record)));
    }
}

#[test]
fn older_and_newer_versions_are_read() {
    let offset = |epoch, expires| {
        let metadata = "m".into();
        Record::Offset(offset_key(), Some(Committed { epoch, metadata, expires, ..committed() }))
    };
    let with = |change: fn(&mut ClassicGroupValue)| {
        let mut value = group();
        change(&mut value);
        Record::ClassicGroup("g1".into(), Some(value))
    };
    for (key, value, expected) in [
        (OFFSET_KEY, "0000 000000000000002a 00016d 0000018bcfe56800", offset(None, None)),
        (
            "0000 00026731 0005746f706963 00000003",
            "0000 000000000000002a 00016d 0000018bcfe56800",
            offset(None, None),
        ),
        (
            OFFSET_KEY,
            "0001 000000000000002a 00016d 0000018bcfe56800 ffffffffffffffff",
            offset(None, None),
        ),
        (OFFSET_KEY, "0002 000000000000002a 00016d 0000018bcfe56800", offset(None, None)),
        (
            OFFSET_KEY,
            "0003 000000000000002a 00000007 00016d 0000018bcfe56800",
            offset(Some(LeaderEpoch(7)), None),
        ),
        (
            OFFSET_KEY,
            "0003 000000000000002a fffffffe 00016d 0000018bcfe56800",
            offset(Some(LeaderEpoch(-2)), None),
        ),
        (
            GROUP_KEY,
            "0000 0008636f6e73756d6572 00000001 000572616e6765 0003632d31 00000001
             0003632d31 000163 000a2f3132372e302e302e31 0000afc8
             00000011 0000 00000001 0005746f706963 ffffffff
             00000019 0000 00000001 0005746f706963 00000001 00000000 ffffffff",
            with(|group| {
                group.since = None;
                group.members[0].rebalance_ms = 45_000;
            }),
        ),
        (
            GROUP_KEY,
            "0004 09636f6e73756d6572 00000001 0672616e6765 04632d31 0000018bcfe56800 02
             04632d31 0269 0263 0b2f3132372e302e302e31 000493e0 0000afc8
             12 0000 00000001 0005746f706963 ffffffff
             1a 0000 00000001 0005746f706963 00000001 00000000 ffffffff 00 00",
            with(|group| group.members[0].instance = Some("i".into())),
        ),
    ] {
        assert_eq!(Record::decode(&bytes(key), Some(&bytes(value))), Ok(Some(expected)), "{value}");
    }
}

#[test]
fn what_is_no_record_is_refused_and_what_is_unknown_passed_over() {
    let fault = |key: &str, value: &str| {
        Record::decode(&bytes(key), Some(&bytes(value))).map_err(|error| error.fault)
    };
    assert_eq!(fault("0063", "0000"), Ok(None), "a type of later versions");
    for (key, value) in [("0001 00026731 0005746f", ""), ("", ""), (OFFSET_KEY, "0004 00")] {
        assert_eq!(fault(key, value), Err(Fault::Ended), "{key} {value}");
    }
    for (key, value) in [(OFFSET_KEY, "0005"), (GROUP_KEY, "0005"), (GROUP_KEY, "ffff")] {
        assert!(matches!(fault(key, value), Err(Fault::RecordVersion { .. })), "{key} {value}");
    }
    // A count that no memory should follow.
    let many = "0003 0000 00000000 ffff ffff 0000018bcfe56800 7fffffff";
    assert_eq!(fault(GROUP_KEY, many), Err(Fault::Ended));
}
