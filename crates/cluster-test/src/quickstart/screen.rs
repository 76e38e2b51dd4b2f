//! What the person sees: text on standard output, progress bars on a terminal.

use std::io::{self, Write};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// The place everything is shown.
pub(super) struct Screen;

impl Screen {
    pub(super) fn new() -> Self {
        Self
    }

    /// Says what happens next.
    pub(super) fn step(&self, text: &str) -> Result<()> {
        self.text(&format!("\n==> {text}"))
    }

    /// Writes lines.
    pub(super) fn text(&self, text: &str) -> Result<()> {
        writeln!(io::stdout(), "{text}").context("cannot write to standard output")
    }

    /// A bar over `total` units; invisible where standard error is no terminal.
    pub(super) fn bar(&self, total: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("    {bar:32} {percent:>3} %  {msg}");
        let bar = ProgressBar::new(total);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }
}
