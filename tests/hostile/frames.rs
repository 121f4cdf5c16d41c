//! What is wrong before a request's body begins: sizes, headers, other protocols.

use std::thread::sleep;
use std::time::Duration;

use corelog_tests::live::client::Client;
use corelog_tests::live::report::{NotPassed, Outcome};
use corelog_wire::api::{ApiKey, Message};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::header::{decode_response, encode_request};
use corelog_wire::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use corelog_wire::messages::metadata::{MetadataRequest, MetadataResponse};
use corelog_wire::populate::Seed;

use crate::answer::{Answer, answer, expect_closed, next};
use crate::site::{Case, Site};

pub(crate) const CASES: &[Case] = &[
    Case { name: "frames/impossible-sizes", attack: impossible_sizes },
    Case { name: "frames/short-headers", attack: short_headers },
    Case { name: "frames/unknown-apis", attack: unknown_apis },
    Case { name: "frames/unknown-versions", attack: unknown_versions },
    Case { name: "frames/api-versions-of-the-future", attack: api_versions_of_the_future },
    Case { name: "frames/other-protocols", attack: other_protocols },
    Case { name: "frames/garbage-after-requests", attack: garbage_after_requests },
    Case { name: "frames/byte-by-byte", attack: byte_by_byte },
];

const PATIENCE: Duration = Duration::from_secs(10);
/// `socket.request.max.bytes`.
const FRAME_MAX: i32 = 100 << 20;

fn impossible_sizes(site: &Site, _: &mut Seed) -> Outcome {
    for size in [-1, i32::MIN, -FRAME_MAX, i32::MAX, FRAME_MAX + 1, 0] {
        for more in [0, 1, 100_000] {
            let bytes = [&size.to_be_bytes()[..], &vec![0x5a; more]].concat();
            let answer = answer(&mut site.connect(PATIENCE)?, &bytes)?;
            expect_closed(answer, &format!("a frame of {size} bytes, {more} sent"))?;
        }
    }
    Ok(String::new())
}

fn short_headers(site: &Site, _: &mut Seed) -> Outcome {
    // ApiVersions 3, correlation 7, a client id of one letter; its end, and no tags.
    let whole = [0, 18, 0, 3, 0, 0, 0, 7, 0, 1, b'x'];
    for len in 1..=whole.len() {
        let bytes = [&(len as i32).to_be_bytes()[..], &whole[..len]].concat();
        let answer = answer(&mut site.connect(PATIENCE)?, &bytes)?;
        expect_closed(answer, &format!("a header of {len} bytes"))?;
    }
    Ok(String::new())
}

/// A header and nothing behind it.
fn header(key: i16, version: i16) -> Vec<u8> {
    let size = 10_i32.to_be_bytes();
    [&size[..], &key.to_be_bytes(), &version.to_be_bytes(), &[0, 0, 0, 7, 0xff, 0xff]].concat()
}

fn unknown_apis(site: &Site, _: &mut Seed) -> Outcome {
    let unserved = ApiKey::ALL.iter().filter(|api| api.served().is_none());
    let keys: Vec<i16> = unserved.map(|api| *api as i16).chain([-1, 95, 500, i16::MAX]).collect();
    for key in &keys {
        for version in [0, 1, 3, i16::MAX] {
            let answer = answer(&mut site.connect(PATIENCE)?, &header(*key, version))?;
            expect_closed(answer, &format!("API {key} in version {version}"))?;
        }
    }
    Ok(format!("{} APIs", keys.len()))
}

fn unknown_versions(site: &Site, _: &mut Seed) -> Outcome {
    for api in ApiKey::ALL.iter().filter(|api| **api != ApiKey::ApiVersions) {
        let Some(served) = api.served() else { continue };
        for version in [served.min - 1, served.max + 1, -1, i16::MIN, i16::MAX] {
            let answer = answer(&mut site.connect(PATIENCE)?, &header(*api as i16, version))?;
            expect_closed(answer, &format!("{api} in version {version}"))?;
        }
    }
    Ok(String::new())
}

/// Kafka answers in version 0, and the connection goes on.
fn api_versions_of_the_future(site: &Site, _: &mut Seed) -> Outcome {
    for version in [-1, 99, i16::MAX, ApiVersionsRequest::SERVED.max + 1] {
        let mut client = site.connect(PATIENCE)?;
        // As far as a flexible header goes, with no tags; then what nobody can know.
        let mut request = [&header(18, version)[..], &[0, 0xab, 0xcd]].concat();
        request[3] += 3;
        let Answer::Frame(frame) = answer(&mut client, &request)? else {
            return Err(NotPassed::Failed(format!("no answer to version {version}")));
        };
        let (correlation, response) = decode_response::<ApiVersionsResponse>(frame, 0)?;
        let own = response.api_keys.iter().any(|key| key.api_key == 18 && key.max_version >= 3);
        if (correlation, response.error_code) != (7, ErrorCode::UnsupportedVersion) || !own {
            return Err(NotPassed::Failed(format!("{correlation}: {response:?}")));
        }
        client.call(0, &ApiVersionsRequest::default())?;
    }
    Ok(String::new())
}

fn other_protocols(site: &Site, _: &mut Seed) -> Outcome {
    // A TLS 1.2 ClientHello's record and handshake headers, and the random bytes' beginning.
    let hello = [&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3][..], &[7; 194]].concat();
    for (what, bytes) in [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n"[..]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("TLS", &hello),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("Redis", b"*1\r\n$4\r\nPING\r\n"),
        ("text", b"hello\n"),
    ] {
        expect_closed(answer(&mut site.connect(PATIENCE)?, bytes)?, what)?;
    }
    Ok(String::new())
}

/// What was asked before the garbage is answered.
fn garbage_after_requests(site: &Site, _: &mut Seed) -> Outcome {
    const REQUESTS: i32 = 100;
    for garbage in [&[0xff; 64][..], &[0, 0, 0, 4, 0x7f, 0xff, 0, 0], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut bytes = Vec::new();
        for number in 0..REQUESTS {
            bytes.extend_from_slice(&metadata_request(number)?);
        }
        bytes.extend_from_slice(garbage);
        let mut client = site.connect(PATIENCE)?;
        let mut found = answer(&mut client, &bytes)?;
        for number in 0..REQUESTS {
            let Answer::Frame(frame) = found else {
                let why = format!("{found:?} in place of answer {number}, then {garbage:x?}");
                return Err(NotPassed::Failed(why));
            };
            let (correlation, _) = decode_response::<MetadataResponse>(frame, 12)?;
            if correlation != number {
                return Err(NotPassed::Failed(format!("answer {correlation}, not {number}")));
            }
            found = next(&mut client)?;
        }
        expect_closed(found, "garbage")?;
    }
    Ok(String::new())
}

fn metadata_request(correlation: i32) -> Result<bytes::Bytes, NotPassed> {
    let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let frame = encode_request(12, correlation, None, &request)?;
    Ok(frame.into_bytes().unwrap_or_default())
}

/// Slow, but right: every byte alone, on many connections at a time.
fn byte_by_byte(site: &Site, _: &mut Seed) -> Outcome {
    const CONNECTIONS: usize = 100;
    let request = metadata_request(1)?;
    let connect = |_| site.connect(PATIENCE);
    let mut clients = (0..CONNECTIONS).map(connect).collect::<Result<Vec<Client>, _>>()?;
    for byte in &request {
        for client in &mut clients {
            client.send_bytes(&[*byte])?;
        }
        sleep(Duration::from_millis(20));
    }
    for client in &mut clients {
        if !matches!(next(client)?, Answer::Frame(_)) {
            return Err(NotPassed::Failed("a slow request was not answered".into()));
        }
    }
    Ok(String::new())
}
