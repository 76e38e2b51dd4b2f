use std::fmt;
use std::io::Write;

/// Everything that keeps a node from starting, or what ended it; never empty.
///
/// Faults are collected, so that one start shows all of them.
#[derive(Debug)]
pub(crate) struct Faults {
    messages: Vec<String>,
}

impl Faults {
    pub(crate) fn one(message: impl Into<String>) -> Self {
        Self {
            messages: vec![message.into()],
        }
    }

    /// `Err` with all the messages, if there are any.
    pub(crate) fn check(messages: Vec<String>) -> Result<(), Self> {
        if messages.is_empty() {
            Ok(())
        } else {
            Err(Self { messages })
        }
    }

    /// Writes the numbered list to stderr, whatever the log format: it is for the person who
    /// started the node.
    pub(crate) fn report(&self) {
        // Nothing is left to do when stderr is gone.
        let _ = write!(std::io::stderr(), "{self}");
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.messages.len() == 1 {
            "fault"
        } else {
            "faults"
        };
        writeln!(f, "spiced: not running, {} {noun}:", self.messages.len())?;
        for (index, message) in self.messages.iter().enumerate() {
            let indented = message.trim_end().replace('\n', "\n     ");
            writeln!(f, "{:>3}. {indented}", index + 1)?;
        }
        Ok(())
    }
}

impl From<anyhow::Error> for Faults {
    fn from(error: anyhow::Error) -> Self {
        Self::one(chain(error.as_ref()))
    }
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_fault_with_a_number() {
        let faults =
            Faults::check(vec!["first".to_owned(), "second\nwith detail".to_owned()]).unwrap_err();
        assert_eq!(
            faults.to_string(),
            "spiced: not running, 2 faults:\n  1. first\n  2. second\n     with detail\n"
        );
        assert!(Faults::check(vec![]).is_ok());
    }
}
