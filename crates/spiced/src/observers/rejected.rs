//! Whether the files that are there now, credentials or a spicepod, are used.

use std::sync::{Mutex, PoisonError};

/// Why the newest files are not used, by the code of their fault; nothing where they are.
#[derive(Debug, Default)]
pub(crate) struct RejectedFiles(Mutex<Option<&'static str>>);

impl RejectedFiles {
    pub(super) fn set(&self, fault: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The code of the fault.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
