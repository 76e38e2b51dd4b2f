//! What a store said, without what it should not have repeated.
//!
//! A refusal of Amazon's carries the access key and all that was signed, so that nothing of an
//! answer's body is passed on but the one word that is its code.

use std::error::Error;

use object_store_cloud::client::{HttpError, HttpErrorKind};

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
            _ => Kind::Other,
        };
        Self {
            kind,
            message: message(error),
        }
    }

    /// No answer.
    pub(crate) fn silent() -> Self {
        Self::other("the store did not answer in time".to_owned())
    }

    /// A key that no store of ours could be asked for.
    pub(crate) fn key(error: impl Error) -> Self {
        Self::other(error.to_string())
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
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
            Kind::Other => object_store::Error::Generic {
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
        (Some(status @ ("401" | "403")), code) => format!(
            "the store refuses access ({}); check `s3_key`, `s3_secret` and what they may read",
            joined(status, code)
        ),
        (Some(status), code) => format!("the store answered {}", joined(status, code)),
        (None, Some(code)) => format!("the store answered {code}"),
        (None, None) => "the store gave no usable answer".to_owned(),
    }
}

fn joined(status: &str, code: Option<&str>) -> String {
    match code {
        Some(code) => format!("{status} {code}"),
        None => status.to_owned(),
    }
}

/// The kind and the innermost cause of trouble on the way.
fn transport(error: &object_store_cloud::Error) -> Option<(HttpErrorKind, String)> {
    let mut cause = error.source();
    let mut kind = None;
    let mut innermost = String::new();
    while let Some(error) = cause {
        kind = kind.or_else(|| error.downcast_ref::<HttpError>().map(HttpError::kind));
        innermost = error.to_string();
        cause = error.source();
    }
    kind.map(|kind| (kind, innermost))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Text(&'static str);

    fn told(text: &'static str) -> String {
        let error = object_store_cloud::Error::Generic {
            store: "S3",
            source: Box::new(Text(text)),
        };
        ObjectError::of(&error).to_string()
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
