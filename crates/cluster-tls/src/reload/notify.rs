//! Files that tell of their changes (feature `notify`).

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use ::notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::load::{
    CredentialBytes, CredentialFile, CredentialSource, EVERY_FILE, FileSource, LoadError,
    RevocationBytes,
};

/// Files whose changes are noticed at once where the operating system tells of them.
///
/// The directories are watched and not the files: mounted Secrets exchange a symbolic link beside
/// them, and editors put a new file in the place of the old one. Polling goes on as well, for what
/// no notification tells, so that a directory that cannot be watched costs nothing but time.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # fn start(paths: cluster_tls::CredentialPaths) -> Result<(), cluster_tls::LoadError> {
/// use cluster_tls::{FileSource, PeerPolicy, SystemClock, WatchedFiles, open};
///
/// let source = WatchedFiles::new(FileSource::new(paths).with_deny_list("denied.txt"));
/// let (credentials, reloader) = open(source, Arc::new(SystemClock), PeerPolicy::default())?;
/// # Ok(())
/// # }
/// ```
pub struct WatchedFiles {
    files: FileSource,
    changed: Arc<Notify>,
    /// Watches for as long as it lives; none where the operating system refused.
    _watcher: Option<RecommendedWatcher>,
}

impl WatchedFiles {
    /// Begins to watch.
    #[must_use]
    pub fn new(files: FileSource) -> Self {
        let changed = Arc::new(Notify::new());
        let watcher = watcher(Arc::clone(&changed), &directories(&files));
        Self {
            files,
            changed,
            _watcher: watcher,
        }
    }
}

fn watcher(changed: Arc<Notify>, directories: &BTreeSet<PathBuf>) -> Option<RecommendedWatcher> {
    let tell = move |event: ::notify::Result<Event>| {
        // Our own reads are accesses, and would keep us reading for ever.
        if event.map_or(true, |event| !event.kind.is_access()) {
            changed.notify_one();
        }
    };
    let mut watcher = ::notify::recommended_watcher(tell).ok()?;
    for directory in directories {
        // Polling sees what this cannot.
        let _ = watcher.watch(directory, RecursiveMode::NonRecursive);
    }
    Some(watcher)
}

fn directories(files: &FileSource) -> BTreeSet<PathBuf> {
    let paths = EVERY_FILE.into_iter().filter_map(|file| files.path(file));
    paths
        .filter_map(Path::parent)
        .map(|parent| match parent.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => parent.to_owned(),
        })
        .collect()
}

impl CredentialSource for WatchedFiles {
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        self.files.read()
    }

    fn read_revocations(&mut self) -> Option<RevocationBytes> {
        self.files.read_revocations()
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.changed.notified())
    }

    fn path(&self, file: CredentialFile) -> Option<&Path> {
        self.files.path(file)
    }
}

impl Debug for WatchedFiles {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFiles")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
