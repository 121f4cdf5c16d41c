//! The thread of a shard that works things out: what would keep the shard's own thread from
//! everybody else for too long. One piece of work after the other, in the order given.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use corelog_engine::id::ShardId;
use corelog_engine::shard::job::RunJob;
use corelog_os::cpu::{CoreId, pin_current_thread};

use crate::abort::AbortOnPanic;
use crate::error::{IoContext, RunError};
use crate::layout::Layout;
use crate::mesh::{Letter, Mailbox};
use crate::oneshot;

enum Order {
    /// The core's; it hears of it by letter.
    Job(RunJob),
    /// A task's, which waits for it.
    Call(Box<dyn FnOnce() + Send>),
    Stop,
}

/// The way to a shard's work thread.
#[derive(Clone)]
pub(crate) struct Work(Sender<Order>);

impl Work {
    /// Starts the thread.
    pub(crate) fn start(
        shard: ShardId,
        layout: &Layout,
        cores: Vec<CoreId>,
        mailbox: Arc<Mailbox>,
    ) -> Result<(Work, JoinHandle<()>), RunError> {
        let (sender, orders) = channel();
        let run = move || {
            let _abort = AbortOnPanic;
            if let Err(error) = pin_current_thread(&cores) {
                tracing::warn!(%error, "a helper thread runs on any core");
            }
            work(&orders, &mailbox);
        };
        let thread = thread::Builder::new().name(format!("corelog-work-{}", shard.0)).spawn(run);
        Ok((Work(sender), thread.context("starting a thread for", layout.root())?))
    }

    /// Runs a job of the core's.
    pub(crate) fn run(&self, job: RunJob) {
        self.order(Order::Job(job));
    }

    /// Calls a function there. One that nobody waits for any more is not begun; one that is comes
    /// to its end, and has what it holds until then.
    pub(crate) fn call<T, F>(&self, function: F) -> impl Future<Output = T> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        self.order(Order::Call(Box::new(move || {
            if sender.is_wanted() {
                sender.send(function());
            }
        })));
        async move {
            match result.await {
                Ok(result) => result,
                // The thread has ended, and with it, at once, the shard.
                Err(oneshot::Gone) => std::future::pending().await,
            }
        }
    }

    /// Ends the thread once it has done what it was given.
    pub(crate) fn stop(&self) {
        self.order(Order::Stop);
    }

    fn order(&self, order: Order) {
        // The thread ends only when it is told to, after the shard, or with the process.
        let _ = self.0.send(order);
    }
}

fn work(orders: &Receiver<Order>, mailbox: &Mailbox) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Job(RunJob { id, job }) => mailbox.deliver(Letter::Finished(id, job.run())),
            Order::Call(call) => call(),
            Order::Stop => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use futures_lite::future::block_on;

    #[test]
    fn calls_are_made_in_order_on_a_thread_of_their_own() {
        let mailbox = Arc::new(Mailbox::new().expect("an eventfd"));
        let (sender, orders) = channel();
        let work_thread = thread::spawn(move || work(&orders, &mailbox));
        let there = Work(sender);
        let here = thread::current().id();
        let first = there.call(move || thread::current().id() != here);
        let second = there.call(|| 2);
        drop(there.call(|| "nobody waits"));
        assert_eq!(block_on(second), 2);
        assert!(block_on(first));
        there.stop();
        work_thread.join().expect("no panic");
    }

    #[test]
    fn what_nobody_waits_for_is_not_begun_and_holds_its_charge_until_it_is_over() {
        let mailbox = Arc::new(Mailbox::new().expect("an eventfd"));
        let (sender, orders) = channel();
        let there = Work(sender);
        let budget = Budget::new(100);
        let call = || {
            let mut charge = budget.charge(0);
            assert!(charge.grow(40));
            let (begun, begins) = channel();
            let (end, ends) = channel();
            let answer = there.call(move || {
                begun.send(()).expect("the test hears of it");
                ends.recv().expect("the test says when");
                charge
            });
            (answer, begins, end)
        };
        let ((first, begins, end), (second, never_begins, _)) = (call(), call());
        drop(second);
        let has_room = || budget.charge(0).grow_within(30);
        let work_thread = thread::spawn(move || work(&orders, &mailbox));
        begins.recv().expect("it has begun");
        drop(first);
        assert!(!has_room(), "both charges are there");
        end.send(()).expect("it waits for that");
        there.stop();
        work_thread.join().expect("no panic");
        assert!(never_begins.recv().is_err(), "nobody waited for it");
        assert!(has_room() && budget.charge(0).grow_within(100));
    }
}
