//! Frames written down byte by byte, or recorded from clients.

use bytes::{Bytes, BytesMut};
use corelog_wire::api::{ApiKey, Message, Request, Response};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::frame;
use corelog_wire::header::{
    HeaderError, RequestHeader, correlation_id, decode_response, encode_request, encode_response,
};
use corelog_wire::messages::api_versions::*;
use corelog_wire::messages::fetch::*;
use corelog_wire::messages::list_offsets::*;
use corelog_wire::messages::metadata::*;
use corelog_wire::messages::offset_commit::*;
use corelog_wire::messages::offset_fetch::*;
use corelog_wire::messages::produce::*;
use corelog_wire::messages::shared::*;
use corelog_wire::reader::Reader;
use corelog_wire::uuid::Uuid;

/// Hex digits, spaced at will, of a frame without its size prefix; recorded ones have it.
fn hex(digits: &str) -> Bytes {
    let digits: Vec<u8> = digits.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn body_of(frame: Bytes) -> Bytes {
    frame::split(&mut BytesMut::from(frame), usize::MAX).unwrap().unwrap()
}

fn check_request<R: Request>(bytes: &Bytes, version: i16, id: i32, client: &str, body: &R) {
    let mut reader = Reader::new(bytes.clone());
    let header = RequestHeader::decode(&mut reader).unwrap();
    let expected =
        RequestHeader { api: R::API, version, correlation_id: id, client_id: client.into() };
    assert_eq!(header, expected);
    assert_eq!(R::decode(&mut reader, version).as_ref(), Ok(body));
    assert_eq!(reader.remaining(), 0);
    let encoded = encode_request(version, id, Some(client), body).unwrap();
    assert_eq!(body_of(encoded.into_bytes().unwrap()), bytes);
}

fn check_response<R: Response>(bytes: &Bytes, version: i16, id: i32, body: &R) {
    assert_eq!(correlation_id(bytes), Some(id));
    assert_eq!(decode_response(bytes.clone(), version), Ok((id, body.clone())));
    let encoded = encode_response(version, id, body).unwrap();
    assert_eq!(body_of(encoded.into_bytes().unwrap()), bytes);
}

#[test]
fn api_versions_recorded_from_librdkafka() {
    let frame = hex("
        0000003c 0012 0003 00000001 0003 72646b 00
        17 636f6e666c75656e742d6b61666b612d707974686f6e
        16 322e31362e312d72646b61666b612d322e31362e30 00");
    let body = ApiVersionsRequest {
        client_software_name: "confluent-kafka-python".into(),
        client_software_version: "2.16.1-rdkafka-2.16.0".into(),
    };
    check_request(&body_of(frame), 3, 1, "rdk", &body);
}

#[test]
fn metadata_recorded_from_librdkafka() {
    let frame = hex("
        00000025 0003 000d 00000008 0003 72646b 00
        02 00000000000000000000000000000000 02 74 00 01 00 00");
    let topic = MetadataRequestTopic { topic_id: Uuid::ZERO, name: Some("t".into()) };
    let body = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    check_request(&body_of(frame), 13, 8, "rdk", &body);
}

#[test]
fn api_versions_recorded_from_kafka_python() {
    let frame = hex("
        00000023 0012 0004 00000001 0003 6b7079 00
        0d 6b61666b612d707974686f6e 07 332e302e3132 00");
    let body = ApiVersionsRequest {
        client_software_name: "kafka-python".into(),
        client_software_version: "3.0.12".into(),
    };
    check_request(&body_of(frame), 4, 1, "kpy", &body);
}

#[test]
fn metadata_recorded_from_kafka_python() {
    let frame = hex("00000012 0003 000d 00000002 0003 6b7079 00 01 01 00 00");
    let body = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    check_request(&body_of(frame), 13, 2, "kpy", &body);
}

#[test]
fn api_versions_0() {
    check_request(&hex("0012 0000 00000001 0001 63"), 0, 1, "c", &ApiVersionsRequest::default());
    let api = ApiVersion { api_key: 18, min_version: 0, max_version: 4 };
    let body = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: vec![api],
        ..Default::default()
    };
    check_response(&hex("00000001 0023 00000001 0012 0000 0004"), 0, 1, &body);
}

#[test]
fn api_versions_3_has_features_in_tags_and_no_tags_in_the_header() {
    let body = ApiVersionsResponse {
        api_keys: vec![ApiVersion { api_key: 0, min_version: 0, max_version: 13 }],
        finalized_features_epoch: 7,
        finalized_features: vec![FinalizedFeatureKey {
            name: "kraft".into(),
            max_version_level: 2,
            min_version_level: 1,
        }],
        ..Default::default()
    };
    let bytes = hex("
        00000001 0000 02 0000 0000 000d 00 00000000
        02 01 08 0000000000000007 02 0c 02 06 6b72616674 0002 0001 00");
    check_response(&bytes, 3, 1, &body);
}

#[test]
fn metadata_1() {
    let all = MetadataRequest::default();
    check_request(&hex("0003 0001 00000002 0001 63 ffffffff"), 1, 2, "c", &all);
    let broker =
        MetadataResponseBroker { node_id: 1, host: "h".into(), port: 9092, ..Default::default() };
    let partition = MetadataResponsePartition {
        partition_index: 0,
        leader_id: 1,
        replica_nodes: vec![1, 2],
        isr_nodes: vec![1],
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("t".into()),
        partitions: vec![partition],
        ..Default::default()
    };
    let body = MetadataResponse {
        brokers: vec![broker],
        controller_id: 1,
        topics: vec![topic],
        ..Default::default()
    };
    let bytes = hex("
        00000002
        00000001 00000001 0001 68 00002384 ffff
        00000001
        00000001 0000 0001 74 00
        00000001 0000 00000000 00000001 00000002 00000001 00000002 00000001 00000001");
    check_response(&bytes, 1, 2, &body);
}

#[test]
fn list_offsets_11_is_laid_out_as_10() {
    let partition = ListOffsetsPartition { timestamp: -6, ..Default::default() };
    let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition] };
    let body = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 1,
        topics: vec![topic],
        timeout_ms: 30_000,
    };
    let bytes = hex("
        0002 000b 00000003 0001 63 00
        ffffffff 01 02 02 74 02 00000000 ffffffff fffffffffffffffa 00 00 00007530 00");
    check_request(&bytes, 11, 3, "c", &body);

    let partition =
        ListOffsetsPartitionResponse { offset: 42, leader_epoch: 5, ..Default::default() };
    let topic = ListOffsetsTopicResponse { name: "t".into(), partitions: vec![partition] };
    let body = ListOffsetsResponse { throttle_time_ms: 0, topics: vec![topic] };
    let bytes = hex("
        00000003 00
        00000000 02 02 74 02 00000000 0000 ffffffffffffffff 000000000000002a 00000005 00 00 00");
    check_response(&bytes, 11, 3, &body);
}

#[test]
fn offset_commit_10_names_topics_by_their_ids() {
    let partition = OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 42,
        committed_leader_epoch: 7,
        committed_metadata: Some("x".into()),
    };
    let topic_id = Uuid([7; 16]);
    let partitions = vec![partition];
    let topic = OffsetCommitRequestTopic { topic_id, partitions, ..Default::default() };
    let body = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 5,
        member_id: "m".into(),
        topics: vec![topic],
        ..Default::default()
    };
    let bytes = hex("
        0008 000a 00000003 0001 63 00
        02 67 00000005 02 6d 00 02 07070707070707070707070707070707
        02 00000001 000000000000002a 00000007 02 78 00 00 00");
    check_request(&bytes, 10, 3, "c", &body);

    let error_code = ErrorCode::None;
    let partitions = vec![OffsetCommitResponsePartition { partition_index: 1, error_code }];
    let topic = OffsetCommitResponseTopic { topic_id, partitions, ..Default::default() };
    let body = OffsetCommitResponse { throttle_time_ms: 0, topics: vec![topic] };
    let bytes = hex("
        00000003 00
        00000000 02 07070707070707070707070707070707 02 00000001 0000 00 00 00");
    check_response(&bytes, 10, 3, &body);
}

#[test]
fn offset_fetch_10_names_topics_by_their_ids() {
    let topic_id = Uuid([7; 16]);
    let partition_indexes = vec![1];
    let topic = OffsetFetchRequestTopics { topic_id, partition_indexes, ..Default::default() };
    let topics = Some(vec![topic]);
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics, ..Default::default() };
    let body =
        OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };
    let bytes = hex("
        0009 000a 00000003 0001 63 00
        02 02 67 00 ffffffff 02 07070707070707070707070707070707 02 00000001 00 00 01 00");
    check_request(&bytes, 10, 3, "c", &body);

    let partition = OffsetFetchResponsePartition {
        partition_index: 1,
        committed_offset: 42,
        committed_leader_epoch: 7,
        metadata: Some("x".into()),
        ..Default::default()
    };
    let partitions = vec![partition];
    let topic = OffsetFetchResponseTopics { topic_id, partitions, ..Default::default() };
    let group = OffsetFetchResponseGroup {
        group_id: "g".into(),
        topics: vec![topic],
        ..Default::default()
    };
    let body = OffsetFetchResponse { groups: vec![group], ..Default::default() };
    let bytes = hex("
        00000003 00
        00000000 02 02 67 02 07070707070707070707070707070707
        02 00000001 000000000000002a 00000007 02 78 0000 00 00 0000 00 00");
    check_response(&bytes, 10, 3, &body);
}

#[test]
fn produce_3_and_13() {
    let body = |topic: TopicProduceData| ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![topic],
        ..Default::default()
    };
    let partition_data =
        vec![PartitionProduceData { index: 1, records: Some(Bytes::from_static(b"abc")) }];
    let by_name = TopicProduceData {
        name: "t".into(),
        partition_data: partition_data.clone(),
        ..Default::default()
    };
    let bytes = hex("
        0000 0003 00000004 0001 63
        ffff ffff 000003e8 00000001 0001 74 00000001 00000001 00000003 616263");
    check_request(&bytes, 3, 4, "c", &body(by_name));
    let topic_id = Uuid([7; 16]);
    let by_id = TopicProduceData { topic_id, partition_data, ..Default::default() };
    let bytes = hex("
        0000 000d 00000004 0001 63 00
        00 ffff 000003e8 02 07070707070707070707070707070707 02 00000001 04 616263 00 00 00");
    check_request(&bytes, 13, 4, "c", &body(by_id));
}

#[test]
fn fetch_18_omits_tagged_fields_at_their_defaults() {
    let partition =
        FetchPartition { partition_max_bytes: 1, high_watermark: i64::MAX, ..Default::default() };
    let known = FetchPartition { high_watermark: 3, partition_max_bytes: 1, ..Default::default() };
    let topic = FetchTopic { partitions: vec![partition, known], ..Default::default() };
    let body = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        topics: vec![topic],
        replica_state: ReplicaState { replica_id: 2, replica_epoch: -1 },
        ..Default::default()
    };
    let bytes = hex("
        0001 0012 00000005 0001 63 00
        000001f4 00000001 7fffffff 00 00000000 ffffffff
        02 00000000000000000000000000000000
        03 00000000 ffffffff 0000000000000000 ffffffff ffffffffffffffff 00000001 00
           00000000 ffffffff 0000000000000000 ffffffff ffffffffffffffff 00000001
           01 01 08 0000000000000003
        00 01 01
        01 01 0d 00000002 ffffffffffffffff 00");
    check_request(&bytes, 18, 5, "c", &body);
}

#[test]
fn fetch_response_12_names_the_leader_in_a_tag() {
    let partition = PartitionData {
        error_code: ErrorCode::NotLeaderOrFollower,
        high_watermark: -1,
        current_leader: LeaderIdAndEpoch { leader_id: 3, leader_epoch: 9 },
        ..Default::default()
    };
    let topic = FetchableTopicResponse {
        topic: "t".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let body = FetchResponse { responses: vec![topic], ..Default::default() };
    let bytes = hex("
        00000006 00 00000000 0000 00000000 02 02 74
        02 00000000 0006 ffffffffffffffff ffffffffffffffff ffffffffffffffff 00 ffffffff 00
        01 01 09 00000003 00000009 00
        00 00");
    check_response(&bytes, 12, 6, &body);
}

#[test]
fn unserved_requests_are_told_apart() {
    let header = |digits| RequestHeader::decode(&mut Reader::new(hex(digits)));
    let not_served = |api, version| HeaderError::NotServed { api, version, correlation_id: 5 };
    // Whatever follows the correlation id of an unknown version is not looked at.
    for (digits, expected) in [
        ("0012 0063 00000005", not_served(ApiKey::ApiVersions, 99)),
        ("0012 ffff 00000005", not_served(ApiKey::ApiVersions, -1)),
        ("0000 0002 00000005 0001", not_served(ApiKey::Produce, 2)),
        ("0004 0000 00000005 ffff", not_served(ApiKey::LeaderAndIsr, 0)),
        ("03e8 0000 00000005 ffff", HeaderError::UnknownApi(1000)),
    ] {
        assert_eq!(header(digits), Err(expected), "{digits}");
    }
    for digits in ["", "0012 0000 000000", "0012 0000 00000005", "0012 0000 00000005 0002 63"] {
        assert!(matches!(header(digits), Err(HeaderError::Malformed(_))), "{digits}");
    }
}

#[test]
fn bytes_after_a_request_are_left_alone_as_in_kafka() {
    let mut reader = Reader::new(hex("0003 0000 00000002 ffff 00000000 0102"));
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!((header.version, &*header.client_id), (0, ""));
    let body = MetadataRequest::decode(&mut reader, 0).unwrap();
    assert_eq!(body.topics, Some(Vec::new()));
    assert_eq!(reader.remaining(), 2);
}
