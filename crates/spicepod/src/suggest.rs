//! "Did you mean": the nearest of the words that would have been right.

/// The candidate that `word` most likely meant, or none when nothing is close.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    // Two letters that changed places count as two edits, so four letters must allow two.
    let allowed = match word.chars().count() {
        0..=3 => 1,
        4..=8 => 2,
        _ => 3,
    };
    candidates
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in characters, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_behind_a_slip() {
        let keys = ["datasets", "views", "name", "version"];
        assert_eq!(nearest("dataset", &keys), Some("datasets"));
        assert_eq!(nearest("Views", &keys), Some("views"));
        assert_eq!(nearest("nmae", &["kind", "name"]), Some("name"));
        assert_eq!(nearest("verison", &keys), Some("version"));
    }

    #[test]
    fn stays_silent_where_nothing_is_close() {
        assert_eq!(nearest("telemetry", &["datasets", "views"]), None);
        assert_eq!(nearest("", &["sql"]), None);
    }
}
