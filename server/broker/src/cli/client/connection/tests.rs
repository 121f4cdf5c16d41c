//! Brokers of other ages, and things that are no broker.

use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use corelog_wire::header::{RequestHeader, encode_response};
use corelog_wire::messages::metadata::{MetadataRequest, MetadataResponse};
use corelog_wire::reader::Reader;

use super::*;

/// Answers each request of one connection with the bytes that come next, then closes it.
fn serve(answers: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<RequestHeader>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let answer = |answer: Vec<u8>| {
            let mut size = [0; 4];
            stream.read_exact(&mut size).expect("a frame");
            let mut frame = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut frame).expect("a whole frame");
            stream.write_all(&answer).expect("a reader");
            RequestHeader::decode(&mut Reader::new(frame.into())).expect("a request")
        };
        answers.into_iter().map(answer).collect()
    });
    (address, server)
}

/// That Metadata is served in these versions.
fn versions(version: i16, correlation_id: i32, served: (i16, i16)) -> Vec<u8> {
    let api_keys = vec![row(ApiKey::Metadata, served)];
    response(version, correlation_id, &ApiVersionsResponse { api_keys, ..Default::default() })
}

/// That the version of ApiVersions is not served, and perhaps which are.
fn refusal(api_keys: Vec<ApiVersion>) -> Vec<u8> {
    let error_code = ErrorCode::UnsupportedVersion;
    response(0, 0, &ApiVersionsResponse { error_code, api_keys, ..Default::default() })
}

fn row(api: ApiKey, (min_version, max_version): (i16, i16)) -> ApiVersion {
    ApiVersion { api_key: api as i16, min_version, max_version }
}

fn response<R: corelog_wire::api::Response>(
    version: i16,
    correlation_id: i32,
    body: &R,
) -> Vec<u8> {
    let frame = encode_response(version, correlation_id, body).expect("encodes");
    frame.into_bytes().expect("no holes").to_vec()
}

#[test]
fn an_older_broker_is_understood_and_asked_in_its_versions() {
    let newest = ApiVersionsRequest::SERVED.max;
    let own = row(ApiKey::ApiVersions, (0, 3));
    for (answers, asked_in, expected) in [
        (vec![versions(newest, 0, (4, 99))], vec![newest], 13),
        (vec![refusal(vec![own]), versions(3, 1, (0, 5))], vec![newest, 3], 5),
        (vec![refusal(Vec::new()), versions(0, 1, (0, 5))], vec![newest, 0], 5),
    ] {
        let metadata = MetadataResponse { controller_id: 3, ..Default::default() };
        let next = i32::try_from(answers.len()).expect("few");
        let answers = [answers, vec![response(expected, next, &metadata)]].concat();
        let (address, server) = serve(answers);
        let mut connection = Connection::open(&address).expect("understood");
        let answer = connection.call(&MetadataRequest::default()).expect("answered");
        assert_eq!(answer.controller_id, 3);
        let asked = server.join().expect("served");
        let versions: Vec<i16> = asked.iter().map(|header| header.version).collect();
        assert_eq!(versions, [asked_in, vec![expected]].concat());
        assert_eq!(asked[1].client_id, CLIENT_ID);
    }
}

#[test]
fn versions_that_do_not_meet_are_named() {
    let newest = ApiVersionsRequest::SERVED.max;
    let (address, _server) = serve(vec![versions(newest, 0, (90, 99))]);
    let mut connection = Connection::open(&address).expect("understood");
    let error = connection.call(&MetadataRequest::default()).expect_err("no common version");
    let told =
        format!("{address} serves Metadata in versions 90 to 99, this program speaks 0 to 13");
    assert_eq!(error.to_string(), told);
    let error = connection.version::<ApiVersionsRequest>().expect_err("not served").to_string();
    assert!(error.contains("in versions none"), "{error}");
}

#[test]
fn other_protocols_are_recognised() {
    let wrong_id = response(ApiVersionsRequest::SERVED.max, 7, &ApiVersionsResponse::default());
    for (answer, words) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "does not speak Kafka's protocol: a frame"),
        (vec![0x15, 3, 3, 0, 2, 2, 80], "does not speak Kafka's protocol: a frame"),
        (wrong_id, "correlation id Some(7) instead of 0"),
        (Vec::new(), "closed the connection on ApiVersions: does it expect TLS or SASL?"),
    ] {
        let (address, _server) = serve(vec![answer]);
        let error = Connection::open(&address).expect_err("not Kafka").to_string();
        assert!(error.contains(words) && error.contains(&address), "{error}");
    }
}

#[test]
fn addresses_are_hosts_and_ports() {
    for address in ["127.0.0.1", "127.0.0.1:x", ":9092", ""] {
        let error = Connection::open(address).expect_err("no address").to_string();
        assert_eq!(error, format!("`{address}` is not of the form HOST:PORT"));
    }
    let error = Connection::open("no-such-name.invalid:1").expect_err("no such name").to_string();
    assert!(error.starts_with("`no-such-name.invalid:1` cannot be looked up: "), "{error}");
    assert!(look_up("[::1]:9092").expect("an address").any(|found| found.is_ipv6()));
}
