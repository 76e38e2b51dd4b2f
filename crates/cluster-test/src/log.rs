//! The log of a process: every line kept, every event awaitable.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::time::timeout;

/// One line that a process wrote.
#[derive(Clone, Debug)]
pub struct LogLine {
    raw: String,
    fields: Map<String, Value>,
}

impl LogLine {
    fn new(raw: String) -> Self {
        let fields = serde_json::from_str(&raw).unwrap_or_default();
        Self { raw, fields }
    }

    /// The line as it was written.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The fixed message of the event; empty for a line that is no event.
    #[must_use]
    pub fn message(&self) -> &str {
        self.field("message").unwrap_or_default()
    }

    /// A field that holds text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// A field of any type.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }
}

/// The growing log of one process; clones read the same.
#[derive(Clone, Debug)]
pub struct Log {
    lines: watch::Receiver<Vec<Arc<LogLine>>>,
}

impl Log {
    /// Reads `source` to its end in the background. The task ends with the process that writes.
    pub(crate) fn follow(source: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (sender, lines) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut source = BufReader::new(source).lines();
            while let Ok(Some(line)) = source.next_line().await {
                sender.send_modify(|lines| lines.push(Arc::new(LogLine::new(line))));
            }
        });
        Self { lines }
    }

    /// Everything written so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Arc<LogLine>> {
        self.lines.borrow().clone()
    }

    /// The last `count` lines as they were written.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines.borrow();
        let last = &lines[lines.len().saturating_sub(count)..];
        let raw: Vec<&str> = last.iter().map(|line| line.raw()).collect();
        raw.join("\n")
    }

    /// Waits for the first line, from the start of the process on, that is `wanted`.
    ///
    /// # Errors
    ///
    /// When there is none within `patience`, or the process ends without it; with the last lines.
    pub async fn wait_for(
        &self,
        wanted: impl Fn(&LogLine) -> bool,
        patience: Duration,
    ) -> Result<Arc<LogLine>> {
        let found = self.find(wanted, patience).await;
        found.map_err(|why| anyhow!("{why}; its last lines:\n{}", self.tail(LAST_LINES)))
    }

    /// As [`wait_for`](Self::wait_for), without the first `skipped` lines.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
    pub async fn wait_for_after(
        &self,
        skipped: usize,
        wanted: impl Fn(&LogLine) -> bool,
        patience: Duration,
    ) -> Result<Arc<LogLine>> {
        let later = |lines: &[Arc<LogLine>]| lines.iter().skip(skipped).any(|line| wanted(line));
        self.wait_until(later, patience).await?;
        let lines = self.lines();
        let line = lines.iter().skip(skipped).find(|line| wanted(line));
        line.cloned().ok_or_else(|| anyhow!("the event is gone"))
    }

    /// Waits until all that was written is as `wanted`.
    ///
    /// # Errors
    ///
    /// When it is not within `patience`, or the process ends before; with the last lines.
    pub async fn wait_until(
        &self,
        wanted: impl Fn(&[Arc<LogLine>]) -> bool,
        patience: Duration,
    ) -> Result<()> {
        let mut lines = self.lines.clone();
        let found = timeout(patience, lines.wait_for(|lines| wanted(lines))).await;
        if matches!(found, Ok(Ok(_))) {
            return Ok(());
        }
        let seconds = patience.as_secs_f64();
        bail!(
            "not within {seconds} s; its last lines:\n{}",
            self.tail(LAST_LINES)
        )
    }

    /// As [`wait_for`](Self::wait_for), with the reason alone where there is no such line.
    pub(crate) async fn find(
        &self,
        wanted: impl Fn(&LogLine) -> bool,
        patience: Duration,
    ) -> Result<Arc<LogLine>, String> {
        let mut lines = self.lines.clone();
        let found = timeout(
            patience,
            lines.wait_for(|lines| lines.iter().any(|line| wanted(line))),
        );
        match found.await {
            Ok(Ok(lines)) => {
                let line = lines.iter().find(|line| wanted(line));
                line.cloned().ok_or_else(|| "the event is gone".to_owned())
            }
            Ok(Err(_)) => Err("the process ended without the event".to_owned()),
            Err(_) => Err(format!("no such event within {} s", patience.as_secs_f64())),
        }
    }

    /// Waits for the end of the process's output.
    ///
    /// # Errors
    ///
    /// When it goes on for longer than `patience`.
    pub(crate) async fn ended(&self, patience: Duration) -> Result<()> {
        let mut lines = self.lines.clone();
        match timeout(patience, lines.wait_for(|_| false)).await {
            Ok(_) => Ok(()),
            Err(_) => bail!(
                "the output goes on for more than {} s",
                patience.as_secs_f64()
            ),
        }
    }
}

/// Enough to see a numbered list of start errors, or the events before a fault.
const LAST_LINES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn an_event_is_found_whether_it_came_before_or_after_the_question() {
        let (mut writer, reader) = tokio::io::duplex(1024);
        let log = Log::follow(reader);
        let ready = |line: &LogLine| line.message() == "ready";
        let asked = tokio::spawn({
            let log = log.clone();
            async move { log.wait_for(ready, PATIENCE).await }
        });
        tokio::io::AsyncWriteExt::write_all(
            &mut writer,
            b"plain text\n{\"message\":\"ready\",\"attempt\":2,\"role\":\"executor\"}\n",
        )
        .await
        .unwrap();
        let line = asked.await.unwrap().unwrap();
        assert_eq!(line.field("role"), Some("executor"));
        assert_eq!(line.value("attempt"), Some(&Value::from(2)));
        assert!(log.wait_for(ready, PATIENCE).await.is_ok());
        assert_eq!(log.lines()[0].message(), "");
    }

    #[tokio::test]
    async fn the_end_of_the_process_ends_the_wait_and_shows_its_last_lines() {
        let log = Log::follow(&b"1. the port is taken\n"[..]);
        let error = log
            .wait_for(|_| false, PATIENCE)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("ended without the event"), "{error}");
        assert!(error.contains("1. the port is taken"), "{error}");
    }

    #[tokio::test]
    async fn a_silent_process_ends_the_wait_in_time() {
        let (_writer, reader) = tokio::io::duplex(16);
        let log = Log::follow(reader);
        let patience = Duration::from_millis(5);
        let error = log
            .wait_for(|_| true, patience)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("no such event within 0.005 s"), "{error}");
    }
}
