//! The loop of a shard: gather what has happened, let the core take it in, carry out what it wants,
//! let the tasks run; then the same again, or sleep. One turn takes in everything that is there, so
//! that one commit holds it.
//!
//! The loop sleeps in the shard's own ring, not in the executor's: measured, a sleep of the
//! executor costs some ten system calls, one of the ring a single one, which also hands the kernel
//! what is queued. So it sleeps only when no task has anything to do, and when, with its bell
//! armed, it has looked everywhere once more.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelog_engine::id::{Instant, Now};
use corelog_engine::shard::Shard;
use corelog_engine::shard::effect::Effects;
use corelog_engine::shard::event::{Event, Outcome};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::ending::{self, Connections, Core, Phase, Together, View};
use crate::handle::Desk;
use crate::mesh::Letter;
use crate::net::Net;
use crate::perform::Hands;
use crate::record::{Digest, Recorder, Step};
use crate::service::Service;
use crate::stall::Watch;
use crate::stop::Stop;
use crate::tasks::Tasks;
use crate::timers::Timers;

/// Letters taken in by one turn.
const LETTERS: usize = 4096;

/// Microseconds after which a turn takes in nothing more, so that what it has wanted is carried
/// out; the rest is the next turn's.
const TURN_US: u64 = 4_000;

/// How often the free space of the disk is looked at while there is something to do.
const MEASURE_MS: u64 = 1_000;

/// A shard's loop and all that it holds.
pub(crate) struct ShardLoop<S> {
    pub(crate) shard: Shard,
    pub(crate) clock: Clock,
    pub(crate) desk: Rc<Desk>,
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) hands: Hands<S>,
    pub(crate) net: Rc<Net<S>>,
    pub(crate) tasks: Rc<Tasks>,
    pub(crate) timers: Rc<Timers>,
    pub(crate) stop: Stop,
    pub(crate) together: Arc<Together>,
    pub(crate) turn: Turn,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) watch: Rc<Watch>,
}

/// What a turn works with, kept from one to the next.
pub(crate) struct Turn {
    events: Vec<Event>,
    /// What no turn has taken in yet.
    waiting: VecDeque<Event>,
    /// Whether a tick is among those.
    ticks: bool,
    effects: Effects,
    phase: Phase,
    measured: Instant,
}

impl Turn {
    pub(crate) fn new(now: Instant) -> Turn {
        Turn {
            events: Vec::new(),
            waiting: VecDeque::new(),
            ticks: false,
            effects: Effects::default(),
            phase: Phase::Running,
            measured: now,
        }
    }
}

impl<S: Service> ShardLoop<S> {
    /// Runs until the shard may leave.
    ///
    /// # Errors
    /// When the kernel takes no disk operations any more, here or on a helper thread.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        self.hands.files.measure();
        self.shard.start(&mut self.turn.effects);
        if let Some(recorder) = &mut self.recorder {
            recorder.note(Step::Start(Digest::of(&self.turn.effects)));
        }
        self.perform()?;
        while self.turn.phase != Phase::Over {
            let now = self.clock.now();
            self.advance_phase(now.instant);
            self.gather(now)?;
            if !self.turn.waiting.is_empty() {
                self.take_turn(now)?;
            } else if self.shard.lacks_disk() {
                self.measure_disk(now.instant);
            }
            self.tasks.care(now.instant).await;
            let ran = self.tasks.run_once().await;
            if !ran {
                self.sleep()?;
            } else if self.turn.waiting.is_empty() && !self.desk.has_events() {
                // With events the next turn does it.
                self.disk.borrow_mut().flush()?;
            }
        }
        Ok(())
    }

    fn gather(&mut self, now: Now) -> io::Result<()> {
        self.watch.begin();
        let Turn { events, waiting, ticks, .. } = &mut self.turn;
        let mut disk = self.disk.borrow_mut();
        disk.complete(events);
        for _ in 0..LETTERS {
            let Some(letter) = self.desk.mailbox().take() else { break };
            events.push(match letter {
                Letter::Message(from, message) => Event::Message(from, message),
                Letter::Done(id, outcome) => Event::Done(id, outcome),
                Letter::Finished(id, finished) => Event::Finished(id, finished),
                Letter::JournalReady(id, slot, file) => {
                    disk.set_journal(slot, file);
                    Event::Done(id, Outcome::Done)
                }
                Letter::DiskFree(bytes) => Event::DiskFree(bytes),
                Letter::Wake(task) => {
                    task.wake_here();
                    continue;
                }
                Letter::Broken(error) => return Err(error),
            });
        }
        self.desk.take_events(events);
        self.timers.wake(now.instant);
        let due = self.shard.next_deadline().is_some_and(|deadline| deadline <= now.instant);
        if due && !*ticks {
            *ticks = true;
            events.push(Event::Tick);
        }
        waiting.extend(events.drain(..));
        self.watch.step(|| "what has come to it");
        Ok(())
    }

    fn take_turn(&mut self, now: Now) -> io::Result<()> {
        let Turn { waiting, effects, ticks, .. } = &mut self.turn;
        while let Some(event) = waiting.pop_front() {
            if let Some(recorder) = &mut self.recorder {
                recorder.note(Step::Event(now, event.clone()));
            }
            *ticks &= !matches!(event, Event::Tick);
            let label = self.shard.label(&event);
            self.shard.step(now, event, effects);
            if self.watch.step(|| label).0 >= now.instant.0 + TURN_US {
                break;
            }
        }
        self.shard.end_of_turn(now, effects);
        self.watch.step(|| "the end of a turn");
        if let Some(recorder) = &mut self.recorder {
            recorder.note(Step::EndOfTurn(now, Digest::of(effects)));
        }
        self.desk.set_pressure(self.shard.pressure());
        self.perform()?;
        self.watch.step(|| "what a turn wants done");
        self.measure_disk(now.instant);
        Ok(())
    }

    fn perform(&mut self) -> io::Result<()> {
        self.hands.perform(&mut self.turn.effects)
    }

    fn measure_disk(&mut self, now: Instant) {
        if now.ms_since(self.turn.measured) >= MEASURE_MS {
            self.turn.measured = now;
            self.hands.files.measure();
        }
    }

    fn view(&self, now: Instant) -> View {
        let core_stopped = match self.turn.phase {
            Phase::Stopping(ticket) => self.desk.is_answered(ticket),
            _ => false,
        };
        let alone = self.net.registry.is_empty();
        View {
            now,
            urgency: self.stop.urgency(),
            shards: usize::from(self.desk.shards()),
            connections: if alone { Connections::None } else { Connections::Some },
            core: if core_stopped { Core::Stopped } else { Core::Working },
        }
    }

    fn next_step(&self, now: Instant) -> Option<ending::Step> {
        self.turn.phase.step(self.view(now), &self.together)
    }

    fn advance_phase(&mut self, now: Instant) {
        while let Some(step) = self.next_step(now) {
            self.turn.phase = match step {
                ending::Step::Drain => {
                    self.net.drain();
                    Phase::draining(now)
                }
                ending::Step::Drained => {
                    self.net.registry.end_all();
                    self.together.one_drained();
                    self.stop.ring();
                    Phase::Drained
                }
                ending::Step::Stop => {
                    let ticket = self.desk.open_ticket();
                    self.desk.push(Event::Stop(ticket));
                    Phase::Stopping(ticket)
                }
                ending::Step::Stopped => {
                    self.together.one_stopped();
                    self.stop.ring();
                    Phase::Stopped
                }
                ending::Step::Leave => {
                    self.net.drain();
                    self.net.registry.end_all();
                    Phase::Over
                }
            };
        }
    }

    /// Sleeps until something has happened or time has come.
    fn sleep(&mut self) -> io::Result<()> {
        let mailbox = self.desk.mailbox().clone();
        mailbox.bell().arm();
        let now = self.clock.instant();
        let slept = if self.has_work(now) {
            self.disk.borrow_mut().flush()
        } else {
            let wait = |at: Instant| Duration::from_micros(at.0.saturating_sub(now.0));
            self.disk.borrow_mut().sleep(self.next_deadline().map(wait))
        };
        mailbox.bell().disarm();
        slept
    }

    fn has_work(&self, now: Instant) -> bool {
        !self.turn.waiting.is_empty()
            || self.desk.has_events()
            || !self.desk.mailbox().is_empty()
            || self.disk.borrow_mut().has_completed()
            || self.turn.phase == Phase::Over
            || self.next_step(now).is_some()
    }

    /// The next thing that time alone brings about.
    fn next_deadline(&self) -> Option<Instant> {
        // The disk is looked at although nothing happens.
        let again = self.turn.measured.plus_ms(MEASURE_MS);
        let measure = self.shard.lacks_disk().then_some(again);
        let phase = self.turn.phase.deadline();
        let deadlines = [self.shard.next_deadline(), phase, measure, self.timers.next()];
        deadlines.into_iter().flatten().min()
    }
}
