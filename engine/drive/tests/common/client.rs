//! The other side of [`service`](super::service), on plain blocking sockets.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use corelog_engine::id::{PartitionIndex, Timestamp, TopicId, TopicPartition};
use corelog_engine::record::batch::split;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};

use super::service::{APPEND, CREATE, DELETE, ECHO, FETCH, FILE, LATEST, TOPICS, WHERE};

/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

/// An answer that is no success, in the broker's words.
pub(crate) type Refused = String;

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        Client { stream }
    }

    /// Connects until the connection is served by this shard.
    pub(crate) fn connect_to_shard(address: SocketAddr, shard: u16) -> Client {
        for _ in 0..1000 {
            let mut client = Client::connect(address);
            client.send(&[WHERE]);
            if client.receive() == Ok(shard.to_le_bytes().to_vec()) {
                return client;
            }
        }
        panic!("no connection to shard {shard}")
    }

    pub(crate) fn send(&mut self, body: &[u8]) {
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.stream.write_all(&frame).expect("send");
    }

    pub(crate) fn receive(&mut self) -> Result<Vec<u8>, Refused> {
        self.try_receive().expect("an answer")
    }

    pub(crate) fn try_receive(&mut self) -> io::Result<Result<Vec<u8>, Refused>> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut body = vec![0; u32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut body)?;
        let rest = body.split_off(1);
        Ok(match body[0] {
            0 => Ok(rest),
            _ => Err(String::from_utf8_lossy(&rest).into_owned()),
        })
    }

    pub(crate) fn ask(&mut self, body: &[u8]) -> Result<Vec<u8>, Refused> {
        self.send(body);
        self.receive()
    }

    pub(crate) fn create(&mut self, name: &str, partitions: u32) -> TopicId {
        let body = [&[CREATE][..], &partitions.to_le_bytes(), name.as_bytes()].concat();
        let id = self.ask(&body).expect("created");
        TopicId(id.try_into().expect("an id"))
    }

    pub(crate) fn delete(&mut self, topic: TopicId) {
        self.ask(&[&[DELETE][..], &topic.0].concat()).expect("deleted");
    }

    pub(crate) fn append(
        &mut self,
        partition: TopicPartition,
        batch: &[u8],
    ) -> Result<i64, Refused> {
        self.ask(&append_body(partition, batch)).map(|base| number(&base))
    }

    /// The high watermark and what follows `offset`, waiting for something to.
    pub(crate) fn fetch(
        &mut self,
        partition: TopicPartition,
        offset: i64,
        max_bytes: u32,
        wait_ms: u32,
    ) -> Result<(i64, Vec<u8>), Refused> {
        let mut answer = self.ask(&fetch_body(partition, offset, max_bytes, wait_ms))?;
        let batches = answer.split_off(8);
        Ok((number(&answer), batches))
    }

    /// All batches from `offset` up to the high watermark.
    pub(crate) fn fetch_all(&mut self, partition: TopicPartition, mut offset: i64) -> Vec<Bytes> {
        let mut all = Vec::new();
        loop {
            let (high, batches) = self.fetch(partition, offset, 1 << 20, 0).expect("fetched");
            assert!(offset >= high || !batches.is_empty(), "nothing at {offset} below {high}");
            for batch in split(&Bytes::from(batches)) {
                let (header, batch) = batch.expect("whole batches");
                offset = header.base_offset.0 + i64::from(header.last_offset_delta) + 1;
                all.push(batch);
            }
            if offset >= high {
                return all;
            }
        }
    }

    pub(crate) fn latest(&mut self, partition: TopicPartition) -> Result<i64, Refused> {
        self.ask(&[&[LATEST][..], &name(partition)].concat()).map(|offset| number(&offset))
    }

    pub(crate) fn topics(&mut self) -> i64 {
        number(&self.ask(&[TOPICS]).expect("counted"))
    }

    pub(crate) fn echo(&mut self, payload: &[u8]) -> Vec<u8> {
        self.ask(&[&[ECHO][..], payload].concat()).expect("echoed")
    }
}

/// A range of a file of which no more is known to be flushed.
pub(crate) fn file_body(partition: TopicPartition, base: i64, at: u64, len: u64) -> Vec<u8> {
    flushed_body(partition, base, [at, len, at + len])
}

/// A range of a file by where it starts, its length, and how far the file is flushed.
pub(crate) fn flushed_body(partition: TopicPartition, base: i64, range: [u64; 3]) -> Vec<u8> {
    let range = range.map(u64::to_le_bytes).concat();
    [&[FILE][..], &name(partition), &base.to_le_bytes(), &range].concat()
}

pub(crate) fn append_body(partition: TopicPartition, batch: &[u8]) -> Vec<u8> {
    [&[APPEND][..], &name(partition), batch].concat()
}

pub(crate) fn fetch_body(
    partition: TopicPartition,
    offset: i64,
    max: u32,
    wait_ms: u32,
) -> Vec<u8> {
    let (offset, max, wait) = (offset.to_le_bytes(), max.to_le_bytes(), wait_ms.to_le_bytes());
    [&[FETCH][..], &name(partition), &offset, &max, &wait].concat()
}

pub(crate) fn partition(topic: TopicId, index: u32) -> TopicPartition {
    TopicPartition { topic, index: PartitionIndex(index) }
}

fn name(partition: TopicPartition) -> Vec<u8> {
    [&partition.topic.0[..], &partition.index.0.to_le_bytes()].concat()
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// A batch of one record, which says which one it is.
pub(crate) fn batch(number: u64, len: usize) -> Bytes {
    let value: Vec<u8> = (0..len).map(|i| (i as u64 ^ number) as u8).collect();
    let key = number.to_le_bytes();
    let mut builder = BatchBuilder::new(Codec::None);
    let timestamp = Timestamp(1_700_000_000_000 + number as i64);
    builder.append(NewRecord { timestamp, key: Some(&key), value: Some(&value), headers: &[] });
    builder.build().expect("a small batch")
}

/// What producers make of a batch: without the fields that the broker writes.
pub(crate) fn producers_part(batch: &[u8]) -> &[u8] {
    &batch[21..]
}
