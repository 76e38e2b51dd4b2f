use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::error::StoreError;
use super::store::{Key, LIST_LIMIT};

/// What stands among the heartbeats and was written by no scheduler. It is left out, so that it
/// keeps nobody from seeing the others, and told of once.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    told: Mutex<HashSet<Key>>,
}

impl Strangers {
    pub(super) fn leave_out(&self, key: &Key, error: &StoreError) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= LIST_LIMIT {
            told.clear();
        }
        if told.insert(key.clone()) {
            tracing::warn!(object = %key, %error, "no heartbeat, left out");
        }
    }
}
