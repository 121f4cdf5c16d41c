//! Replies on their way from the core to the tasks that wait for them.
//!
//! A ticket is a place in a table and the number of its use, so that a ticket kept too long names
//! nothing rather than somebody else's request.

use std::mem;
use std::task::{Poll, Waker};

use corelog_engine::shard::event::Ticket;
use corelog_engine::shard::request::Reply;

#[derive(Debug)]
enum State {
    /// Nobody's.
    Free,
    /// The core has it; the waker of the task that asks, if it has asked.
    Waiting(Option<Waker>),
    /// Answered and not yet taken.
    Answered(Reply),
}

#[derive(Debug)]
struct Place {
    uses: u32,
    state: State,
}

/// The tickets that are open on one shard.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    places: Vec<Place>,
    free: Vec<u32>,
}

fn split(ticket: Ticket) -> (usize, u32) {
    ((ticket.0 & u64::from(u32::MAX)) as usize, (ticket.0 >> 32) as u32)
}

impl Replies {
    /// A ticket that is not answered.
    pub(crate) fn open(&mut self) -> Ticket {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { uses: 0, state: State::Free });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.state = State::Waiting(None);
        Ticket(u64::from(place.uses) << 32 | u64::from(index))
    }

    /// Keeps the core's answer; the task to wake, if one waits. Nobody's ticket is ignored.
    pub(crate) fn answer(&mut self, ticket: Ticket, reply: Reply) -> Option<Waker> {
        let place = self.place(ticket)?;
        match mem::replace(&mut place.state, State::Answered(reply)) {
            State::Waiting(waker) => waker,
            State::Free | State::Answered(_) => None,
        }
    }

    /// The reply, or a note to wake this task when it comes.
    ///
    /// # Panics
    /// When the reply has been taken already.
    pub(crate) fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Reply> {
        if let Some(reply) = self.take(ticket) {
            return Poll::Ready(reply);
        }
        let place = self.place(ticket).expect("a future is not polled after it is ready");
        match &mut place.state {
            State::Waiting(Some(known)) if known.will_wake(waker) => {}
            state => *state = State::Waiting(Some(waker.clone())),
        }
        Poll::Pending
    }

    /// The reply, if it is there; closes the ticket then.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Reply> {
        let place = self.place(ticket)?;
        match mem::replace(&mut place.state, State::Free) {
            State::Answered(reply) => {
                self.free_place(ticket);
                Some(reply)
            }
            state => {
                place.state = state;
                None
            }
        }
    }

    /// Whether the reply is there.
    pub(crate) fn is_answered(&mut self, ticket: Ticket) -> bool {
        self.place(ticket).is_some_and(|place| matches!(place.state, State::Answered(_)))
    }

    /// Nobody waits any more; whether the core has yet to hear of it.
    pub(crate) fn close(&mut self, ticket: Ticket) -> bool {
        let Some(place) = self.place(ticket) else { return false };
        let waiting = matches!(place.state, State::Waiting(_));
        self.free_place(ticket);
        waiting
    }

    fn place(&mut self, ticket: Ticket) -> Option<&mut Place> {
        let (index, uses) = split(ticket);
        let place = self.places.get_mut(index)?;
        (place.uses == uses && !matches!(place.state, State::Free)).then_some(place)
    }

    fn free_place(&mut self, ticket: Ticket) {
        let (index, _) = split(ticket);
        let place = &mut self.places[index];
        place.state = State::Free;
        place.uses = place.uses.wrapping_add(1);
        self.free.push(index as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_reply_wakes_whoever_asked_and_is_taken_once() {
        let mut replies = Replies::default();
        let (count, ticket) = (Arc::new(Count::default()), replies.open());
        let waker = Waker::from(count.clone());
        assert!(replies.poll(ticket, &waker).is_pending());
        replies.answer(ticket, Reply::Stopped).expect("a task waits").wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(matches!(replies.poll(ticket, &waker), Poll::Ready(Reply::Stopped)));
        assert!(replies.take(ticket).is_none());
        assert!(!replies.close(ticket), "the core need not hear of it");
    }

    #[test]
    fn a_closed_ticket_is_cancelled_once_and_its_answer_ignored() {
        let mut replies = Replies::default();
        let ticket = replies.open();
        assert!(replies.close(ticket) && !replies.close(ticket));
        assert!(replies.answer(ticket, Reply::Stopped).is_none());
        let next = replies.open();
        assert_ne!(next, ticket);
        assert!(replies.answer(ticket, Reply::Stopped).is_none());
        assert!(replies.take(next).is_none(), "the old ticket's answer is not the new one's");
    }

    #[test]
    fn an_answered_ticket_may_be_closed_unread() {
        let mut replies = Replies::default();
        let ticket = replies.open();
        assert!(replies.answer(ticket, Reply::Stopped).is_none());
        assert!(!replies.close(ticket));
        assert_ne!(replies.open(), ticket);
    }
}
