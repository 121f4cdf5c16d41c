//! The only clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use corelog_engine::id::{Instant, Now, Timestamp};

/// Reads both clocks. Copies agree with each other, on all shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: std::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { started: std::time::Instant::now() }
    }

    pub(crate) fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX));
        Now { instant: self.instant(), wall }
    }

    /// Since the start.
    pub(crate) fn running(self) -> Duration {
        self.started.elapsed()
    }

    /// The monotonic clock alone.
    pub(crate) fn instant(self) -> Instant {
        let elapsed = self.started.elapsed().as_micros();
        Instant(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}
