//! An authority of the kind that is made with GnuTLS's certtool.

use std::fs;
use std::path::{Path, PathBuf};

use cluster_tls::CredentialPaths;

use crate::tool::run;

/// Key and certificate of an authority in files called `<name>-key.pem` and `<name>.pem`.
#[derive(Clone)]
pub(crate) struct Authority {
    place: PathBuf,
    name: &'static str,
    root: PathBuf,
}

/// What a certificate is to say, in the words of certtool's templates.
#[derive(Clone, Copy)]
pub(crate) struct Leaf {
    pub(crate) name: &'static str,
    /// Arguments of `certtool --generate-privkey`.
    pub(crate) key: &'static str,
    pub(crate) names: &'static str,
    pub(crate) purposes: &'static str,
}

/// A good executor.
pub(crate) const EXECUTOR: Leaf = Leaf {
    name: "executor1",
    key: P256,
    names: "dns_name = localhost\nip_address = 127.0.0.1\n\
            uri = spiffe://cluster.local/executor/executor1",
    purposes: "tls_www_server\ntls_www_client",
};

/// A good scheduler.
pub(crate) const SCHEDULER: Leaf = Leaf {
    name: "scheduler1",
    names: "dns_name = localhost\nip_address = 127.0.0.1\n\
            uri = spiffe://cluster.local/scheduler/scheduler1",
    ..EXECUTOR
};

const P256: &str = "--key-type ecdsa --curve secp256r1";

impl Authority {
    /// A self-signed root in `place`.
    pub(crate) fn new(place: &Path, name: &'static str) -> Self {
        let authority = Self {
            place: place.to_owned(),
            name,
            root: place.join(format!("{name}.pem")),
        };
        authority.generate_key(name, P256);
        authority.write_template(name, AUTHORITY);
        run(
            place,
            &format!(
                "certtool --generate-self-signed --load-privkey {name}-key.pem \
                 --template {name}.tmpl --outfile {name}.pem"
            ),
        );
        authority
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self, name: &'static str) -> Self {
        self.generate_key(name, P256);
        self.sign(name, AUTHORITY);
        Self {
            name,
            ..self.clone()
        }
    }

    /// A certificate with its key; that of an intermediate is accompanied by it.
    pub(crate) fn issue(&self, leaf: Leaf) -> CredentialPaths {
        let name = leaf.name;
        self.generate_key(name, leaf.key);
        self.sign(
            name,
            &format!("signing_key\n{}\n{}", leaf.names, leaf.purposes),
        );
        let certificate = self.place.join(format!("{name}.pem"));
        let issuer = self.place.join(format!("{}.pem", self.name));
        if issuer != self.root {
            let alone = fs::read_to_string(&certificate).unwrap();
            let intermediate = fs::read_to_string(issuer).unwrap();
            fs::write(&certificate, alone + &intermediate).unwrap();
        }
        CredentialPaths {
            ca: self.root.clone(),
            certificate,
            key: self.place.join(format!("{name}-key.pem")),
        }
    }

    /// A list of revoked certificates.
    pub(crate) fn list(&self, revoked: &[&Path]) -> String {
        let name = self.name;
        let template = self.place.join(format!("{name}-crl.tmpl"));
        fs::write(&template, "crl_next_update = 30\ncrl_number = 1\n").unwrap();
        // certtool reads all certificates of one file.
        let bundle = self.place.join(format!("{name}-revoked.pem"));
        let texts = revoked.iter().map(|path| fs::read_to_string(path).unwrap());
        fs::write(&bundle, texts.collect::<String>()).unwrap();
        let loaded = if revoked.is_empty() {
            String::new()
        } else {
            format!("--load-certificate {}", bundle.display())
        };
        let path = format!("{name}-crl.pem");
        run(
            &self.place,
            &format!(
                "certtool --generate-crl --load-ca-privkey {name}-key.pem \
                 --load-ca-certificate {name}.pem {loaded} --template {name}-crl.tmpl \
                 --outfile {path}"
            ),
        );
        fs::read_to_string(self.place.join(path)).unwrap()
    }

    /// The file is readable by its owner only, and has a text before the key.
    fn generate_key(&self, name: &str, kind: &str) {
        run(
            &self.place,
            &format!("certtool --generate-privkey {kind} --outfile {name}-key.pem"),
        );
    }

    fn sign(&self, name: &str, template: &str) {
        self.write_template(name, template);
        let issuer = self.name;
        run(
            &self.place,
            &format!(
                "certtool --generate-certificate --load-privkey {name}-key.pem \
                 --load-ca-certificate {issuer}.pem --load-ca-privkey {issuer}-key.pem \
                 --template {name}.tmpl --outfile {name}.pem"
            ),
        );
    }

    fn write_template(&self, name: &str, template: &str) {
        let text = format!("cn = {name}\nexpiration_days = 30\n{template}\n");
        fs::write(self.place.join(format!("{name}.tmpl")), text).unwrap();
    }
}

/// The group that GnuTLS and we agree on when it may use all that it has.
pub(crate) fn best_group(place: &Path) -> (&'static str, &'static str) {
    if run(place, "gnutls-cli --list").contains("GROUP-X25519-MLKEM768") {
        ("GROUP-X25519-MLKEM768:+GROUP-X25519", "X25519MLKEM768")
    } else {
        ("GROUP-X25519", "X25519")
    }
}

const AUTHORITY: &str = "ca\ncert_signing_key\ncrl_signing_key";
