//! As home: a fetch reads in rounds until there is enough or it is late. A round asks every owner;
//! an owner that has too little watches its partitions and wakes the fetch for another round.

use crate::id::{Now, ShardId};
use crate::shard::Shard;
use crate::shard::effect::Effects;
use crate::shard::event::Ticket;
use crate::shard::home::{Join, Parts, by_owner};
use crate::shard::message::{Call, CallId, Message};
use crate::shard::request::{Fetch, Fetched, ReadError, Reply};

/// Partitions that one call reads: of more, each call is a step of its own.
const PARTS: usize = if cfg!(test) { 2 } else { 2_000 };

/// A fetch that is not answered.
#[derive(Debug)]
pub(crate) struct FetchJoin {
    fetch: Fetch,
    /// One call for each owner, or several if there are many partitions, for the life of the fetch.
    owners: Vec<Asked>,
    round: Round,
}

/// An owner of some of the partitions.
#[derive(Clone, Copy, Debug)]
struct Asked {
    owner: ShardId,
    id: CallId,
    watch: Watch,
}

/// Whether an owner reads, or watches its partitions, for the fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Perhaps,
    No,
}

impl FetchJoin {
    /// Bytes with which it is answered at once, as an owner is told: late, whatever there is.
    fn enough(&self, now: Now) -> u32 {
        if self.fetch.deadline <= now.instant { 0 } else { self.fetch.min_bytes.max(1) }
    }
}

#[derive(Debug)]
enum Round {
    /// Owners are being asked.
    Reading { parts: Parts<Result<Fetched, ReadError>>, woken: Woken },
    /// Too little was there; owners watch.
    Watching,
}

/// Whether there is more to read than the round under way may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Yes,
    No,
}

impl Shard {
    pub(super) fn fetch(&mut self, now: Now, ticket: Ticket, fetch: Fetch, fx: &mut Effects) {
        if fetch.parts.is_empty() && fetch.deadline <= now.instant {
            return fx.reply(ticket, Reply::Fetch(Vec::new()));
        }
        let groups = by_owner(fetch.parts.iter().map(|part| part.partition), self.shards);
        let mut owners = Vec::with_capacity(groups.len());
        for (owner, indexes) in groups {
            for indexes in indexes.chunks(PARTS) {
                let id = self.open_call(ticket, indexes.to_vec());
                owners.push(Asked { owner, id, watch: Watch::No });
            }
        }
        self.home.deadlines.insert((fetch.deadline, ticket));
        let join = FetchJoin { fetch, owners, round: Round::Watching };
        self.home.joins.insert(ticket, Join::Fetch(join));
        self.start_round(now, ticket, fx);
    }

    fn start_round(&mut self, now: Now, ticket: Ticket, fx: &mut Effects) {
        let Some(Join::Fetch(join)) = self.home.joins.get_mut(&ticket) else { return };
        let enough = join.enough(now);
        let watch = if enough > 0 { Watch::Perhaps } else { Watch::No };
        join.owners.iter_mut().for_each(|asked| asked.watch = watch);
        let (max_bytes, wanted) = (join.fetch.max_bytes, join.fetch.parts.clone());
        let owners = join.owners.clone();
        let parts = Parts::new(wanted.len(), owners.len());
        join.round = if owners.is_empty() {
            Round::Watching
        } else {
            Round::Reading { parts, woken: Woken::No }
        };
        let mut own = 0;
        for Asked { owner, id, .. } in owners {
            let Some(call) = self.home.calls.get(&id) else { continue };
            let parts = call.indexes.iter().map(|index| wanted[*index as usize]).collect();
            let call = Call::Read { parts, max_bytes, enough };
            own += usize::from(owner == self.id);
            match owner == self.id && own > 1 {
                true => self.pieces.add_read(now, id, call),
                false => self.call(now, owner, id, call, fx),
            }
        }
    }

    pub(super) fn join_fetch(
        &mut self,
        now: Now,
        id: CallId,
        results: Vec<Result<Fetched, ReadError>>,
        fx: &mut Effects,
    ) {
        let Some(call) = self.home.calls.get(&id) else { return };
        let ticket = call.ticket;
        let Some(Join::Fetch(join)) = self.home.joins.get_mut(&ticket) else { return };
        if is_enough(&results, join.fetch.min_bytes.max(1)) {
            let asked = join.owners.iter_mut().filter(|asked| asked.id == id);
            asked.for_each(|asked| asked.watch = Watch::No);
        }
        let Round::Reading { parts, woken } = &mut join.round else { return };
        if !parts.put(&call.indexes, results) {
            return;
        }
        let (woken, results) = (*woken, parts.take());
        if join.fetch.deadline <= now.instant || is_enough(&results, join.fetch.min_bytes) {
            let results = trim(results, &join.fetch);
            return self.answer_fetch(now, ticket, results, fx);
        }
        join.round = Round::Watching;
        if woken == Woken::Yes {
            self.start_round(now, ticket, fx);
        }
    }

    pub(super) fn on_wake(&mut self, now: Now, id: CallId, fx: &mut Effects) {
        let Some(call) = self.home.calls.get(&id) else { return };
        let ticket = call.ticket;
        let Some(Join::Fetch(join)) = self.home.joins.get_mut(&ticket) else { return };
        match &mut join.round {
            Round::Reading { woken, .. } => *woken = Woken::Yes,
            Round::Watching => self.start_round(now, ticket, fx),
        }
    }

    /// Fetches whose time is up read once more and answer with what there is.
    pub(super) fn expire_fetches(&mut self, now: Now, fx: &mut Effects) {
        while let Some((deadline, ticket)) = self.home.deadlines.first().copied() {
            if deadline > now.instant {
                return;
            }
            self.home.deadlines.remove(&(deadline, ticket));
            let Some(Join::Fetch(join)) = self.home.joins.get(&ticket) else { continue };
            match &join.round {
                Round::Watching if join.owners.is_empty() => {
                    self.answer_fetch(now, ticket, Vec::new(), fx);
                }
                Round::Watching => self.start_round(now, ticket, fx),
                // Its answers come in now and find the deadline passed.
                Round::Reading { .. } => {}
            }
        }
    }

    fn answer_fetch(
        &mut self,
        now: Now,
        ticket: Ticket,
        results: Vec<Result<Fetched, ReadError>>,
        fx: &mut Effects,
    ) {
        if let Some(Join::Fetch(fetch)) = self.home.joins.remove(&ticket) {
            self.end_fetch(now, ticket, &fetch, fx);
        }
        fx.reply(ticket, Reply::Fetch(results));
    }

    /// Nobody waits for a fetch any more.
    pub(super) fn cancel_fetch(
        &mut self,
        now: Now,
        ticket: Ticket,
        mut fetch: FetchJoin,
        fx: &mut Effects,
    ) {
        if let Round::Reading { .. } = fetch.round {
            fetch.owners.iter_mut().for_each(|asked| asked.watch = Watch::Perhaps);
        }
        self.end_fetch(now, ticket, &fetch, fx);
    }

    /// Ends the calls of a fetch; owners that may watch stop it.
    fn end_fetch(&mut self, now: Now, ticket: Ticket, fetch: &FetchJoin, fx: &mut Effects) {
        self.home.deadlines.remove(&(fetch.fetch.deadline, ticket));
        for Asked { owner, id, watch } in &fetch.owners {
            self.home.calls.remove(id);
            // What is taken back may follow a round after which the owner has begun to watch.
            let withdrawn = self.pieces.withdraw(*id) || self.home.withdraw(*owner, *id);
            if withdrawn || *watch == Watch::Perhaps {
                self.send(now, *owner, Message::Cancel(*id), fx);
            }
        }
    }
}

fn is_enough(results: &[Result<Fetched, ReadError>], min_bytes: u32) -> bool {
    let bytes: u64 = results.iter().flatten().map(Fetched::len).sum();
    bytes >= u64::from(min_bytes) || results.iter().any(is_urgent)
}

/// Whether the reader is to know of this at once, however little there is to read.
pub(super) fn is_urgent(result: &Result<Fetched, ReadError>) -> bool {
    result.as_ref().map_or(true, |fetched| fetched.diverging.is_some())
}

/// Keeps what fits into the answer, first come, first served. The first batch comes all the same:
/// each owner lets its own first batch be larger than its partition's limit, the answer has one.
fn trim(
    mut results: Vec<Result<Fetched, ReadError>>,
    fetch: &Fetch,
) -> Vec<Result<Fetched, ReadError>> {
    let mut room = u64::from(fetch.max_bytes);
    let mut first = true;
    for (result, part) in results.iter_mut().zip(fetch.parts.iter()) {
        let Ok(fetched) = result else { continue };
        let len = fetched.len();
        if !first && len > room.min(u64::from(part.max_bytes)) {
            fetched.pieces.clear();
        } else {
            room = room.saturating_sub(len);
            first = first && len == 0;
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::id::{Instant, Offset, PartitionIndex, TopicId, TopicPartition};
    use crate::shard::request::{FetchPart, Piece};

    fn part(index: u32, max_bytes: u32) -> FetchPart {
        let partition = TopicPartition { topic: TopicId([1; 16]), index: PartitionIndex(index) };
        FetchPart { partition, offset: Offset(0), max_bytes, epoch: None, last_epoch: None }
    }

    fn found(len: usize) -> Result<Fetched, ReadError> {
        let pieces = vec![Piece::Memory(Bytes::from(vec![0; len]))];
        let (high_watermark, log_start) = (Offset(9), Offset(0));
        Ok(Fetched { high_watermark, log_start, diverging: None, pieces })
    }

    #[test]
    fn one_batch_is_larger_than_asked_for_at_most() {
        // The answer's limit; of each partition the limit, what its owner found, and what is left.
        for (max_bytes, parts) in [
            (1000, &[(10, 100, 100), (10, 100, 0), (100, 100, 100)][..]),
            (1000, &[(10, 0, 0), (10, 100, 100), (10, 50, 0), (10, 10, 10)]),
            (150, &[(100, 100, 100), (100, 100, 0), (100, 50, 50)]),
            (0, &[(100, 100, 100), (100, 100, 0)]),
            (100, &[(0, 100, 100), (0, 100, 0), (0, 0, 0)]),
        ] {
            let fetch = Fetch {
                max_bytes,
                min_bytes: 0,
                deadline: Instant(0),
                parts: (0..).zip(parts).map(|(index, part_)| part(index, part_.0)).collect(),
            };
            let results = parts.iter().map(|(_, len, _)| found(*len)).collect();
            let kept: Vec<u64> = trim(results, &fetch).iter().flatten().map(Fetched::len).collect();
            let expected: Vec<u64> = parts.iter().map(|(_, _, left)| *left).collect();
            assert_eq!(kept, expected, "{max_bytes} {parts:?}");
        }
    }
}
