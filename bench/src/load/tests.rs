//! Against a broker of a few lines that checks what it gets, and stalls when told to.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use corelog_engine::record::batch::{BatchHeader, crc_matches};
use corelog_wire::header::encode_response;
use corelog_wire::messages::produce::{PartitionProduceResponse, TopicProduceResponse};

use super::*;
use crate::batch::Producer;
use crate::pace::{Schedule, Until};
use crate::request::Acks;
use crate::request::tests::{batch, decode, topic};

const VERSION: i16 = 9;
const MS: Duration = Duration::from_millis(1);

/// What the broker does instead of answering at once.
#[derive(Clone, Copy)]
enum Mood {
    Willing,
    /// Sleeps before it reads the request with this number.
    Stalls(usize, Duration),
    /// Refuses partition 1.
    Refuses,
    /// Goes away before it answers the request with this number.
    Leaves(usize),
}

/// Partition and first sequence of every batch that came.
type Seen = Vec<(i32, i32)>;

fn broker(mood: Mood) -> (TcpStream, JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    client.set_nodelay(true).expect("a socket");
    let (socket, _) = listener.accept().expect("a client");
    socket.set_nodelay(true).expect("a socket");
    (client, thread::spawn(move || serve(socket, mood)))
}

fn serve(mut socket: TcpStream, mood: Mood) -> Seen {
    let mut seen = Seen::new();
    for number in 0.. {
        match mood {
            Mood::Stalls(at, time) if at == number => thread::sleep(time),
            Mood::Leaves(at) if at == number => return seen,
            _ => {}
        }
        let mut prefix = [0; 4];
        if socket.read_exact(&mut prefix).is_err() {
            return seen;
        }
        let mut frame = vec![0; i32::from_be_bytes(prefix) as usize];
        socket.read_exact(&mut frame).expect("a whole request");
        let answer = respond(frame.into(), mood, &mut seen);
        if socket.write_all(&answer).is_err() {
            return seen;
        }
    }
    seen
}

fn respond(frame: Bytes, mood: Mood, seen: &mut Seen) -> Bytes {
    let (header, request) = decode(frame);
    let mut answer = TopicProduceResponse::default();
    for data in &request.topic_data[0].partition_data {
        let records = data.records.as_ref().expect("records");
        let batch = BatchHeader::parse(records).expect("a batch");
        assert!(crc_matches(&batch, records));
        seen.push((data.index, batch.base_sequence.0));
        let refuses = matches!(mood, Mood::Refuses) && data.index == 1;
        answer.partition_responses.push(PartitionProduceResponse {
            index: data.index,
            error_code: if refuses { ErrorCode::NotLeaderOrFollower } else { ErrorCode::None },
            ..PartitionProduceResponse::default()
        });
    }
    let response = ProduceResponse { responses: vec![answer], ..ProduceResponse::default() };
    let frame = encode_response(header.version, header.correlation_id, &response);
    frame.expect("a response").into_bytes().expect("no holes")
}

/// A load on partitions 0 to 3, one a request.
fn load(socket: TcpStream, pace: Pace, record_size: u64, stamp: Stamp) -> Load {
    let batch = batch(record_size);
    let prepare = |partition| {
        let parts = [(partition, &batch)];
        Prepared::new(&topic(), VERSION, Acks::All, &parts, stamp).expect("a request")
    };
    Load {
        socket,
        version: VERSION,
        acks: Acks::All,
        recorder: Recorder::new(),
        requests: (0..4).map(prepare).collect(),
        order: Order::InTurn,
        stamp,
        pace,
        measure_from: match pace {
            Pace::Closed { .. } => Instant::now(),
            Pace::Open { schedule, .. } => schedule.start,
        },
    }
}

/// 1,000 requests per second for so long from now on.
fn open(time: Duration, in_flight: usize, grace: Duration) -> Pace {
    let schedule = Schedule { start: Instant::now(), rate: 1000, connections: 1, place: 0 };
    let stop = schedule.start + time;
    Pace::Open { schedule, in_flight, stop, give_up: stop + grace }
}

fn closed(in_flight: usize, requests: u64) -> Pace {
    Pace::Closed { in_flight, until: Until::Requests(requests) }
}

#[test]
fn a_closed_loop_sends_every_request_whole_and_in_turn() {
    for (record_size, in_flight) in [(10, 1), (10, 8), (300_000, 5)] {
        let (socket, broker) = broker(Mood::Willing);
        let load = load(socket, closed(in_flight, 42), record_size, Stamp::Nothing);
        let tally = load.run().expect("a broker");
        assert_eq!((tally.requests, tally.batches, tally.errors.len()), (42, 42, 0));
        assert_eq!(tally.answers.summary().count, 42);
        let seen = broker.join().expect("valid requests");
        assert_eq!(seen, (0..42).map(|number| (number % 4, -1)).collect::<Seen>());
    }
}

#[test]
fn an_open_loop_charges_a_stall_to_everything_that_was_due() {
    let (socket, broker) = broker(Mood::Stalls(50, 200 * MS));
    let pace = open(400 * MS, usize::MAX, 10_000 * MS);
    let tally = load(socket, pace, 100_000, Stamp::Nothing).run().expect("a broker");
    assert_eq!((tally.requests, broker.join().expect("valid requests").len()), (400, 400));
    assert!(tally.answers.at(1.0) >= 195 * MS, "{:?}", tally.answers.at(1.0));
    // At least 100 requests were due in the first half of the stall.
    assert!(tally.answers.at(0.76) >= 95 * MS, "{:?}", tally.answers.at(0.76));
}

#[test]
fn what_could_not_be_sent_in_time_is_told() {
    let (socket, broker) = broker(Mood::Stalls(1, 150 * MS));
    let tally = load(socket, open(100 * MS, 1, Duration::ZERO), 10, Stamp::Nothing)
        .run()
        .expect("a broker");
    let missed = tally.errors["not sent in time"];
    assert_eq!((missed + tally.requests, tally.answers.summary().count), (100, 100));
    assert_eq!(broker.join().expect("valid requests").len() as u64, tally.requests);
}

#[test]
fn the_warm_up_is_sent_and_not_counted() {
    let (socket, broker) = broker(Mood::Willing);
    let pace = open(100 * MS, usize::MAX, 10_000 * MS);
    let mut load = load(socket, pace, 10, Stamp::Nothing);
    load.measure_from += 60 * MS;
    let tally = load.run().expect("a broker");
    assert_eq!((tally.requests, tally.answers.summary().count), (40, 40));
    assert_eq!(broker.join().expect("valid requests").len(), 100);
}

#[test]
fn refusals_are_counted_and_do_not_end_the_run() {
    let (socket, _broker) = broker(Mood::Refuses);
    let tally = load(socket, closed(3, 8), 10, Stamp::Nothing).run().expect("a broker");
    assert_eq!((tally.requests, tally.batches), (6, 6));
    assert_eq!(tally.errors, Errors::from([("NOT_LEADER_OR_FOLLOWER", 2)]));
}

#[test]
fn an_idempotent_producer_counts_its_records_and_ends_when_refused() {
    let stamp = Stamp::Sequence(Producer { id: 1, epoch: 0 });
    let (socket, broker) = broker(Mood::Willing);
    load(socket, closed(5, 12), 10, stamp).run().expect("a broker");
    let sequences = broker.join().expect("valid requests").into_iter().map(|seen| seen.1);
    assert_eq!(sequences.collect::<Vec<_>>(), [0, 0, 0, 0, 3, 3, 3, 3, 6, 6, 6, 6]);

    let (socket, _broker) = self::broker(Mood::Refuses);
    let result = load(socket, closed(5, 12), 10, stamp).run();
    assert!(matches!(result, Err(ClientError::Refused { .. })), "{result:?}");
}

#[test]
fn a_broker_that_goes_away_ends_the_run() {
    let (socket, _broker) = broker(Mood::Leaves(3));
    let result = load(socket, closed(1, 12), 10, Stamp::Nothing).run();
    assert!(matches!(result, Err(ClientError::Closed | ClientError::Io(_))), "{result:?}");
}

#[test]
fn orders_reach_every_request() {
    let mut in_turn = Order::InTurn;
    assert_eq!((0..5).map(|n| in_turn.next(n, 3)).collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
    let mut random = Order::Random(7);
    let mut drawn = [0; 3];
    (0..300).for_each(|n| drawn[random.next(n, 3)] += 1);
    assert!(drawn.iter().all(|count| (60..140).contains(count)), "{drawn:?}");
}
