//! Too much of everything: connections, halves of requests, requests whose answers nobody reads.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelog_tests::live::calls::{self, FETCH, Limits, METADATA, Place};
use corelog_tests::live::client::{Client, ClientError};
use corelog_tests::live::report::{NotPassed, Outcome};
use corelog_wire::api::Request;
use corelog_wire::messages::metadata::MetadataRequest;
use corelog_wire::populate::Seed;

use crate::bystander;
use crate::site::{Case, Site};

pub(crate) const CASES: &[Case] = &[
    Case { name: "floods/opened-and-dropped", attack: opened_and_dropped },
    Case { name: "floods/opened-together", attack: opened_together },
    Case { name: "floods/halves-of-huge-requests", attack: |site, _| halves(site, 90 << 20) },
    Case { name: "floods/halves-of-large-requests", attack: |site, _| halves(site, 20 << 20) },
    Case { name: "floods/answers-nobody-reads", attack: answers_nobody_reads },
    Case { name: "floods/requests-without-end", attack: requests_without_end },
];

const PATIENCE: Duration = Duration::from_secs(10);
/// A broker that reads no further is right; whoever floods it gives up soon.
const FLOOD_PATIENCE: Duration = Duration::from_millis(200);
/// How long a flood stands before it goes away.
const STANDING: Duration = Duration::from_secs(2);

fn opened_and_dropped(site: &Site, seed: &mut Seed) -> Outcome {
    const CONNECTIONS: usize = 5_000;
    for _ in 0..CONNECTIONS {
        let mut client = site.connect(PATIENCE)?;
        match seed.below(4) {
            0 => client.send_bytes(&[0, 0])?,
            1 => client.send_bytes(&[0, 0, 1, 0, 0, 18, 0, 0])?,
            2 => client.send(METADATA, &MetadataRequest::default())?,
            _ => {}
        }
    }
    Ok(format!("{CONNECTIONS} connections"))
}

fn opened_together(site: &Site, _: &mut Seed) -> Outcome {
    const CONNECTIONS: usize = 2_000;
    let connect = |_| site.connect(PATIENCE);
    let mut idle = (0..CONNECTIONS).map(connect).collect::<Result<Vec<Client>, _>>()?;
    let began = Instant::now();
    calls::topics(&mut site.connect(PATIENCE)?)?;
    let took = began.elapsed();
    // Idle ones are served when they wake up.
    for client in idle.iter_mut().step_by(100) {
        calls::topics(client)?;
    }
    Ok(format!("{CONNECTIONS} connections, one more served in {} ms", took.as_millis()))
}

/// Each claims a request of so many bytes, sends a part of it, and waits.
fn halves(site: &Site, claimed: i32) -> Outcome {
    const CONNECTIONS: usize = 300;
    let (mut clients, mut sent) = (Vec::new(), 0);
    for number in 0..CONNECTIONS {
        let mut client = site.connect(FLOOD_PATIENCE)?;
        // One in ten sends far more than a socket buffers.
        let part = if number % 10 == 0 { 8 << 20 } else { 1 << 10 };
        let bytes = [&claimed.to_be_bytes()[..], &[0, 0, 0, 9], &vec![0; part]].concat();
        match client.send_bytes(&bytes) {
            Ok(()) => sent += bytes.len(),
            Err(error) => tolerate(&ClientError::Io(error))?,
        }
        clients.push(client);
    }
    sleep(STANDING);
    let (sent, each) = (sent >> 20, claimed >> 20);
    Ok(format!("{sent} MiB sent of {CONNECTIONS} requests of {each} MiB"))
}

/// Each asks for a megabyte, again and again, and reads nothing.
fn answers_nobody_reads(site: &Site, _: &mut Seed) -> Outcome {
    const CONNECTIONS: usize = 50;
    const REQUESTS: usize = 1_000;
    let (mut client, topic) = site.topic("hostile-unread", &[])?;
    let batch: Bytes = bystander::batch(&vec![b'v'; 900 << 10]);
    for _ in 0..8 {
        calls::produce(&mut client, topic, 0, batch.clone())?;
    }
    let place = Place { topic, partition: 0, offset: 0 };
    let fetch = calls::fetch_request(&[place], Limits { max_bytes: 8 << 20, max_wait_ms: 0 });
    let (mut clients, mut sent) = (Vec::new(), 0);
    for _ in 0..CONNECTIONS {
        let mut client = site.connect(FLOOD_PATIENCE)?;
        sent += pour(&mut client, FETCH, &fetch, REQUESTS)?;
        clients.push(client);
    }
    sleep(STANDING);
    Ok(format!("{sent} fetches of 7 MiB"))
}

fn requests_without_end(site: &Site, _: &mut Seed) -> Outcome {
    const CONNECTIONS: usize = 10;
    const REQUESTS: usize = 200_000;
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let (mut clients, mut sent) = (Vec::new(), 0);
    for _ in 0..CONNECTIONS {
        let mut client = site.connect(FLOOD_PATIENCE)?;
        sent += pour(&mut client, METADATA, &request, REQUESTS)?;
        clients.push(client);
    }
    sleep(STANDING);
    Ok(format!("{sent} requests"))
}

/// Sends a request again and again until the broker reads no further; gives how often.
fn pour<R: Request>(
    client: &mut Client,
    version: i16,
    request: &R,
    times: usize,
) -> Result<usize, NotPassed> {
    for sent in 0..times {
        if let Err(error) = client.send(version, request) {
            tolerate(&error)?;
            return Ok(sent);
        }
    }
    Ok(times)
}

/// The broker may stop to read, or hang up.
pub(crate) fn tolerate(error: &ClientError) -> Result<(), NotPassed> {
    use io::ErrorKind::{TimedOut, WouldBlock};
    let stalled = |error: &io::Error| [TimedOut, WouldBlock].contains(&error.kind());
    match error {
        ClientError::Io(inner) if stalled(inner) || error.is_disconnect() => Ok(()),
        error => Err(NotPassed::Failed(error.to_string())),
    }
}
