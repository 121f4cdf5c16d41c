//! As owner: searches by time. The headers of batches tell which batch has the record; that one is
//! read here if that is quick, else by a job. Searches take turns: so many windows are looked at in
//! one step, and one search at a time has jobs, so that one batch at a time is held for them.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::id::{Instant, LeaderEpoch, Now, Offset, Timestamp};
use crate::log::{Log, Place, SegmentId, Window};
use crate::record::batch::HEADER_LEN;
use crate::record::{BatchHeader, Codec};
use crate::shard::effect::Effects;
use crate::shard::event::Failure;
use crate::shard::job::{Find, Goal, Job, Match, RunJob};
use crate::shard::partition::{CallPart, OwnerCall, Slot};
use crate::shard::queue::Queue;
use crate::shard::read::{Interrupted, Purpose};
use crate::shard::request::{Found, ReadError};
use crate::shard::{Pending, Shard};

/// Bytes looked at in one go, unless a batch is larger; and of the largest batch whose records are
/// read here.
const WINDOW: u32 = 64 << 10;

/// Windows that are looked at in one step: of small records, some milliseconds' worth.
const WINDOWS: u32 = if cfg!(test) { 2 } else { 8 };

/// Searches that wait for an index at a time: more than are read at once, and so few that one step
/// can end them.
const INDEXED: usize = if cfg!(test) { 4 } else { 256 };

/// A search by time under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    pub(crate) slot: Slot,
    pub(crate) call: OwnerCall,
    pub(crate) part: u32,
    pub(crate) goal: Goal,
}

/// The record that a search has found, if there is one.
type SearchResult = Result<Option<(Offset, Timestamp)>, ReadError>;

/// Where a search goes on.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Where its time is.
    Begin,
    /// At this batch, with at least so many bytes.
    At(Place, u32),
}

/// Searches in the order in which they go on: calls take turns, so that one of many parts does not
/// keep the others waiting.
#[derive(Debug, Default)]
struct InTurn(Queue<OwnerCall, VecDeque<(Search, Next)>>);

/// The searches that wait for their turn. What waits holds no bytes.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    waiting: InTurn,
    /// When those go on, if there are any.
    due: Option<Instant>,
    /// The one whose batches jobs read, to its end.
    with_jobs: Option<CallPart>,
    /// Those that need jobs too: where they go on, once it is their turn.
    heavy: InTurn,
    /// How many wait for an index, and those that wait until fewer do.
    indexed: usize,
    crowded: InTurn,
}

/// What a look at batches has come to.
enum Step {
    /// A batch that may have the record, and how many bytes of it there are before the next.
    Candidate(Place, BatchHeader, Bytes),
    /// Go on here, with at least so many bytes.
    Further(Place, u32),
    Damaged,
}

/// What is left of what one step may do.
struct Windows(u32);

impl Searches {
    pub(crate) fn add(&mut self, search: Search) {
        self.waiting.push(search, Next::Begin);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// One of them waits for an index no longer. When few do, the others see whether they must.
    fn has_index(&mut self, now: Now) {
        self.indexed -= 1;
        if self.indexed == INDEXED / 2 && !self.crowded.is_empty() {
            self.waiting.append(&mut self.crowded);
            self.due = Some(now.instant);
        }
    }

    /// Those that wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        [&self.waiting, &self.heavy, &self.crowded].into_iter().map(InTurn::len).sum()
    }

    fn wait(&mut self, now: Now, search: Search, next: Next) {
        self.waiting.push(search, next);
        self.due = Some(now.instant);
    }

    /// If it was the one with jobs, another is now.
    fn ended(&mut self, now: Now, search: Search) {
        if self.with_jobs != Some(search.key()) {
            return;
        }
        let next = self.heavy.pop();
        self.with_jobs = next.map(|(search, _)| search.key());
        if let Some((search, next)) = next {
            self.wait(now, search, next);
        }
    }
}

impl InTurn {
    fn push(&mut self, search: Search, next: Next) {
        match self.0.get_mut(&search.call) {
            Some(others) => others.push_back((search, next)),
            None => self.0.push(search.call, [(search, next)].into()),
        }
    }

    fn pop(&mut self) -> Option<(Search, Next)> {
        let (call, mut searches) = self.0.pop()?;
        let first = searches.pop_front();
        if !searches.is_empty() {
            self.0.push(call, searches);
        }
        first
    }

    fn append(&mut self, others: &mut InTurn) {
        while let Some((call, mut searches)) = others.0.pop() {
            match self.0.get_mut(&call) {
                Some(known) => known.append(&mut searches),
                None => self.0.push(call, searches),
            }
        }
    }

    /// Takes out all of a call.
    fn leave(&mut self, call: OwnerCall) -> VecDeque<(Search, Next)> {
        self.0.remove(&call).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn len(&self) -> usize {
        self.0.values().map(VecDeque::len).sum()
    }
}

impl Search {
    pub(crate) fn key(&self) -> CallPart {
        (self.call, self.part)
    }
}

impl Shard {
    /// Lets searches go on that wait for their turn, for as long as one step may take.
    pub(super) fn go_on_searching(&mut self, now: Now, fx: &mut Effects) {
        let mut windows = Windows(WINDOWS);
        while windows.0 > 0 {
            let Some((search, next)) = self.searches.waiting.pop() else { break };
            match next {
                Next::Begin => self.begin_search(now, search, &mut windows, fx),
                Next::At(place, len) => self.search_from(now, search, place, len, &mut windows, fx),
            }
        }
        let left = !self.searches.waiting.is_empty();
        self.searches.due = left.then_some(now.instant);
    }

    /// Lets a search go on when the index of a segment is there.
    pub(super) fn await_index(&mut self, search: Search, segment: SegmentId, fx: &mut Effects) {
        self.searches.indexed += 1;
        self.load_index(search.slot, segment, Interrupted::Search(search), fx);
    }

    /// Nobody waits for a lookup any more. A job that runs for it comes to its end, and only then
    /// is it another's turn.
    pub(super) fn end_searches(&mut self, now: Now, call: OwnerCall) {
        self.searches.heavy.leave(call);
        self.searches.crowded.leave(call);
        for (search, _) in self.searches.waiting.leave(call) {
            self.searches.ended(now, search);
        }
        for left in self.indexes.leave(call) {
            if let Interrupted::Search(search) = left {
                self.searches.has_index(now);
                self.searches.ended(now, search);
            }
        }
    }

    /// Whether somebody waits for a search that goes on; if not, it is over.
    fn is_wanted(&mut self, now: Now, search: Search) -> bool {
        let wanted = self.calls.lookups.contains_key(&search.call);
        if !wanted {
            self.searches.ended(now, search);
        }
        wanted
    }

    fn begin_search(&mut self, now: Now, search: Search, windows: &mut Windows, fx: &mut Effects) {
        windows.0 = windows.0.saturating_sub(1);
        let slot = search.slot;
        let Some(partition) = self.partitions.get(&slot) else {
            return self.search_done(now, search, Err(ReadError::UnknownPartition), fx);
        };
        match partition.log.start_by_time(search.goal.timestamp()) {
            None => self.search_done(now, search, Ok(None), fx),
            Some(Ok(place)) => self.search_from(now, search, place, WINDOW, windows, fx),
            Some(Err(segment)) => {
                if self.searches.indexed >= INDEXED {
                    return self.searches.crowded.push(search, Next::Begin);
                }
                self.await_index(search, segment, fx);
            }
        }
    }

    /// Goes on with a search once its index is there, or cannot be.
    pub(super) fn resume_search(
        &mut self,
        now: Now,
        search: Search,
        index: Result<(), ReadError>,
        fx: &mut Effects,
    ) {
        self.searches.has_index(now);
        match index {
            Ok(()) => self.begin_search(now, search, &mut Windows(1), fx),
            Err(error) => self.search_done(now, search, Err(error), fx),
        }
    }

    /// Searches from a batch on; in memory as far as it goes, and as the step may.
    fn search_from(
        &mut self,
        now: Now,
        search: Search,
        mut place: Place,
        mut len: u32,
        windows: &mut Windows,
        fx: &mut Effects,
    ) {
        loop {
            let log = self.partitions.get(&search.slot).map(|partition| &partition.log);
            let Some(log) = log else {
                return self.search_done(now, search, Err(ReadError::UnknownPartition), fx);
            };
            if place >= log.end_of_segment(place) {
                let Some(next) = log.next_segment(place) else {
                    return self.search_done(now, search, Ok(None), fx);
                };
                (place, len) = (next, WINDOW);
            }
            let Some(bytes) = log.in_memory(place, len) else {
                let window = log.window(place, len);
                return self.look(search.slot, window, Purpose::Search { search, window }, fx);
            };
            windows.0 = windows.0.saturating_sub(1);
            let step = search.goal.step(place, &bytes.into());
            let Some((next, more)) = self.take_step(now, search, step, fx) else { return };
            if next <= place && more <= len {
                return self.search_done(now, search, Err(ReadError::Damaged), fx);
            }
            (place, len) = (next, more);
            if windows.0 == 0 {
                return self.searches.wait(now, search, Next::At(place, len));
            }
        }
    }

    /// Does what a look at batches asks for; where the search goes on, if it does now.
    fn take_step(
        &mut self,
        now: Now,
        search: Search,
        step: Step,
        fx: &mut Effects,
    ) -> Option<(Place, u32)> {
        let (place, header, batch) = match step {
            Step::Further(place, len) => return Some((place, len)),
            Step::Damaged => {
                self.search_done(now, search, Err(ReadError::Damaged), fx);
                return None;
            }
            Step::Candidate(place, header, batch) => (place, header, batch),
        };
        let behind = place.plus(header.total_len() as u64);
        let find = Find { header, batch, goal: search.goal };
        if is_quick(&find) {
            let Some(result) = result_of(find.run()) else { return Some((behind, WINDOW)) };
            self.search_done(now, search, result, fx);
        } else if *self.searches.with_jobs.get_or_insert(search.key()) == search.key() {
            let id = self.effect(Pending::Find(search, behind));
            fx.jobs.push(RunJob { id, job: Job::Find(find) });
        } else {
            let len = u32::try_from(header.total_len()).unwrap_or(u32::MAX);
            self.searches.heavy.push(search, Next::At(place, len));
        }
        None
    }

    /// A job has read a batch's records.
    pub(super) fn on_found(
        &mut self,
        now: Now,
        search: Search,
        behind: Place,
        found: Match,
        fx: &mut Effects,
    ) {
        if !self.is_wanted(now, search) {
            return;
        }
        match result_of(found) {
            Some(result) => self.search_done(now, search, result, fx),
            None => self.searches.wait(now, search, Next::At(behind, WINDOW)),
        }
    }

    /// Stored batches have come for a search.
    pub(super) fn on_search(
        &mut self,
        now: Now,
        search: Search,
        window: Window,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) {
        if !self.is_wanted(now, search) {
            return;
        }
        let log = self.partitions.get(&search.slot).map(|partition| &partition.log);
        let (Some(log), Ok(bytes)) = (log, bytes) else {
            return self.search_done(now, search, Err(ReadError::Offline), fx);
        };
        let Window { place, len, .. } = window;
        let Some(whole) = log.complete(window, &bytes) else {
            return self.search_from(now, search, place, len, &mut Windows(1), fx);
        };
        let whole = match whole {
            std::borrow::Cow::Borrowed(part) => bytes.slice_ref(part),
            std::borrow::Cow::Owned(whole) => whole.into(),
        };
        let step = search.goal.step(place, &whole);
        let Some((next, more)) = self.take_step(now, search, step, fx) else { return };
        if next > place || more > len {
            self.search_from(now, search, next, more, &mut Windows(1), fx);
        } else {
            self.search_done(now, search, Err(ReadError::Damaged), fx);
        }
    }

    fn search_done(&mut self, now: Now, search: Search, result: SearchResult, fx: &mut Effects) {
        let epoch = match self.partitions.get(&search.slot) {
            Some(partition) => epoch_of(&partition.log, &result),
            None => self.epoch,
        };
        self.searches.ended(now, search);
        let found = result.map(|record| Found { record, epoch });
        self.looked_up(now, search.call, search.part, found, fx);
    }
}

/// What a search comes to with what a batch had; `None` if it goes on behind it.
fn result_of(found: Match) -> Option<SearchResult> {
    match found {
        Match::Nothing => None,
        Match::Record(offset, timestamp) => Some(Ok(Some((offset, timestamp)))),
        Match::Damaged => Some(Err(ReadError::Damaged)),
    }
}

/// The leader epoch of the record found.
fn epoch_of(log: &Log, result: &SearchResult) -> LeaderEpoch {
    let offset = result.as_ref().ok().and_then(|found| found.map(|(offset, _)| offset));
    offset.map_or(log.leader_epoch(), |offset| log.epoch_of(offset))
}

/// Whether a batch's records are read within a fraction of a millisecond: how many come out of a
/// compressed one is for its producer to say.
fn is_quick(find: &Find) -> bool {
    find.batch.len() <= WINDOW as usize && find.header.codec() == Ok(Codec::None)
}

impl Goal {
    /// Looks through the headers of a window that starts with a batch.
    fn step(self, place: Place, bytes: &Bytes) -> Step {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_LEN) {
            let Ok(header) = BatchHeader::parse(rest) else { return Step::Damaged };
            let size = header.total_len();
            if header.max_timestamp >= self.timestamp() {
                let place = place.plus(at as u64);
                return match rest.len() >= size {
                    true => Step::Candidate(place, header, bytes.slice(at..at + size)),
                    false => Step::Further(place, size as u32),
                };
            }
            at += size;
        }
        Step::Further(place.plus(at as u64), WINDOW)
    }
}
