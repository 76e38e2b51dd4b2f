//! Claims about secret stores, references to them, and sources that are elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use spicepod::{App, Finding, LoadError, S3Auth, Source, SslMode, StoreKind};

#[test]
fn reads_sources_elsewhere_with_their_parameters() {
    let app = parse(LAKE).unwrap();
    assert!(app.warnings().is_empty());
    let Source::S3(events) = app.datasets()[0].source() else {
        panic!("{:?}", app.datasets()[0]);
    };
    assert_eq!((events.bucket(), events.key()), ("lake", "events/"));
    let endpoint = events.endpoint().unwrap().literal();
    assert_eq!(endpoint, Some("https://s3.example.com"));
    assert!(!events.allows_http());
    assert_eq!(events.format().as_str(), "parquet");
    let S3Auth::Key { key, secret, .. } = events.auth() else {
        panic!("{events:?}");
    };
    assert_eq!(key.to_string(), "${vault:s3.key}");
    assert_eq!(secret.to_string(), "${vault:s3.secret}");

    let Source::Postgres(users) = app.datasets()[1].source() else {
        panic!("{:?}", app.datasets()[1]);
    };
    assert_eq!((users.schema(), users.table()), ("crm", "Users"));
    assert_eq!(users.host().to_string(), "db.${env:ZONE}.example.com");
    assert_eq!(
        (users.port(), users.ssl_mode()),
        (5432, SslMode::VerifyFull)
    );
    assert_eq!(users.password().unwrap().to_string(), "${secrets:PG_PASS}");
    let root = users.ssl_root_cert().unwrap().literal();
    assert_eq!(root, Some("/srv/shop/pg-ca.pem"));
}

#[test]
fn reads_an_open_bucket_without_parameters() {
    let app = parse(&dataset("s3://lake/a.csv", "{}")).unwrap();
    let Source::S3(source) = app.datasets()[0].source() else {
        panic!("{:?}", app.datasets()[0]);
    };
    assert_eq!(*source.auth(), S3Auth::Public);
    assert_eq!(source.format().as_str(), "csv");
}

#[test]
fn knows_its_stores_in_order_and_takes_the_environment_where_there_are_none() {
    let app = parse(LAKE).unwrap();
    let stores: Vec<_> = app
        .secret_stores()
        .iter()
        .map(|s| (s.name(), s.kind()))
        .collect();
    let file_path = Some("/srv/shop/.env".to_owned());
    let directory = "/run/secrets".to_owned();
    let secret = "spice-lake".to_owned();
    assert_eq!(
        stores,
        [
            ("env", &StoreKind::Env { file_path }),
            ("vault", &StoreKind::File { directory }),
            ("kube", &StoreKind::Kubernetes { secret }),
        ]
    );
    for text in ["", "secrets:\n", "secrets: []\n"] {
        let app = parse(&format!("{HEAD}{text}")).unwrap();
        let default = &app.secret_stores()[0];
        assert_eq!(default.name(), "env");
        assert_eq!(*default.kind(), StoreKind::Env { file_path: None });
        assert_eq!(app.digest(), parse(HEAD).unwrap().digest());
    }
}

#[test]
fn collects_every_reference_once() {
    let app = parse(LAKE).unwrap();
    let references: Vec<String> = app
        .secret_references()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        references,
        [
            "${env:ZONE}",
            "${secrets:PG_PASS}",
            "${vault:s3.key}",
            "${vault:s3.secret}"
        ]
    );
    let of_users: Vec<String> = app.datasets()[1]
        .secret_references()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        of_users,
        ["${env:ZONE}", "${vault:s3.key}", "${secrets:PG_PASS}"]
    );
}

#[test]
fn survives_the_way_to_another_node_with_its_references_as_they_are() {
    let app = parse(LAKE).unwrap();
    let json = app.to_json();
    assert!(json.contains("${secrets:PG_PASS}"), "{json}");
    let received = App::from_json(&json).unwrap();
    assert_eq!(received, app);
    assert_eq!(received.to_json(), json);
    assert_eq!(received.secret_references(), app.secret_references());

    let other_store = LAKE.replace("/run/secrets", "/run/other");
    assert_ne!(parse(&other_store).unwrap().digest(), app.digest());
    let other_key = LAKE.replace("PG_PASS", "PG_PASSWORD");
    assert_ne!(parse(&other_key).unwrap().digest(), app.digest());
    let strange = json.replace("${secrets:PG_PASS}", "${elsewhere:PG_PASS}");
    let error = App::from_json(&strange).unwrap_err().to_string();
    assert!(error.contains("no secret store `elsewhere`"), "{error}");
}

#[test]
fn warns_of_a_secret_that_is_written_out_and_repeats_it_nowhere() {
    let text = LAKE
        .replace("${vault:s3.secret}", "hunter2")
        .replace("${secrets:PG_PASS}", "hunter2");
    let app = parse(&text).unwrap();
    let warned: Vec<&str> = app.warnings().iter().map(|w| w.path.as_str()).collect();
    assert_eq!(
        warned,
        ["datasets[0].params.s3_secret", "datasets[1].params.pg_pass"]
    );
    let shown = format!("{app:?} {}", app.warnings()[0]);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        App::from_json(&app.to_json())
            .unwrap()
            .warnings()
            .is_empty()
    );
}

#[test]
fn says_what_is_wrong_with_a_secret_store() {
    // Each row: the entries, the key path and a part of the message of the only fault.
    for (stores, path, message) in [
        ("{from: env}", "secrets[0]", "`name` is missing"),
        ("{name: a}", "secrets[0]", "`from` is missing"),
        (
            "{from: env, name: secrets}",
            "secrets[0].name",
            "stands for all stores",
        ),
        (
            "{from: env, name: a/b}",
            "secrets[0].name",
            "has letters, digits",
        ),
        (
            "{from: env, name: a}, {from: env, name: a}",
            "secrets[1].name",
            "already a secret store `a`",
        ),
        (
            "{from: enc, name: a}",
            "secrets[0].from",
            "did you mean `env`?",
        ),
        (
            "{from: 'env:x', name: a}",
            "secrets[0].from",
            "is not known",
        ),
        (
            "{from: 'file:', name: a}",
            "secrets[0].from",
            "`file:/path/of/a/directory`",
        ),
        (
            "{from: 'file://host/a', name: a}",
            "secrets[0].from",
            "must be absolute",
        ),
        (
            "{from: 'kubernetes:', name: a}",
            "secrets[0].from",
            "`kubernetes:name-of-the-secret`",
        ),
        (
            "{from: 'kubernetes:a/../b', name: a}",
            "secrets[0].from",
            "lower-case letters",
        ),
        (
            "{from: 'kubernetes:A', name: a}",
            "secrets[0].from",
            "lower-case letters",
        ),
        (
            "{from: env, name: a, parms: {}}",
            "secrets[0].parms",
            "did you mean `params`?",
        ),
        (
            "{from: env, name: a, params: {path: x}}",
            "secrets[0].params.path",
            "`file_path`",
        ),
        (
            "{from: 'file:/a', name: a, params: {file_path: x}}",
            "secrets[0].params.file_path",
            "applies to the store `env` only",
        ),
    ] {
        let text = format!("{HEAD}secrets: [{stores}]\n");
        only_fault(&text, path, message);
    }
}

#[test]
fn says_what_is_wrong_with_a_reference_and_keeps_its_text_to_itself() {
    for (value, message) in [
        ("${vaulr:KEY}", "did you mean `vault`?"),
        (
            "${elsewhere:KEY}",
            "the stores here are `vault` and `secrets`",
        ),
        ("${env:KEY}", "there is no secret store `env`"),
        ("${secrets:}", "names its key"),
        ("${KEY}", "names its store"),
        ("${secrets:../KEY}", "the key of a reference has"),
        ("a${secrets:hunter2", "no `}` behind it"),
    ] {
        let text = format!(
            "{}secrets: [{{from: 'file:/run', name: vault}}]\n",
            dataset(
                "s3://lake/a.csv",
                &format!("{{s3_key: a, s3_secret: '{value}'}}")
            )
        );
        let fault = only_fault(&text, "datasets[0].params.s3_secret", message);
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
    }
}

#[test]
fn takes_references_in_parameters_only() {
    let reference = "secret references";
    only_fault(
        &dataset("s3://${env:BUCKET}/a.csv", "{}"),
        "datasets[0].from",
        reference,
    );
    only_fault(
        &dataset("file:${env:DIR}/a.csv", "{}"),
        "datasets[0].from",
        reference,
    );
    let format = "{file_format: '${env:FORMAT}'}";
    only_fault(
        &dataset("file:a", format),
        "datasets[0].params.file_format",
        "takes no secret",
    );
    let view = format!("{HEAD}views: [{{name: v, sql: \"SELECT '${{env:KEY}}'\"}}]\n");
    only_fault(&view, "views[0].sql", reference);
    let name = format!("{HEAD}views: [{{name: '${{env:KEY}}', sql: SELECT 1}}]\n");
    only_fault(&name, "views[0].name", "no SQL identifier");
    let text = format!("{HEAD}views: [{{name: v, sql: \"SELECT '${{' || 'env:KEY}}'\"}}]\n");
    assert!(parse(&text).is_ok());
}

#[test]
fn says_what_is_wrong_with_the_parameters_of_a_source_elsewhere() {
    let postgres = "pg_host: h, pg_db: d, pg_user: u";
    for (from, params, key, message) in [
        (
            "s3://lake/a.csv",
            "s3_key: a".to_owned(),
            "",
            "`s3_secret` is missing",
        ),
        (
            "s3://lake/a.csv",
            "s3_auth: key, s3_secret: '${env:A}'".to_owned(),
            "",
            "`s3_key` is missing",
        ),
        (
            "s3://lake/a.csv",
            "s3_auth: public, s3_key: a".to_owned(),
            ".s3_key",
            "has no effect",
        ),
        (
            "s3://lake/a.csv",
            "s3_auth: iam".to_owned(),
            ".s3_auth",
            "`key` and `public`",
        ),
        (
            "s3://lake/a.csv",
            "s3_endpoint: 'http://h'".to_owned(),
            ".s3_endpoint",
            "`allow_http: true`",
        ),
        (
            "s3://lake/a.csv",
            "s3_endpoint: h".to_owned(),
            ".s3_endpoint",
            "starts with `https://`",
        ),
        (
            "s3://lake/a.csv",
            "allow_http: yess".to_owned(),
            ".allow_http",
            "expected `true` or `false`",
        ),
        (
            "s3://lake/a.csv",
            "s3_regio: x".to_owned(),
            ".s3_regio",
            "did you mean `s3_region`?",
        ),
        (
            "s3://lake/a.csv",
            "pg_host: h".to_owned(),
            ".pg_host",
            "the kind `postgres:` only",
        ),
        (
            "file:a.csv",
            "s3_region: x".to_owned(),
            ".s3_region",
            "the kind `s3:` only",
        ),
        (
            "file:a.csv",
            "allow_http: true".to_owned(),
            ".allow_http",
            "the kind `s3:` only",
        ),
        (
            "postgres:t",
            "pg_host: h, pg_db: d".to_owned(),
            "",
            "`pg_user` is missing",
        ),
        (
            "postgres:t",
            format!("{postgres}, pg_port: 0"),
            ".pg_port",
            "expected a port",
        ),
        (
            "postgres:t",
            format!("{postgres}, pg_port: 65536"),
            ".pg_port",
            "expected a port",
        ),
        (
            "postgres:t",
            format!("{postgres}, pg_sslmode: prefer"),
            ".pg_sslmode",
            "`verify-full`",
        ),
        (
            "postgres:t",
            format!("{postgres}, pg_sslmode: disable, pg_sslrootcert: a"),
            ".pg_sslrootcert",
            "has no effect unless",
        ),
        (
            "postgres:t",
            format!("{postgres}, file_format: csv"),
            ".file_format",
            "applies to files only",
        ),
        (
            "postgres:t",
            format!("{postgres}, pg_pass: 1"),
            ".pg_pass",
            "expected text, found a number",
        ),
    ] {
        let text = dataset(from, &format!("{{{params}}}"));
        only_fault(&text, &format!("datasets[0].params{key}"), message);
    }
    let bare = format!("{HEAD}datasets: [{{name: t, from: 'postgres:t'}}]\n");
    only_fault(&bare, "datasets[0]", "the key `params` is missing");
    only_fault(
        &dataset("s3://lake/a/", "{}"),
        "datasets[0].from",
        "set `params.file_format`",
    );
}

const HEAD: &str = "version: v1\nkind: Spicepod\nname: shop\n";

const LAKE: &str = "\
version: v1
kind: Spicepod
name: shop
secrets:
  - {from: env, name: env, params: {file_path: .env}}
  - {from: 'file:/run/secrets', name: vault}
  - {from: 'kubernetes:spice-lake', name: kube}
datasets:
  - name: events
    from: s3://lake/events/
    params:
      file_format: parquet
      s3_endpoint: https://s3.example.com
      s3_region: eu-north-1
      s3_key: ${vault:s3.key}
      s3_secret: ${vault:s3.secret}
  - name: users
    from: postgres:crm.Users
    params:
      pg_host: db.${env:ZONE}.example.com
      pg_db: crm
      pg_user: ${vault:s3.key}
      pg_pass: ${secrets:PG_PASS}
      pg_sslrootcert: pg-ca.pem
";

fn dataset(from: &str, params: &str) -> String {
    format!("{HEAD}datasets: [{{name: t, from: '{from}', params: {params}}}]\n")
}

fn parse(text: &str) -> Result<App, LoadError> {
    spicepod::parse(text, Path::new("/srv/shop/spicepod.yaml"))
}

fn only_fault(text: &str, path: &str, message: &str) -> Finding {
    let faults = parse(text).unwrap_err().findings().to_vec();
    assert_eq!(faults.len(), 1, "{text}: {faults:?}");
    assert_eq!(faults[0].path, path, "{}", faults[0]);
    assert!(faults[0].message.contains(message), "{}", faults[0]);
    faults[0].clone()
}
