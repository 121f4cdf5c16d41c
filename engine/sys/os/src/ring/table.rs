//! Who owns what the kernel is working on: one slot per operation in flight.
//!
//! A token is a slot and the slot's generation, so that a token kept too long names nothing rather
//! than somebody else's operation.

use libc::iovec;

use super::op::Op;

/// Names one submitted operation of one ring. Never reused while the ring lives, up to 2^32 uses of
/// a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub(super) u64);

impl Token {
    fn new(index: usize, generation: u32) -> Token {
        Token(u64::from(generation) << 32 | index as u64)
    }

    fn index(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Everything an operation in flight needs to stay alive.
pub(super) struct Held<T> {
    pub(super) op: Op,
    pub(super) payload: T,
    /// What a vectored operation points the kernel at; empty for others.
    pub(super) vectors: Vec<iovec>,
}

struct Slot<T> {
    generation: u32,
    held: Option<Held<T>>,
}

pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

impl<T> Table<T> {
    pub(super) fn new() -> Table<T> {
        Table { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, held: Held<T>) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, held: None });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.held = Some(held);
        Token::new(index, slot.generation)
    }

    /// Gives back what was held, once; nothing for a token that has been taken before.
    pub(super) fn take(&mut self, token: Token) -> Option<Held<T>> {
        let slot = self.slots.get_mut(token.index())?;
        if slot.generation != token.generation() {
            return None;
        }
        let held = slot.held.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token.index());
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nop(payload: char) -> Held<char> {
        Held { op: Op::Nop, payload, vectors: Vec::new() }
    }

    #[test]
    fn a_taken_token_names_nothing_even_when_its_slot_is_used_again() {
        let mut table = Table::new();
        let first = table.insert(nop('a'));
        let second = table.insert(nop('b'));
        assert_eq!(table.take(first).map(|held| held.payload), Some('a'));
        let third = table.insert(nop('c'));
        assert_eq!((first.index(), table.len()), (third.index(), 2));
        assert!(table.take(first).is_none());
        assert_eq!(table.take(third).map(|held| held.payload), Some('c'));
        assert_eq!(table.take(second).map(|held| held.payload), Some('b'));
        assert_eq!(table.len(), 0);
        assert!(table.take(Token(u64::MAX)).is_none());
    }
}
