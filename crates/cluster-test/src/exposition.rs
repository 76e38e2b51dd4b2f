//! Whether a text is an exposition in the OpenMetrics format, for tests that must not believe it.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};

/// Checks that every family is described once and stands together, that its samples have names of
/// its type and labels that end where they should, that no series comes twice, and that the text
/// ends where it says.
pub(crate) fn check(text: &str) -> Result<()> {
    let body = text
        .strip_suffix("# EOF\n")
        .context("it does not end with # EOF")?;
    let mut reader = Reader::default();
    for line in body.split_terminator('\n') {
        reader
            .read(line)
            .with_context(|| format!("line {line:?}"))?;
    }
    Ok(())
}

#[derive(Default)]
struct Reader {
    families: HashSet<String>,
    described: HashSet<String>,
    series: HashSet<String>,
    family: String,
    kind: String,
}

impl Reader {
    fn read(&mut self, line: &str) -> Result<()> {
        ensure!(!line.contains(char::is_control), "control characters");
        match line.strip_prefix("# ") {
            Some(comment) => self.comment(comment),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<()> {
        let (word, rest) = comment.split_once(' ').context("a comment of one word")?;
        let (name, text) = rest.split_once(' ').context("a comment without text")?;
        ensure!(
            ["HELP", "TYPE", "UNIT"].contains(&word),
            "a comment of no kind"
        );
        ensure!(
            self.described.insert(format!("{word} {name}")),
            "said twice"
        );
        if self.family != name {
            ensure!(
                self.families.insert(name.to_owned()),
                "a family in two places"
            );
            name.clone_into(&mut self.family);
            "unknown".clone_into(&mut self.kind);
        }
        if word == "TYPE" {
            text.clone_into(&mut self.kind);
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<()> {
        let suffix = line
            .strip_prefix(&self.family)
            .context("of another family")?;
        let at = suffix.find(['{', ' ']).context("no value")?;
        let (suffix, rest) = suffix.split_at(at);
        let known: &[&str] = match self.kind.as_str() {
            "gauge" => &[""],
            "counter" => &["_total", "_created"],
            "histogram" => &["_bucket", "_count", "_sum", "_created"],
            other => bail!("of the type {other}"),
        };
        ensure!(known.contains(&suffix), "no sample of a {}", self.kind);
        let (labels, value) = labels(rest)?;
        let series = format!("{}{suffix}{labels}", self.family);
        ensure!(self.series.insert(series), "a series that was there before");
        let value = value
            .strip_prefix(' ')
            .context("no space before the value")?;
        let _: f64 = value.parse().context("no number")?;
        Ok(())
    }
}

/// The labels with their braces, and what follows them.
fn labels(text: &str) -> Result<(&str, &str)> {
    if !text.starts_with('{') {
        return Ok(("", text));
    }
    let mut rest = &text[1..];
    let mut names = HashSet::new();
    loop {
        let (name, quoted) = rest.split_once("=\"").context("a label without value")?;
        let sound = !name.is_empty()
            && name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_');
        ensure!(sound && names.insert(name), "the label {name:?}");
        let end = closing_quote(quoted)?;
        rest = &quoted[end + 1..];
        match rest.as_bytes().first() {
            Some(b',') => rest = &rest[1..],
            Some(b'}') => return Ok(text.split_at(text.len() - rest.len() + 1)),
            _ => bail!("nothing ends the labels"),
        }
    }
}

fn closing_quote(text: &str) -> Result<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => {
                ensure!(matches!(byte, b'\\' | b'"' | b'n'), "an escape of nothing");
                escaped = false;
            }
            b'\\' => escaped = true,
            b'"' => return Ok(at),
            _ => {}
        }
    }
    bail!("a value without end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exposition_is_told_from_what_only_looks_like_one() {
        let good = "# TYPE a counter\n# HELP a Help\na_total{x=\"1\\\"\\n\"} 1\na_total{x=\"2\"} 1\n\
                    # TYPE b gauge\nb 2.5\n# EOF\n";
        check(good).unwrap();
        for (from, to) in [
            ("# EOF\n", ""),
            ("# EOF\n", "# EOF\nb 1\n# EOF\n"),
            ("# TYPE b", "# TYPE a"),
            ("x=\"2\"", "x=\"1\\\"\\n\""),
            ("x=\"2\"", "x=\"2"),
            ("x=\"2\"", "x=\"2\",x=\"3\""),
            ("x=\"2\"", "x=\"\\2\""),
            ("a_total{x=\"2\"}", "a{x=\"2\"}"),
            ("b 2.5", "b"),
            ("b 2.5", "b x"),
            ("b 2.5", "a_total 3"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
