//! What was typed at the prompt, kept from one session to the next.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{env, io};

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};

use crate::failure::Failure;
use crate::voice::Voice;

/// The line editor, and the file that its history is in.
///
/// A history that cannot be kept is a warning and no reason not to run statements.
pub(crate) struct History {
    editor: DefaultEditor,
    /// None where there is no home, or the file was found to be of no use.
    file: Option<PathBuf>,
    voice: Voice,
}

/// Whether a statement is to be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Yes,
    No,
}

impl Keep {
    /// As in shells: a line that begins with a space is not kept.
    pub(crate) fn of(first_line: &str) -> Self {
        if first_line.starts_with(' ') {
            Self::No
        } else {
            Self::Yes
        }
    }
}

impl History {
    /// The history of this user; there is none yet at the first time.
    pub(crate) fn open(voice: Voice) -> Result<Self, Failure> {
        let home = env::home_dir().filter(|home| !home.as_os_str().is_empty());
        Self::in_file(home.map(|home| home.join(FILE)), voice)
    }

    fn in_file(file: Option<PathBuf>, voice: Voice) -> Result<Self, Failure> {
        let config = Config::builder()
            .max_history_size(ENTRIES_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(|error| Failure::from_error(&error))?
            .build();
        let editor =
            DefaultEditor::with_config(config).map_err(|error| Failure::from_error(&error))?;
        let mut history = Self {
            editor,
            file,
            voice,
        };
        let loaded = match &history.file {
            Some(file) => load(&mut history.editor, file),
            None => Ok(()),
        };
        history.go_on_without_what_failed(loaded);
        Ok(history)
    }

    pub(crate) fn editor(&mut self) -> &mut DefaultEditor {
        &mut self.editor
    }

    /// Keeps a statement, in the file at once: a session may end in any way.
    pub(crate) fn remember(&mut self, statement: &str, keep: Keep) {
        if keep == Keep::No {
            return;
        }
        let added = self.editor.add_history_entry(format!("{statement};"));
        let kept = match (&self.file, added) {
            (Some(file), Ok(true)) => append(&mut self.editor, file),
            (_, added) => added.map(drop),
        };
        self.go_on_without_what_failed(kept);
    }

    fn go_on_without_what_failed(&mut self, result: Result<(), ReadlineError>) {
        let Err(error) = result else { return };
        if let Some(file) = self.file.take() {
            let file = file.display();
            self.voice
                .warn(format_args!("no history is kept in {file}: {error}"));
        }
    }
}

fn load(editor: &mut DefaultEditor, file: &Path) -> Result<(), ReadlineError> {
    match editor.load_history(file) {
        Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        loaded => loaded,
    }
}

/// rustyline makes the file 0600, whatever the umask is, and locks it while it writes.
fn append(editor: &mut DefaultEditor, file: &Path) -> Result<(), ReadlineError> {
    if let Some(directory) = file.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
    }
    editor.append_history(file)
}

/// Below the home directory.
const FILE: &str = ".spice/sql_history";

/// Months of typing, and a file that is read in no time.
const ENTRIES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_thousand_statements_are_found_again() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(FILE);
        let open = || History::in_file(Some(file.clone()), Voice::Plain).unwrap();
        let mut first = open();
        for number in 0..=ENTRIES_MAX {
            first.remember(&format!("SELECT\n{number}"), Keep::Yes);
        }
        let second = open();
        let entries: Vec<_> = second.editor.history().iter().collect();
        assert_eq!(entries.len(), ENTRIES_MAX);
        assert_eq!(entries[0], "SELECT\n1;");
        assert_eq!(entries[ENTRIES_MAX - 1], "SELECT\n1000;");
    }

    #[test]
    fn a_line_that_begins_with_a_space_is_not_kept() {
        assert_eq!(Keep::of(" SELECT 1;"), Keep::No);
        assert_eq!(Keep::of("SELECT 1;"), Keep::Yes);
        let mut history = History::in_file(None, Voice::Plain).unwrap();
        history.remember("SELECT 1", Keep::No);
        assert_eq!(history.editor.history().iter().count(), 0);
        history.remember("SELECT 2", Keep::Yes);
        assert_eq!(history.editor.history().iter().count(), 1);
    }
}
