//! Reading what may be a secret: bounded, off the async workers, into memory that is wiped.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::store_error::StoreError;

/// One look at a store, of those that may go on at once. It ends when this is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

/// Waits for a turn, for as long as whoever asks does.
pub(super) async fn turn(turns: &Arc<Semaphore>) -> Result<Turn, StoreError> {
    let turn = Arc::clone(turns).acquire_owned().await;
    turn.map_err(|_| StoreError::Interrupted)
}

/// Runs `read` where it may block, and gives the turn back with what was read. Until then the turn
/// lasts, whether somebody still waits for it or not, so that a file system that does not answer
/// occupies a bounded number of threads.
pub(super) async fn off_the_workers<T: Send + 'static>(
    turn: Turn,
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<(T, Turn), StoreError> {
    let reading = tokio::task::spawn_blocking(move || read().map(|it| (it, turn)));
    reading.await.map_err(|_| StoreError::Interrupted)?
}

/// The text of the file at `path`; `None` where there is none.
pub(super) fn text(path: &Path) -> Result<Option<Zeroizing<String>>, StoreError> {
    let unreadable = |source| StoreError::Read {
        path: path.to_owned(),
        source,
    };
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // Opening a pipe would wait for its writer.
    if !found.is_file() {
        let path = path.to_owned();
        return Err(StoreError::NotAFile { path });
    }
    let length = usize::try_from(found.len()).unwrap_or(usize::MAX);
    if length > MAX_SECRET_BYTES {
        return Err(StoreError::TooLarge {
            what: path.display().to_string(),
            limit: MAX_SECRET_BYTES,
        });
    }
    // One byte more than there is: memory that is full would move, and leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    let file = File::open(path).map_err(unreadable)?;
    let read = file.take(found.len() + 1).read_to_end(&mut bytes);
    if read.map_err(unreadable)? > length {
        let path = path.to_owned();
        return Err(StoreError::Changing { path });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| StoreError::NotText {
        what: path.display().to_string(),
    })?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// How large one secret may be, in bytes: what Kubernetes allows for a whole Secret. Bundles of
/// certificates fit.
pub(super) const MAX_SECRET_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_within_the_bound_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert!(text(&path).unwrap().is_none());
        fs::write(&path, "vä lue\n").unwrap();
        assert_eq!(text(&path).unwrap().unwrap().as_str(), "vä lue\n");

        fs::write(&path, vec![b'x'; MAX_SECRET_BYTES]).unwrap();
        assert_eq!(text(&path).unwrap().unwrap().len(), MAX_SECRET_BYTES);
        fs::write(&path, vec![b'x'; MAX_SECRET_BYTES + 1]).unwrap();
        let refused = text(&path).unwrap_err();
        assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");

        fs::write(&path, [0xff, 0xfe]).unwrap();
        let refused = text(&path).unwrap_err();
        assert!(matches!(refused, StoreError::NotText { .. }), "{refused}");
        let refused = text(directory.path()).unwrap_err();
        assert!(matches!(refused, StoreError::NotAFile { .. }), "{refused}");
    }
}
