use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use cluster_tls::{CredentialPaths, PeerPolicy, UnspecifiedRole};

use super::address::{INTERNAL_PORT, split_port};
use crate::cli::Args;

/// The internal port of a cluster node.
#[derive(Debug)]
pub(crate) struct InternalConfig {
    pub(crate) bind: SocketAddr,
    /// The host that other nodes dial.
    pub(crate) advertise_host: String,
    pub(crate) security: SecurityConfig,
}

/// How the internal port is protected. There is no third way and no default.
#[derive(Debug)]
pub(crate) enum SecurityConfig {
    Mutual {
        paths: CredentialPaths,
        revocation: RevocationPaths,
        policy: PeerPolicy,
    },
    /// Asked for by `--allow-insecure-connections`.
    Plaintext,
}

/// Where it says who is no longer a member.
#[derive(Debug, Default)]
pub(crate) struct RevocationPaths {
    pub(crate) crl: Option<PathBuf>,
    pub(crate) deny_list: Option<PathBuf>,
}

pub(super) fn decide(args: &Args, faults: &mut Vec<String>) -> Option<InternalConfig> {
    let security = security(args, faults);
    let bind = args
        .node_bind_address
        .unwrap_or_else(|| default_bind(args.allow_insecure_connections));
    let advertise_host =
        advertise_host(args.node_advertise_address.as_deref(), bind.port(), faults);
    Some(InternalConfig {
        bind,
        advertise_host: advertise_host?,
        security: security?,
    })
}

fn security(args: &Args, faults: &mut Vec<String>) -> Option<SecurityConfig> {
    let files = [
        (
            "--node-mtls-ca-certificate-file",
            &args.node_mtls_ca_certificate_file,
        ),
        (
            "--node-mtls-certificate-file",
            &args.node_mtls_certificate_file,
        ),
        ("--node-mtls-key-file", &args.node_mtls_key_file),
    ];
    let missing: Vec<_> = files
        .iter()
        .filter(|(_, file)| file.is_none())
        .map(|(flag, _)| *flag)
        .collect();
    let any = missing.len() < files.len();
    if args.allow_insecure_connections {
        if any || refines_mutual(args) {
            faults.push(
                "--allow-insecure-connections turns off what the --node-mtls flags ask for; give one or the other"
                    .to_owned(),
            );
        }
        return Some(SecurityConfig::Plaintext);
    }
    if missing.is_empty() {
        return Some(mutual(args));
    }
    faults.push(if any {
        format!(
            "mutual TLS needs all three files; missing: {}",
            missing.join(", ")
        )
    } else {
        "a node of a cluster needs a certificate: make one with `spice cluster tls init` and \
         `spice cluster tls add NAME`, then give --node-mtls-ca-certificate-file, \
         --node-mtls-certificate-file and --node-mtls-key-file"
            .to_owned()
    });
    None
}

fn mutual(args: &Args) -> SecurityConfig {
    let path = |file: &Option<PathBuf>| file.clone().unwrap_or_default();
    SecurityConfig::Mutual {
        paths: CredentialPaths {
            ca: path(&args.node_mtls_ca_certificate_file),
            certificate: path(&args.node_mtls_certificate_file),
            key: path(&args.node_mtls_key_file),
        },
        revocation: RevocationPaths {
            crl: args.node_mtls_crl_file.clone(),
            deny_list: args.node_mtls_deny_list_file.clone(),
        },
        policy: PeerPolicy {
            unspecified_role: if args.node_mtls_require_role {
                UnspecifiedRole::Refuse
            } else {
                UnspecifiedRole::Admit
            },
            identity_rules: args.node_mtls_identity.clone(),
            ..PeerPolicy::default()
        },
    }
}

/// Whether a flag asks for something that only mutual TLS has.
fn refines_mutual(args: &Args) -> bool {
    args.node_mtls_require_role
        || args.node_mtls_crl_file.is_some()
        || args.node_mtls_deny_list_file.is_some()
        || !args.node_mtls_identity.is_empty()
}

fn default_bind(plaintext: bool) -> SocketAddr {
    let host = if plaintext {
        Ipv4Addr::LOCALHOST
    } else {
        Ipv4Addr::UNSPECIFIED
    };
    SocketAddr::from((host, INTERNAL_PORT))
}

fn advertise_host(given: Option<&str>, bind_port: u16, faults: &mut Vec<String>) -> Option<String> {
    let Some(text) = given else {
        faults.push(
            "other nodes must know how to reach this one: add --node-advertise-address HOST, \
             a name or address of its certificate"
                .to_owned(),
        );
        return None;
    };
    let (host, port) = match split_port(text) {
        Ok(split) => split,
        Err(reason) => {
            faults.push(format!(
                "--node-advertise-address {text} is no host: {reason}"
            ));
            return None;
        }
    };
    match port {
        Some(port) if port == bind_port => {
            tracing::info!("--node-advertise-address needs no port: it is the internal one");
        }
        Some(port) => faults.push(format!(
            "--node-advertise-address {text} names port {port}, but the internal port is {bind_port}; leave the port out"
        )),
        None => {}
    }
    let unspecified = host
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_unspecified());
    let sound = cluster_proto::NodeId::new(host, INTERNAL_PORT).is_ok();
    if unspecified || !sound {
        faults.push(format!(
            "--node-advertise-address {text} is nothing that another node could dial; give a host name or an address"
        ));
        return None;
    }
    Some(host.to_owned())
}
