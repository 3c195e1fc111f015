//! What is in force, and may be another in a moment: whoever looks has it whole, and nobody waits for anybody.

use std::sync::{Arc, PoisonError, RwLock};

pub(super) struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    pub(super) fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    pub(super) fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another in its place, which is made of what is there.
    pub(super) fn change(&self, change: impl FnOnce(&T) -> T) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(change(&current));
        let before = std::mem::replace(&mut *current, next);
        drop(current);
        // It may be the last of it, and is not to be taken apart under the lock.
        drop(before);
    }
}
