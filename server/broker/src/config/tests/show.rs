//! What people and programs are shown: list, check, documentation.

use super::super::list::{ListFormat, list};
use super::super::{check, table};
use super::loaded;

#[test]
fn the_list_for_programs_has_every_setting() {
    let rows: Vec<serde_json::Value> = serde_json::from_str(&list(ListFormat::Json)).unwrap();
    assert_eq!(
        rows.len(),
        table::broker().count() + table::topic().count() + table::group().count()
    );
    let retention = rows.iter().find(|row| row["name"] == "retention.ms").unwrap();
    let expected = serde_json::json!({
        "name": "retention.ms",
        "scope": "topic",
        "type": "long",
        "unit": "milliseconds",
        "default": "7d",
        "allowed": "at least -1",
        "change": "live",
        "effect": "later",
        "aliases": [],
        "inherits_from": ["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        "documentation": "Drop segments whose newest record is older; -1 is no limit. No effect \
                          yet: nothing is dropped, a log grows until it is deleted.",
    });
    assert_eq!(*retention, expected);
}

#[test]
fn the_list_for_people() {
    let text = list(ListFormat::Text);
    let expected = "\
node.id  [broker, int, at start]
    This broker's number in its cluster. It must not change once data has been written.
    default 1; allowed: at least 0
    also called broker.id

cluster.id  [broker, string, at start]
    The cluster's identity. Unset, the first start makes one up and every later start keeps it.
    default (unset); allowed: at most 64 letters, digits, - and _

";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\nlog.retention.hours  [broker, int of hours, at start]\n"));
    let synonyms = "    inherits from log.flush.interval.ms, log.flush.scheduler.interval.ms\n";
    assert!(text.contains(synonyms));
}

#[test]
fn a_check_says_what_counts_and_where_it_comes_from() {
    let file = "num.partitions=3\nnum.io.threads=8\nlog.retention.hours=168\n";
    let environment = [("CORELOG_LOG_LEVEL", "warn")];
    let outcome = loaded((Some(("s.properties", file)), &environment, &[]));
    let expected = "\
num.partitions = 3  (s.properties:1)
log.retention.hours = 168  (s.properties:3)
log.level = warn  (environment CORELOG_LOG_LEVEL)
note: s.properties:2: num.io.threads: ignored: each core runs one thread, `cores` says which
ok
";
    assert_eq!(check::report(&outcome), expected);
    let outcome = loaded((Some(("s.properties", "num.io.threads=8\nbroker.id=x\n")), &[], &[]));
    let expected = "\
note: s.properties:1: num.io.threads: ignored: each core runs one thread, `cores` says which
error: s.properties:2: broker.id = x: expected a whole number; allowed is at least 0, the default \
is `1`
";
    assert_eq!(check::report(&outcome), expected);
}

/// `UPDATE=1` writes the page instead.
#[test]
fn the_documentation_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let page = list(ListFormat::Markdown);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == page, "docs/settings.md differs from the table: run with UPDATE=1");
}
