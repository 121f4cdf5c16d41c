//! Every API in every version: what a request of that version may say is answered, in a way that
//! the version can carry and that another codec reads, and the connection stays.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use corelog_wire::api::{ApiKey, EachApi, Request, each_api};
use corelog_wire::header::{decode_response, encode_request};
use corelog_wire::populate::{Seed, message};
use kafka_protocol::messages::{self as theirs, ResponseKind};
use kafka_protocol::protocol::Decodable;

use crate::broker::{Broker, Directory};
use crate::requests;

/// Random requests of each version.
const RANDOM: u64 = 8;
/// For an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Versions that we serve and the other codec does not know.
const NOT_IN_ORACLE: &[(ApiKey, i16)] =
    &[(ApiKey::ListOffsets, 11), (ApiKey::OffsetCommit, 10), (ApiKey::OffsetFetch, 10)];

/// A client that asks and looks at the answers.
pub(crate) struct Asker {
    address: String,
    stream: TcpStream,
    /// What did not go well, to be told together.
    failures: Vec<String>,
    asked: BTreeSet<(i16, i16)>,
}

impl Asker {
    fn new(broker: &Broker) -> Asker {
        let address = broker.address().to_owned();
        let stream = connect(&address);
        Asker { address, stream, failures: Vec::new(), asked: BTreeSet::new() }
    }

    /// The answer to a request in this version; `None` if the version cannot say it, or without
    /// an answer.
    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        let frame = encode_request(version, 7, Some("answers"), request).ok()?.into_bytes()?;
        self.asked.insert((R::API as i16, version));
        match self.exchange(&frame).and_then(|frame| understood::<R>(frame, version)) {
            Ok(response) => Some(response),
            Err(why) => {
                let request: String = format!("{request:?}").chars().take(300).collect();
                self.failures.push(format!("{} {version}: {why}: {request}", R::API));
                self.stream = connect(&self.address);
                None
            }
        }
    }

    /// Asks in every version that can say it.
    pub(crate) fn ask_all<R: Request>(&mut self, request: &R) {
        for version in R::SERVED.min..=R::SERVED.max {
            self.ask(version, request);
        }
    }

    fn exchange(&mut self, frame: &[u8]) -> Result<Bytes, String> {
        let mut exchange = || {
            self.stream.write_all(frame)?;
            let mut size = [0; 4];
            self.stream.read_exact(&mut size)?;
            let mut answer = vec![0; u32::from_be_bytes(size) as usize];
            self.stream.read_exact(&mut answer)?;
            Ok(answer.into())
        };
        exchange().map_err(|error: std::io::Error| error.to_string())
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// What we read of an answer, if the other codec reads it, too.
fn understood<R: Request>(frame: Bytes, version: i16) -> Result<R::Response, String> {
    let (id, response) = decode_response::<R::Response>(frame.clone(), version)
        .map_err(|error| format!("cannot be read: {error}"))?;
    assert_eq!(id, 7);
    if !NOT_IN_ORACLE.contains(&(R::API, version)) {
        let key = theirs::ApiKey::try_from(R::API as i16).map_err(|()| "no such API")?;
        let mut rest = frame;
        theirs::ResponseHeader::decode(&mut rest, key.response_header_version(version))
            .and_then(|_| ResponseKind::decode(key, &mut rest, version))
            .map_err(|error| format!("cannot be read by others: {error}"))?;
        if !rest.is_empty() {
            return Err(format!("{} bytes are left", rest.len()));
        }
    }
    Ok(response)
}

/// Asks what the protocol's own rules allow, at random.
struct Random<'a>(&'a mut Asker);

impl EachApi for Random<'_> {
    fn api<R: Request>(&mut self) {
        for version in R::SERVED.min..=R::SERVED.max {
            for seed in 0..RANDOM {
                self.0.ask(version, &message::<R>(&mut Seed(seed), version));
            }
        }
    }
}

/// Notes what is served.
#[derive(Default)]
struct Served(BTreeSet<(i16, i16)>);

impl EachApi for Served {
    fn api<R: Request>(&mut self) {
        self.0.extend((R::SERVED.min..=R::SERVED.max).map(|version| (R::API as i16, version)));
    }
}

fn check(asker: Asker) {
    let mut served = Served::default();
    each_api(&mut served);
    assert!(asker.failures.is_empty(), "{}", asker.failures.join("\n"));
    let left: Vec<_> = served.0.difference(&asker.asked).collect();
    assert!(left.is_empty(), "not asked: {left:?}");
}

#[test]
fn what_a_version_may_ask_it_can_answer() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    let mut asker = Asker::new(&broker);
    requests::ask_everything(&mut asker);
    check(asker);
}

#[test]
fn random_requests_are_answered() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    let mut asker = Asker::new(&broker);
    each_api(&mut Random(&mut asker));
    check(asker);
}
