//! Settings as DescribeConfigs shows them, with Kafka's rules for sources and synonyms.
//!
//! The synonyms of an entry are every value that could have counted, strongest layer first and,
//! within a layer, in the order in which the names count. Kafka then drops those before the first
//! one of the entry's own name, so that `retention.ms` shows none while only
//! `log.retention.hours` is set; clients rely on seeing the same.

use std::collections::BTreeMap;

use super::broker::Config;
use super::group;
use super::setting::{Change, Kind, Scope, Setting, Width};
use super::settings::{Settings, Source};
use super::table;
use super::topic_values::{TopicValues, inherited};
use super::value::Value;

/// One entry of a DescribeConfigs response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// The setting, or an alias of it.
    pub name: &'static str,
    /// Its value; `None` when it is unset or secret.
    pub value: Option<String>,
    /// It cannot be altered over the protocol.
    pub read_only: bool,
    /// Where the value comes from.
    pub source: Source,
    /// The value is a secret and is not shown.
    pub sensitive: bool,
    /// All values that could have counted.
    pub synonyms: Vec<SynonymValue>,
    /// The type.
    pub config_type: ConfigType,
    /// What it is for.
    pub documentation: String,
}

/// A value that could have counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SynonymValue {
    /// The setting it was given for.
    pub name: &'static str,
    /// The value; `None` when it is secret.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// Kafka's types of settings, as numbered on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum ConfigType {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// A number of 32 bits.
    Int = 3,
    /// A number of 64 bits.
    Long = 5,
    /// A fraction.
    Double = 6,
    /// Comma-separated.
    List = 7,
}

impl Kind {
    /// The type that clients are told.
    #[must_use]
    pub(crate) fn config_type(self) -> ConfigType {
        match self {
            Kind::Bool => ConfigType::Boolean,
            Kind::Number(number) if number.width == Width::Int => ConfigType::Int,
            Kind::Number(_) => ConfigType::Long,
            Kind::Double(..) => ConfigType::Double,
            Kind::Choice(_) | Kind::Text(_) => ConfigType::String,
            Kind::List(_) => ConfigType::List,
        }
    }
}

/// The settings of this broker, by name; aliases are entries of their own.
#[must_use]
pub(crate) fn describe_broker(config: &Config) -> Vec<Described> {
    let settings = config.settings();
    let mut entries = Vec::new();
    for setting in table::broker() {
        let value = settings.effective(setting.name).map(|assigned| &assigned.value);
        for name in std::iter::once(&setting.name).chain(setting.aliases) {
            let synonyms = broker_synonyms(settings, setting, name);
            entries.push(entry(setting, name, value, synonyms));
        }
    }
    entries.sort_by_key(|entry| entry.name);
    entries
}

/// What was set over the protocol for all brokers: the answer for the broker without a name.
#[must_use]
pub(crate) fn describe_cluster(config: &Config) -> Vec<Described> {
    let settings = config.settings();
    let mut entries = Vec::new();
    for setting in table::broker() {
        if let Some(assigned) = settings.at(setting.name, Source::DynamicDefault) {
            let mut synonyms = broker_synonyms(settings, setting, setting.name);
            synonyms.retain(|synonym| synonym.source == Source::DynamicDefault);
            entries.push(entry(setting, setting.name, Some(&assigned.value), synonyms));
        }
    }
    entries.sort_by_key(|entry| entry.name);
    entries
}

/// The settings of a topic that sets `overrides`, by name.
#[must_use]
pub(crate) fn describe_topic(
    config: &Config,
    overrides: &BTreeMap<String, String>,
) -> Vec<Described> {
    let settings = config.settings();
    let (values, _) = TopicValues::new(settings, overrides);
    let describe = |setting: &'static Setting| {
        let own = values.own(setting.name).map(|value| SynonymValue {
            name: setting.name,
            value: setting.shown(value),
            source: Source::Topic,
        });
        let synonyms = own.into_iter().chain(inherited_synonyms(settings, setting)).collect();
        entry(setting, setting.name, values.effective(setting).as_ref(), synonyms)
    };
    table::topic().map(describe).collect()
}

/// The settings of a group that sets `overrides`, by name.
#[must_use]
pub(crate) fn describe_group(
    config: &Config,
    overrides: &BTreeMap<String, String>,
) -> Vec<Described> {
    let settings = config.settings();
    let describe = |setting: &'static Setting| {
        let own = overrides.get(setting.name).and_then(|text| group::own_value(setting, text));
        let shown = own.as_ref().map(|value| SynonymValue {
            name: setting.name,
            value: setting.shown(value),
            source: Source::Group,
        });
        let value = own.or_else(|| inherited(settings, setting));
        let synonyms = shown.into_iter().chain(inherited_synonyms(settings, setting)).collect();
        entry(setting, setting.name, value.as_ref(), synonyms)
    };
    table::group().map(describe).collect()
}

fn entry(
    setting: &'static Setting,
    name: &'static str,
    value: Option<&Value>,
    synonyms: Vec<SynonymValue>,
) -> Described {
    Described {
        name,
        value: value.and_then(|value| setting.shown(value)),
        read_only: setting.change == Change::AtStart,
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        sensitive: setting.secret,
        synonyms,
        config_type: setting.kind.config_type(),
        documentation: setting.documentation(),
    }
}

/// The broker's values for a topic's or group's setting; its own default if the broker has none.
fn inherited_synonyms(settings: &Settings, of: &'static Setting) -> Vec<SynonymValue> {
    let Some(first) = of.scope.synonyms().first() else { return vec![] };
    table::find_broker(first.name)
        .map(|setting| broker_synonyms(settings, setting, first.name))
        .unwrap_or_default()
}

/// The synonyms of a broker setting, shown under `name`, which may be an alias.
fn broker_synonyms(
    settings: &Settings,
    setting: &'static Setting,
    name: &'static str,
) -> Vec<SynonymValue> {
    let names = names_that_count(setting);
    let layers = [Source::DynamicBroker, Source::DynamicDefault, Source::Static, Source::Default];
    let mut found = Vec::new();
    for source in layers {
        for of in &names {
            if let Some(assigned) = settings.at(of.name, source) {
                let name = if of.name == setting.name { name } else { of.name };
                found.push(SynonymValue { name, value: of.shown(&assigned.value), source });
            }
        }
    }
    let own = found.iter().position(|synonym| synonym.name == name);
    found.split_off(own.unwrap_or(found.len()))
}

/// The broker settings for the same thing in the order in which they count: for
/// `log.retention.hours` also `log.retention.ms` and `log.retention.minutes`.
fn names_that_count(setting: &'static Setting) -> Vec<&'static Setting> {
    let topic = match setting.scope {
        Scope::TopicDefault(topic) => table::find_topic(topic),
        Scope::Broker | Scope::Topic(_) | Scope::Group(_) => None,
    };
    match topic.map(|topic| topic.scope.synonyms()) {
        Some(synonyms) => {
            synonyms.iter().filter_map(|synonym| table::find_broker(synonym.name)).collect()
        }
        None => vec![setting],
    }
}
