//! `spice cluster tls bundle`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use serde_json::{Value, json};

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE, keys, mode};

const TLS_BUNDLE: [&str; 3] = ["cluster", "tls", "bundle"];

/// A home with an authority and the files of `executor1`.
fn home() -> Home {
    Home::with_nodes(&["executor1"])
}

fn add(home: &Home, name: &str) {
    home.spice(&["cluster", "tls", "add", name]).expect(DONE);
}

fn bundle(home: &Home, args: &[&str]) -> Ended {
    home.spice(&[&TLS_BUNDLE, args].concat())
}

fn bundle_with_variable(home: &Home, args: &[&str], passphrase: &str) -> Ended {
    let mut command = home.command(&[&TLS_BUNDLE, args].concat());
    command.env("SPICE_BUNDLE_PASSPHRASE", passphrase);
    Ended::new(command.output().unwrap())
}

fn private(home: &Home, name: &str, content: &str) {
    let path = home.work().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(home: &Home, name: &str) -> String {
    fs::read_to_string(home.work().join(name)).unwrap()
}

/// The base64 of each section of a PEM text.
fn sections(pem: &str) -> Vec<String> {
    let bodies = pem.split("-----BEGIN ").skip(1);
    bodies
        .map(|section| {
            let lines = section.lines().skip(1);
            lines.take_while(|line| !line.starts_with('-')).collect()
        })
        .collect()
}

/// The sections of several files, one after the other.
fn sections_of(home: &Home, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .flat_map(|name| sections(&text(home, name)))
        .collect()
}

fn opens(home: &Home, file: &str, passphrase: &str) -> bool {
    let bytes = fs::read(home.work().join(file)).unwrap();
    KeyStore::from_pkcs12(&bytes, passphrase, Pkcs12ImportPolicy::Strict).is_ok()
}

#[test]
fn pem_is_one_private_file_of_certificate_key_and_roots() {
    let home = home();
    let told = bundle(&home, &["executor1", "--format", "pem"]).expect(DONE);
    let path = home.work().join("executor1-bundle.pem");
    assert_eq!(mode(&path), 0o600);
    let expected = sections_of(&home, &["executor1.pem", "executor1-key.pem", "ca.pem"]);
    assert_eq!(sections(&text(&home, "executor1-bundle.pem")), expected);
    for part in [
        "wrote the pem bundle of executor1",
        "executor1-bundle.pem (readable by its owner only)",
        "spiffe://cluster.local/executor/executor1",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
}

#[test]
fn files_are_read_from_and_written_to_where_one_says() {
    let home = home();
    fs::create_dir(home.work().join("etc")).unwrap();
    for name in ["executor1.pem", "executor1-key.pem", "ca.pem"] {
        fs::rename(home.work().join(name), home.work().join("etc").join(name)).unwrap();
    }
    bundle(&home, &["executor1", "--format", "pem"]).expect(REFUSED);
    let args = ["executor1", "--format", "pem", "--from", "etc"];
    bundle(&home, &[&args[..], &["--file", "h.pem"]].concat()).expect(DONE);
    assert_eq!(home.files(), ["etc", "h.pem"]);
    let printed = bundle(&home, &[&args[..], &["--file", "-"]].concat()).expect(DONE);
    assert_eq!(printed.stdout, text(&home, "h.pem"));
    assert_eq!(home.files(), ["etc", "h.pem"]);
}

#[test]
fn p12_opens_with_the_passphrase_that_was_given_in_a_file() {
    let home = home();
    private(&home, "passphrase", "correct horse\n");
    let args = ["executor1", "--format", "p12"];
    let file = ["--bundle-passphrase-file", "passphrase"];
    let told = bundle(&home, &[&args[..], &file].concat()).expect(DONE);
    assert!(!told.stdout.contains("correct horse"), "{told:?}");
    assert_eq!(mode(&home.work().join("executor1.p12")), 0o600);
    assert!(!opens(&home, "executor1.p12", "correct horse\n"));
    let bytes = fs::read(home.work().join("executor1.p12")).unwrap();
    let store = KeyStore::from_pkcs12(&bytes, "correct horse", Pkcs12ImportPolicy::Strict).unwrap();
    let (alias, chain) = store.private_key_chain().unwrap();
    assert_eq!(alias, "executor1");
    let encoded = |der: &[u8]| STANDARD.encode(der);
    let certificates: Vec<_> = chain.certs().iter().map(|c| encoded(c.as_der())).collect();
    assert_eq!(
        certificates,
        sections_of(&home, &["executor1.pem", "ca.pem"])
    );
    let key = vec![encoded(chain.key().as_der())];
    assert_eq!(key, sections_of(&home, &["executor1-key.pem"]));
}

#[test]
fn the_passphrase_comes_from_standard_input_or_a_variable_too() {
    let home = home();
    let args = ["executor1", "--format", "p12", "--file"];
    let input = [&args[..], &["a.p12", "--bundle-passphrase-file", "-"]].concat();
    home.spice_with_input(&[&TLS_BUNDLE[..], &input].concat(), "from standard input\n")
        .expect(DONE);
    assert!(opens(&home, "a.p12", "from standard input"));
    let args = [&args[..], &["b.p12"]].concat();
    bundle_with_variable(&home, &args, "from a variable").expect(DONE);
    assert!(opens(&home, "b.p12", "from a variable"));
    // The flag is nearer than the variable.
    private(&home, "passphrase", "from a file");
    let args = ["executor1", "--format", "p12", "--file", "c.p12"];
    let args = [&args[..], &["--bundle-passphrase-file", "passphrase"]].concat();
    bundle_with_variable(&home, &args, "from a variable").expect(DONE);
    assert!(opens(&home, "c.p12", "from a file"));
}

#[test]
fn without_a_passphrase_or_a_terminal_the_three_ways_are_told() {
    let home = home();
    let before = home.files();
    let args = ["executor1", "--format", "p12"];
    // An empty variable is none.
    for ended in [bundle(&home, &args), bundle_with_variable(&home, &args, "")] {
        let ended = ended.expect(REFUSED);
        assert!(ended.stderr.contains("executor1.p12 needs a passphrase"));
        for way in [
            "--bundle-passphrase-file FILE",
            "SPICE_BUNDLE_PASSPHRASE",
            "at a terminal",
        ] {
            assert!(ended.next().contains(way), "{way}: {ended:?}");
        }
    }
    assert_eq!(home.files(), before);
}

#[test]
fn passphrases_that_protect_nothing_are_refused() {
    let home = home();
    let args = ["executor1", "--format", "p12"];
    let ended = bundle_with_variable(&home, &args, "seven c").expect(REFUSED);
    assert!(ended.stderr.contains("7 characters is too short"));
    let args = [&args[..], &["--bundle-passphrase-file", "passphrase"]].concat();
    bundle(&home, &args).expect(REFUSED);
    private(&home, "passphrase", "\nsecond line");
    let ended = bundle(&home, &args).expect(REFUSED);
    assert!(ended.stderr.contains("the passphrase is empty"));
    private(&home, "passphrase", "correct horse");
    let path = home.work().join("passphrase");
    for bits in [0o640, 0o604] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        let ended = bundle(&home, &args).expect(REFUSED);
        assert!(ended.stderr.contains("others may read it"), "{ended:?}");
    }
    assert!(!home.work().join("executor1.p12").exists());
}

#[test]
fn a_secret_says_the_same_in_yaml_and_json() {
    let home = home();
    let args = [
        "executor1",
        "--format",
        "k8s-secret",
        "--namespace",
        "spice",
    ];
    let yaml = bundle(&home, &args).expect(DONE).stdout;
    let yaml: Value = serde_saphyr::from_str(&yaml).unwrap();
    let json = bundle(&home, &[&args[..], &["-o", "json"]].concat()).expect(DONE);
    assert_eq!(yaml, json.json());
    let labels = json!({
        "app.kubernetes.io/name": "spice",
        "app.kubernetes.io/component": "executor",
        "app.kubernetes.io/managed-by": "spice-cli",
    });
    let metadata = json!({"name": "executor1", "namespace": "spice", "labels": labels});
    assert_eq!(yaml["metadata"], metadata);
    assert_eq!(yaml["apiVersion"], "v1");
    assert_eq!(yaml["kind"], "Secret");
    assert_eq!(yaml["type"], "kubernetes.io/tls");
    let expected = ["apiVersion", "data", "kind", "metadata", "type"];
    assert_eq!(keys(&yaml), BTreeSet::from(expected));
    let data = &yaml["data"];
    let expected = ["ca.crt", "tls.crt", "tls.key"];
    assert_eq!(keys(data), BTreeSet::from(expected));
    for (key, file) in [
        ("tls.crt", "executor1.pem"),
        ("tls.key", "executor1-key.pem"),
        ("ca.crt", "ca.pem"),
    ] {
        let pem = STANDARD.decode(data[key].as_str().unwrap()).unwrap();
        let pem = String::from_utf8(pem).unwrap();
        assert_eq!(sections(&pem), sections_of(&home, &[file]), "{key}");
    }
}

#[test]
fn a_secret_has_a_name_that_kubernetes_takes() {
    let home = home();
    add(&home, "Rack_1");
    add(&home, "Rack-2");
    let name = |args: &[&str]| {
        let args = [args, &["--format", "k8s-secret", "-o", "json"]].concat();
        bundle(&home, &args).expect(DONE).json()["metadata"].clone()
    };
    let metadata = name(&["Rack-2"]);
    assert_eq!(metadata["name"], "rack-2");
    assert_eq!(keys(&metadata), BTreeSet::from(["labels", "name"]));
    assert_eq!(
        name(&["Rack_1", "--secret-name", "rack-1"])["name"],
        "rack-1"
    );
    let ended = bundle(&home, &["Rack_1", "--format", "k8s-secret"]).expect(USAGE);
    assert!(
        ended
            .stderr
            .contains("`rack_1` is no name for a Kubernetes Secret")
    );
    assert!(ended.stderr.contains("--secret-name"), "{ended:?}");
}

#[test]
fn a_secret_in_a_file_is_private_and_says_how_to_apply_it() {
    let home = home();
    let args = ["executor1", "--format", "k8s-secret", "--file", "s.yaml"];
    let told = bundle(&home, &args).expect(DONE);
    assert!(
        told.stdout.contains("next: kubectl apply -f s.yaml"),
        "{told:?}"
    );
    assert_eq!(mode(&home.work().join("s.yaml")), 0o600);
    assert!(text(&home, "s.yaml").starts_with("apiVersion: v1\nkind: Secret\n"));
}

#[test]
fn what_was_written_is_reported_with_stable_keys() {
    let home = home();
    let report = |args: &[&str]| {
        let args = [&["executor1", "-o", "json", "--format"], args].concat();
        bundle(&home, &args).expect(DONE).json()
    };
    let pem = report(&["pem"]);
    let expected = [
        "file",
        "fingerprint_sha256",
        "format",
        "name",
        "namespace",
        "not_after",
        "role",
        "roots",
        "secret_name",
        "uri",
    ];
    assert_eq!(keys(&pem), BTreeSet::from(expected));
    assert_eq!(pem["file"], "executor1-bundle.pem");
    assert_eq!(pem["format"], "pem");
    assert_eq!(pem["role"], "executor");
    assert_eq!(pem["roots"], 1);
    assert_eq!(pem["secret_name"], Value::Null);
    let secret = report(&["k8s-secret", "--file", "s.json"]);
    assert_eq!(keys(&secret), BTreeSet::from(expected));
    assert_eq!(secret["secret_name"], "executor1");
    let manifest: Value = serde_json::from_str(&text(&home, "s.json")).unwrap();
    assert_eq!(manifest["kind"], "Secret");
}

#[test]
fn an_existing_file_is_replaced_only_by_force() {
    let home = home();
    private(&home, "executor1-bundle.pem", "mine");
    let args = ["executor1", "--format", "pem"];
    let ended = bundle(&home, &args).expect(REFUSED);
    assert!(ended.stderr.contains("executor1-bundle.pem exists already"));
    assert!(ended.next().contains("--force"), "{ended:?}");
    assert_eq!(text(&home, "executor1-bundle.pem"), "mine");
    bundle(&home, &[&args[..], &["--force"]].concat()).expect(DONE);
    assert_eq!(sections(&text(&home, "executor1-bundle.pem")).len(), 3);
    let ended = bundle(&home, &[&args[..], &["--force", "--file", "."]].concat());
    assert!(ended.expect(REFUSED).stderr.contains("is a directory"));
}

#[test]
fn a_node_without_files_is_told_how_to_issue_them() {
    let home = home();
    let ended = bundle(&home, &["executor2", "--format", "pem"]).expect(REFUSED);
    assert!(ended.stderr.contains("executor2.pem"), "{ended:?}");
    assert!(ended.next().contains("`spice cluster tls add executor2`"));
    assert!(ended.next().contains("--from DIR"), "{ended:?}");
}

#[test]
fn what_a_node_would_not_start_with_is_not_handed_over() {
    let home = home();
    add(&home, "executor2");
    let key = home.work().join("executor2-key.pem");
    let own = fs::read(&key).unwrap();
    fs::copy(home.work().join("executor1-key.pem"), &key).unwrap();
    for form in ["pem", "p12", "k8s-secret"] {
        let ended = bundle(&home, &["executor2", "--format", form]).expect(REFUSED);
        assert!(ended.stderr.contains("executor2-key.pem"), "{ended:?}");
        assert!(ended.stderr.contains("does not belong to the certificate"));
        assert!(
            ended
                .next()
                .contains("`spice cluster tls add executor2 --force`")
        );
        assert_eq!(ended.stdout, "", "{form}");
    }
    fs::write(&key, own).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let ended = bundle(&home, &["executor2", "--format", "pem"]).expect(REFUSED);
    assert!(ended.stderr.contains("`chmod 600` it"), "{ended:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    bundle(&home, &["executor2", "--format", "pem"]).expect(DONE);
}

#[test]
fn flags_that_do_not_fit_the_form_are_usage_errors() {
    let home = home();
    let before = home.files();
    for args in [
        &[][..],
        &["--format", "der"],
        &["--format", "pem", "--namespace", "spice"],
        &["--format", "pem", "--secret-name", "a"],
        &["--format", "p12", "--namespace", "spice"],
        &["--format", "pem", "--bundle-passphrase-file", "x"],
        &["--format", "k8s-secret", "--bundle-passphrase-file", "x"],
        &["--format", "k8s-secret", "--force"],
        &["--format", "pem", "--file", "-", "--force"],
        &["--format", "pem", "--file", "-", "-o", "json"],
        &["--format", "p12", "--file", "-", "-o", "json"],
        &["--format", "k8s-secret", "--namespace", "a.b"],
        &["--format", "k8s-secret", "--secret-name", "A"],
    ] {
        let ended = bundle(&home, &[&["executor1"], args].concat()).expect(USAGE);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    let told = bundle(
        &home,
        &["executor1", "--format", "pem", "--namespace", "spice"],
    );
    let expected =
        "error: --namespace needs `--format k8s-secret`\n\nUsage: spice cluster tls bundle";
    assert!(told.stderr.starts_with(expected), "{told:?}");
    bundle(&home, &["ca", "--format", "pem"]).expect(USAGE);
    assert_eq!(home.files(), before);
}

#[test]
fn nothing_is_written_among_the_files_of_an_authority() {
    let home = home();
    let path = home.pki().join("executor1-bundle.pem");
    let before = home.everything();
    let args = ["executor1", "--format", "pem", "--file"];
    let ended = bundle(&home, &[&args[..], &[path.to_str().unwrap()]].concat()).expect(REFUSED);
    assert!(
        ended.stderr.contains("is the authority's own directory"),
        "{ended:?}"
    );
    assert!(ended.next().contains("--file FILE"), "{ended:?}");
    assert_eq!(home.everything(), before);
    bundle(&home, &[&args[..], &["b.pem"]].concat()).expect(DONE);
}
