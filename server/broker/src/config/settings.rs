//! The values of all broker settings, by layer.
//!
//! A value is read from the strongest layer that has one. The weaker ones are kept because
//! DescribeConfigs shows them.

use std::collections::BTreeMap;

use super::problem::Origin;
use super::table;
use super::value::Value;

/// Where a value comes from, as Kafka numbers it on the wire; strongest first, but that a group's
/// own is stronger than all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub(crate) enum Source {
    /// The topic itself.
    Topic = 1,
    /// Set over the protocol, for this broker.
    DynamicBroker = 2,
    /// Set over the protocol, for all brokers.
    DynamicDefault = 3,
    /// File, environment or flags.
    Static = 4,
    /// The table.
    Default = 5,
    /// The group itself.
    Group = 8,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assigned {
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

/// Every value of every broker setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    assigned: BTreeMap<&'static str, BTreeMap<Source, Assigned>>,
}

impl Settings {
    /// The table's defaults.
    #[must_use]
    pub(crate) fn defaults() -> Settings {
        let mut settings = Settings { assigned: BTreeMap::new() };
        for row in table::broker() {
            if let Some(value) = row.default_value() {
                settings.assign(row.name, Assigned { value, origin: Origin::Default });
            }
        }
        settings
    }

    /// Without what was set over the protocol.
    #[must_use]
    #[cfg_attr(not(test), allow(dead_code, reason = "clients cannot set them yet"))]
    pub(super) fn without_dynamic(&self) -> Settings {
        let mut settings = self.clone();
        for layers in settings.assigned.values_mut() {
            layers.retain(|source, _| *source >= Source::Static);
        }
        settings
    }

    pub(super) fn assign(&mut self, name: &'static str, assigned: Assigned) {
        self.assigned.entry(name).or_default().insert(assigned.origin.source(), assigned);
    }

    /// The value of `name` that counts.
    #[must_use]
    pub(crate) fn effective(&self, name: &str) -> Option<&Assigned> {
        self.assigned.get(name)?.values().next()
    }

    /// The value of `name` in one layer.
    #[must_use]
    pub(crate) fn at(&self, name: &str, source: Source) -> Option<&Assigned> {
        self.assigned.get(name)?.get(&source)
    }

    /// Where the value of `name` that counts was written.
    #[must_use]
    pub(crate) fn origin(&self, name: &str) -> Origin {
        self.effective(name).map_or(Origin::Default, |assigned| assigned.origin.clone())
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.effective(name).map(|assigned| &assigned.value)
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<String> {
        self.value(name).map(Value::to_string)
    }

    // The accessors below are for settings of one type that have a default. They are all called
    // whenever a `Config` is made, with literal names, so that a name or type that is not in the
    // table fails the first test that makes one.

    pub(super) fn bool(&self, name: &'static str) -> bool {
        match self.value(name) {
            Some(Value::Bool(value)) => *value,
            other => unreachable!("{name} is a bool with a default, not {other:?}"),
        }
    }

    pub(super) fn number(&self, name: &'static str) -> i64 {
        match self.value(name) {
            Some(Value::Number(value)) => *value,
            other => unreachable!("{name} is a number with a default, not {other:?}"),
        }
    }

    /// A number whose bounds exclude negative ones.
    pub(super) fn count(&self, name: &'static str) -> u64 {
        self.number(name).unsigned_abs()
    }

    /// A number whose bounds are within 0 and Kafka's largest INT.
    pub(super) fn count32(&self, name: &'static str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or(u32::MAX)
    }

    pub(super) fn text(&self, name: &'static str) -> &str {
        match self.value(name) {
            Some(Value::Text(value)) => value,
            other => unreachable!("{name} is text with a default, not {other:?}"),
        }
    }

    /// The items of a list; none when it is not set.
    pub(super) fn list(&self, name: &'static str) -> &[String] {
        match self.value(name) {
            Some(Value::List(items)) => items,
            None => &[],
            other => unreachable!("{name} is a list, not {other:?}"),
        }
    }
}
