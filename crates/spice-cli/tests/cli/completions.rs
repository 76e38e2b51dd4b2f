//! `spice completions`.

use std::fs;
use std::process::Command;

use crate::fixture::{DONE, Home, USAGE};

/// What bash offers for the last of the words.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let script = home.work().join("spice.bash");
    let text = home.spice(&["completions", "bash"]).expect(DONE).stdout;
    fs::write(&script, text).unwrap();
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let asking = format!(
        "source spice.bash; COMP_WORDS=({}); COMP_CWORD={}; _spice spice '{last}' '{before}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"; complete -p spice",
        words.join(" "),
        words.len() - 1
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &asking])
        .current_dir(home.work());
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut lines: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(ToOwned::to_owned)
        .collect();
    let registered = lines.pop().unwrap();
    assert!(registered.contains("-F _spice"), "{registered}");
    lines
}

#[test]
fn bash_completes_commands_and_options() {
    let home = Home::new();
    assert_eq!(offered(&home, &["spice", "cluster", "tls", "a"]), ["add"]);
    assert_eq!(offered(&home, &["spice", "clu"]), ["cluster"]);
    let options = ["spice", "cluster", "tls", "verify", "--cer"];
    assert_eq!(offered(&home, &options), ["--cert"]);
    let roles = offered(&home, &["spice", "cluster", "tls", "add", "--role", "s"]);
    assert_eq!(roles, ["scheduler"]);
    assert_eq!(
        offered(&home, &["spice", "cluster", "tls", "nothing"]),
        [""]
    );
}

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.spice(&["completions", shell]).expect(DONE).stdout;
        for word in ["spice", "cluster", "verify", "flight-endpoint"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("manual page"), "{shell}: what is hidden");
    }
    home.spice(&["completions", "tcsh"]).expect(USAGE);
    let help = home.spice(&["completions", "--help"]).expect(DONE).stdout;
    assert!(help.contains("bash-completion/completions/spice"), "{help}");
}
