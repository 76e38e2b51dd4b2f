//! Why a spicepod is not used, in words that strangers may read.
//!
//! Whoever reaches the HTTP port reads them. So they hold neither the path of the manifest nor
//! what stands there where a value belongs, nor a key that is none, nor the SQL of a view, and of a
//! secret store nothing that went wrong in it.

use spice_runtime::{OpenError, OpenFault};
use spicepod::{Finding, LoadError};

use super::adoption::ManifestFault;
use crate::faults::chain;

/// The reason, in one bounded line.
pub(super) fn shown(fault: &ManifestFault) -> String {
    let text = match fault {
        ManifestFault::Load(error) => not_read(error),
        ManifestFault::Open(error) => not_opened(error),
        ManifestFault::Unsettled { .. }
        | ManifestFault::Silent { .. }
        | ManifestFault::Executors(_) => chain(fault),
    };
    let printable = text.chars().filter(|character| !character.is_control());
    bounded(&printable.collect::<String>())
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARACTERS) {
        Some((end, _)) => format!("{} ... ({LOG})", &text[..end]),
        None => text.to_owned(),
    }
}

fn not_read(error: &LoadError) -> String {
    match error {
        LoadError::NotFound { .. } => "it is not there any more".to_owned(),
        LoadError::Read { source, .. } => format!("it cannot be read: {source}"),
        LoadError::TooLarge { limit, .. } => format!("it is larger than {limit} bytes"),
        LoadError::Invalid { findings } => listed(findings, found),
        _ => LOG.to_owned(),
    }
}

fn not_opened(error: &OpenError) -> String {
    listed(&error.faults, OpenFault::shown)
}

fn listed<T>(faults: &[T], told: impl Fn(&T) -> String) -> String {
    let told: Vec<_> = faults.iter().map(told).collect();
    told.join("; ")
}

/// A remark about a key has words of ours. What is no YAML is repeated by its reader, and what is
/// taken for a key where one is mistyped may be a value: of a key that is none its place is shown.
fn found(finding: &Finding) -> String {
    let place = finding.position.map_or_else(String::new, |at| {
        format!("line {}, column {}: ", at.line, at.column)
    });
    if let Some(section) = &finding.unknown_in {
        let section = if section.is_empty() { "it" } else { section };
        return format!("{place}{section} has an unknown key; the log says which");
    }
    let of_a_path = |it: char| it.is_ascii_alphanumeric() || "_.[]".contains(it);
    if finding.path.is_empty() || !finding.path.chars().all(of_a_path) {
        return format!("{place}{LOG}");
    }
    format!("{place}{}: {}", finding.path, without_value(finding))
}

/// A message that begins with what stands there says the rest about it.
fn without_value(finding: &Finding) -> String {
    let message = &finding.message;
    match message.strip_prefix('`').and_then(|it| it.split_once('`')) {
        Some((_, rest)) => format!("what is there{rest}"),
        None => message.clone(),
    }
}

const LOG: &str = "the log says what is wrong";

const REASON_CHARACTERS: usize = 300;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is shown of a manifest that lies in a directory with a name of its own.
    fn of(text: &str) -> String {
        let error = spicepod::parse(text, Path::new("/hidden/spicepod.yaml")).unwrap_err();
        shown(&ManifestFault::Load(error))
    }

    fn with(params: &str) -> String {
        let dataset = format!("datasets: [{{name: t, from: 'postgres:t', params: {params}}}]");
        of(&format!(
            "version: v1\nkind: Spicepod\nname: a\n{dataset}\n"
        ))
    }

    #[test]
    fn a_fault_is_shown_with_its_place_its_key_and_what_to_do() {
        let text =
            "version: v1\nkind: Spicepod\nname: a\ndatasets:\n  - {name: t, form: 'file:t.csv'}\n";
        let shown = of(text);
        for word in [
            "line 5, ",
            "datasets[0] has an unknown key; the log says which",
            "datasets[0]: the key `from` is missing",
        ] {
            assert!(shown.contains(word), "no {word} in {shown}");
        }
        let shown = of("version: v1\nkind: Spicepod\nname: a\nnmae: b\n");
        assert_eq!(
            shown,
            "line 4, column 1: it has an unknown key; the log says which"
        );
    }

    #[test]
    fn nothing_that_may_be_a_secret_and_no_path_is_shown() {
        for text in [
            with("{pg_pass:hunter2}"),
            with("{pg_sslmode: hunter2, pg_host: a, pg_db: a, pg_user: a, pg_pass: hunter2}"),
            with("{pg_pass: *hunter2}"),
            with("{pg_host: a, pg_db: a, pg_user: a, pg_pass, hunter2}"),
            with("{pg_host: a, pg_db: a, pg_user: a, pg_pass, hunter2.pg_pass}"),
            with("{pg_pass: [hunter2]}"),
            of("pg_pass: 'hunter2"),
            of("pg_pass:hunter2"),
            of("hunter2"),
        ] {
            assert!(!text.is_empty());
            assert!(!text.contains("hunter2"), "{text}");
            assert!(!text.contains("hidden"), "{text}");
        }
    }

    #[test]
    fn a_reason_is_one_bounded_line() {
        let keys: Vec<String> = (0..30).map(|key| format!("a{key}: x")).collect();
        let text = with(&format!("{{{}}}", keys.join(", ")));
        assert!(
            text.ends_with(" ... (the log says what is wrong)"),
            "{text}"
        );
        assert!(text.chars().count() < REASON_CHARACTERS + 50, "{text}");
        assert!(!text.contains('\n'));
    }
}
