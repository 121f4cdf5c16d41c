//! `corelog config list`: the table, for people and for programs.

use serde::Serialize;

use super::setting::{Change, Effect, Kind, Scope, Setting};
use super::{docs, table};

/// How to print the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListFormat {
    /// A paragraph each.
    Text,
    /// One array of objects.
    Json,
    /// The page of the documentation.
    Markdown,
}

/// Every setting, the broker's first.
#[must_use]
pub(crate) fn list(format: ListFormat) -> String {
    let rows = table::broker().chain(table::topic()).chain(table::group()).map(Row::new);
    match format {
        ListFormat::Text => rows.map(|row| row.text()).collect(),
        ListFormat::Markdown => docs::markdown(),
        // Serializing strings to a string cannot fail; if it did, nothing would be printed.
        ListFormat::Json => {
            serde_json::to_string_pretty(&rows.collect::<Vec<Row>>()).unwrap_or_default()
        }
    }
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    scope: &'static str,
    #[serde(rename = "type")]
    kind: String,
    unit: Option<&'static str>,
    default: Option<&'static str>,
    allowed: String,
    change: &'static str,
    effect: &'static str,
    aliases: &'static [&'static str],
    inherits_from: Vec<&'static str>,
    documentation: String,
}

impl Row {
    fn new(setting: &'static Setting) -> Row {
        Row {
            name: setting.name,
            scope: scope_name(setting.scope),
            kind: format!("{:?}", setting.kind.config_type()).to_ascii_lowercase(),
            unit: unit_name(setting.kind),
            default: setting.default,
            allowed: setting.allowed(),
            change: change_name(setting.change),
            effect: effect_name(setting.effect),
            aliases: setting.aliases,
            inherits_from: inherits_from(setting.scope),
            documentation: setting.documentation(),
        }
    }

    fn text(&self) -> String {
        let Row { name, scope, kind, allowed, change, documentation, .. } = self;
        let default = self.default.unwrap_or("(unset)");
        let unit = self.unit.map(|unit| format!(" of {unit}")).unwrap_or_default();
        let mut text = format!("{name}  [{scope}, {kind}{unit}, {change}]\n    {documentation}\n");
        text.push_str(&format!("    default {default}; allowed: {allowed}\n"));
        if !self.aliases.is_empty() {
            text.push_str(&format!("    also called {}\n", self.aliases.join(", ")));
        }
        if !self.inherits_from.is_empty() {
            text.push_str(&format!("    inherits from {}\n", self.inherits_from.join(", ")));
        }
        text.push('\n');
        text
    }
}

fn unit_name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Number(number) => number.unit.name(),
        Kind::Bool | Kind::Double(..) | Kind::Choice(_) | Kind::Text(_) | Kind::List(_) => None,
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Broker | Scope::TopicDefault(_) => "broker",
        Scope::Topic(_) => "topic",
        Scope::Group(_) => "group",
    }
}

/// For people: when a new value is taken up.
pub(super) fn change_name(change: Change) -> &'static str {
    match change {
        Change::AtStart => "at start",
        Change::Live => "live",
    }
}

fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Full => "full",
        Effect::Partly(_) => "partly",
        Effect::Later(_) => "later",
        Effect::Never(_) => "never",
    }
}

/// The broker settings that a topic's or group's setting takes its value from.
pub(super) fn inherits_from(scope: Scope) -> Vec<&'static str> {
    scope.synonyms().iter().map(|synonym| synonym.name).collect()
}
