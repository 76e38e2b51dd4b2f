//! The spicepod of this node: read at the start, and followed while the node runs.

mod adoption;
mod memory;
mod shown;
mod watch;

use std::path::Path;

use spicepod::{App, LoadError, ManifestText};

use crate::config::ManifestPath;

pub(crate) use adoption::{Adoption, InCluster, Opening};
pub(crate) use watch::ManifestWatch;

/// Where the spicepod is, and what it said when it was last taken over.
#[derive(Debug)]
pub(crate) struct Manifest {
    path: ManifestPath,
    /// Nothing where there was no file, which is an application without datasets.
    in_use: Option<ManifestText>,
}

impl Manifest {
    /// Reads the spicepod. Not for async workers.
    pub(crate) fn open(path: &ManifestPath) -> Result<(App, Self), LoadError> {
        let in_use = read(path, Needed::No)?;
        let app = parse(in_use.as_ref())?;
        let path = path.clone();
        Ok((app, Self { path, in_use }))
    }

    /// What the spicepod says now. Not for async workers.
    fn look(&self) -> Result<Option<ManifestText>, LoadError> {
        // A file that was there must not go away unnoticed.
        let needed = match self.in_use {
            Some(_) => Needed::Yes,
            None => Needed::No,
        };
        read(&self.path, needed)
    }

    /// Whether there is a file at all.
    pub(crate) fn is_there(&self) -> bool {
        self.in_use.is_some()
    }
}

/// Whether a node without a spicepod is none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Yes,
    No,
}

fn read(path: &ManifestPath, needed: Needed) -> Result<Option<ManifestText>, LoadError> {
    match path {
        ManifestPath::Given(path) => ManifestText::read(path).map(Some),
        ManifestPath::Default => match ManifestText::read(Path::new(".")) {
            Err(LoadError::NotFound { .. }) if needed == Needed::No => Ok(None),
            read => read.map(Some),
        },
    }
}

/// No text at all is an application without datasets.
fn parse(text: Option<&ManifestText>) -> Result<App, LoadError> {
    text.map_or_else(|| Ok(App::empty()), ManifestText::parse)
}
