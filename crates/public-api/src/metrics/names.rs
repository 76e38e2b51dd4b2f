//! What may stand in an exposition, whoever sent it.

use std::fmt::Write as _;

/// Whether `name` may name a family.
pub(super) fn is_family_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts_well && is_word(name, b"_:") && name.len() <= NAME_LIMIT_BYTES
}

/// Whether another node may use a label of this name: not those that say which node it is, nor
/// those with a meaning of their own.
pub(super) fn is_label_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts_well
        && is_word(name, b"_")
        && name.len() <= NAME_LIMIT_BYTES
        && !name.starts_with("__")
        && !RESERVED_LABELS.contains(&name)
}

fn is_word(text: &str, more: &[u8]) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

/// Writes `text` as a label value or a help text: on one line, unmistakable, and no longer than a
/// person reads.
pub(super) fn write_escaped(text: &str, to: &mut String) {
    for character in text.chars().take(TEXT_LIMIT_CHARACTERS) {
        match character {
            '\\' => to.push_str("\\\\"),
            '"' => to.push_str("\\\""),
            '\n' => to.push_str("\\n"),
            // Some readers take other characters for line ends too.
            other if other.is_control() || matches!(other, '\u{2028}' | '\u{2029}') => {
                to.push(char::REPLACEMENT_CHARACTER);
            }
            other => to.push(other),
        }
    }
}

/// Writes `name="value"`.
pub(super) fn write_label(name: &str, value: &str, to: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(to, "{name}=\"");
    write_escaped(value, to);
    to.push('"');
}

const RESERVED_LABELS: [&str; 4] = ["node_id", "node_role", "le", "quantile"];

const NAME_LIMIT_BYTES: usize = 200;

const TEXT_LIMIT_CHARACTERS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        for name in ["a", "_a", "a_1", "node_tasks", "ns:a"] {
            assert!(is_family_name(name), "{name}");
        }
        for name in ["", "1a", "a b", "a{", "a\n", "ä", &"a".repeat(201)] {
            assert!(!is_family_name(name), "{name}");
            assert!(!is_label_name(name), "{name}");
        }
        for name in ["node_id", "node_role", "le", "quantile", "__name__", "a:b"] {
            assert!(!is_label_name(name), "{name}");
        }
        assert!(is_label_name("role"));
    }

    #[test]
    fn a_value_stays_within_its_quotes_and_its_line() {
        let mut text = String::new();
        write_label("a", "x\"} 1\nevil 1\r\u{2028}\u{7}\\", &mut text);
        assert_eq!(text, "a=\"x\\\"} 1\\nevil 1\u{fffd}\u{fffd}\u{fffd}\\\\\"");
        text.clear();
        write_escaped(&"x".repeat(1000), &mut text);
        assert_eq!(text.len(), TEXT_LIMIT_CHARACTERS);
    }
}
