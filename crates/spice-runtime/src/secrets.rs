//! Secrets by their references: who has them, and how they get into a parameter.

mod environment;
mod files;
mod kubernetes;
mod reading;
mod store_error;
mod stores;

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use spicepod::{ParamPart, ParamValue, SecretReference};
use zeroize::Zeroizing;

pub use self::kubernetes::KubernetesApi;
pub use self::store_error::StoreError;
pub use self::stores::{LocalSecrets, SecretStores};

/// Whoever can tell what a reference stands for.
#[async_trait]
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// The secret that `reference` names, as it is now.
    ///
    /// # Errors
    ///
    /// [`SecretError`], which names the reference and never holds a value.
    async fn secret(&self, reference: &SecretReference) -> Result<SecretString, SecretError>;

    /// As [`secret`](Self::secret), for somebody who had what it gave before refused: a source that
    /// remembers looks again, unless it did a moment ago.
    ///
    /// # Errors
    ///
    /// As [`secret`](Self::secret).
    async fn secret_anew(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        self.secret(reference).await
    }
}

/// A source for somebody whose secrets were refused.
#[derive(Debug)]
pub(crate) struct Anew<'a>(pub(crate) &'a dyn SecretSource);

#[async_trait]
impl SecretSource for Anew<'_> {
    async fn secret(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        self.0.secret_anew(reference).await
    }
}

/// Why a secret is not to be had. No variant holds a value, nor does any cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// No store that the reference means has such a key.
    #[error(
        "the secret {reference} is in no store that it may come from{}",
        among(looked_in)
    )]
    Absent {
        /// The secret.
        reference: SecretReference,
        /// The names of the stores that were looked in, in that order.
        looked_in: Vec<String>,
    },
    /// The node that keeps the secrets does not give this one to this node. It does not say why:
    /// the application there may not refer to it, or no store may have it.
    #[error(
        "the secret {reference} is not given to this node; where it is asked for, the audit log \
         says why"
    )]
    Refused {
        /// The secret.
        reference: SecretReference,
    },
    /// The store, or the node that keeps it, could not be asked.
    #[error("the secret {reference} cannot be read")]
    Unavailable {
        /// The secret.
        reference: SecretReference,
        /// What went wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SecretError {
    /// Whether only whoever keeps the secret is out of reach for now. A store that answers and does
    /// not have it, or that is none, is a mistake of somebody.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            SecretError::Absent { .. } | SecretError::Refused { .. } => false,
            SecretError::Unavailable { source, .. } => match source.downcast_ref::<StoreError>() {
                Some(store) => store.is_outage(),
                // Another node, which is asked over the network.
                None => true,
            },
        }
    }
}

fn among(stores: &[String]) -> String {
    if stores.is_empty() {
        return String::new();
    }
    format!(" (looked in: {})", stores.join(", "))
}

/// The source of an application that needs no secrets: it has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl SecretSource for NoSecrets {
    async fn secret(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        Err(SecretError::Absent {
            reference: reference.clone(),
            looked_in: Vec::new(),
        })
    }
}

/// The text of a parameter, every reference in it replaced by what `secrets` has for it. Nothing
/// in a secret is read as a reference.
///
/// # Errors
///
/// The first [`SecretError`] of a reference.
pub async fn expand(
    value: &ParamValue,
    secrets: &dyn SecretSource,
) -> Result<SecretString, SecretError> {
    let mut pieces = Vec::with_capacity(value.parts().len());
    for part in value.parts() {
        pieces.push(match part {
            ParamPart::Literal(text) => SecretString::from(text.as_str()),
            ParamPart::Reference(reference) => secrets.secret(reference).await?,
        });
    }
    // As long as it will be from the start: text that moves as it grows leaves copies behind.
    let length = pieces.iter().map(|piece| piece.expose_secret().len()).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for piece in &pieces {
        text.push_str(piece.expose_secret());
    }
    Ok(SecretString::from(text.as_str()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use spicepod::{App, S3Auth, Source};

    use super::*;

    /// Has `${env:GIVEN}` alone.
    #[derive(Debug)]
    struct One;

    #[async_trait]
    impl SecretSource for One {
        async fn secret(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
            if reference.to_string() == "${env:GIVEN}" {
                return Ok(SecretString::from("${env:OTHER}"));
            }
            NoSecrets.secret(reference).await
        }
    }

    #[tokio::test]
    async fn puts_secrets_into_the_text_around_them_and_reads_none_of_them_again() {
        let text = expand(&secret_of("a${env:GIVEN}b${env:GIVEN}"), &One).await;
        let text = text.unwrap();
        assert_eq!(text.expose_secret(), "a${env:OTHER}b${env:OTHER}");
        assert_eq!(format!("{text:?}"), "SecretBox<str>([REDACTED])");
        let plain = expand(&secret_of("plain"), &NoSecrets).await.unwrap();
        assert_eq!(plain.expose_secret(), "plain");
    }

    #[tokio::test]
    async fn names_the_reference_that_is_in_no_store() {
        let error = expand(&secret_of("${env:GIVEN}${env:MISSING}"), &One).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("${env:MISSING}"), "{error}");
    }

    fn secret_of(text: &str) -> ParamValue {
        let manifest = format!(
            "{{version: v1, kind: Spicepod, name: a, datasets: [{{name: t, from: 's3://lake/t.csv', \
             params: {{s3_key: key, s3_secret: '{text}'}}}}]}}"
        );
        let app: App = spicepod::parse(&manifest, Path::new("/srv/spicepod.yaml")).unwrap();
        let Source::S3(source) = app.datasets()[0].source().clone() else {
            unreachable!("the manifest says s3");
        };
        let S3Auth::Key { secret, .. } = source.auth().clone() else {
            unreachable!("the manifest gives a key");
        };
        secret
    }
}
