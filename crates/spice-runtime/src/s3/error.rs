//! What a store said, without what it should not have repeated.
//!
//! A refusal of Amazon's carries the access key and all that was signed, so that nothing of an
//! answer's body is passed on but the one word that is its code.

use std::error::Error;

use object_store_cloud::client::{HttpError, HttpErrorKind};

use crate::causes::{causes, innermost, is_tls};
use crate::said::said;

/// Why a store gave no object. It holds neither keys nor anything else that the store sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ObjectError {
    kind: Kind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotFound,
    Precondition,
    NotModified,
    Denied,
    /// The store may be there again in a moment.
    Outage,
    Other,
}

impl ObjectError {
    /// What is left of a client's error.
    pub(crate) fn of(error: &object_store_cloud::Error) -> Self {
        use object_store_cloud::Error as E;
        let kind = match error {
            E::NotFound { .. } => Kind::NotFound,
            E::Precondition { .. } => Kind::Precondition,
            E::NotModified { .. } => Kind::NotModified,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Kind::Denied,
            _ => kind(error),
        };
        Self {
            kind,
            message: message(error),
        }
    }

    /// No answer.
    pub(crate) fn silent() -> Self {
        Self {
            kind: Kind::Outage,
            message: "the store did not answer in time".to_owned(),
        }
    }

    /// A key that no store of ours could be asked for.
    pub(crate) fn key(error: impl Error) -> Self {
        Self::other(said(&error.to_string()))
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// Whether the keys are refused, or no longer taken.
    pub(crate) fn is_denied(&self) -> bool {
        self.kind == Kind::Denied
    }

    /// Whether the store is out of reach or out of order, and not what it was asked for is wrong.
    pub(crate) fn is_outage(&self) -> bool {
        self.kind == Kind::Outage
    }

    /// As the engine knows errors of stores.
    pub(crate) fn for_engine(self, path: &str) -> object_store::Error {
        let path = path.to_owned();
        let kind = self.kind;
        let source = Box::new(self);
        match kind {
            Kind::NotFound => object_store::Error::NotFound { path, source },
            Kind::Precondition => object_store::Error::Precondition { path, source },
            Kind::NotModified => object_store::Error::NotModified { path, source },
            Kind::Denied => object_store::Error::PermissionDenied { path, source },
            Kind::Outage | Kind::Other => object_store::Error::Generic {
                store: "S3",
                source,
            },
        }
    }

    fn other(message: String) -> Self {
        Self {
            kind: Kind::Other,
            message,
        }
    }
}

/// Of an error that the client has no name for.
fn kind(error: &object_store_cloud::Error) -> Kind {
    if transport(error).is_some() {
        return if is_tls(error) {
            Kind::Other
        } else {
            Kind::Outage
        };
    }
    let text = error.to_string();
    match (status(&text), code(&text)) {
        // These come as a 400.
        (_, Some(code)) if EXPIRED.contains(&code) => Kind::Denied,
        (Some("401" | "403"), _) => Kind::Denied,
        (Some(status), _) if status == "429" || status.starts_with('5') => Kind::Outage,
        _ => Kind::Other,
    }
}

fn message(error: &object_store_cloud::Error) -> String {
    if let Some((http, cause)) = transport(error) {
        return match http {
            HttpErrorKind::Connect => format!("the store cannot be reached: {cause}"),
            HttpErrorKind::Timeout => "the store did not answer in time".to_owned(),
            _ => format!("the connection to the store broke: {cause}"),
        };
    }
    let text = error.to_string();
    let (status, code) = (status(&text), code(&text));
    match (status, code) {
        (Some(status @ ("401" | "403")), code) => refused(status, code),
        (Some(status), Some(code)) if EXPIRED.contains(&code) => refused(status, Some(code)),
        (Some(status), code) => format!("the store answered {}", joined(status, code)),
        (None, Some(code)) => format!("the store answered {code}"),
        (None, None) => "the store gave no usable answer".to_owned(),
    }
}

fn refused(status: &str, code: Option<&str>) -> String {
    format!(
        "the store refuses access ({}); check `s3_key`, `s3_secret` and what they may read",
        joined(status, code)
    )
}

fn joined(status: &str, code: Option<&str>) -> String {
    match code {
        Some(code) => format!("{status} {code}"),
        None => status.to_owned(),
    }
}

/// The kind and the innermost cause of trouble on the way.
fn transport(error: &object_store_cloud::Error) -> Option<(HttpErrorKind, String)> {
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<HttpError>());
    kind.map(|http| (http.kind(), innermost(error)))
}

/// The number behind `status code: `. The client gives it as text alone.
fn status(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("status code: ")?;
    let status = rest.get(..3)?;
    status
        .bytes()
        .all(|it| it.is_ascii_digit())
        .then_some(status)
}

/// The word within `<Code>`, if it is one.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.bytes().all(|it| it.is_ascii_alphanumeric());
    (is_word && (1..=64).contains(&code.len())).then_some(code)
}

/// What Amazon says of keys that were good once.
const EXPIRED: [&str; 3] = ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Text(&'static str);

    fn error(text: &'static str) -> ObjectError {
        ObjectError::of(&object_store_cloud::Error::Generic {
            store: "S3",
            source: Box::new(Text(text)),
        })
    }

    fn told(text: &'static str) -> String {
        error(text).to_string()
    }

    #[test]
    fn a_store_out_of_order_is_told_from_keys_that_are_refused() {
        for text in [
            "status code: 503 Slow: <Code>SlowDown</Code>",
            "status code: 429 ",
        ] {
            assert!(
                error(text).is_outage() && !error(text).is_denied(),
                "{text}"
            );
        }
        for text in [
            "status code: 403 Forbidden",
            "status code: 400 Bad Request: <Code>ExpiredToken</Code>",
        ] {
            assert!(
                error(text).is_denied() && !error(text).is_outage(),
                "{text}"
            );
            assert!(told(text).contains("refuses access"), "{text}");
        }
        let wrong = error("status code: 400 Bad Request: <Code>InvalidBucketName</Code>");
        assert!(!wrong.is_denied() && !wrong.is_outage());
        assert!(ObjectError::silent().is_outage());
    }

    #[test]
    fn nothing_of_an_answer_is_told_but_its_code() {
        let refused = told(
            "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch\
             </Code><AWSAccessKeyId>AKIA1</AWSAccessKeyId></Error>",
        );
        assert!(refused.contains("(403 SignatureDoesNotMatch)"), "{refused}");
        assert!(!refused.contains("AKIA1"), "{refused}");
        let odd = told("status code: 500 Internal: <Code>AKIA1 / secret</Code>");
        assert_eq!(odd, "the store answered 500");
        assert_eq!(told("secret"), "the store gave no usable answer");
    }
}
