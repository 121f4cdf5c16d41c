//! Reads everything back, and holds it against the ledgers.

use bytes::Bytes;
use corelog_tests::live::calls::{self, CallError, EARLIEST, LATEST, Limits, Place};
use corelog_tests::live::client::Client;
use corelog_wire::messages::fetch::PartitionData;

use crate::batch::{self, BatchId, Stored};
use crate::world::{Partition, World};

const LIMITS: Limits = Limits { max_bytes: 8 << 20, max_wait_ms: 0 };
/// Faults that are written out; one cause has many.
const FAULTS_TOLD: usize = 12;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compared {
    pub(crate) topics: usize,
    pub(crate) batches: usize,
    pub(crate) unanswered: usize,
    pub(crate) bytes: usize,
}

/// One partition's batches, and what its watermarks say.
struct Log {
    batches: Vec<Stored>,
    bytes: usize,
    start: i64,
    high_watermark: i64,
}

/// Holds all topics and all their records against what is known, and settles what was not known.
pub(crate) fn verify(client: &mut Client, world: &World) -> Result<Compared, String> {
    let found = calls::topics(client).map_err(|error| format!("metadata: {error}"))?;
    let mut faults = world.take_faults();
    faults.extend(world.topics().reconcile(&found));
    let live: Vec<Partition> = world.topics().live().collect();
    let mut compared = Compared { topics: world.topics().by_id.len(), ..Compared::default() };
    for partition in live {
        let name = world.topics().by_id[&partition.topic].name.clone();
        let place = format!("{name}-{}", partition.index);
        match read(client, partition) {
            Ok(log) => {
                faults.extend(lookups(client, &name, partition.index, &log));
                settle(partition, &place, &log, world, &mut compared, &mut faults);
            }
            Err(error) => faults.push(format!("{place}: {error}")),
        }
    }
    told(&faults).map_or(Ok(compared), Err)
}

/// The first faults in one text; `None` when there are none.
fn told(faults: &[String]) -> Option<String> {
    let shown = faults.iter().take(FAULTS_TOLD).map(String::as_str).collect::<Vec<_>>();
    let more = match faults.len().saturating_sub(FAULTS_TOLD) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    (!faults.is_empty()).then(|| format!("{}{more}", shown.join("\n  ")))
}

fn settle(
    partition: Partition,
    place: &str,
    log: &Log,
    world: &World,
    compared: &mut Compared,
    faults: &mut Vec<String>,
) {
    let mut topics = world.topics();
    let Some(topic) = topics.by_id.get_mut(&partition.topic) else { return };
    match topic.partitions[partition.index as usize].check(&log.batches) {
        Ok(checked) => {
            compared.batches += checked.stored;
            compared.unanswered += checked.unanswered;
            compared.bytes += log.bytes;
        }
        Err(wrong) => faults.extend(wrong.iter().map(|fault| format!("{place}: {fault}"))),
    }
}

fn read(client: &mut Client, partition: Partition) -> Result<Log, CallError> {
    let mut place = Place { topic: partition.topic, partition: partition.index, offset: 0 };
    let mut log = Log { batches: Vec::new(), bytes: 0, start: 0, high_watermark: 0 };
    loop {
        let data = calls::fetch(client, place, LIMITS)?;
        log.start = data.log_start_offset;
        log.high_watermark = data.high_watermark;
        let batches = batches(&data)?;
        let Some(last) = batches.last() else { return Ok(log) };
        place.offset = last.next_offset();
        log.bytes +=
            data.records.iter().filter_map(|r| r.as_bytes()).map(Bytes::len).sum::<usize>();
        log.batches.extend(batches);
    }
}

fn batches(data: &PartitionData) -> Result<Vec<Stored>, CallError> {
    let empty = Bytes::new();
    let records = data.records.as_ref().and_then(|records| records.as_bytes()).unwrap_or(&empty);
    let batches = batch::stored(records).map_err(CallError::Batches)?;
    // Bytes without a whole batch in them would be asked for forever.
    if batches.is_empty() && !records.is_empty() { Err(CallError::Missing) } else { Ok(batches) }
}

/// Asks for the ends and for some times; the log itself says what the answers must be.
fn lookups(client: &mut Client, topic: &str, partition: i32, log: &Log) -> Vec<String> {
    let end = log.batches.last().map_or(0, Stored::next_offset);
    let mut asked = vec![("earliest", EARLIEST, 0), ("latest", LATEST, end)];
    for id in some_ids(log) {
        let first = log.batches.iter().find(|batch| batch.id >= id);
        asked.push(("time", id.0, first.map_or(-1, |batch| batch.offset)));
    }
    let mut faults = Vec::new();
    if (log.start, log.high_watermark) != (0, end) {
        let Log { start, high_watermark, .. } = log;
        faults.push(format!("{topic}-{partition}: {start} to {high_watermark}, not 0 to {end}"));
    }
    for (what, time, expected) in asked {
        match calls::offset_at(client, topic, partition, time) {
            Ok(found) if found == expected => {}
            Ok(found) => faults
                .push(format!("{topic}-{partition}: {what} {time} is {found}, not {expected}")),
            Err(error) => faults.push(format!("{topic}-{partition}: {what} {time}: {error}")),
        }
    }
    faults
}

/// Of batches in the middle and at the end, and one that no batch has.
fn some_ids(log: &Log) -> Vec<BatchId> {
    let batches = &log.batches;
    let at = |index: usize| batches.get(index).map(|batch| batch.id);
    let known = [at(batches.len() / 3), at(batches.len() / 2), at(batches.len().wrapping_sub(1))];
    let beyond = batches.iter().map(|batch| BatchId(batch.id.0 + 1)).max();
    known.into_iter().chain([beyond]).flatten().collect()
}
