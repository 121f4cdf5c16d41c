//! Record batches that no honest producer sends. Each is answered with Kafka's code, and the log
//! stays as it was.

use std::time::Duration;

use bytes::Bytes;
use corelog_engine::id::{ProducerEpoch, ProducerId, Timestamp};
use corelog_engine::record::{BatchBuilder, Codec, NewRecord, Sequence};
use corelog_tests::live::calls::{self, CallError, LATEST};
use corelog_tests::live::client::Client;
use corelog_tests::live::report::{NotPassed, Outcome};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use corelog_wire::populate::Seed;
use corelog_wire::uuid::Uuid;

use crate::answer::expect_closed;
use crate::bystander;
use crate::site::{Case, Site};

pub(crate) const CASES: &[Case] = &[
    Case { name: "batches/corrupt", attack: corrupt },
    Case { name: "batches/random-damage", attack: random_damage },
    Case { name: "batches/against-the-topic", attack: against_the_topic },
    Case { name: "batches/out-of-sequence", attack: out_of_sequence },
    Case { name: "batches/requests-around", attack: requests_around },
];

const SOON: Duration = Duration::from_secs(10);
/// Changed whole batches that are tried.
const DAMAGES: usize = 2_000;

// Places in a batch's header.
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const PRODUCER: usize = 43;
const COUNT: usize = 57;
const RECORDS: usize = 61;

/// One record: length, attributes, timestamp delta, offset delta, key `key`, value, no headers.
fn valid() -> Vec<u8> {
    bystander::batch(b"a value").to_vec()
}

/// A valid batch with bytes written over, and with the CRC of what it then is.
fn with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut batch = valid();
    for (at, bytes) in changes {
        batch[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    seal(&mut batch);
    batch
}

fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES..]);
    batch[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}

/// With other records than the header says, and the right length.
fn with_records(attributes: u8, records: &[u8]) -> Vec<u8> {
    let mut batch = valid();
    batch.truncate(RECORDS);
    batch.extend_from_slice(records);
    let length = (batch.len() - LENGTH - 4) as i32;
    batch[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    batch[ATTRIBUTES + 1] = attributes;
    seal(&mut batch);
    batch
}

fn damaged_crc() -> Vec<u8> {
    let mut batch = valid();
    batch[CRC] ^= 1;
    batch
}

fn of_size(value: usize) -> Vec<u8> {
    bystander::batch(&vec![b'v'; value]).to_vec()
}

/// What is wrong, the batch, and the codes that Kafka's newest release or we answer with. Where
/// Kafka fails inside (`UNKNOWN_SERVER_ERROR`), we say what is wrong.
type Row = (&'static str, Vec<u8>, &'static [ErrorCode]);

fn rows() -> Vec<Row> {
    use ErrorCode::{
        CorruptMessage, InvalidRecord, MessageTooLarge, UnknownServerError,
        UnsupportedCompressionType,
    };
    const CORRUPT: &[ErrorCode] = &[CorruptMessage];
    const INVALID: &[ErrorCode] = &[InvalidRecord];
    const UNREADABLE: &[ErrorCode] = &[InvalidRecord, UnknownServerError, CorruptMessage];
    const CODEC: &[ErrorCode] = &[UnsupportedCompressionType, UnknownServerError];
    let int = i32::to_be_bytes;
    let mut rows = vec![
        ("another crc", damaged_crc(), CORRUPT),
        ("another value", [&valid()[..RECORDS + 15], &valid()[RECORDS + 14..]].concat(), CORRUPT),
        ("format 0", with(&[(MAGIC, &[0])]), INVALID),
        ("format 1", with(&[(MAGIC, &[1])]), INVALID),
        ("format 3", with(&[(MAGIC, &[3])]), CORRUPT),
        ("format -1", with(&[(MAGIC, &[0xff])]), CORRUPT),
        ("length -1", with(&[(LENGTH, &int(-1))]), CORRUPT),
        ("length 13", with(&[(LENGTH, &int(13))]), CORRUPT),
        ("length of 2 GiB", with(&[(LENGTH, &int(i32::MAX))]), UNREADABLE),
        ("cut", valid()[..valid().len() - 1].to_vec(), INVALID),
        ("no bytes", Vec::new(), INVALID),
        ("half a header", valid()[..30].to_vec(), INVALID),
        ("two batches", [valid(), valid()].concat(), INVALID),
        ("base offset 1", with(&[(7, &[1])]), INVALID),
        ("last offset -1", with(&[(LAST_OFFSET_DELTA, &int(-1))]), INVALID),
        ("last offset of 2^31", with(&[(LAST_OFFSET_DELTA, &int(i32::MAX))]), INVALID),
        ("2 records in 1", with(&[(COUNT, &int(2)), (LAST_OFFSET_DELTA, &int(1))]), INVALID),
        ("count 0", with(&[(COUNT, &int(0))]), INVALID),
        ("count -1", with(&[(COUNT, &int(-1))]), INVALID),
        ("count 2^31", with(&[(COUNT, &int(i32::MAX))]), INVALID),
        ("a control batch", with(&[(ATTRIBUTES + 1, &[0x20])]), INVALID),
        ("a producer without sequence", with(&[(PRODUCER, &[0; 10])]), INVALID),
        ("no records", with_records(0, &[]), INVALID),
        ("a record of length -1", with_records(0, &[1]), INVALID),
        ("a record of 2 GiB", with_records(0, &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0]), INVALID),
        ("a varint without end", with_records(0, &[0xff; 12]), UNREADABLE),
        ("2^31 headers", headers_claim(), INVALID),
        ("bytes after the record", [&valid()[RECORDS..], b"x"].concat(), INVALID),
        ("too large", of_size(2 << 20), &[MessageTooLarge]),
    ];
    // Only its records so far.
    if let Some(row) = rows.iter_mut().find(|row| row.0 == "bytes after the record") {
        row.1 = with_records(0, &row.1);
    }
    for codec in 1..=4 {
        rows.push(("no stream of its codec", with_records(codec, &[0xa5; 40]), UNREADABLE));
        rows.push(("an empty stream", with_records(codec, &[]), UNREADABLE));
    }
    for codec in 5..=7 {
        rows.push(("a codec that does not exist", with_records(codec, &[0; 40]), CODEC));
    }
    rows
}

/// A record that ends with the claim of 2^31 - 1 headers.
fn headers_claim() -> Vec<u8> {
    let body = [0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    with_records(0, &[&[(body.len() as u8) << 1][..], &body].concat())
}

fn refused(
    found: Result<i64, CallError>,
    what: &str,
    codes: &[ErrorCode],
) -> Result<(), NotPassed> {
    match found {
        Err(CallError::Refused(code)) if codes.contains(&code) => Ok(()),
        found => {
            let found = found.map_or_else(|e| e.to_string(), |at| format!("accepted at {at}"));
            Err(NotPassed::Failed(format!("{what}: {found}, not {codes:?}")))
        }
    }
}

fn corrupt(site: &Site, _: &mut Seed) -> Outcome {
    let (mut client, topic) = site.topic("hostile-corrupt", &[])?;
    let rows = rows();
    for (number, (what, batch, codes)) in rows.iter().enumerate() {
        refused(calls::produce(&mut client, topic, 0, batch.clone().into()), what, codes)?;
        let good = calls::produce(&mut client, topic, 0, valid().into())?;
        if good != number as i64 {
            return Err(NotPassed::Failed(format!("{what}: the next batch is at {good}")));
        }
    }
    Ok(format!("{} batches", rows.len()))
}

/// Damage whose CRC is right: refused, or stored as a whole batch.
fn random_damage(site: &Site, seed: &mut Seed) -> Outcome {
    let (mut client, topic) = site.topic("hostile-damage", &[])?;
    let mut accepted = 0;
    for _ in 0..DAMAGES {
        let mut builder = BatchBuilder::new(Codec::ALL[seed.below(5)]);
        for _ in 0..=seed.below(4) {
            let value: [u8; 20] = seed.array();
            builder.append(NewRecord { value: Some(&value), ..NewRecord::default() });
        }
        let mut batch = builder.build()?.to_vec();
        for _ in 0..=seed.below(3) {
            let at = seed.below(batch.len());
            batch[at] = seed.next_u64() as u8;
        }
        if !seed.one_in(10) {
            seal(&mut batch);
        }
        match calls::produce(&mut client, topic, 0, batch.into()) {
            Ok(_) => accepted += 1,
            Err(CallError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    calls::produce(&mut client, topic, 0, valid().into())?;
    Ok(format!("{accepted} of {DAMAGES} harmless"))
}

fn against_the_topic(site: &Site, _: &mut Seed) -> Outcome {
    let (mut client, compacted) = site.topic("hostile-keys", &[("cleanup.policy", "compact")])?;
    let (_, plain) = site.topic("hostile-rules", &[("max.message.bytes", "1000")])?;
    let keyless = |time: i64| {
        let mut batch = BatchBuilder::new(Codec::None);
        let timestamp = Timestamp(time);
        batch.append(NewRecord { timestamp, value: Some(b"v"), ..NewRecord::default() });
        batch.build()
    };
    const YEAR_3000_MS: i64 = 32_503_680_000_000;
    for (what, topic, batch, code) in [
        ("no key", compacted, keyless(1)?, ErrorCode::InvalidRecord),
        ("of the year 3000", plain, keyless(YEAR_3000_MS)?, ErrorCode::InvalidTimestamp),
        ("larger than the topic's", plain, of_size(1_000).into(), ErrorCode::MessageTooLarge),
        ("no topic", Uuid::ZERO, keyless(1)?, ErrorCode::UnknownTopicId),
        ("another topic", Uuid([7; 16]), keyless(1)?, ErrorCode::UnknownTopicId),
    ] {
        refused(calls::produce(&mut client, topic, 0, batch), what, &[code])?;
    }
    let beyond = calls::produce(&mut client, plain, 1, keyless(1)?);
    refused(beyond, "partition 1 of 1", &[ErrorCode::UnknownTopicOrPartition])?;
    match calls::offset_at(&mut client, "hostile-rules", 0, LATEST)? {
        0 => Ok(String::new()),
        end => Err(NotPassed::Failed(format!("{end} records were stored"))),
    }
}

fn out_of_sequence(site: &Site, _: &mut Seed) -> Outcome {
    let (mut client, topic) = site.topic("hostile-sequences", &[])?;
    let producer = calls::eventually(SOON, || calls::producer_id(&mut client))?;
    let batch = |epoch: i16, sequence: i32| -> Bytes {
        let mut batch = BatchBuilder::new(Codec::None).producer(
            ProducerId(producer),
            ProducerEpoch(epoch),
            Sequence(sequence),
        );
        batch.append(NewRecord { value: Some(b"v"), ..NewRecord::default() });
        batch.build().expect("far below 2 GiB")
    };
    let mut produce = |batch| calls::produce(&mut client, topic, 0, batch);
    let out_of_order = &[ErrorCode::OutOfOrderSequenceNumber][..];
    let fenced = &[ErrorCode::InvalidProducerEpoch][..];
    for sequence in 0..3 {
        expect_offset(produce(batch(1, sequence))?, i64::from(sequence))?;
    }
    refused(produce(batch(1, 4)), "a gap", out_of_order)?;
    refused(produce(batch(1, i32::MAX)), "the last sequence", out_of_order)?;
    refused(produce(batch(0, 3)), "an old epoch", fenced)?;
    refused(produce(batch(2, 3)), "a new epoch that goes on", out_of_order)?;
    expect_offset(produce(batch(1, 1))?, 1)?;
    expect_offset(produce(batch(1, 3))?, 3)?;
    expect_offset(produce(batch(2, 0))?, 4)?;
    refused(produce(batch(1, 4)), "an epoch that has become old", fenced)?;
    Ok(String::new())
}

fn expect_offset(found: i64, expected: i64) -> Result<(), NotPassed> {
    match found == expected {
        true => Ok(()),
        false => Err(NotPassed::Failed(format!("stored at {found}, not {expected}"))),
    }
}

/// Batches are right, the requests around them are not.
fn requests_around(site: &Site, _: &mut Seed) -> Outcome {
    use ErrorCode::{InvalidRequiredAcks, None as Fine, UnsupportedCompressionType};
    let (mut client, topic) = site.topic("hostile-requests", &[])?;
    let mut zstd = BatchBuilder::new(Codec::Zstd);
    zstd.append(NewRecord { value: Some(b"v"), ..NewRecord::default() });
    let zstd = zstd.build()?;
    let request = |acks, records: Bytes| {
        let partition_data = vec![PartitionProduceData { index: 0, records: Some(records) }];
        let name = "hostile-requests".into();
        let topic_data = vec![TopicProduceData { name, topic_id: topic, partition_data }];
        ProduceRequest { transactional_id: None, acks, timeout_ms: 1_000, topic_data }
    };
    for (what, version, request, expected) in [
        ("2 acks", 9, request(2, valid().into()), InvalidRequiredAcks),
        ("-2 acks", 13, request(-2, valid().into()), InvalidRequiredAcks),
        ("zstd of an old client", 6, request(-1, zstd.clone()), UnsupportedCompressionType),
        ("zstd", 7, request(-1, zstd), Fine),
    ] {
        let code = code_of(&client.call(version, &request)?);
        if code != Some(expected) {
            return Err(NotPassed::Failed(format!("{what}: {code:?}, not {expected}")));
        }
    }
    silent_failure_hangs_up(&mut client, &request(0, damaged_crc().into()))?;
    Ok(String::new())
}

fn code_of(response: &ProduceResponse) -> Option<ErrorCode> {
    let topic = response.responses.first()?;
    topic.partition_responses.first().map(|partition| partition.error_code)
}

/// Without acks there is no answer that could say it.
fn silent_failure_hangs_up(client: &mut Client, request: &ProduceRequest) -> Result<(), NotPassed> {
    client.set_patience(SOON)?;
    client.send(9, request)?;
    expect_closed(crate::answer::next(client)?, "a corrupt batch without acks")
}
