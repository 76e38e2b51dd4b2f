//! How much a scheduler may say about itself: pure.

use std::collections::BTreeMap;

/// The labels of an entry that are shown. Anybody who writes to the state wrote them, and an answer
/// that names sixty-four schedulers has to stay within what executors read.
pub(super) fn shown(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let sound = labels
        .iter()
        .filter(|(name, value)| name.len() <= NAME_BYTES && value.len() <= VALUE_BYTES);
    let shown = sound.take(LABELS);
    shown
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// With the sizes below some three kibibytes.
const LABELS: usize = 16;

/// As Kubernetes has it.
const NAME_BYTES: usize = 63;

const VALUE_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: impl IntoIterator<Item = (String, usize)>) -> BTreeMap<String, String> {
        let labels = names.into_iter();
        labels
            .map(|(name, bytes)| (name, "v".repeat(bytes)))
            .collect()
    }

    #[test]
    fn as_many_as_there_may_be_are_shown_whole_and_the_others_not() {
        let sound = labels((0..LABELS).map(|it| (format!("{it:063}"), VALUE_BYTES)));
        assert_eq!(shown(&sound), sound);
        let mut more = sound.clone();
        more.extend(labels([
            ("0".repeat(NAME_BYTES + 1), 1),
            ("00".to_owned(), VALUE_BYTES + 1),
            ("z".to_owned(), 1),
        ]));
        assert_eq!(shown(&more), sound);
    }
}
