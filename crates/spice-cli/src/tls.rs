//! `spice cluster tls`: the authority and its certificates.

mod add;
mod bundle;
mod checked;
mod connect;
mod consent;
mod credentials;
mod csr;
mod init;
mod inspect;
mod interrupt;
mod list;
mod next_step;
mod opened;
mod passphrase;
mod progress;
mod remedy;
mod renew;
pub(crate) mod report;
mod revoke;
mod rotate_ca;
mod sign;
mod verify;

use std::path::{Path, PathBuf};
use std::{env, fmt};

use cluster_pki::IssuedRecord;

use crate::args::{PKI_DIR_VARIABLE, PkiArgs, TlsCommand};
use crate::failure::Failure;
use crate::tls::next_step::quoted;
use crate::voice::Voice;

pub(crate) fn run(command: TlsCommand, voice: Voice) -> Result<(), Failure> {
    match command {
        TlsCommand::Init(args) => init::run(&args),
        TlsCommand::Add(args) => add::run(&args, voice),
        TlsCommand::Csr(args) => csr::run(args),
        TlsCommand::Sign(args) => sign::run(&args, voice),
        TlsCommand::List(args) => list::run(&args),
        TlsCommand::Inspect(args) => inspect::run(&args, voice),
        TlsCommand::Verify(args) => verify::run(&args),
        TlsCommand::Connect(args) => connect::run(&args),
        TlsCommand::Renew(args) => renew::run(&args, voice),
        TlsCommand::Revoke(args) => revoke::run(&args),
        TlsCommand::Crl(args) => revoke::run_crl(&args),
        TlsCommand::RotateCa(args) => rotate_ca::run(&args),
        TlsCommand::Bundle(args) => bundle::run(&args),
    }
}

/// The authority's directory, and what to type so that the next command finds it too.
struct PkiDirectory {
    path: PathBuf,
    flag: Option<String>,
    /// The flag for the directory of nodes' files, where a command needs it.
    out: Option<String>,
}

impl PkiDirectory {
    fn decide(args: &PkiArgs) -> Result<Self, Failure> {
        if let Some(path) = args.pki_dir.clone() {
            let found_again = env::var_os(PKI_DIR_VARIABLE).is_some_and(|var| *var == *path);
            let flag = (!found_again).then(|| format!(" --pki-dir {}", quoted(&path)));
            return Ok(Self {
                path,
                flag,
                out: None,
            });
        }
        let home = env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let home = home.ok_or_else(|| {
            Failure::new("there is no home directory for the authority to be in")
                .with_next(format!("name one with --pki-dir DIR or {PKI_DIR_VARIABLE}"))
        })?;
        Ok(Self {
            path: home.join(".spice/pki"),
            flag: None,
            out: None,
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// The same with the directory of nodes' files, for commands that take both.
    fn with_out(&self, out: &Path) -> Self {
        let out = out_directory(out);
        let is_here =
            out.as_os_str().is_empty() || env::current_dir().is_ok_and(|here| here == out);
        Self {
            path: self.path.clone(),
            flag: self.flag.clone(),
            out: (!is_here).then(|| format!(" --out {}", quoted(out))),
        }
    }

    /// The same with the directory that a node's files were written to, where that is known.
    fn with_files_of(&self, record: &IssuedRecord) -> Self {
        match &record.directory {
            Some(directory) => self.with_out(Path::new(directory)),
            None => self.with_out(Path::new(".")),
        }
    }
}

impl fmt::Display for PkiDirectory {
    /// The flags with a space before each, or nothing where the directories are found without.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.flag.as_deref().unwrap_or_default())?;
        out.write_str(self.out.as_deref().unwrap_or_default())
    }
}

/// A directory as the start of paths that one would type: `.` is not part of them.
fn out_directory(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_directory_is_not_named() {
        let file = |directory| out_directory(Path::new(directory)).join("ca.pem");
        assert_eq!(file("."), Path::new("ca.pem"));
        assert_eq!(file("./a"), Path::new("a/ca.pem"));
        assert_eq!(file(".."), Path::new("../ca.pem"));
        assert_eq!(file("/a"), Path::new("/a/ca.pem"));
    }
}
