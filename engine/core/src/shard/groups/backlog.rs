//! Requests that have come before their partition was loaded. Who waits may wait for long, and some
//! are charged to nothing meanwhile, so there is a bound on how many wait and on what they hold.

use crate::group::request::Request;
use crate::shard::Map;
use crate::shard::partition::{OwnerCall, Slot};
use crate::shard::queue::Queue;

/// Requests that may wait for one partition.
const WAITING: usize = if cfg!(test) { 16 } else { 10_000 };

/// Bytes that the requests of all partitions of a shard may hold, unless it is one request.
const BYTES: usize = if cfg!(test) { 8 << 10 } else { 16 << 20 };

/// Those that wait, by partition.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    queues: Map<Slot, Queue<OwnerCall, Waiting>>,
    /// Where each is.
    places: Map<OwnerCall, Slot>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    bytes: usize,
}

impl Backlog {
    /// Has a request wait, if there is room; whether there is.
    pub(super) fn push(&mut self, slot: Slot, call: OwnerCall, request: Request) -> bool {
        let bytes = request.weight();
        let queue = self.queues.entry(slot).or_default();
        let fits = self.bytes == 0 || self.bytes + bytes <= BYTES;
        if !fits || queue.len() >= WAITING {
            return false;
        }
        queue.push(call, Waiting { request, bytes });
        self.places.insert(call, slot);
        self.bytes += bytes;
        true
    }

    /// Takes out the first that waits for a partition.
    pub(super) fn pop(&mut self, slot: Slot) -> Option<(OwnerCall, Request)> {
        let (call, Waiting { request, bytes }) = self.queues.get_mut(&slot)?.pop()?;
        self.places.remove(&call);
        self.bytes -= bytes;
        Some((call, request))
    }

    /// Takes out all that wait for a partition.
    pub(super) fn take(&mut self, slot: Slot) -> Vec<OwnerCall> {
        let calls = std::iter::from_fn(|| self.pop(slot)).map(|(call, _)| call).collect();
        self.queues.remove(&slot);
        calls
    }

    /// Takes out one that need not be the first; whether it waited.
    pub(super) fn remove(&mut self, call: OwnerCall) -> bool {
        let Some(slot) = self.places.remove(&call) else { return false };
        let queue = self.queues.get_mut(&slot);
        let removed = queue.and_then(|queue| queue.remove(&call));
        self.bytes -= removed.map_or(0, |waiting| waiting.bytes);
        true
    }

    /// Whether nothing waits for a partition.
    pub(super) fn is_empty(&self, slot: Slot) -> bool {
        self.queues.get(&slot).is_none_or(Queue::is_empty)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::group::name::{Generation, GroupId, MemberId};
    use crate::group::request::SyncRequest;
    use crate::id::ShardId;
    use crate::shard::message::CallId;

    fn call(id: u64) -> OwnerCall {
        OwnerCall { from: ShardId(0), id: CallId(id) }
    }

    /// A leader's word, of so many bytes.
    fn request(bytes: usize) -> Request {
        Request::Sync(SyncRequest {
            group: GroupId("g".into()),
            member: MemberId("m".into()),
            instance: None,
            generation: Generation(1),
            protocol_type: None,
            protocol: None,
            assignments: vec![(MemberId("m".into()), Bytes::from(vec![0; bytes]))],
        })
    }

    #[test]
    fn what_waits_is_bounded_by_what_it_holds() {
        let mut backlog = Backlog::default();
        let slots = [Slot(1), Slot(2)];
        assert!(backlog.push(slots[0], call(1), request(10 * BYTES)), "one of any size");
        assert!(!backlog.push(slots[1], call(2), request(0)), "and no other beside it");
        assert!(backlog.remove(call(1)) && !backlog.remove(call(1)));
        let waiting = (0..)
            .take_while(|id| backlog.push(slots[*id as usize % 2], call(*id), request(BYTES / 8)));
        assert_eq!(waiting.count(), 6, "of all partitions together");
        assert_eq!(backlog.len(), 6);
        assert!(backlog.remove(call(2)) && backlog.push(slots[1], call(9), request(BYTES / 8)));
        let firsts: Vec<_> = std::iter::from_fn(|| backlog.pop(slots[0])).map(|p| p.0).collect();
        assert_eq!(firsts, [call(0), call(4)]);
        assert!(backlog.is_empty(slots[0]) && !backlog.is_empty(slots[1]));
        assert_eq!(backlog.take(slots[1]), [call(1), call(3), call(5), call(9)]);
        assert_eq!((backlog.bytes, backlog.len()), (0, 0));
    }

    #[test]
    fn small_ones_are_bounded_by_their_number() {
        let mut backlog = Backlog::default();
        let mut push = |slot, id| backlog.push(Slot(slot), call(id), Request::List);
        assert_eq!((0..).take_while(|id| push(1, *id)).count(), WAITING);
        assert!(push(2, 100), "of one partition");
    }
}
