//! Records as lines: the bytes as they are, or one JSON object each.

use std::io::{self, Write};

use corelog_engine::record::Record;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::Blob;

/// Takes records.
pub(super) trait Print {
    fn record(&mut self, partition: i32, record: &Record<'_>) -> Result<(), Failure>;
}

/// What a line of text has besides the value.
#[derive(Clone, Debug)]
pub(super) struct TextStyle {
    /// `PARTITION:OFFSET`, first.
    pub(super) offsets: bool,
    /// The key, before the value.
    pub(super) keys: bool,
    /// Between them.
    pub(super) separator: String,
}

pub(super) struct Printer<W> {
    out: W,
    /// JSON without one.
    text: Option<TextStyle>,
}

/// In place of a key or value that there is not, as Kafka's console consumer has it.
const NULL: &[u8] = b"null";

impl<W: Write> Printer<W> {
    pub(super) fn text(out: W, style: TextStyle) -> Printer<W> {
        Printer { out, text: Some(style) }
    }

    pub(super) fn json(out: W) -> Printer<W> {
        Printer { out, text: None }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Print for Printer<W> {
    fn record(&mut self, partition: i32, record: &Record<'_>) -> Result<(), Failure> {
        let out = &mut self.out;
        match &self.text {
            Some(style) => write_text(out, style, partition, record)?,
            None => {
                let line = Line::new(partition, record);
                serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
            }
        }
        Ok(out.write_all(b"\n")?)
    }
}

fn write_text(
    out: &mut impl Write,
    style: &TextStyle,
    partition: i32,
    record: &Record<'_>,
) -> io::Result<()> {
    if style.offsets {
        write!(out, "{partition}:{}{}", record.offset, style.separator)?;
    }
    if style.keys {
        out.write_all(record.key.unwrap_or(NULL))?;
        out.write_all(style.separator.as_bytes())?;
    }
    out.write_all(record.value.unwrap_or(NULL))
}

#[derive(Serialize)]
struct Line<'a> {
    partition: i32,
    offset: i64,
    /// Milliseconds since 1970.
    timestamp: i64,
    key: Blob<'a>,
    value: Blob<'a>,
    headers: Vec<Header<'a>>,
}

#[derive(Serialize)]
struct Header<'a> {
    name: Blob<'a>,
    value: Blob<'a>,
}

impl<'a> Line<'a> {
    fn new(partition: i32, record: &Record<'a>) -> Line<'a> {
        let header = |(name, value)| Header { name: Blob(Some(name)), value: Blob(value) };
        Line {
            partition,
            offset: record.offset.0,
            timestamp: record.timestamp.0,
            key: Blob(record.key),
            value: Blob(record.value),
            headers: record.headers.map(header).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::id::{Offset, Timestamp};
    use corelog_engine::record::{BatchBuilder, BatchHeader, Codec, NewRecord, Records};

    fn printed(mut printer: Printer<Vec<u8>>, record: NewRecord<'_>) -> String {
        let mut builder = BatchBuilder::new(Codec::None).base_offset(Offset(7));
        builder.append(record);
        let batch = builder.build().expect("small");
        let header = BatchHeader::parse(&batch).expect("whole");
        let records = Records::open(&header, &batch, 1 << 20).expect("not compressed");
        for record in records.iter() {
            printer.record(3, &record.expect("well formed")).expect("memory takes all");
        }
        String::from_utf8(printer.out).expect("UTF-8")
    }

    fn record() -> NewRecord<'static> {
        NewRecord {
            timestamp: Timestamp(1_700_000_000_000),
            key: Some(b"k"),
            value: Some(b"v"),
            headers: &[("h", Some(b"\xff")), ("h", None)],
        }
    }

    #[test]
    fn text_has_what_was_asked_for() {
        let tombstone = NewRecord { key: None, value: None, ..record() };
        for (offsets, keys, record, expected) in [
            (false, false, record(), "v\n"),
            (false, true, record(), "k|v\n"),
            (true, false, record(), "3:7|v\n"),
            (true, true, record(), "3:7|k|v\n"),
            (false, true, tombstone, "null|null\n"),
        ] {
            let style = TextStyle { offsets, keys, separator: "|".to_owned() };
            assert_eq!(printed(Printer::text(Vec::new(), style), record), expected);
        }
    }

    #[test]
    fn json_has_everything_on_one_line() {
        assert_eq!(
            printed(Printer::json(Vec::new()), record()),
            r#"{"partition":3,"offset":7,"timestamp":1700000000000,"key":"k","value":"v","#
                .to_owned()
                + r#""headers":[{"name":"h","value":{"base64":"/w=="}},{"name":"h","value":null}]}"#
                + "\n"
        );
    }
}
