//! One connection under load: sends prepared requests at its pace, and reads what comes back.
//!
//! One thread does both. The socket blocks; where the thread must not, single calls are told not
//! to. So a closed loop of small requests costs two calls a request, and a request that is due is
//! sent whatever is outstanding. Answers come in the order of the requests, as Kafka promises.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::frame;
use corelog_wire::header::{correlation_id, decode_response, encode_request};
use corelog_wire::messages::api_versions::ApiVersionsRequest;
use corelog_wire::messages::produce::ProduceResponse;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use rustix::thread::set_current_timer_slack;

use crate::client::{CLIENT_ID, ClientError, MAX_RESPONSE, PATIENCE, read_error};
use crate::histogram::Latencies;
use crate::pace::{Pace, Turn};
use crate::random::xorshift;
use crate::report::Errors;
use crate::request::{Acks, MAX_SLICES, Prepared, Stamp};
use crate::timeline::Recorder;

/// Responses are small; this takes dozens at once.
const RECEIVE_BYTES: usize = 16 << 10;
/// So many requests are sent before looking for answers again, lest their times be read late.
const BURST: usize = 16;
/// A wait that the kernel ends noticeably late.
const LONG: Duration = Duration::from_millis(10);

/// Which request is next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// One after the other.
    InTurn,
    /// Any, by a generator with this state (not 0).
    Random(u64),
}

impl Order {
    fn next(&mut self, number: u64, requests: usize) -> usize {
        let draw = match self {
            Order::InTurn => number,
            Order::Random(state) => xorshift(state),
        };
        (draw % requests as u64) as usize
    }
}

/// What a connection did, from the end of the warm-up on.
#[derive(Debug)]
pub(crate) struct Tally {
    /// From when a request should have been sent to its answer.
    pub(crate) answers: Latencies,
    /// From when a request should have been sent until the kernel had all of it.
    pub(crate) lags: Latencies,
    /// Requests of which every partition was acknowledged.
    pub(crate) requests: u64,
    /// Acknowledged batches.
    pub(crate) batches: u64,
    /// Of these.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) errors: Errors,
    /// When the last answer came.
    pub(crate) end: Option<Instant>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            answers: Latencies::new(),
            lags: Latencies::new(),
            requests: 0,
            batches: 0,
            bytes: 0,
            records: 0,
            errors: Errors::new(),
            end: None,
        }
    }

    pub(crate) fn merge(&mut self, other: Tally) {
        self.answers.merge(&other.answers);
        self.lags.merge(&other.lags);
        self.requests += other.requests;
        self.batches += other.batches;
        self.bytes += other.bytes;
        self.records += other.records;
        self.end = self.end.max(other.end);
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }
}

/// A connection and what it is to do.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) socket: TcpStream,
    /// Of Produce, as in the prepared requests.
    pub(crate) version: i16,
    /// As in the prepared requests.
    pub(crate) acks: Acks,
    pub(crate) requests: Vec<Prepared>,
    pub(crate) order: Order,
    pub(crate) stamp: Stamp,
    pub(crate) pace: Pace,
    /// Requests that should have been sent before count for nothing.
    pub(crate) measure_from: Instant,
    pub(crate) recorder: Recorder,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    id: i32,
    request: usize,
    intended: Instant,
}

/// The request of which the kernel does not have all bytes yet.
#[derive(Debug)]
struct Outgoing {
    sent: Sent,
    written: usize,
}

/// What the connection waits for.
enum Wait {
    /// Nothing; there is more to send.
    No,
    Until(Instant),
    Answer,
    /// The socket takes no more.
    Room,
}

struct Running {
    load: Load,
    sent: u64,
    unanswered: VecDeque<Sent>,
    outgoing: Option<Outgoing>,
    received: BytesMut,
    tally: Tally,
}

impl Load {
    /// Sends until the pace says that it is over, and waits for all answers.
    ///
    /// # Errors
    /// The connection fails or is silent, or an idempotent producer is refused: what it sent
    /// behind that batch is out of sequence then.
    pub(crate) fn run(self) -> Result<Tally, ClientError> {
        // Otherwise the kernel may wake this thread 50 us late.
        set_current_timer_slack(NonZeroU64::new(1)).map_err(io::Error::from)?;
        let mut running = Running {
            load: self,
            sent: 0,
            unanswered: VecDeque::new(),
            outgoing: None,
            received: BytesMut::new(),
            tally: Tally::new(),
        };
        running.run()?;
        Ok(running.tally)
    }
}

impl Running {
    fn run(&mut self) -> Result<(), ClientError> {
        loop {
            match self.send()? {
                Some(Wait::No) => self.receive(RecvFlags::DONTWAIT)?,
                Some(Wait::Answer) => self.receive(RecvFlags::empty())?,
                Some(Wait::Until(due)) => {
                    let left = due.saturating_duration_since(Instant::now());
                    wait(&self.load.socket, PollFlags::IN, exact_part(left))?;
                    self.receive(RecvFlags::DONTWAIT)?;
                }
                Some(Wait::Room) => {
                    if wait(&self.load.socket, PollFlags::IN | PollFlags::OUT, PATIENCE)? == 0 {
                        return Err(ClientError::Silent);
                    }
                    self.receive(RecvFlags::DONTWAIT)?;
                }
                None => {
                    self.give_up(Instant::now());
                    if self.load.acks == Acks::None {
                        self.settle()?;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// What was not sent has waited until now, at least.
    fn give_up(&mut self, now: Instant) {
        for due in self.load.pace.missed(self.sent).filter(|due| *due >= self.load.measure_from) {
            self.tally.answers.record(now.saturating_duration_since(due));
            *self.tally.errors.entry("not sent in time").or_default() += 1;
        }
    }

    /// Sends what is due; `None` when everything is sent and answered.
    fn send(&mut self) -> Result<Option<Wait>, ClientError> {
        for _ in 0..BURST {
            if !self.push()? {
                return Ok(Some(Wait::Room));
            }
            match self.load.pace.turn(Instant::now(), self.sent, self.unanswered.len()) {
                Turn::Send(intended) => self.begin(intended),
                Turn::At(due) => return Ok(Some(Wait::Until(due))),
                Turn::Answer => return Ok(Some(Wait::Answer)),
                Turn::Over if self.unanswered.is_empty() => return Ok(None),
                Turn::Over => return Ok(Some(Wait::Answer)),
            }
        }
        Ok(Some(Wait::No))
    }

    fn begin(&mut self, intended: Instant) {
        let id = (self.sent & i32::MAX as u64) as i32;
        let request = self.load.order.next(self.sent, self.load.requests.len());
        self.load.requests[request].stamp(id, intended, self.load.stamp);
        let sent = Sent { id, request, intended };
        if self.load.acks != Acks::None {
            self.unanswered.push_back(sent);
        }
        self.outgoing = Some(Outgoing { sent, written: 0 });
        self.sent += 1;
    }

    /// Gives the kernel what it takes of the outgoing request; whether there is none any more.
    fn push(&mut self) -> Result<bool, ClientError> {
        let Some(outgoing) = &mut self.outgoing else { return Ok(true) };
        let request = &self.load.requests[outgoing.sent.request];
        while outgoing.written < request.len() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let used = request.slices(outgoing.written, &mut slices);
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let mut no_control = SendAncillaryBuffer::default();
            match sendmsg(&self.load.socket, &slices[..used], &mut no_control, flags) {
                Ok(written) => outgoing.written += written,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        let sent = outgoing.sent;
        self.outgoing = None;
        let now = Instant::now();
        if sent.intended >= self.load.measure_from {
            self.tally.lags.record(now - sent.intended);
        }
        if self.load.acks == Acks::None {
            let batches = self.load.requests[sent.request].content.batches;
            self.count(sent, now, batches, 0);
        }
        Ok(true)
    }

    /// Waits for the answer to a question that is asked behind requests without answers: by then
    /// the broker has taken them all.
    fn settle(&mut self) -> Result<(), ClientError> {
        let question = encode_request(0, 0, Some(CLIENT_ID), &ApiVersionsRequest::default())?;
        let question = question.into_bytes().ok_or(ClientError::Closed)?;
        self.load.socket.write_all(&question).map_err(read_error)?;
        while frame::split(&mut self.received, MAX_RESPONSE)?.is_none() {
            self.fill(RecvFlags::empty())?;
        }
        self.tally.end = self.tally.end.map(|_| Instant::now());
        Ok(())
    }

    /// Reads once, and takes the answers that are complete.
    fn receive(&mut self, flags: RecvFlags) -> Result<(), ClientError> {
        if self.fill(flags)? == 0 {
            return Ok(());
        }
        let now = Instant::now();
        while let Some(frame) = frame::split(&mut self.received, MAX_RESPONSE)? {
            self.answer(frame, now)?;
        }
        Ok(())
    }

    /// Reads once; how many bytes came.
    fn fill(&mut self, flags: RecvFlags) -> Result<usize, ClientError> {
        let mut chunk = [0; RECEIVE_BYTES];
        let received = match recv(&self.load.socket, &mut chunk, flags) {
            Ok((0, _)) => return Err(ClientError::Closed),
            Ok((received, _)) => received,
            Err(Errno::INTR) => 0,
            Err(Errno::AGAIN) if flags.contains(RecvFlags::DONTWAIT) => 0,
            Err(Errno::AGAIN) => return Err(ClientError::Silent),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        self.received.extend_from_slice(&chunk[..received]);
        Ok(received)
    }

    fn answer(&mut self, frame: Bytes, now: Instant) -> Result<(), ClientError> {
        let got = correlation_id(&frame).ok_or(ClientError::Closed)?;
        let sent = self.unanswered.pop_front().filter(|sent| sent.id == got);
        let sent = sent.ok_or(ClientError::Order { expected: -1, got })?;
        let (_, response) = decode_response::<ProduceResponse>(frame, self.load.version)?;
        let codes = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let (mut acknowledged, mut refused) = (0, 0);
        for code in codes.map(|partition| partition.error_code) {
            match code {
                ErrorCode::None => acknowledged += 1,
                code => {
                    refused += 1;
                    self.refused(code)?;
                }
            }
        }
        self.count(sent, now, acknowledged, refused);
        Ok(())
    }

    /// Counts a request of which so many batches were acknowledged.
    fn count(&mut self, sent: Sent, now: Instant, acknowledged: u64, refused: u64) {
        if sent.intended < self.load.measure_from {
            return;
        }
        let content = self.load.requests[sent.request].content;
        let bytes = acknowledged * content.batch_bytes;
        self.tally.batches += acknowledged;
        self.tally.bytes += bytes;
        self.tally.records += acknowledged * content.batch_records;
        self.tally.end = Some(now);
        if refused == 0 {
            self.tally.requests += 1;
            self.tally.answers.record(now - sent.intended);
            self.load.recorder.answer(now - sent.intended, bytes);
        }
    }

    fn refused(&mut self, code: ErrorCode) -> Result<(), ClientError> {
        if let Stamp::Sequence(_) = self.load.stamp {
            return Err(ClientError::Refused { api: corelog_wire::api::ApiKey::Produce, code });
        }
        *self.tally.errors.entry(code.name()).or_default() += 1;
        self.load.recorder.error();
        Ok(())
    }
}

/// So much of a long wait as the kernel does not end too late: it takes the liberty of a
/// thousandth (five of them in a process of low priority).
fn exact_part(time: Duration) -> Duration {
    if time < LONG { time } else { time - time / 50 }
}

/// Waits until the socket is ready for one of `events`, or for so long; how many are ready, 0 or 1.
fn wait(socket: &TcpStream, events: PollFlags, time: Duration) -> Result<usize, ClientError> {
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    match poll(&mut [PollFd::new(socket, events)], Some(&time)) {
        Ok(ready) => Ok(ready),
        // The caller looks for what it waits for again.
        Err(Errno::INTR) => Ok(1),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

#[cfg(test)]
mod tests;
