//! The files of the node's identity.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use cluster_test::{Leaf, Node, TestPki};
use cluster_tls::{CredentialPaths, Role};

use super::{Faults, scheduler};
use crate::fixture::Fixture;

async fn faults_of(fixture: &Fixture, paths: CredentialPaths) -> Result<Faults> {
    let arguments = fixture.scheduler_with(paths);
    Faults::of(fixture.launch(&arguments, &[])).await
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn a_missing_file_is_named() -> Result<()> {
    let fixture = Fixture::new()?;
    let (_, paths) = scheduler(&fixture)?;
    let nowhere = fixture.directory().join("nowhere.pem");
    let cases = [
        (
            "CA file",
            CredentialPaths {
                ca: nowhere.clone(),
                ..paths.clone()
            },
        ),
        (
            "certificate file",
            CredentialPaths {
                certificate: nowhere.clone(),
                ..paths.clone()
            },
        ),
        (
            "key file",
            CredentialPaths {
                key: nowhere.clone(),
                ..paths
            },
        ),
    ];
    for (file, paths) in cases {
        let faults = faults_of(&fixture, paths).await?;
        faults.tell_only(&[file, &shown(&nowhere), "no such file", "check the path"])?;
    }
    Ok(())
}

#[tokio::test]
async fn the_key_of_another_node_is_told_apart() -> Result<()> {
    let fixture = Fixture::new()?;
    let (_, paths) = scheduler(&fixture)?;
    let other = fixture.pki().write("executor1", &Leaf::new("executor1"))?;
    let swapped = CredentialPaths {
        key: other.key,
        ..paths
    };
    let key = shown(&swapped.key);
    let faults = faults_of(&fixture, swapped).await?;
    faults.tell_only(&[&key, "does not belong to the certificate", "use the key"])
}

#[tokio::test]
async fn files_in_each_others_place_are_told_by_what_they_hold() -> Result<()> {
    let fixture = Fixture::new()?;
    let (_, paths) = scheduler(&fixture)?;
    let as_key = CredentialPaths {
        key: paths.certificate.clone(),
        ..paths.clone()
    };
    // The rights are looked at first, and a certificate may be read by everybody.
    fs::set_permissions(&as_key.key, fs::Permissions::from_mode(0o600))?;
    let faults = faults_of(&fixture, as_key).await?;
    faults.tell_only(&["key file", "where", "belongs", "give the private key"])?;
    let as_certificate = CredentialPaths {
        certificate: paths.key.clone(),
        ..paths
    };
    let faults = faults_of(&fixture, as_certificate).await?;
    faults.tell_only(&[
        "certificate file",
        "where",
        "belongs",
        "give the issued certificate",
    ])
}

#[tokio::test]
async fn a_key_that_everybody_may_read_is_refused_and_one_of_the_group_is_not() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, paths) = scheduler(&fixture)?;
    fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o644))?;
    let faults = faults_of(&fixture, paths.clone()).await?;
    let key = shown(&paths.key);
    faults.tell_only(&[&key, "every user", "0644", "chmod 600"])?;
    fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o440))?;
    Node::start(fixture.launch(&arguments, &[])).await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_outside_its_dates_is_told_with_them() -> Result<()> {
    let fixture = Fixture::new()?;
    let now = SystemTime::now();
    let leaf = || Leaf::new("scheduler1").with_role(Role::Scheduler);
    let expired = leaf().valid(now - 2 * DAY, now - DAY);
    let expired = fixture.pki().write("expired", &expired)?;
    let faults = faults_of(&fixture, expired).await?;
    faults.tell_only(&["expired.pem", "renew the certificate", "clock"])?;
    let early = leaf().valid(now + DAY, now + 2 * DAY);
    let early = fixture.pki().write("early", &early)?;
    let faults = faults_of(&fixture, early).await?;
    faults.tell_only(&["early.pem", "check the clock"])
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_told_before_any_peer_refuses_it() -> Result<()> {
    let fixture = Fixture::new()?;
    let (_, paths) = scheduler(&fixture)?;
    let foreign = TestPki::new()?;
    let ca = foreign.ca_path();
    let faults = faults_of(&fixture, CredentialPaths { ca, ..paths }).await?;
    faults.tell_only(&[
        "scheduler1.pem",
        "use the CA file of the authority that issued it",
    ])
}

#[tokio::test]
async fn a_deny_list_or_revocation_list_that_cannot_be_read_is_a_fault() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    let file = fixture.directory().join("denied.txt");
    let shown = shown(&file);
    for (flag, text, words) in [
        ("--node-mtls-deny-list-file", "01\nexecutor7\n", "line 2"),
        ("--node-mtls-crl-file", "executor7\n", "not PEM"),
    ] {
        let faults = Faults::of(fixture.launch(&arguments, &[flag, &shown])).await?;
        faults.tell_only(&[&shown, "no such file", "check the path"])?;
        fs::write(&file, text)?;
        let faults = Faults::of(fixture.launch(&arguments, &[flag, &shown])).await?;
        faults.tell_only(&[&shown, words])?;
        fs::remove_file(&file)?;
    }
    fs::write(&file, "# nobody yet\n")?;
    let flags = ["--node-mtls-deny-list-file", &shown];
    Node::start(fixture.launch(&arguments, &flags)).await?;
    Ok(())
}

#[tokio::test]
async fn an_advertised_host_that_is_no_name_of_the_certificate_is_refused_with_its_names()
-> Result<()> {
    let fixture = Fixture::new()?;
    let (mut arguments, _) = scheduler(&fixture)?;
    "scheduler9.test".clone_into(&mut arguments.host);
    let faults = Faults::of(fixture.launch(&arguments, &[])).await?;
    faults.tell_only(&[
        "--node-advertise-address scheduler9.test",
        "scheduler1, localhost, 127.0.0.1, ::1",
        "spice cluster tls add NAME --host scheduler9.test",
    ])?;
    "SCHEDULER1.".clone_into(&mut arguments.host);
    let started = Node::start(fixture.launch(&arguments, &[])).await;
    ensure!(
        started.is_ok(),
        "case and a final dot make no other name: {started:?}"
    );
    Ok(())
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
