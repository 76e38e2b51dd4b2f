//! What to type next, ready to be pasted.

use std::path::Path;

use cluster_pki::{Domain, Issued, IssuedRecord, LeafRequest, NodeName};
use cluster_tls::{Name, Role};

use crate::tls::PkiDirectory;

/// How to start the node that got this certificate.
pub(crate) fn start(issued: &Issued, request: &LeafRequest) -> String {
    let address = advertised(issued, request);
    let (role, note) = match issued.record.role {
        Role::Executor => ("executor", ""),
        Role::Scheduler => ("scheduler", ""),
        Role::Node => ("scheduler", OR_AN_EXECUTOR),
        // Clients connect to a cluster; nothing of it is started for them.
        _ => return String::new(),
    };
    let scheduler = match issued.record.role {
        Role::Executor => " \\\n    --scheduler-address https://SCHEDULER:50052",
        _ => "",
    };
    format!(
        "start it with\n  spiced --role {role} \\\n    \
         --node-mtls-ca-certificate-file {} \\\n    \
         --node-mtls-certificate-file {} \\\n    \
         --node-mtls-key-file {} \\\n    \
         --node-advertise-address {address}{scheduler}{note}",
        quoted(&issued.files.ca),
        quoted(&issued.files.certificate),
        quoted(&issued.files.key),
    )
}

/// How to end a certificate before its time when another one has taken its place.
pub(crate) fn revoke_replaced(name: &NodeName, pki: &PkiDirectory) -> String {
    format!(
        "\n\nthe replaced certificate is believed until it expires; end that with\n  \
         spice cluster tls revoke {name} --replaced{pki}"
    )
}

/// How a node that keeps its key to itself gets a certificate like this one.
pub(crate) fn new_request(record: &IssuedRecord, pki: &PkiDirectory) -> String {
    let (name, role, names) = (&record.name, record.role, name_flags(record));
    let domain = match domain(&record.uri) {
        Domain::DEFAULT | "" => String::new(),
        other => format!(" --domain {other}"),
    };
    let place = pki.with_out(Path::new("next"));
    format!(
        "make a new request on the node, beside the files that it uses, with `spice cluster tls csr \
         {name}{names}{domain} --out next`; sign it with `spice cluster tls sign next/{name}.csr \
         --role {role} --force{place}`; then put certificate and key in place together"
    )
}

/// How to issue a certificate like this one, whatever is there already.
pub(crate) fn add_again(record: &IssuedRecord, pki: &PkiDirectory) -> String {
    let (name, role, names) = (&record.name, record.role, name_flags(record));
    format!("spice cluster tls add {name} --role {role}{names} --force{pki}")
}

/// The flag for the directory of new files, or nothing for the current one.
pub(crate) fn out_flag(out: &Path) -> String {
    if out.as_os_str().is_empty() {
        return String::new();
    }
    format!(" --out {}", quoted(out))
}

/// The flags that ask for the names of a certificate again.
fn name_flags(record: &IssuedRecord) -> String {
    let canonical = record.name.canonical();
    let full = format!("{canonical}.{}", domain(&record.uri));
    let own = |text: &str| text == canonical || text == full;
    let names: Vec<_> = record.names.iter().map(ToString::to_string).collect();
    let is_host = |text: &&String| !own(text) && !LOCALHOST.contains(&text.as_str());
    let hosts = names.iter().filter(is_host);
    let mut flags: String = hosts.map(|host| format!(" --host {host}")).collect();
    if !names.iter().any(|text| LOCALHOST.contains(&text.as_str())) {
        flags += " --no-localhost";
    }
    flags
}

/// `cluster.local`, of an identity URI.
fn domain(uri: &str) -> &str {
    let domain = uri.strip_prefix("spiffe://").unwrap_or_default();
    domain.split('/').next().unwrap_or_default()
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Where others reach the node: what was given, else its full name, which is the second of its
/// names unless it was typed in full.
fn advertised(issued: &Issued, request: &LeafRequest) -> Name {
    let given = request.hosts.first().map(|host| host.name().clone());
    let names = &issued.record.names;
    let full = names.iter().take(2).rfind(|name| match name {
        Name::Dns(name) => name.contains('.'),
        Name::Ip(_) => false,
    });
    given
        .or_else(|| full.cloned())
        .unwrap_or_else(|| Name::Dns(request.name.canonical()))
}

const OR_AN_EXECUTOR: &str = "\nor, as an executor, with\n  \
     --role executor --scheduler-address https://SCHEDULER:50052";

/// What every node is called on its own machine, unless it asked not to be.
const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_only_where_a_shell_needs_it() {
        for (path, typed) in [
            ("ca.pem", "ca.pem"),
            ("/etc/spice/n-1_key.pem", "/etc/spice/n-1_key.pem"),
            ("my pki", "'my pki'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quoted(Path::new(path)), typed);
        }
    }
}
