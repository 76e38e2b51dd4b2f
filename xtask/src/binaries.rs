//! Builds the binaries of the workspace and shows that something happens meanwhile.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Message, MetadataCommand};

use crate::workspace::{Workspace, succeed};

/// Which cargo profile to build with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What tests use: our own code unoptimized, dependencies a little.
    Dev,
    /// What is measured and shipped.
    Release,
}

impl Profile {
    /// From the flag of the command line.
    pub(crate) fn from_release_flag(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }

    /// The directory under the target directory that holds the binaries.
    fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    fn cargo_flag(self) -> Option<&'static str> {
        match self {
            Self::Dev => None,
            Self::Release => Some("--release"),
        }
    }

    /// Measured on two cores with nothing built yet.
    fn first_time(self) -> &'static str {
        match self {
            Self::Dev => "15-25 minutes on 2 cores",
            Self::Release => "30-40 minutes on 2 cores",
        }
    }
}

/// Tells tests and the quickstart where `spiced` and `spice` are.
pub(crate) const BIN_DIR_VARIABLE: &str = "SPICE_BIN_DIR";

/// Without a terminal a line this often says how far the build is.
const REPORT_EVERY: Duration = Duration::from_secs(20);

/// Builds every binary and gives the directory they are in.
///
/// The whole workspace is built, not single packages: cargo resolves the features of a
/// selection, and any other selection would compile the query engine a second time.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let mut command = workspace.cargo();
    command.args(["build", "--workspace", "--bins"]);
    command.args(profile.cargo_flag());
    let crates = crate_count(workspace)?;
    eprintln!(
        "building {crates} crates: the first time takes about {}",
        profile.first_time()
    );
    if std::io::stderr().is_terminal() {
        // Cargo's own progress bar is the best there is.
        succeed(&mut command)?;
    } else {
        build_with_reports(&mut command, crates)?;
    }
    Ok(workspace.target().join(profile.directory()))
}

/// The environment entry that makes `directory` known to the tests.
pub(crate) fn bin_dir_entry(directory: PathBuf) -> (&'static str, OsString) {
    (BIN_DIR_VARIABLE, directory.into_os_string())
}

fn crate_count(workspace: &Workspace) -> Result<usize> {
    let metadata = MetadataCommand::new()
        .current_dir(workspace.root())
        .other_options(platform_filter())
        .exec()
        .context("cargo metadata failed")?;
    Ok(metadata.packages.len())
}

/// Leaves the crates of other operating systems out of the count.
fn platform_filter() -> Vec<String> {
    host_triple().map_or_else(Vec::new, |host| vec!["--filter-platform".to_owned(), host])
}

fn host_triple() -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "))?;
    Some(host.to_owned())
}

/// Reads cargo's JSON messages and prints a count from time to time.
fn build_with_reports(command: &mut Command, crates: usize) -> Result<()> {
    let mut child = command
        .args(["--quiet", "--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let built = child.stdout.take().map(|messages| report(messages, crates));
    let status = child.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "the build failed: {status}");
    eprintln!("  all {} crates are ready", built.unwrap_or_default());
    Ok(())
}

/// Counts the crates that cargo names as built, and prints the count from time to time.
fn report(messages: impl Read, crates: usize) -> usize {
    let started = Instant::now();
    let mut last = started;
    let mut done = BTreeSet::new();
    for message in Message::parse_stream(BufReader::new(messages)).map_while(Result::ok) {
        let Message::CompilerArtifact(artifact) = message else {
            continue;
        };
        done.insert(artifact.package_id);
        if last.elapsed() >= REPORT_EVERY {
            last = Instant::now();
            eprintln!(
                "  {} of {crates} crates ready after {} s",
                done.len(),
                started.elapsed().as_secs()
            );
        }
    }
    done.len()
}
