//! How a command ends when it does not end well.

mod kind;
mod usage;

use std::error::Error;
use std::io;
use std::process::ExitCode;

pub(crate) use self::kind::FailureKind;

/// Why a command stopped, as its user reads it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was refused or it failed.
    Told {
        kind: FailureKind,
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
            kind: FailureKind::Failed,
            message: message.into(),
            next: None,
        }
    }

    /// An error and everything that caused it, in one line. What no I/O error caused is a rule
    /// that said no.
    pub(crate) fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut kind = kind_of(error);
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            if kind == FailureKind::Refused {
                kind = kind_of(error);
            }
            cause = error.source();
        }
        Self::new(message).of_kind(kind)
    }

    pub(crate) fn of_kind(self, kind: FailureKind) -> Self {
        match self {
            Self::Told { message, next, .. } => Self::Told {
                kind,
                message,
                next,
            },
            Self::OutputClosed => self,
        }
    }

    pub(crate) fn with_next(self, next: impl Into<String>) -> Self {
        match self {
            Self::Told { kind, message, .. } => Self::Told {
                kind,
                message,
                next: Some(next.into()),
            },
            Self::OutputClosed => self,
        }
    }

    /// The same message with what another failure says is next.
    pub(crate) fn with_next_of(self, other: Self) -> Self {
        match other {
            Self::Told {
                next: Some(next), ..
            } => self.with_next(next),
            _ => self,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Told { kind, .. } => ExitCode::from(kind.exit_code()),
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
            Self::new(format!("cannot write the output: {error}")).of_kind(FailureKind::Io)
        }
    }
}

fn kind_of(error: &(dyn Error + 'static)) -> FailureKind {
    if error.is::<io::Error>() {
        FailureKind::Io
    } else {
        FailureKind::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(failure: &Failure) -> (FailureKind, &str) {
        match failure {
            Failure::Told { kind, message, .. } => (*kind, message),
            Failure::OutputClosed => panic!("nothing is told"),
        }
    }

    #[derive(Debug)]
    struct Outer(Option<io::Error>);

    impl std::fmt::Display for Outer {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("cannot read a")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.as_ref().map(|cause| cause as _)
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let failure = Failure::from_error(&Outer(Some(io::Error::other("it is a link"))));
        let expected = (FailureKind::Io, "cannot read a: it is a link");
        assert_eq!(parts(&failure), expected);
        let failure = Failure::from_error(&Outer(None)).with_next("go on");
        assert_eq!(parts(&failure), (FailureKind::Refused, "cannot read a"));
    }

    #[test]
    fn only_a_closed_pipe_is_a_good_end() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(closed, Failure::OutputClosed));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(parts(&full).0, FailureKind::Io);
    }
}
