//! What must be found in one partition, from what was sent, answered and read.
//!
//! | a batch | must be found |
//! |---|---|
//! | acknowledged | at the acknowledged offset, as it was sent |
//! | read by the tail reader | where it was read |
//! | found after an earlier crash | where it was found |
//! | idempotent | once at most |
//! | sent without answer | as often as it was sent, at most |
//! | never sent here | never |
//!
//! Offsets have no gaps, and an idempotent producer's sequences neither.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::batch::{BatchId, Digest, Stored};

/// How a producer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Each time a batch is sent, it may be stored.
    Plain,
    /// However often a batch is sent, it is stored once.
    Idempotent,
}

/// A batch that was sent.
struct Sent {
    digest: Digest,
    delivery: Delivery,
    /// How often it may be stored.
    copies_max: usize,
    acknowledged: Option<i64>,
}

/// One partition.
#[derive(Default)]
pub(crate) struct Ledger {
    sent: HashMap<BatchId, Sent>,
    /// By offset, what is known to be there: it was read, or found after a crash.
    known: BTreeMap<i64, BatchId>,
    /// The next offset of the tail reader.
    tail: i64,
}

/// What a check found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Batches in the log.
    pub(crate) stored: usize,
    /// Of these, first found now although nobody was told.
    pub(crate) unanswered: usize,
}

/// What is wrong with a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An acknowledged batch is not there.
    Lost { id: BatchId, offset: i64 },
    /// Two answers, or an answer and a reader, name different offsets.
    Moved { id: BatchId, first: i64, then: i64 },
    /// What was read or found before is not there any more.
    Vanished { id: BatchId, offset: i64, instead: Option<BatchId> },
    /// Offsets do not continue.
    Gap { expected: i64, found: i64 },
    /// A batch that was not sent to this partition.
    Foreign { offset: i64, id: BatchId },
    /// Not the bytes that were sent.
    Changed { offset: i64, id: BatchId },
    /// More copies than may be.
    Repeated { id: BatchId, offsets: Vec<i64>, allowed: usize },
    /// A producer's sequences do not continue.
    Sequence { offset: i64, producer: i64, expected: i32, found: i32 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Lost { id, offset } => write!(f, "lost: {id} acknowledged at {offset}"),
            Fault::Moved { id, first, then } => {
                write!(f, "moved: {id} was acknowledged or found at {first}, then at {then}")
            }
            Fault::Vanished { id, offset, instead: None } => {
                write!(f, "vanished: {id} was at {offset}, now nothing starts there")
            }
            Fault::Vanished { id, offset, instead: Some(other) } => {
                write!(f, "vanished: {id} was at {offset}, now {other} is")
            }
            Fault::Gap { expected, found } => {
                write!(f, "gap: a batch at {found}, the one before it ends at {expected}")
            }
            Fault::Foreign { offset, id } => write!(f, "foreign: {id} at {offset}"),
            Fault::Changed { offset, id } => write!(f, "changed: {id} at {offset}"),
            Fault::Repeated { id, offsets, allowed } => {
                write!(f, "repeated: {id} at {offsets:?}, {allowed} allowed")
            }
            Fault::Sequence { offset, producer, expected, found } => write!(
                f,
                "sequence: producer {producer} continues with {found} at {offset}, not {expected}"
            ),
        }
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {}", self.0)
    }
}

impl Ledger {
    /// A batch is about to be sent, for the first time or again.
    pub(crate) fn sending(&mut self, batch: &Stored, delivery: Delivery) {
        let sent = self.sent.entry(batch.id).or_insert(Sent {
            digest: batch.digest,
            delivery,
            copies_max: 0,
            acknowledged: None,
        });
        match delivery {
            Delivery::Plain => sent.copies_max += 1,
            Delivery::Idempotent => sent.copies_max = 1,
        }
    }

    /// One sending of the batch was refused: it is not stored.
    pub(crate) fn refused(&mut self, id: BatchId) {
        if let Some(sent) = self.sent.get_mut(&id)
            && sent.delivery == Delivery::Plain
        {
            sent.copies_max -= 1;
        }
    }

    /// The batch was acknowledged.
    pub(crate) fn acknowledged(&mut self, id: BatchId, offset: i64) -> Result<(), Fault> {
        let Some(sent) = self.sent.get_mut(&id) else {
            return Err(Fault::Foreign { offset, id });
        };
        match sent.acknowledged.replace(offset) {
            Some(first) if first != offset => Err(Fault::Moved { id, first, then: offset }),
            _ => Ok(()),
        }
    }

    /// Where the tail reader goes on.
    pub(crate) fn tail(&self) -> i64 {
        self.tail
    }

    /// The tail reader was given this batch.
    pub(crate) fn seen(&mut self, batch: &Stored) -> Result<(), Fault> {
        // A fetch from the middle of a batch gives all of it.
        if batch.offset != self.tail {
            return Err(Fault::Gap { expected: self.tail, found: batch.offset });
        }
        self.recognize(batch)?;
        self.known.insert(batch.offset, batch.id);
        self.tail = batch.next_offset();
        Ok(())
    }

    fn recognize(&self, batch: &Stored) -> Result<&Sent, Fault> {
        let Stored { offset, id, .. } = *batch;
        let sent = self.sent.get(&id).ok_or(Fault::Foreign { offset, id })?;
        if sent.digest == batch.digest { Ok(sent) } else { Err(Fault::Changed { offset, id }) }
    }

    /// Holds the whole log, as it is after a crash, against all that is known; what is found is
    /// known from then on. Nothing that was sent before may arrive any more.
    pub(crate) fn check(&mut self, log: &[Stored]) -> Result<Checked, Vec<Fault>> {
        let mut faults = continuity(log);
        let mut found: HashMap<BatchId, Vec<i64>> = HashMap::new();
        for batch in log {
            faults.extend(self.recognize(batch).err());
            found.entry(batch.id).or_default().push(batch.offset);
        }
        let unanswered = self.count_unanswered(log);
        let at: BTreeMap<i64, BatchId> = log.iter().map(|batch| (batch.offset, batch.id)).collect();
        for (&offset, &id) in &self.known {
            let instead = at.get(&offset).copied();
            if instead != Some(id) {
                faults.push(Fault::Vanished { id, offset, instead });
            }
        }
        for (&id, sent) in &mut self.sent {
            let offsets = found.get(&id).map_or(&[][..], Vec::as_slice);
            faults.extend(sent.check(id, offsets));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        self.known = at;
        Ok(Checked { stored: log.len(), unanswered })
    }

    fn count_unanswered(&self, log: &[Stored]) -> usize {
        let told = |batch: &&Stored| {
            let sent = self.sent.get(&batch.id);
            self.known.contains_key(&batch.offset)
                || sent.is_some_and(|sent| sent.acknowledged == Some(batch.offset))
        };
        log.len() - log.iter().filter(told).count()
    }
}

impl Sent {
    /// Holds the copies that were found against what was answered.
    fn check(&mut self, id: BatchId, offsets: &[i64]) -> Option<Fault> {
        if let Some(offset) = self.acknowledged
            && !offsets.contains(&offset)
        {
            return Some(Fault::Lost { id, offset });
        }
        if offsets.len() > self.copies_max {
            let (offsets, allowed) = (offsets.to_vec(), self.copies_max);
            return Some(Fault::Repeated { id, offsets, allowed });
        }
        match (self.delivery, offsets) {
            (Delivery::Plain, _) => self.copies_max = offsets.len(),
            // It may be sent again, and then be acknowledged where it is.
            (Delivery::Idempotent, &[offset]) => self.acknowledged = Some(offset),
            (Delivery::Idempotent, _) => {}
        }
        None
    }
}

/// Offsets from 0 on without gaps, and the same of every producer's sequences.
fn continuity(log: &[Stored]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut next = 0;
    let mut sequences: HashMap<i64, i32> = HashMap::new();
    for batch in log {
        let Stored { offset, records, .. } = *batch;
        if offset != next {
            faults.push(Fault::Gap { expected: next, found: offset });
        }
        next = batch.next_offset();
        if let Some(stamp) = batch.stamp {
            let (producer, found) = (stamp.producer, stamp.first);
            let expected = sequences.entry(producer).or_insert(0);
            if found != *expected {
                faults.push(Fault::Sequence { offset, producer, expected: *expected, found });
            }
            *expected = found + records as i32;
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use Delivery::{Idempotent, Plain};
    use bytes::Bytes;
    use corelog_wire::populate::Seed;

    use super::*;
    use crate::batch::{Maker, Stamp};

    /// One batch of each id; odd ones are of one idempotent producer, in order.
    fn batches(count: i64) -> Vec<Stored> {
        let seed = &mut Seed(0);
        let maker = Maker::new(seed);
        let (mut next, mut first) = (0, 0);
        let make = |id| {
            let stamp = (id % 2 == 1).then_some(Stamp { producer: 9, first });
            let bytes: Bytes = maker.make(BatchId(id), stamp, seed);
            let batch = Stored::of(&bytes, next).unwrap();
            next = batch.next_offset();
            first += if stamp.is_some() { batch.records as i32 } else { 0 };
            batch
        };
        (0..count).map(make).collect()
    }

    fn delivery(batch: &Stored) -> Delivery {
        if batch.stamp.is_some() { Idempotent } else { Plain }
    }

    /// A ledger to which the batches were sent, the first `acknowledged` of them acknowledged.
    fn ledger(batches: &[Stored], acknowledged: usize) -> Ledger {
        let mut ledger = Ledger::default();
        for batch in batches {
            ledger.sending(batch, delivery(batch));
        }
        for batch in &batches[..acknowledged] {
            ledger.acknowledged(batch.id, batch.offset).unwrap();
        }
        ledger
    }

    fn at(mut log: Vec<Stored>) -> Vec<Stored> {
        let mut next = 0;
        for batch in &mut log {
            batch.offset = next;
            next = batch.next_offset();
        }
        log
    }

    #[test]
    fn any_prefix_with_all_acknowledged_batches_is_right() {
        let all = batches(6);
        for stored in 3..=6 {
            let mut ledger = ledger(&all, 3);
            let checked = ledger.check(&all[..stored]).unwrap();
            assert_eq!(checked, Checked { stored, unanswered: stored - 3 });
            let checked = ledger.check(&all[..stored]).unwrap();
            assert_eq!(checked, Checked { stored, unanswered: 0 });
        }
    }

    #[test]
    fn every_fault_is_found() {
        let all = batches(6);
        let [b0, b1, b2, b3, b4, _] = all[..] else { panic!() };
        let other = Stored { id: BatchId(77), ..b4 };
        let bent = Stored { digest: batches(7)[6].digest, ..b1 };
        let lost = |b: Stored| Fault::Lost { id: b.id, offset: b.offset };
        let foreign = Fault::Foreign { offset: b4.offset, id: other.id };
        let again = at(vec![b0, b1, b2, b3, b4, b4])[5];
        let gap = Fault::Gap { expected: b3.next_offset(), found: again.offset };
        let changed = Fault::Changed { offset: b1.offset, id: b1.id };
        let twice = |id, offsets| Fault::Repeated { id, offsets, allowed: 1 };
        for (log, expected) in [
            (vec![b0, b1], lost(b2)),
            (vec![b0, b1, b2], lost(b3)),
            (vec![b0, b1, b2, b3, other], foreign),
            (vec![b0, bent, b2, b3], changed),
            (vec![b0, b1, b2, b3, again], gap),
            (vec![b0, b1, b2, b3, b4, again], twice(b4.id, vec![b4.offset, again.offset])),
        ] {
            let faults = ledger(&all, 4).check(&log).unwrap_err();
            assert!(faults.contains(&expected), "{expected}: {faults:?}");
        }
    }

    #[test]
    fn sequences_of_a_producer_continue() {
        let all = batches(6);
        let swapped = at(vec![all[0], all[3], all[1]]);
        let faults = ledger(&all, 1).check(&swapped).unwrap_err();
        let first = |fault: &Fault| matches!(fault, Fault::Sequence { expected: 0, .. });
        assert!(faults.iter().any(first), "{faults:?}");
    }

    #[test]
    fn a_plain_batch_is_stored_as_often_as_it_was_sent_at_most() {
        let all = batches(3);
        let mut ledger = ledger(&all, 2);
        ledger.sending(&all[2], Plain);
        let twice = at(vec![all[0], all[1], all[2], all[2]]);
        assert_eq!(ledger.check(&twice).unwrap().stored, 4);
        let thrice = at(vec![all[0], all[1], all[2], all[2], all[2]]);
        assert!(ledger.check(&thrice).is_err());
        ledger.sending(&all[2], Plain);
        ledger.refused(all[2].id);
        assert!(ledger.check(&thrice).is_err());
    }

    #[test]
    fn what_did_not_survive_a_crash_does_not_come_back() {
        let all = batches(3);
        let mut ledger = ledger(&all, 2);
        ledger.check(&all[..2]).unwrap();
        assert!(ledger.check(&all).is_err());
    }

    #[test]
    fn what_was_read_or_found_stays() {
        let all = batches(3);
        let mut read = ledger(&all, 0);
        read.seen(&all[0]).unwrap();
        let mut found = ledger(&all, 0);
        found.check(&all[..1]).unwrap();
        let instead = at(vec![all[2]]);
        for mut ledger in [read, found] {
            let (id, offset) = (all[0].id, 0);
            for (log, instead) in [(&[][..], None), (&instead, Some(all[2].id))] {
                let faults = ledger.check(log).unwrap_err();
                let expected = Fault::Vanished { id, offset, instead };
                assert!(faults.contains(&expected), "{faults:?}");
            }
        }
    }

    #[test]
    fn answers_agree_with_each_other_and_with_the_log() {
        let all = batches(2);
        let mut ledger = ledger(&all, 1);
        ledger.check(&all).unwrap();
        let (id, first) = (all[1].id, all[1].offset);
        let moved = Fault::Moved { id, first, then: 50 };
        assert_eq!(ledger.acknowledged(id, 50), Err(moved));
        assert_eq!(
            ledger.acknowledged(BatchId(5), 0),
            Err(Fault::Foreign { offset: 0, id: BatchId(5) })
        );
    }

    #[test]
    fn the_tail_reader_is_given_every_batch_in_order() {
        let all = batches(3);
        let mut ledger = ledger(&all, 0);
        ledger.seen(&all[0]).unwrap();
        let gap = Fault::Gap { expected: all[1].offset, found: all[2].offset };
        assert_eq!(ledger.seen(&all[2]), Err(gap));
        assert_eq!(ledger.tail(), all[1].offset);
    }
}
