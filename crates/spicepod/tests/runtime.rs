//! Claims about the section `runtime`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use spicepod::{App, LoadError, S3Auth, StateLocation};

fn parse(scheduler: &str) -> Result<App, LoadError> {
    let text =
        format!("version: v1\nkind: Spicepod\nname: shop\nruntime:\n  scheduler: {scheduler}\n");
    spicepod::parse(&text, Path::new("/srv/shop/spicepod.yaml"))
}

fn faults(scheduler: &str) -> Vec<(String, String)> {
    let error = parse(scheduler).unwrap_err();
    let findings = error.findings().iter();
    findings
        .map(|it| (it.path.clone(), it.message.clone()))
        .collect()
}

#[test]
fn a_manifest_need_not_say_where_the_state_is() {
    let app = parse("{}").unwrap();
    assert_eq!(app.scheduler().state_location(), None);
    assert_eq!(app.scheduler().member_ttl(), None);
}

#[test]
fn reads_a_directory_beside_the_manifest_or_anywhere() {
    for (text, path) in [
        ("file:state", "/srv/shop/state"),
        ("file:///var/lib/spice/state", "/var/lib/spice/state"),
    ] {
        let app = parse(&format!("{{state_location: '{text}', member_ttl: 10s}}")).unwrap();
        let path = path.to_owned();
        let location = StateLocation::File { path };
        assert_eq!(app.scheduler().state_location(), Some(&location));
        assert_eq!(app.scheduler().member_ttl(), Some(Duration::from_secs(10)));
    }
}

const IN_A_BUCKET: &str = "{state_location: 's3://shop-state/eu/one', params: {\
    s3_endpoint: 'http://127.0.0.1:9000', allow_http: true, s3_region: eu-1, \
    s3_key: '${env:S3_KEY}', s3_secret: '${env:S3_SECRET}'}}";

#[test]
fn reads_a_bucket_with_its_keys_by_reference() {
    let app = parse(IN_A_BUCKET).unwrap();
    let Some(StateLocation::S3(s3)) = app.scheduler().state_location() else {
        panic!("{app:?}");
    };
    assert_eq!(
        (s3.bucket.as_str(), s3.prefix.as_str()),
        ("shop-state", "eu/one")
    );
    assert!(s3.allow_http);
    let S3Auth::Key { key, secret, .. } = &s3.auth else {
        panic!("{s3:?}");
    };
    assert_eq!(key.to_string(), "${env:S3_KEY}");
    assert_eq!(secret.to_string(), "${env:S3_SECRET}");
}

#[test]
fn nothing_of_it_reaches_other_nodes_or_changes_the_digest() {
    let with = parse(IN_A_BUCKET).unwrap();
    let without = parse("{}").unwrap();
    assert_eq!(with.digest(), without.digest());
    let json = with.to_json();
    for word in ["shop-state", "S3_SECRET", "9000", "scheduler"] {
        assert!(!json.contains(word), "{word} in {json}");
    }
    assert!(with.secret_references().is_empty());
    assert_ne!(with.scheduler(), without.scheduler());
}

#[test]
fn settings_that_mean_nothing_are_faults() {
    for (scheduler, path, message) in [
        (
            "{state_location: 'gs://b/p'}",
            "state_location",
            "`file:///DIRECTORY`",
        ),
        (
            "{state_location: state}",
            "state_location",
            "`s3://BUCKET/PREFIX`",
        ),
        (
            "{state_location: 'file:'}",
            "state_location",
            "needs a path",
        ),
        (
            "{state_location: 's3://B!/p'}",
            "state_location",
            "is no bucket",
        ),
        ("{member_ttl: 2s}", "member_ttl", "from `3s`"),
        ("{member_ttl: 2h}", "member_ttl", "to `1h`"),
        ("{member_ttl: soon}", "member_ttl", "whole number"),
        (
            "{params: {s3_region: a}}",
            "params.s3_region",
            "of the kind `s3://` only",
        ),
        (
            "{state_location: 'file:s', params: {s3_key: a}}",
            "params.s3_key",
            "only",
        ),
        (
            "{state_location: 's3://bucket', params: {s3_key: '${env:K}'}}",
            "params",
            "`s3_secret` is missing",
        ),
        (
            "{state_location: 's3://bucket', params: {s3_endpoint: 'http://h'}}",
            "params.s3_endpoint",
            "without TLS",
        ),
        (
            "{max_partitions_per_executor: 3}",
            "max_partitions_per_executor",
            "not supported",
        ),
        (
            "{state_locatoin: a}",
            "state_locatoin",
            "did you mean `state_location`?",
        ),
    ] {
        let faults = faults(scheduler);
        let path = format!("runtime.scheduler.{path}");
        assert!(
            faults
                .iter()
                .any(|(at, text)| *at == path && text.contains(message)),
            "{scheduler}: {faults:?}"
        );
        assert_eq!(faults.len(), 1, "{scheduler}: {faults:?}");
    }
}
