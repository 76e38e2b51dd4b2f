//! Cutting typed lines into statements.

/// Lines that wait for their `;`.
///
/// A `;` inside quotes or comments ends nothing. That is all that is understood of SQL here; the
/// server says what is wrong with a statement.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    text: String,
}

impl Statements {
    /// Takes a line and returns the statements that it completes, without their `;`.
    pub(crate) fn push_line(&mut self, line: &str) -> Vec<String> {
        self.text.push_str(line);
        self.text.push('\n');
        let mut complete = Vec::new();
        while let Some((statement, rest)) = split_first(&self.text) {
            complete.extend(statement);
            self.text = rest;
        }
        complete
    }

    /// Whether a statement has been begun.
    pub(crate) fn is_pending(&self) -> bool {
        scan(&self.text).has_code
    }

    /// Forgets the lines of an incomplete statement.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
    }

    /// The last statement, where its `;` was left out.
    pub(crate) fn finish(self) -> Option<String> {
        self.is_pending().then(|| self.text.trim().to_owned())
    }
}

/// The first statement, or nothing where there is only a comment before the `;`, and the rest.
fn split_first(text: &str) -> Option<(Option<String>, String)> {
    let scanned = scan(text);
    let end = scanned.end?;
    let statement = text[..end].trim().to_owned();
    let rest = text[end + 1..].to_owned();
    Some((scanned.has_code.then_some(statement), rest))
}

struct Scanned {
    /// Where the first `;` is that ends a statement.
    end: Option<usize>,
    /// Whether there is anything before it but space and comments.
    has_code: bool,
}

#[derive(Clone, Copy)]
enum Inside {
    Code,
    /// Ended by this quote; a doubled one ends and begins it again, which comes out the same.
    Quotes(char),
    LineComment,
    BlockComment,
}

fn scan(text: &str) -> Scanned {
    let mut inside = Inside::Code;
    let mut has_code = false;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let following = characters.peek().map(|(_, next)| *next);
        let (next, skip) = step(inside, character, following);
        if let (Inside::Code, Inside::Code | Inside::Quotes(_)) = (inside, next) {
            if character == ';' {
                let end = Some(at);
                return Scanned { end, has_code };
            }
            has_code |= !character.is_whitespace();
        }
        inside = next;
        if skip {
            characters.next();
        }
    }
    Scanned {
        end: None,
        has_code,
    }
}

/// What the next character is inside of, and whether this one took its successor with it.
fn step(inside: Inside, character: char, following: Option<char>) -> (Inside, bool) {
    match (inside, character, following) {
        (Inside::Code, '\'' | '"', _) => (Inside::Quotes(character), false),
        (Inside::Code, '-', Some('-')) => (Inside::LineComment, true),
        (Inside::Code, '/', Some('*')) => (Inside::BlockComment, true),
        (Inside::Quotes(quote), _, _) if character == quote => (Inside::Code, false),
        (Inside::LineComment, '\n', _) => (Inside::Code, false),
        (Inside::BlockComment, '*', Some('/')) => (Inside::Code, true),
        _ => (inside, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(lines: &[&str]) -> (Vec<String>, Option<String>) {
        let mut statements = Statements::default();
        let complete = lines
            .iter()
            .flat_map(|line| statements.push_line(line))
            .collect();
        (complete, statements.finish())
    }

    fn complete(lines: &[&str]) -> Vec<String> {
        let (complete, rest) = statements(lines);
        assert_eq!(rest, None, "{lines:?}");
        complete
    }

    #[test]
    fn a_statement_may_span_lines_and_a_line_may_hold_several() {
        assert_eq!(complete(&["SELECT", "1;"]), ["SELECT\n1"]);
        assert_eq!(complete(&["SELECT 1; SELECT 2;"]), ["SELECT 1", "SELECT 2"]);
    }

    #[test]
    fn the_last_statement_may_lack_its_end() {
        let (complete, rest) = statements(&["SELECT 1; SELECT", "2"]);
        assert_eq!(complete, ["SELECT 1"]);
        assert_eq!(rest.as_deref(), Some("SELECT\n2"));
    }

    #[test]
    fn quotes_and_comments_hide_the_end() {
        for text in [
            "SELECT ';';",
            "SELECT ';''; --';",
            "SELECT \"a;b\";",
            "SELECT 1 /* ; ' */;",
            "SELECT '--', '/*';",
            "SELECT 1 - -1 / 2;",
        ] {
            assert_eq!(complete(&[text]), [text.trim_end_matches(';')]);
        }
        assert_eq!(complete(&["SELECT 1 -- ;", ";"]), ["SELECT 1 -- ;"]);
        assert_eq!(complete(&["SELECT 'a;", "b';"]), ["SELECT 'a;\nb'"]);
    }

    #[test]
    fn empty_statements_and_comments_are_not_run() {
        assert_eq!(complete(&["", ";;", " -- nothing", "/* ; */ ;"]), [""; 0]);
    }

    #[test]
    fn a_cleared_statement_is_forgotten() {
        let mut statements = Statements::default();
        assert!(statements.push_line("SELECT 'a").is_empty());
        assert!(statements.is_pending());
        statements.clear();
        assert!(!statements.is_pending());
        assert_eq!(statements.push_line("SELECT 1;"), ["SELECT 1"]);
    }
}
