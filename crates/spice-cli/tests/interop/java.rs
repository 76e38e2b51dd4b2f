//! Java opens our PKCS#12 files.

use crate::fixture::Home;
use crate::tool::{done, secret_file, tool};

#[test]
fn keytool_finds_key_and_chain_under_the_nodes_name_with_the_passphrase_alone() {
    for key_type in ["p256", "p384", "ed25519"] {
        let home = Home::new();
        done(&home, &format!("init --key-type {key_type}"));
        let issued = done(&home, "add n1 -o json").json();
        secret_file(&home.work().join("right"), "correct-horse-battery\n");
        secret_file(&home.work().join("wrong"), "another-passphrase\n");
        done(
            &home,
            "bundle n1 --format p12 --bundle-passphrase-file right",
        );
        let list = |passphrase: &str| {
            let command = "keytool -list -v -keystore n1.p12 -storetype PKCS12 -storepass:file";
            tool(&home.work(), &format!("{command} {passphrase}"))
        };
        let text = list("right").accepted();
        let serial = issued["serial"].as_str().unwrap().trim_start_matches('0');
        for part in [
            "Your keystore contains 1 entry",
            "Alias name: n1\n",
            "Entry type: PrivateKeyEntry",
            "Certificate chain length: 2",
            serial,
        ] {
            assert!(text.contains(part), "{part:?}: {text}");
        }
        list("wrong").refused("password was incorrect");
    }
}
