//! A thread that panics has left its shard in a state that nobody knows: the process ends, and the
//! next start recovers. (A release build aborts at the panic itself.)

use std::process;
use std::thread;

/// Ends the process when a panic passes by.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}
