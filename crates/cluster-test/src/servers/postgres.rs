//! PostgreSQL as Debian packages it, with data of its own.

use std::env;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use tokio_postgres::{Config, NoTls};

use super::process::Process;
use super::random_word;
use crate::log::LogLine;
use crate::pki::Issued;

/// A running server with one empty database, and one user who owns it by a password that no other
/// server has.
#[derive(Debug)]
pub struct PostgresServer {
    process: Process,
    /// The data, and the socket that statements of the test go through.
    files: Files,
    arguments: Vec<String>,
    port: u16,
    password: String,
}

impl PostgresServer {
    /// Starts a server on a free port of 127.0.0.1 that has no TLS.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed, which `cargo xtask test` does, or it does not start, with
    /// what it wrote.
    pub async fn start() -> Result<Self> {
        Self::with_arguments(Files::new()?, &[]).await
    }

    /// Starts a server that takes connections over TLS alone.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with_tls(certificate: &Issued) -> Result<Self> {
        let files = Files::new()?;
        files.write("server.pem", &certificate.certificate_pem())?;
        files.write("server-key.pem", &certificate.key_pem())?;
        files.write("hba.conf", TLS_ALONE)?;
        let path = |name: &str| files.path(name).display().to_string();
        let arguments = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", path("server.pem")),
            format!("ssl_key_file={}", path("server-key.pem")),
            format!("hba_file={}", path("hba.conf")),
        ];
        Self::with_arguments(files, &arguments).await
    }

    /// The user who owns the database.
    pub const USER: &str = "keeper";

    /// The name of the database.
    pub const DATABASE: &str = "postgres";

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of [`USER`](Self::USER).
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Runs statements, over a socket that only this machine has.
    ///
    /// # Errors
    ///
    /// What the server answers.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let (client, connection) = Config::new()
            .host_path(self.files.directory.path())
            .port(self.port)
            .user(Self::USER)
            .password(&self.password)
            .dbname(Self::DATABASE)
            .connect(NoTls)
            .await?;
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await?;
        drop(client);
        Ok(connection.await??)
    }

    /// Changes how a server with TLS asks who somebody is, to `password` or `trust` for example.
    ///
    /// # Errors
    ///
    /// When its files cannot be written, or it does not read them.
    pub async fn authenticate_by(&self, method: &str) -> Result<()> {
        let rules = TLS_ALONE.replace(
            "hostssl all all 127.0.0.1/32 scram-sha-256",
            &format!("hostssl all all 127.0.0.1/32 {method}"),
        );
        fs::write(self.files.path("hba.conf"), rules)?;
        self.execute("SELECT pg_reload_conf()").await?;
        let reloaded = |line: &LogLine| line.raw().contains("reloading configuration files");
        self.process.wait_for(reloaded).await.map(drop)
    }

    /// Keeps it from taking connections, which stay open and are not answered.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn pause(&self) -> Result<()> {
        // The process is a shell that waits; the server says its own number in a file.
        let file = fs::read_to_string(self.files.path("data/postmaster.pid"))?;
        let id = file.lines().next().context("no number")?.parse()?;
        crate::node::send(id, "STOP").await
    }

    /// Ends it at once.
    ///
    /// # Errors
    ///
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await?;
        Ok(())
    }

    /// Starts it again after its end, at the same port and with the data that it had.
    ///
    /// # Errors
    ///
    /// When it does not start, with what it wrote.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = self.files.serve(self.port, &self.arguments).await?;
        Ok(())
    }

    async fn with_arguments(files: Files, arguments: &[String]) -> Result<Self> {
        let password = random_word();
        files.write("password", &password)?;
        files.initialize().await?;
        let port = free_port()?;
        Ok(Self {
            process: files.serve(port, arguments).await?,
            files,
            arguments: arguments.to_vec(),
            port,
            password,
        })
    }
}

/// Where the programs are and where the data is.
#[derive(Debug)]
struct Files {
    programs: PathBuf,
    directory: TempDir,
    owner: Option<u32>,
}

impl Files {
    async fn serve(&self, port: u16, arguments: &[String]) -> Result<Process> {
        let mut command = self.command("sh");
        command.args(["-c", UNTIL_THE_INPUT_ENDS]);
        command.arg(self.programs.join("postgres"));
        command.arg("-D").arg(self.path("data"));
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        command.arg("-k").arg(self.directory.path());
        // A test that loses its power has lost its data anyway.
        for setting in ["fsync=off", "shared_buffers=16MB"] {
            command.args(["-c", setting]);
        }
        for argument in arguments {
            command.args(["-c", argument]);
        }
        let process = Process::start("PostgreSQL", command, "").await?;
        process.wait_for(|line| line.raw().contains(READY)).await?;
        Ok(process)
    }

    /// PostgreSQL refuses to run as root, so that root's tests give the data to somebody.
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory for PostgreSQL")?;
        let root = fs::metadata(directory.path())?.uid() == 0;
        let owner = root.then_some(NOBODY);
        if owner.is_some() {
            fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
            chown(directory.path(), owner, owner)?;
        }
        Ok(Self {
            programs: programs()?,
            directory,
            owner,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(chown(&path, self.owner, self.owner)?)
    }

    /// A program, as the owner of the data.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let Some(owner) = self.owner else {
            return Command::new(program.as_ref());
        };
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={owner}"), format!("--regid={owner}")])
            .arg("--clear-groups")
            .arg(program.as_ref());
        command
    }

    async fn initialize(&self) -> Result<()> {
        let mut command = self.command(self.programs.join("initdb"));
        command.arg("-D").arg(self.path("data"));
        command.arg("--pwfile").arg(self.path("password"));
        command.args(["-U", PostgresServer::USER, "-A", "scram-sha-256"]);
        command.args(["-E", "UTF8", "--locale=C", "--no-sync"]);
        let output = command.current_dir(self.directory.path()).output().await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "initdb failed: {complaint}");
        Ok(())
    }
}

/// The newest version that is installed.
fn programs() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let packaged = fs::read_dir(PACKAGED).into_iter().flatten().flatten();
    let mut packaged: Vec<PathBuf> = packaged.map(|entry| entry.path().join("bin")).collect();
    packaged.sort();
    let mut places = packaged.into_iter().rev().chain(env::split_paths(&path));
    places
        .find(|place| place.join("initdb").is_file())
        .context("PostgreSQL is not installed: `cargo xtask test` does that, or `apt-get install postgresql`")
}

/// PostgreSQL cannot choose a port by itself. Between this and its start nobody else takes it: the
/// kernel goes round all of them before it gives one out again.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Where Debian has the programs of each version.
const PACKAGED: &str = "/usr/lib/postgresql";

/// Debian's `nobody`, and its group.
const NOBODY: u32 = 65534;

/// Runs a server until its own standard input ends, as it does with the test, whichever way that
/// ends. SIGQUIT is PostgreSQL's immediate shutdown.
const UNTIL_THE_INPUT_ENDS: &str = "\
    \"$0\" \"$@\" </dev/null & server=$!; read -r _; kill -s QUIT $server; kill -s CONT $server; \
    wait $server";

/// What it writes when it is ready.
const READY: &str = "database system is ready to accept connections";

/// Nothing but TLS over the network.
const TLS_ALONE: &str = "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Leaf, TestPki};

    async fn connect(server: &PostgresServer, password: &str) -> Result<(), String> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(server.port());
        config.user(PostgresServer::USER).password(password);
        config.dbname(PostgresServer::DATABASE);
        let connected = config.connect(NoTls).await;
        connected.map(drop).map_err(|error| format!("{error:?}"))
    }

    #[tokio::test]
    async fn only_its_own_password_opens_it() {
        let mut server = PostgresServer::start().await.unwrap();
        let table = "CREATE TABLE t (n int); INSERT INTO t VALUES (1)";
        server.execute(table).await.unwrap();
        connect(&server, server.password()).await.unwrap();
        let refused = connect(&server, "wrong").await.unwrap_err();
        assert!(
            refused.contains("password authentication failed"),
            "{refused}"
        );
        server.stop().await.unwrap();
        assert!(connect(&server, server.password()).await.is_err());
        server.start_again().await.unwrap();
        server.execute("SELECT n FROM t").await.unwrap();
    }

    #[tokio::test]
    async fn with_tls_it_takes_nothing_else() {
        let leaf = TestPki::new().unwrap().issue(&Leaf::new("localhost"));
        let server = PostgresServer::start_with_tls(&leaf.unwrap())
            .await
            .unwrap();
        server.execute("SELECT 1").await.unwrap();
        let refused = connect(&server, server.password()).await.unwrap_err();
        assert!(refused.contains("no pg_hba.conf entry"), "{refused}");
    }
}
