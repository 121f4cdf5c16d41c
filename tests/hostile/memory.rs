//! What a broker with little memory holds of every API in every version: the worst requests there
//! are, behind a long poll and on a connection that does not read.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelog_tests::live::calls::{self, CallError, FETCH, Limits, METADATA, NewTopic, Place};
use corelog_tests::live::report::{NotPassed, Outcome, Report};
use corelog_wire::api::{EachApi, Request, each_api};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::find_coordinator::FindCoordinatorRequest;
use corelog_wire::messages::metadata::MetadataRequest;
use corelog_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use corelog_wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::floods::tolerate;
use crate::site::{Site, Size};
use crate::wide;

/// One core with the least memory, of which half is for what is tested here; the rest is the
/// program, and what the allocator keeps.
const SMALL: Size = Size { cores: "0", memory_per_core: 64 << 20, resident_max: 80 << 20 };
/// Bytes of a request that is to be held back, and of one that is to be answered.
const LARGE: usize = 512 << 10;
const SMALLER: usize = 32 << 10;
/// The requests that are sent again and again, behind a long poll and without.
const BEHIND: usize = 64;
const UNREAD: usize = 32;
const PATIENCE: Duration = Duration::from_secs(10);
/// A broker that reads no further is right; whoever floods it gives up soon.
const FLOOD_PATIENCE: Duration = Duration::from_millis(20);
/// How long a flood stands before it goes away.
const STANDING: Duration = Duration::from_millis(50);
const TOPIC: &str = "quiet";
/// Of the test in which there are many partitions.
const TOPICS: i32 = 2;
const PARTITIONS: i32 = 5_000;

/// Tests every API and version, on a broker of their own.
pub(crate) fn test(report: &mut Report, program: &Path, dir: &Path, only: &str) {
    if !only.is_empty() && !only.starts_with("memory") {
        return;
    }
    let mut started = None;
    report.test("memory/start", || {
        let site = Site::start(program, &dir.join("small"), SMALL)?;
        let (_, topic) = site.topic(TOPIC, &[])?;
        started = Some((site, Place { topic, partition: 0, offset: 0 }));
        Ok(String::new())
    });
    let Some((mut site, quiet)) = started else { return };
    each_api(&mut Flooder { site: &mut site, quiet, report, only });
    for (name, attack) in [
        ("memory/answers-of-many-partitions", many_partitions as fn(&Site) -> Outcome),
        ("memory/one-group-again-and-again", one_group),
    ] {
        if name.contains(only) {
            report.test(name, || site.guard(attack));
        }
    }
}

struct Flooder<'a> {
    site: &'a mut Site,
    quiet: Place,
    report: &'a mut Report,
    only: &'a str,
}

impl EachApi for Flooder<'_> {
    fn api<R: Request>(&mut self) {
        for version in R::SERVED.min..=R::SERVED.max {
            let name = format!("memory/{}-{version}", R::API);
            if name.contains(self.only) {
                let quiet = self.quiet;
                let flood = |site: &Site| {
                    let shapes = wide::shapes::<R>(version, TOPIC)?;
                    let of = |size| shapes.iter().map(|shape| shape.request(size)).collect();
                    let (large, smaller): (Result<Vec<_>, _>, Result<Vec<_>, _>) =
                        (of(LARGE), of(SMALLER));
                    flood(site, quiet, &large?, &smaller?)
                };
                self.report.test(&name, || self.site.guard(flood));
            }
        }
    }
}

fn flood(site: &Site, quiet: Place, large: &[Bytes], smaller: &[Bytes]) -> Outcome {
    let (mut behind, mut unread) = (site.connect(FLOOD_PATIENCE)?, site.connect(FLOOD_PATIENCE)?);
    let poll = Limits { max_bytes: 1 << 20, max_wait_ms: 60_000 };
    behind.send(FETCH, &calls::fetch_request(&[quiet], poll))?;
    let mut sent = 0;
    for (client, requests, times) in [(&mut unread, smaller, UNREAD), (&mut behind, large, BEHIND)]
    {
        for request in requests.iter().cycle().take(times) {
            if let Err(error) = client.send_bytes(request) {
                tolerate(&error.into())?;
                break;
            }
            sent += request.len();
        }
    }
    sleep(STANDING);
    Ok(format!("{} KiB sent", sent >> 10))
}

/// A short request that asks for the same offsets, with much said about them, many times.
fn one_group(site: &Site) -> Outcome {
    const GROUP: Str = Str::from_static("talkative");
    const PARTITIONS: i32 = 150;
    const TIMES: usize = 1_000;
    let mut client = site.connect(PATIENCE)?;
    let topic = NewTopic { name: "talked-of", partitions: PARTITIONS, configs: &[] };
    calls::create_topic(&mut client, topic)?;
    let commit = |metadata: &str| OffsetCommitRequest {
        group_id: GROUP,
        topics: vec![OffsetCommitRequestTopic {
            name: "talked-of".into(),
            topic_id: Uuid::ZERO,
            partitions: (0..PARTITIONS)
                .map(|partition_index| OffsetCommitRequestPartition {
                    partition_index,
                    committed_metadata: Some(metadata.into()),
                    ..OffsetCommitRequestPartition::default()
                })
                .collect(),
        }],
        ..OffsetCommitRequest::default()
    };
    let commit = commit(&"m".repeat(4_000));
    let find = FindCoordinatorRequest { coordinator_keys: vec![GROUP], ..Default::default() };
    calls::eventually(PATIENCE, || {
        client.call(4, &find)?;
        let told = client.call(9, &commit)?;
        let codes = told.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code);
        match codes.max() {
            Some(ErrorCode::None) => Ok(()),
            code => Err(CallError::Refused(code.unwrap_or(ErrorCode::UnknownServerError))),
        }
    })?;
    let group = OffsetFetchRequestGroup { group_id: GROUP, topics: None, ..Default::default() };
    let groups = vec![group; TIMES];
    let request = OffsetFetchRequest { groups, ..OffsetFetchRequest::default() };
    let answer = client.call(9, &request)?;
    let told = answer.groups.iter().filter(|group| group.error_code == ErrorCode::None).count();
    match told {
        1.. if answer.groups.len() == TIMES => Ok(format!("told {told} of {TIMES} times")),
        _ => Err(NotPassed::Failed(format!("told {told} times, of {}", answer.groups.len()))),
    }
}

/// Short requests whose answers tell of all partitions, and which nobody reads.
fn many_partitions(site: &Site) -> Outcome {
    const CONNECTIONS: usize = 8;
    const REQUESTS: usize = 64;
    let mut client = site.connect(PATIENCE)?;
    for number in 0..TOPICS {
        let name = format!("many-{number}");
        let topic = NewTopic { name: &name, partitions: PARTITIONS, configs: &[] };
        calls::create_topic(&mut client, topic)?;
    }
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = site.connect(FLOOD_PATIENCE)?;
        for _ in 0..REQUESTS {
            client.send(METADATA, &request)?;
        }
        clients.push(client);
    }
    sleep(20 * STANDING);
    // Whoever reads is served meanwhile.
    let began = Instant::now();
    let told = site.connect(PATIENCE)?.call(METADATA, &request)?;
    let partitions: usize = told.topics.iter().map(|topic| topic.partitions.len()).sum();
    if partitions < (TOPICS * PARTITIONS) as usize {
        return Err(NotPassed::Failed(format!("{partitions} partitions were told of")));
    }
    let (requests, took) = (CONNECTIONS * REQUESTS, began.elapsed().as_millis());
    Ok(format!("{requests} requests, one more answered in {took} ms"))
}
