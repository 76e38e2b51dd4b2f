//! `spice cluster tls add --from`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::fixture::{DONE, Home, REFUSED, USAGE, mode};

fn with_list(name: &str, text: &str) -> Home {
    let home = Home::with_authority();
    home.write(name, text);
    home
}

const CSV: &str = "\
name,hosts,role,days
scheduler1,,,
# ours
worker1,10.0.0.7 w.example,executor,90
";

const YAML: &str = "\
- name: scheduler1
- name: worker1
  hosts: [10.0.0.7, w.example]
  role: executor
  days: 90
";

#[test]
fn csv_and_yaml_issue_what_they_say() {
    for (file, text) in [
        ("nodes.csv", CSV),
        ("nodes.yaml", YAML),
        ("nodes.yml", YAML),
    ] {
        let home = with_list(file, text);
        let told = home
            .tls(&format!("add --from {file} --no-localhost"))
            .expect(DONE)
            .stdout;
        for part in [
            "issued 2 certificates\n",
            "1 executor, 1 scheduler\n",
            "next: give each node",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let worker = home.identity("worker1");
        assert_eq!(worker["role"], "executor");
        assert_eq!(worker["expires_in_days"], 89);
        let names = ["worker1", "worker1.cluster.local", "10.0.0.7", "w.example"];
        assert_eq!(worker["names"], json!(names));
        let scheduler = home.identity("scheduler1");
        assert_eq!(
            (&scheduler["role"], &scheduler["expires_in_days"]),
            (&json!("scheduler"), &json!(364))
        );
        assert_eq!(mode(&home.work().join("worker1-key.pem")), 0o600);
    }
}

#[test]
fn days_of_the_command_are_those_of_nodes_that_say_none() {
    let home = with_list("nodes.csv", CSV);
    home.tls("add --from nodes.csv --days 40 --out out")
        .expect(DONE);
    let days = |name: &str| {
        let line = format!(
            "verify --ca out/ca.pem --cert out/{name}.pem --key out/{name}-key.pem -o json"
        );
        home.tls(&line).expect(DONE).json()["identity"]["expires_in_days"].clone()
    };
    assert_eq!(
        (days("scheduler1"), days("worker1")),
        (json!(39), json!(89))
    );
}

#[test]
fn every_fault_is_told_at_once_and_nothing_is_issued() {
    let text = "name,hosts,role,days\nca,,,\nn1,*.example,,\nn2,,boss,\nn3,,,0\nn4,,,\n";
    let home = with_list("nodes.csv", text);
    let before = home.everything();
    let ended = home.tls("add --from nodes.csv").expect(REFUSED);
    for part in [
        "nodes.csv: nothing was issued\n",
        "\n  entry 1, ca: ",
        "\n  entry 2, n1: ",
        "\n  entry 3, n2: ",
        "\n  entry 4, n3: ",
        "next: mend the file and type the same command again",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    assert_eq!(home.everything(), before);
    home.write("nodes.csv", "name\nn1\nn2\n");
    home.tls("add --from nodes.csv").expect(DONE);
}

#[test]
fn a_node_that_is_named_twice_is_refused_whatever_its_case() {
    let home = with_list("nodes.csv", "name\nn1\nn2\nN1\n");
    let before = home.everything();
    let ended = home.tls("add --from nodes.csv").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("\n  entry 3: the node `N1` is named twice"),
        "{ended:?}"
    );
    assert_eq!(home.everything(), before);
}

#[test]
fn a_list_that_grew_is_given_again() {
    let home = with_list("nodes.csv", "name\nn1\n");
    home.tls("add --from nodes.csv").expect(DONE);
    let n1 = home.identity("n1");
    home.write("nodes.csv", "name\nn1\nn2\n");
    let before = home.everything();
    let ended = home.tls("add --from nodes.csv").expect(REFUSED);
    assert!(
        ended
            .stderr
            .contains("entry 1: the node `n1` has a certificate already"),
        "{ended:?}"
    );
    assert!(ended.next().contains("--skip-existing"), "{ended:?}");
    assert_eq!(home.everything(), before);
    let told = home
        .tls("add --from nodes.csv --skip-existing -o json")
        .expect(DONE)
        .json();
    assert_eq!(told["skipped"], json!(["n1"]));
    assert_eq!(told["issued"][0]["name"], "n2");
    assert_eq!(home.identity("n1"), n1);
    let told = home
        .tls("add --from nodes.csv --skip-existing")
        .expect(DONE)
        .stdout;
    assert_eq!(told, "every node of the list has a certificate\n");
    home.tls("add --from nodes.csv --force").expect(DONE);
    assert_ne!(home.identity("n1"), n1);
}

#[test]
fn a_file_in_the_way_of_one_node_stops_all() {
    let home = with_list("nodes.csv", "name\nn1\nn2\n");
    home.write("n2-key.pem", "mine");
    let before = home.everything();
    let ended = home.tls("add --from nodes.csv").expect(REFUSED);
    assert!(
        ended.stderr.contains("entry 2: n2-key.pem exists already"),
        "{ended:?}"
    );
    assert!(ended.next().contains("--force"), "{ended:?}");
    assert_eq!(home.everything(), before);
    home.tls("add --from nodes.csv --out free").expect(DONE);
    assert_eq!(home.read("n2-key.pem"), "mine");
}

#[test]
fn three_hundred_nodes_are_one_command() {
    let mut text = "name,hosts\n".to_owned();
    for number in 0..300 {
        writeln!(
            text,
            "executor{number},10.0.{}.{}",
            number / 200,
            number % 200 + 1
        )
        .unwrap();
    }
    let home = with_list("nodes.csv", &text);
    let told = home.tls("add --from nodes.csv").expect(DONE);
    assert!(
        told.stdout.contains("issued 300 certificates\n"),
        "{told:?}"
    );
    assert_eq!(told.stderr, "", "the progress bar is for terminals");
    assert_eq!(home.files().len(), 2 + 2 * 300);
    home.identity("executor0");
    home.identity("executor299");
    let document = home.tls("list -o json").expect(DONE).json();
    assert_eq!(document["certificates"].as_array().unwrap().len(), 300);
}

#[test]
fn warnings_name_their_nodes() {
    let home = Home::new();
    home.tls("init --days 30").expect(DONE);
    home.write("nodes.csv", "name,days\nn1,20\nn2,40\n");
    let ended = home.tls("add --from nodes.csv -o json");
    assert_eq!(ended.code, DONE, "{ended:?}");
    assert!(
        ended.stderr.starts_with("warning: n2: shortened to "),
        "{ended:?}"
    );
    assert_eq!(ended.stderr.lines().count(), 1);
    assert_eq!(
        ended.json()["issued"][0]["warnings"],
        Value::Array(Vec::new())
    );
}

#[test]
fn what_is_no_list_is_refused_with_the_form_of_one() {
    let home = Home::with_authority();
    for (file, text, next) in [
        ("nodes.txt", "name\nn1\n", ".csv, .yaml or .yml"),
        ("empty.csv", "name\n", "`name,hosts,role,days`"),
        (
            "rolle.csv",
            "name,rolle\nn1,executor\n",
            "`name,hosts,role,days`",
        ),
        ("soon.csv", "name,days\nn1,soon\n", "`name,hosts,role,days`"),
        ("words.yaml", "- n1\n", "`- name: executor1`"),
        ("latin.csv", "", "in UTF-8"),
    ] {
        home.write(file, text);
        if file == "latin.csv" {
            std::fs::write(home.work().join(file), b"name\nn\xe4\n").unwrap();
        }
        let before = home.everything();
        let ended = home.tls(&format!("add --from {file}")).expect(REFUSED);
        assert!(ended.next().contains(next), "{file}: {ended:?}");
        assert_eq!(home.everything(), before);
    }
    let ended = home.tls("add --from missing.csv").expect(REFUSED);
    assert!(ended.next().contains("--from FILE"), "{ended:?}");
}

#[test]
fn flags_of_one_node_are_not_for_many() {
    let home = with_list("nodes.csv", "name\nn1\n");
    for line in [
        "add n1 --from nodes.csv",
        "add --from nodes.csv --host a",
        "add --from nodes.csv --role node",
        "add --from nodes.csv --skip-existing --force",
        "add n1 --skip-existing",
    ] {
        home.tls(line).expect(USAGE);
    }
    assert_eq!(home.files(), ["ca.pem", "nodes.csv"]);
}

#[test]
fn a_field_that_is_none_of_its_kind_is_named() {
    let home = with_list("nodes.csv", "name,days\nn1,90\nn2,soon\n");
    let ended = home.tls("add --from nodes.csv").expect(REFUSED);
    assert!(ended.stderr.contains("entry 2: days: "), "{ended:?}");
    assert!(!ended.stderr.contains("byte"), "{ended:?}");
    home.write("nodes.csv", "name,days\nn1,90\nn2,9\n");
    home.tls("add --from nodes.csv").expect(DONE);
}

#[test]
fn a_key_instead_of_a_list_is_refused_and_not_shown() {
    let home = Home::with_nodes(&["n1"]);
    let key = home.read("n1-key.pem");
    for (file, text) in [
        ("key.yaml", key.clone()),
        ("list.yaml", format!("- name: n2\n  key: |\n    {key}")),
        ("key.csv", key.clone()),
    ] {
        home.write(file, &text);
        let ended = home.tls(&format!("add --from {file}")).expect(REFUSED);
        let is_private = ended.stderr.contains("holds a private key");
        assert_eq!(is_private, file.ends_with("yaml"), "{ended:?}");
        let mut secret = key.lines().filter(|line| !line.starts_with('-'));
        assert!(secret.all(|line| !ended.stderr.contains(line)), "{ended:?}");
    }
}
