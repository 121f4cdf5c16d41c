//! What clients may do to a connection: any cut of the stream, bad sizes, more than the budget, too
//! many of them, silence.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use common::client::Client;
use common::dir::TestDir;
use common::service::{ECHO, IN_TURN, NEVER};
use common::{Broker, eventually, settings};

fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn frames_arrive_whole_however_they_are_cut_and_large() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let mut client = Client::connect(broker.address());
    for len in [1, 100, 65_535, 65_536, 65_537, 200_000, (8 << 20) - 1] {
        let payload: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        assert!(client.echo(&payload) == payload, "{len}");
    }
    let body = [&[ECHO][..], b"byte by byte"].concat();
    let frame = [&(body.len() as u32).to_be_bytes()[..], &body].concat();
    for byte in frame {
        client.stream.write_all(&[byte]).expect("send");
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(client.receive(), Ok(b"byte by byte".to_vec()));
}

#[test]
fn bad_sizes_close_the_connection_and_no_other() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let mut other = Client::connect(broker.address());
    for size in [0, -1, i32::MIN, (8 << 20) + 1, i32::MAX] {
        let mut client = Client::connect(broker.address());
        assert_eq!(client.echo(b"good"), b"good");
        client.stream.write_all(&i32::to_be_bytes(size)).expect("send");
        assert!(is_closed(&mut client.stream), "{size}");
        assert_eq!(other.echo(b"still here"), b"still here");
    }
    let mut client = Client::connect(broker.address());
    client.send(&[250]);
    assert!(is_closed(&mut client.stream), "the session says so");
}

/// Eight frames of 4 MiB, all of them begun before any is finished, against a budget of 1 MiB: they
/// go through one after the other.
#[test]
fn out_of_budget_frames_wait_for_each_other_and_all_arrive() {
    let dir = TestDir::new();
    let mut settings = settings(dir.path(), 1);
    settings.request_bytes = 1 << 20;
    let broker = Broker::start(settings);
    let address = broker.address();
    let clients: Vec<_> = (0..8u8)
        .map(|seed| {
            thread::spawn(move || {
                let payload: Vec<u8> = (0..4 << 20).map(|i| (i as u8) ^ seed).collect();
                let mut client = Client::connect(address);
                for _ in 0..3 {
                    assert!(client.echo(&payload) == payload);
                }
            })
        })
        .collect();
    let began = Instant::now();
    clients.into_iter().for_each(|client| client.join().expect("every frame was echoed"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    broker.stop();
}

#[test]
fn connections_beyond_the_limit_are_closed_and_places_are_given_back() {
    let dir = TestDir::new();
    let mut settings = settings(dir.path(), 2);
    settings.max_connections = 4;
    let broker = Broker::start(settings);
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(broker.address())).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.echo(b"x"), b"x"));
    let mut extra = Client::connect(broker.address());
    assert!(is_closed(&mut extra.stream));
    clients.pop();
    eventually("there is a place again", || {
        let mut client = Client::connect(broker.address());
        let sent = client.stream.write_all(&[0, 0, 0, 2, ECHO, 7]);
        sent.is_ok() && matches!(client.try_receive(), Ok(Ok(echo)) if echo == [7])
    });
}

#[test]
fn a_silent_connection_is_closed_unless_it_waits_for_an_answer() {
    let dir = TestDir::new();
    let mut settings = settings(dir.path(), 1);
    settings.idle_connection_ms = 400;
    let broker = Broker::start(settings);
    let (mut idle, mut waiting) =
        (Client::connect(broker.address()), Client::connect(broker.address()));
    let mut busy = Client::connect(broker.address());
    waiting.send(&[NEVER]);
    for _ in 0..20 {
        assert_eq!(busy.echo(b"x"), b"x");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(is_closed(&mut idle.stream));
    waiting.stream.set_nonblocking(true).expect("nonblocking");
    let open = waiting.stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(open, Err(std::io::ErrorKind::WouldBlock));
}

#[test]
fn a_request_with_a_turn_of_its_own_is_begun_when_those_before_it_are_answered() {
    let dir = TestDir::new();
    let broker = Broker::start(settings(dir.path(), 1));
    let (mut stuck, mut free) =
        (Client::connect(broker.address()), Client::connect(broker.address()));
    stuck.send(&[NEVER]);
    for _ in 0..10 {
        stuck.send(&[IN_TURN]);
    }
    for begun in 1..=3u32 {
        thread::sleep(Duration::from_millis(50));
        free.send(&[IN_TURN]);
        assert_eq!(free.receive(), Ok(begun.to_le_bytes().to_vec()), "none of the other's");
    }
}

/// Frames behind a request that waits leave the budget, and the right to exceed it, to others.
#[test]
fn what_comes_behind_a_request_that_waits_keeps_nobody_from_theirs() {
    let dir = TestDir::new();
    let mut settings = settings(dir.path(), 1);
    settings.request_bytes = 1 << 20;
    let broker = Broker::start(settings);
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Client::connect(broker.address());
            client.send(&[NEVER]);
            thread::sleep(Duration::from_millis(10));
            let behind = [&(2u32 << 20).to_be_bytes()[..], &[ECHO], &vec![7; 100_000]].concat();
            client.stream.write_all(&behind).expect("the kernel takes it");
            client
        })
        .collect();
    let mut client = Client::connect(broker.address());
    client.stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    let payload = vec![1; 4 << 20];
    for _ in 0..3 {
        assert!(client.echo(&payload) == payload);
    }
    drop(waiting);
    eventually("they are gone", || {
        let mut client = Client::connect(broker.address());
        client.echo(b"x") == b"x"
    });
}

#[test]
fn half_a_frame_may_stand_for_as_long_as_a_connection_may_be_idle() {
    let dir = TestDir::new();
    let mut settings = settings(dir.path(), 1);
    settings.idle_connection_ms = 1_000;
    let broker = Broker::start(settings);
    let mut client = Client::connect(broker.address());
    let began = Instant::now();
    client.stream.write_all(&[0, 0, 0, 9, ECHO]).expect("send");
    client.stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    assert!(matches!(client.stream.read(&mut [0]), Ok(0)), "it is cut");
    let stood = began.elapsed();
    assert!(stood >= Duration::from_millis(1_000) && stood < Duration::from_secs(5), "{stood:?}");
}

#[test]
fn a_peer_that_hangs_up_behind_a_request_that_waits_is_noticed() {
    let dir = TestDir::new();
    let mut settings = settings(dir.path(), 1);
    settings.max_connections = 1;
    let broker = Broker::start(settings);
    for behind in [ECHO, IN_TURN] {
        eventually("there is a place", || {
            let mut client = Client::connect(broker.address());
            let sent = client.stream.write_all(&[0, 0, 0, 1, NEVER, 0, 0, 0, 1, behind]);
            client.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
            let read = client.stream.read(&mut [0]).map_err(|error| error.kind());
            sent.is_ok() && read == Err(std::io::ErrorKind::WouldBlock)
        });
    }
    eventually("there is a place again", || {
        let mut client = Client::connect(broker.address());
        let sent = client.stream.write_all(&[0, 0, 0, 2, ECHO, 7]);
        sent.is_ok() && matches!(client.try_receive(), Ok(Ok(echo)) if echo == [7])
    });
}
