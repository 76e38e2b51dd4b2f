//! What a manifest means once everything in it has been checked.

use std::collections::BTreeSet;

use crate::error::LoadError;
use crate::finding::Finding;
use crate::name::TableName;
use crate::param::ParamValue;
use crate::runtime::SchedulerSettings;
use crate::secret::{SecretReference, SecretStore};
use crate::source::Source;
use crate::{canonical, manifest};

/// A validated application: the datasets and views a node serves.
///
/// Only this crate makes one, so whoever holds an `App` may rely on its rules: names are valid
/// and unique across datasets and views, file paths are absolute, and every reference to a
/// secret names a store of the application. It holds references only, never what they stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    parts: Parts,
    digest: String,
    warnings: Vec<Finding>,
}

/// What an application is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) secret_stores: Vec<SecretStore>,
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) views: Vec<View>,
    pub(crate) scheduler: SchedulerSettings,
}

impl App {
    pub(crate) fn new(parts: Parts, warnings: Vec<Finding>) -> App {
        let digest = canonical::digest(&canonical::json(&parts));
        App {
            parts,
            digest,
            warnings,
        }
    }

    pub(crate) fn without_warnings(mut self) -> App {
        self.warnings.clear();
        self
    }

    /// An application that serves nothing; SQL without tables still works on it.
    #[must_use]
    pub fn empty() -> App {
        let parts = Parts {
            name: "spice".to_owned(),
            secret_stores: vec![SecretStore::environment()],
            datasets: Vec::new(),
            views: Vec::new(),
            scheduler: SchedulerSettings::default(),
        };
        App::new(parts, Vec::new())
    }

    /// The manifest's `name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The secret stores, in the order of the manifest; the environment where it has none.
    #[must_use]
    pub fn secret_stores(&self) -> &[SecretStore] {
        &self.parts.secret_stores
    }

    /// Every secret that the application refers to: what a node that serves it may ask for.
    #[must_use]
    pub fn secret_references(&self) -> BTreeSet<&SecretReference> {
        let datasets = self.datasets().iter();
        datasets.flat_map(Dataset::secret_references).collect()
    }

    /// The datasets, in the order of the manifest.
    #[must_use]
    pub fn datasets(&self) -> &[Dataset] {
        &self.parts.datasets
    }

    /// The views, in the order of the manifest; a view may use one that comes later.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.parts.views
    }

    /// What the manifest says to the scheduler that reads it. No part of the meaning: neither in
    /// the digest nor in the JSON.
    #[must_use]
    pub fn scheduler(&self) -> &SchedulerSettings {
        &self.parts.scheduler
    }

    /// SHA-256 over [`App::to_json`], as 64 lower-case hexadecimal digits.
    ///
    /// Two manifests with the same meaning have the same digest, however they are written.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the manifest holds that is accepted but has no effect, for the log of the node
    /// that loaded it. Warnings are no part of the meaning: they are neither in the digest nor
    /// in the JSON.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The application as canonical JSON: a manifest in which every default is spelled out and
    /// every path is absolute. This is what a scheduler hands to its executors.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical::json(&self.parts)
    }

    /// Read what [`App::to_json`] wrote, under the same rules as a manifest.
    ///
    /// # Errors
    ///
    /// [`LoadError::Json`] where the text is not JSON, [`LoadError::Invalid`] with every fault
    /// where it is not a valid manifest, a relative path included: the reader may be another
    /// machine than the writer, so there is no directory to resolve it against.
    pub fn from_json(json: &str) -> Result<App, LoadError> {
        manifest::from_json(json)
    }
}

/// One table of the application that is backed by data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    pub(crate) name: TableName,
    pub(crate) source: Source,
}

impl Dataset {
    /// The table name that SQL uses.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The secrets that it takes to get to the data, in the order of the parameters.
    pub fn secret_references(&self) -> impl Iterator<Item = &SecretReference> {
        self.source
            .params()
            .into_iter()
            .flat_map(ParamValue::references)
    }

    /// Where the data is (the manifest's `from`), and how to read it (its `params`).
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }
}

/// A named query over datasets and other views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub(crate) name: TableName,
    pub(crate) sql: String,
}

impl View {
    /// The table name that SQL uses.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The query, as written; it has not been parsed here.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }
}
