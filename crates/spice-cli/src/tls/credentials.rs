//! A node's files, read and judged as a node does.

use std::sync::Arc;

use cluster_tls::{
    CredentialPaths, FileSource, LoadError, PeerPolicy, Snapshot, SystemClock, load_from,
};

use crate::args::CredentialArgs;

pub(crate) fn load(args: &CredentialArgs) -> Result<Snapshot, LoadError> {
    let paths = CredentialPaths {
        ca: args.ca.clone(),
        certificate: args.cert.clone(),
        key: args.key.clone(),
    };
    let mut source = FileSource::new(paths);
    if let Some(crl) = &args.crl {
        source = source.with_crl(crl);
    }
    if let Some(deny_list) = &args.deny_list {
        source = source.with_deny_list(deny_list);
    }
    let policy = PeerPolicy {
        identity_rules: args.identity.clone(),
        ..PeerPolicy::default()
    };
    load_from(&mut source, Arc::new(SystemClock), policy)
}
