//! A command line that was not understood, as a failure.

use clap::error::ErrorKind;

use super::{Failure, FailureKind};

impl Failure {
    /// What clap says, in two parts: what is wrong, and a tip, the usage or where the help is.
    pub(crate) fn from_usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(one_line);
        let message = match error.kind() {
            // The text is the help itself.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a command is missing".to_owned()
            }
            _ => paragraphs.next().unwrap_or_default(),
        };
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        let failure = Self::new(message).of_kind(FailureKind::Usage);
        let next = paragraphs.find_map(|paragraph| {
            let stripped = LEADS.iter().find_map(|lead| paragraph.strip_prefix(lead));
            stripped.map(ToOwned::to_owned)
        });
        match next {
            Some(next) => failure.with_next(next),
            None => failure,
        }
    }
}

fn one_line(paragraph: &str) -> String {
    let words: Vec<_> = paragraph.split_whitespace().collect();
    words.join(" ")
}

/// How the paragraphs begin that say what to do.
const LEADS: [&str; 3] = ["tip: ", "Usage: ", "For more information, "];
