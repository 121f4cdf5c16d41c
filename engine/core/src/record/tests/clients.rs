//! Batches as seven client libraries send them, which differ in framing: snappy bare or in xerial's
//! stream, LZ4 frames with and without content size and checksum, in blocks of 64 KiB or 4 MiB,
//! gzip and zstd of several encoders.

use super::*;

/// See the head of the file.
pub(super) const CLIENTS: &str = include_str!("../fixtures/client_batches.txt");

pub(super) struct ClientBatch {
    pub(super) name: String,
    pub(super) codec: &'static str,
    pub(super) content: &'static str,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn batches(table: &'static str) -> impl Iterator<Item = ClientBatch> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let [client, version, codec, content, hex] =
            line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let bytes = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        let name = format!("{client} {version} {codec} {content}");
        ClientBatch { name, codec, content, bytes }
    })
}

pub(super) fn batch(table: &'static str, client: &str, codec: Codec, content: &str) -> Vec<u8> {
    batches(table)
        .find(|batch| {
            batch.name.starts_with(client)
                && (batch.codec, batch.content) == (codec.name(), content)
        })
        .unwrap()
        .bytes
}

fn expected(content: &str) -> Vec<Content> {
    (0..3i64)
        .map(|i| {
            let (key, value, headers) = match content {
                "small" => (
                    (i != 1).then(|| format!("k{i}").into()),
                    format!("value-{i} ").repeat(40),
                    if i == 2 { vec![("h".into(), Some("x".into()))] } else { Vec::new() },
                ),
                _ => (None, "corelog-".repeat(3125), Vec::new()),
            };
            Content { offset: i, timestamp: NOW.0 + i, key, value: Some(value.into()), headers }
        })
        .collect()
}

#[test]
fn batches_of_all_clients_are_accepted_and_read() {
    let mut seen = 0;
    for batch in batches(CLIENTS) {
        let validated = validate(&batch.bytes, &Rules::default(), NOW);
        let validated = validated.unwrap_or_else(|e| panic!("{}: {e}", batch.name));
        assert_eq!(validated.codec.name(), batch.codec, "{}", batch.name);
        assert_eq!(validated.max_timestamp, Timestamp(NOW.0 + 2), "{}", batch.name);
        assert_eq!(contents(&batch.bytes).unwrap(), expected(batch.content), "{}", batch.name);
        seen += 1;
    }
    assert_eq!(seen, 55);
}
