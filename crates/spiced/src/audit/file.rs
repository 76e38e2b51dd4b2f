//! The file of audit events: one that nobody else may change, and of whole lines.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The audit log cannot be written where it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenAuditError {
    #[error(
        "the audit log {} cannot be opened; name a file in a directory that this user may write to",
        path.display()
    )]
    Unusable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the audit log {} is a link or no file at all; name the file itself, or - for standard \
         output",
        path.display()
    )]
    NoFile { path: PathBuf },
    #[error(
        "others may write to the audit log {0} (mode {mode:03o}), so what is in it proves nothing; \
         take that away with `chmod go-w {0}`, or name another file",
        path.display()
    )]
    WritableByOthers { path: PathBuf, mode: u32 },
}

/// An open file that lines are added to.
#[derive(Debug)]
pub(crate) struct AuditFile {
    file: File,
}

impl AuditFile {
    /// Opens the file, or makes it for this user alone: the lines tell who has access to what.
    pub(super) fn open(path: &Path) -> Result<AuditFile, OpenAuditError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).mode(0o600);
        // What is made anew is made at no link's other end.
        let file = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => existing(path, &options)?,
            created => created.map_err(|source| unusable(path, source))?,
        };
        Ok(AuditFile { file })
    }

    /// Adds a line, or nothing: what a full disk took of one is cut off again. Several nodes may
    /// share a file, so nobody else adds to it meanwhile.
    pub(super) fn append(&self, line: &str) -> io::Result<()> {
        self.lock()?;
        let appended = self.append_alone(line);
        self.file.unlock()?;
        appended
    }

    fn append_alone(&self, line: &str) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        let written = if self.ends_whole(before)? {
            (&self.file).write_all(line.as_bytes())
        } else {
            // Somebody was killed in the middle of a line; its piece stays, on a line of its own.
            (&self.file).write_all(format!("\n{line}").as_bytes())
        };
        if written.is_err() {
            self.file.set_len(before)?;
        }
        written
    }

    fn ends_whole(&self, length: u64) -> io::Result<bool> {
        let Some(last) = length.checked_sub(1) else {
            return Ok(true);
        };
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, last)?;
        Ok(byte == *b"\n")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "another process gives a lock back without a word, and this is the log's own thread"
    )]
    fn lock(&self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_PATIENCE => {
                    let held = "another process keeps it locked";
                    return Err(io::Error::new(ErrorKind::ResourceBusy, held));
                }
                Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE),
            }
        }
    }
}

/// Opens a file that is there, if it is what it is taken for.
fn existing(path: &Path, options: &OpenOptions) -> Result<File, OpenAuditError> {
    let unusable = |source| unusable(path, source);
    let no_file = || OpenAuditError::NoFile {
        path: path.to_owned(),
    };
    // Opening a pipe would wait for its reader.
    let named = fs::symlink_metadata(path).map_err(unusable)?;
    if !named.is_file() {
        return Err(no_file());
    }
    let file = options.open(path).map_err(unusable)?;
    let opened = file.metadata().map_err(unusable)?;
    if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
        // Something else was put in its place between the two.
        return Err(no_file());
    }
    let mode = opened.mode() & 0o777;
    if mode & WRITABLE_BY_OTHERS != 0 {
        let path = path.to_owned();
        return Err(OpenAuditError::WritableByOthers { path, mode });
    }
    Ok(file)
}

fn unusable(path: &Path, source: io::Error) -> OpenAuditError {
    let path = path.to_owned();
    OpenAuditError::Unusable { path, source }
}

/// The group, and everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A line of another node takes a fraction of this.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

const LOCK_PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn appended(path: &Path, lines: &[&str]) -> String {
        let file = AuditFile::open(path).unwrap();
        for line in lines {
            file.append(line).unwrap();
        }
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn adds_to_a_file_that_only_its_owner_writes_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        assert_eq!(appended(&path, &["1\n"]), "1\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(appended(&path, &["2\n", "3\n"]), "1\n2\n3\n");
    }

    #[test]
    fn refuses_a_file_that_others_may_write_to_and_says_how_to_change_that() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        for mode in [0o620, 0o602, 0o666] {
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refused = AuditFile::open(&path).unwrap_err();
            let text = refused.to_string();
            assert!(text.contains(&format!("chmod go-w {}", path.display())));
            assert!(text.contains(&format!("{mode:03o}")), "{text}");
        }
    }

    #[test]
    fn refuses_links_pipes_and_directories_and_writes_at_no_links_end() {
        let directory = tempfile::tempdir().unwrap();
        let (link, end) = (directory.path().join("link"), directory.path().join("end"));
        symlink(&end, &link).unwrap();
        let refused = |path: &Path| {
            let refused = AuditFile::open(path).unwrap_err();
            assert!(
                matches!(refused, OpenAuditError::NoFile { .. }),
                "{refused}"
            );
        };
        refused(&link);
        assert!(!end.exists());
        fs::write(&end, "").unwrap();
        refused(&link);
        refused(directory.path());
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        refused(&pipe);
    }

    #[test]
    fn says_which_file_cannot_be_opened() {
        let refused = AuditFile::open(Path::new("/nowhere/audit.jsonl")).unwrap_err();
        assert!(matches!(refused, OpenAuditError::Unusable { .. }));
        assert!(refused.to_string().contains("/nowhere/audit.jsonl"));
    }

    #[test]
    fn a_piece_of_a_line_stays_on_a_line_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        fs::write(&path, "{}\n{\"ti").unwrap();
        let text = appended(&path, &["[1]\n", "[2]\n"]);
        assert_eq!(text, "{}\n{\"ti\n[1]\n[2]\n");
    }

    #[test]
    fn waits_for_the_lock_of_another_writer_within_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let (one, other) = (AuditFile::open(&path).unwrap(), File::open(&path).unwrap());
        other.lock().unwrap();
        let busy = one.append("1\n").unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::ResourceBusy);
        other.unlock().unwrap();
        one.append("2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
    }
}
