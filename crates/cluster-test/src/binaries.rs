//! Where the programs under test are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The path of a program of this workspace, such as `spiced`.
///
/// `cargo xtask` says by `SPICE_BIN_DIR` where it built them. Without it the program is looked
/// for beside the running test: tests are in `target/PROFILE/deps`, programs one level above.
///
/// # Errors
///
/// When there is no such program, with the command that builds it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let directories = match env::var_os(VARIABLE) {
        Some(directory) => vec![PathBuf::from(directory)],
        None => beside(&env::current_exe().context("this program does not know its path")?),
    };
    find(name, &directories)
}

fn beside(program: &Path) -> Vec<PathBuf> {
    program
        .ancestors()
        .skip(1)
        .take(2)
        .map(Path::to_owned)
        .collect()
}

fn find(name: &str, directories: &[PathBuf]) -> Result<PathBuf> {
    let candidates = directories.iter().map(|directory| directory.join(name));
    match candidates.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => {
            let places: Vec<_> = directories
                .iter()
                .map(|it| it.display().to_string())
                .collect();
            bail!(
                "there is no program {name} in {}: build it with `cargo build --workspace --bins`",
                places.join(" or ")
            )
        }
    }
}

/// The variable by which `cargo xtask` names the directory.
const VARIABLE: &str = "SPICE_BIN_DIR";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_above_the_directory_of_the_tests() {
        let target = tempfile::tempdir().unwrap();
        let deps = target.path().join("deps");
        std::fs::create_dir(&deps).unwrap();
        std::fs::write(target.path().join("spiced"), "").unwrap();
        let found = find("spiced", &beside(&deps.join("tests-0123456789abcdef"))).unwrap();
        assert_eq!(found, target.path().join("spiced"));
    }

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let target = tempfile::tempdir().unwrap();
        let error = find("spiced", &[target.path().to_owned()]).unwrap_err();
        assert!(error.to_string().contains("cargo build --workspace --bins"));
    }
}
