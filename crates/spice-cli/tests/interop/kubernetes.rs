//! The Secret against the schemas of Kubernetes.

use std::fs;

use crate::fixture::Home;
use crate::tool::{Said, done, tool};

#[test]
fn the_schema_of_kubernetes_accepts_the_secret_in_yaml_and_json() {
    let home = Home::with_authority();
    done(&home, "add executor1");
    for format in ["table", "json"] {
        for more in ["", "--namespace spice --secret-name spice-tls"] {
            let command = format!("bundle executor1 --format k8s-secret {more} -o {format}");
            fs::write(home.work().join("secret"), done(&home, &command).stdout).unwrap();
            let said = validated(&home).accepted();
            assert!(said.contains("passed"), "{said}");
        }
    }
}

#[test]
fn the_schema_of_kubernetes_refuses_a_secret_that_was_spoiled() {
    let home = Home::with_authority();
    done(&home, "add executor1");
    let good = done(&home, "bundle executor1 --format k8s-secret").stdout;
    for (from, to, why) in [
        ("type:", "typ:", "Additional properties"),
        ("data:", "data: 1\nspoiled:", "is not of type"),
        ("tls.key: ", "tls.key:\n    - ", "is not of type"),
    ] {
        let spoiled = good.replacen(&format!("\n{from}"), &format!("\n{to}"), 1);
        let spoiled = spoiled.replacen(&format!("  {from}"), &format!("  {to}"), 1);
        assert_ne!(spoiled, good, "{from}");
        fs::write(home.work().join("secret"), spoiled).unwrap();
        validated(&home).refused(why);
    }
}

fn validated(home: &Home) -> Said {
    let command = format!("kubernetes-validate --strict -k {VERSION} secret");
    tool(&home.work(), &command)
}

/// The newest that the pinned package has schemas for; Secrets have not changed for long.
const VERSION: &str = "1.37.0";
