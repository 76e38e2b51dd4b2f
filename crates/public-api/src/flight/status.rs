//! The one mapping from query errors to gRPC.

use spice_runtime::QueryError;
use tonic::{Code, Status};

/// The status for a query that failed. Its text is the error's own: written for the client.
pub(super) fn status(error: &QueryError) -> Status {
    let code = match error {
        QueryError::Invalid(_) => Code::InvalidArgument,
        QueryError::Unsupported(_) => Code::Unimplemented,
        QueryError::Unavailable(_) => Code::Unavailable,
        QueryError::Exhausted(_) => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    if code == Code::Internal {
        tracing::warn!(%error, "flight query failed");
    }
    Status::new(code, error.to_string())
}

/// The status for a part of Flight SQL that this version does not have.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported by this version yet"))
}

/// The status for a statement that cannot be prepared. Python's ADBC takes UNIMPLEMENTED for "no
/// prepared statements here", swallows it, and fails later with words about something else.
pub(super) fn unprepared(status: Status) -> Status {
    match status.code() {
        Code::Unimplemented => Status::invalid_argument(status.message()),
        _ => status,
    }
}

/// The status for an answer that could not be put together.
pub(super) fn unanswerable(error: impl std::fmt::Display) -> Status {
    tracing::warn!(%error, "flight answer could not be encoded");
    Status::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_each_kind_of_query_error_its_code() {
        let text = || "text".to_owned();
        for (error, code) in [
            (QueryError::Invalid(text()), Code::InvalidArgument),
            (QueryError::Unsupported(text()), Code::Unimplemented),
            (QueryError::Unavailable(text()), Code::Unavailable),
            (QueryError::Exhausted(text()), Code::ResourceExhausted),
            (QueryError::Failed(text()), Code::Internal),
        ] {
            let status = status(&error);
            assert_eq!((status.code(), status.message()), (code, "text"));
        }
    }
}
