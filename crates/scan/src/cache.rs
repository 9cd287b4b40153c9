//! A bounded map that forgets what was used longest ago, in two generations.
//!
//! Invariant: never holds more than twice its capacity; a value used within the last `capacity`
//! distinct insertions is still there.

use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    capacity: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Values forgotten to make room.
    pub(crate) evicted: u64,
}

impl<K: Eq + Hash + Copy, V: Copy> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, young: HashMap::new(), old: HashMap::new(), evicted: 0 }
    }

    pub(crate) fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.young.get(&key) {
            return Some(*value);
        }
        let value = self.old.remove(&key)?;
        self.insert(key, value);
        Some(value)
    }

    /// Whether `key` is there, without its counting as a use.
    pub(crate) fn holds(&self, key: &K) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.evicted += forgotten.len() as u64;
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn keeps_what_is_used_and_stays_bounded() {
        let mut cache = Cache::new(4);
        cache.insert(0, "kept");
        for key in 1..100 {
            assert_eq!(cache.get(0), Some("kept"), "at {key}");
            cache.insert(key, "other");
            assert!(cache.young.len() + cache.old.len() <= 8);
        }
        assert_eq!(cache.get(1), None);
        let held = (cache.young.len() + cache.old.len()) as u64;
        assert_eq!(cache.evicted, 100 - held, "what is not held was counted");
    }
}
