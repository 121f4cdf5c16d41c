//! The connections of a shard: counted, watched for silence, told to end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::budget::Budget;
use crate::clock::Clock;
use crate::handle::Budgets;
use crate::mesh::Mailbox;
use crate::pulse::{Pulse, Room, Rooms};
use crate::service::Close;
use crate::signal::Signal;
use crate::timers::Timers;

/// How often connections are looked at, at most and at least.
const LOOK_MS: (u64, u64) = (50, 1_000);

/// Connections of all shards together.
#[derive(Debug)]
pub(crate) struct Places {
    taken: AtomicUsize,
    most: usize,
}

impl Places {
    pub(crate) fn new(most: usize) -> Places {
        Places { taken: AtomicUsize::new(0), most }
    }

    fn take(&self) -> bool {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        if taken >= self.most {
            self.taken.fetch_sub(1, Ordering::Relaxed);
        }
        taken < self.most
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A shard's connections.
pub(crate) struct Registry {
    pulses: RefCell<BTreeMap<u64, Rc<Pulse>>>,
    next: Cell<u64>,
    draining: Cell<bool>,
    filled: Signal,
    places: Arc<Places>,
    budgets: Budgets,
    clock: Clock,
    idle_ms: u64,
    /// Rung when the last connection has ended.
    mailbox: Arc<Mailbox>,
    timers: Rc<Timers>,
}

/// A connection's place in its registry, for as long as it lives.
pub(crate) struct Registered {
    registry: Rc<Registry>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let pulse = self.registry.pulses.borrow_mut().remove(&self.number);
        if let Some(pulse) = pulse {
            pulse.hang_up();
        }
        self.registry.places.give_back();
        if self.registry.is_empty() {
            self.registry.mailbox.ring();
        }
    }
}

impl Registry {
    pub(crate) fn new(
        places: Arc<Places>,
        budgets: Budgets,
        clock: Clock,
        idle_ms: u64,
        mailbox: Arc<Mailbox>,
        timers: Rc<Timers>,
    ) -> Registry {
        Registry {
            pulses: RefCell::default(),
            next: Cell::new(0),
            draining: Cell::new(false),
            filled: Signal::default(),
            places,
            budgets,
            clock,
            idle_ms,
            mailbox,
            timers,
        }
    }

    /// Gives a connection a place, if there is one.
    pub(crate) fn enter(self: &Rc<Self>, pulse: Rc<Pulse>) -> Option<Registered> {
        if !self.places.take() {
            return None;
        }
        let number = self.next.replace(self.next.get() + 1);
        self.pulses.borrow_mut().insert(number, pulse);
        self.filled.raise();
        Some(Registered { registry: self.clone(), number })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pulses.borrow().is_empty()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Asks every connection to end once nothing is in flight.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        self.for_each(|pulse| pulse.drain());
    }

    /// Ends every connection.
    pub(crate) fn end_all(&self) {
        self.draining.set(true);
        self.for_each(|pulse| pulse.end(Close::because("the broker stops")));
    }

    /// Ends connections that are silent for too long. Sleeps while there is none.
    pub(crate) async fn watch(self: Rc<Self>) {
        let look_ms = (self.idle_ms / 4).clamp(LOOK_MS.0, LOOK_MS.1);
        loop {
            self.filled.until(|| !self.is_empty()).await;
            self.timers.after_ms(look_ms).await;
            let now = self.clock.instant();
            let rooms = self.rooms();
            self.for_each(|pulse| {
                if let Some(why) = pulse.overdue(now, self.idle_ms, rooms) {
                    pulse.end(why);
                }
            });
        }
    }

    fn rooms(&self) -> Rooms {
        let room = |budget: &Budget| if budget.was_short() { Room::Short } else { Room::Ample };
        let Budgets { frames, work, records, shortages, .. } = &self.budgets;
        let (frames, work, records) = (room(frames), room(work), room(records));
        if frames.min(work) == Room::Short {
            // Those that only wait come to an end, and with them what waits behind them.
            shortages.update(|count| count + 1);
            self.for_each(Pulse::wake);
        }
        Rooms::of(frames, work, records)
    }

    fn for_each(&self, mut act: impl FnMut(&Pulse)) {
        self.pulses.borrow().values().for_each(|pulse| act(pulse));
    }
}
