//! Writing lines on a thread of its own, since disks may block.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::AuditTarget;
use super::file::{AuditFile, OpenAuditError};
use crate::faults::chain;

/// Where lines go.
#[derive(Debug)]
pub(crate) enum Sink {
    Stdout,
    File { path: PathBuf, file: AuditFile },
}

impl Sink {
    /// Opens what `target` names; nothing for the log. Blocks.
    pub(crate) fn open(target: &AuditTarget) -> Result<Option<Sink>, OpenAuditError> {
        let path = match target {
            AuditTarget::Log => return Ok(None),
            AuditTarget::Stdout => return Ok(Some(Sink::Stdout)),
            AuditTarget::File(path) => path.clone(),
        };
        let file = AuditFile::open(&path)?;
        Ok(Some(Sink::File { path, file }))
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            Sink::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line.as_bytes())?;
                stdout.flush()
            }
            Sink::File { file, .. } => file.append(line),
        }
    }

    /// Keeps the file that is open where there cannot be a new one. No line is written to it unless
    /// its path still names it.
    fn reopen(&mut self) -> Result<(), OpenAuditError> {
        if let Sink::File { path, file } = self {
            *file = AuditFile::open(path)?;
        }
        Ok(())
    }
}

enum Order {
    /// Whoever waits for the line hears of it once it is written, and of nothing otherwise.
    Write(String, Option<oneshot::Sender<()>>),
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
            told: None,
        };
        std::thread::spawn(move || desk.work(&queue));
        Writer { orders, lost }
    }

    /// Takes a line to be written; it is lost where too many wait already.
    pub(super) fn write(&self, line: String) {
        self.order(Order::Write(line, None));
    }

    /// Takes a line to be written, and says when it is. The sender is dropped where it is lost.
    pub(super) fn keep(&self, line: String) -> oneshot::Receiver<()> {
        let (written, kept) = oneshot::channel();
        self.order(Order::Write(line, Some(written)));
        kept
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
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
    /// When trouble was last told of.
    told: Option<Instant>,
}

impl Desk {
    fn work(mut self, queue: &Receiver<Order>) {
        while let Ok(order) = queue.recv() {
            match order {
                Order::Write(line, written) => {
                    if self.write(&line)
                        && let Some(written) = written
                    {
                        // Nobody waits any more where this fails.
                        let _ = written.send(());
                    }
                }
                Order::Reopen => self.reopen(),
                Order::Finish(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    /// Every line that is lost is counted.
    fn write(&mut self, line: &str) -> bool {
        let written = self.sink.write(line);
        match &written {
            Ok(()) => self.succeeded(),
            Err(error) => {
                self.lost.inc();
                self.failed(error);
            }
        }
        written.is_ok()
    }

    fn failed(&mut self, error: &io::Error) {
        let told = self.told.is_some_and(|told| told.elapsed() < TELL_AGAIN);
        if !told {
            let error = chain(error);
            tracing::error!(error, "audit log cannot be written");
            self.told = Some(Instant::now());
            self.failing = true;
        }
    }

    /// The end of trouble that was told of is told, too.
    fn succeeded(&mut self) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("audit log is written again");
        }
    }

    fn reopen(&mut self) {
        match self.sink.reopen() {
            Ok(()) => tracing::info!("audit log opened anew"),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "audit log not opened anew");
            }
        }
    }
}

/// Seconds of a flood, in a few mebibytes.
const QUEUED_LINES: usize = 8192;

/// A disk on which one line fits and the next does not must not fill the log as well.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The end of a node does not wait longer for a disk.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn writer(path: &Path) -> (Writer, Counter) {
        let lost = Counter::default();
        let target = AuditTarget::File(path.to_owned());
        let sink = Sink::open(&target).unwrap().unwrap();
        (Writer::start(sink, lost.clone()), lost)
    }

    #[tokio::test]
    async fn says_of_a_line_that_it_is_written_when_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let (writer, lost) = writer(&path);
        writer.keep("one\n".to_owned()).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(lost.get(), 0);
    }

    #[tokio::test]
    async fn says_nothing_of_a_line_that_is_lost_and_counts_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let (writer, lost) = writer(&path);
        let other = fs::File::open(directory.path().join(".audit.jsonl.lock")).unwrap();
        other.lock().unwrap();
        assert!(writer.keep("one\n".to_owned()).await.is_err());
        other.unlock().unwrap();
        writer.keep("two\n".to_owned()).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(lost.get(), 1);
    }

    #[tokio::test]
    async fn follows_the_rotation_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let (writer, lost) = writer(&path);
        writer.write("one\n".to_owned());
        writer.finish().await;
        let moved = directory.path().join("audit.1");
        fs::rename(&path, &moved).unwrap();
        writer.reopen();
        writer.finish().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        writer.write("two\n".to_owned());
        writer.finish().await;
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(lost.get(), 0);
    }
}
