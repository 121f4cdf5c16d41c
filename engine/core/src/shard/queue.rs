//! First in, first out, for those who may leave before it is their turn.

use std::collections::BTreeMap;

/// What waits, in the order in which it came. A key is in it once.
#[derive(Debug)]
pub(crate) struct Queue<K, V> {
    next: u64,
    items: BTreeMap<u64, (K, V)>,
    places: BTreeMap<K, u64>,
}

impl<K, V> Default for Queue<K, V> {
    fn default() -> Queue<K, V> {
        Queue { next: 0, items: BTreeMap::new(), places: BTreeMap::new() }
    }
}

impl<K: Copy + Ord, V> Queue<K, V> {
    /// Puts it behind all others. One of the same key gives way to it.
    pub(crate) fn push(&mut self, key: K, value: V) {
        self.remove(&key);
        self.items.insert(self.next, (key, value));
        self.places.insert(key, self.next);
        self.next += 1;
    }

    /// Takes out the first.
    pub(crate) fn pop(&mut self) -> Option<(K, V)> {
        let (_, (key, value)) = self.items.pop_first()?;
        self.places.remove(&key);
        Some((key, value))
    }

    /// The first.
    pub(crate) fn first(&self) -> Option<&V> {
        self.items.first_key_value().map(|(_, (_, value))| value)
    }

    /// Takes out one that need not be the first.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.places.remove(key)?;
        self.items.remove(&place).map(|(_, value)| value)
    }

    /// One that need not be the first.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.places.get(key)?;
        self.items.get_mut(place).map(|(_, value)| value)
    }

    /// All, in order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.items.values().map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_whoever_leaves() {
        let mut queue = Queue::default();
        for key in [5, 1, 4, 2, 3] {
            queue.push(key, key * 10);
        }
        assert_eq!(queue.remove(&4), Some(40));
        assert_eq!(queue.remove(&4), None);
        queue.push(5, 51);
        *queue.get_mut(&2).expect("it is there") += 1;
        assert_eq!(queue.first(), Some(&10));
        assert!(queue.values().eq(&[10, 21, 30, 51]));
        let left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(left, [(1, 10), (2, 21), (3, 30), (5, 51)]);
        assert!(queue.is_empty() && queue.places.is_empty());
    }
}
