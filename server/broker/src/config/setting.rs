//! What one row of the settings table says, and the few words it is written with.
//!
//! A default is written the way a person would write it (`7d`, `1GiB`); parsing it is a test.

/// The largest value of Kafka's type INT.
pub(super) const INT_MAX: i64 = i32::MAX as i64;
/// The largest value of Kafka's type LONG.
pub(super) const LONG_MAX: i64 = i64::MAX;
/// Bytes in a kibibyte.
pub(super) const KIB: i64 = 1024;
/// Bytes in a mebibyte.
pub(super) const MIB: i64 = 1024 * KIB;
/// Bytes in a gibibyte.
pub(super) const GIB: i64 = 1024 * MIB;

/// One setting: a row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Kafka's name wherever Kafka has one.
    pub name: &'static str,
    /// Other names for the same setting; as good as `name` in every source.
    pub aliases: &'static [&'static str],
    /// Its type, with what it may be.
    pub kind: Kind,
    /// The default as a person would write it; `None` when it is unset by default.
    pub default: Option<&'static str>,
    /// What it belongs to.
    pub scope: Scope,
    /// When a new value is taken up.
    pub change: Change,
    /// Whether it does anything.
    pub effect: Effect,
    /// Never shown to anyone: passwords and keys.
    pub secret: bool,
    /// One or two sentences, in Markdown.
    pub doc: &'static str,
}

/// Settings that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The heading in the documentation.
    pub title: &'static str,
    /// The settings.
    pub rows: &'static [Setting],
}

/// A setting's type and bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number, maybe of bytes or of time.
    Number(Number),
    /// A fraction between the two, both included.
    Double(f64, f64),
    /// Exactly one of these words.
    Choice(&'static [&'static str]),
    /// Text of a certain form.
    Text(Form),
    /// Comma-separated, each item once.
    List(Form),
}

/// A whole number's type, bounds (both included) and unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// Kafka's type of it.
    pub width: Width,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
    /// One more value, outside the bounds.
    pub also: Option<i64>,
    /// It must be a multiple of this; 1 for most.
    pub step: i64,
    /// What it counts.
    pub unit: Unit,
}

/// Kafka's types of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    Long,
}

/// What a number counts; sizes and times may be written with a suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Plain things.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Millis,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

/// The form of a text, or of a list's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Anything that is not empty.
    Any,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `partition:broker`, or `*` alone.
    ThrottledReplica,
    /// `NAME://host:port` or `host:port`.
    Listener,
    /// `NAME:PROTOCOL`, comma-separated.
    ProtocolMap,
    /// `all`, or numbers and ranges: `0,1,4-7`.
    Cores,
    /// One directory or file.
    Path,
    /// Letters, digits, `-` and `_`.
    ClusterId,
}

/// What a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The broker.
    Broker,
    /// The broker, as the default of this topic setting.
    TopicDefault(&'static str),
    /// One topic. Where it is not set there, the first of these that is set on the broker counts.
    Topic(&'static [Synonym]),
    /// One group, likewise.
    Group(&'static [Synonym]),
}

impl Scope {
    /// The broker settings that give this one its value where it is not set, the first that is set.
    pub(super) fn synonyms(self) -> &'static [Synonym] {
        match self {
            Scope::Topic(synonyms) | Scope::Group(synonyms) => synonyms,
            Scope::Broker | Scope::TopicDefault(_) => &[],
        }
    }
}

/// A broker setting that gives a topic setting its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Synonym {
    /// The broker setting.
    pub name: &'static str,
    /// How many of the topic setting's units make one of the broker setting's.
    pub factor: i64,
}

/// When a new value is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// At the next start: read-only over the protocol.
    AtStart,
    /// At once.
    Live,
}

/// Whether a setting does anything; the reason is part of its documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// As documented.
    Full,
    /// Not all of it yet.
    Partly(&'static str),
    /// Accepted, checked and shown; taken up in a later version.
    Later(&'static str),
    /// Accepted, checked and shown, so that tools go on working; there is nothing for it to do.
    Never(&'static str),
}

/// A row for a broker setting.
pub(super) const fn row(name: &'static str, kind: Kind) -> Setting {
    Setting {
        name,
        aliases: &[],
        kind,
        default: None,
        scope: Scope::Broker,
        change: Change::AtStart,
        effect: Effect::Full,
        secret: false,
        doc: "",
    }
}

/// A row for a topic setting, with its broker-wide synonyms, strongest first.
pub(super) const fn topic_row(
    name: &'static str,
    kind: Kind,
    synonyms: &'static [Synonym],
) -> Setting {
    Setting { scope: Scope::Topic(synonyms), change: Change::Live, ..row(name, kind) }
}

/// A row for a group setting, with its broker-wide synonym.
pub(super) const fn group_row(
    name: &'static str,
    kind: Kind,
    synonyms: &'static [Synonym],
) -> Setting {
    Setting { scope: Scope::Group(synonyms), change: Change::Live, ..row(name, kind) }
}

impl Setting {
    pub(super) const fn default(self, text: &'static str) -> Setting {
        Setting { default: Some(text), ..self }
    }

    pub(super) const fn unset(self) -> Setting {
        Setting { default: None, ..self }
    }

    pub(super) const fn aliases(self, aliases: &'static [&'static str]) -> Setting {
        Setting { aliases, ..self }
    }

    pub(super) const fn live(self) -> Setting {
        Setting { change: Change::Live, ..self }
    }

    pub(super) const fn effect(self, effect: Effect) -> Setting {
        Setting { effect, ..self }
    }

    pub(super) const fn doc(self, doc: &'static str) -> Setting {
        Setting { doc, ..self }
    }

    /// The documentation, with what is missing from its effect.
    #[must_use]
    pub(crate) fn documentation(&self) -> String {
        match self.effect {
            Effect::Full => self.doc.to_owned(),
            Effect::Partly(why) => format!("{} Partly in effect: {why}.", self.doc),
            Effect::Later(why) => format!("{} No effect yet: {why}.", self.doc),
            Effect::Never(why) => format!("{} No effect: {why}.", self.doc),
        }
    }
}

pub(super) const fn int(min: i64, max: i64) -> Number {
    Number { width: Width::Int, min, max, also: None, step: 1, unit: Unit::Count }
}

pub(super) const fn long(min: i64, max: i64) -> Number {
    Number { width: Width::Long, ..int(min, max) }
}

impl Number {
    pub(super) const fn of(self, unit: Unit) -> Kind {
        Kind::Number(Number { unit, ..self })
    }

    pub(super) const fn or(self, value: i64) -> Number {
        Number { also: Some(value), ..self }
    }

    pub(super) const fn step(self, step: i64) -> Number {
        Number { step, ..self }
    }
}

/// The broker setting `name`, in the same unit.
pub(super) const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

/// The broker setting `name`, in minutes, for a topic setting in milliseconds.
pub(super) const fn minutes(name: &'static str) -> Synonym {
    Synonym { name, factor: 60 * 1000 }
}

/// The broker setting `name`, in hours, for a topic setting in milliseconds.
pub(super) const fn hours(name: &'static str) -> Synonym {
    Synonym { name, factor: 60 * 60 * 1000 }
}
