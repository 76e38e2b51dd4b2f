//! Lines with a tick or a cross, for `connect` and `verify`.

use std::io::{self, Write};

use cluster_tls::StepOutcome;

/// One thing that was looked at.
pub(crate) struct Checked<'a> {
    pub(crate) outcome: StepOutcome,
    pub(crate) what: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) remedy: Option<&'a str>,
}

impl Checked<'_> {
    /// Writes its line; what to do about a failure is said with the error, and about a warning
    /// here.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (mark, what, detail) = (mark(self.outcome), self.what, self.detail);
        writeln!(out, "  {mark} {what:<11}  {detail}")?;
        match (self.outcome, self.remedy) {
            (StepOutcome::Warned, Some(remedy)) => writeln!(out, "                 {remedy}"),
            _ => Ok(()),
        }
    }
}

fn mark(outcome: StepOutcome) -> char {
    match outcome {
        StepOutcome::Passed => '\u{2713}',
        StepOutcome::Warned => '!',
        StepOutcome::Failed => '\u{2717}',
        StepOutcome::Skipped => '-',
    }
}
