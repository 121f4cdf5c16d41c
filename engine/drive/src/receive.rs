//! From a stream of bytes to frames: a size of four bytes, big-endian, then so many bytes.
//!
//! Nothing is allocated for a size before it is checked, and for a large frame no more than twice
//! what has arrived. Frames own their memory, exactly as much as they need, and give their share of
//! the budget back when their last byte is let go.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use crate::budget::{Budget, Charge};

/// Bytes of a size.
const PREFIX: usize = 4;

/// What a frame is given before any of it has arrived, if it claims that much.
const FIRST_ROOM: usize = 64 << 10;

/// A size that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadSize {
    size: i32,
    most: u32,
}

impl fmt::Display for BadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of {} bytes; 1 to {} are allowed", self.size, self.most)
    }
}

/// Where a frame is among the requests of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Its request will be taken as soon as it is whole.
    First,
    /// It will wait for those before it, maybe long: it must not keep others from theirs.
    Behind,
}

/// A frame of which something is missing.
#[derive(Debug)]
struct Growing {
    bytes: Vec<u8>,
    /// Bytes in all.
    size: usize,
    charge: Charge,
}

impl Growing {
    /// Makes room for at least one more byte; whether the budget allows it.
    fn make_room(&mut self, place: Place) -> bool {
        let len = self.bytes.len();
        if len < self.bytes.capacity() || len == self.size {
            return true;
        }
        let wanted = (len * 2).max(FIRST_ROOM).min(self.size);
        let more = wanted - len;
        let fits = match place {
            Place::First => self.charge.grow(more as u64),
            Place::Behind => self.charge.grow_within(more as u64),
        };
        if !fits {
            return false;
        }
        self.bytes.reserve_exact(more);
        true
    }

    /// Bytes that may be added without asking the budget. (The allocator may give more than asked.)
    fn room(&self) -> usize {
        self.bytes.capacity().min(self.size) - self.bytes.len()
    }

    fn finish(self) -> Bytes {
        Bytes::from_owner(Frame { bytes: self.bytes, _charge: self.charge })
    }
}

struct Frame {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// One connection's incoming bytes.
#[derive(Debug)]
pub(crate) struct Receiver {
    budget: Arc<Budget>,
    most: u32,
    prefix: [u8; PREFIX],
    prefix_len: usize,
    growing: Option<Growing>,
    /// Arrived, and out of budget; counted all the same.
    held_back: Vec<u8>,
    held_charge: Charge,
    frames: VecDeque<Bytes>,
    /// Of the frame that comes next, as for those that have been handed out.
    place: Place,
}

impl Receiver {
    /// Frames of up to `most` bytes.
    pub(crate) fn new(budget: Arc<Budget>, most: u32) -> Receiver {
        Receiver {
            held_charge: budget.charge(0),
            budget,
            most,
            prefix: [0; PREFIX],
            prefix_len: 0,
            growing: None,
            held_back: Vec::new(),
            frames: VecDeque::new(),
            place: Place::First,
        }
    }

    /// Tells where the next frame will be.
    pub(crate) fn set_place(&mut self, place: Place) {
        self.place = place;
    }

    fn place(&self) -> Place {
        if self.frames.is_empty() { self.place } else { Place::Behind }
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        self.frames.pop_front()
    }

    /// Whether there is a whole frame.
    pub(crate) fn has_next(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Whether a frame has begun to arrive.
    pub(crate) fn is_amid_frame(&self) -> bool {
        self.growing.is_some() || self.prefix_len > 0
    }

    /// Whether bytes have arrived that the budget has no room for.
    pub(crate) fn is_out_of_budget(&self) -> bool {
        !self.held_back.is_empty()
    }

    /// Takes in what has arrived.
    pub(crate) fn take_in(&mut self, bytes: &[u8]) -> Result<(), BadSize> {
        if self.is_out_of_budget() {
            self.hold_back(bytes);
            return Ok(());
        }
        self.parse(bytes)
    }

    fn hold_back(&mut self, bytes: &[u8]) {
        self.held_back.extend_from_slice(bytes);
        self.held_charge.settle(self.held_back.capacity() as u64);
    }

    /// Takes in what was held back, now that the budget may have room.
    pub(crate) fn retry(&mut self) -> Result<(), BadSize> {
        let held_back = mem::take(&mut self.held_back);
        let parsed = self.parse(&held_back);
        // Not before that: given back in between, it would wake the others for nothing.
        self.held_charge.settle(self.held_back.capacity() as u64);
        parsed
    }

    /// Where the rest of the present frame can be received without a detour, if at least `worth`
    /// bytes of it are missing: behind what the vector holds.
    pub(crate) fn direct(&mut self, worth: usize) -> Option<&mut Vec<u8>> {
        if self.is_out_of_budget() {
            return None;
        }
        let place = self.place();
        let growing = self.growing.as_mut()?;
        let worthwhile = growing.size - growing.bytes.len() >= worth && growing.make_room(place);
        worthwhile.then_some(&mut growing.bytes)
    }

    /// Bytes have been received to where [`direct`](Self::direct) said.
    pub(crate) fn received(&mut self) -> Result<(), BadSize> {
        let whole = |growing: &mut Growing| growing.bytes.len() >= growing.size;
        let Some(mut frame) = self.growing.take_if(whole) else { return Ok(()) };
        // The allocator may have given more room than the frame needs.
        let behind = frame.bytes.split_off(frame.size);
        self.frames.push_back(frame.finish());
        self.parse(&behind)
    }

    fn parse(&mut self, mut bytes: &[u8]) -> Result<(), BadSize> {
        while !bytes.is_empty() {
            let place = self.place();
            let Some(growing) = &mut self.growing else {
                bytes = self.parse_prefix(bytes)?;
                continue;
            };
            if !growing.make_room(place) {
                self.hold_back(bytes);
                return Ok(());
            }
            let (now, later) = bytes.split_at(growing.room().min(bytes.len()));
            growing.bytes.extend_from_slice(now);
            bytes = later;
            self.received()?;
        }
        Ok(())
    }

    /// Takes bytes of a size; a whole one starts a frame.
    fn parse_prefix<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], BadSize> {
        let missing = (PREFIX - self.prefix_len).min(bytes.len());
        let (now, later) = bytes.split_at(missing);
        self.prefix[self.prefix_len..][..missing].copy_from_slice(now);
        self.prefix_len += missing;
        if self.prefix_len == PREFIX {
            self.prefix_len = 0;
            let size = self.checked(i32::from_be_bytes(self.prefix))?;
            let charge = self.budget.charge(size as u64);
            self.growing = Some(Growing { bytes: Vec::new(), size, charge });
        }
        Ok(later)
    }

    fn checked(&self, size: i32) -> Result<usize, BadSize> {
        let bad = BadSize { size, most: self.most };
        let size = u32::try_from(size).map_err(|_| bad)?;
        if (1..=self.most).contains(&size) { Ok(size as usize) } else { Err(bad) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    fn receiver(budget: u64) -> Receiver {
        Receiver::new(Budget::new(budget), 1 << 20)
    }

    fn body(len: usize, seed: u8) -> Vec<u8> {
        (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
    }

    #[test]
    fn frames_come_out_however_the_stream_is_cut() {
        let bodies = [body(1, 1), body(170, 2), body(3, 3), body(70_000, 4), body(200_000, 5)];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for step in [1, 3, 4, 5, 1000, 65_536, stream.len()] {
            let mut receiver = receiver(1 << 30);
            let mut frames = Vec::new();
            for chunk in stream.chunks(step) {
                receiver.take_in(chunk).expect("good sizes");
                frames.extend(std::iter::from_fn(|| receiver.next()));
            }
            assert!(frames.iter().eq(bodies.iter()), "{step}");
            assert!(!receiver.is_amid_frame());
        }
    }

    #[test]
    fn sizes_are_checked_before_anything_is_allocated() {
        for (size, good) in [
            (1, true),
            (1 << 20, true),
            (0, false),
            (-1, false),
            (i32::MIN, false),
            (i32::MAX, false),
        ] {
            let mut receiver = receiver(1 << 30);
            let result = receiver.take_in(&i32::to_be_bytes(size));
            assert_eq!(result, if good { Ok(()) } else { Err(BadSize { size, most: 1 << 20 }) });
            assert_eq!(receiver.growing.map(|g| g.bytes.capacity()).unwrap_or_default(), 0);
        }
    }

    #[test]
    fn memory_follows_what_has_arrived_not_what_is_claimed() {
        let mut receiver = receiver(1 << 30);
        let stream = frame(&body(1 << 20, 9));
        let mut arrived = 0;
        for chunk in stream.chunks(10_000) {
            receiver.take_in(chunk).expect("a good size");
            arrived += chunk.len();
            if let Some(growing) = &receiver.growing {
                let capacity = growing.bytes.capacity();
                assert!(capacity <= (2 * arrived).max(FIRST_ROOM), "{capacity} for {arrived}");
            }
        }
        assert_eq!(receiver.next().map(|frame| frame.len()), Some(1 << 20));
    }

    #[test]
    fn out_of_budget_the_rest_waits_and_nothing_is_lost() {
        let budget = Budget::new(1000);
        let mut one = Receiver::new(budget.clone(), 1 << 20);
        let mut two = Receiver::new(budget, 1 << 20);
        let (first, second, third) = (body(900, 1), body(900, 2), body(900, 3));
        one.take_in(&frame(&first)).expect("good");
        two.take_in(&[frame(&second), frame(&third)].concat()).expect("good");
        let (held, exempt) = (one.next().expect("fits"), two.next().expect("may exceed"));
        assert!(two.is_out_of_budget() && two.next().is_none());
        two.retry().expect("good");
        assert!(two.is_out_of_budget());
        assert_eq!((held, &exempt[..]), (Bytes::from(first), &second[..]));
        drop(exempt);
        two.retry().expect("good");
        assert!(!two.is_out_of_budget());
        assert_eq!(two.next().expect("room again"), &third[..]);
    }

    #[test]
    fn a_frame_behind_others_does_not_exceed_the_budget() {
        for (place, before, fits) in [
            (Place::First, 0, true),
            (Place::First, 1, false),
            (Place::Behind, 0, false),
            (Place::Behind, 1, false),
        ] {
            let mut receiver = receiver(1000);
            receiver.set_place(place);
            let frames = [vec![7; before], vec![8; 2000]];
            for frame in frames.iter().filter(|body| !body.is_empty()).map(|body| frame(body)) {
                receiver.take_in(&frame).expect("good");
            }
            assert_eq!(!receiver.is_out_of_budget(), fits, "{place:?}, {before} before");
            while receiver.next().is_some() {}
            receiver.set_place(Place::First);
            receiver.retry().expect("good");
            assert!(!receiver.is_out_of_budget(), "those before it are answered");
        }
    }

    #[test]
    fn a_large_frame_is_received_in_place() {
        let mut receiver = receiver(1 << 30);
        let (large, small) = (body(300_000, 6), body(10, 7));
        let stream = [frame(&large), frame(&small)].concat();
        receiver.take_in(&stream[..10]).expect("good");
        assert!(receiver.direct(300_000).is_none(), "not worth it");
        let mut at = 10;
        while let Some(bytes) = receiver.direct(1) {
            // More than the frame's, when that much room happens to be there.
            let len = (bytes.capacity() - bytes.len()).min(50_000).min(stream.len() - at);
            bytes.extend_from_slice(&stream[at..at + len]);
            at += len;
            receiver.received().expect("good");
        }
        receiver.take_in(&stream[at..]).expect("good");
        assert_eq!(receiver.next().expect("whole"), large);
        assert_eq!(receiver.next().expect("whole"), small);
    }

    #[test]
    fn what_was_received_behind_a_frame_is_the_next_one() {
        let mut receiver = receiver(1 << 30);
        let (first, second) = (body(100, 1), body(50, 2));
        receiver.take_in(&frame(&first)[..50]).expect("good");
        let bytes = receiver.direct(1).expect("half is missing");
        bytes.extend_from_slice(&frame(&first)[50..]);
        bytes.extend_from_slice(&frame(&second));
        receiver.received().expect("good");
        assert_eq!(receiver.next().expect("whole"), first);
        assert_eq!(receiver.next().expect("whole"), second);
        assert!(!receiver.is_amid_frame());
    }
}
