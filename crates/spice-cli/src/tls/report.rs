//! What was done, for people and for scripts.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::SystemTime;

use crate::failure::Failure;
use crate::printable::{printable, printable_lines};

/// A title, labelled lines under it, and closing text.
pub(crate) struct Card {
    title: String,
    rows: Vec<(&'static str, String)>,
    text: String,
}

impl Card {
    pub(crate) fn new(title: impl Display) -> Self {
        Self {
            title: printable(&title.to_string()),
            rows: Vec::new(),
            text: String::new(),
        }
    }

    pub(crate) fn row(&mut self, label: &'static str, value: impl Display) {
        self.rows.push((label, printable(&value.to_string())));
    }

    pub(crate) fn text(&mut self, text: impl Display) {
        self.text = printable_lines(&text.to_string());
    }

    pub(crate) fn print(&self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let labels = self.rows.iter().map(|(label, _)| label.len());
        let width = labels.max().unwrap_or(0);
        writeln!(out, "{}", self.title)?;
        for (label, value) in &self.rows {
            writeln!(out, "  {label:width$}  {value}")?;
        }
        if !self.text.is_empty() {
            writeln!(out, "\n{}", self.text)?;
        }
        Ok(())
    }
}

pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    writeln!(io::stdout(), "{value:#}")?;
    Ok(())
}

pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
