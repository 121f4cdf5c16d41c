//! Descriptors kept open for the next use. Bounded: the one that was not used for longest goes
//! first. A descriptor in use stays open whatever happens here.

use std::collections::HashMap;
use std::hash::Hash;

use corelog_os::SharedFd;

#[derive(Debug)]
struct Kept {
    fd: SharedFd,
    used: u64,
}

/// Open files by name.
#[derive(Debug)]
pub(crate) struct FdCache<K> {
    files: HashMap<K, Kept>,
    most: usize,
    uses: u64,
}

impl<K: Copy + Eq + Hash> FdCache<K> {
    /// Keeps `most` descriptors, at least one.
    pub(crate) fn new(most: usize) -> FdCache<K> {
        FdCache { files: HashMap::new(), most: most.max(1), uses: 0 }
    }

    pub(crate) fn get(&mut self, key: K) -> Option<SharedFd> {
        self.uses += 1;
        let kept = self.files.get_mut(&key)?;
        kept.used = self.uses;
        Some(kept.fd.clone())
    }

    pub(crate) fn insert(&mut self, key: K, fd: SharedFd) {
        self.uses += 1;
        let oldest = self.files.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| self.files.len() >= self.most) {
            self.files.remove(&oldest);
        }
        self.files.insert(key, Kept { fd, used: self.uses });
    }

    /// Forgets the files that are no more.
    pub(crate) fn forget(&mut self, gone: impl Fn(K) -> bool) {
        self.files.retain(|key, _| !gone(*key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_os::event::EventFd;
    use std::sync::Arc;

    fn fd() -> SharedFd {
        EventFd::new().expect("eventfd").descriptor()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = FdCache::new(2);
        cache.insert(1, fd());
        cache.insert(2, fd());
        assert!(cache.get(1).is_some());
        cache.insert(3, fd());
        let there: Vec<_> = (1..=3).filter(|key| cache.get(*key).is_some()).collect();
        assert_eq!(there, [1, 3]);
    }

    #[test]
    fn a_forgotten_descriptor_is_closed_when_its_last_user_is_done() {
        let mut cache = FdCache::new(8);
        (0..4).for_each(|key| cache.insert(key, fd()));
        let user = cache.get(2).expect("kept");
        assert_eq!(Arc::strong_count(&user), 2);
        cache.forget(|key| key >= 2);
        assert_eq!(Arc::strong_count(&user), 1);
        assert!(cache.get(2).is_none() && cache.get(1).is_some());
    }
}
