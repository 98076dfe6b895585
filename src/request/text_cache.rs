//! A cache with limits for the number of its entries and for the bytes of their texts. The least recently used is evicted.

use crate::sync::lock;
use hashlink::LruCache;
use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Mutex;

#[derive(Debug)]
pub struct TextCache<K: Eq + Hash, V> {
    max_entries: usize,
    max_bytes: usize,
    cached: Mutex<CachedTexts<K, V>>,
}

#[derive(Debug)]
struct CachedTexts<K: Eq + Hash, V> {
    /// Each with the bytes of its text.
    entries: LruCache<K, (V, usize)>,
    bytes: usize,
}

impl<K: Eq + Hash, V: Clone> TextCache<K, V> {
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        let cached = Mutex::new(CachedTexts { entries: LruCache::new_unbounded(), bytes: 0 });
        TextCache { max_entries, max_bytes, cached }
    }

    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        lock(&self.cached).entries.get(key).map(|(value, _)| value.clone())
    }

    pub fn insert(&self, key: K, value: V, bytes: usize) {
        let mut cached = lock(&self.cached);
        cached.bytes += bytes;
        let mut removed = cached.entries.insert(key, (value, bytes));
        loop {
            cached.bytes -= removed.map_or(0, |(_, bytes)| bytes);
            if cached.bytes <= self.max_bytes && cached.entries.len() <= self.max_entries {
                return;
            }
            removed = cached.entries.remove_lru().map(|(_, evicted)| evicted);
        }
    }

    /// How many entries there are, and the bytes of their texts.
    #[cfg(test)]
    pub fn len_and_bytes(&self) -> (usize, usize) {
        let cached = lock(&self.cached);
        assert_eq!(cached.bytes, cached.entries.iter().map(|(_, (_, bytes))| bytes).sum::<usize>());
        (cached.entries.len(), cached.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_evict_the_least_recently_used() {
        let cache = TextCache::new(3, 100);
        (0..3).for_each(|key| cache.insert(key, key, 10));
        assert_eq!(cache.get(&0), Some(0));
        cache.insert(3, 3, 10);
        assert_eq!((cache.get(&1), cache.get(&0), cache.len_and_bytes()), (None, Some(0), (3, 30)));
        cache.insert(3, 4, 95);
        assert_eq!((cache.get(&3), cache.len_and_bytes()), (Some(4), (1, 95)));
        cache.insert(5, 5, 101);
        assert_eq!(cache.len_and_bytes(), (0, 0), "one that is too large is not cached");
    }
}
