//! `spice man`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use crate::fixture::{DONE, Home, REFUSED};

/// The help of every command that `--help` leads to, under its words.
fn helps(home: &Home) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut open = vec![vec![]];
    while let Some(words) = open.pop() {
        let mut args: Vec<_> = words.iter().map(String::as_str).collect();
        args.push("--help");
        let help = home.spice(&args).expect(DONE).stdout;
        for below in subcommands(&help) {
            open.push([&words[..], &[below]].concat());
        }
        found.push((words, help));
    }
    found
}

/// The names under `Commands:`.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help
        .split_once("\nCommands:\n")
        .map_or("", |(_, rest)| rest);
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        let is_name = !name.starts_with(' ');
        is_name.then(|| name.split(' ').next().map(ToOwned::to_owned))?
    });
    names.filter(|name| name != "help").collect()
}

/// The long options that have a line of their own.
fn options(help: &str) -> Vec<&str> {
    let lines = help.lines().map(str::trim_start);
    let lines = lines.filter(|line| line.starts_with('-'));
    lines
        .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
        .collect()
}

#[test]
fn every_command_has_a_page_with_its_name_its_options_and_its_examples() {
    let home = Home::new();
    home.spice(&["man", "pages/man1"]).expect(DONE);
    let mut expected = BTreeSet::new();
    for (words, help) in helps(&home) {
        let name = [&["spice".to_owned()], &words[..]].concat().join("-");
        let path = home.work().join(format!("pages/man1/{name}.1"));
        let page = fs::read_to_string(path).unwrap();
        assert!(page.contains(&format!(".TH {name} 1 ")), "{page}");
        let text = page.replace('\\', "");
        for part in [
            ".SH NAME\n",
            ".SH SYNOPSIS\n",
            ".SH OPTIONS\n",
            ".SH EXAMPLES\n",
        ] {
            assert!(text.contains(part), "{name}: {part}");
        }
        let has_commands = !subcommands(&help).is_empty();
        assert_eq!(text.contains(".SH SUBCOMMANDS"), has_commands, "{name}");
        assert!(!options(&help).is_empty(), "{name}");
        for option in options(&help) {
            assert!(text.contains(option), "{name}: {option}");
        }
        expected.insert(format!("{name}.1"));
    }
    assert!(expected.contains("spice-cluster-tls-verify.1"));
    let written = fs::read_dir(home.work().join("pages/man1")).unwrap();
    let written: BTreeSet<_> = written
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn lines_to_type_stay_lines() {
    let home = Home::new();
    home.spice(&["man", "pages"]).expect(DONE);
    let page = fs::read_to_string(home.work().join("pages/spice-cluster-tls-connect.1")).unwrap();
    let (_, codes) = page.split_once(".SH \"EXIT CODES\"\n.nf\n").unwrap();
    let (codes, examples) = codes.split_once(".fi\n.SH EXAMPLES\n.nf\n").unwrap();
    assert!(
        codes.lines().any(|line| line.starts_with("14  chain:")),
        "{codes}"
    );
    assert!(
        examples.starts_with("spice cluster tls connect scheduler1"),
        "{examples}"
    );
}

#[test]
fn plain_files_give_way_and_nothing_else_does() {
    let home = Home::new();
    let pages = home.work().join("pages");
    fs::create_dir(&pages).unwrap();
    let (page, precious) = (pages.join("spice.1"), home.work().join("precious"));
    fs::write(&page, "old").unwrap();
    home.spice(&["man", "pages"]).expect(DONE);
    assert!(fs::read_to_string(&page).unwrap().contains(".TH spice 1"));

    fs::write(&precious, "mine").unwrap();
    fs::remove_file(&page).unwrap();
    symlink(&precious, &page).unwrap();
    let ended = home.spice(&["man", "pages"]).expect(REFUSED);
    assert!(
        ended.stderr.contains("pages/spice.1 is not a plain file"),
        "{ended:?}"
    );
    assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
    assert!(page.is_symlink());

    let ended = home.spice(&["man", "precious"]).expect(REFUSED);
    assert!(ended.stderr.contains("cannot write precious"), "{ended:?}");
}
