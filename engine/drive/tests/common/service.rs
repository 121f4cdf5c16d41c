//! The tests' protocol: one byte says what is wanted, little-endian numbers follow. An answer
//! starts with a status byte: 0, or what went wrong.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use corelog_drive::{Answer, Close, PendingReply, Response, Service, Session, ShardHandle, Turn};
use corelog_engine::id::{Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};
use corelog_engine::log::SegmentId;
use corelog_engine::metadata::command::{
    Clamp, Command, CreateTopics, Defaults, Limits, Mode, NewTopic, Outcome, TopicRef,
};
use corelog_engine::record::BatchHeader;
use corelog_engine::shard::effect::Notice;
use corelog_engine::shard::request::{
    Append, Fetch, FetchPart, Lookup, Piece, Reply, Request, Target,
};

pub(crate) const CREATE: u8 = 1;
pub(crate) const APPEND: u8 = 2;
pub(crate) const FETCH: u8 = 3;
pub(crate) const LATEST: u8 = 4;
pub(crate) const ECHO: u8 = 5;
pub(crate) const FILE: u8 = 6;
pub(crate) const DELETE: u8 = 7;
pub(crate) const SILENT: u8 = 8;
pub(crate) const TOPICS: u8 = 9;
/// Takes the request, when its turn has come, and never answers.
pub(crate) const NEVER: u8 = 10;
/// Answers with what shard this is.
pub(crate) const WHERE: u8 = 11;
/// Answers, once its turn has come, with how many of its kind have had theirs.
pub(crate) const IN_TURN: u8 = 12;

pub(crate) struct Tiny(ShardHandle, Rc<Cell<u32>>);

impl Tiny {
    pub(crate) fn new(handle: ShardHandle) -> Tiny {
        Tiny(handle, Rc::default())
    }
}

impl Service for Tiny {
    type Session = TinySession;

    fn connect(&self, _: SocketAddr, _: SocketAddr) -> TinySession {
        TinySession(self.0.clone(), self.1.clone())
    }

    fn notice(&self, notice: &Notice) {
        eprintln!("notice of shard {}: {notice:?}", self.0.shard().0);
    }
}

/// With how many requests have had a turn of their own.
pub(crate) struct TinySession(ShardHandle, Rc<Cell<u32>>);

/// An answer to come.
type Pieces = Pin<Box<dyn Future<Output = Result<Vec<Piece>, Close>>>>;

impl Session for TinySession {
    fn turn(frame: &[u8]) -> Turn {
        match frame.first() {
            Some(&(IN_TURN | NEVER)) => Turn::Own,
            _ => Turn::Shared,
        }
    }

    async fn request(&mut self, mut frame: Bytes) -> Result<Option<Response>, Close> {
        let handle = &self.0;
        let response: Pieces = match frame.get_u8() {
            CREATE => {
                let partitions = frame.get_u32_le();
                let id = TopicId(handle.random());
                let name = String::from_utf8(frame.to_vec()).expect("a name");
                let reply = handle.submit(Request::Metadata(create(&name, id, partitions)));
                Box::pin(async move { Ok(answer_created(reply.await, id)) })
            }
            DELETE => {
                let topics = vec![TopicRef::ById(topic(&mut frame))];
                let reply = handle.submit(Request::Metadata(Command::DeleteTopics(topics)));
                Box::pin(async move {
                    let deleted = matches!(reply.await, Reply::Metadata(Ok(_)));
                    Ok(answer(u8::from(!deleted), &[], Vec::new()))
                })
            }
            APPEND => {
                handle.ready_for_bytes().await;
                let partition = partition(&mut frame);
                Box::pin(answer_appended(append(handle, partition, frame)?))
            }
            FETCH => Box::pin(answer_fetched(fetch(handle, frame))),
            LATEST => {
                let lookup = Lookup {
                    partition: partition(&mut frame),
                    epoch: None,
                    target: Target::Latest,
                };
                Box::pin(answer_found(handle.submit(Request::Lookup(vec![lookup]))))
            }
            IN_TURN => Box::pin(begin(self.1.clone())),
            ECHO => Box::pin(async move { Ok(answer(0, &frame, Vec::new())) }),
            SILENT => return Ok(None),
            NEVER => Box::pin(std::future::pending()),
            FILE => {
                let segment = SegmentId {
                    partition: partition(&mut frame),
                    base: Offset(frame.get_i64_le()),
                };
                let (at, len) = (frame.get_u64_le(), frame.get_u64_le());
                let piece = Piece::File { segment, at, len, flushed: frame.get_u64_le() };
                Box::pin(async move { Ok(answer(0, &[], vec![piece])) })
            }
            TOPICS => {
                let count = handle.image().topics().count() as u64;
                Box::pin(async move { Ok(answer(0, &count.to_le_bytes(), Vec::new())) })
            }
            WHERE => {
                let shard = handle.shard().0;
                Box::pin(async move { Ok(answer(0, &shard.to_le_bytes(), Vec::new())) })
            }
            other => return Err(Close::because(format!("no such request: {other}"))),
        };
        Ok(Some(Box::pin(async move { response.await.map(Answer::from) })))
    }
}

/// Counts requests that have had their turn.
async fn begin(begun: Rc<Cell<u32>>) -> Result<Vec<Piece>, Close> {
    begun.update(|begun| begun + 1);
    Ok(answer(0, &begun.get().to_le_bytes(), Vec::new()))
}

fn create(name: &str, id: TopicId, partitions: u32) -> Command {
    Command::CreateTopics(CreateTopics {
        topics: vec![NewTopic {
            name: name.into(),
            id,
            partitions: partitions as i32,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: BTreeMap::new(),
        }],
        mode: Mode::Apply,
        defaults: Defaults { partitions: 1, replication_factor: 1 },
        clamp: Clamp::Off,
        limits: Limits { partitions: 1_000_000 },
    })
}

fn append(
    handle: &ShardHandle,
    partition: TopicPartition,
    batch: Bytes,
) -> Result<PendingReply, Close> {
    let header = BatchHeader::parse(&batch).map_err(|e| Close::because(format!("{e:?}")))?;
    let append = Append { partition, header, batch, append_time: Timestamp::NONE };
    Ok(handle.submit(Request::Produce(vec![append])))
}

fn fetch(handle: &ShardHandle, mut frame: Bytes) -> PendingReply {
    let partition = partition(&mut frame);
    let offset = Offset(frame.get_i64_le());
    let (max_bytes, wait_ms) = (frame.get_u32_le(), frame.get_u32_le());
    let (epoch, last_epoch) = (None, None);
    let part = FetchPart { partition, offset, max_bytes, epoch, last_epoch };
    handle.submit(Request::Fetch(Fetch {
        max_bytes,
        min_bytes: 1,
        deadline: handle.now().instant.plus_ms(wait_ms.into()),
        parts: Arc::new([part]),
    }))
}

async fn answer_appended(reply: PendingReply) -> Result<Vec<Piece>, Close> {
    Ok(match reply.await {
        Reply::Produce(parts) => match &parts[0] {
            Ok(appended) => answer(0, &appended.base.0.to_le_bytes(), Vec::new()),
            Err(error) => failed(error),
        },
        other => failed(&other),
    })
}

async fn answer_fetched(reply: PendingReply) -> Result<Vec<Piece>, Close> {
    Ok(match reply.await {
        Reply::Fetch(parts) => match parts.into_iter().next().expect("one part") {
            Ok(fetched) => answer(0, &fetched.high_watermark.0.to_le_bytes(), fetched.pieces),
            Err(error) => failed(&error),
        },
        other => failed(&other),
    })
}

async fn answer_found(reply: PendingReply) -> Result<Vec<Piece>, Close> {
    Ok(match reply.await {
        Reply::Lookup(parts) => match &parts[0] {
            Ok(found) => {
                let offset = found.record.map_or(-1, |(offset, _)| offset.0);
                answer(0, &offset.to_le_bytes(), Vec::new())
            }
            Err(error) => failed(error),
        },
        other => failed(&other),
    })
}

fn answer_created(reply: Reply, id: TopicId) -> Vec<Piece> {
    match reply {
        Reply::Metadata(Ok(Outcome::Topics(results))) if results[0].result.is_ok() => {
            answer(0, &id.0, Vec::new())
        }
        other => failed(&other),
    }
}

fn failed(why: &impl std::fmt::Debug) -> Vec<Piece> {
    answer(1, format!("{why:?}").as_bytes(), Vec::new())
}

fn answer(status: u8, head: &[u8], pieces: Vec<Piece>) -> Vec<Piece> {
    let body: u64 = pieces.iter().map(Piece::len).sum();
    let mut bytes = BytesMut::new();
    bytes.put_u32((1 + head.len() as u64 + body) as u32);
    bytes.put_u8(status);
    bytes.put_slice(head);
    let mut all = vec![Piece::Memory(bytes.freeze())];
    all.extend(pieces);
    all
}

fn topic(frame: &mut Bytes) -> TopicId {
    let mut id = [0; 16];
    frame.copy_to_slice(&mut id);
    TopicId(id)
}

fn partition(frame: &mut Bytes) -> TopicPartition {
    let topic = topic(frame);
    TopicPartition { topic, index: PartitionIndex(frame.get_u32_le()) }
}
