//! A server in a process of its own, as nodes are: the two ends share neither a runtime nor an
//! allocator, and what the server uses can be read from the kernel.
//!
//! It is this program again. Credentials go in through its standard input, its address comes out
//! of its standard output, and it ends when its standard input does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};
use cluster_tls::tonic::Security;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Server;

use crate::nodes;
use crate::pki::Texts;
use crate::service::Transport;

/// A running server; it ends with this.
pub(crate) struct ServerProcess {
    pub(crate) address: SocketAddr,
    child: Child,
    _lifeline: ChildStdin,
}

impl ServerProcess {
    pub(crate) fn start(security: Security, texts: &Texts) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([COMMAND, word(security)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let mut lifeline = child.stdin.take().context("no standard input")?;
        for text in [&texts.ca, &texts.certificate, &texts.key] {
            lifeline.write_all(text.as_bytes())?;
            lifeline.write_all(&[END_OF_TEXT])?;
        }
        let mut line = String::new();
        let output = child.stdout.take().context("no standard output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim_end().parse();
        Ok(Self {
            address: address.with_context(|| format!("the server said {line:?}"))?,
            child,
            _lifeline: lifeline,
        })
    }

    /// The process, as a directory of `/proc`.
    pub(crate) fn process(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Whatever it is doing, it is a process of ours and its figures have been read.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server's process does.
pub(crate) fn run(security: &str) -> Result<()> {
    let security = match security {
        MUTUAL => Security::Mutual,
        PLAINTEXT => Security::Plaintext,
        other => bail!("cannot serve {other:?}"),
    };
    let mut input = BufReader::new(std::io::stdin());
    let mut text = || -> Result<String> {
        let mut bytes = Vec::new();
        input.read_until(END_OF_TEXT, &mut bytes)?;
        bytes.pop();
        Ok(String::from_utf8(bytes)?)
    };
    let texts = Texts {
        ca: text()?,
        certificate: text()?,
        key: text()?,
    };
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = input.read_to_end(&mut Vec::new());
        let _ = stop.send(());
    });
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(security, &texts, stopped))
}

async fn serve(security: Security, texts: &Texts, stopped: oneshot::Receiver<()>) -> Result<()> {
    let transport = nodes::transport(security, texts)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let router = Server::builder().add_service(Transport);
    let serving = transport.serve(listener, router, std::future::pending());
    tokio::select! {
        () = serving => {}
        _ = stopped => {}
    }
    Ok(())
}

fn word(security: Security) -> &'static str {
    match security {
        Security::Mutual => MUTUAL,
        Security::Plaintext => PLAINTEXT,
    }
}

/// The first argument that makes this program a server.
pub(crate) const COMMAND: &str = "serve";
const MUTUAL: &str = "mutual";
const PLAINTEXT: &str = "plaintext";
const END_OF_TEXT: u8 = 0;
