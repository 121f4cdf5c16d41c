//! `corelog consume`: from a place in each partition to its end, or on and on.

mod positions;
mod printer;

use std::io::{self, BufWriter};

use clap::Args;

use super::client::{ClientArguments, Cluster, Refusal, Retries, records};
use super::failure::Failure;
use super::output::Format;
use super::place::Place;
use super::separator;
use positions::Positions;
use printer::{Printer, TextStyle};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The topic's name
    topic: String,
    /// Where to begin: start, end, an offset, or a time, either @ and milliseconds since 1970 or as
    /// 2026-01-31T12:00:00Z
    #[arg(long, value_name = "start|end|OFFSET|@MS|TIME", default_value = "start")]
    from: Place,
    /// Read only this partition
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// End after so many records
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Wait for more at the end, instead of ending there
    #[arg(short, long)]
    follow: bool,
    /// Print the key before the value
    #[arg(long)]
    print_key: bool,
    /// Print PARTITION:OFFSET before everything else
    #[arg(long)]
    offsets: bool,
    /// What to print between offset, key and value; \t is a tab
    #[arg(long, value_name = "SEP", default_value = "\\t", value_parser = separator::parse)]
    key_separator: String,
    #[command(flatten)]
    client: ClientArguments,
}

impl Arguments {
    fn printer(&self) -> Printer<BufWriter<io::StdoutLock<'static>>> {
        let out = BufWriter::new(io::stdout().lock());
        match self.client.output {
            Format::Json => Printer::json(out),
            Format::Text => Printer::text(
                out,
                TextStyle {
                    offsets: self.offsets,
                    keys: self.print_key,
                    separator: self.key_separator.clone(),
                },
            ),
        }
    }
}

/// Of a partition, in one answer.
const PARTITION_MAX_BYTES: i32 = 4 << 20;

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&arguments.client.bootstrap)?;
    let mut topic = cluster.topic(&arguments.topic)?;
    let mut positions = Positions::find(&mut cluster, &topic, arguments)?;
    let mut printer = arguments.printer();
    let mut retries = Retries::new();
    while !positions.are_finished() {
        let fetched = cluster.fetch(&topic, positions.unfinished(), PARTITION_MAX_BYTES)?;
        let mut refused = None;
        for (partition, answer) in fetched {
            match records(&topic, partition, answer) {
                Ok(records) => positions.take(partition, &records, &mut printer)?,
                Err(Refusal::OutOfRange) => {
                    return Err(positions.out_of_range(&mut cluster, &topic, partition));
                }
                Err(Refusal::ForNow(failure)) => refused = Some(failure),
                Err(Refusal::ForGood(failure)) => return Err(failure),
            }
        }
        printer.flush()?;
        match refused {
            None => retries.reset(),
            Some(failure) => {
                retries.pause(failure)?;
                topic = cluster.topic(&topic.name)?;
            }
        }
    }
    Ok(())
}
