//! What `-o json` and `--machine` print, against files: programs rely on the keys and on the types.
//!
//! What differs from run to run is replaced by a word for what it is. `UPDATE_GOLDEN=1` writes the
//! files anew; read the difference before you commit it, since every one breaks somebody's script.

use std::env;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::connect::Node;
use crate::fixture::{DONE, Home};

/// Texts and numbers of one run, as what they are.
struct Normalizer<'a> {
    home: &'a Home,
}

impl Normalizer<'_> {
    fn value(&self, key: &str, value: Value) -> Value {
        match value {
            Value::String(_) if WORDED.contains(&key) => "<text>".into(),
            Value::String(text) => self.text(&text).into(),
            // The type is part of what is promised.
            Value::Number(number) if MEASURED.contains(&key) => {
                let is_whole = number.is_u64();
                let placeholder = if is_whole { "<integer>" } else { "<float>" };
                placeholder.into()
            }
            Value::Array(items) => {
                let items = items.into_iter().map(|item| self.value(key, item));
                items.collect()
            }
            Value::Object(members) => {
                let member = |(key, value): (String, Value)| {
                    let value = self.value(&key, value);
                    (key, value)
                };
                Value::Object(members.into_iter().map(member).collect::<Map<_, _>>())
            }
            other => other,
        }
    }

    /// Directories first, then word by word.
    fn text(&self, text: &str) -> String {
        let text = text
            .replace(self.home.home().to_str().unwrap(), "<home>")
            .replace(self.home.work().to_str().unwrap(), "<work>");
        let lines = text.split('\n').map(|line| {
            let words = line.split(' ').map(word);
            words.collect::<Vec<_>>().join(" ")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A word without what surrounds it in a sentence.
fn word(word: &str) -> String {
    let core = word.trim_matches(['(', ')', ',', ';', '.', '`', ':']);
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_date = |text: &str| {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        digits == 14 && text.ends_with('Z') && text.contains('T')
    };
    let is_day =
        |text: &str| text.len() == 10 && text.starts_with("20") && text.matches('-').count() == 2;
    let placeholder = match core {
        _ if core.len() == 40 && is_hex(core) => "<serial>",
        _ if core.len() == 64 && is_hex(core) => "<sha256>",
        _ if core.len() == 8 && is_hex(core) => "<mark>",
        _ if is_date(core) => "<date>",
        _ if is_day(core) => "<day>",
        _ => return word.to_owned(),
    };
    word.replace(core, placeholder)
}

fn check(home: &Home, name: &str, document: Value) {
    let document = Normalizer { home }.value("", document);
    let text = format!("{document:#}\n");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = path.join(format!("tests/cli/golden/{name}.json"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{}", path.display());
}

/// That a command prints the document of the file.
fn prints(home: &Home, line: &str, name: &str) {
    let ended = home.tls(&format!("{line} -o json")).expect(DONE);
    check(home, name, ended.json());
}

/// That a command says this object on standard error with `--machine`, and nothing on the other.
fn refuses(home: &Home, line: &str, name: &str) {
    let ended = home.tls(&format!("{line} --machine"));
    assert_ne!(ended.code, DONE, "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    check(home, name, serde_json::from_str(&ended.stderr).unwrap());
}

/// Numbers that differ from run to run.
const MEASURED: [&str; 2] = ["expires_in_days", "duration_ms"];

/// Texts for people that say how a connection went: what they say of addresses is the system's.
const WORDED: [&str; 2] = ["detail", "to"];

#[test]
fn authorities_and_certificates() {
    let home = Home::new();
    prints(&home, "init --key-type p384", "init");
    prints(&home, "add executor1 --host 10.0.0.7", "add");
    prints(&home, "add executor1 --force --role node", "add-force");
    home.write("nodes.csv", "name,role\nn1,\nn2,client\n");
    prints(&home, "add --from nodes.csv", "add-from");
    prints(
        &home,
        "add --from nodes.csv --skip-existing",
        "add-from-again",
    );
    prints(&home, "csr own1", "csr");
    home.tls("sign own1.csr --name own1").expect(DONE);
    home.tls("revoke n2 --yes --reason superseded").expect(DONE);
    prints(&home, "list", "list");
    prints(&home, "list --all", "list-all");
}

#[test]
fn requests_that_were_signed() {
    let home = Home::with_authority();
    home.tls("csr own1").expect(DONE);
    prints(&home, "sign own1.csr --name own1", "sign");
    home.tls("csr own1 --force").expect(DONE);
    let ended = home.tls("sign own1.csr --force --yes --machine");
    assert_eq!(ended.code, DONE, "{ended:?}");
    check(
        &home,
        "sign-request",
        serde_json::from_str(&ended.stderr).unwrap(),
    );
}

#[test]
fn what_files_hold() {
    let home = Home::with_nodes(&["n1", "n2"]);
    home.tls("csr own1").expect(DONE);
    home.tls("revoke n2 --yes").expect(DONE);
    for (file, name) in [
        ("n1.pem", "inspect-certificate"),
        ("n1-key.pem", "inspect-key"),
        ("own1.csr", "inspect-request"),
        ("crl.pem", "inspect-crl"),
        ("deny-list.txt", "inspect-deny-list"),
    ] {
        prints(&home, &format!("inspect {file}"), name);
    }
    let verify = "verify --cert n1.pem --key n1-key.pem --crl crl.pem --host n1 --role node";
    prints(&home, verify, "verify");
    prints(&home, "bundle n1 --format pem", "bundle");
    prints(
        &home,
        "bundle n1 --format k8s-secret --file secret.yaml",
        "bundle-secret",
    );
}

#[test]
fn connections() {
    let home = Home::with_nodes(&["scheduler1"]);
    let node = Node::start(&home, "scheduler1");
    let files = "--cert scheduler1.pem --key scheduler1-key.pem";
    let line = format!("connect {} {files}", node.localhost());
    prints(&home, &line, "connect");
}

#[test]
fn renewals_and_revocations() {
    let home = Home::with_nodes(&["n1"]);
    home.tls("csr own1").expect(DONE);
    home.tls("sign own1.csr --name own1").expect(DONE);
    prints(&home, "renew n1", "renew");
    let ended = home.tls("renew --all -o json");
    assert_eq!(ended.code, 1, "{ended:?}");
    check(&home, "renew-all", ended.json());
    prints(&home, "crl", "crl");
    prints(&home, "revoke n1 --replaced --yes", "revoke");
}

#[test]
fn rotations() {
    let home = Home::with_nodes(&["n1", "n2"]);
    for (line, name) in [
        ("rotate-ca status", "rotate-ca-status"),
        ("rotate-ca start", "rotate-ca-start"),
        ("rotate-ca abort --yes", "rotate-ca-abort"),
    ] {
        prints(&home, line, name);
    }
    home.tls("rotate-ca start").expect(DONE);
    home.tls("renew n1").expect(DONE);
    prints(&home, "rotate-ca status", "rotate-ca-status-under-way");
    home.tls("renew n2").expect(DONE);
    prints(&home, "rotate-ca finish --yes", "rotate-ca-finish");
}

#[test]
fn refusals() {
    let home = Home::new();
    refuses(&home, "list", "error-no-authority");
    home.tls("init").expect(DONE);
    home.tls("add n1").expect(DONE);
    for (line, name) in [
        ("init", "error-init"),
        ("add n1", "error-add"),
        ("add n2 --out n1.pem", "error-out"),
        ("sign n1.pem", "error-sign"),
        ("revoke n1", "error-consent"),
        ("revoke n2 --yes", "error-revoke"),
        ("rotate-ca finish --yes", "error-rotate-ca"),
        ("inspect ca.pem ca.key", "error-usage"),
        ("bundle n2 --format pem", "error-bundle"),
    ] {
        refuses(&home, line, name);
    }
}
