//! A file that keeps whoever opens it waiting, as one on a file server that hangs does.

use std::path::Path;

use anyhow::{Result, ensure};
use tokio::process::Command;

use super::process::Process;
use super::s3::python;

/// A file that somebody has a lease on and does not give back, until it is released. Whoever opens
/// it waits in the kernel, which takes the lease away after 45 seconds (`fcntl(2)` of Linux).
#[derive(Debug)]
pub struct HeldFile {
    process: Process,
}

impl HeldFile {
    /// Holds the file at `path`, which must belong to this user.
    ///
    /// # Errors
    ///
    /// When the interpreter that S3 servers run in is not there, or the file cannot be held.
    pub async fn hold(path: &Path) -> Result<Self> {
        let mut command = Command::new(python()?);
        command.args(["-c", SCRIPT]).arg(path);
        let process = Process::start("the holder of a file", command, "").await?;
        process.wait_for(|line| line.raw() == "held").await?;
        Ok(Self { process })
    }

    /// Lets it go.
    ///
    /// # Errors
    ///
    /// When its holder does not end.
    pub async fn release(mut self) -> Result<()> {
        let status = self.process.stop().await?;
        ensure!(status.success(), "the holder of a file ended with {status}");
        Ok(())
    }
}

/// A lease is only given while nobody has the file open.
const SCRIPT: &str = "
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], 'r+')
while True:
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        break
    except BlockingIOError:
        pass
print('held', file=sys.stderr, flush=True)
sys.stdin.read()
";
