//! SIGTERM and SIGINT. The first one stops the broker gracefully, the second at once; what stands
//! in the way of that, such as a recovery, is not waited for. The next start recovers from it.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use corelog_drive::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The exit code of a process that did not end gracefully.
pub(super) const NOT_GRACEFUL: u8 = 1;

/// How long a run that was told to end at once has for it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Signals received so far.
#[derive(Clone, Default)]
pub(super) struct Received(Arc<AtomicUsize>);

impl Received {
    /// Whether the run was told to end at once.
    pub(super) fn at_once(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 1
    }

    fn another(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Receives signals, in a thread of its own, for the rest of the process.
///
/// # Errors
/// What the system says to the handlers.
pub(super) fn watch(stop: Stop) -> io::Result<Received> {
    let received = Received::default();
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let seen = received.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
            match seen.another() {
                1 => {
                    tracing::info!(signal = name, "stopping; a second signal stops at once");
                    stop.request();
                }
                _ => {
                    tracing::warn!(signal = name, "stopping at once");
                    stop.now();
                    thread::sleep(AT_ONCE);
                    process::exit(i32::from(NOT_GRACEFUL));
                }
            }
        }
    });
    Ok(received)
}
