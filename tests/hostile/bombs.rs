//! Batches that are small until somebody decompresses them. Kafka takes or refuses them; the broker
//! must answer, stay within its memory, and go on serving others meanwhile.

use std::thread::scope;
use std::time::Duration;

use bytes::Bytes;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};
use corelog_tests::live::calls::{self, CallError};
use corelog_tests::live::report::{NotPassed, Outcome};
use corelog_wire::uuid::Uuid;

use crate::site::{Case, Site};

pub(crate) const CASES: &[Case] = &[
    Case { name: "bombs/gzip", attack: |site, _| explode(site, Codec::Gzip, 600 << 20) },
    Case { name: "bombs/snappy", attack: |site, _| explode(site, Codec::Snappy, 18 << 20) },
    Case { name: "bombs/lz4", attack: |site, _| explode(site, Codec::Lz4, 240 << 20) },
    Case { name: "bombs/zstd", attack: |site, _| explode(site, Codec::Zstd, 600 << 20) },
    Case { name: "bombs/zstd-window-of-2-gib", attack: |site, _| zstd_window(site) },
];

/// At the same time.
const ATTACKERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

fn explode(site: &Site, codec: Codec, bytes: usize) -> Outcome {
    let mut batch = BatchBuilder::new(codec);
    let zeros = vec![0; bytes];
    batch.append(NewRecord { value: Some(&zeros), key: Some(b"k"), ..NewRecord::default() });
    drop(zeros);
    throw(site, codec.name(), &batch.build()?)
}

/// A frame of zstd that asks for a window of 2 GiB, and has one block of 128 KiB, all zeros.
fn zstd_window(site: &Site) -> Outcome {
    let mut batch = BatchBuilder::new(Codec::Zstd);
    batch.append(NewRecord { value: Some(b""), key: Some(b"k"), ..NewRecord::default() });
    let header = &batch.build()?[..61];
    // Magic; no checksum and no content size; window 2^(10 + 21); last block, RLE, 2^17.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x03, 0x00, 0x10, 0x00];
    let mut batch = [header, &frame].concat();
    batch[8..12].copy_from_slice(&((61 - 12 + frame.len()) as i32).to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    throw(site, "zstd-window", &batch.into())
}

fn throw(site: &Site, name: &str, bomb: &Bytes) -> Outcome {
    let (_, topic) = site.topic(&format!("hostile-bomb-{name}"), &[])?;
    let clients = (0..ATTACKERS).map(|_| site.connect(PATIENCE)).collect::<Result<Vec<_>, _>>()?;
    let answers = scope(|scope| {
        let throw = |mut client| scope.spawn(move || produced(&mut client, topic, bomb));
        let throwing: Vec<_> = clients.into_iter().map(throw).collect();
        throwing.into_iter().map(|thrown| thrown.join()).collect::<Vec<_>>()
    });
    let mut told = Vec::new();
    for answer in answers {
        told.push(answer.map_err(|_| NotPassed::Failed("an attacker panicked".into()))??);
    }
    Ok(format!("{} KiB: {}", bomb.len() >> 10, told.join(", ")))
}

/// What the broker says to it.
fn produced(
    client: &mut corelog_tests::live::client::Client,
    topic: Uuid,
    bomb: &Bytes,
) -> Result<String, CallError> {
    match calls::produce(client, topic, 0, bomb.clone()) {
        Ok(offset) => Ok(format!("accepted at {offset}")),
        Err(CallError::Refused(code)) => Ok(code.to_string()),
        Err(error) => Err(error),
    }
}
