//! How a command prints what it found: one value, as text for people or as JSON for programs.

use std::fmt::{self, Display};
use std::io::{self, Write};

use clap::ValueEnum;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// Prints to standard output, with a newline at the end.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn print(format: Format, found: &(impl Display + Serialize)) -> Result<(), Failure> {
    let text = match format {
        Format::Text => found.to_string(),
        Format::Json => serde_json::to_string_pretty(found).map_err(io::Error::from)?,
    };
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Says on standard error what went wrong. Nobody may be listening.
pub(super) fn complain(what: impl Display) {
    let _ = writeln!(io::stderr().lock(), "corelog: {what}");
}

/// Rows of words, in columns that line up.
pub(super) struct Table(pub(super) Vec<Vec<String>>);

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table(rows) = self;
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
        let width = |column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let line: String = cells.map(|(cell, width)| format!("{cell:width$}  ")).collect();
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `1 record`, `2 records`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Bytes that are text more often than not. In JSON: null, a string where they are UTF-8, else
/// `{"base64": "..."}`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob<'a>(pub(super) Option<&'a [u8]>);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(bytes) = self.0 else { return serializer.serialize_none() };
        if let Ok(text) = str::from_utf8(bytes) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &base64(bytes))?;
        map.end()
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            (0..3).fold(0, |word, at| word << 8 | chunk.get(at).copied().map_or(0, u32::from));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_null_text_or_base64() {
        for (bytes, json) in [
            (None, "null"),
            (Some(&b""[..]), r#""""#),
            (Some("gr\u{fc}n \"x\"".as_bytes()), "\"gr\u{fc}n \\\"x\\\"\""),
            (Some(&[0xff]), r#"{"base64":"/w=="}"#),
            (Some(&[0xff, 0]), r#"{"base64":"/wA="}"#),
            (Some(&[0xff, 0, 0x3e]), r#"{"base64":"/wA+"}"#),
            (Some(&[0xff, 0, 0x3e, 1]), r#"{"base64":"/wA+AQ=="}"#),
        ] {
            assert_eq!(serde_json::to_string(&Blob(bytes)).expect("serializes"), json);
        }
    }

    #[test]
    fn tables_line_up_and_end_where_words_end() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = vec![row(&["a", "long", "x"]), row(&["\u{fc}berl\u{e4}nge", "b"]), row(&["c"])];
        let expected = "a          long  x\n\u{fc}berl\u{e4}nge  b\nc";
        assert_eq!(Table(rows).to_string(), expected);
        assert_eq!(Table(Vec::new()).to_string(), "");
    }

    #[test]
    fn nouns_are_counted() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "topic")), ["0 topics", "1 topic", "2 topics"]);
    }
}
