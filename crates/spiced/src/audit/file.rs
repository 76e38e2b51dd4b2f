//! The file of audit events: one that nobody else may change, and of whole lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::lock::AuditLock;
use super::named::{is_named, open_or_make, own_user};

/// The audit log cannot be written where it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenAuditError {
    #[error(
        "the audit log {} cannot be opened; name a file that this user may write to, in a \
         directory where it may make files",
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
    #[error(
        "the audit log {} belongs to another user (number {owner}), who can change what is in it; \
         move it away, and it is made anew for the user that spiced runs as, or name another file",
        path.display()
    )]
    ForeignOwner { path: PathBuf, owner: u32 },
    #[error(
        "{}, the lock of the audit log, is a link or not for the user alone that spiced runs as, \
         so others could keep secrets back with it; remove it, and it is made anew",
        path.display()
    )]
    LockNotOurs { path: PathBuf },
}

/// An open file that lines are added to.
#[derive(Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    file: File,
    lock: AuditLock,
    /// Whom the files of this process belong to.
    own: u32,
}

impl AuditFile {
    /// Opens the file, or makes it for this user alone: the lines tell who has access to what.
    pub(super) fn open(path: &Path) -> Result<AuditFile, OpenAuditError> {
        let file = open(path)?;
        let own = own_user(path).map_err(|source| unusable(path, source))?;
        ensure_ours(path, &file, own)?;
        Ok(AuditFile {
            path: path.to_owned(),
            file,
            lock: AuditLock::new(path, own)?,
            own,
        })
    }

    /// Adds a line, or nothing: what a full disk took of one is cut off again. Several nodes may
    /// share a file, so nobody else adds to it meanwhile.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        let _held = self.lock.take()?;
        self.follow().map_err(io::Error::other)?;
        self.append_alone(line)
    }

    /// A line in a file that was moved away or removed may be one that nobody ever reads.
    fn follow(&mut self) -> Result<(), OpenAuditError> {
        let named = is_named(&self.file, &self.path);
        if named.map_err(|source| unusable(&self.path, source))? {
            return Ok(());
        }
        let file = open(&self.path)?;
        ensure_ours(&self.path, &file, self.own)?;
        self.file = file;
        let path = self.path.display();
        tracing::warn!(%path, "audit log was moved away or removed, and is opened anew");
        Ok(())
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
}

/// Opens what is named, or makes it.
fn open(path: &Path) -> Result<File, OpenAuditError> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    let file = open_or_make(path, &options).map_err(|source| unusable(path, source))?;
    file.ok_or_else(|| OpenAuditError::NoFile {
        path: path.to_owned(),
    })
}

/// Refuses a file that others may write to, or make writable for themselves.
fn ensure_ours(path: &Path, file: &File, own: u32) -> Result<(), OpenAuditError> {
    let found = file.metadata().map_err(|source| unusable(path, source))?;
    let (path, owner, mode) = (path.to_owned(), found.uid(), found.mode() & 0o777);
    if !is_trusted(owner, own) {
        return Err(OpenAuditError::ForeignOwner { path, owner });
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(OpenAuditError::WritableByOthers { path, mode });
    }
    Ok(())
}

/// Who can do anything may own it too.
fn is_trusted(owner: u32, own: u32) -> bool {
    owner == own || owner == ROOT
}

fn unusable(path: &Path, source: io::Error) -> OpenAuditError {
    let path = path.to_owned();
    OpenAuditError::Unusable { path, source }
}

/// The group, and everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn appended(path: &Path, lines: &[&str]) -> String {
        let mut file = AuditFile::open(path).unwrap();
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
    fn refuses_a_file_of_somebody_else_and_takes_one_of_root() {
        assert!(is_trusted(1000, 1000) && is_trusted(ROOT, 1000));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, ROOT));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let AuditFile { file, own, .. } = AuditFile::open(&path).unwrap();
        ensure_ours(&path, &file, own).unwrap();
        assert_eq!(ensure_ours(&path, &file, own + 1).is_err(), own != ROOT);
        // Only root can give it away.
        if chown(&path, Some(own + 1), None).is_ok() {
            let refused = AuditFile::open(&path).unwrap_err();
            let text = refused.to_string();
            assert!(
                matches!(refused, OpenAuditError::ForeignOwner { .. }),
                "{text}"
            );
            assert!(text.contains(&format!("number {}", own + 1)), "{text}");
        }
    }

    #[test]
    fn who_may_only_read_the_file_keeps_no_line_out_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let mut file = AuditFile::open(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let reader = File::open(&path).unwrap();
        reader.lock().unwrap();
        file.append("1\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_line_is_written_where_the_path_says_whatever_became_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let (mut one, mut other) = (
            AuditFile::open(&path).unwrap(),
            AuditFile::open(&path).unwrap(),
        );
        one.append("1\n").unwrap();
        fs::remove_file(&path).unwrap();
        one.append("2\n").unwrap();
        other.append("3\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n3\n");
        fs::rename(&path, directory.path().join("audit.1")).unwrap();
        fs::write(&path, "4\n").unwrap();
        one.append("5\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "4\n5\n");
    }

    #[test]
    fn no_line_is_written_where_the_file_is_gone_and_there_can_be_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let (path, end) = (
            directory.path().join("audit.jsonl"),
            directory.path().join("end"),
        );
        let mut file = AuditFile::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&end, &path).unwrap();
        let refused = file.append("1\n").unwrap_err();
        assert!(refused.to_string().contains("is a link"), "{refused}");
        assert!(!end.exists());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
        assert!(file.append("2\n").is_err());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        file.append("3\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "3\n");
        directory.close().unwrap();
        assert!(file.append("4\n").is_err());
    }
}
