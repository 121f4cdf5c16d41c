//! A shard as the tasks of its connections see it: requests go in at once and in order, replies
//! come back as futures. Everything here stays on the shard's thread.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use corelog_engine::id::{Now, ShardId};
use corelog_engine::metadata::Image;
use corelog_engine::shard::Pressure;
use corelog_engine::shard::event::{Event, Ticket};
use corelog_engine::shard::request::{Piece, Reply, Request};
use futures_lite::future;

use crate::budget::{Budget, Charge};
use crate::clock::Clock;
use crate::mesh::Mailbox;
use crate::replies::Replies;
use crate::serve::memory_of;
use crate::tasks::Tasks;
use crate::work::Work;

/// Facts about the directory and the run, known once recovery is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster that the directory belongs to.
    pub cluster_id: [u8; 16],
    /// This broker's number.
    pub node_id: i32,
    /// How many starts the directory has seen, this one included.
    pub start: u32,
    /// The directory's own id.
    pub directory_id: [u8; 16],
}

/// What the tasks of a shard and its loop share.
pub(crate) struct Desk {
    id: ShardId,
    shards: u16,
    identity: Arc<Identity>,
    clock: Clock,
    mailbox: Arc<Mailbox>,
    /// What the core has not seen yet, in order.
    inbox: RefCell<Vec<Event>>,
    replies: RefCell<Replies>,
    image: RefCell<Arc<Image>>,
    pressure: Cell<Pressure>,
    pressed: RefCell<Vec<Waker>>,
    budgets: Budgets,
    work: Work,
    tasks: Rc<Tasks>,
}

/// What a desk is made of.
pub(crate) struct DeskSetup {
    pub(crate) id: ShardId,
    pub(crate) shards: u16,
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) image: Arc<Image>,
    pub(crate) budgets: Budgets,
    pub(crate) work: Work,
    pub(crate) tasks: Rc<Tasks>,
}

/// The classes of memory that a shard's requests are charged to. Whoever waits for one has nothing
/// of a later one, so those who wait do not wait for each other.
#[derive(Clone)]
pub(crate) struct Budgets {
    /// Frames, received or being received.
    pub(crate) frames: Arc<Budget>,
    /// Requests being worked on, and their answers.
    pub(crate) work: Arc<Budget>,
    /// Records of answers on their way.
    pub(crate) records: Arc<Budget>,
    /// Permits, one at a time, for what takes memory before it is known how much. Who waits for one
    /// is not short of memory.
    pub(crate) permits: Arc<Budget>,
    /// How often it was found that somebody waits for frames or work.
    pub(crate) shortages: Rc<Cell<u64>>,
}

impl Desk {
    pub(crate) fn new(setup: DeskSetup) -> Desk {
        let DeskSetup { id, shards, identity, clock, mailbox, image, budgets, work, tasks } = setup;
        Desk {
            id,
            shards,
            identity,
            clock,
            mailbox,
            inbox: RefCell::default(),
            replies: RefCell::default(),
            image: RefCell::new(image),
            pressure: Cell::new(Pressure::Open),
            pressed: RefCell::default(),
            budgets,
            work,
            tasks,
        }
    }

    /// Opens a ticket that something of the core's will be answered to.
    pub(crate) fn open_ticket(&self) -> Ticket {
        self.replies.borrow_mut().open()
    }

    /// Hands the core an event in its next turn.
    pub(crate) fn push(&self, event: Event) {
        self.inbox.borrow_mut().push(event);
        self.mailbox.ring();
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.inbox.borrow().is_empty()
    }

    /// Moves what waits behind what `events` has.
    pub(crate) fn take_events(&self, events: &mut Vec<Event>) {
        events.append(&mut self.inbox.borrow_mut());
    }

    pub(crate) fn reply(&self, ticket: Ticket, reply: Reply) {
        let waker = self.replies.borrow_mut().answer(ticket, reply);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_answered(&self, ticket: Ticket) -> bool {
        self.replies.borrow_mut().is_answered(ticket)
    }

    pub(crate) fn publish(&self, image: Arc<Image>) {
        *self.image.borrow_mut() = image;
    }

    pub(crate) fn set_pressure(&self, pressure: Pressure) {
        let before = self.pressure.replace(pressure);
        if before == Pressure::Full && pressure == Pressure::Open {
            for waker in mem::take(&mut *self.pressed.borrow_mut()) {
                waker.wake();
            }
        }
    }

    pub(crate) fn id(&self) -> ShardId {
        self.id
    }

    pub(crate) fn shards(&self) -> u16 {
        self.shards
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
}

/// The way to a shard's core. Cheap to clone; stays on the shard's thread.
#[derive(Clone)]
pub struct ShardHandle(Rc<Desk>);

impl ShardHandle {
    pub(crate) fn new(desk: Rc<Desk>) -> ShardHandle {
        ShardHandle(desk)
    }

    /// Hands a request to the core: now, not when the future is first polled, and behind whatever
    /// was submitted before. Dropping the future cancels the request; what it appends, or has begun
    /// to change of the metadata, takes effect all the same.
    #[must_use = "dropping the reply cancels the request"]
    pub fn submit(&self, request: Request) -> PendingReply {
        let ticket = self.0.open_ticket();
        self.0.push(Event::Request(ticket, request));
        PendingReply { desk: self.0.clone(), ticket }
    }

    /// As [`submit`](Self::submit), of a request that may wait for long; soon after others wait for
    /// memory of requests, the other one takes its place.
    pub async fn submit_yielding(&self, request: Request, at_once: Request) -> Reply {
        let before = self.0.budgets.shortages.get();
        let hurried = poll_fn(|_| match self.0.budgets.shortages.get() == before {
            // Whoever counts them wakes the connections.
            true => Poll::Pending,
            false => Poll::Ready(()),
        });
        let instead = async {
            hurried.await;
            self.submit(at_once).await
        };
        future::or(self.submit(request), instead).await
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        self.0.clock.now()
    }

    /// The metadata that this shard goes by.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.0.image.borrow().clone()
    }

    /// Facts about the directory and the run.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Which shard this is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.0.id()
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.0.shards()
    }

    /// Charges what working on a request takes, its answer included, to the shard's budget. `None`
    /// when there is no room: keep no more than the request's frame, wait for
    /// [`work_done`](Self::work_done), and ask again.
    #[must_use]
    pub fn charge_work(&self, bytes: u64) -> Option<Charge> {
        let mut charge = self.0.budgets.work.charge(bytes);
        charge.grow(bytes).then_some(charge)
    }

    /// Charges `more` for a request that is being worked on, as soon as there is room. One that has
    /// the right to exceed the budget has it to its end, so that those who wait here do not wait
    /// for each other.
    pub async fn grow_work(&self, charge: &mut Charge, more: u64) {
        while !charge.grow(more) {
            self.work_done().await;
        }
    }

    /// A permit for what takes memory before it is known how much, as soon as there is one: one at
    /// a time has it, until it is dropped.
    pub async fn permit(&self) -> Charge {
        let permits = &self.0.budgets.permits;
        loop {
            let mut permit = permits.charge(0);
            if permit.grow(1) {
                return permit;
            }
            permits.released().await;
        }
    }

    /// Resolves when work has been done since the last refusal.
    pub fn work_done(&self) -> impl Future<Output = ()> + use<> {
        self.0.budgets.work.released()
    }

    /// Charges the memory that an answer takes on its way to the shard's budget for records, that
    /// of short file ranges included, which are read when they are sent. `None` when there is no
    /// room: drop the answer, so that it holds nothing, wait for
    /// [`answers_left`](Self::answers_left), and ask again.
    #[must_use]
    pub fn charge_answer<'a>(&self, pieces: impl IntoIterator<Item = &'a Piece>) -> Option<Charge> {
        let bytes = memory_of(pieces);
        let mut charge = self.0.budgets.records.charge(bytes);
        charge.grow(bytes).then_some(charge)
    }

    /// Resolves when an answer has left since the last refusal.
    pub fn answers_left(&self) -> impl Future<Output = ()> + use<> {
        self.0.budgets.records.released()
    }

    /// Lets the shard, and the others on it, run if the task has had its time. Between any two
    /// pieces of work that a client can make many of.
    pub async fn breathe(&self) {
        self.0.tasks.breathe().await;
    }

    /// Has work done on a thread that serves nobody, for what takes milliseconds in one piece. It
    /// is under way from now on. It is not begun if nobody waits any more by then; once begun it
    /// comes to its end all the same, so what it takes is charged to what it holds itself.
    pub fn offload<T, W>(&self, work: W) -> impl Future<Output = T> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.0.work.call(work)
    }

    /// What the task that runs does from now on, should it turn out to take too long.
    pub fn doing(&self, what: &'static str) {
        self.0.tasks.doing(what);
    }

    /// Random bytes fit for ids and keys.
    #[must_use]
    pub fn random(&self) -> [u8; 16] {
        random()
    }

    /// Resolves when appends are welcome. Wait for it before an append is submitted, so that a
    /// client that outruns the disk is slowed down rather than refused.
    pub fn ready_for_bytes(&self) -> impl Future<Output = ()> + use<> {
        ReadyForBytes(self.0.clone())
    }
}

/// Random bytes from the kernel.
pub(crate) fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // The kernel's call fails only before the machine has gathered randomness at its boot, and then
    // it waits instead.
    corelog_os::process::fill_random(&mut bytes).expect("a machine that has booted has randomness");
    bytes
}

/// A request's reply to come.
pub struct PendingReply {
    desk: Rc<Desk>,
    ticket: Ticket,
}

impl Future for PendingReply {
    type Output = Reply;

    /// # Panics
    /// When polled again after it has answered.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        self.desk.replies.borrow_mut().poll(self.ticket, cx.waker())
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if self.desk.replies.borrow_mut().close(self.ticket) {
            self.desk.push(Event::Cancel(self.ticket));
        }
    }
}

struct ReadyForBytes(Rc<Desk>);

impl Future for ReadyForBytes {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.pressure.get() {
            Pressure::Open => Poll::Ready(()),
            Pressure::Full => {
                let mut pressed = self.0.pressed.borrow_mut();
                if !pressed.iter().any(|waker| waker.will_wake(cx.waker())) {
                    pressed.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}
