//! Where the workspace, its build output and the caches of its tools are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::MetadataCommand;

/// The workspace this program was built from.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo for the root and the target directory, so that every way of configuring
    /// them (environment, config file, default) is followed.
    pub(crate) fn find() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(manifest_dir())
            .no_deps()
            .exec()
            .context("cargo metadata failed")?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    /// The directory of the root manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The cargo that started this program, in the workspace root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }
}

/// Runs `command` to its end and names it when it fails.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", described(command)))?;
    ensure!(status.success(), "{} failed: {status}", described(command));
    Ok(())
}

/// Runs `command` to its end and gives its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", described(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} failed: {}\n{complaint}",
            described(command),
            output.status
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something that is not text", described(command)))
}

/// What survives `cargo clean` and a fresh clone: tools, Python environments.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set: no place for downloaded tools")?;
    Ok(base.join("spice-cluster"))
}

/// `cargo run` sets the variable; the path of the build is for a binary started by hand.
fn manifest_dir() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// The command as a person would type it.
fn described(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_arguments() {
        let error = succeed(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed: exit status: 3");
    }

    #[test]
    fn a_succeeding_command_gives_its_output() {
        let text = output(Command::new("sh").args(["-c", "echo hello"])).unwrap();
        assert_eq!(text, "hello\n");
    }
}
