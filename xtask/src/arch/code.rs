//! The code of a source file: the text without comments, literals and tests.

/// Gives `text` with every comment and literal blanked out, so that what is left is code.
/// Lines keep their numbers. Tests at the end of the file are cut off.
pub(super) fn of(text: &str) -> String {
    let mut scanner = Scanner::new(text);
    while scanner.step() {}
    let end = tests_at(&scanner.code).unwrap_or(scanner.code.len());
    scanner.code.truncate(end);
    scanner.code
}

/// Where the inline test module begins. A declaration (`mod tests;`) hides nothing.
fn tests_at(code: &str) -> Option<usize> {
    const MARK: &str = "#[cfg(test)]";
    code.match_indices(MARK)
        .find(|(start, _)| {
            let item = code[start + MARK.len()..].trim_start();
            let head = item.split(['{', ';']).next().unwrap_or(item);
            item.starts_with("mod ") && item[head.len()..].starts_with('{')
        })
        .map(|(start, _)| start)
}

struct Scanner<'a> {
    rest: &'a str,
    code: String,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            code: String::with_capacity(text.len()),
        }
    }

    /// Takes one token; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        if let Some(length) = self.skipped() {
            self.blank(length);
        } else if is_word(first) {
            // A whole word at once, so that the `r` of `for"` starts no raw string.
            let length = self
                .rest
                .find(|letter| !is_word(letter))
                .unwrap_or(self.rest.len());
            self.keep(length);
        } else {
            self.keep(first.len_utf8());
        }
        true
    }

    /// The length of the comment or literal that starts here.
    fn skipped(&self) -> Option<usize> {
        let rest = self.rest;
        if rest.starts_with("//") {
            return Some(rest.find('\n').unwrap_or(rest.len()));
        }
        if rest.starts_with("/*") {
            return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
        }
        if rest.starts_with('"') {
            return Some(quoted(rest, '"'));
        }
        if rest.starts_with('\'') {
            return character(rest);
        }
        raw_string(rest)
    }

    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.code.push_str(kept);
        self.rest = rest;
    }

    fn blank(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        let lines = skipped.matches('\n').count();
        self.code
            .extend(std::iter::once(' ').chain(std::iter::repeat_n('\n', lines)));
        self.rest = rest;
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of a literal that ends at the next `quote` without a backslash before it.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, letter) in rest.char_indices().skip(1) {
        if !escaped && letter == quote {
            return index + letter.len_utf8();
        }
        escaped = !escaped && letter == '\\';
    }
    rest.len()
}

/// `'x'` and `'\n'` are literals; `'a` alone is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    let (_, first) = letters.next()?;
    let (_, second) = letters.next()?;
    (first == '\\' || second == '\'').then(|| quoted(rest, '\''))
}

/// `r"..."`, `br"..."`, `r#"..."#` and so on.
fn raw_string(rest: &str) -> Option<usize> {
    let after_r = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let body = after_r.trim_start_matches('#');
    let hashes = after_r.len() - body.len();
    let inner = body.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - inner.len();
    Some(
        inner
            .find(&end)
            .map_or(rest.len(), |found| start + found + end.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "let a = \"danger\"; // danger\n/* danger\n */ let b = r#\"danger\"#;\nlet c = '\"'; danger();";
        let code = of(text);
        assert_eq!(code.matches("danger").count(), 1, "{code}");
        assert_eq!(code.lines().count(), text.lines().count(), "{code}");
        assert!(code.ends_with("danger();"), "{code}");
    }

    #[test]
    fn a_lifetime_does_not_swallow_the_code_after_it() {
        assert_eq!(of("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn an_escaped_quote_does_not_end_the_literal() {
        assert_eq!(of(r#"f("a\"danger", '\'', danger)"#), "f( ,  , danger)");
    }

    #[test]
    fn tests_at_the_end_are_cut_off() {
        assert_eq!(
            of("fn f() {}\n#[cfg(test)]\nmod tests { danger(); }"),
            "fn f() {}\n"
        );
    }

    #[test]
    fn code_after_a_declared_test_module_stays() {
        let text = "#[cfg(test)]\nmod tests;\nfn f() {}";
        assert_eq!(of(text), text);
    }
}
