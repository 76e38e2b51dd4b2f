//! This node's own registry as values. Its encoder writes text and nothing else, so the text is
//! read.

use std::fmt;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;

use super::family::{Buckets, Family, Kind, Series, Value};

/// The families of `registry`; `None` where its text is not what its encoder is known to write.
pub(super) fn families(registry: &Registry) -> Option<Vec<Family>> {
    let mut text = String::new();
    encode_registry(&mut text, registry).ok()?;
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(comment) => describe(&mut families, comment)?,
            None => families.last_mut()?.add(line)?,
        }
    }
    Some(families)
}

/// Takes `HELP`, which begins a family, `TYPE` or `UNIT`.
fn describe(families: &mut Vec<Family>, comment: &str) -> Option<()> {
    let (word, rest) = comment.split_once(' ')?;
    let (name, text) = rest.split_once(' ')?;
    if word == "HELP" {
        families.push(Family {
            name: name.to_owned(),
            help: text.to_owned(),
            unit: String::new(),
            kind: Kind::Gauge,
            series: vec![],
        });
        return Some(());
    }
    let family = families.last_mut().filter(|family| family.name == name)?;
    match (word, text) {
        ("TYPE", "counter") => family.kind = Kind::Counter,
        ("TYPE", "gauge") => family.kind = Kind::Gauge,
        ("TYPE", "histogram") => family.kind = Kind::Histogram,
        ("UNIT", unit) => unit.clone_into(&mut family.unit),
        _ => return None,
    }
    Some(())
}

impl Family {
    fn add(&mut self, line: &str) -> Option<()> {
        let rest = line.strip_prefix(&self.name)?;
        let at = rest.find([' ', '{'])?;
        let (suffix, rest) = rest.split_at(at);
        let (mut labels, value) = labels(rest)?;
        match (self.kind, suffix) {
            (Kind::Gauge, "") | (Kind::Counter, "_total") => {
                let value = number(value)?;
                self.series.push(Series { labels, value });
                Some(())
            }
            (Kind::Histogram, "_sum") => {
                let buckets = Buckets {
                    sum: value.parse().ok()?,
                    ..Buckets::default()
                };
                let value = Value::Histogram(buckets);
                self.series.push(Series { labels, value });
                Some(())
            }
            // The last bucket says the same.
            (Kind::Histogram, "_count") => Some(()),
            (Kind::Histogram, "_bucket") => {
                let at = labels.iter().position(|(name, _)| name == "le")?;
                let (_, bound) = labels.remove(at);
                self.bucket(&labels, &bound, value)
            }
            _ => None,
        }
    }

    /// Buckets follow their sum, and count what is in the ones before as well.
    fn bucket(&mut self, labels: &[(String, String)], bound: &str, count: &str) -> Option<()> {
        let series = self.series.last_mut()?;
        let Value::Histogram(buckets) = &mut series.value else {
            return None;
        };
        let before: u64 = buckets.counts.iter().sum();
        let count: u64 = count.parse().ok()?;
        buckets.counts.push(count.checked_sub(before)?);
        if bound != "+Inf" {
            buckets.bounds.push(bound.parse().ok()?);
        }
        (series.labels == labels).then_some(())
    }
}

fn number(text: &str) -> Option<Value> {
    match text.parse() {
        Ok(integer) => Some(Value::Integer(integer)),
        Err(_) => text.parse().ok().map(Value::Number),
    }
}

type Labels = Vec<(String, String)>;

/// `{a="b",c="d"} 1`, or without labels ` 1`.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut labels = vec![];
    let Some(mut rest) = text.strip_prefix('{') else {
        return Some((labels, text.strip_prefix(' ')?));
    };
    loop {
        if let Some(value) = rest.strip_prefix("} ") {
            return Some((labels, value));
        }
        rest = rest.strip_prefix(',').unwrap_or(rest);
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquoted(quoted)?;
        labels.push((name.to_owned(), value));
        rest = after;
    }
}

/// The text up to the closing quote, and what follows that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        let (at, character) = characters.next()?;
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(integer) => write!(f, "{integer}"),
            Value::Number(number) if number.is_nan() => f.write_str("NaN"),
            Value::Number(number) if number.is_infinite() => {
                f.write_str(if *number > 0.0 { "+Inf" } else { "-Inf" })
            }
            Value::Number(number) => write!(f, "{number:?}"),
            Value::Histogram(buckets) => write!(f, "{:?}", buckets.sum),
        }
    }
}

#[cfg(test)]
pub(super) use tests::registry as sample;

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family as Registered;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Unit;

    use super::*;

    type LabelledGauge = Registered<Vec<(String, String)>, Gauge>;

    pub(in crate::metrics) fn registry() -> Registry {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        counter.inc_by(3);
        registry.register("tasks", "Tasks \\ that ended", counter);
        let gauge = LabelledGauge::default();
        for name in ["plain", "with \"quotes\", \\ and\nlines} 1"] {
            let labels = vec![("name".to_owned(), name.to_owned())];
            gauge.get_or_create(&labels).set(-7);
        }
        registry.register_with_unit("age", "An age", Unit::Seconds, gauge);
        let histogram = Histogram::new([0.5, 1.0]);
        for observed in [0.1, 0.7, 0.8, 20.0] {
            histogram.observe(observed);
        }
        registry.register("took_ms", "How long it took", histogram);
        registry.register(
            "never",
            "Empty",
            Registered::<Vec<(String, String)>, Counter>::default(),
        );
        registry
    }

    #[test]
    fn a_registry_is_read_as_it_was_written() {
        let mut families = families(&registry()).unwrap();
        families.sort_by(|one, other| one.name.cmp(&other.name));
        let [age, tasks, took] = families.as_mut_slice() else {
            panic!("{families:#?}");
        };
        assert_eq!(
            (age.name.as_str(), age.unit.as_str()),
            ("age_seconds", "seconds")
        );
        age.series
            .sort_by(|one, other| one.labels.cmp(&other.labels));
        let [plain, quoted] = age.series.as_slice() else {
            panic!("{age:#?}");
        };
        assert_eq!(plain.labels, [("name".to_owned(), "plain".to_owned())]);
        assert_eq!(quoted.labels[0].1, "with \"quotes\", \\ and\nlines} 1");
        assert_eq!(quoted.value, Value::Integer(-7));
        assert_eq!(tasks.series[0].value, Value::Integer(3));
        assert_eq!(tasks.help, "Tasks \\ that ended.");
        let Value::Histogram(buckets) = &took.series[0].value else {
            panic!("{took:#?}");
        };
        assert_eq!(buckets.bounds, [0.5, 1.0]);
        assert_eq!(buckets.counts, [1, 2, 1]);
        assert!((buckets.sum - 21.6).abs() < 1e-9);
    }
}
