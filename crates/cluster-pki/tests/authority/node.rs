//! A node with the files that an authority gave it, by the very code that nodes run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cluster_pki::{Lists, NodeFiles};
use cluster_tls::{
    AcceptError, AcceptLimits, Acceptor, Clock, CredentialPaths, DialError, DialLimits, Dialer,
    FileSource, LoadError, NoEvents, NodeAddress, PeerPolicy, Role, Snapshot,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::fixture::now;

#[derive(Debug)]
struct Stopped(SystemTime);

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// Paths of a node's files, and the moment at which it looks at them.
#[derive(Clone)]
pub(crate) struct Node {
    paths: CredentialPaths,
    crl: Option<PathBuf>,
    deny_list: Option<PathBuf>,
    at: SystemTime,
}

impl Node {
    pub(crate) fn of(files: &NodeFiles) -> Self {
        let paths = CredentialPaths {
            ca: files.ca.clone(),
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        };
        Self {
            paths,
            crl: None,
            deny_list: None,
            at: now(),
        }
    }

    /// The node of that name whose files are in a directory.
    pub(crate) fn in_directory(directory: &Path, name: &str) -> Self {
        let paths = CredentialPaths {
            ca: directory.join("ca.pem"),
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}-key.pem")),
        };
        Self {
            paths,
            crl: None,
            deny_list: None,
            at: now(),
        }
    }

    pub(crate) fn at(self, at: SystemTime) -> Self {
        Self { at, ..self }
    }

    /// What a peer with this `ca.pem` makes of the node's certificate.
    pub(crate) fn before(mut self, ca: &Path) -> Self {
        self.paths.ca = ca.to_owned();
        self
    }

    pub(crate) fn with_crl(self, lists: &Lists) -> Self {
        let crl = Some(lists.crl.clone());
        Self { crl, ..self }
    }

    pub(crate) fn with_deny_list(self, lists: &Lists) -> Self {
        let deny_list = Some(lists.deny_list.clone());
        Self { deny_list, ..self }
    }

    pub(crate) fn load(&self) -> Result<Snapshot, LoadError> {
        let mut source = FileSource::new(self.paths.clone());
        if let Some(crl) = &self.crl {
            source = source.with_crl(crl);
        }
        if let Some(deny_list) = &self.deny_list {
            source = source.with_deny_list(deny_list);
        }
        let clock = Arc::new(Stopped(self.at));
        cluster_tls::load_from(&mut source, clock, PeerPolicy::default())
    }

    /// The code of what the node finds wrong with its own files.
    pub(crate) fn fault(&self) -> &'static str {
        self.load().unwrap_err().fault().code()
    }
}

/// What two nodes make of each other over a connection: the dialling one, then the accepting one.
/// In the way of words: `ok`, or why not.
pub(crate) fn meeting(dialling: &Node, accepting: &Node) -> (&'static str, &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let (dialling, accepting) = (dialling.load().unwrap(), accepting.load().unwrap());
    runtime.block_on(meet(dialling, accepting))
}

async fn meet(dialling: Snapshot, accepting: Snapshot) -> (&'static str, &'static str) {
    let (_dialling_writer, dialling) = cluster_tls::publish(dialling);
    let (_accepting_writer, accepting) = cluster_tls::publish(accepting);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = NodeAddress::new("localhost", listener.local_addr().unwrap().port()).unwrap();
    let server = tokio::spawn(async move {
        let acceptor = Acceptor::new(accepting, AcceptLimits::default(), Arc::new(NoEvents));
        let (tcp, remote) = listener.accept().await.unwrap();
        match acceptor.accept(tcp, remote).await {
            Ok(_) => "ok",
            Err(AcceptError::Refused { refusal, .. }) => refusal.reason().as_str(),
            Err(other) => panic!("{other}"),
        }
    });
    let dialer = Dialer::new(dialling, DialLimits::default(), Arc::new(NoEvents));
    let dialled = match dialer.connect(&to, Role::Executor).await {
        Ok(mut stream) => {
            // A client is done first: it stays until the server is.
            let _ = stream.read(&mut [0; 1]).await;
            "ok"
        }
        Err(DialError::Refused { refusal, .. }) => refusal.reason().as_str(),
        Err(other) => panic!("{other}"),
    };
    (dialled, server.await.unwrap())
}
