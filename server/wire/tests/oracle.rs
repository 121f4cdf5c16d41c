//! Every message in every version against an independent codec, the `kafka-protocol` crate.
//!
//! Ours is encoded, theirs decodes and encodes it: the bytes must not change, must read back as the
//! value we began with, and both must print the same values under the same names of fields.
//! Versions they lack are listed here and held by `known_bytes.rs`.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use corelog_wire::api::{ApiKey, EachApi, Message, Request, each_api};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::header::{RequestHeader, decode_response, encode_request, encode_response};
use corelog_wire::populate::{Seed, message};
use corelog_wire::reader::Reader;
use corelog_wire::writer::Writer;
use kafka_protocol::messages::{self as theirs, RequestKind, ResponseKind};
use kafka_protocol::protocol::Decodable;

const VALUES_PER_VERSION: u64 = 200;

/// Versions that we serve and the oracle does not know.
const NOT_IN_ORACLE: &[(ApiKey, i16)] =
    &[(ApiKey::ListOffsets, 11), (ApiKey::OffsetCommit, 10), (ApiKey::OffsetFetch, 10)];

/// Messages with tagged fields that Kafka does not have, and these fields.
const WITH_OURS: &[&str] = &["DescribeGroupsRequest", "DescribeGroupsResponse"];
const OURS: &[&str] = &["include_history"];

type TheirKey = theirs::ApiKey;

fn ours<M: Message>(body: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    body.encode(&mut writer, version);
    writer.finish().unwrap().into_bytes().unwrap().slice(4..)
}

fn read_back<M: Message>(body: &M, bytes: &Bytes, version: i16) {
    let mut reader = Reader::new(bytes.clone());
    let read = M::decode(&mut reader, version).unwrap();
    assert_eq!(&read, body);
    assert_eq!(reader.remaining(), 0);
}

/// What the oracle makes of a body: its bytes again, and how it prints the value.
struct Theirs {
    bytes: Bytes,
    debug: String,
}

fn their_request(key: TheirKey, mut bytes: Bytes, version: i16) -> Theirs {
    let body = RequestKind::decode(key, &mut bytes, version).unwrap();
    assert!(bytes.is_empty(), "{key:?} {version}: {} bytes left", bytes.len());
    let mut encoded = BytesMut::new();
    body.encode(&mut encoded, version).unwrap();
    Theirs { bytes: encoded.freeze(), debug: format!("{body:?}") }
}

fn their_response(key: TheirKey, mut bytes: Bytes, version: i16) -> Theirs {
    let body = ResponseKind::decode(key, &mut bytes, version).unwrap();
    assert!(bytes.is_empty(), "{key:?} {version}: {} bytes left", bytes.len());
    let mut encoded = BytesMut::new();
    body.encode(&mut encoded, version).unwrap();
    Theirs { bytes: encoded.freeze(), debug: format!("{body:?}") }
}

/// The numbers, booleans and texts of a printed value by the name of their field, so that fields
/// that changed places, and defaults, show. Codes of errors are left out: ours print as names.
fn printed_values(debug: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut rest, mut field) = (debug, "");
    while let Some(first) = rest.chars().next() {
        let (len, is_value) = match first {
            '"' => (quoted_len(rest), rest[1..].starts_with(|next| next != '"')),
            _ => {
                let word = rest.find(|c: char| !c.is_alphanumeric() && !"_-".contains(c));
                let len = word.unwrap_or(rest.len()).max(first.len_utf8());
                (
                    len,
                    rest[..len].parse::<i64>().is_ok() || ["true", "false"].contains(&&rest[..len]),
                )
            }
        };
        let token;
        (token, rest) = rest.split_at(len);
        if rest.starts_with(':') {
            field = token;
        } else if is_value && !field.ends_with("error_code") {
            values.entry(field).or_default().push(token);
        }
    }
    values
}

fn quoted_len(text: &str) -> usize {
    let mut escaped = true; // so is the opening quote
    let end = text.find(|c| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    end.unwrap() + 1
}

fn check<M: Message>(version: i16, theirs: Option<&dyn Fn(Bytes) -> Theirs>) {
    for seed in 0..VALUES_PER_VERSION {
        let body: M = message(&mut Seed(seed), version);
        let bytes = ours(&body, version);
        read_back(&body, &bytes, version);
        let Some(theirs) = theirs else { continue };
        let Theirs { bytes: their_bytes, debug: their_debug } = theirs(bytes.clone());
        let debug = format!("{body:?}");
        assert_eq!(their_bytes, bytes, "{} {version} {debug}", M::NAME);
        let unknown_tags = their_debug.replace("unknown_tagged_fields: {}", "");
        let has_ours = unknown_tags.contains("unknown_tagged");
        assert!(!has_ours || WITH_OURS.contains(&M::NAME), "{} {version} {their_debug}", M::NAME);
        if has_ours {
            // They keep the bytes of our fields, and cannot print them.
            continue;
        }
        let mut values = printed_values(&debug);
        values.retain(|field, _| !OURS.contains(field));
        let mut their_values = printed_values(&their_debug);
        // Fields of versions that we do not serve.
        their_values.retain(|field, _| debug.contains(&format!(" {field}: ")));
        assert_eq!(values, their_values, "{} {version}", M::NAME);
    }
}

#[derive(Default)]
struct Compare {
    not_in_oracle: Vec<(ApiKey, i16)>,
    compared: usize,
}

impl EachApi for Compare {
    fn api<R: Request>(&mut self) {
        let key = TheirKey::try_from(R::API as i16).unwrap();
        let known = key.valid_versions();
        for version in R::SERVED.min..=R::SERVED.max {
            // The oracle lists some versions of requests that it cannot read.
            let lacking = NOT_IN_ORACLE.contains(&(R::API, version));
            if (known.min..=known.max).contains(&version) && !lacking {
                check::<R>(version, Some(&|bytes| their_request(key, bytes, version)));
                check::<R::Response>(version, Some(&|bytes| their_response(key, bytes, version)));
                self.compared += 1;
            } else {
                check::<R>(version, None);
                check::<R::Response>(version, None);
                self.not_in_oracle.push((R::API, version));
            }
        }
    }
}

#[test]
fn every_message_in_every_version_is_what_the_oracle_makes_of_it() {
    let mut compare = Compare::default();
    each_api(&mut compare);
    println!("{} versions compared, without: {:?}", compare.compared, compare.not_in_oracle);
    assert_eq!(compare.not_in_oracle, NOT_IN_ORACLE);
}

#[test]
fn printed_values_are_found_by_field() {
    let debug =
        r#"A { b: Id(-1), c: [2, 3], d: Some("x\"y: 9"), e: E { b: 4, f: "", g: true }, h: None }"#;
    let expected = [
        ("b", vec!["-1", "4"]),
        ("c", vec!["2", "3"]),
        ("d", vec![r#""x\"y: 9""#]),
        ("g", vec!["true"]),
    ];
    assert_eq!(printed_values(debug), BTreeMap::from(expected));
}

/// What is left after the header must be the body.
struct CompareHeaders;

impl EachApi for CompareHeaders {
    fn api<R: Request>(&mut self) {
        for version in R::SERVED.min..=R::SERVED.max {
            request_header::<R>(version, Some("me"));
            request_header::<R>(version, None);
            response_header::<R::Response>(version);
        }
    }
}

fn request_header<R: Request>(version: i16, client_id: Option<&str>) {
    let body = message::<R>(&mut Seed(1), version);
    let frame =
        encode_request(version, -2, client_id, &body).unwrap().into_bytes().unwrap().slice(4..);

    let key = TheirKey::try_from(R::API as i16).unwrap();
    let mut rest = frame.clone();
    let header_version = key.request_header_version(version);
    let header = theirs::RequestHeader::decode(&mut rest, header_version).unwrap();
    assert_eq!((header.request_api_key, header.request_api_version), (key as i16, version));
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (-2, client_id));
    assert_eq!(rest, ours(&body, version));

    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader).unwrap();
    let client_id = client_id.unwrap_or_default().into();
    let expected = RequestHeader { api: R::API, version, correlation_id: -2, client_id };
    assert_eq!(header, expected);
    assert_eq!(reader.remaining(), rest.len());
}

fn response_header<R: corelog_wire::api::Response>(version: i16) {
    let body = message::<R>(&mut Seed(1), version);
    let frame = encode_response(version, 9, &body).unwrap().into_bytes().unwrap().slice(4..);

    let key = TheirKey::try_from(R::API as i16).unwrap();
    let mut rest = frame.clone();
    let header_version = key.response_header_version(version);
    let header = theirs::ResponseHeader::decode(&mut rest, header_version).unwrap();
    assert_eq!(header.correlation_id, 9);
    assert_eq!(rest, ours(&body, version));
    assert_eq!(decode_response(frame, version), Ok((9, body)));
}

#[test]
fn headers_are_what_the_oracle_makes_of_them() {
    each_api(&mut CompareHeaders);
}

/// Codes that the oracle does not have, with what Kafka's own table says of them.
const CODES_NOT_IN_ORACLE: &[(i16, &str, bool)] = &[
    (0, "NONE", false),
    (134, "GROUP_DELETION_FAILED", false),
    (135, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", false),
    (136, "CONTROLLER_ID_NOT_REGISTERED", false),
];

#[test]
fn error_codes_are_those_of_the_oracle() {
    use kafka_protocol::error::ResponseError;
    let mut not_in_oracle = Vec::new();
    for (code, ours) in (-1..).zip(ErrorCode::ALL) {
        assert_eq!(ours.code(), code);
        assert_eq!(ErrorCode::from_i16(code), *ours);
        assert_eq!(format!("{ours:?}").to_lowercase(), ours.name().to_lowercase().replace('_', ""));
        match ResponseError::try_from_code(code) {
            Some(theirs) if !matches!(theirs, ResponseError::Unknown(_)) => {
                assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
                // Kafka's ConcurrentTransactionsException is a RetriableException; theirs is not.
                let expected = theirs.is_retriable() || *ours == ErrorCode::ConcurrentTransactions;
                assert_eq!(ours.retriable(), expected, "{ours}");
            }
            _ => not_in_oracle.push((code, ours.name(), ours.retriable())),
        }
    }
    assert_eq!(not_in_oracle, CODES_NOT_IN_ORACLE);
    assert_eq!(ErrorCode::from_i16(137), ErrorCode::UnknownServerError);
}
