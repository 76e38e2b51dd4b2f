//! Asking at the terminal, without showing what is typed.

use std::io::{self, ErrorKind, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::SIGINT;
use signal_hook::{flag, low_level};
use zeroize::Zeroizing;

use crate::tls::passphrase::{Missing, broken};

/// Asks at the terminal itself, wherever standard input and output lead.
pub(super) fn prompt(text: &str) -> Result<Zeroizing<String>, Missing> {
    // With neither at a terminal nobody is watching, even if there is one to be opened: a job in
    // the background would stop there for ever.
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return Err(Missing::NoTerminal);
    }
    let answer = undisturbed(|| rpassword::prompt_password(text))
        .and_then(|answer| answer)
        .map(Zeroizing::new);
    answer.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => interrupted(error),
        // No controlling terminal (tty(4)).
        _ if error.raw_os_error() == Some(ENXIO) => Missing::NoTerminal,
        _ => broken(format!("cannot ask at the terminal: {error}")),
    })
}

/// Holds back the signal of Ctrl-C: it would end the process while the terminal hides what is
/// typed, and leave it so. The prompt ends by itself and tells.
fn undisturbed<T>(prompt: impl FnOnce() -> T) -> io::Result<T> {
    let passes = ctrl_c_passes()?;
    passes.store(false, Ordering::SeqCst);
    let answer = prompt();
    passes.store(true, Ordering::SeqCst);
    Ok(answer)
}

/// Whether Ctrl-C ends the process. One for all prompts, as a process has one answer to a signal:
/// a second one would let through what the first holds back.
fn ctrl_c_passes() -> io::Result<&'static AtomicBool> {
    static PASSES: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(passes) = PASSES.get() {
        return Ok(passes);
    }
    let passes = Arc::new(AtomicBool::new(true));
    flag::register_conditional_default(SIGINT, Arc::clone(&passes))?;
    Ok(PASSES.get_or_init(|| passes))
}

/// Ends as Ctrl-C ends a program, now that the terminal is as it was.
fn interrupted(error: io::Error) -> Missing {
    match low_level::emulate_default_handler(SIGINT) {
        Ok(()) => broken(error),
        Err(unknown) => broken(unknown),
    }
}

/// The number on Linux, macOS and the BSDs.
const ENXIO: i32 = 6;
