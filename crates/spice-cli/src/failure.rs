//! How a command ends when it does not end well.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command stopped, as its user reads it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was refused or it failed.
    Told {
        message: String,
        /// What to type or to do next.
        next: Option<String>,
    },
    /// Whoever read the output has seen enough: `spice sql ... | head`.
    OutputClosed,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Told {
            message: message.into(),
            next: None,
        }
    }

    /// An error and everything that caused it, in one line.
    pub(crate) fn from_error(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self::new(message)
    }

    pub(crate) fn with_next(self, next: impl Into<String>) -> Self {
        match self {
            Self::Told { message, .. } => Self::Told {
                message,
                next: Some(next.into()),
            },
            Self::OutputClosed => self,
        }
    }

    /// Writes it to stderr. Nothing is left to be done when that fails too.
    pub(crate) fn print(&self) {
        let Self::Told { message, next } = self else {
            return;
        };
        let mut err = io::stderr().lock();
        let _ = writeln!(err, "error: {message}");
        if let Some(next) = next {
            let _ = writeln!(err, "next: {next}");
        }
    }

    pub(crate) fn report(&self) -> ExitCode {
        self.print();
        match self {
            Self::Told { .. } => ExitCode::FAILURE,
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl From<io::Error> for Failure {
    /// For errors of writing the output, which is the only thing commands do with `?` on io.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::new(format!("cannot write the output: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(failure: &Failure) -> &str {
        match failure {
            Failure::Told { message, .. } => message,
            Failure::OutputClosed => "",
        }
    }

    #[derive(Debug)]
    struct Outer(io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("cannot read a")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let outer = Outer(io::Error::other("it is a link"));
        let failure = Failure::from_error(&outer);
        assert_eq!(message(&failure), "cannot read a: it is a link");
    }

    #[test]
    fn only_a_closed_pipe_is_a_good_end() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(closed, Failure::OutputClosed));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, Failure::Told { .. }));
    }
}
