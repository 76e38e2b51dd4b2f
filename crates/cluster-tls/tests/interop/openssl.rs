//! An authority of the kind that is made with the OpenSSL command line.

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

/// What a certificate is to say, in OpenSSL's words.
#[derive(Clone, Copy)]
pub(crate) struct Leaf {
    pub(crate) name: &'static str,
    /// Arguments of `openssl genpkey`.
    pub(crate) key: &'static str,
    pub(crate) names: &'static str,
    pub(crate) purposes: &'static str,
    pub(crate) days: u32,
}

/// A good executor.
pub(crate) const EXECUTOR: Leaf = Leaf {
    name: "executor1",
    key: P256,
    names: "DNS:localhost,IP:127.0.0.1,URI:spiffe://cluster.local/executor/executor1",
    purposes: "serverAuth,clientAuth",
    days: 30,
};

/// A good scheduler.
pub(crate) const SCHEDULER: Leaf = Leaf {
    name: "scheduler1",
    names: "DNS:localhost,IP:127.0.0.1,URI:spiffe://cluster.local/scheduler/scheduler1",
    ..EXECUTOR
};

/// What certificates look like where nobody knows of our roles.
pub(crate) const WITHOUT_ROLE: Leaf = Leaf {
    name: "plain",
    names: "DNS:localhost,IP:127.0.0.1",
    ..EXECUTOR
};

pub(crate) const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

impl Authority {
    /// A self-signed root in `place`.
    pub(crate) fn new(place: &Path, name: &'static str) -> Self {
        Self::named(place, name, name)
    }

    /// The same with a subject of its own.
    pub(crate) fn named(place: &Path, name: &'static str, subject: &str) -> Self {
        run(
            place,
            &format!("openssl genpkey {P256} -out {name}-key.pem"),
        );
        let extensions = AUTHORITY.map(|extension| format!("-addext {extension}"));
        run(
            place,
            &format!(
                "openssl req -x509 -key {name}-key.pem -out {name}.pem -days 30 -subj /CN={subject} {}",
                extensions.join(" ")
            ),
        );
        Self {
            place: place.to_owned(),
            name,
            root: place.join(format!("{name}.pem")),
        }
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self, name: &'static str) -> Self {
        run(
            &self.place,
            &format!("openssl genpkey {P256} -out {name}-key.pem"),
        );
        self.sign(name, 30, &AUTHORITY.join("\n"));
        Self {
            place: self.place.clone(),
            name,
            root: self.root.clone(),
        }
    }

    /// A certificate with its key; that of an intermediate is accompanied by it.
    pub(crate) fn issue(&self, leaf: Leaf) -> CredentialPaths {
        let Leaf { name, key, .. } = leaf;
        run(
            &self.place,
            &format!("openssl genpkey {key} -out {name}-key.pem"),
        );
        self.issue_for_key(leaf)
    }

    /// The same for a key that is there already.
    pub(crate) fn issue_for_key(&self, leaf: Leaf) -> CredentialPaths {
        let name = leaf.name;
        let extensions = [
            "basicConstraints=critical,CA:FALSE".to_owned(),
            "keyUsage=critical,digitalSignature".to_owned(),
            format!("extendedKeyUsage={}", leaf.purposes),
            format!("subjectAltName={}", leaf.names),
        ];
        self.sign(name, leaf.days, &extensions.join("\n"));
        let certificate = self.place.join(format!("{name}.pem"));
        if self.certificate() != self.root {
            let alone = fs::read_to_string(&certificate).unwrap();
            let intermediate = fs::read_to_string(self.certificate()).unwrap();
            fs::write(&certificate, alone + &intermediate).unwrap();
        }
        CredentialPaths {
            ca: self.root.clone(),
            certificate,
            key: self.place.join(format!("{name}-key.pem")),
        }
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.place.join(format!("{}.pem", self.name))
    }

    fn sign(&self, name: &str, days: u32, extensions: &str) {
        fs::write(self.place.join(format!("{name}.ext")), extensions).unwrap();
        let issuer = self.name;
        for command in [
            format!("openssl req -new -key {name}-key.pem -subj /CN={name} -out {name}.csr"),
            format!(
                "openssl x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}-key.pem \
                 -CAcreateserial -days {days} -extfile {name}.ext -out {name}.pem"
            ),
        ] {
            run(&self.place, &command);
        }
    }
}

/// The list of an authority, kept by `openssl ca`.
pub(crate) struct Register {
    authority: Authority,
}

impl Register {
    pub(crate) fn of(authority: &Authority) -> Self {
        let (place, name) = (&authority.place, authority.name);
        let config = format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = {name}-index.txt\ncrlnumber = {name}-crlnumber\n\
             default_md = sha256\ndefault_crl_days = 30\n\
             certificate = {name}.pem\nprivate_key = {name}-key.pem\n"
        );
        fs::write(place.join(format!("{name}.cnf")), config).unwrap();
        fs::write(place.join(format!("{name}-index.txt")), "").unwrap();
        fs::write(place.join(format!("{name}-crlnumber")), "01\n").unwrap();
        Self {
            authority: authority.clone(),
        }
    }

    /// The same without a number for each list.
    pub(crate) fn without_numbers(self) -> Self {
        let path = self.config();
        let text = fs::read_to_string(&path).unwrap();
        let kept = text.lines().filter(|line| !line.starts_with("crlnumber"));
        fs::write(path, kept.collect::<Vec<_>>().join("\n") + "\n").unwrap();
        self
    }

    pub(crate) fn revoke(&self, certificate: &Path) {
        let certificate = certificate.display();
        self.ca(&format!("-revoke {certificate}"));
    }

    /// Writes the list and gives its text.
    pub(crate) fn list(&self) -> String {
        let path = format!("{}-crl.pem", self.authority.name);
        self.ca(&format!("-gencrl -out {path}"));
        fs::read_to_string(self.authority.place.join(path)).unwrap()
    }

    fn config(&self) -> PathBuf {
        let Authority { place, name, .. } = &self.authority;
        place.join(format!("{name}.cnf"))
    }

    fn ca(&self, arguments: &str) {
        let config = self.config();
        let command = format!("openssl ca -config {} {arguments}", config.display());
        run(&self.authority.place, &command);
    }
}

/// The group that OpenSSL and we agree on when nobody says anything: the hybrid one where it has
/// it, which is since 3.5.
pub(crate) fn best_group(place: &Path) -> &'static str {
    if run(place, "openssl list -kem-algorithms").contains("X25519MLKEM768") {
        "X25519MLKEM768"
    } else {
        "X25519"
    }
}

/// How OpenSSL prints the alerts that it has received: the words change with its versions.
pub(crate) fn alert(number: u8) -> String {
    format!("SSL alert number {number}\n")
}

const AUTHORITY: [&str; 2] = [
    "basicConstraints=critical,CA:TRUE",
    "keyUsage=critical,keyCertSign,cRLSign",
];
