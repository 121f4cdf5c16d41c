//! Values: from what was written to what the table allows, and back to Kafka's text.
//!
//! What was written is either text (properties, environment, flags, the protocol) or already typed
//! (TOML). Text from people may carry suffixes (`64MiB`, `7d`); text from the protocol may not,
//! because Kafka refuses it there.

use std::collections::BTreeSet;
use std::fmt;

use super::setting::{Form, Kind, Number, Setting, Unit, Width};
use super::units;

/// A value that the table allows. `Display` is Kafka's text for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of `Kind::Bool`.
    Bool(bool),
    /// Of `Kind::Number`, in the unit of the setting.
    Number(i64),
    /// Of `Kind::Double`.
    Double(f64),
    /// Of `Kind::Choice` and `Kind::Text`.
    Text(String),
    /// Of `Kind::List`.
    List(Vec<String>),
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// In a place that knows only text.
    Plain(String),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML integer.
    Integer(i64),
    /// A TOML float.
    Float(f64),
    /// A TOML string.
    Quoted(String),
    /// A TOML array of strings or integers.
    List(Vec<String>),
    /// Some other thing that TOML has; its name.
    Other(&'static str),
}

/// Who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A person: suffixes are welcome.
    Suffixes,
    /// Kafka's protocol: numbers are digits.
    Digits,
}

/// Why a value is refused. `Display` completes "Invalid value V for configuration NAME: ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// Neither `true` nor `false`.
    #[error("expected true or false")]
    NotABool,
    /// No number of the setting's type.
    #[error("not a number of type {0}")]
    NotANumber(&'static str),
    /// No number of the setting's unit.
    #[error("expected {0}")]
    NotAQuantity(&'static str),
    /// A number outside the bounds; what is allowed.
    #[error("must be {0}")]
    OutOfBounds(String),
    /// A word that is not among those allowed.
    #[error("must be one of: {}", .0.join(", "))]
    NotOneOf(&'static [&'static str]),
    /// Text that is not of the setting's form; the form.
    #[error("expected {0}")]
    Malformed(&'static str),
    /// Nothing where there must be something.
    #[error("must not be empty")]
    Empty,
    /// A list that names something twice.
    #[error("{0} is listed twice")]
    Duplicate(String),
    /// A TOML value of the wrong type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What the setting takes.
        expected: &'static str,
        /// What was there.
        found: &'static str,
    },
}

impl Invalid {
    /// `Display` names everything that would be allowed.
    pub(super) fn says_what_is_allowed(&self) -> bool {
        matches!(self, Invalid::OutOfBounds(_) | Invalid::NotOneOf(_) | Invalid::Malformed(_))
    }
}

impl Setting {
    /// `raw` as a value of this setting.
    ///
    /// # Errors
    /// The first rule of the table that it breaks.
    pub(crate) fn parse(&self, raw: &Raw, dialect: Dialect) -> Result<Value, Invalid> {
        match self.kind {
            Kind::Bool => parse_bool(raw).map(Value::Bool),
            Kind::Number(number) => number.parse(raw, dialect).map(Value::Number),
            Kind::Double(min, max) => parse_double(raw, min, max).map(Value::Double),
            Kind::Choice(words) => {
                Form::OneOf(words).parse(raw.text("a string")?.trim()).map(Value::Text)
            }
            Kind::Text(form) => {
                let text = match raw {
                    Raw::List(items) if form == Form::Cores => items.join(","),
                    other => other.text("a string")?.to_owned(),
                };
                form.parse(text.trim()).map(Value::Text)
            }
            Kind::List(form) => parse_list(raw, form).map(Value::List),
        }
    }

    /// The text of `value`; `None` when the setting is secret.
    pub(super) fn shown(&self, value: &Value) -> Option<String> {
        (!self.secret).then(|| value.to_string())
    }

    /// The default, where there is one.
    #[must_use]
    pub(crate) fn default_value(&self) -> Option<Value> {
        let raw = Raw::Plain(self.default?.to_owned());
        self.parse(&raw, Dialect::Suffixes).ok()
    }

    /// What may be written, for people.
    #[must_use]
    pub(crate) fn allowed(&self) -> String {
        match self.kind {
            Kind::Bool => "true or false".to_owned(),
            Kind::Number(number) => number.allowed(),
            Kind::Double(min, max) => format!("{min} to {max}"),
            Kind::Choice(words) => words.join(", "),
            Kind::Text(form) => form.expected().to_owned(),
            Kind::List(Form::OneOf(words)) => format!("any of {}", words.join(", ")),
            Kind::List(form) => format!("comma-separated, each {}", form.expected()),
        }
    }
}

impl Raw {
    /// The text of a value that must be text.
    fn text(&self, expected: &'static str) -> Result<&str, Invalid> {
        match self {
            Raw::Plain(text) | Raw::Quoted(text) => Ok(text),
            other => Err(Invalid::WrongType { expected, found: other.what() }),
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Raw::Plain(_) => "text",
            Raw::Bool(_) => "a boolean",
            Raw::Integer(_) => "an integer",
            Raw::Float(_) => "a float",
            Raw::Quoted(_) => "a string in quotes",
            Raw::List(_) => "an array",
            Raw::Other(what) => what,
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Plain(text) => f.write_str(text),
            Raw::Bool(value) => value.fmt(f),
            Raw::Integer(value) => value.fmt(f),
            Raw::Float(value) => value.fmt(f),
            Raw::Quoted(text) => write!(f, "\"{text}\""),
            Raw::List(items) => write!(f, "[{}]", items.join(", ")),
            Raw::Other(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => value.fmt(f),
            Value::Number(value) => value.fmt(f),
            Value::Double(value) => f.write_str(&java_double(*value)),
            Value::Text(text) => f.write_str(text),
            Value::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// As Java writes a double: a decimal point always, and an exponent below a thousandth.
fn java_double(value: f64) -> String {
    if value == 0.0 || value.abs() >= 1e-3 {
        return format!("{value:?}");
    }
    let scientific = format!("{value:E}");
    match scientific.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => scientific,
    }
}

fn parse_bool(raw: &Raw) -> Result<bool, Invalid> {
    match raw {
        Raw::Bool(value) => Ok(*value),
        Raw::Plain(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Raw::Plain(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        Raw::Plain(_) => Err(Invalid::NotABool),
        other => Err(Invalid::WrongType { expected: "true or false", found: other.what() }),
    }
}

fn parse_double(raw: &Raw, min: f64, max: f64) -> Result<f64, Invalid> {
    let value = match raw {
        Raw::Float(value) => *value,
        Raw::Integer(0) => 0.0,
        Raw::Integer(1) => 1.0,
        Raw::Integer(_) => f64::INFINITY,
        Raw::Plain(text) => text.trim().parse().map_err(|_| Invalid::NotANumber("DOUBLE"))?,
        other => return Err(Invalid::WrongType { expected: "a number", found: other.what() }),
    };
    match (min..=max).contains(&value) {
        true => Ok(value),
        false => Err(Invalid::OutOfBounds(format!("{min} to {max}"))),
    }
}

/// What is listed twice counts once where Kafka's own notation is read, as in Kafka
/// (`ConfigDef.parseValue`); elsewhere it is a mistake.
fn parse_list(raw: &Raw, form: Form) -> Result<Vec<String>, Invalid> {
    let written: Vec<&str> = match raw {
        Raw::List(items) => items.iter().map(String::as_str).collect(),
        other => match other.text("a string or an array of strings")?.trim() {
            "" => Vec::new(),
            text => text.split(',').collect(),
        },
    };
    if written.is_empty() && form == Form::Listener {
        return Err(Invalid::Empty);
    }
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for item in written {
        let item = form.parse(item.trim())?;
        if seen.insert(item.clone()) || form == Form::ThrottledReplica {
            items.push(item);
        } else if !matches!(raw, Raw::Plain(_)) {
            return Err(Invalid::Duplicate(item));
        }
    }
    match form == Form::ThrottledReplica && items.len() > 1 && seen.contains("*") {
        true => Err(Invalid::Malformed(form.expected())),
        false => Ok(items),
    }
}

impl Number {
    fn parse(self, raw: &Raw, dialect: Dialect) -> Result<i64, Invalid> {
        let value = match raw {
            Raw::Integer(value) => *value,
            Raw::Plain(text) if dialect == Dialect::Digits => {
                text.trim().parse().map_err(|_| Invalid::NotANumber(self.width.name()))?
            }
            Raw::Plain(text) => self.quantity(text.trim())?,
            Raw::Quoted(text) if self.unit != Unit::Count => self.quantity(text.trim())?,
            other => {
                let found = other.what();
                return Err(Invalid::WrongType { expected: self.unit.written(), found });
            }
        };
        if self.width == Width::Int && i32::try_from(value).is_err() && dialect == Dialect::Digits {
            return Err(Invalid::NotANumber(self.width.name()));
        }
        let inside = (self.min..=self.max).contains(&value) && value % self.step == 0;
        match inside || self.also == Some(value) {
            true => Ok(value),
            false => Err(Invalid::OutOfBounds(self.allowed())),
        }
    }

    fn quantity(self, text: &str) -> Result<i64, Invalid> {
        units::parse(text, self.unit).ok_or(Invalid::NotAQuantity(self.unit.written()))
    }

    /// The bounds, in words.
    fn allowed(self) -> String {
        let top = match self.width {
            Width::Int => i64::from(i32::MAX),
            Width::Long => i64::MAX,
        };
        let (min, max) = (units::pretty(self.min, self.unit), units::pretty(self.max, self.unit));
        let mut text = match (self.min == i64::MIN, self.max == top) {
            (true, true) => "any whole number".to_owned(),
            (true, false) => format!("at most {max}"),
            (false, true) => format!("at least {min}"),
            (false, false) => format!("{min} to {max}"),
        };
        if self.step > 1 {
            text.push_str(&format!(", a multiple of {}", units::pretty(self.step, self.unit)));
        }
        if let Some(also) = self.also {
            text.push_str(&format!(", or {also}"));
        }
        text
    }
}

impl Width {
    /// Kafka's name of the type.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Width::Int => "INT",
            Width::Long => "LONG",
        }
    }
}
