//! Names of files and texts of strangers on their way to a terminal, which they must not steer.

/// A text of one line with its control characters escaped, ends of lines among them.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The same for a text of several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        let text = "a\u{1b}[31m\u{9b}b\r\n";
        assert_eq!(printable(text), r"a\u{1b}[31m\u{9b}b\r\n");
        assert_eq!(printable_lines(text), "a\\u{1b}[31m\\u{9b}b\\r\n");
        assert_eq!(printable("größe"), "größe");
    }
}
