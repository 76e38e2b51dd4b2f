//! An authority of the kind that is made with cfssl.
//!
//! The cfssl of Debian 12 writes whatever is no address into a DNS name, a URI as well: these
//! certificates name no role, as those of many issuers do not.

use std::fs;
use std::path::Path;

use cluster_tls::CredentialPaths;

use crate::tool::run;

pub(crate) const P256: &str = r#"{ "algo": "ecdsa", "size": 256 }"#;
pub(crate) const RSA: &str = r#"{ "algo": "rsa", "size": 2048 }"#;

/// A root in `root.pem`, an intermediate, and a leaf whose key is of `kind`.
pub(crate) fn executor_below_an_intermediate(place: &Path, kind: &str) -> CredentialPaths {
    fs::write(place.join("config.json"), CONFIG).unwrap();
    request(place, "root", "", P256);
    generate(place, "root", "-initca");
    request(place, "middle", "", P256);
    generate(place, "middle", &signed_by("root", "authority"));
    request(place, "leaf", r#""localhost", "127.0.0.1""#, kind);
    generate(place, "leaf", &signed_by("middle", "node"));

    let text = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    let certificate = place.join("chain.pem");
    fs::write(&certificate, text("leaf.pem") + &text("middle.pem")).unwrap();
    CredentialPaths {
        ca: place.join("root.pem"),
        certificate,
        key: place.join("leaf-key.pem"),
    }
}

fn request(place: &Path, name: &str, hosts: &str, kind: &str) {
    let request = format!(r#"{{ "CN": "{name}", "hosts": [{hosts}], "key": {kind} }}"#);
    fs::write(place.join(format!("{name}.json")), request).unwrap();
}

/// cfssl prints one JSON object, which cfssljson takes apart into files.
fn generate(place: &Path, name: &str, how: &str) {
    let made = run(place, &format!("cfssl gencert {how} {name}.json"));
    fs::write(place.join("made.json"), made).unwrap();
    run(place, &format!("cfssljson -f made.json -bare {name}"));
}

fn signed_by(issuer: &str, profile: &str) -> String {
    format!("-ca {issuer}.pem -ca-key {issuer}-key.pem -config config.json -profile {profile}")
}

/// `is_ca` under `ca_constraint` is what newer versions read.
const CONFIG: &str = r#"{ "signing": { "profiles": {
    "authority": {
        "usages": ["cert sign", "crl sign"], "expiry": "720h",
        "is_ca": true, "ca_constraint": { "is_ca": true }
    },
    "node": { "usages": ["signing", "server auth", "client auth"], "expiry": "360h" }
} } }"#;
