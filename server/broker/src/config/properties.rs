//! Java's format for `.properties` files, as `java.util.Properties` reads it, so that an existing
//! `server.properties` needs no change. The one difference: a file that is UTF-8 is read as UTF-8.

use std::sync::Arc;

use super::entry::Entry;
use super::problem::{Origin, Problem, Wrong};
use super::value::Raw;

/// Reads `text`. Lines that cannot be read are problems, the others entries.
pub(super) fn parse(path: &Arc<str>, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (line, logical) in logical_lines(text) {
        let origin = Origin::File { path: Arc::clone(path), line };
        let (name, value) = split(&logical);
        match (unescape(name), unescape(value)) {
            (Some(name), Some(value)) => {
                entries.push(Entry { name, raw: Raw::Plain(value), origin });
            }
            _ => {
                let wrong = Wrong::Syntax("\\u takes four hexadecimal digits".to_owned());
                problems.push(Problem { origin, wrong });
            }
        }
    }
    (entries, problems)
}

/// Lines without comments and blank ones, with continuations joined, and their first line numbers.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut natural = text.split('\n').enumerate();
    let mut logical = Vec::new();
    while let Some((index, line)) = natural.next() {
        let line = line.trim_start_matches(is_blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = line.to_owned();
        while continues(&joined) {
            joined.pop();
            match natural.next() {
                Some((_, next)) => joined.push_str(next.trim_start_matches(is_blank)),
                None => break,
            }
        }
        logical.push((index + 1, joined));
    }
    logical
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Ends in an odd number of backslashes: the last one is not itself escaped.
fn continues(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped; one `=` or `:` with blanks
/// around it separates it from the value.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || is_blank(c));
        escaped = !escaped && c == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

/// Replaces the escapes; `None` at a malformed `\u`.
fn unescape(text: &str) -> Option<String> {
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = rest.next() {
        let plain = match c {
            '\\' => match rest.next() {
                Some('u') => {
                    let digits = rest.as_str().get(..4)?;
                    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return None;
                    }
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    rest = rest.as_str()[4..].chars();
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String, String)> {
        let (entries, problems) = parse(&Arc::from("f"), text);
        assert_eq!(problems, [], "{text:?}");
        let pieces = |entry: Entry| match entry.origin {
            Origin::File { line, .. } => (line, entry.name, entry.raw.to_string()),
            other => panic!("{other:?}"),
        };
        entries.into_iter().map(pieces).collect()
    }

    #[test]
    fn one_line() {
        let table = [
            ("a=b", "a", "b"),
            ("a = b", "a", "b"),
            ("a:b", "a", "b"),
            ("a b", "a", "b"),
            ("a\tb", "a", "b"),
            ("  a=b", "a", "b"),
            ("a==b", "a", "=b"),
            ("a = = b", "a", "= b"),
            ("a b=c", "a", "b=c"),
            ("a=b ", "a", "b "),
            ("a=", "a", ""),
            ("a", "a", ""),
            ("=b", "", "b"),
            ("a\\=b=c", "a=b", "c"),
            ("a\\ b c", "a b", "c"),
            ("a=PLAINTEXT://:9092,B://:1", "a", "PLAINTEXT://:9092,B://:1"),
            ("a=b#c", "a", "b#c"),
            ("a=\\u00e9\\u0041", "a", "éA"),
            ("a=\\ud83d\\ude00", "a", "😀"),
            ("a=x\\ty\\nz\\q", "a", "x\ty\nzq"),
            ("a=c:\\\\d", "a", "c:\\d"),
            ("a=é", "a", "é"),
            ("a=b\\", "a", "b"),
        ];
        for (text, name, value) in table {
            assert_eq!(read(text), [(1, name.to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn many_lines() {
        let text =
            "# c\n! c\r\n\n  # c\na=1\rb=2,\\\n   \t3,\\\r\n4\nc=5\\\\\nd=6\\\n\ne=7\\\n#8\n";
        let expected =
            [(5, "a", "1"), (6, "b", "2,3,4"), (9, "c", "5\\"), (10, "d", "6"), (12, "e", "7#8")];
        let expected = expected.map(|(line, a, b)| (line, a.to_owned(), b.to_owned()));
        assert_eq!(read(text), expected);
        assert_eq!(read("# a comment does not continue \\\na=1").len(), 1);
        assert_eq!(read(" \t\n\n"), []);
    }

    #[test]
    fn a_malformed_escape_is_a_problem_and_the_rest_is_read() {
        for bad in ["a=\\u12", "a=\\u12g4", "\\uD800=x", "a=\\u+123"] {
            let (entries, problems) = parse(&Arc::from("f"), &format!("{bad}\nb=1"));
            assert_eq!(entries.len(), 1, "{bad}");
            assert_eq!(problems.len(), 1, "{bad}");
            assert!(problems[0].to_string().starts_with("f:1: "), "{}", problems[0]);
        }
    }
}
