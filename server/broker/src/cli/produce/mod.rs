//! `corelog produce`: lines to records, records to batches, batches to leaders.
//!
//! Lines that are at hand go out together, one batch for each partition and one request at a time
//! for each leader; then the next lines are read.

mod batches;
mod lines;
mod partitioner;
mod send;
mod summary;

use std::hash::{BuildHasher, RandomState};
use std::io;

use clap::Args;
use corelog_engine::record::{Codec, NewRecord};

use super::client::{ClientArguments, Cluster};
use super::clock::now;
use super::failure::Failure;
use super::output::print;
use super::separator;
use batches::Batches;
use lines::Lines;
use partitioner::Partitioner;
use send::{Acks, Sender};
use summary::Summary;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The topic's name
    topic: String,
    /// What is before the first one of these on a line is the key; \t is a tab
    #[arg(long, value_name = "SEP", value_parser = separator::parse)]
    key_separator: Option<String>,
    /// Write to this partition [default: by the key's hash, else any]
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "CODEC", default_value = "none", value_parser = codec)]
    compression: Codec,
    /// Who must have the records before they count as written
    #[arg(long, value_enum, default_value_t = Acks::All)]
    acks: Acks,
    #[command(flatten)]
    client: ClientArguments,
}

fn codec(name: &str) -> Result<Codec, &'static str> {
    let found = Codec::ALL.into_iter().find(|codec| codec.name() == name);
    found.ok_or("not one of none, gzip, snappy, lz4, zstd")
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&arguments.client.bootstrap)?;
    let topic = cluster.topic(&arguments.topic)?;
    let partitioner = match arguments.partition {
        Some(index) => Partitioner::Fixed(topic.partition(index)?.index),
        None => Partitioner::by_key(&topic, RandomState::new().hash_one(())),
    };
    let mut producer = Producer {
        partitioner,
        batches: Batches::new(arguments.compression),
        summary: Summary::new(&topic.name),
        sender: Sender { cluster, topic, acks: arguments.acks },
    };
    let mut lines = Lines::new(io::stdin().lock());
    while let Some((number, line)) = lines.next().map_err(Failure::Input)? {
        let (key, value) = record(line, number, arguments.key_separator.as_deref())?;
        producer.add(key, value)?;
        if !lines.is_at_hand() {
            producer.flush()?;
        }
    }
    producer.flush()?;
    producer.sender.finish()?;
    print(arguments.client.output, &producer.summary)
}

/// The key, if lines have one, and the value.
fn record<'a>(
    line: &'a [u8],
    number: u64,
    separator: Option<&str>,
) -> Result<(Option<&'a [u8]>, &'a [u8]), Failure> {
    let Some(separator) = separator else { return Ok((None, line)) };
    match separator::split(line, separator) {
        Some((key, value)) => Ok((Some(key), value)),
        None => Err(Failure::NoSeparator { line: number, separator: separator.to_owned() }),
    }
}

struct Producer {
    partitioner: Partitioner,
    batches: Batches,
    summary: Summary,
    sender: Sender,
}

impl Producer {
    fn add(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<(), Failure> {
        let len = key.map_or(0, <[u8]>::len) + value.len();
        let mut partition = self.partitioner.partition(key);
        if !self.batches.has_room(partition, len) {
            self.flush()?;
            partition = self.partitioner.partition(key);
        }
        let record = NewRecord { timestamp: now(), key, value: Some(value), headers: &[] };
        self.batches.add(partition, record);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let batches = self.batches.take()?;
        if !batches.is_empty() {
            self.summary.add(&self.sender.send(batches)?);
            self.partitioner.next_batch();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_records() {
        let some = |key: &'static str| Some(key.as_bytes());
        for (line, separator, expected) in [
            ("k:v", None, (None, "k:v")),
            ("k:v:w", Some(":"), (some("k"), "v:w")),
            (":", Some(":"), (some(""), "")),
        ] {
            let found = record(line.as_bytes(), 1, separator).expect("a record");
            assert_eq!(found, (expected.0, expected.1.as_bytes()), "{line}");
        }
        let failure = record(b"v", 12, Some("\t")).expect_err("no separator").to_string();
        assert_eq!(failure, "line 12 has no `\t` between key and value");
    }

    #[test]
    fn codecs_have_kafkas_names() {
        assert_eq!(codec("zstd"), Ok(Codec::Zstd));
        assert!(codec("brotli").is_err());
    }
}
