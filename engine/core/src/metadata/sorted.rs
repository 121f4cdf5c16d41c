//! An ordered list that is cheap to clone: values lie in chunks, clones share the chunks, and a
//! change copies the one chunk it touches. Every change of the metadata clones the image, on a core
//! that also serves data; a `BTreeMap` of 100,000 topics takes 20 ms for that.
//!
//! The order is the caller's: each function takes a closure that compares a value with the wanted
//! one, always by the same order. To look things up, a coarser order that agrees with it will do.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The most values in a chunk.
const CHUNK: usize = if cfg!(test) { 4 } else { 128 };

/// Distinct values in ascending order.
#[derive(Clone)]
pub(super) struct Sorted<T> {
    /// Ascending; none is empty.
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Sorted<T> {
    fn default() -> Sorted<T> {
        Sorted { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Sorted<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(super) fn get(&self, order: impl Fn(&T) -> Ordering) -> Option<&T> {
        let (chunk, found) = self.locate(order);
        let place = found.ok()?;
        Some(&self.chunks[chunk][place])
    }

    /// The chunk of the wanted value, and its place there: found, or where it belongs.
    fn locate(&self, order: impl Fn(&T) -> Ordering) -> (usize, Result<usize, usize>) {
        let after = self.chunks.partition_point(|chunk| order(&chunk[0]).is_le());
        let index = after.saturating_sub(1);
        match self.chunks.get(index) {
            Some(chunk) => (index, chunk.binary_search_by(order)),
            None => (index, Err(0)),
        }
    }
}

impl<T: Clone> Sorted<T> {
    pub(super) fn get_mut(&mut self, order: impl Fn(&T) -> Ordering) -> Option<&mut T> {
        let (chunk, found) = self.locate(order);
        let place = found.ok()?;
        Some(&mut Arc::make_mut(&mut self.chunks[chunk])[place])
    }

    /// Adds `value`, which `order` compares with. Whether it was not there before.
    pub(super) fn insert(&mut self, value: T, order: impl Fn(&T) -> Ordering) -> bool {
        let (index, found) = self.locate(order);
        let Err(place) = found else { return false };
        self.len += 1;
        let Some(chunk) = self.chunks.get_mut(index) else {
            self.chunks.push(Arc::new(vec![value]));
            return true;
        };
        let chunk = Arc::make_mut(chunk);
        chunk.insert(place, value);
        if chunk.len() > CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            self.chunks.insert(index + 1, Arc::new(upper));
        }
        true
    }

    pub(super) fn remove(&mut self, order: impl Fn(&T) -> Ordering) -> Option<T> {
        let (index, found) = self.locate(order);
        let place = found.ok()?;
        self.len -= 1;
        let chunk = Arc::make_mut(&mut self.chunks[index]);
        let removed = chunk.remove(place);
        if chunk.is_empty() {
            self.chunks.remove(index);
        }
        Some(removed)
    }
}

impl<T: PartialEq> PartialEq for Sorted<T> {
    /// By the values: how they are cut into chunks depends on how they came.
    fn eq(&self, other: &Sorted<T>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: fmt::Debug> fmt::Debug for Sorted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(list: &Sorted<u8>, model: &BTreeSet<u8>) {
        assert!(list.iter().eq(model.iter()));
        assert_eq!(list.len(), model.len());
        assert!(list.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
        for value in 0..=u8::MAX {
            assert_eq!(list.get(|v| v.cmp(&value)).is_some(), model.contains(&value));
            let tenth = list.get(|v| (v / 10).cmp(&(value / 10)));
            assert_eq!(tenth.is_some(), model.iter().any(|v| v / 10 == value / 10));
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_and_leaves_its_clones_alone(
            changes in prop::collection::vec((any::<bool>(), any::<u8>()), 0..300),
        ) {
            let (mut list, mut model) = (Sorted::default(), BTreeSet::new());
            let mut clones = Vec::new();
            for (step, (add, value)) in changes.into_iter().enumerate() {
                if step % 50 == 0 {
                    clones.push((list.clone(), model.clone()));
                }
                if add {
                    assert_eq!(list.insert(value, |v| v.cmp(&value)), model.insert(value));
                } else {
                    assert_eq!(list.remove(|v| v.cmp(&value)), model.take(&value));
                }
            }
            check(&list, &model);
            for (list, model) in &clones {
                check(list, model);
            }
        }
    }

    #[test]
    fn a_change_in_place_leaves_clones_alone_and_chunking_is_not_a_difference() {
        let mut list = Sorted::default();
        for value in 0..10 {
            assert!(list.insert((value, 'a'), |v: &(u32, char)| v.0.cmp(&value)));
        }
        let before = list.clone();
        *list.get_mut(|v| v.0.cmp(&7)).unwrap() = (7, 'b');
        assert_eq!(list.get_mut(|v| v.0.cmp(&10)), None);
        assert_eq!(before.get(|v| v.0.cmp(&7)), Some(&(7, 'a')));
        assert_eq!(list.get(|v| v.0.cmp(&7)), Some(&(7, 'b')));
        assert_ne!(list, before);

        let mut backwards = Sorted::default();
        for value in (0..10).rev() {
            assert!(backwards.insert((value, 'a'), |v: &(u32, char)| v.0.cmp(&value)));
        }
        assert_ne!(backwards.chunks, before.chunks);
        assert_eq!(backwards, before);
        assert_eq!(format!("{before:?}").matches('a').count(), 10);
    }
}
