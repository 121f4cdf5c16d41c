//! A hundred members in ten groups, of both protocols, that join, leave, fall silent and come back
//! as others, while the broker is killed twice. No partition has two readers at a time, no
//! acknowledged commit is lost or moved back, and in the end every group comes to rest.

mod classic;
mod consumer;
mod ledger;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use corelog_tests::live::calls::{self, CallError, NewTopic};
use corelog_tests::live::client::{Client, ClientError};
use corelog_tests::live::process::{Broker, Launch};
use corelog_tests::live::report::{NotPassed, Outcome, Report};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::find_coordinator::FindCoordinatorRequest;
use corelog_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use corelog_wire::populate::Seed;
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use self::ledger::Ledger;
use crate::options::Options;
use crate::rounds::{PATIENCE, READY_WITHIN};

const MEMBERS: usize = 100;
const GROUPS: usize = 10;
const PARTITIONS: i32 = 12;
const TOPIC: &str = "churn";
/// Lives of the broker.
const LIVES: u32 = 3;
/// Silence for so long ends a membership.
const SESSION: Duration = Duration::from_millis(3_000);
/// Between two things that a member does, at most.
const PAUSE_MS_MAX: usize = 400;
/// Those who stay to the end must have come to rest by then.
const REST_WITHIN: Duration = Duration::from_secs(30);
/// Between two attempts to reach a broker that is down.
const AGAIN: Duration = Duration::from_millis(50);

/// What all members share.
struct Site {
    address: SocketAddr,
    topic: Uuid,
    ledger: Ledger,
    over: AtomicBool,
}

impl Site {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// Why a member's life has ended.
enum End {
    /// The broker is down, or has closed the connection.
    Lost,
    /// What may not be.
    Broken(String),
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> End {
        match error {
            ClientError::Io(_) => End::Lost,
            error => End::Broken(error.to_string()),
        }
    }
}

/// Runs the test.
pub(crate) fn run(options: &Options, report: &mut Report) {
    report.test("groups/churn", || {
        let dir = options.dir.join("churn");
        let _ = std::fs::remove_dir_all(&dir);
        let launch = Launch::new(&options.broker, &dir)?
            .set("group.min.session.timeout.ms=1000")
            .set("group.initial.rebalance.delay.ms=100")
            .set("group.consumer.assignment.interval.ms=100")
            .set(format!("group.consumer.min.session.timeout.ms={}", SESSION.as_millis()))
            .set("group.consumer.min.heartbeat.interval.ms=500")
            .set(format!("group.consumer.session.timeout.ms={}", SESSION.as_millis()))
            .set("group.consumer.heartbeat.interval.ms=500");
        let words = churn(&launch, options)?;
        Ok(std::fs::remove_dir_all(dir).map(|()| words)?)
    });
}

fn churn(launch: &Launch, options: &Options) -> Outcome {
    let mut seed = Seed(options.seed);
    let (broker, _) = launch.ready("0,1", READY_WITHIN)?;
    let mut client = broker.connect(PATIENCE)?;
    let topic = NewTopic { name: TOPIC, partitions: PARTITIONS, configs: &[] };
    let topic = calls::create_topic(&mut client, topic)?;
    calls::eventually(PATIENCE, || find_coordinator(&mut client, &group(0)))?;
    let address = broker.address;
    let site = Site { address, topic, ledger: Ledger::default(), over: AtomicBool::new(false) };
    let life = options.churn / LIVES;
    let (broker, broken) = thread::scope(|scope| {
        let members: Vec<_> = (0..MEMBERS)
            .map(|number| (number, Seed(seed.next_u64())))
            .map(|(number, seed)| {
                let site = &site;
                scope.spawn(move || live(site, number, seed))
            })
            .collect();
        let lived = lives(launch, broker, life);
        site.over.store(true, Ordering::Relaxed);
        let ends = members.into_iter().map(|member| member.join());
        let broken: Vec<String> = ends
            .filter_map(|end| end.unwrap_or_else(|_| Some("a member panicked".to_owned())))
            .collect();
        lived.map(|broker| (broker, broken))
    })?;
    if let Some(first) = broken.first() {
        let count = broken.len();
        return Err(NotPassed::Failed(format!("{count} members saw what may not be: {first}")));
    }
    rest(&site)?;
    let words = site.ledger.words().map_err(NotPassed::Failed)?;
    broker.kill()?;
    Ok(words)
}

/// The broker is killed and started again, with other cores; the last one of them.
fn lives(launch: &Launch, mut broker: Broker, life: Duration) -> Result<Broker, NotPassed> {
    for cores in ["0", "0,1"] {
        sleep(life);
        broker.kill()?;
        (broker, _) = launch.ready(cores, READY_WITHIN)?;
    }
    sleep(life);
    broker.check_alive()?;
    Ok(broker)
}

fn group(number: usize) -> String {
    format!("churn-{number}")
}

fn find_coordinator(client: &mut Client, group: &str) -> Result<(), CallError> {
    let request = FindCoordinatorRequest {
        coordinator_keys: vec![Str::from(group)],
        ..FindCoordinatorRequest::default()
    };
    let response = client.call(4, &request)?;
    match response.coordinators.first().ok_or(CallError::Missing)?.error_code {
        ErrorCode::None => Ok(()),
        code => Err(CallError::Refused(code)),
    }
}

/// One member after the other, until the end; what it saw that may not be.
fn live(site: &Site, number: usize, mut seed: Seed) -> Option<String> {
    let group = group(number % GROUPS);
    let mut lives = 0;
    while site.goes_on() {
        lives += 1;
        let name = format!("{number}.{lives}");
        let Ok(client) = Client::connect(site.address, PATIENCE) else {
            sleep(AGAIN);
            continue;
        };
        // The groups with even numbers are of the classic protocol.
        let end = match number % GROUPS % 2 {
            0 => classic::live(site, client, &group, &name, &mut seed),
            _ => consumer::live(site, client, &group, &name, &mut seed),
        };
        match end {
            Err(End::Broken(why)) => return Some(format!("{name} in {group}: {why}")),
            Err(End::Lost) => sleep(AGAIN),
            Ok(()) => {}
        }
    }
    None
}

fn pause(seed: &mut Seed) {
    sleep(Duration::from_millis(seed.below(PAUSE_MS_MAX) as u64));
}

/// Whether a member is to ask again, or must begin anew; anything else may not be.
fn may_be(code: ErrorCode) -> Result<(), End> {
    use ErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, FencedMemberEpoch, GroupIdNotFound,
        IllegalGeneration, MemberIdRequired, NotCoordinator, RebalanceInProgress, StaleMemberEpoch,
        UnknownMemberId,
    };
    match code {
        CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator => Ok(()),
        FencedMemberEpoch | GroupIdNotFound | IllegalGeneration | MemberIdRequired
        | RebalanceInProgress | StaleMemberEpoch | UnknownMemberId => Ok(()),
        code => Err(End::Broken(code.to_string())),
    }
}

/// Whether what was asked may have been done all the same.
fn is_in_doubt(code: ErrorCode) -> bool {
    use ErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    [CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator].contains(&code)
}

/// Two fresh members of each group share everything, and what was committed is there.
fn rest(site: &Site) -> Result<(), NotPassed> {
    site.over.store(false, Ordering::Relaxed);
    let until = Instant::now() + REST_WITHIN;
    let failed = |why: String| NotPassed::Failed(why);
    for number in 0..GROUPS {
        let group = group(number);
        let has = match number % 2 {
            0 => classic::settle(site, &group, until),
            _ => consumer::settle(site, &group, until),
        };
        let has = has.map_err(|why| failed(format!("{group} does not come to rest: {why}")))?;
        let mut all = BTreeSet::new();
        for partition in has.iter().flatten() {
            if !all.insert(*partition) {
                return Err(failed(format!("partition {partition} of {group} has two readers")));
            }
        }
        if all.len() as i32 != PARTITIONS {
            return Err(failed(format!("of {group}, only {all:?} are read")));
        }
        let mut client = Client::connect(site.address, PATIENCE)?;
        let found = committed(&mut client, site, &group)?;
        site.ledger.check(&group, &found).map_err(failed)?;
    }
    Ok(())
}

/// What is committed for each partition, -1 where nothing is.
fn committed(client: &mut Client, site: &Site, group: &str) -> Result<Vec<(i32, i64)>, CallError> {
    let topics = vec![OffsetFetchRequestTopics {
        topic_id: site.topic,
        partition_indexes: (0..PARTITIONS).collect(),
        ..OffsetFetchRequestTopics::default()
    }];
    let groups = vec![OffsetFetchRequestGroup {
        group_id: Str::from(group),
        topics: Some(topics),
        ..OffsetFetchRequestGroup::default()
    }];
    let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
    let mut response = client.call(10, &request)?;
    let found = response.groups.pop().ok_or(CallError::Missing)?;
    if found.error_code != ErrorCode::None {
        return Err(CallError::Refused(found.error_code));
    }
    let partitions = found.topics.into_iter().flat_map(|topic| topic.partitions);
    Ok(partitions.map(|one| (one.partition_index, one.committed_offset)).collect())
}
