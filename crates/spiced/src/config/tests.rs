use clap::Parser;

use super::*;

fn decide_from(line: &str) -> Decided {
    let words = std::iter::once("spiced").chain(line.split_whitespace());
    decide(Args::try_parse_from(words).unwrap())
}

fn faults(line: &str) -> String {
    let decided = decide_from(line);
    assert!(!decided.faults.is_empty(), "{line} has no fault");
    decided.faults.join("\n")
}

fn role(line: &str) -> RoleConfig {
    let decided = decide_from(line);
    assert_eq!(decided.faults, Vec::<String>::new(), "{line}");
    decided.config.unwrap().role
}

const MTLS: &str = "--node-mtls-ca-certificate-file ca.pem --node-mtls-certificate-file n.pem \
                    --node-mtls-key-file n-key.pem --node-advertise-address n1";

#[test]
fn nothing_at_all_is_a_single_node() {
    let RoleConfig::Standalone { manifest, .. } = role("") else {
        panic!("not standalone");
    };
    assert_eq!(manifest, ManifestPath::Default);
}

#[test]
fn the_page_decides_a_scheduler_and_an_executor() {
    let scheduler = role(&format!("--role scheduler {MTLS}"));
    let RoleConfig::Scheduler { internal, .. } = scheduler else {
        panic!("not a scheduler");
    };
    assert_eq!(internal.bind, "0.0.0.0:50052".parse().unwrap());
    assert!(matches!(internal.security, SecurityConfig::Mutual { .. }));

    for role_flag in ["--role executor", ""] {
        let executor = role(&format!(
            "{role_flag} {MTLS} --scheduler-address https://s1:50052"
        ));
        assert!(
            matches!(executor, RoleConfig::Executor { .. }),
            "{role_flag}"
        );
    }
}

#[test]
fn insecure_mode_listens_on_loopback_until_told_otherwise() {
    let bind = |line: &str| match role(line) {
        RoleConfig::Scheduler { internal, .. } => internal.bind.to_string(),
        other => panic!("{other:?}"),
    };
    let insecure = "--role scheduler --allow-insecure-connections --node-advertise-address n1";
    assert_eq!(bind(insecure), "127.0.0.1:50052");
    assert_eq!(
        bind(&format!("{insecure} --node-bind-address 0.0.0.0:1")),
        "0.0.0.0:1"
    );
}

#[test]
fn every_fault_is_listed_at_once() {
    let all = faults(
        "--role scheduler --scheduler-address https://s1 --task-slots 2 --node-mtls-key-file k",
    );
    for part in [
        "--scheduler-address is for executors",
        "--task-slots",
        "missing: --node-mtls-ca",
        "--node-advertise-address HOST",
    ] {
        assert!(all.contains(part), "{part} not in\n{all}");
    }
}

#[test]
fn plaintext_and_mutual_tls_exclude_each_other() {
    let both = faults(&format!(
        "--role scheduler {MTLS} --allow-insecure-connections"
    ));
    assert!(both.contains("one or the other"), "{both}");
    let downgrade = faults(&format!(
        "--role executor {MTLS} --scheduler-address http://s1"
    ));
    assert!(downgrade.contains("plaintext"), "{downgrade}");
}

#[test]
fn a_cluster_role_without_certificates_says_how_to_get_them() {
    let none = faults("--role scheduler --node-advertise-address n1");
    assert!(none.contains("spice cluster tls init"), "{none}");
}

#[test]
fn an_advertised_port_must_be_the_internal_one() {
    let mtls = MTLS.replace(" n1", " n1:50052");
    assert!(matches!(
        role(&format!("--role scheduler {mtls}")),
        RoleConfig::Scheduler { .. }
    ));
    let mtls = MTLS.replace(" n1", " n1:443");
    assert!(faults(&format!("--role scheduler {mtls}")).contains("leave the port out"));
    let mtls = MTLS.replace(" n1", " 0.0.0.0");
    assert!(faults(&format!("--role scheduler {mtls}")).contains("could dial"));
}

#[test]
fn an_executor_takes_neither_manifest_nor_sql() {
    let all = faults(&format!(
        "{MTLS} --scheduler-address s1 --flight 127.0.0.1:1 pod"
    ));
    assert!(
        all.contains("gets its spicepod from the scheduler"),
        "{all}"
    );
    assert!(all.contains("answers no SQL"), "{all}");
    assert!(faults(&format!("--role executor {MTLS}")).contains("needs a scheduler"));
}

#[test]
fn cluster_flags_without_a_role_are_faults() {
    assert!(faults("--node-mtls-require-role").contains("add --role"));
}
