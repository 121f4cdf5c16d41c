//! Changes that clients make to a topic's or group's settings, over those it has. The rules are
//! those of Kafka's `ConfigurationControlManager`.

use std::collections::BTreeMap;

use super::setting::{Kind, Setting};

/// A change of one setting. Kafka's `AlterConfigOp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It has this value.
    Set(String),
    /// It is not set any more.
    Delete,
    /// Its list has these items too, comma-separated.
    Append(String),
    /// Its list is without these items.
    Subtract(String),
}

/// Why a change cannot be made; Kafka's INVALID_CONFIG. `Display` is the error message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Can't {op} to key {name} because its type is not LIST.")]
pub(crate) struct NotAList {
    op: &'static str,
    name: String,
}

/// What is set after the changes. `find` looks a setting up by its name.
///
/// # Errors
/// An item is to be added to or taken from what is no list.
pub(crate) fn apply(
    find: impl Fn(&str) -> Option<&'static Setting>,
    set: &BTreeMap<String, String>,
    changes: &[(String, Change)],
) -> Result<BTreeMap<String, String>, NotAList> {
    let mut after = set.clone();
    for (name, change) in changes {
        let items = |op| {
            let setting = find(name).filter(|setting| matches!(setting.kind, Kind::List(_)));
            let setting = setting.ok_or_else(|| NotAList { op, name: name.clone() })?;
            Ok(parts(set.get(name).map(String::as_str).or(setting.default).unwrap_or_default()))
        };
        let value = match change {
            Change::Set(value) => Some(value.clone()),
            Change::Delete => None,
            Change::Append(more) => Some(appended(items("APPEND")?, more)),
            Change::Subtract(less) => Some(subtracted(items("SUBTRACT")?, less)),
        };
        match value {
            Some(value) => _ = after.insert(name.clone(), value),
            None => _ = after.remove(name),
        }
    }
    Ok(after)
}

/// What a list consists of. Blanks belong to the items here, also for Kafka; where the outcome is
/// read as a setting they do not.
fn parts(list: &str) -> Vec<&str> {
    list.split(',').filter(|part| !part.is_empty()).collect()
}

/// The items that a client names. As in Java, commas at the end count for nothing, while other
/// empty items are there, and what comes of them is refused.
fn named(items: &str) -> impl Iterator<Item = &str> {
    let nothing = items.bytes().all(|byte| byte == b',') && !items.is_empty();
    items.trim_end_matches(',').split(',').filter(move |_| !nothing)
}

fn appended<'a>(mut items: Vec<&'a str>, more: &'a str) -> String {
    for item in named(more) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items.join(",")
}

fn subtracted(mut items: Vec<&str>, less: &str) -> String {
    for item in named(less) {
        if let Some(place) = items.iter().position(|there| *there == item) {
            items.remove(place);
        }
    }
    items.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;

    #[test]
    fn changes() {
        let set = |value: &str| Change::Set(value.to_owned());
        let append = |value: &str| Change::Append(value.to_owned());
        let subtract = |value: &str| Change::Subtract(value.to_owned());
        let list = "cleanup.policy";
        let table = [
            // What is set, the change, what is set after it.
            (None, set("compact"), Some("compact")),
            (Some("delete"), set("compact"), Some("compact")),
            (Some("delete"), Change::Delete, None),
            (None, Change::Delete, None),
            // Where nothing is set, the default counts.
            (None, append("compact"), Some("delete,compact")),
            (None, append("delete"), Some("delete")),
            (None, subtract("delete"), Some("")),
            (Some("compact"), append("delete,compact"), Some("compact,delete")),
            (Some("compact,delete"), subtract("compact"), Some("delete")),
            (Some("compact"), subtract("delete"), Some("compact")),
            (Some(""), append("compact"), Some("compact")),
            // As Java splits, and without a look at blanks.
            (Some("compact"), append(""), Some("compact,")),
            (Some("compact"), append(","), Some("compact")),
            (Some("compact"), append("delete,,"), Some("compact,delete")),
            (Some("delete"), append("compact,,delete"), Some("delete,compact,")),
            (Some("compact"), append(" compact"), Some("compact, compact")),
            (Some("compact"), subtract(" compact"), Some("compact")),
            (Some("compact"), subtract(""), Some("compact")),
            (Some("delete,delete"), subtract("delete"), Some("delete")),
        ];
        for (before, change, after) in table {
            let pair = |value: &str| (list.to_owned(), value.to_owned());
            let found = apply(
                table::find_topic,
                &before.map(pair).into_iter().collect(),
                &[(list.to_owned(), change.clone())],
            );
            let after = after.map(pair).into_iter().collect();
            assert_eq!(found, Ok(after), "{before:?} {change:?}");
        }
    }

    #[test]
    fn only_lists_are_added_to() {
        for name in ["retention.ms", "no.such.setting"] {
            for (change, op) in [
                (Change::Append("1".to_owned()), "APPEND"),
                (Change::Subtract("1".to_owned()), "SUBTRACT"),
            ] {
                let changes = [(name.to_owned(), change)];
                let found = apply(table::find_topic, &BTreeMap::new(), &changes);
                assert_eq!(found, Err(NotAList { op, name: name.to_owned() }));
            }
        }
    }
}
