//! Settings: one table says what exists, everything else is derived from it.
//!
//! ```text
//! defaults < file (TOML or server.properties) < environment < flags      static, read once
//!          < dynamic default < dynamic for this broker                   changed over the protocol
//! ```
//!
//! `load` reads the static sources and checks every entry against the table; what comes out is a
//! `broker::Config`, which says what the settings *mean*. Nothing below this module reads a file or
//! the environment, and nothing in it but `load::ConfigFile::read` does I/O. A topic's settings are
//! the broker's defaults with the topic's own entries over them (`topic::TopicConfig`), a group's
//! likewise (`group`).

pub(crate) mod setting;

mod broker_settings;
mod group_settings;
pub(crate) mod table;
mod topic_settings;

mod form;
mod units;
pub(crate) mod value;

pub(crate) mod problem;
pub(crate) mod settings;

mod entry;
mod kafka_only;
mod properties;
mod toml_file;

pub(crate) mod conflict;
pub(crate) mod listener;
pub(crate) mod load;

pub(crate) mod broker;
pub(crate) mod group;
pub(crate) mod topic;
mod topic_values;

pub(crate) mod alteration;
pub(crate) mod check;
pub(crate) mod describe;
mod docs;
pub(crate) mod list;

#[cfg(test)]
mod tests;
