//! Looking things up in the table.

use super::broker_settings::BROKER;
use super::group_settings::GROUP;
use super::setting::{self, Setting};
use super::topic_settings::TOPIC;

/// The broker's settings, in the groups of the documentation.
#[must_use]
pub(crate) fn groups() -> &'static [setting::Group] {
    BROKER
}

/// Every broker setting.
pub(crate) fn broker() -> impl Iterator<Item = &'static Setting> {
    BROKER.iter().flat_map(|group| group.rows)
}

/// Every topic setting, by name.
pub(crate) fn topic() -> impl Iterator<Item = &'static Setting> {
    TOPIC.iter()
}

/// Every setting of a group, by name.
pub(crate) fn group() -> impl Iterator<Item = &'static Setting> {
    GROUP.iter()
}

/// The broker setting of this name or alias.
#[must_use]
pub(crate) fn find_broker(name: &str) -> Option<&'static Setting> {
    broker().find(|row| row.name == name || row.aliases.contains(&name))
}

/// The topic setting of this name.
#[must_use]
pub(crate) fn find_topic(name: &str) -> Option<&'static Setting> {
    topic().find(|row| row.name == name)
}

/// The group setting of this name.
#[must_use]
pub(crate) fn find_group(name: &str) -> Option<&'static Setting> {
    group().find(|row| row.name == name)
}

/// The one of `candidates` that is most like `name`, if any is near enough to be meant.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (name.len() / 3).min(4);
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(a != b);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let table = [
            ("", "", 0),
            ("", "abc", 3),
            ("num.partitions", "num.partitions", 0),
            ("num.partition", "num.partitions", 1),
            ("num.patritions", "num.partitions", 1),
            ("nmu.partitionz", "num.partitions", 2),
            ("abc", "xyz", 3),
        ];
        for (left, right, expected) in table {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn the_nearest_name_is_proposed_only_when_it_is_near() {
        let names = ["log.dirs", "log.level", "num.partitions"];
        let table = [
            ("num.partition", Some("num.partitions")),
            ("log.dri", Some("log.dirs")),
            ("colour", None),
            ("x", None),
        ];
        for (name, expected) in table {
            assert_eq!(nearest(name, names.into_iter()), expected, "{name}");
        }
    }
}
