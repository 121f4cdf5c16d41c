//! Which value of a topic setting counts: the topic's own, else that of the first of the broker's
//! synonyms that has one.

use std::collections::BTreeMap;

use super::conflict::BatchLimit;
use super::setting::Setting;
use super::settings::Settings;
use super::table;
use super::topic::TopicConfigError;
use super::value::{Dialect, Raw, Value};

const LAG_MIN: &str = "min.compaction.lag.ms";
const LAG_MAX: &str = "max.compaction.lag.ms";

/// The values of one topic: its own, and the broker's for all others.
pub(super) struct TopicValues<'a> {
    settings: &'a Settings,
    own: BTreeMap<&'static str, Value>,
}

impl<'a> TopicValues<'a> {
    /// Reads `overrides`. Those that are not allowed are left out and returned as errors.
    pub(super) fn new(
        settings: &'a Settings,
        overrides: &BTreeMap<String, String>,
    ) -> (TopicValues<'a>, Vec<TopicConfigError>) {
        let mut values = TopicValues { settings, own: BTreeMap::new() };
        let mut errors = Vec::new();
        for (name, text) in overrides {
            match own_value(settings, name, text) {
                Ok((name, value)) => {
                    values.own.insert(name, value);
                }
                Err(error) => errors.push(error),
            }
        }
        if let Some(error) = values.lags_cross() {
            values.own.retain(|name, _| ![LAG_MIN, LAG_MAX].contains(name));
            errors.push(error);
        }
        (values, errors)
    }

    /// What the topic itself sets.
    pub(super) fn own(&self, name: &str) -> Option<&Value> {
        self.own.get(name)
    }

    /// The value that counts.
    pub(super) fn effective(&self, setting: &Setting) -> Option<Value> {
        let inherited = || inherited(self.settings, setting);
        self.own.get(setting.name).cloned().or_else(inherited)
    }

    fn lags_cross(&self) -> Option<TopicConfigError> {
        let lag = |name| self.effective(table::find_topic(name)?);
        match (lag(LAG_MIN), lag(LAG_MAX)) {
            (Some(Value::Number(min)), Some(Value::Number(max))) if min > max => {
                Some(TopicConfigError::LagsCross { min, max })
            }
            _ => None,
        }
    }
}

/// The broker's value for a topic's or group's setting: that of the first synonym that has one.
pub(super) fn inherited(settings: &Settings, setting: &Setting) -> Option<Value> {
    for synonym in setting.scope.synonyms() {
        match settings.effective(synonym.name).map(|assigned| &assigned.value) {
            // Negative is "no limit" in every unit.
            Some(Value::Number(value)) if *value >= 0 => {
                return Some(Value::Number(value.saturating_mul(synonym.factor)));
            }
            Some(value) => return Some(value.clone()),
            None => {}
        }
    }
    setting.default_value()
}

pub(super) fn own_value(
    settings: &Settings,
    name: &str,
    text: &str,
) -> Result<(&'static str, Value), TopicConfigError> {
    let Some(setting) = table::find_topic(name) else {
        return Err(TopicConfigError::UnknownName(name.to_owned()));
    };
    let raw = Raw::Plain(text.to_owned());
    let value = setting.parse(&raw, Dialect::Digits).map_err(|invalid| {
        TopicConfigError::InvalidValue { name: setting.name, value: text.to_owned(), invalid }
    })?;
    let (limit, reason) = BatchLimit::of(settings);
    match (&value, setting.name) {
        (Value::Number(value), "max.message.bytes") if *value > limit => {
            Err(TopicConfigError::MessageTooLarge { value: *value, limit, reason })
        }
        (Value::Bool(true), "remote.storage.enable") => Err(TopicConfigError::NoTieredStorage),
        _ => Ok((setting.name, value)),
    }
}
