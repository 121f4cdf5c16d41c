//! The tasks of a shard.
//!
//! Glommio runs them, but the shard's loop is the one that sleeps: in its own ring, once no task
//! has anything to do. Two things follow. The loop must know that none has, so polls are counted.
//! And nothing that wakes glommio wakes the loop, so a task that another thread wakes is woken by a
//! letter to the loop.
//!
//! The executor must not sleep while the loop can run, but it does when its timer for interrupting
//! tasks has run out before it starts the first. So that timer is set to hours, and a timer of its
//! own ends every sleep within a second.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use corelog_engine::id::Instant;
use futures_lite::future::yield_now;
use glommio::timer::Timer;

use crate::mesh::{Letter, Mailbox};
use crate::stall::Watch;

/// The longest sleep of the executor.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How often the executor is to look after itself: tasks whose end another thread has brought about
/// are let go of then.
const CARE_MS: u64 = 60_000;

/// How long it takes.
const CARE: Duration = Duration::from_millis(1);

/// Microseconds that tasks have before they let the loop run, and with it the others.
const SLICE_US: u64 = 1_000;

/// Pieces of work between two looks at the clock.
const PIECES: u32 = 8;

thread_local! {
    /// Whose tasks run on this thread; 0 for nobody's.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// The next that nobody has had.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where a shard's tasks are started and counted. Stays on the shard's thread.
pub(crate) struct Tasks {
    home: u64,
    mailbox: Arc<Mailbox>,
    watch: Rc<Watch>,
    polls: Cell<u64>,
    /// Pieces of work that have been since the start.
    pieces: Cell<u32>,
    slice_began: Cell<Instant>,
    cared: Cell<Instant>,
}

impl Tasks {
    /// For the present thread, which has no others.
    pub(crate) fn new(mailbox: Arc<Mailbox>, watch: Rc<Watch>) -> Tasks {
        let home = NEXT.fetch_add(1, Ordering::Relaxed);
        HERE.set(home);
        let now = watch.now();
        let (slice_began, cared) = (Cell::new(now), Cell::new(now));
        glommio::spawn_local(async {
            loop {
                Timer::new(LONGEST_SLEEP).await;
            }
        })
        .detach();
        let (polls, pieces) = (Cell::new(0), Cell::new(0));
        Tasks { home, mailbox, watch, polls, pieces, slice_began, cared }
    }

    /// Lets the executor look after itself, if it is time. For the loop.
    pub(crate) async fn care(&self, now: Instant) {
        if now.ms_since(self.cared.get()) >= CARE_MS {
            self.cared.set(now);
            Timer::new(CARE).await;
        }
    }

    /// Starts a task, and runs it to its first wait.
    pub(crate) fn spawn(
        self: &Rc<Self>,
        future: impl Future<Output = ()> + 'static,
    ) -> glommio::Task<()> {
        let future = Box::pin(future);
        glommio::spawn_local(Watched { tasks: self.clone(), waker: None, future })
    }

    /// Lets every task run that has something to do; whether there was any. For the loop.
    pub(crate) async fn run_once(&self) -> bool {
        let before = self.polls.get();
        self.slice_began.set(self.watch.now());
        self.watch.begin();
        yield_now().await;
        self.polls.get() != before
    }

    /// Lets the loop run, and with it the others, if tasks have had their time.
    pub(crate) async fn yield_if_needed(&self) {
        if self.is_late() {
            yield_now().await;
        }
    }

    /// The same between pieces so short that a look at the clock takes as long.
    pub(crate) async fn breathe(&self) {
        let pieces = self.pieces.get().wrapping_add(1);
        self.pieces.set(pieces);
        if pieces.is_multiple_of(PIECES) {
            self.yield_if_needed().await;
        }
    }

    /// Whether tasks have had their time.
    pub(crate) fn is_late(&self) -> bool {
        self.watch.now().0.saturating_sub(self.slice_began.get().0) >= SLICE_US
    }

    /// What the task that runs does, should it take too long.
    pub(crate) fn doing(&self, what: &'static str) {
        self.watch.set_doing(what);
    }
}

/// What a task has done in one go.
struct Doing(&'static str);

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => f.write_str("a connection"),
            doing => write!(f, "a connection, {doing}"),
        }
    }
}

/// A task's future, polled with a waker of ours.
struct Watched<F> {
    tasks: Rc<Tasks>,
    waker: Option<(Arc<HomeWaker>, Waker)>,
    future: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.tasks.polls.set(this.tasks.polls.get() + 1);
        let known = |(home, _): &(Arc<HomeWaker>, Waker)| home.task.will_wake(cx.waker());
        if !this.waker.as_ref().is_some_and(known) {
            let (home, mailbox) = (this.tasks.home, this.tasks.mailbox.clone());
            let home = Arc::new(HomeWaker { home, mailbox, task: cx.waker().clone() });
            this.waker = Some((home.clone(), home.into()));
        }
        let (_, waker) = this.waker.as_ref().expect("it was just made");
        let polled = this.future.as_mut().poll(&mut Context::from_waker(waker));
        let doing = this.tasks.watch.take_doing();
        this.tasks.watch.step(|| Doing(doing));
        polled
    }
}

/// Wakes a task on its own thread, from any.
pub(crate) struct HomeWaker {
    home: u64,
    mailbox: Arc<Mailbox>,
    task: Waker,
}

impl HomeWaker {
    /// Wakes the task. On its own thread.
    pub(crate) fn wake_here(&self) {
        self.task.wake_by_ref();
    }
}

impl std::fmt::Debug for HomeWaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HomeWaker(of {})", self.home)
    }
}

impl Wake for HomeWaker {
    fn wake(self: Arc<Self>) {
        if HERE.get() == self.home {
            self.wake_here();
        } else {
            let mailbox = self.mailbox.clone();
            mailbox.deliver(Letter::Wake(self));
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if HERE.get() == self.home { self.wake_here() } else { self.clone().wake() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::oneshot::{Sender, channel};
    use corelog_engine::id::ShardId;
    use std::cell::RefCell;
    use std::thread;

    fn in_executor<T: Send + 'static>(test: impl AsyncFnOnce() -> T + Send + 'static) -> T {
        let builder = glommio::LocalExecutorBuilder::default().ring_depth(8).io_memory(64 << 10);
        let builder = builder.preempt_timer(Duration::from_secs(3600));
        let executor = builder.spawn(move || async move { test().await }).expect("an executor");
        executor.join().expect("no panic")
    }

    fn tasks() -> (Rc<Tasks>, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::new().expect("a mailbox"));
        let watch = Rc::new(Watch::new(ShardId(0), Clock::start()));
        (Rc::new(Tasks::new(mailbox.clone(), watch)), mailbox)
    }

    #[test]
    fn the_loop_knows_when_no_task_has_anything_to_do() {
        let passes = in_executor(async || {
            let (tasks, _mailbox) = tasks();
            let (sender, receiver) = channel();
            let sender = RefCell::new(Some(sender));
            // Both run to their first wait at once; then the second wakes the first.
            tasks.spawn(async move { receiver.await.expect("a value") }).detach();
            let send = move || sender.borrow_mut().take().map(|sender: Sender<()>| sender.send(()));
            tasks
                .spawn(async move {
                    yield_now().await;
                    send();
                })
                .detach();
            let mut passes = Vec::new();
            for _ in 0..5 {
                passes.push(tasks.run_once().await);
            }
            passes
        });
        assert_eq!(passes, [true, true, false, false, false]);
    }

    #[test]
    fn a_wake_from_another_thread_comes_as_a_letter() {
        let woken = in_executor(async || {
            let (tasks, mailbox) = tasks();
            let (sender, receiver) = channel();
            let done = Rc::new(Cell::new(false));
            let told = done.clone();
            let task = async move {
                receiver.await.expect("a value");
                told.set(true);
            };
            tasks.spawn(task).detach();
            thread::spawn(move || sender.send(())).join().expect("no panic");
            assert!(!tasks.run_once().await && !done.get(), "the task is not woken yet");
            match mailbox.take() {
                Some(Letter::Wake(task)) => task.wake_here(),
                other => panic!("{other:?}"),
            }
            assert!(tasks.run_once().await);
            done.get()
        });
        assert!(woken);
    }

    #[test]
    fn care_is_taken_when_it_is_time() {
        in_executor(async || {
            let (tasks, _mailbox) = tasks();
            let now = tasks.watch.now();
            let (soon, later) = (now.plus_ms(CARE_MS - 1), now.plus_ms(CARE_MS + 1));
            for (at, cared) in [(soon, false), (later, true), (later, false)] {
                let before = tasks.cared.get();
                tasks.care(at).await;
                assert_eq!(tasks.cared.get() != before, cared, "{at:?}");
            }
        });
    }
}
