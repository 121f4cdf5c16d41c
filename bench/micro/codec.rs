//! The codec on the two APIs that carry records: what a broker decodes and encodes for each
//! request.

use std::hint::black_box;

use bytes::Bytes;
use corelog_wire::api::Request;
use corelog_wire::header::{RequestHeader, encode_request, encode_response};
use corelog_wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse, PartitionData,
};
use corelog_wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use corelog_wire::reader::Reader;
use corelog_wire::records::Records;
use corelog_wire::uuid::Uuid;
use criterion::{BenchmarkId, Criterion};

const PRODUCE: i16 = 13;
const FETCH: i16 = 18;
const TOPIC: Uuid = Uuid([7; 16]);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for partitions in [1, 100] {
        decode(&mut criterion, PRODUCE, partitions, &produce(partitions));
        decode(&mut criterion, FETCH, partitions, &fetch(partitions));
        let (produced, fetched) = (produced(partitions), fetched(partitions));
        let mut group = criterion.benchmark_group("encode");
        group.bench_function(BenchmarkId::new("ProduceResponse", partitions), |bencher| {
            bencher.iter(|| encode_response(PRODUCE, 1, black_box(&produced)));
        });
        group.bench_function(BenchmarkId::new("FetchResponse", partitions), |bencher| {
            bencher.iter(|| encode_response(FETCH, 1, black_box(&fetched)));
        });
        group.finish();
    }
    criterion.final_summary();
}

fn decode<R: Request>(criterion: &mut Criterion, version: i16, partitions: i32, request: &R) {
    let frame = encode_request(version, 1, Some("client"), request).expect("a version that has it");
    let bytes = frame.into_bytes().expect("no holes").slice(4..);
    let mut group = criterion.benchmark_group("decode");
    group.bench_function(BenchmarkId::new(R::NAME, partitions), |bencher| {
        bencher.iter(|| {
            let mut reader = Reader::new(black_box(&bytes).clone());
            let header = RequestHeader::decode(&mut reader).expect("a header");
            R::decode(&mut reader, header.version).expect("a request")
        });
    });
    group.finish();
}

fn produce(partitions: i32) -> ProduceRequest {
    let records = Bytes::from(vec![0; 1024]);
    let data = |index| PartitionProduceData { index, records: Some(records.clone()) };
    let partition_data = (0..partitions).map(data).collect();
    let topic = TopicProduceData { topic_id: TOPIC, partition_data, ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

fn produced(partitions: i32) -> ProduceResponse {
    let response = |index| PartitionProduceResponse { index, base_offset: 7, ..Default::default() };
    let partition_responses = (0..partitions).map(response).collect();
    let topic = TopicProduceResponse { topic_id: TOPIC, partition_responses, ..Default::default() };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

fn fetch(partitions: i32) -> FetchRequest {
    let part = |partition| FetchPartition {
        partition,
        fetch_offset: 7,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let partitions = (0..partitions).map(part).collect();
    let topic = FetchTopic { topic_id: TOPIC, partitions, ..Default::default() };
    FetchRequest { max_wait_ms: 500, min_bytes: 1, topics: vec![topic], ..Default::default() }
}

/// The records are a promise, as a broker writes them.
fn fetched(partitions: i32) -> FetchResponse {
    let data = |partition_index| PartitionData {
        partition_index,
        high_watermark: 1000,
        records: Some(Records::Hole { id: partition_index.cast_unsigned(), len: 1 << 20 }),
        ..Default::default()
    };
    let partitions = (0..partitions).map(data).collect();
    let topic = FetchableTopicResponse { topic_id: TOPIC, partitions, ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}
