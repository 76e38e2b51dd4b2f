//! `spice cluster tls list`.

use std::time::SystemTime;

use cluster_pki::{Authority, Days, InitRequest, LeafRequest};
use serde_json::Value;

use crate::fixture::{DONE, Home, USAGE};
use crate::minted::DAY;
use crate::terminal::session;

/// A home whose authority is two years old and issued one certificate of a day when it was new.
fn with_expired_node() -> Home {
    let home = Home::new();
    let past = SystemTime::now() - 730 * DAY;
    let mut authority = Authority::init(&home.pki(), &InitRequest::default(), past).unwrap();
    let mut request = LeafRequest::new("gone".parse().unwrap(), home.work());
    request.days = Days::new(1).unwrap();
    authority.issue(&request, past).unwrap();
    home
}

fn statuses(home: &Home, line: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let document = home.tls(line).expect(DONE).json();
    let certificates = document["certificates"].as_array().unwrap();
    let pair = |it: &Value| (text(&it["name"]), text(&it["status"]));
    certificates.iter().map(pair).collect()
}

#[test]
fn every_node_is_listed_with_what_became_of_its_newest_certificate() {
    let home = with_expired_node();
    home.tls("add fresh").expect(DONE);
    home.tls("add short --days 20").expect(DONE);
    home.tls("add stolen").expect(DONE);
    home.tls("revoke stolen --yes").expect(DONE);
    home.tls("renew fresh").expect(DONE);
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(name, status): &(&str, &str)| ((*name).to_owned(), (*status).to_owned());
        pairs.iter().map(owned).collect()
    };
    let expected = pairs(&[
        ("gone", "expired"),
        ("short", "expiring"),
        ("stolen", "revoked"),
        ("fresh", "valid"),
    ]);
    assert_eq!(statuses(&home, "list -o json"), expected);
    let expected = pairs(&[
        ("gone", "expired"),
        ("fresh", "replaced"),
        ("short", "expiring"),
        ("stolen", "revoked"),
        ("fresh", "valid"),
    ]);
    assert_eq!(statuses(&home, "list --all -o json"), expected);
}

#[test]
fn the_table_says_the_same_for_people() {
    let home = with_expired_node();
    home.tls("add executor1 --host 10.0.0.7").expect(DONE);
    let told = home.tls("list").expect(DONE).stdout;
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("NAME "), "{told}");
    assert!(lines[0].ends_with("  STATUS"), "{told}");
    assert!(
        lines[1].contains("  ! expired 729 days ago  expired"),
        "{told}"
    );
    let names = "executor1,executor1.cluster.local,10.0.0.7,localhost,127.0.0.1,::1";
    // Issued in this very second, or in one before it: 365 or 364 days.
    for part in ["executor1  executor  ", names, "  in 36", "  valid"] {
        assert!(lines[2].contains(part), "{part}: {told}");
    }
}

#[test]
fn an_authority_that_issued_nothing_says_what_to_type() {
    let home = Home::with_authority();
    let told = home.tls("list").expect(DONE).stdout;
    assert!(
        told.starts_with("no certificate was issued yet\n"),
        "{told}"
    );
    assert!(
        told.contains("next: spice cluster tls add NAME\n"),
        "{told}"
    );
    let document = home.tls("list -o json").expect(DONE).json();
    assert_eq!(document["certificates"], Value::Array(Vec::new()));
}

#[test]
fn words_have_colour_at_a_terminal_unless_none_is_wanted() {
    let home = with_expired_node();
    home.tls("add fresh").expect(DONE);
    let coloured = session(&home, "", "cluster tls list", &[]);
    assert_eq!(coloured.code, DONE, "{coloured:?}");
    for part in ["\u{1b}[32mvalid\u{1b}[0m", "\u{1b}[31mexpired\u{1b}[0m"] {
        assert!(coloured.seen.contains(part), "{coloured:?}");
    }
    let plain = session(&home, "NO_COLOR=1", "cluster tls list", &[]);
    assert!(!plain.seen.contains('\u{1b}'), "{plain:?}");
    assert!(plain.seen.contains("  valid"), "{plain:?}");
    // An empty variable is one that is not set, as no-color.org says.
    let coloured = session(&home, "NO_COLOR=", "cluster tls list", &[]);
    assert!(coloured.seen.contains('\u{1b}'), "{coloured:?}");
    let document = session(&home, "", "cluster tls list -o json", &[]);
    assert!(!document.seen.contains('\u{1b}'), "{document:?}");
    home.tls("list").expect(DONE);
}

#[test]
fn what_it_does_not_know_is_a_usage_error() {
    let home = Home::with_authority();
    for line in ["list n1", "list -o xml", "list --yes"] {
        home.tls(line).expect(USAGE);
    }
}
