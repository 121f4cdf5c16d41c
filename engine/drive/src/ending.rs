//! How a shard comes to its end, in step with the others: first nobody's connections ask for
//! anything any more, then everybody's core writes down what it has, then all leave. (A shard that
//! left early could not answer the others' calls.)

use std::sync::atomic::{AtomicUsize, Ordering};

use corelog_engine::id::Instant;
use corelog_engine::shard::event::Ticket;

use crate::stop::Urgency;

/// Milliseconds that requests in flight have to be answered.
const DRAIN_MS: u64 = 10_000;

/// How many shards have come how far.
#[derive(Debug, Default)]
pub(crate) struct Together {
    drained: AtomicUsize,
    stopped: AtomicUsize,
}

/// How far this shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It serves.
    Running,
    /// Its connections are ending, until this instant.
    Draining(Instant),
    /// It has no connections; others may have.
    Drained,
    /// Its core writes everything down, and answers the ticket then.
    Stopping(Ticket),
    /// Its core has stopped; others' may not have.
    Stopped,
    /// It may leave.
    Over,
}

/// What a shard sees of itself when it considers its next phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) now: Instant,
    pub(crate) urgency: Urgency,
    pub(crate) shards: usize,
    pub(crate) connections: Connections,
    pub(crate) core: Core,
}

/// Whether a shard has connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    Some,
    None,
}

/// Whether a shard's core has answered its stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    Working,
    Stopped,
}

/// What takes a shard from one phase to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the connections to end.
    Drain,
    /// Connections are gone, or their time is up: end those that are left, tell the others.
    Drained,
    /// Stop the core.
    Stop,
    /// The core has stopped: tell the others.
    Stopped,
    /// Leave.
    Leave,
}

impl Phase {
    /// What is to be done now, if anything.
    pub(crate) fn step(self, view: View, together: &Together) -> Option<Step> {
        if view.urgency == Urgency::AtOnce && self != Phase::Over {
            return Some(Step::Leave);
        }
        let all = |counter: &AtomicUsize| counter.load(Ordering::SeqCst) >= view.shards;
        match self {
            Phase::Running => (view.urgency == Urgency::Graceful).then_some(Step::Drain),
            Phase::Draining(until) => {
                let over = view.connections == Connections::None || view.now >= until;
                over.then_some(Step::Drained)
            }
            Phase::Drained => all(&together.drained).then_some(Step::Stop),
            Phase::Stopping(_) => (view.core == Core::Stopped).then_some(Step::Stopped),
            Phase::Stopped => all(&together.stopped).then_some(Step::Leave),
            Phase::Over => None,
        }
    }

    /// When time alone brings the next step.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Phase::Draining(until) => Some(until),
            _ => None,
        }
    }

    /// Draining, from `now` on.
    pub(crate) fn draining(now: Instant) -> Phase {
        Phase::Draining(now.plus_ms(DRAIN_MS))
    }
}

impl Together {
    pub(crate) fn one_drained(&self) {
        self.drained.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn one_stopped(&self) {
        self.stopped.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View {
        now: Instant(1_000),
        urgency: Urgency::Graceful,
        shards: 2,
        connections: Connections::Some,
        core: Core::Working,
    };

    #[test]
    fn shards_end_in_step() {
        let together = Together::default();
        let running = View { urgency: Urgency::None, ..VIEW };
        assert_eq!(Phase::Running.step(running, &together), None);
        assert_eq!(Phase::Running.step(VIEW, &together), Some(Step::Drain));

        let draining = Phase::draining(VIEW.now);
        let alone = View { connections: Connections::None, ..VIEW };
        let late = View { now: VIEW.now.plus_ms(DRAIN_MS), ..VIEW };
        assert_eq!(draining.step(VIEW, &together), None);
        assert_eq!(draining.step(alone, &together), Some(Step::Drained));
        assert_eq!(draining.step(late, &together), Some(Step::Drained));
        assert_eq!(draining.deadline(), Some(late.now));

        together.one_drained();
        assert_eq!(Phase::Drained.step(alone, &together), None);
        together.one_drained();
        assert_eq!(Phase::Drained.step(alone, &together), Some(Step::Stop));

        let stopped = View { core: Core::Stopped, ..alone };
        let stopping = Phase::Stopping(Ticket(1));
        assert_eq!(stopping.step(alone, &together), None);
        assert_eq!(stopping.step(stopped, &together), Some(Step::Stopped));
        together.one_stopped();
        assert_eq!(Phase::Stopped.step(stopped, &together), None);
        together.one_stopped();
        assert_eq!(Phase::Stopped.step(stopped, &together), Some(Step::Leave));
        assert_eq!(Phase::Over.step(stopped, &together), None);
    }

    #[test]
    fn at_once_leaves_from_anywhere() {
        let view = View { urgency: Urgency::AtOnce, ..VIEW };
        let phases = [
            Phase::Running,
            Phase::draining(VIEW.now),
            Phase::Drained,
            Phase::Stopping(Ticket(1)),
            Phase::Stopped,
        ];
        for phase in phases {
            assert_eq!(phase.step(view, &Together::default()), Some(Step::Leave), "{phase:?}");
        }
        assert_eq!(Phase::Over.step(view, &Together::default()), None);
    }
}
