//! Claims about manifests: what they mean, and how they are refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use spicepod::{App, CsvOptions, Finding, Format, LoadError, Position};

#[test]
fn reads_datasets_and_views_with_their_defaults() {
    let app = parse(SHOP).unwrap();
    assert_eq!(app.name(), "shop");
    assert!(app.warnings().is_empty());

    let names: Vec<String> = app
        .datasets()
        .iter()
        .map(|d| d.name().to_string())
        .collect();
    assert_eq!(names, ["orders", "sales.lines"]);
    let orders = app.datasets()[0].source();
    assert_eq!(orders.to_string(), "file:/srv/shop/data/orders.parquet");
    assert_eq!(orders.format(), Some(&Format::Parquet));
    let csv = CsvOptions {
        has_header: false,
        delimiter: b'\t',
        ..CsvOptions::default()
    };
    let lines = app.datasets()[1].source();
    assert_eq!(lines.format(), Some(&Format::Csv(csv)));
    assert_eq!(app.views()[0].sql(), "SELECT * FROM orders");
}

#[test]
fn survives_the_way_to_another_node_unchanged() {
    let app = parse(SHOP).unwrap();
    let received = App::from_json(&app.to_json()).unwrap();
    assert_eq!(received, app);
    assert_eq!(received.to_json(), app.to_json());

    let empty = App::empty();
    assert_eq!(App::from_json(&empty.to_json()).unwrap(), empty);
}

#[test]
fn digests_the_meaning_and_not_the_spelling() {
    let app = parse(SHOP).unwrap();
    assert_eq!(app.digest().len(), 64);

    let respelled = format!("# a comment\n{}", SHOP.replace("v1", "\"v2\""));
    assert_eq!(parse(&respelled).unwrap().digest(), app.digest());

    let changed = SHOP.replace("SELECT * FROM orders", "SELECT 1");
    assert_ne!(parse(&changed).unwrap().digest(), app.digest());
}

#[test]
fn refuses_json_that_breaks_the_rules_of_a_manifest() {
    let json = parse(SHOP).unwrap().to_json();
    let relative = json.replace("/srv/shop/data/orders.parquet", "orders.parquet");
    let error = App::from_json(&relative).unwrap_err();
    assert!(error.to_string().contains("not absolute"), "{error}");

    let taken = json.replace("sales.lines", "orders");
    let error = App::from_json(&taken).unwrap_err();
    assert!(error.to_string().contains("already taken"), "{error}");

    let error = App::from_json("{").unwrap_err();
    assert!(matches!(error, LoadError::Json { .. }), "{error}");
}

#[test]
fn points_at_the_place_of_each_fault() {
    // Each row: a manifest body under `version`, `kind`, `name` (lines 1 to 3), then the
    // position, the key path and a part of the message of its only fault.
    let table = [
        (
            "datsets: []\n",
            (4, 1),
            "datsets",
            "did you mean `datasets`?",
        ),
        ("zebra: 1\n", (4, 1), "zebra", "the keys here are"),
        (
            "catalogs: []\n",
            (4, 1),
            "catalogs",
            "not supported by this version yet",
        ),
        (
            "functions: []\n",
            (4, 1),
            "functions",
            "not supported by this version yet",
        ),
        (
            "datasets: 7\n",
            (4, 11),
            "datasets",
            "expected a list, found a number",
        ),
        (
            "datasets: [7]\n",
            (4, 12),
            "datasets[0]",
            "expected a map, found a number",
        ),
        (
            "datasets:\n- from: file:a.csv\n",
            (5, 3),
            "datasets[0]",
            "`name` is missing",
        ),
        (
            "datasets:\n- name: a\n",
            (5, 3),
            "datasets[0]",
            "`from` is missing",
        ),
        (
            "datasets:\n- {name: 1a, from: 'file:a.csv'}\n",
            (5, 10),
            "datasets[0].name",
            "no SQL identifier",
        ),
        (
            "datasets:\n- {name: runtime.a, from: 'file:a.csv'}\n",
            (5, 10),
            "datasets[0].name",
            "reserved",
        ),
        (
            "datasets:\n- {name: a, from: 'ftp://b/a.csv'}\n",
            (5, 19),
            "datasets[0].from",
            "`ftp:` is no known kind of source",
        ),
        (
            "datasets:\n- {name: a, from: 'file:a.json'}\n",
            (5, 19),
            "datasets[0].from",
            "`.json` names no format",
        ),
        (
            "datasets:\n- {name: a, from: 'file:a'}\n",
            (5, 19),
            "datasets[0].from",
            "set `params.file_format`",
        ),
        (
            "datasets:\n- name: a\n  from: file:a\n  params:\n    file_format: parqet\n",
            (8, 18),
            "datasets[0].params.file_format",
            "did you mean `parquet`?",
        ),
        (
            "datasets:\n- name: a\n  from: file:a.csv\n  params:\n    csv_delimiter: '::'\n",
            (8, 20),
            "datasets[0].params.csv_delimiter",
            "exactly one ASCII character",
        ),
        (
            "datasets:\n- name: a\n  from: file:a.csv\n  params:\n    csv_delimiter: '\"'\n",
            (8, 20),
            "datasets[0].params.csv_delimiter",
            "must differ",
        ),
        (
            "datasets:\n- name: a\n  from: file:a.csv\n  params:\n    csv_has_header: maybe\n",
            (8, 21),
            "datasets[0].params.csv_has_header",
            "expected `true` or `false`",
        ),
        (
            "datasets:\n- name: a\n  from: file:a.parquet\n  params:\n    csv_quote: '|'\n",
            (8, 16),
            "datasets[0].params.csv_quote",
            "applies to csv files only",
        ),
        (
            "datasets:\n- name: a\n  from: file:a.csv\n  acceleration: {enabled: true}\n",
            (7, 3),
            "datasets[0].acceleration",
            "not supported by this version yet",
        ),
        (
            "views:\n- name: v\n",
            (5, 3),
            "views[0]",
            "`sql` is missing",
        ),
        (
            "views:\n- {name: v, sql: ''}\n",
            (5, 18),
            "views[0].sql",
            "must not be empty",
        ),
        (
            "views:\n- {name: v, sqll: x, sql: x}\n",
            (5, 13),
            "views[0].sqll",
            "`sql`?",
        ),
        (
            "datasets: [{name: a, from: 'file:a.csv'}]\nviews: [{name: A, sql: SELECT 1}]\n",
            (5, 16),
            "views[0].name",
            "already taken by datasets[0].name",
        ),
    ];
    for (body, (line, column), path, message) in table {
        let faults = faults(&format!("version: v1\nkind: Spicepod\nname: shop\n{body}"));
        assert_eq!(faults.len(), 1, "{body}: {faults:?}");
        let fault = &faults[0];
        assert_eq!(
            fault.position,
            Some(Position { line, column }),
            "{body}: {fault}"
        );
        assert_eq!(fault.path, path, "{body}");
        assert!(fault.message.contains(message), "{body}: {fault}");
        let shown = fault.to_string();
        assert!(
            shown.starts_with(&format!(
                "/srv/shop/spicepod.yaml:{line}:{column}: {path}: "
            )),
            "{shown}"
        );
    }
}

#[test]
fn reports_every_fault_at_once_in_the_order_of_the_text() {
    let text = "\
version: v3
kind: Pod
extra: 1
datasets:
  - name: a
    from: ftp://host/a.parquet
  - name: a
    from: file:a.csv
    params: {csv_header: true}
";
    let faults = faults(text);
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "",
            "version",
            "kind",
            "extra",
            "datasets[0].from",
            "datasets[1].name",
            "datasets[1].params.csv_header",
        ]
    );
    let error = parse(text).unwrap_err();
    assert_eq!(error.to_string().lines().count(), faults.len());
}

#[test]
fn shows_where_the_yaml_itself_is_broken() {
    for (text, line) in [
        ("version: v1\nname: [a\nkind: Spicepod\n", 3),
        ("version: v1\nname: *nowhere\n", 2),
        ("version: v1\nversion: v2\n", 2),
        ("a: b: c\n", 1),
    ] {
        let faults = faults(text);
        assert_eq!(faults.len(), 1);
        let position = faults[0].position.unwrap();
        assert_eq!(position.line, line, "{}", faults[0]);
        assert!(
            faults[0]
                .to_string()
                .starts_with("/srv/shop/spicepod.yaml:"),
            "{}",
            faults[0]
        );
        assert!(!faults[0].message.contains('\n'), "{}", faults[0]);
    }
}

#[test]
fn refuses_an_empty_manifest_and_one_that_is_no_map() {
    assert!(faults("")[0].message.contains("empty"));
    assert!(faults("# only a comment\n")[0].message.contains("empty"));
    assert!(faults("- a\n")[0].message.contains("expected a map"));
}

#[test]
fn warns_once_for_each_section_about_ai_models_and_keeps_it_out_of_the_digest() {
    let plain = parse(SHOP).unwrap();
    let app = parse(&format!("{SHOP}models:\n- a\n- b\nembeddings: []\n")).unwrap();
    let warned: Vec<&str> = app.warnings().iter().map(|w| w.path.as_str()).collect();
    assert_eq!(warned, ["models", "embeddings"]);
    assert_eq!(app.digest(), plain.digest());
}

#[test]
fn takes_sections_without_a_value_as_empty() {
    let app = parse("version: v1\nkind: Spicepod\nname: shop\ndatasets:\nviews:\n").unwrap();
    assert!(app.datasets().is_empty() && app.views().is_empty());
}

#[test]
fn survives_an_alias_bomb_without_expanding_it() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, before) in ('b'..='k').zip('a'..='j') {
        let aliases = vec![format!("*{before}"); 10].join(", ");
        text.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    assert_eq!(faults(&text).len(), 1);
}

#[test]
fn loads_a_directory_with_either_name_and_the_file_itself() {
    for name in ["spicepod.yaml", "spicepod.yml"] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        fs::write(&file, SHOP).unwrap();
        let from_directory = spicepod::load(directory.path()).unwrap();
        let expected = directory.path().join("data/orders.parquet");
        let source = from_directory.datasets()[0].source().to_string();
        assert_eq!(source, format!("file:{}", expected.display()));
        assert_eq!(spicepod::load(&file).unwrap(), from_directory);
    }
}

#[test]
fn says_where_it_looked_when_there_is_no_manifest() {
    let directory = tempfile::tempdir().unwrap();
    let error = spicepod::load(directory.path()).unwrap_err().to_string();
    for name in ["spicepod.yaml", "spicepod.yml"] {
        let path = directory.path().join(name);
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
    let absent = directory.path().join("absent");
    let error = spicepod::load(&absent).unwrap_err().to_string();
    assert!(error.contains(&absent.display().to_string()), "{error}");
}

#[test]
fn refuses_a_file_that_is_too_large_or_no_text() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("spicepod.yaml");
    let limit = usize::try_from(spicepod::MAX_MANIFEST_BYTES).unwrap();
    fs::write(&file, vec![b'#'; limit + 1]).unwrap();
    let error = spicepod::load(&file).unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");

    fs::write(&file, [0xff, 0xfe, 0xfd]).unwrap();
    let error = spicepod::load(&file).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
}

const SHOP: &str = "\
version: v1
kind: Spicepod
name: shop
datasets:
  - name: orders
    from: file:data/orders.parquet
  - name: sales.lines
    from: file:lines
    params:
      file_format: csv
      csv_has_header: false
      csv_delimiter: \"\\t\"
views:
  - name: all_orders
    sql: SELECT * FROM orders
";

fn parse(text: &str) -> Result<App, LoadError> {
    spicepod::parse(text, Path::new("/srv/shop/spicepod.yaml"))
}

fn faults(text: &str) -> Vec<Finding> {
    parse(text).unwrap_err().findings().to_vec()
}

#[test]
fn a_pipe_is_no_manifest_and_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spicepod.yaml");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let error = spicepod::load(&path).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error:?}");
}
