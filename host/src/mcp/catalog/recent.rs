//! A map that knows what nobody has asked for longest.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

pub(super) struct Recent<K, V> {
    values: HashMap<K, (u64, V)>,
    /// Keys by when they were last asked for.
    order: BTreeMap<u64, K>,
    clock: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: BTreeMap::new(), clock: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// A value, which is the most recent from now on.
    pub(super) fn touch(&mut self, key: &K) -> Option<&mut V> {
        let (at, value) = self.values.get_mut(key)?;
        self.clock += 1;
        if let Some(key) = self.order.remove(at) {
            self.order.insert(self.clock, key);
        }
        *at = self.clock;
        Some(value)
    }

    /// A value, which stays as recent as it is.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.values.keys()
    }

    pub(super) fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key).map(|(_, value)| value)
    }

    /// Puts a value in, as the most recent.
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.clock += 1;
        self.order.insert(self.clock, key.clone());
        self.values.insert(key, (self.clock, value));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (at, value) = self.values.remove(key)?;
        self.order.remove(&at);
        Some(value)
    }

    /// The key of the least recent value that may go.
    pub(super) fn oldest(&self, may_go: impl Fn(&V) -> bool) -> Option<K> {
        self.order.values().find(|key| self.peek(key).is_some_and(&may_go)).cloned()
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_what_nobody_has_asked_for_longest() {
        let mut recent = Recent::default();
        for name in ["a", "b", "c"] {
            recent.insert(name, name == "b");
        }

        recent.touch(&"a");
        recent.peek(&"b");

        assert_eq!(recent.oldest(|_| true), Some("b"));
        assert_eq!(recent.oldest(|is_b| !is_b), Some("c"));
        recent.insert("b", false);
        assert_eq!(recent.oldest(|_| true), Some("c"));
        assert_eq!((recent.remove(&"c"), recent.remove(&"c")), (Some(false), None));
        assert_eq!((recent.oldest(|_| true), recent.len()), (Some("a"), 2));
    }
}
