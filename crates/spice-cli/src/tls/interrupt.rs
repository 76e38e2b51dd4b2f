//! Ctrl-C while files are being written.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// From here on the signals that would end the process are only noted.
///
/// What follows takes milliseconds, or looks at the note between its steps: it ends with
/// everything done or nothing, and never with files that lie about. Questions must be asked
/// before, since a noted signal does not end a prompt.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(super) fn hold() -> Result<Self, Failure> {
        let noted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&noted))
                .map_err(|error| Failure::from_error(&error))?;
        }
        Ok(Self(noted))
    }

    /// Whether what is made in steps may take its next one.
    pub(super) fn go_on(&self) -> ControlFlow<()> {
        match self.0.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
