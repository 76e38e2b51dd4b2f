//! Writing lines on a thread of its own, since disks may block.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::AuditTarget;

/// The audit log cannot be written where it was asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "the audit log {} cannot be opened; name a file in a directory that this user may write to",
    path.display()
)]
pub(crate) struct OpenAuditError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Where lines go.
#[derive(Debug)]
pub(crate) enum Sink {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Sink {
    /// Opens what `target` names; nothing for the log. Blocks.
    pub(crate) fn open(target: &AuditTarget) -> Result<Option<Sink>, OpenAuditError> {
        let path = match target {
            AuditTarget::Log => return Ok(None),
            AuditTarget::Stdout => return Ok(Some(Sink::Stdout)),
            AuditTarget::File(path) => path.clone(),
        };
        match appended(&path) {
            Ok(file) => Ok(Some(Sink::File { path, file })),
            Err(source) => Err(OpenAuditError { path, source }),
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            Sink::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line.as_bytes())?;
                stdout.flush()
            }
            // One write, so that several nodes may share a file.
            Sink::File { file, .. } => file.write_all(line.as_bytes()),
        }
    }

    /// Keeps the file that is open where there cannot be a new one.
    fn reopen(&mut self) -> io::Result<()> {
        if let Sink::File { path, file } = self {
            *file = appended(path)?;
        }
        Ok(())
    }
}

/// For this user alone: the lines tell who has access to what.
fn appended(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path)
}

enum Order {
    Write(String),
    Reopen,
    Finish(oneshot::Sender<()>),
}

/// The end of the queue that events come in at.
pub(super) struct Writer {
    orders: SyncSender<Order>,
    lost: Counter,
}

impl Writer {
    /// Begins to write to `sink`. The thread ends with this, or with the process.
    pub(super) fn start(sink: Sink, lost: Counter) -> Writer {
        let (orders, queue) = sync_channel(QUEUED_LINES);
        let desk = Desk {
            sink,
            lost: lost.clone(),
            failing: false,
        };
        std::thread::spawn(move || desk.work(&queue));
        Writer { orders, lost }
    }

    /// Takes a line to be written; it is lost where too many wait already.
    pub(super) fn write(&self, line: String) {
        if self.orders.try_send(Order::Write(line)).is_err() {
            self.lost.inc();
        }
    }

    pub(super) fn reopen(&self) {
        if self.orders.try_send(Order::Reopen).is_err() {
            tracing::warn!("audit log not opened anew: too many lines wait to be written");
        }
    }

    pub(super) async fn finish(&self) {
        let (done, finished) = oneshot::channel();
        let finishing = async {
            // A queue that is full gets room as lines are written.
            let mut order = Order::Finish(done);
            while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.orders.try_send(order) {
                order = back;
                tokio::time::sleep(FULL_QUEUE_PAUSE).await;
            }
            finished.await.ok();
        };
        if timeout(FINISH_LIMIT, finishing).await.is_err() {
            tracing::warn!("the last lines of the audit log may not be written");
        }
    }
}

/// The other end.
struct Desk {
    sink: Sink,
    lost: Counter,
    failing: bool,
}

impl Desk {
    fn work(mut self, queue: &Receiver<Order>) {
        while let Ok(order) = queue.recv() {
            match order {
                Order::Write(line) => self.write(&line),
                Order::Reopen => match self.sink.reopen() {
                    Ok(()) => tracing::info!("audit log opened anew"),
                    Err(error) => tracing::error!(%error, "audit log not opened anew"),
                },
                Order::Finish(done) => {
                    // Nobody waits any more where this fails.
                    let _ = done.send(());
                }
            }
        }
    }

    /// Trouble is told of when it begins and when it ends; every line that it costs is counted.
    fn write(&mut self, line: &str) {
        let written = self.sink.write(line);
        match (&written, self.failing) {
            (Err(error), false) => tracing::error!(%error, "audit log cannot be written"),
            (Ok(()), true) => tracing::info!("audit log is written again"),
            _ => {}
        }
        self.failing = written.is_err();
        if self.failing {
            self.lost.inc();
        }
    }
}

/// Seconds of a flood, in a few mebibytes.
const QUEUED_LINES: usize = 8192;

/// The end of a node does not wait longer for a disk.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn writer(path: &Path) -> (Writer, Counter) {
        let lost = Counter::default();
        let target = AuditTarget::File(path.to_owned());
        let sink = Sink::open(&target).unwrap().unwrap();
        (Writer::start(sink, lost.clone()), lost)
    }

    #[tokio::test]
    async fn appends_to_a_file_that_only_its_owner_reads_and_follows_its_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let (writer, lost) = writer(&path);
        writer.write("one\n".to_owned());
        writer.finish().await;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let moved = directory.path().join("audit.1");
        fs::rename(&path, &moved).unwrap();
        writer.write("two\n".to_owned());
        writer.reopen();
        writer.write("three\n".to_owned());
        writer.finish().await;
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        drop(writer);

        let (writer, _) = self::writer(&path);
        writer.write("four\n".to_owned());
        writer.finish().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\nfour\n");
        assert_eq!(lost.get(), 0);
    }

    #[tokio::test]
    async fn counts_what_a_full_disk_takes_away() {
        let (writer, lost) = writer(Path::new("/dev/full"));
        writer.write("one\n".to_owned());
        writer.write("two\n".to_owned());
        writer.finish().await;
        assert_eq!(lost.get(), 2);
    }

    #[test]
    fn says_which_file_cannot_be_opened() {
        let target = AuditTarget::File("/nowhere/audit.jsonl".into());
        let error = Sink::open(&target).unwrap_err().to_string();
        assert!(error.contains("/nowhere/audit.jsonl"), "{error}");
    }
}
