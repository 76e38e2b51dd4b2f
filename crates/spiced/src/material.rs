//! Reading what the command line names: certificate files and the spicepod. Faults are added
//! to those that the command line has, so that one start shows all of them.

use std::path::Path;
use std::sync::Arc;

use cluster_tls::{CredentialPaths, Credentials, PeerPolicy, Role, Snapshot, SystemClock};
use spicepod::App;

use crate::config::{InternalConfig, ManifestPath, NodeConfig, RoleConfig, SecurityConfig};
use crate::faults::chain;

/// What was read and verified for one start.
pub(crate) struct Material {
    pub(crate) app: Option<App>,
    pub(crate) credentials: Option<Credentials>,
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
    let credentials = internal.and_then(|internal| read_credentials(internal, faults));
    if let (Some(internal), Some(credentials)) = (internal, &credentials) {
        check_role(&config.role, internal, &credentials.current(), faults);
    }
    Material {
        app: manifest.and_then(|path| read_app(path, faults)),
        credentials,
    }
}

/// Other nodes dial this one in its role, and refuse a certificate that cannot have it.
fn check_role(
    role: &RoleConfig,
    internal: &InternalConfig,
    own: &Snapshot,
    faults: &mut Vec<String>,
) {
    let needed = match role {
        RoleConfig::Standalone { .. } => return,
        RoleConfig::Scheduler { .. } => Role::Scheduler,
        RoleConfig::Executor { .. } => Role::Executor,
    };
    let SecurityConfig::Mutual { paths, .. } = &internal.security else {
        return;
    };
    let role = own.own().role();
    if !role.may_act_as(needed) {
        faults.push(format!(
            "{} is the certificate of a node with role {role}, and this node is to be the {needed}; \
             issue one with `spice cluster tls add NAME --role {needed}`",
            paths.certificate.display()
        ));
    }
}

fn read_app(path: &ManifestPath, faults: &mut Vec<String>) -> Option<App> {
    let path = match path {
        ManifestPath::Given(path) => path.as_path(),
        ManifestPath::Default => {
            let here = Path::new(".");
            let found = spicepod::MANIFEST_NAMES
                .iter()
                .any(|name| here.join(name).exists());
            if !found {
                tracing::warn!(
                    "no spicepod.yaml in the current directory, starting without datasets"
                );
                return Some(App::empty());
            }
            here
        }
    };
    match spicepod::load(path) {
        Ok(app) => {
            for warning in app.warnings() {
                tracing::warn!("{warning}");
            }
            Some(app)
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

fn read_credentials(internal: &InternalConfig, faults: &mut Vec<String>) -> Option<Credentials> {
    let SecurityConfig::Mutual { paths, policy } = &internal.security else {
        return None;
    };
    match load(paths, *policy) {
        Ok(snapshot) => {
            check_advertised(&snapshot, &internal.advertise_host, paths, faults);
            let (_, credentials) = cluster_tls::publish(snapshot);
            Some(credentials)
        }
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

fn load(paths: &CredentialPaths, policy: PeerPolicy) -> Result<Snapshot, String> {
    cluster_tls::load(paths, Arc::new(SystemClock), policy).map_err(|error| chain(&error))
}

fn check_advertised(
    snapshot: &Snapshot,
    host: &str,
    paths: &CredentialPaths,
    faults: &mut Vec<String>,
) {
    let own = snapshot.own();
    if own.has_name(host) {
        return;
    }
    let names: Vec<_> = own.names().iter().map(ToString::to_string).collect();
    faults.push(format!(
        "--node-advertise-address {host} is none of the names in {}: {}; \
         other nodes would refuse this one. Advertise one of these, or issue a certificate with \
         `spice cluster tls add NAME --host {host}`",
        paths.certificate.display(),
        names.join(", ")
    ));
}
