//! Requests that are honest, and at their limits: much work for little. Each must be answered, and
//! no step of a shard may take long meanwhile, which the site looks at.

use std::path::Path;
use std::thread::scope;
use std::time::{Duration, Instant};

use corelog_engine::id::Timestamp;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};
use corelog_tests::live::calls::{
    self, CREATE_TOPICS, CallError, FETCH, Limits, METADATA, NewTopic, Place,
};
use corelog_tests::live::client::{Client, ClientError};
use corelog_tests::live::report::{NotPassed, Outcome, Report};
use corelog_wire::api::{ApiKey, EachApi, Request, each_api};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::header::encode_request;
use corelog_wire::messages::api_versions::ApiVersionsRequest;
use corelog_wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use corelog_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use corelog_wire::messages::metadata::MetadataRequest;
use corelog_wire::populate::Seed;
use corelog_wire::uuid::Uuid;

use crate::site::{BYSTANDER, Case, Site, Size};
use crate::wide;

pub(crate) const CASES: &[Case] = &[
    Case { name: "heavy/searches-in-a-bomb", attack: searches_in_a_bomb },
    Case { name: "heavy/many-topics", attack: many_topics },
    Case { name: "heavy/waiting-commands", attack: waiting_commands },
    Case { name: "heavy/wide-fetches-are-no-shortage", attack: wide_fetches },
];

const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a request that is too wide, whatever is asked, and of one that is answered.
const WIDEST: usize = 8 << 20;
const NARROW: usize = 32 << 10;
/// The last version of Produce and Fetch that names topics.
const BY_NAME: i16 = 12;
/// The same where each element is a question of its own to the engine.
const WIDEST_OF_QUESTIONS: usize = 64 << 10;
/// What a core has when nothing is said.
const USUAL: Size = Size { cores: "0,1", memory_per_core: 512 << 20, resident_max: 2 << 30 };
/// At the same time.
const CLIENTS: usize = 8;

/// A stored batch of some kilobytes that expands to 100 MiB, searched by time.
fn searches_in_a_bomb(site: &Site, _: &mut Seed) -> Outcome {
    const SEARCHES: usize = 2;
    let mut batch = BatchBuilder::new(Codec::Gzip);
    let zeros = vec![0; 100 << 20];
    for timestamp in [1, 10].map(Timestamp) {
        let value = if timestamp.0 == 1 { &zeros[..] } else { b"x" };
        batch.append(NewRecord { timestamp, value: Some(value), ..NewRecord::default() });
    }
    let batch = batch.build()?;
    let (mut client, topic) = site.topic("hostile-searched", &[])?;
    calls::produce(&mut client, topic, 0, batch)?;
    let clients = clients(site)?;
    let search = |mut client: Client| -> Result<(), CallError> {
        for _ in 0..SEARCHES {
            let offset = calls::offset_at(&mut client, "hostile-searched", 0, 10)?;
            assert_eq!(offset, 1, "the second record");
        }
        Ok(())
    };
    together(clients, search)?;
    Ok(format!("{} searches", SEARCHES * CLIENTS))
}

/// One request of very many topics; then everybody asks for all of them.
fn many_topics(site: &Site, _: &mut Seed) -> Outcome {
    const TOPICS: usize = 3_000;
    let topic = |n| CreatableTopic {
        name: format!("hostile-one-of-many-{n}").into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let topics = (0..TOPICS).map(topic).collect();
    let request = CreateTopicsRequest { topics, ..CreateTopicsRequest::default() };
    let mut client = site.connect(PATIENCE)?;
    let created = client.call(CREATE_TOPICS, &request)?.topics;
    if let Some(refused) = created.iter().find(|topic| topic.error_code != ErrorCode::None) {
        return Err(NotPassed::Failed(format!("a topic is refused: {}", refused.error_code)));
    }
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let ask = |mut client: Client| -> Result<(), CallError> {
        let told = client.call(METADATA, &request)?.topics.len();
        assert!(told >= TOPICS, "{told} topics");
        Ok(())
    };
    together(clients(site)?, ask)?;
    Ok(format!("{TOPICS} topics"))
}

/// Topics of many partitions, wanted by everybody at once, and gone again.
fn waiting_commands(site: &Site, _: &mut Seed) -> Outcome {
    const TOPICS: usize = 4;
    let numbered: Vec<_> = clients(site)?.into_iter().enumerate().collect();
    together(numbered, |(number, mut client)| {
        for n in 0..TOPICS {
            let name = &format!("hostile-wide-{number}-{n}");
            let topic = NewTopic { name, partitions: 500, configs: &[] };
            let topic = calls::create_topic(&mut client, topic)?;
            calls::delete_topic(&mut client, topic)?;
        }
        Ok(())
    })?;
    Ok(format!("{} topics of 500 partitions", TOPICS * CLIENTS))
}

/// Fetches of so many partitions that they are decoded one at a time: those that wait for it have
/// no long poll answered early, which is what a shortage of memory does.
fn wide_fetches(site: &Site, _: &mut Seed) -> Outcome {
    const PARTITIONS: i32 = 4_500;
    /// There is room for all of them on one core.
    const ASKING_CLIENTS: usize = 3;
    const POLL: Duration = Duration::from_millis(2_500);
    const ASKING: Duration = Duration::from_millis(2_000);
    let (_, topic) = site.topic("hostile-quiet", &[])?;
    let quiet = Place { topic, partition: 0, offset: 0 };
    let limits = Limits { max_bytes: 1 << 20, max_wait_ms: POLL.as_millis() as i32 };
    let poll = calls::fetch_request(&[quiet], limits);
    let partition = |partition| FetchPartition { partition, ..FetchPartition::default() };
    let partitions = (0..PARTITIONS).map(partition).collect();
    let unknown = FetchTopic { topic_id: Uuid([7; 16]), partitions, ..FetchTopic::default() };
    let wide = FetchRequest { topics: vec![unknown], ..FetchRequest::default() };
    let polls = clients(site)?.into_iter().map(|client| (client, &poll, Duration::ZERO));
    let asking = clients(site)?.into_iter().take(ASKING_CLIENTS);
    let asks = asking.map(|client| (client, &wide, ASKING));
    together(polls.chain(asks).collect(), |(mut client, request, often)| {
        let began = Instant::now();
        client.call(FETCH, request)?;
        while began.elapsed() < often {
            client.call(FETCH, request)?;
        }
        let early = often.is_zero() && began.elapsed() < POLL;
        assert!(!early, "a long poll was answered after {:?}", began.elapsed());
        Ok(())
    })?;
    Ok(format!("fetches of {PARTITIONS} partitions, {CLIENTS} long polls"))
}

/// Tests every API with the widest requests that a broker with its usual memory answers.
pub(crate) fn test_wide(report: &mut Report, program: &Path, dir: &Path, only: &str) {
    if !"heavy/wide/".contains(only) && !only.starts_with("heavy/wide") {
        return;
    }
    let mut started = None;
    report.test("heavy/wide/start", || {
        started = Some(Site::start(program, &dir.join("wide"), USUAL)?);
        Ok(String::new())
    });
    if let Some(mut site) = started {
        each_api(&mut Widest { site: &mut site, report, only });
    }
}

struct Widest<'a> {
    site: &'a mut Site,
    report: &'a mut Report,
    only: &'a str,
}

impl EachApi for Widest<'_> {
    fn api<R: Request>(&mut self) {
        let name = format!("heavy/wide/{}", R::API);
        // Topics that are made stay.
        if name.contains(self.only) && R::API != ApiKey::CreateTopics {
            self.report.test(&name, || self.site.guard(widest::<R>));
        }
    }
}

/// Each shape as wide as it is answered: what is too wide closes the connection. So does what is
/// produced without acks and refused.
fn widest<R: Request>(site: &Site) -> Outcome {
    // Before topics are named by their ids, those that are named exist.
    let by_name = Some(BY_NAME).filter(|_| [ApiKey::Produce, ApiKey::Fetch].contains(&R::API));
    let mut shapes = wide::shapes::<R>(R::SERVED.max, BYSTANDER)?;
    if let Some(version) = by_name {
        shapes.extend(wide::shapes::<R>(version, BYSTANDER)?);
    }
    let mut sizes = Vec::new();
    for shape in shapes {
        if R::API == ApiKey::Produce && shape.is_of_zeros() {
            continue;
        }
        let mut size = match R::API {
            ApiKey::DescribeGroups | ApiKey::ConsumerGroupDescribe => WIDEST_OF_QUESTIONS,
            _ => WIDEST,
        };
        loop {
            let request = &shape.request(size)?;
            match done(&mut site.connect(PATIENCE)?, request) {
                Ok(()) => break sizes.push(request.len() >> 10),
                Err(error) if error.is_disconnect() && size > NARROW => size /= 2,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(format!("requests of {sizes:?} KiB"))
}

/// Has a request worked on to its end, whether or not it is answered: what comes after it is.
fn done(client: &mut Client, request: &[u8]) -> Result<(), ClientError> {
    const AFTER: i32 = 2;
    let next = encode_request(0, AFTER, None, &ApiVersionsRequest::default());
    let next = next.map_err(ClientError::Encode)?.into_bytes().unwrap_or_default();
    client.send_bytes(request)?;
    client.send_bytes(&next)?;
    while !client.receive_frame()?.starts_with(&AFTER.to_be_bytes()) {}
    Ok(())
}

fn clients(site: &Site) -> std::io::Result<Vec<Client>> {
    (0..CLIENTS).map(|_| site.connect(PATIENCE)).collect()
}

/// Has each do something, at the same time.
fn together<T: Send>(
    all: Vec<T>,
    act: impl Fn(T) -> Result<(), CallError> + Sync,
) -> Result<(), NotPassed> {
    let act = &act;
    let results = scope(|scope| {
        let acting: Vec<_> = all.into_iter().map(|one| scope.spawn(move || act(one))).collect();
        acting.into_iter().map(|one| one.join()).collect::<Vec<_>>()
    });
    for result in results {
        result.map_err(|_| NotPassed::Failed("a client panicked".into()))??;
    }
    Ok(())
}
