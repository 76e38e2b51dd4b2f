//! Words that somebody else chose, made fit to be repeated: one bounded line without anything that
//! could steer a terminal.

/// What a server says, as a part of a text of ours.
pub(crate) fn said(text: &str) -> String {
    line(text, SAID_CHARACTERS)
}

/// A whole text for whoever asks.
pub(crate) fn shown(text: &str) -> String {
    line(text, SHOWN_CHARACTERS)
}

/// A whole text for the log.
pub(crate) fn logged(text: &str) -> String {
    line(text, LOGGED_CHARACTERS)
}

/// No more of the text is looked at than it takes, with what cannot be printed left out.
fn line(text: &str, characters: usize) -> String {
    let spaced = text
        .chars()
        .map(|it| if it.is_whitespace() { ' ' } else { it });
    let mut printable = spaced.filter(|it| !it.is_control() && !STEERING.contains(it));
    let mut line: String = printable.by_ref().take(characters).collect();
    if printable.next().is_some() {
        line.push_str(" ...");
    }
    line
}

/// Marks without a width, and those that turn the direction of what follows.
const STEERING: [char; 14] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

const SAID_CHARACTERS: usize = 200;

/// The longest advice of ours, with names around it, and what a server said.
const SHOWN_CHARACTERS: usize = 400;

const LOGGED_CHARACTERS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_one_bounded_line() {
        assert_eq!(
            said("starting up\r\nwait\u{1b}[31m\u{202e}"),
            "starting up  wait[31m"
        );
        assert_eq!(said("é"), "é");
        let long = "words ".repeat(1_000_000);
        for (text, limit) in [
            (said(&long), 200),
            (shown(&long), 400),
            (logged(&long), 1000),
        ] {
            assert_eq!(text.chars().count(), limit + 4);
            assert!(text.ends_with(" ..."), "{text}");
        }
        let fits = "a".repeat(200);
        assert_eq!(said(&fits), fits);
    }
}
