//! Which commands one run of an executor has not acknowledged yet: pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cluster_proto::pb;
use uuid::Uuid;

use crate::events::{CommandEnd, CommandKind};
use pb::scheduler_control_message::Message;

/// A command that must arrive.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// There is another application definition, with this digest.
    AppChanged(String),
    /// Nobody waits for these tasks any more.
    CancelTasks(Vec<pb::RunningTask>),
}

/// Commands in the order they were given, each until it is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    request_id: String,
    command: Command,
    given: Instant,
    /// The stream that it was sent on last: on a newer one it is sent again.
    sent_on: Option<u64>,
}

/// A command that nobody waits for any more.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) command: Command,
    pub(super) end: CommandEnd,
}

impl Ledger {
    /// Adds a command and gives those that it makes pointless or leaves no room for.
    pub(super) fn add(&mut self, command: Command, now: Instant) -> Vec<Ended> {
        let mut ended = vec![];
        if matches!(command, Command::AppChanged(_)) {
            // Whoever has the newest definition needs none before it.
            let older = |entry: &Entry| matches!(entry.command, Command::AppChanged(_));
            ended.extend(self.remove_where(older, CommandEnd::Superseded));
        }
        if self.entries.len() >= COMMAND_LIMIT {
            // A task that is not stopped costs time; a definition that is missed costs queries.
            let cancel = |entry: &Entry| matches!(entry.command, Command::CancelTasks(_));
            let oldest = self.entries.iter().position(cancel).unwrap_or_default();
            let entry = self.entries.remove(oldest);
            ended.extend(entry.map(|entry| entry.end(CommandEnd::Displaced)));
        }
        self.entries.push_back(Entry {
            request_id: Uuid::new_v4().simple().to_string(),
            command,
            given: now,
            sent_on: None,
        });
        ended
    }

    /// Whether the definition `digest` waits to be acknowledged.
    pub(super) fn offers(&self, digest: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| matches!(&entry.command, Command::AppChanged(it) if it == digest))
    }

    /// The next command that was not sent on `stream` yet; it counts as sent from here on.
    pub(super) fn unsent_on(&mut self, stream: u64) -> Option<Message> {
        let mut entries = self.entries.iter_mut();
        let entry = entries.find(|entry| entry.sent_on != Some(stream))?;
        entry.sent_on = Some(stream);
        Some(entry.message())
    }

    /// Takes out the command that was acknowledged; `None` where nobody waits for that one.
    pub(super) fn acknowledge(&mut self, request_id: &str, now: Instant) -> Option<Ended> {
        let known = |entry: &Entry| entry.request_id == request_id;
        let index = self.entries.iter().position(known)?;
        let entry = self.entries.remove(index)?;
        let after = now.duration_since(entry.given);
        Some(entry.end(CommandEnd::Acknowledged { after }))
    }

    /// Takes out what has waited for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Ended> {
        let late = |entry: &Entry| now.duration_since(entry.given) >= COMMAND_LIFETIME;
        self.remove_where(late, CommandEnd::GivenUp)
    }

    fn remove_where(&mut self, remove: impl Fn(&Entry) -> bool, end: CommandEnd) -> Vec<Ended> {
        let entries = std::mem::take(&mut self.entries);
        let (removed, kept): (Vec<_>, VecDeque<_>) = partition(entries, remove);
        self.entries = kept;
        removed.into_iter().map(|entry| entry.end(end)).collect()
    }
}

fn partition(
    entries: VecDeque<Entry>,
    remove: impl Fn(&Entry) -> bool,
) -> (Vec<Entry>, VecDeque<Entry>) {
    let (mut removed, mut kept) = (vec![], VecDeque::new());
    for entry in entries {
        if remove(&entry) {
            removed.push(entry);
        } else {
            kept.push_back(entry);
        }
    }
    (removed, kept)
}

impl Entry {
    fn message(&self) -> Message {
        let request_id = self.request_id.clone();
        match self.command.clone() {
            Command::AppChanged(digest) => {
                Message::AppChanged(pb::AppChanged { digest, request_id })
            }
            Command::CancelTasks(tasks) => {
                Message::CancelTasks(pb::CancelTasks { tasks, request_id })
            }
        }
    }

    fn end(self, end: CommandEnd) -> Ended {
        Ended {
            command: self.command,
            end,
        }
    }
}

impl Command {
    pub(super) fn kind(&self) -> CommandKind {
        match self {
            Self::AppChanged(_) => CommandKind::AppChanged,
            Self::CancelTasks(_) => CommandKind::CancelTasks,
        }
    }
}

/// Commands that may wait for one executor. A scheduler cancels some queries a second at most,
/// and an executor acknowledges within milliseconds.
const COMMAND_LIMIT: usize = 64;

/// Twice what opening the datasets of an application may take. An executor that has not
/// acknowledged by then learns of the definition when it opens its next stream.
const COMMAND_LIFETIME: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn cancel() -> Command {
        Command::CancelTasks(vec![])
    }

    fn app(digest: &str) -> Command {
        Command::AppChanged(digest.to_owned())
    }

    /// The kind and the request id of everything that was not sent on `stream`.
    fn unsent(ledger: &mut Ledger, stream: u64) -> Vec<(String, String)> {
        std::iter::from_fn(|| ledger.unsent_on(stream))
            .map(|message| match message {
                Message::AppChanged(app) => (app.digest, app.request_id),
                Message::CancelTasks(cancel) => ("cancel".to_owned(), cancel.request_id),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_command_is_sent_once_on_each_stream_until_it_is_acknowledged() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        assert!(ledger.add(app("a"), now).is_empty());
        assert!(ledger.add(cancel(), now).is_empty());
        let first = unsent(&mut ledger, 1);
        assert_eq!(first.len(), 2);
        assert!(unsent(&mut ledger, 1).is_empty());
        assert_eq!(
            unsent(&mut ledger, 2),
            first,
            "in order, under the same ids"
        );
        assert!(ledger.acknowledge(&first[0].1, now).is_some());
        assert!(ledger.acknowledge(&first[0].1, now).is_none(), "only once");
        assert!(ledger.acknowledge("foreign", now).is_none());
        assert_eq!(unsent(&mut ledger, 3), first[1..]);
    }

    #[test]
    fn a_newer_definition_takes_the_place_of_the_one_before() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.add(app("a"), now);
        ledger.add(cancel(), now);
        let ended = ledger.add(app("b"), now);
        assert!(matches!(
            ended[..],
            [Ended {
                end: CommandEnd::Superseded,
                ..
            }]
        ));
        let waiting = unsent(&mut ledger, 1);
        let kinds: Vec<_> = waiting.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["cancel", "b"]);
    }

    #[test]
    fn a_full_ledger_loses_its_oldest_cancellation_and_never_the_definition() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        ledger.add(app("a"), now);
        for _ in 1..COMMAND_LIMIT {
            assert!(ledger.add(cancel(), now).is_empty());
        }
        for _ in 0..100 {
            let ended = ledger.add(cancel(), now);
            assert!(matches!(
                ended[..],
                [Ended {
                    end: CommandEnd::Displaced,
                    ..
                }]
            ));
        }
        let waiting = unsent(&mut ledger, 1);
        assert_eq!(waiting.len(), COMMAND_LIMIT);
        assert_eq!(waiting[0].0, "a");
    }

    #[test]
    fn what_nobody_acknowledges_is_given_up_in_time() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        ledger.add(app("a"), start);
        let later = start + COMMAND_LIFETIME / 2;
        ledger.add(cancel(), later);
        assert!(ledger.expire(later).is_empty());
        let ended = ledger.expire(start + COMMAND_LIFETIME);
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].end, CommandEnd::GivenUp);
        assert_eq!(ended[0].command.kind(), CommandKind::AppChanged);
        assert_eq!(ledger.expire(later + COMMAND_LIFETIME).len(), 1);
    }
}
