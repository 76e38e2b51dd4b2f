//! A node that cannot run says everything that is wrong and what to do about it, and ends.

mod datasets;
mod files;
mod flags;
mod manifest;
mod ports;

use anyhow::{Result, ensure};
use cluster_test::{Launch, Leaf, Node, NodeArguments};
use cluster_tls::{CredentialPaths, Role};

use crate::fixture::Fixture;

/// What a node that did not start left on stderr for the person who started it.
struct Faults(String);

impl Faults {
    /// Runs a node to its end, which must be a refusal to start: exit code 1, a numbered list,
    /// and no listener announced before.
    async fn of(launch: Launch) -> Result<Self> {
        let (status, log) = Node::run_to_end(launch).await?;
        let text = log.tail(usize::MAX);
        ensure!(status.code() == Some(1), "{status}: {text}");
        let lines = log.lines();
        let listening = lines.iter().any(|line| line.message() == "listening");
        ensure!(!listening, "it served something first: {text}");
        let report = text.find(HEADING).map(|start| text[start..].to_owned());
        ensure!(report.is_some(), "no list of faults: {text}");
        Ok(Self(report.unwrap_or_default()))
    }

    /// There is this fault among others: its text holds all of `words`.
    fn tell(&self, words: &[&str]) -> Result<()> {
        let told = self.each().any(|fault| {
            let words = words.iter();
            words.clone().all(|word| fault.contains(word))
        });
        ensure!(told, "no fault with all of {words:?} in:\n{}", self.0);
        Ok(())
    }

    /// There is exactly this one fault.
    fn tell_only(&self, words: &[&str]) -> Result<()> {
        self.count(1)?;
        self.tell(words)
    }

    /// There are so many faults, numbered from 1.
    fn count(&self, count: usize) -> Result<()> {
        let noun = if count == 1 { "fault" } else { "faults" };
        let heading = format!("{HEADING}, {count} {noun}:");
        ensure!(self.0.starts_with(&heading), "not {heading:?}: {}", self.0);
        ensure!(self.each().count() == count, "{}", self.0);
        Ok(())
    }

    /// The faults in their order; each begins a line with its number.
    fn each(&self) -> impl Iterator<Item = String> {
        let mut faults: Vec<String> = Vec::new();
        for line in self.0.lines().skip(1) {
            let number = format!("{:>3}. ", faults.len() + 1);
            match (line.strip_prefix(&number), faults.last_mut()) {
                (Some(fault), _) => faults.push(fault.to_owned()),
                (None, Some(last)) => last.push_str(line),
                (None, None) => {}
            }
        }
        faults.into_iter()
    }
}

/// A scheduler that would start.
fn scheduler(fixture: &Fixture) -> Result<(NodeArguments, CredentialPaths)> {
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let paths = fixture.pki().write("scheduler1", &leaf)?;
    Ok((fixture.scheduler_with(paths.clone()), paths))
}

const HEADING: &str = "spiced: not running";

#[tokio::test]
async fn what_these_tests_break_starts_unbroken() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    let mut node = Node::start(fixture.launch(&arguments, &[])).await?;
    ensure!(node.is_running()?);
    Ok(())
}

#[tokio::test]
async fn all_faults_are_told_at_once_with_numbers() -> Result<()> {
    let fixture = Fixture::new()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let (mut arguments, paths) = scheduler(&fixture)?;
    std::fs::remove_file(&paths.key)?;
    std::fs::write(fixture.manifest(), "version: v1\nkind: Spicepod\nnam: x\n")?;
    arguments.ports.http = taken.local_addr()?.port();
    let more = ["--task-slots", "4", "--scheduler-address", "ftp://x"];
    let faults = Faults::of(fixture.launch(&arguments, &more)).await?;
    faults.tell(&["--scheduler-address is for executors"])?;
    faults.tell(&["--task-slots is for executors"])?;
    faults.tell(&["spicepod.yaml:1:1", "`name` is missing"])?;
    faults.tell(&["spicepod.yaml:3:1", "did you mean `name`"])?;
    faults.tell(&["scheduler1-key.pem", "no such file"])?;
    faults.tell(&["--http", "taken"])?;
    faults.count(6)
}
