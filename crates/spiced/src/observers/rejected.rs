//! Whether the files that are there now, credentials or a spicepod, are used.

use std::sync::{Mutex, PoisonError};

/// Why the newest files are not used; nothing where they are.
#[derive(Debug, Default)]
pub(crate) struct RejectedFiles(Mutex<Option<Rejected>>);

/// Why files are not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// The code of their fault.
    pub(crate) code: &'static str,
    /// The same for strangers, where there is more to say.
    pub(crate) reason: Option<String>,
}

impl RejectedFiles {
    pub(super) fn set(&self, rejected: Option<Rejected>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rejected;
    }

    /// The fault of the files that are there now.
    pub(crate) fn fault(&self) -> Option<Rejected> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Rejected {
    /// A fault of which nothing but its code is for strangers.
    pub(super) fn of_code(code: &'static str) -> Self {
        Self { code, reason: None }
    }
}
