//! The broker as a process: how it starts, what it says, how it ends.
//!
//! ```text
//! settings (checked) -> logging -> signals -> corelog_drive::run -> exit code
//! ```
//!
//! One line goes to standard output, when the broker is ready; everything else is a log line on
//! standard error. Exit code 0: stopped as asked. 1: could not start or go on, or was stopped at
//! once by a second signal. 2: wrong flags or settings.

mod start;
pub(crate) use start::{MISCONFIGURED, start};

mod ready;
mod run_settings;
mod storage;

mod lines;
mod logging;
mod signals;

pub(crate) mod notice;
mod refusal;
mod remedy;
