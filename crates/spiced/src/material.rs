//! Reading what the command line names: certificate files and the spicepod. Faults are added
//! to those that the command line has, so that one start shows all of them.

use std::path::PathBuf;
use std::sync::Arc;

use cluster_tls::{
    CredentialPaths, Credentials, FileSource, Reloader, Role, Snapshot, SystemClock, WatchedFiles,
};
use spicepod::App;

use crate::config::{
    InternalConfig, ManifestPath, NodeConfig, RevocationPaths, RoleConfig, SecurityConfig,
};
use crate::faults::chain;
use crate::manifest::Manifest;

/// What was read and verified for one start.
pub(crate) struct Material {
    pub(crate) app: Option<(App, Manifest)>,
    pub(crate) identity: Option<Identity>,
}

/// Who this node is to others, and what keeps that up to date.
pub(crate) struct Identity {
    pub(crate) credentials: Credentials,
    pub(crate) reloader: Reloader,
}

/// Reads everything that `config` names.
pub(crate) fn read(config: &NodeConfig, faults: &mut Vec<String>) -> Material {
    let (manifest, internal) = match &config.role {
        RoleConfig::Standalone { manifest, .. } => (Some(manifest), None),
        RoleConfig::Scheduler {
            manifest, internal, ..
        } => (Some(manifest), Some(internal)),
        RoleConfig::Executor { internal, .. } => (None, Some(internal)),
    };
    let identity = internal.and_then(|internal| read_identity(&config.role, internal, faults));
    Material {
        app: manifest.and_then(|path| read_app(path, faults)),
        identity,
    }
}

fn read_app(path: &ManifestPath, faults: &mut Vec<String>) -> Option<(App, Manifest)> {
    match Manifest::open(path) {
        Ok((app, manifest)) => {
            if !manifest.is_there() {
                tracing::warn!(
                    "no spicepod.yaml in the current directory, starting without datasets"
                );
            }
            for warning in app.warnings() {
                tracing::warn!("{warning}");
            }
            Some((app, manifest))
        }
        Err(error) => {
            match error.findings() {
                [] => faults.push(chain(&error)),
                findings => faults.extend(findings.iter().map(ToString::to_string)),
            }
            None
        }
    }
}

fn read_identity(
    role: &RoleConfig,
    internal: &InternalConfig,
    faults: &mut Vec<String>,
) -> Option<Identity> {
    let SecurityConfig::Mutual {
        paths,
        revocation,
        policy,
    } = &internal.security
    else {
        return None;
    };
    let files = WatchedFiles::new(source(paths, revocation));
    let opened = cluster_tls::open(files, Arc::new(SystemClock), policy.clone());
    let (credentials, reloader) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            faults.push(chain(&error));
            return None;
        }
    };
    let mut demands = Demands {
        role: needed_role(role),
        advertise_host: internal.advertise_host.clone(),
        certificate: paths.certificate.clone(),
        uri: None,
    };
    faults.extend(demands.unmet(&credentials.current()));
    // A renewed certificate has to meet them as well, or the one in use stays; and it is this
    // node's, not another one's that was copied into the wrong place.
    demands.uri = credentials.current().own().uri().map(ToOwned::to_owned);
    let reloader = reloader.with_check(move |snapshot| {
        let unmet = demands.unmet(snapshot);
        if unmet.is_empty() {
            Ok(())
        } else {
            Err(unmet.join("; "))
        }
    });
    Some(Identity {
        credentials,
        reloader,
    })
}

fn source(paths: &CredentialPaths, revocation: &RevocationPaths) -> FileSource {
    let mut source = FileSource::new(paths.clone());
    if let Some(crl) = &revocation.crl {
        source = source.with_crl(crl);
    }
    if let Some(deny_list) = &revocation.deny_list {
        source = source.with_deny_list(deny_list);
    }
    source
}

/// Other nodes dial this one in its role, and refuse a certificate that cannot have it.
fn needed_role(role: &RoleConfig) -> Role {
    match role {
        RoleConfig::Executor { .. } => Role::Executor,
        RoleConfig::Standalone { .. } | RoleConfig::Scheduler { .. } => Role::Scheduler,
    }
}

/// What this node asks of its own certificate.
struct Demands {
    role: Role,
    advertise_host: String,
    certificate: PathBuf,
    /// The identity that it started with, if it had one.
    uri: Option<String>,
}

impl Demands {
    /// One sentence for each that is not met.
    fn unmet(&self, snapshot: &Snapshot) -> Vec<String> {
        let unmet = [
            self.unmet_role(snapshot),
            self.unmet_name(snapshot),
            self.unmet_identity(snapshot),
        ];
        unmet.into_iter().flatten().collect()
    }

    fn unmet_role(&self, snapshot: &Snapshot) -> Option<String> {
        let (role, needed) = (snapshot.own().role(), self.role);
        (!role.may_act_as(needed)).then(|| {
            format!(
                "{} is the certificate of a node with role {role}, and this node is to be the \
                 {needed}; issue one with `spice cluster tls add NAME --role {needed}`",
                self.certificate.display()
            )
        })
    }

    fn unmet_identity(&self, snapshot: &Snapshot) -> Option<String> {
        let (was, is) = (self.uri.as_deref()?, snapshot.own().uri());
        (is != Some(was)).then(|| {
            format!(
                "{} is the certificate of {}, and this node is {was}; restart it if it is to be \
                 another one",
                self.certificate.display(),
                is.unwrap_or("nobody by name")
            )
        })
    }

    fn unmet_name(&self, snapshot: &Snapshot) -> Option<String> {
        let (own, host) = (snapshot.own(), &self.advertise_host);
        (!own.has_name(host)).then(|| {
            let names: Vec<_> = own.names().iter().map(ToString::to_string).collect();
            format!(
                "--node-advertise-address {host} is none of the names in {}: {}; other nodes \
                 would refuse this one. Advertise one of these, or issue a certificate with \
                 `spice cluster tls add NAME --host {host}`",
                self.certificate.display(),
                names.join(", ")
            )
        })
    }
}
