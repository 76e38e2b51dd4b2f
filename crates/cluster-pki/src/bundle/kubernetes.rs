//! A Kubernetes Secret: names by the cluster's grammar, and the manifest.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_tls::Role;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Bundle, BundleError, NodeBundle, pem_certificates, unencoded};

/// The name of a Secret: an RFC 1123 subdomain, as Kubernetes asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName(String);

impl SecretName {
    /// The longest one in characters.
    pub const LIMIT: usize = 253;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        if text.len() > Self::LIMIT || !text.split('.').all(is_label) {
            return Err(SecretNameError::Secret(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A namespace: an RFC 1123 label, as Kubernetes asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// The longest one in characters.
    pub const LIMIT: usize = 63;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        if text.len() > Self::LIMIT || !is_label(text) {
            return Err(SecretNameError::Namespace(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A text that Kubernetes would not take as a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretNameError {
    /// Not the name of a Secret.
    #[error(
        "`{0}` is no name for a Kubernetes Secret: use lower-case letters, digits, `-` and `.`, \
         with a letter or digit at both ends of each part, at most 253 characters"
    )]
    Secret(String),
    /// Not the name of a namespace.
    #[error(
        "`{0}` is no Kubernetes namespace: use lower-case letters, digits and `-`, with a letter \
         or digit at both ends, at most 63 characters"
    )]
    Namespace(String),
}

/// Where a Secret goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretTarget {
    /// Its name.
    pub name: SecretName,
    /// Its namespace; that of whoever applies it where there is none.
    pub namespace: Option<Namespace>,
}

/// How a manifest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretForm {
    /// YAML.
    #[default]
    Yaml,
    /// JSON.
    Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    r#type: &'static str,
    data: Data,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    labels: Labels,
}

/// The recommended labels of Kubernetes, as far as they are known here.
#[derive(Serialize)]
struct Labels {
    #[serde(rename = "app.kubernetes.io/name")]
    name: &'static str,
    #[serde(
        rename = "app.kubernetes.io/component",
        skip_serializing_if = "Option::is_none"
    )]
    component: Option<&'static str>,
    #[serde(rename = "app.kubernetes.io/managed-by")]
    managed_by: &'static str,
}

/// Base64 of PEM.
#[derive(Serialize)]
struct Data {
    #[serde(rename = "tls.crt")]
    certificate: String,
    #[serde(rename = "tls.key", serialize_with = "secret")]
    key: Zeroizing<String>,
    /// What cert-manager calls it too.
    #[serde(rename = "ca.crt")]
    roots: String,
}

pub(super) fn write(
    node: &NodeBundle,
    target: &SecretTarget,
    form: SecretForm,
) -> Result<Bundle, BundleError> {
    let manifest = manifest(node, target)?;
    match form {
        SecretForm::Yaml => Ok(yaml(&manifest)),
        SecretForm::Json => json(&manifest),
    }
}

fn manifest<'a>(node: &NodeBundle, target: &'a SecretTarget) -> Result<Manifest<'a>, BundleError> {
    let role = node.identity().role();
    let component = (role != Role::Unspecified).then(|| role.as_str());
    Ok(Manifest {
        api_version: "v1",
        kind: "Secret",
        metadata: Metadata {
            name: target.name.as_str(),
            namespace: target.namespace.as_ref().map(Namespace::as_str),
            labels: Labels {
                name: "spice",
                component,
                managed_by: "spice-cli",
            },
        },
        r#type: "kubernetes.io/tls",
        data: Data {
            certificate: STANDARD.encode(pem_certificates(&node.chain)?.as_bytes()),
            key: Zeroizing::new(STANDARD.encode(node.key.pem()?.as_bytes())),
            roots: STANDARD.encode(pem_certificates(&node.roots)?.as_bytes()),
        },
    })
}

/// Names are quoted, for `1` and `true` are names too; base64 needs no quotes.
fn yaml(manifest: &Manifest<'_>) -> Bundle {
    let Manifest { metadata, data, .. } = manifest;
    let optional = |key: &str, value: Option<&str>| match value {
        Some(value) => format!("{key}: \"{value}\"\n"),
        None => String::new(),
    };
    let labels = &metadata.labels;
    let head = format!(
        "apiVersion: {}\nkind: {}\nmetadata:\n  name: \"{}\"\n{}  labels:\n    \
         app.kubernetes.io/name: \"{}\"\n{}    app.kubernetes.io/managed-by: \"{}\"\ntype: {}\n",
        manifest.api_version,
        manifest.kind,
        metadata.name,
        optional("  namespace", metadata.namespace),
        labels.name,
        optional("    app.kubernetes.io/component", labels.component),
        labels.managed_by,
        manifest.r#type,
    );
    let (certificate, key, roots) = (&data.certificate, &data.key, &data.roots);
    Bundle::joined(&[
        &head,
        "data:\n  tls.crt: ",
        certificate,
        "\n  tls.key: ",
        key,
        "\n  ca.crt: ",
        roots,
        "\n",
    ])
}

fn json(manifest: &Manifest<'_>) -> Result<Bundle, BundleError> {
    let data = &manifest.data;
    let room = data.certificate.len() + data.key.len() + data.roots.len() + REST_BYTES;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer_pretty(&mut *text, manifest).map_err(unencoded)?;
    text.push(b'\n');
    Ok(Bundle(text))
}

fn secret<S: serde::Serializer>(text: &Zeroizing<String>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(text)
}

/// RFC 1123, section 2.1, in lower case as Kubernetes wants it.
fn is_label(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(|c| edge(c) || c == '-')
}

/// More than everything around the data takes, names at their longest included.
const REST_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_names_that_kubernetes_takes() {
        let longest = format!("{}.b", "a".repeat(251));
        for text in ["a", "executor1", "n-1.cluster.local", "1", "true", &longest] {
            assert_eq!(text.parse::<SecretName>().unwrap().as_str(), text);
        }
        let longest = "a".repeat(63);
        for text in ["a", "kube-system", "1", &longest] {
            assert_eq!(text.parse::<Namespace>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_the_names_that_kubernetes_refuses() {
        let long = "a".repeat(254);
        for text in [
            "", "A", "a_b", "-a", "a-", ".a", "a.", "a..b", "a.-b", "a b", "a\nb", "ä", "a\"",
            &long,
        ] {
            assert!(text.parse::<SecretName>().is_err(), "{text:?}");
        }
        let long = "a".repeat(64);
        for text in ["", "A", "a.b", "a_b", "-a", "a-", "a\n", &long] {
            assert!(text.parse::<Namespace>().is_err(), "{text:?}");
        }
    }
}
