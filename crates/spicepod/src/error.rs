//! Why there is no [`App`](crate::App).

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::finding::Finding;

/// Why a manifest could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no manifest where one was looked for.
    #[error(
        "found no spicepod: looked for {}; name a directory that holds one, or the file itself",
        listed(looked_for)
    )]
    NotFound {
        /// Every file that was looked for, in that order.
        looked_for: Vec<PathBuf>,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file is larger than [`MAX_MANIFEST_BYTES`](crate::MAX_MANIFEST_BYTES).
    #[error("{} is larger than {limit} bytes, so it is no manifest", path.display())]
    TooLarge {
        /// The manifest.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The text was read and breaks rules: every rule it breaks, in the order of the text.
    #[error("{}", lines(findings))]
    Invalid {
        /// At least one fault.
        findings: Vec<Finding>,
    },
    /// What should be the JSON of an application is not JSON.
    #[error("the application definition is not JSON")]
    Json {
        /// What the JSON reader said.
        #[source]
        source: serde_json::Error,
    },
}

impl LoadError {
    /// What is wrong, as a word for metrics and for status pages, which show neither paths nor
    /// what a manifest says.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            LoadError::NotFound { .. } => "missing",
            LoadError::Read { .. } => "unreadable",
            LoadError::TooLarge { .. } => "too_large",
            LoadError::Invalid { .. } | LoadError::Json { .. } => "invalid",
        }
    }

    /// The single faults of a manifest that was read, for a caller that numbers them together
    /// with its own; empty for every other kind of error.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            LoadError::Invalid { findings } => findings,
            _ => &[],
        }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| shown(path)).collect();
    shown.join(" and ")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for (index, finding) in findings.iter().enumerate() {
        let newline = if index == 0 { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{newline}{finding}");
    }
    text
}
