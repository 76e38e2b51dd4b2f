//! `spice sql` at a terminal.

use std::fs;
use std::path::PathBuf;

use crate::fixture::{DONE, Home, mode};
use crate::server::{FakeNode, NOTHING, ROWS};
use crate::terminal::session;

/// What a person sees who types the lines.
fn typed(home: &Home, options: &str, lines: &[&str]) -> String {
    let node = FakeNode::start();
    let args = format!("sql --flight-endpoint {} {options}", node.url());
    let ended = session(home, "", &args, lines);
    assert_eq!(ended.code, DONE, "{ended:?}");
    ended.seen
}

fn history(home: &Home) -> PathBuf {
    home.pki().with_file_name("sql_history")
}

#[test]
fn what_was_typed_is_kept_for_its_owner_alone_and_nothing_with_a_space_before_it() {
    let home = Home::new();
    let rows = format!("{ROWS};");
    let secret = format!(" {NOTHING};");
    typed(
        &home,
        "",
        &[&rows, &secret, "SELECT", "broken;", ".help", "exit"],
    );
    let kept = fs::read_to_string(history(&home)).unwrap();
    assert_eq!(kept, format!("#V2\n{ROWS};\nSELECT\\nbroken;\n"));
    assert_eq!(mode(&history(&home)), 0o600);
    let nothing = format!("{NOTHING};");
    typed(&home, "", &[&nothing, "exit"]);
    let kept = fs::read_to_string(history(&home)).unwrap();
    assert!(kept.ends_with(&format!("broken;\n{NOTHING};\n")), "{kept}");
}

#[test]
fn a_history_that_cannot_be_kept_is_a_warning_once() {
    let home = Home::new();
    fs::create_dir_all(history(&home)).unwrap();
    let rows = format!("{ROWS};");
    let seen = typed(&home, "-o csv", &[&rows, &rows, "exit"]);
    assert_eq!(
        seen.matches("warning: no history is kept in").count(),
        1,
        "{seen}"
    );
    assert_eq!(seen.matches("1,\"a,b\"").count(), 2, "{seen}");
}

#[test]
fn the_prompt_explains_itself_and_times_tables() {
    let home = Home::new();
    let rows = format!("{ROWS};");
    let seen = typed(&home, "", &[".help", ".timing on", &rows, "exit"]);
    for part in [
        "`.help` lists the rest",
        "one that begins with a space",
        "error: there is no `.timing on` here",
        "next: .help",
        "2 rows in 0.",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let seen = typed(&home, "-o csv", &[&rows, "exit"]);
    assert!(!seen.contains(" rows in "), "{seen}");
    let seen = typed(&home, "-o csv --timing", &[&rows, "exit"]);
    assert!(seen.contains("2 rows in 0."), "{seen}");
}
