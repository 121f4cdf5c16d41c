//! Where a setting came from, and what can be wrong with it. Every problem says the place, what is
//! wrong, what is allowed, and what to do.

use std::fmt;
use std::sync::Arc;

use super::conflict::Conflict;
use super::listener::ListenerFault;
use super::setting::Setting;
use super::settings::Source;
use super::value::{Invalid, Raw};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the table.
    Default,
    /// Implied by `--dev`.
    Dev,
    /// In a file.
    File {
        /// The file, as it was given.
        path: Arc<str>,
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
    },
    /// In this environment variable.
    Environment(String),
    /// On the command line, in this flag.
    Flag(String),
    /// Set over the protocol, for all brokers.
    #[cfg_attr(not(test), allow(dead_code, reason = "clients cannot set them yet"))]
    DynamicDefault,
    /// Set over the protocol, for this broker.
    #[cfg_attr(not(test), allow(dead_code, reason = "clients cannot set them yet"))]
    DynamicBroker,
}

impl Origin {
    /// What Kafka calls it.
    #[must_use]
    pub(crate) fn source(&self) -> Source {
        match self {
            Origin::Default => Source::Default,
            Origin::Dev | Origin::File { .. } | Origin::Environment(_) | Origin::Flag(_) => {
                Source::Static
            }
            Origin::DynamicDefault => Source::DynamicDefault,
            Origin::DynamicBroker => Source::DynamicBroker,
        }
    }

    /// The source as a whole: of a file, its path.
    fn place(&self) -> String {
        match self {
            Origin::File { path, .. } => path.to_string(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Dev => f.write_str("--dev"),
            Origin::File { path, line: 0 } => f.write_str(path),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(flag) => f.write_str(flag),
            Origin::DynamicDefault => f.write_str("set for all brokers"),
            Origin::DynamicBroker => f.write_str("set for this broker"),
        }
    }
}

/// Something that stops the broker from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// The file cannot be read; the system's reason.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file is not of its format; the parser's reason.
    #[error("{0}")]
    Syntax(String),
    /// `--set` without `=`.
    #[error("`{0}` is not of the form KEY=VALUE")]
    NotAPair(String),
    /// No such setting.
    #[error("unknown setting `{name}`")]
    UnknownKey {
        /// As it was written.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A topic's setting where the broker's are expected.
    #[error("`{name}` belongs to a topic, not to the broker")]
    TopicKey {
        /// As it was written.
        name: String,
        /// The broker setting that is its default.
        instead: Option<&'static str>,
    },
    /// Kafka's setting that Corelog does not have.
    #[error("`{name}` is a setting of Kafka that Corelog does not have: {why}")]
    KafkaOnly {
        /// As it was written.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A name that neither broker has, and whose purpose another has.
    #[error("`{name}` is not a setting of the broker")]
    Replaced {
        /// As it was written.
        name: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// Kafka's setting that cannot be ignored.
    #[error("`{name}` cannot be honoured: {why}")]
    Refused {
        /// As it was written.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A value that the table does not allow.
    #[error(transparent)]
    BadValue(#[from] Box<BadValue>),
    /// Two values for one setting in the same source.
    #[error("`{name}` is set to something else at {first}")]
    SetTwice {
        /// The setting.
        name: &'static str,
        /// Where it was set first.
        first: Origin,
    },
    /// Over the protocol, for a setting that is read at the start.
    #[error("`{0}` cannot be changed while the broker runs")]
    #[cfg_attr(not(test), allow(dead_code, reason = "clients cannot set them yet"))]
    NotLive(&'static str),
    /// Listeners that do not go together.
    #[error(transparent)]
    Listener(#[from] ListenerFault),
    /// Settings that do not go together.
    #[error(transparent)]
    Conflict(#[from] Conflict),
}

/// A value that the table does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {written}: {invalid}")]
pub(crate) struct BadValue {
    /// The setting or alias, as it was written.
    pub name: String,
    /// The value, as it was written.
    pub written: String,
    /// The rule it breaks.
    pub invalid: Invalid,
    /// What is allowed.
    pub allowed: String,
    /// What it is when it is not set.
    pub default: Option<&'static str>,
}

impl BadValue {
    fn remedy(&self) -> String {
        let default = self.default.map_or("unset".to_owned(), |text| format!("`{text}`"));
        match self.invalid.says_what_is_allowed() {
            true => format!("or leave it out, the default is {default}"),
            false => format!("allowed is {}, the default is {default}", self.allowed),
        }
    }
}

impl Wrong {
    /// `invalid`, found in `raw` for `setting` under `name`.
    pub(super) fn bad_value(
        setting: &'static Setting,
        name: &str,
        raw: &Raw,
        invalid: Invalid,
    ) -> Wrong {
        Wrong::BadValue(Box::new(BadValue {
            name: name.to_owned(),
            written: if setting.secret { "(hidden)".to_owned() } else { raw.to_string() },
            invalid,
            allowed: setting.allowed(),
            default: setting.default,
        }))
    }

    /// What to do about it.
    #[must_use]
    pub(crate) fn remedy(&self) -> String {
        match self {
            Wrong::Unreadable(_) => "check that the file exists and may be read".to_owned(),
            Wrong::Syntax(_) => "correct the line".to_owned(),
            Wrong::NotAPair(_) => "write it as in --set num.partitions=3".to_owned(),
            Wrong::UnknownKey { nearest: Some(name), .. } => format!("did you mean `{name}`?"),
            Wrong::UnknownKey { nearest: None, .. } => {
                "remove it; `corelog config list` shows every setting".to_owned()
            }
            Wrong::TopicKey { instead: Some(name), .. } => {
                format!("set its default for all topics: `{name}`")
            }
            Wrong::TopicKey { instead: None, .. } => "set it on the topic".to_owned(),
            Wrong::Replaced { instead, .. } => (*instead).to_owned(),
            Wrong::KafkaOnly { .. } | Wrong::Refused { .. } => "remove it".to_owned(),
            Wrong::BadValue(bad) => bad.remedy(),
            Wrong::SetTwice { .. } => "keep one of the two".to_owned(),
            Wrong::NotLive(_) => "set it in the file and restart the broker".to_owned(),
            Wrong::Listener(fault) => fault.remedy(),
            Wrong::Conflict(conflict) => conflict.remedy(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.origin, self.wrong, self.wrong.remedy())
    }
}

/// Something that is accepted, and that whoever wrote it should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Where it was written.
    pub origin: Origin,
    /// The setting, as it was written.
    pub name: String,
    /// What to know.
    pub why: String,
    /// How much of it a start says.
    pub detail: Detail,
}

/// How much a start says of a notice; `corelog config check` says all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every word.
    Whole,
    /// The name, in one line with all others of its file.
    Name,
}

impl Notice {
    /// One of which a start says every word.
    pub(super) fn new(origin: Origin, name: &str, why: String) -> Notice {
        Notice { origin, name: name.to_owned(), why, detail: Detail::Whole }
    }

    /// What a start says: a line for each notice, and one for all names that are ignored.
    #[must_use]
    pub(crate) fn lines(notices: &[Notice]) -> Vec<String> {
        let (names, whole): (Vec<&Notice>, Vec<&Notice>) =
            notices.iter().partition(|notice| notice.detail == Detail::Name);
        let mut lines: Vec<String> = whole.iter().map(ToString::to_string).collect();
        if let Some(first) = names.first() {
            let place = first.origin.place();
            let all: Vec<&str> = names.iter().map(|notice| notice.name.as_str()).collect();
            lines.push(format!(
                "{place}: settings that Corelog has no use for are ignored, {} of them: {}; \
                 `corelog config check {place}` says why",
                all.len(),
                all.join(", ")
            ));
        }
        lines
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.name, self.why)
    }
}

/// Settings with which the broker does not start: all problems, one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// At least one.
    pub problems: Vec<Problem>,
    /// What else was noticed.
    pub notices: Vec<Notice>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}
