//! What there is to say about one place of a manifest.

use std::fmt;
use std::path::PathBuf;

/// A line and a column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: u64,
    /// The column in characters, from 1.
    pub column: u64,
}

/// A remark about one place of a manifest: a fault in a [`LoadError`](crate::LoadError), a
/// warning in an [`App`](crate::App).
///
/// `Display` gives `file:line:column: key.path: message`, the form that editors make a link of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The manifest, as the user named it; none for JSON from another node.
    pub origin: Option<PathBuf>,
    /// Where in the text, as far as it is known.
    pub position: Option<Position>,
    /// The key, such as `datasets[1].params.file_format`; empty for the document itself.
    pub path: String,
    /// The path of the section with a key that it does not have, where that is the fault. What was
    /// taken for the key may be a value that was mistyped, and is in `path` and maybe in `message`.
    pub unknown_in: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{}:", origin.display())?;
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if self.origin.is_some() || self.position.is_some() {
            f.write_str(" ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything found so far while one manifest is interpreted.
#[derive(Debug)]
pub(crate) struct Findings {
    origin: Option<PathBuf>,
    faults: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(origin: Option<PathBuf>) -> Findings {
        Findings {
            origin,
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn fault(&mut self, path: &str, position: Option<Position>, message: String) {
        let fault = self.finding(path, position, message);
        self.faults.push(fault);
    }

    /// A key at `path` that the section does not have.
    pub(crate) fn unknown_key(
        &mut self,
        section: &str,
        path: &str,
        position: Option<Position>,
        message: String,
    ) {
        let mut fault = self.finding(path, position, message);
        fault.unknown_in = Some(section.to_owned());
        self.faults.push(fault);
    }

    pub(crate) fn warning(&mut self, path: &str, position: Option<Position>, message: String) {
        let warning = self.finding(path, position, message);
        self.warnings.push(warning);
    }

    /// The warnings where there is no fault; else the faults in the order of the text.
    pub(crate) fn finish(mut self) -> Result<Vec<Finding>, Vec<Finding>> {
        if self.faults.is_empty() {
            return Ok(self.warnings);
        }
        self.faults.sort_by_key(|fault| fault.position);
        Err(self.faults)
    }

    fn finding(&self, path: &str, position: Option<Position>, message: String) -> Finding {
        Finding {
            origin: self.origin.clone(),
            position,
            path: path.to_owned(),
            unknown_in: None,
            message,
        }
    }
}
