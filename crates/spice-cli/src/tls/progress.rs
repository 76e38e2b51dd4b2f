//! How far many certificates are.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error, where that is a terminal and there is something to wait for.
pub(super) fn bar(count: usize) -> ProgressBar {
    if count < WORTH_SHOWING {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} certificates, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Fewer take less time than it takes to look.
const WORTH_SHOWING: usize = 20;
