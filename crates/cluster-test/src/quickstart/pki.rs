//! Certificates as an administrator makes them: with `spice cluster tls`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cluster_tls::CredentialPaths;
use serde_json::Value;
use tokio::process::Command;

/// The authority of the demonstration and where it writes.
pub(super) struct Pki<'a> {
    spice: &'a Path,
    authority: PathBuf,
    out: PathBuf,
}

/// A certificate as `spice` reports it.
pub(super) struct Certificate {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) names: Vec<String>,
    pub(super) expires: String,
    pub(super) paths: CredentialPaths,
}

impl<'a> Pki<'a> {
    /// Makes the authority below `directory`.
    pub(super) async fn init(spice: &'a Path, directory: &Path) -> Result<Self> {
        let pki = Self {
            spice,
            authority: directory.join("pki"),
            out: directory.join("certificates"),
        };
        pki.run(&["init"]).await?;
        Ok(pki)
    }

    /// Issues the certificate of a node.
    pub(super) async fn add(&self, node: &str) -> Result<Certificate> {
        let report = self.run(&["add", node]).await?;
        let report: Value = serde_json::from_str(&report)
            .with_context(|| format!("`spice cluster tls add {node}` printed no JSON"))?;
        certificate(&report)
            .with_context(|| format!("`spice cluster tls add {node}` printed {report}"))
    }

    async fn run(&self, command: &[&str]) -> Result<String> {
        let output = Command::new(self.spice)
            .args(["cluster", "tls"])
            .args(command)
            .args(["-o", "json", "--pki-dir"])
            .arg(&self.authority)
            .arg("--out")
            .arg(&self.out)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot start {}", self.spice.display()))?;
        if !output.status.success() {
            let words = command.join(" ");
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("`spice cluster tls {words}` failed:\n{complaint}");
        }
        String::from_utf8(output.stdout).context("`spice` printed something that is not text")
    }
}

fn certificate(report: &Value) -> Option<Certificate> {
    let text = |value: &Value| Some(value.as_str()?.to_owned());
    let texts = |value: &Value| {
        value
            .as_array()?
            .iter()
            .map(text)
            .collect::<Option<Vec<_>>>()
    };
    let mut names = texts(&report["dns_names"])?;
    names.extend(texts(&report["ip_addresses"])?);
    let files = &report["files"];
    Some(Certificate {
        name: text(&report["name"])?,
        role: text(&report["role"])?,
        names,
        expires: text(&report["not_after"])?,
        paths: CredentialPaths {
            ca: text(&files["ca"])?.into(),
            certificate: text(&files["certificate"])?.into(),
            key: text(&files["key"])?.into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_complete_report_is_a_certificate_and_an_incomplete_one_is_not() {
        let mut report = json!({
            "name": "executor1",
            "role": "executor",
            "dns_names": ["executor1"],
            "ip_addresses": ["127.0.0.1"],
            "not_after": "2027-11-23T22:00:00Z",
            "files": {"ca": "ca.pem", "certificate": "executor1.pem", "key": "executor1-key.pem"},
        });
        let read = certificate(&report).unwrap();
        assert_eq!(read.names, ["executor1", "127.0.0.1"]);
        assert_eq!(read.paths.key, PathBuf::from("executor1-key.pem"));
        report["files"]["key"] = Value::Null;
        assert!(certificate(&report).is_none());
    }
}
