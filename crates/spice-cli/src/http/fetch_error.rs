//! Why there is no answer to show.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use hyper::StatusCode;

use crate::endpoint::PublicEndpoint;
use crate::failure::{Failure, FailureKind};
use crate::printable::printable;

/// A node was asked in vain.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// Nobody is there.
    Unreachable(io::Error),
    /// Nothing came within this time.
    Slow(Duration),
    /// Somebody is there and speaks something else.
    NotHttp(hyper::Error),
    /// The connection ended within the answer.
    BrokenOff,
    /// The answer has more bytes than this.
    TooLarge(usize),
    /// An answer that no node would give.
    Foreign { status: StatusCode, what: String },
    /// A node said no.
    Refused { code: String, message: String },
}

impl FetchError {
    /// The same for the one who typed the command, with what to try next.
    pub(crate) fn into_failure(self, endpoint: &PublicEndpoint) -> Failure {
        let message = match &self {
            Self::Refused { message, .. } => printable(message),
            Self::Unreachable(_) => format!("cannot connect to {endpoint}: {self}"),
            _ => format!("{endpoint} {self}"),
        };
        let failure = Failure::new(message).of_kind(self.kind());
        match &self {
            Self::Unreachable(_) | Self::Slow(_) | Self::BrokenOff => failure.with_next(ANOTHER),
            Self::NotHttp(_) | Self::TooLarge(_) | Self::Foreign { .. } => {
                failure.with_next(RIGHT_PORT)
            }
            Self::Refused { code, .. } if code == "not_found" => failure.with_next(NEWER),
            Self::Refused { .. } => failure,
        }
    }
}

impl FetchError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable(_) | Self::Slow(_) | Self::BrokenOff => FailureKind::Io,
            Self::NotHttp(_) | Self::TooLarge(_) | Self::Foreign { .. } => FailureKind::Failed,
            Self::Refused { code, .. } => match code.as_str() {
                "not_found" | "not_a_scheduler" => FailureKind::Refused,
                "unavailable" => FailureKind::Io,
                _ => FailureKind::Failed,
            },
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(out),
            Self::Slow(limit) => {
                write!(out, "did not answer within {} s", limit.as_secs_f64())
            }
            Self::NotHttp(error) => {
                write!(out, "does not answer in HTTP/1.1: {error}")?;
                match error.source() {
                    Some(cause) => write!(out, ": {cause}"),
                    None => Ok(()),
                }
            }
            Self::BrokenOff => out.write_str("broke off its answer"),
            Self::TooLarge(limit) => {
                write!(out, "gives an answer of more than {limit} bytes")
            }
            Self::Foreign { status, what } => write!(
                out,
                "is no Spice node: its answer (status {}) {}",
                status.as_u16(),
                printable(what)
            ),
            Self::Refused { message, .. } => out.write_str(message),
        }
    }
}

impl Error for FetchError {}

const ANOTHER: &str =
    "start a node with `spiced`, or name a running one with --http-endpoint http://HOST:PORT";

const RIGHT_PORT: &str = "name the HTTP port of a node with --http-endpoint http://HOST:PORT; it \
                          is 8090 unless `spiced --http` says otherwise (50051 is Flight SQL, \
                          50052 is between nodes)";

const NEWER: &str = "the node is older than this command; start a newer `spiced` there";
