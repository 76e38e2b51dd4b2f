//! Certificates that another PKI has issued: with an intermediate, with SPIFFE IDs of another
//! form, and without a role.
//!
//! `cargo run -p cluster-tls --example foreign_pki`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "support/pki.rs"]
mod pki;

use std::path::Path;
use std::sync::Arc;

use cluster_tls::{
    AcceptLimits, Acceptor, CredentialPaths, Credentials, DialLimits, Dialer, Listener, NoEvents,
    NodeAddress, PeerPolicy, Role, SystemClock, UnspecifiedRole, load, publish,
};
use rcgen::{CertifiedIssuer, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::pki::{Authority, Issued, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let directory = TempDir::new()?;
    with_an_intermediate(directory.path()).await?;
    with_ids_of_another_form(directory.path()).await?;
    without_a_role(directory.path()).await
}

/// The CA file holds the root alone; each node shows the intermediate behind its certificate.
async fn with_an_intermediate(directory: &Path) -> Result<()> {
    println!("An intermediate issues:");
    let root = Authority::root("corporate root")?;
    let params = pki::authority("issuing authority 3");
    let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &root.issuer)?;
    let intermediate = Authority { issuer };
    let leaf = intermediate.issue(Some("spiffe://corp.example/node/n1"))?;

    let forgotten = pki::write(directory, &root.pem(), &leaf)?;
    complain(&forgotten, PeerPolicy::default());
    let chain = Issued {
        certificate: leaf.certificate + &intermediate.pem(),
        key: leaf.key,
    };
    let paths = pki::write(directory, &root.pem(), &chain)?;
    meet(&paths, PeerPolicy::default(), Role::Scheduler).await
}

/// Istio, SPIRE and the like write IDs of their own form: a rule says what role they give.
async fn with_ids_of_another_form(directory: &Path) -> Result<()> {
    println!("\nIDs of another form:");
    let root = Authority::root("mesh root")?;
    let leaf = root.issue(Some("spiffe://corp.example/ns/prod/sa/spice-executor"))?;
    let paths = pki::write(directory, &root.pem(), &leaf)?;
    complain(&paths, PeerPolicy::default());
    let policy = PeerPolicy {
        identity_rules: vec![
            "spiffe://corp.example/ns/*/sa/spice-executor=executor".parse()?,
            "spiffe://corp.example/ns/*/sa/spice-scheduler=scheduler".parse()?,
        ],
        ..PeerPolicy::default()
    };
    meet(&paths, policy, Role::Executor).await
}

/// Without a URI a certificate names no role. Its holder may act as any member, unless asked not.
async fn without_a_role(directory: &Path) -> Result<()> {
    println!("\nNo URI, and so no role:");
    let root = Authority::root("plain root")?;
    let paths = pki::write(directory, &root.pem(), &root.issue(None)?)?;
    let strict = PeerPolicy {
        unspecified_role: UnspecifiedRole::Refuse,
        ..PeerPolicy::default()
    };
    complain(&paths, strict);
    meet(&paths, PeerPolicy::default(), Role::Executor).await
}

/// What a node refuses from a peer it refuses at its own start, with what to do about it.
fn complain(paths: &CredentialPaths, policy: PeerPolicy) {
    if let Err(error) = load(paths, Arc::new(SystemClock), policy) {
        println!(
            "  {} at fault, {}; {}",
            error.file(),
            error.fault(),
            error.remedy()
        );
    }
}

/// Lets two nodes with these credentials meet.
async fn meet(paths: &CredentialPaths, policy: PeerPolicy, expected: Role) -> Result<()> {
    let (_writer, node) = publish(load(paths, Arc::new(SystemClock), policy)?);
    let (mut listener, address) = listen(node.clone()).await?;
    let dialer = Dialer::new(node, DialLimits::default(), Arc::new(NoEvents));
    let (accepted, dialled) = tokio::join!(listener.accept(), dialer.connect(&address, expected));
    println!("  accepted from {}", accepted.peer());
    println!("  connected to  {}", dialled?.peer());
    Ok(())
}

async fn listen(node: Credentials) -> Result<(Listener, NodeAddress)> {
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let address = NodeAddress::new("localhost", tcp.local_addr()?.port())?;
    let acceptor = Acceptor::new(node, AcceptLimits::default(), Arc::new(NoEvents));
    Ok((Listener::new(tcp, acceptor), address))
}
