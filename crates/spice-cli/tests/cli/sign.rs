//! `spice cluster tls sign`.

use std::fs;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};
use serde_json::{Value, json};

use crate::fixture::{DONE, Ended, Home, REFUSED, USAGE};
use crate::minted::uri;
use crate::terminal::session;

/// A home with an authority and a node that made its key itself.
fn home() -> Home {
    let home = Home::with_authority();
    home.tls("csr executor1 --host 10.0.0.7").expect(DONE);
    home
}

/// What was signed; the request is shown on standard error.
fn signed(ended: Ended) -> Ended {
    assert_eq!(ended.code, DONE, "{ended:#?}");
    assert!(!ended.stderr.contains("error:"), "{ended:#?}");
    ended
}

/// What was refused after the request was shown.
fn refused(ended: Ended) -> Ended {
    assert_eq!(ended.code, REFUSED, "{ended:#?}");
    assert!(ended.stderr.contains("\nerror: "), "{ended:#?}");
    ended
}

/// Writes `asks.csr` and its key: a request of another tool that asks for these names and for
/// what `change` does.
fn request(home: &Home, names: &[SanType], change: impl FnOnce(&mut CertificateParams)) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "asks");
    params.subject_alt_names = names.to_vec();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let request = params.serialize_request(&key).unwrap();
    home.write("asks.csr", &request.pem().unwrap());
    home.write_private("asks-key.pem", &key.serialize_pem());
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

#[test]
fn a_request_is_shown_and_with_a_yes_its_names_are_certified() {
    let home = home();
    let key = home.read("executor1-key.pem");
    let ended = signed(home.tls("sign executor1.csr --yes"));
    let names = "executor1, executor1.cluster.local, 10.0.0.7, localhost, 127.0.0.1, ::1";
    assert!(
        ended
            .stderr
            .starts_with(&format!("the request is for executor1: {names}\n"))
    );
    assert!(ended.stderr.contains("  public key sha256 "), "{ended:?}");
    assert!(
        ended.stdout.contains(&format!("names        {names}\n")),
        "{ended:?}"
    );
    assert_eq!(home.identity("executor1")["role"], "executor");
    assert_eq!(home.read("executor1-key.pem"), key);
    let line = ended.stdout.lines().last().unwrap();
    home.typed(line).expect(DONE);
}

#[test]
fn without_a_yes_nothing_is_signed() {
    let home = home();
    let before = home.everything();
    let ended = refused(home.tls("sign executor1.csr"));
    assert!(
        ended
            .stderr
            .contains("Certify exactly these names for executor1, with the role executor "),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains(") as spiffe://cluster.local/executor/executor1?\n"),
        "{ended:?}"
    );
    assert!(ended.next().contains("--yes"), "{ended:?}");
    let asked = session(&home, "", "cluster tls sign executor1.csr", &["n"]);
    assert_eq!(asked.code, REFUSED, "{asked:?}");
    assert_eq!(home.everything(), before);
    let asked = session(&home, "", "cluster tls sign executor1.csr", &["y"]);
    assert_eq!(asked.code, DONE, "{asked:?}");
    home.identity("executor1");
}

#[test]
fn with_a_name_the_names_of_the_request_do_not_count() {
    let home = Home::with_authority();
    request(&home, &[dns("bank.example"), dns("asks")], |_| ());
    let line = "sign asks.csr --name asks --host e.example --no-localhost --role client --days 30";
    let ended = home.tls(line).expect(DONE);
    assert_eq!(ended.stderr, "");
    let identity = home.identity("asks");
    assert_eq!(
        identity["names"],
        json!(["asks", "asks.cluster.local", "e.example"])
    );
    assert_eq!(identity["role"], "client");
    assert_eq!(identity["expires_in_days"], 29);
    // These flags are about names of ours.
    for line in [
        "sign asks.csr --host a",
        "sign asks.csr --no-localhost",
        "sign",
    ] {
        home.tls(line).expect(USAGE);
    }
}

#[test]
fn wildcards_and_uris_are_shown_and_never_certified() {
    let home = Home::with_authority();
    let thief = "spiffe://cluster.local/scheduler/scheduler1";
    request(
        &home,
        &[dns("*.cluster.local"), uri(thief), dns("asks")],
        |_| (),
    );
    let ended = signed(home.tls("sign asks.csr --yes"));
    for part in [
        "never certified: DNS name *.cluster.local: ",
        &format!("never certified: URI {thief}: "),
    ] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    let identity = home.identity("asks");
    assert_eq!(identity["names"], json!(["asks"]));
    assert_eq!(identity["uri"], "spiffe://cluster.local/node/asks");
}

#[test]
fn a_request_for_nothing_but_such_names_is_refused_with_the_way_out() {
    let home = Home::with_authority();
    request(&home, &[dns("*.cluster.local")], |_| ());
    // Nobody is asked about nothing.
    let ended = home.tls("sign asks.csr --out signed").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("the request asks for no name that can be certified")
    );
    home.typed(ended.commands()[0]).expect(DONE);
    fs::copy(
        home.work().join("signed/asks.pem"),
        home.work().join("asks.pem"),
    )
    .unwrap();
    home.identity("asks");
}

#[test]
fn role_and_extensions_are_never_taken_from_a_request() {
    let home = Home::with_authority();
    request(&home, &[dns("asks")], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let kind = DnType::OrganizationalUnitName;
        params.distinguished_name.push(kind, "scheduler");
    });
    let ended = signed(home.tls("sign asks.csr --yes"));
    assert!(
        ended
            .stderr
            .contains("  not taken over: extended key usage: codeSigning"),
        "{ended:?}"
    );
    assert_eq!(home.identity("asks")["role"], "node");
    let shown = home.tls("inspect asks.pem").expect(DONE).stdout;
    assert!(
        shown.contains("usages       digitalSignature, serverAuth, clientAuth\n"),
        "{shown}"
    );
    assert!(!shown.contains("scheduler"), "{shown}");
}

#[test]
fn a_node_that_was_signed_before_is_signed_again_only_by_force() {
    let home = home();
    signed(home.tls("sign executor1.csr --yes"));
    home.tls("csr executor1 --force").expect(DONE);
    // Whatever it asks for: nobody is asked to look at it.
    let ended = home.tls("sign executor1.csr").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("`executor1` has a certificate already"),
        "{ended:?}"
    );
    assert!(
        ended.next().ends_with("type the same command with --force"),
        "{ended:?}"
    );
    signed(home.tls("sign executor1.csr --yes --force"));
    home.identity("executor1");
}

#[test]
fn a_key_that_the_authority_never_had_is_renewed_where_it_is() {
    let home = home();
    signed(home.tls("sign executor1.csr --yes"));
    let before = home.identity("executor1");
    for line in [
        "renew executor1",
        "add executor1",
        "renew executor1 --out nodes",
    ] {
        let ended = home.tls(line).expect(REFUSED);
        let commands = ended.commands();
        assert_eq!(commands.len(), 2, "{ended:?}");
        home.typed(commands[0]).expect(DONE);
        assert_eq!(
            home.identity("executor1"),
            before,
            "until the node has both"
        );
        signed(home.typed(&format!("{} --yes", commands[1])));
        let after = home.identity("next/executor1");
        for same in ["uri", "role", "names"] {
            assert_eq!(before[same], after[same], "{same}");
        }
        fs::remove_dir_all(home.work().join("next")).unwrap();
    }
}

#[test]
fn what_is_no_request_is_refused_with_how_to_make_one() {
    let home = home();
    home.tls("add n1").expect(DONE);
    let request = home.read("executor1.csr");
    home.write("two.csr", &format!("{request}{request}"));
    home.write("empty.csr", "");
    let mut forged = request.clone();
    let at = forged.len() - 60;
    let other = if &forged[at..=at] == "A" { "B" } else { "A" };
    forged.replace_range(at..=at, other);
    home.write("forged.csr", &forged);
    let before = home.everything();
    for file in [
        "missing.csr",
        "n1.pem",
        "n1-key.pem",
        "two.csr",
        "empty.csr",
        "forged.csr",
    ] {
        let ended = home.tls(&format!("sign {file} --yes")).expect(REFUSED);
        assert!(
            ended.next().contains("`spice cluster tls csr NAME`"),
            "{file}: {ended:?}"
        );
    }
    assert_eq!(home.everything(), before);
}

#[test]
fn a_program_is_shown_the_request_as_an_object() {
    let home = home();
    let ended = home.tls("sign executor1.csr --yes --machine");
    assert_eq!(ended.code, DONE, "{ended:?}");
    let shown: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(shown["status"], "request");
    assert_eq!(shown["request"]["name"], "executor1");
    assert_eq!(shown["request"]["names"][2], "10.0.0.7");
    assert_eq!(ended.json()["name"], "executor1");
    assert_eq!(ended.json()["files"]["key"], Value::Null);
}

#[test]
fn a_name_of_another_node_is_not_certified_before_that_one_is_no_more() {
    let home = Home::with_nodes(&["n1"]);
    request(&home, &[dns("asks"), dns("n1.cluster.local")], |_| ());
    let before = home.everything();
    let ended = refused(home.tls("sign asks.csr --yes"));
    assert!(
        ended
            .stderr
            .contains("asks for `n1.cluster.local`, which is a name of the node `n1`"),
        "{ended:?}"
    );
    assert_eq!(home.everything(), before);
    home.typed(&format!("{} --yes", ended.commands()[0]))
        .expect(DONE);
    signed(home.tls("sign asks.csr --yes"));
    home.identity("asks");
}

#[test]
fn a_key_is_of_one_node_and_of_none_when_others_have_it() {
    let home = Home::with_authority();
    request(&home, &[dns("asks")], |_| ());
    signed(home.tls("sign asks.csr --yes"));
    let is_refused = |line: &str| {
        let ended = home.tls(line);
        assert_eq!(ended.code, REFUSED, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("the key of the request is that of the certificate"),
            "{ended:?}"
        );
        assert!(ended.next().contains("a key of its own"), "{ended:?}");
    };
    is_refused("sign asks.csr --name other");
    signed(home.tls("sign asks.csr --yes --force"));
    home.identity("asks");
    home.tls("revoke asks --reason key-compromise --yes")
        .expect(DONE);
    is_refused("sign asks.csr --yes");
}
