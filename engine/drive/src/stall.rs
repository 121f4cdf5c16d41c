//! Steps of a shard that keep its thread from everybody else for too long. Each step is timed; what
//! counts is the processor time that the thread has used, not the time that others had the
//! processor.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use corelog_engine::id::{Instant, ShardId};
use corelog_os::process::thread_cpu_time;

use crate::clock::Clock;

/// Microseconds that a step may take. Without optimisation everything takes several times as long.
pub(crate) const STEP_US: u64 = if cfg!(debug_assertions) { 60_000 } else { 5_000 };

/// Microseconds between two looks at the thread's own clock, which is a system call.
const LOOK_US: u64 = 1_000;

/// Milliseconds between two lines of a shard.
const LINE_MS: u64 = 1_000;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Mark {
    wall: Instant,
    used: Duration,
}

/// What a shard's thread has told of its steps, and since when it has told nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    last: Option<Instant>,
    /// Long steps since.
    untold: u32,
}

/// Watches the steps of one shard, on its thread.
pub(crate) struct Watch {
    shard: ShardId,
    clock: Clock,
    /// When the present step began.
    began: Cell<Instant>,
    mark: Cell<Mark>,
    told: Cell<Told>,
    /// What the task that runs says it does.
    doing: Cell<&'static str>,
    stalls: Cell<u64>,
}

impl Watch {
    /// For the present thread.
    pub(crate) fn new(shard: ShardId, clock: Clock) -> Watch {
        let wall = clock.instant();
        Watch {
            shard,
            clock,
            began: Cell::new(wall),
            mark: Cell::new(Mark { wall, used: thread_cpu_time() }),
            told: Cell::default(),
            doing: Cell::new(""),
            stalls: Cell::new(0),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        self.clock.instant()
    }

    /// A step begins now; what was before is no step.
    pub(crate) fn begin(&self) {
        self.began.set(self.clock.instant());
    }

    /// A step has ended, and the next begins. Says when that is.
    pub(crate) fn step<D: fmt::Display>(&self, what: impl FnOnce() -> D) -> Instant {
        let now = self.clock.instant();
        let wall = now.0.saturating_sub(self.began.replace(now).0);
        if now.0.saturating_sub(self.mark.get().wall.0) >= LOOK_US {
            let used = thread_cpu_time();
            let before = self.mark.replace(Mark { wall: now, used });
            // The mark may be older than the step, by what counts for nothing.
            let used = used.saturating_sub(before.used).as_micros();
            let took = wall.min(u64::try_from(used).unwrap_or(u64::MAX));
            if took >= STEP_US {
                self.stalled(now, took, what());
            }
        }
        now
    }

    /// The task that runs says what it does.
    pub(crate) fn set_doing(&self, what: &'static str) {
        self.doing.set(what);
    }

    /// What the task that has run said that it did.
    pub(crate) fn take_doing(&self) -> &'static str {
        self.doing.take()
    }

    /// Steps that took too long.
    #[cfg(test)]
    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.get()
    }

    fn stalled(&self, now: Instant, took_us: u64, what: impl fmt::Display) {
        self.stalls.set(self.stalls.get() + 1);
        let told = self.told.get();
        if told.last.is_some_and(|last| now.ms_since(last) < LINE_MS) {
            return self.told.set(Told { untold: told.untold + 1, ..told });
        }
        self.told.set(Told { last: Some(now), untold: 0 });
        tracing::warn!(
            shard = self.shard.0,
            took_ms = took_us / 1000,
            others = told.untold,
            total = self.stalls.get(),
            "a step held up its shard: {what}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;
    use std::thread::sleep;

    fn watch() -> Watch {
        Watch::new(ShardId(0), Clock::start())
    }

    fn burn(us: u64) {
        let from = thread_cpu_time();
        while thread_cpu_time() - from < Duration::from_micros(us) {
            black_box(0);
        }
    }

    #[test]
    fn only_processor_time_of_one_step_counts() {
        let watch = watch();
        watch.begin();
        sleep(Duration::from_micros(STEP_US + 5_000));
        watch.step(|| "a thread that did not run");
        assert_eq!(watch.stalls(), 0);
        for _ in 0..4 {
            burn(STEP_US / 3);
            watch.step(|| "a short step");
        }
        assert_eq!(watch.stalls(), 0);
        burn(STEP_US + 2_000);
        watch.step(|| "a long step");
        assert_eq!(watch.stalls(), 1);
        burn(STEP_US + 2_000);
        watch.begin();
        watch.step(|| "what was before is no step");
        assert_eq!(watch.stalls(), 1);
    }

    #[test]
    fn of_many_at_once_one_is_told() {
        let watch = watch();
        for _ in 0..5 {
            watch.stalled(watch.clock.instant(), STEP_US, "something");
        }
        assert_eq!((watch.stalls(), watch.told.get().untold), (5, 4));
    }
}
