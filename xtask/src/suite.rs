//! Every test of the workspace, against binaries that were built before.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::binaries::{self, Profile};
use crate::workspace::Workspace;

pub(crate) mod servers;

/// Installs the servers that tests start, builds the binaries, runs `cargo test`, and closes with
/// one line that sums it up.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (python_variable, python) = servers::see_to()?;
    let directory = binaries::build(workspace, Profile::Dev)?;
    let (variable, value) = binaries::bin_dir_entry(directory);
    let mut child = workspace
        .cargo()
        .args(["test", "--workspace"])
        .args(arguments)
        .env(variable, value)
        .env(python_variable, python)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let mut tally = Tally::default();
    if let Some(lines) = child.stdout.take() {
        tee(lines, &mut tally)?;
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    println!("{}", tally.summary());
    ensure!(status.success(), "tests failed: {status}");
    Ok(())
}

/// Prints what the tests print while counting their results.
fn tee(lines: impl Read, tally: &mut Tally) -> Result<()> {
    for line in BufReader::new(lines).lines() {
        let line = line.context("cannot read the output of the tests")?;
        println!("{line}");
        tally.count(&line);
    }
    Ok(())
}

/// The closing lines of all test binaries, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    binaries: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Tally {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`; other lines count nothing.
    fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        self.binaries += 1;
        let (_, counts) = result.split_once(". ").unwrap_or(("", result));
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<usize>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                (Some(number), Some("ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }

    fn summary(&self) -> String {
        format!(
            "tests: {} passed, {} failed, {} ignored in {} test binaries",
            self.passed, self.failed, self.ignored, self.binaries
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.00s",
        ] {
            tally.count(line);
        }
        assert_eq!(
            tally.summary(),
            "tests: 5 passed, 1 failed, 1 ignored in 2 test binaries"
        );
    }

    #[test]
    fn a_test_that_talks_about_results_is_not_counted() {
        let mut tally = Tally::default();
        tally.count("printed by a test: test result: ok. 9 passed");
        assert_eq!(tally, Tally::default());
    }
}
