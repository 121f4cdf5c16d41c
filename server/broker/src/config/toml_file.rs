//! TOML: flat quoted keys (`"num.partitions" = 3`), dotted ones and tables (`[num]`) all name the
//! same settings.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::entry::Entry;
use super::problem::{Origin, Problem, Wrong};
use super::value::Raw;

/// Reads `text`. What cannot be read is a problem; what can be read nevertheless are entries.
pub(super) fn parse(path: &Arc<str>, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let at = |offset: usize| Origin::File { path: Arc::clone(path), line: line(text, offset) };
    let problem = |error: toml::de::Error| {
        let origin = at(error.span().map_or(0, |span| span.start));
        Problem { origin, wrong: Wrong::Syntax(error.message().to_owned()) }
    };
    let problems: Vec<Problem> = errors.into_iter().map(problem).collect();
    let mut entries = Vec::new();
    flatten("", table.get_ref(), &at, &mut entries);
    // What the parser made of a broken line is nothing that anybody wrote.
    entries.retain(|(_, entry): &(usize, Entry)| {
        problems.iter().all(|problem| problem.origin != entry.origin)
    });
    entries.sort_by_key(|(offset, _)| *offset);
    (entries.into_iter().map(|(_, entry)| entry).collect(), problems)
}

/// Whether `text` is TOML at all.
pub(super) fn is_toml(text: &str) -> bool {
    DeTable::parse(text).is_ok()
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Collects what `table` and the tables in it say, with the place of each key in the text.
fn flatten(
    prefix: &str,
    table: &DeTable<'_>,
    at: &impl Fn(usize) -> Origin,
    entries: &mut Vec<(usize, Entry)>,
) {
    for (key, value) in table {
        let name = match prefix {
            "" => key.get_ref().to_string(),
            prefix => format!("{prefix}.{}", key.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(&name, inner, at, entries),
            other => {
                let offset = key.span().start;
                entries.push((offset, Entry { name, raw: raw(other), origin: at(offset) }));
            }
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Quoted(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map_or(Raw::Other("an integer of more than 64 bits"), Raw::Integer)
        }
        DeValue::Float(number) => number.as_str().parse().map_or(Raw::Other("a float"), Raw::Float),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> =
                items.iter().map(|item| scalar(item.get_ref())).collect();
            items.map_or(Raw::Other("an array of something else"), Raw::List)
        }
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match raw(value) {
        Raw::Quoted(text) => Some(text),
        Raw::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String, Raw)> {
        let (entries, problems) = parse(&Arc::from("f"), text);
        assert_eq!(problems, [], "{text}");
        let pieces = |entry: Entry| match entry.origin {
            Origin::File { line, .. } => (line, entry.name, entry.raw),
            other => panic!("{other:?}"),
        };
        entries.into_iter().map(pieces).collect()
    }

    #[test]
    fn every_spelling_of_a_key_names_the_same_setting() {
        for text in
            ["\"a.b.c\" = 3", "a.b.c = 3", "[a]\nb.c = 3", "[a.b]\nc = 3", "a = { b.c = 3 }"]
        {
            let found = read(text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].1, "a.b.c", "{text}");
            assert_eq!(found[0].2, Raw::Integer(3), "{text}");
        }
        assert_eq!(read("# c\n\n[a.b]\n\nc = 3")[0].0, 5);
    }

    #[test]
    fn values() {
        let table = [
            ("true", Raw::Bool(true)),
            ("-7", Raw::Integer(-7)),
            ("1_000", Raw::Integer(1000)),
            ("0x10", Raw::Integer(16)),
            ("0.5", Raw::Float(0.5)),
            ("\"7d\"", Raw::Quoted("7d".to_owned())),
            ("[\"a\", 1]", Raw::List(vec!["a".to_owned(), "1".to_owned()])),
            ("[]", Raw::List(vec![])),
            ("[true]", Raw::Other("an array of something else")),
            ("[{a = 1}]", Raw::Other("an array of something else")),
            ("2026-01-01", Raw::Other("a date")),
            ("99999999999999999999", Raw::Other("an integer of more than 64 bits")),
        ];
        for (text, expected) in table {
            assert_eq!(read(&format!("k = {text}"))[0].2, expected, "{text}");
        }
    }

    #[test]
    fn a_syntax_error_says_its_line_and_does_not_hide_the_next() {
        let (entries, problems) = parse(&Arc::from("f"), "a = 1\nb = \nc = 2\nd = [1\n");
        assert_eq!(entries.len(), 2, "{entries:?}");
        let lines: Vec<String> =
            problems.iter().map(|problem| problem.origin.to_string()).collect();
        assert!(lines.contains(&"f:2".to_owned()), "{lines:?}");
        assert!(lines.len() > 1, "{lines:?}");
    }
}
