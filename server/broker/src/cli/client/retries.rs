//! Asking again, for a while, what a broker could not do at the moment.

use std::thread;
use std::time::Duration;

use crate::cli::failure::Failure;

const PAUSE: Duration = Duration::from_millis(100);
/// Five seconds in all: longer than a leader takes to move.
const TRIES: u32 = 50;

/// How often to try again before giving up.
#[derive(Debug)]
pub(in crate::cli) struct Retries(u32);

impl Retries {
    pub(in crate::cli) fn new() -> Retries {
        Retries(TRIES)
    }

    /// Something worked: failures from now on are new ones.
    pub(in crate::cli) fn reset(&mut self) {
        self.0 = TRIES;
    }

    /// Waits a moment.
    ///
    /// # Errors
    /// `failure`, when it is time to give up.
    pub(in crate::cli) fn pause(&mut self, failure: Failure) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(1).ok_or(failure)?;
        thread::sleep(PAUSE);
        Ok(())
    }
}
