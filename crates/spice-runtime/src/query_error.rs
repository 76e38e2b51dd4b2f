//! Why a query gave no rows, or not all of them, in the kinds that a client can act on.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// Why a query failed. The text of each kind is meant for the person who wrote the query.
///
/// Streams of rows carry [`DataFusionError`]; `QueryError::from` sorts those into the same
/// kinds. A [`Distributor`](crate::Distributor) that must report one of these from within a
/// stream wraps it in [`DataFusionError::External`], and it comes out unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The SQL is wrong: its syntax, a name, a type, or what it computes. Repeating it will not
    /// help.
    #[error("{0}")]
    Invalid(String),
    /// The SQL may be right, but this node does not do that: it changes data, or needs a
    /// feature that is not there.
    #[error("{0}")]
    Unsupported(String),
    /// Nobody is there to run the query now, or its data is out of reach; it may work later.
    #[error("{0}")]
    Unavailable(String),
    /// The query needs more memory or disk than it may use.
    #[error("{0}")]
    Exhausted(String),
    /// Something on the way broke: a file, a node, the engine itself.
    #[error("{0}")]
    Failed(String),
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        sorted(&error)
    }
}

/// The kind and the plain text of an error. Wrappers are taken off: what they add names parts
/// of the engine ("optimizer rule ... failed"), not parts of the query.
fn sorted(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => sorted(inner),
        DataFusionError::Shared(inner) => sorted(inner),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => sorted(first),
            None => QueryError::Failed(text(error)),
        },
        // The parser's message() is a debug print; its Display is the sentence.
        DataFusionError::SQL(parser, _) => QueryError::Invalid(parser.to_string()),
        DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
            QueryError::Invalid(text(error))
        }
        DataFusionError::NotImplemented(_) => QueryError::Unsupported(text(error)),
        DataFusionError::ResourcesExhausted(_) => QueryError::Exhausted(text(error)),
        DataFusionError::ArrowError(arrow, _) => sorted_arrow(arrow),
        DataFusionError::External(external) => match external.downcast_ref::<QueryError>() {
            Some(query) => query.clone(),
            None => match external.downcast_ref::<DataFusionError>() {
                Some(inner) => sorted(inner),
                None => QueryError::Failed(external.to_string()),
            },
        },
        DataFusionError::Internal(detail) => {
            QueryError::Failed(format!("internal error: {detail}"))
        }
        _ => QueryError::Failed(text(error)),
    }
}

fn sorted_arrow(error: &ArrowError) -> QueryError {
    match error {
        ArrowError::ExternalError(external) => match external.downcast_ref::<DataFusionError>() {
            Some(inner) => sorted(inner),
            None => QueryError::Failed(external.to_string()),
        },
        // What the query asked to compute has no answer: a fault of the query, not of the node.
        ArrowError::DivideByZero | ArrowError::ArithmeticOverflow(_) | ArrowError::CastError(_) => {
            QueryError::Invalid(error.to_string())
        }
        _ => QueryError::Failed(error.to_string()),
    }
}

fn text(error: &DataFusionError) -> String {
    let message = error.message();
    let plain = message
        .split(DataFusionError::BACK_TRACE_SEP)
        .next()
        .unwrap_or_default();
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn sorts_wrapped_errors_by_their_core() {
        let plan = || DataFusionError::Plan("no such table".to_owned());
        for error in [
            plan(),
            plan().context("type_coercion"),
            DataFusionError::Shared(Arc::new(plan())),
            DataFusionError::Collection(vec![plan(), plan()]),
            ArrowError::ExternalError(Box::new(plan())).into(),
            DataFusionError::External(Box::new(plan())),
        ] {
            let expected = QueryError::Invalid("no such table".to_owned());
            assert_eq!(QueryError::from(error), expected);
        }
    }

    #[test]
    fn tells_the_kinds_apart() {
        let exhausted = DataFusionError::ResourcesExhausted("memory".to_owned());
        assert!(matches!(exhausted.into(), QueryError::Exhausted(_)));
        let missing = DataFusionError::NotImplemented("that".to_owned());
        assert!(matches!(missing.into(), QueryError::Unsupported(_)));
        let zero = DataFusionError::from(ArrowError::DivideByZero);
        assert!(matches!(zero.into(), QueryError::Invalid(_)));
        let broken = DataFusionError::Execution("disk".to_owned());
        assert!(matches!(broken.into(), QueryError::Failed(_)));
    }

    #[test]
    fn hands_a_query_error_through_a_stream_unchanged() {
        let inner = QueryError::Unavailable("no executors".to_owned());
        let wrapped = DataFusionError::External(Box::new(inner.clone()));
        assert_eq!(QueryError::from(wrapped), inner);
    }

    #[test]
    fn shows_neither_backtrace_nor_plea_for_a_bug_report() {
        let text = format!("broken{}frames", DataFusionError::BACK_TRACE_SEP);
        let error = QueryError::from(DataFusionError::Plan(text));
        assert_eq!(error.to_string(), "broken");
        let error = QueryError::from(DataFusionError::Internal("odd".to_owned()));
        assert_eq!(error.to_string(), "internal error: odd");
    }
}
