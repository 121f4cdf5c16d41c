//! A group's own settings, as a client asks for them. What they mean when they are read back is the
//! coordinator's (`ConsumerSettings` of the engine), which keeps them within the bounds.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use corelog_engine::group::settings::{
    ASSIGNMENT_INTERVAL_CONFIG, HEARTBEAT_CONFIG, SESSION_CONFIG,
};

use super::broker::Config;
use super::setting::Setting;
use super::table;
use super::value::{Dialect, Invalid, Raw, Value};

/// Why a group's settings are refused; Kafka's INVALID_CONFIG. `Display` is the error message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GroupConfigError {
    /// No such group setting.
    #[error("Unknown group config name: {0}")]
    UnknownName(String),
    /// A value that the table does not allow.
    #[error("Invalid value {value} for configuration {name}: {invalid}")]
    InvalidValue {
        /// The setting.
        name: &'static str,
        /// As it was written.
        value: String,
        /// The rule it breaks.
        invalid: Invalid,
    },
    /// A time that the broker does not let groups have. Milliseconds.
    #[error(
        "Invalid value {value} for configuration {name}: must be from {} to {}, the broker's \
         bounds (group.consumer.min.* and group.consumer.max.*)", .bounds.start(), .bounds.end()
    )]
    OutOfBounds {
        /// The setting.
        name: &'static str,
        /// What was asked for.
        value: i64,
        /// The broker's.
        bounds: RangeInclusive<i32>,
    },
    /// Members would count as gone between two heartbeats. Milliseconds.
    #[error(
        "Invalid value {session} for configuration consumer.session.timeout.ms: must be more than \
         consumer.heartbeat.interval.ms, which is {heartbeat}"
    )]
    BeatsTooSlow {
        /// Between two heartbeats.
        heartbeat: i64,
        /// Until a member counts as gone.
        session: i64,
    },
}

/// Checks all that a group is to set, by the rules of Kafka's `GroupConfig`.
///
/// # Errors
/// The first thing that Kafka would refuse.
pub(crate) fn validate(
    config: &Config,
    overrides: &BTreeMap<String, String>,
) -> Result<(), GroupConfigError> {
    let mut own = BTreeMap::new();
    for (name, text) in overrides {
        own.insert(name.as_str(), checked(config, name, text)?);
    }
    let time = |name: &str| match own.get(name) {
        Some(Value::Number(value)) => Some(*value),
        _ => None,
    };
    let (session, heartbeat) = (time(SESSION_CONFIG), time(HEARTBEAT_CONFIG));
    if session.is_none() && heartbeat.is_none() {
        return Ok(());
    }
    let times = &config.groups.coordinator.consumer.times;
    let session = session.unwrap_or(times.session_ms.into());
    let heartbeat = heartbeat.unwrap_or(times.heartbeat_ms.into());
    match heartbeat < session {
        true => Ok(()),
        false => Err(GroupConfigError::BeatsTooSlow { heartbeat, session }),
    }
}

/// Whether a group may set this, as far as one value alone can tell.
#[must_use]
pub(crate) fn accepts(config: &Config, name: &str, text: &str) -> bool {
    checked(config, name, text).is_ok()
}

fn checked(config: &Config, name: &str, text: &str) -> Result<Value, GroupConfigError> {
    let setting = table::find_group(name);
    let setting = setting.ok_or_else(|| GroupConfigError::UnknownName(name.to_owned()))?;
    let value = parse(setting, text)?;
    let bounds = &config.groups.coordinator.consumer.bounds;
    let bounds = match setting.name {
        SESSION_CONFIG => &bounds.session,
        HEARTBEAT_CONFIG => &bounds.heartbeat,
        ASSIGNMENT_INTERVAL_CONFIG => &bounds.assignment_interval,
        _ => return Ok(value),
    };
    let allowed = i64::from(*bounds.start())..=i64::from(*bounds.end());
    match value {
        Value::Number(value) if !allowed.contains(&value) => {
            let (name, bounds) = (setting.name, bounds.clone());
            Err(GroupConfigError::OutOfBounds { name, value, bounds })
        }
        value => Ok(value),
    }
}

fn parse(setting: &'static Setting, text: &str) -> Result<Value, GroupConfigError> {
    setting.parse(&Raw::Plain(text.to_owned()), Dialect::Digits).map_err(|invalid| {
        GroupConfigError::InvalidValue { name: setting.name, value: text.to_owned(), invalid }
    })
}

/// The value of a group setting that is set to `text`; `None` if it may not have that any more.
pub(super) fn own_value(setting: &'static Setting, text: &str) -> Option<Value> {
    parse(setting, text).ok()
}
