//! One page of the metrics of many nodes.
//!
//! What another node sends is shown under labels that it cannot choose, `node_id` and `node_role`,
//! and only where the page stays what readers expect: every family once with its type, no series
//! twice, no sample name of two families. The rest of it is left out and counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use super::family::{Buckets, Family, Kind, Series, Value};
use super::names::{is_family_name, is_label_name, write_escaped, write_label};

/// The node that series come from, as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) node_id: String,
    pub(super) node_role: &'static str,
}

/// A page that is being put together, from the most believed node to the least: who comes first
/// says what a name means.
#[derive(Debug, Default)]
pub(super) struct Page {
    families: BTreeMap<String, Shown>,
    /// Which family a sample name belongs to.
    taken: HashMap<String, String>,
    origins: HashSet<Origin>,
    series: usize,
    missing: String,
    rejected: String,
}

#[derive(Debug)]
struct Shown {
    kind: Kind,
    help: String,
    unit: String,
    samples: String,
}

impl Page {
    /// Shows what `origin` sent.
    pub(super) fn add(&mut self, origin: &Origin, families: Vec<Family>) {
        if !self.origins.insert(origin.clone()) {
            return;
        }
        let sent: usize = families.iter().map(|family| family.series.len()).sum();
        if self.series + sent.min(SERIES_LIMIT_PER_NODE) > SERIES_LIMIT {
            self.miss(origin, "page_full");
            return;
        }
        let mut node = Node {
            origin,
            seen: HashSet::new(),
        };
        let families = families.into_iter();
        families.for_each(|family| self.add_family(&mut node, family));
        let shown = node.seen.len();
        self.series += shown;
        if shown < sent {
            mark(origin, None, sent - shown, &mut self.rejected);
        }
    }

    /// Says that nothing of `origin` is shown, and why: one of a few fixed words.
    pub(super) fn miss(&mut self, origin: &Origin, reason: &'static str) {
        mark(origin, Some(reason), 1, &mut self.missing);
    }

    fn add_family(&mut self, node: &mut Node<'_>, family: Family) {
        if !self.admits(&family) {
            return;
        }
        let Family {
            name,
            help,
            unit,
            kind,
            series,
        } = family;
        let shown = self.families.entry(name.clone()).or_insert(Shown {
            kind,
            help,
            unit,
            samples: String::new(),
        });
        for series in series {
            if node.seen.len() < SERIES_LIMIT_PER_NODE {
                node.show(&name, kind, &series, &mut shown.samples);
            }
        }
    }

    /// Whether the name can be shown with this type, and takes it if so.
    fn admits(&mut self, family: &Family) -> bool {
        if let Some(shown) = self.families.get(&family.name) {
            return shown.kind == family.kind;
        }
        if !is_family_name(&family.name) || family.name.starts_with(OWN_PREFIX) {
            return false;
        }
        let suffixes = family.kind.suffixes().iter().chain(&[""]);
        let names: HashSet<String> = suffixes
            .map(|suffix| format!("{}{suffix}", family.name))
            .collect();
        if names.iter().any(|name| self.taken.contains_key(name)) {
            return false;
        }
        let names = names.into_iter();
        self.taken
            .extend(names.map(|name| (name, family.name.clone())));
        true
    }

    /// The page in the OpenMetrics text format.
    pub(super) fn into_text(self) -> String {
        let mut text = String::new();
        for (name, shown) in &self.families {
            if !shown.samples.is_empty() {
                shown.write(name, &mut text);
            }
        }
        for (name, help, samples) in [
            (
                MISSING,
                "1 for a node whose metrics are missing here",
                self.missing,
            ),
            (
                REJECTED,
                "Series of a node that cannot be shown",
                self.rejected,
            ),
        ] {
            let own = Shown {
                kind: Kind::Gauge,
                help: help.to_owned(),
                unit: String::new(),
                samples: with_name(name, &samples),
            };
            own.write(name, &mut text);
        }
        text.push_str("# EOF\n");
        text
    }
}

/// The node whose series are being added, and which of its series are there.
struct Node<'a> {
    origin: &'a Origin,
    seen: HashSet<String>,
}

impl Node<'_> {
    /// Writes the samples of one series, unless it cannot be shown or is there already.
    fn show(&mut self, name: &str, kind: Kind, series: &Series, to: &mut String) {
        let Some(labels) = self.labels(series) else {
            return;
        };
        let Some(samples) = samples(name, kind, series, &labels) else {
            return;
        };
        if self.seen.insert(format!("{name}{{{labels}")) {
            to.push_str(&samples);
        }
    }

    /// The labels as they make a series one: in whatever order they came, and without empty ones,
    /// which say the same as none.
    fn labels(&self, series: &Series) -> Option<String> {
        let mut sent: Vec<&(String, String)> = series.labels.iter().collect();
        sent.sort_by_key(|(name, _)| name);
        let sound = sent.len() <= LABEL_LIMIT
            && sent.iter().all(|(name, _)| is_label_name(name))
            && sent.is_sorted_by(|(one, _), (next, _)| one < next);
        if !sound {
            return None;
        }
        let mut labels = String::new();
        write_label("node_id", &self.origin.node_id, &mut labels);
        labels.push(',');
        write_label("node_role", self.origin.node_role, &mut labels);
        for (name, value) in sent.iter().filter(|(_, value)| !value.is_empty()) {
            labels.push(',');
            write_label(name, value, &mut labels);
        }
        Some(labels)
    }
}

impl Shown {
    fn write(&self, name: &str, to: &mut String) {
        let kind = self.kind.as_str();
        // Writing to a string does not fail.
        let _ = writeln!(to, "# TYPE {name} {kind}");
        if !self.unit.is_empty() && name.ends_with(&format!("_{}", self.unit)) {
            let _ = writeln!(to, "# UNIT {name} {}", self.unit);
        }
        let _ = write!(to, "# HELP {name} ");
        write_escaped(&self.help, to);
        to.push('\n');
        to.push_str(&self.samples);
    }
}

/// The lines of one series; `None` where its value is not one of its type.
fn samples(name: &str, kind: Kind, series: &Series, labels: &str) -> Option<String> {
    let value = &series.value;
    match (kind, value) {
        (Kind::Gauge, Value::Integer(_) | Value::Number(_)) => {
            Some(format!("{name}{{{labels}}} {value}\n"))
        }
        (Kind::Counter, Value::Integer(0..)) => Some(format!("{name}_total{{{labels}}} {value}\n")),
        (Kind::Counter, Value::Number(number)) if *number >= 0.0 && number.is_finite() => {
            Some(format!("{name}_total{{{labels}}} {value}\n"))
        }
        (Kind::Histogram, Value::Histogram(buckets)) => histogram(name, buckets, labels),
        _ => None,
    }
}

fn histogram(name: &str, buckets: &Buckets, labels: &str) -> Option<String> {
    let Buckets {
        bounds,
        counts,
        sum,
    } = buckets;
    let sound = counts.len() == bounds.len() + 1
        && counts.len() <= BUCKET_LIMIT
        && bounds
            .iter()
            .all(|bound| bound.is_finite() && *bound >= 0.0)
        && bounds.is_sorted_by(|one, next| one < next)
        && sum.is_finite()
        && *sum >= 0.0;
    if !sound {
        return None;
    }
    let mut text = String::new();
    let mut count: u64 = 0;
    let bounds = bounds.iter().map(|bound| format!("{bound:?}"));
    for (bound, more) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
        count = count.checked_add(*more)?;
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
    }
    let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
    let _ = writeln!(text, "{name}_sum{{{labels}}} {sum:?}");
    Some(text)
}

/// A line without its name, so that it can be made before its family.
fn mark(origin: &Origin, reason: Option<&'static str>, value: usize, to: &mut String) {
    to.push('{');
    write_label("node_id", &origin.node_id, to);
    to.push(',');
    write_label("node_role", origin.node_role, to);
    if let Some(reason) = reason {
        to.push(',');
        write_label("reason", reason, to);
    }
    let _ = writeln!(to, "}} {value}");
}

fn with_name(name: &str, lines: &str) -> String {
    let lines = lines.lines().map(|line| format!("{name}{line}\n"));
    lines.collect()
}

const OWN_PREFIX: &str = "spice_cluster_scrape_";
const MISSING: &str = "spice_cluster_scrape_missing";
const REJECTED: &str = "spice_cluster_scrape_rejected_series";

/// Ten times what a node has.
const SERIES_LIMIT_PER_NODE: usize = 1000;

/// Of all nodes: some tens of megabytes.
const SERIES_LIMIT: usize = 100_000;

const LABEL_LIMIT: usize = 20;

const BUCKET_LIMIT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(node_id: &str) -> Origin {
        Origin {
            node_id: node_id.to_owned(),
            node_role: "executor",
        }
    }

    fn family(name: &str, kind: Kind, series: Vec<Series>) -> Family {
        Family {
            name: name.to_owned(),
            help: "Help".to_owned(),
            unit: String::new(),
            kind,
            series,
        }
    }

    fn series(labels: &[(&str, &str)], value: Value) -> Series {
        let labels = labels.iter();
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Series {
            labels: labels.collect(),
            value,
        }
    }

    fn one(value: i64) -> Vec<Series> {
        vec![series(&[], Value::Integer(value))]
    }

    fn histogram(bounds: &[f64], counts: &[u64], sum: f64) -> Value {
        Value::Histogram(Buckets {
            bounds: bounds.to_vec(),
            counts: counts.to_vec(),
            sum,
        })
    }

    #[test]
    fn series_of_all_nodes_stand_together_under_one_type() {
        let mut page = Page::default();
        for (node, value) in [("a:1", 1), ("b:1", 2)] {
            let families = vec![
                family("tasks", Kind::Counter, one(value)),
                family(
                    "took",
                    Kind::Histogram,
                    vec![series(&[], histogram(&[0.5], &[1, 2], 3.0))],
                ),
            ];
            page.add(&origin(node), families);
        }
        page.miss(&origin("c:1"), "timeout");
        let expected = "\
# TYPE tasks counter
# HELP tasks Help
tasks_total{node_id=\"a:1\",node_role=\"executor\"} 1
tasks_total{node_id=\"b:1\",node_role=\"executor\"} 2
# TYPE took histogram
# HELP took Help
took_bucket{node_id=\"a:1\",node_role=\"executor\",le=\"0.5\"} 1
took_bucket{node_id=\"a:1\",node_role=\"executor\",le=\"+Inf\"} 3
took_count{node_id=\"a:1\",node_role=\"executor\"} 3
took_sum{node_id=\"a:1\",node_role=\"executor\"} 3.0
took_bucket{node_id=\"b:1\",node_role=\"executor\",le=\"0.5\"} 1
took_bucket{node_id=\"b:1\",node_role=\"executor\",le=\"+Inf\"} 3
took_count{node_id=\"b:1\",node_role=\"executor\"} 3
took_sum{node_id=\"b:1\",node_role=\"executor\"} 3.0
# TYPE spice_cluster_scrape_missing gauge
# HELP spice_cluster_scrape_missing 1 for a node whose metrics are missing here
spice_cluster_scrape_missing{node_id=\"c:1\",node_role=\"executor\",reason=\"timeout\"} 1
# TYPE spice_cluster_scrape_rejected_series gauge
# HELP spice_cluster_scrape_rejected_series Series of a node that cannot be shown
# EOF
";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn a_node_cannot_speak_as_another_nor_break_the_page() {
        let evil = "\"} 1\nfake{node_id=\"a:1\"} 9\n# EOF\n";
        let forged = vec![
            family("tasks", Kind::Gauge, one(7)),
            family("tasks_total", Kind::Gauge, one(7)),
            family("x\nfake", Kind::Gauge, one(7)),
            family(evil, Kind::Gauge, one(7)),
            family("spice_cluster_scrape_missing", Kind::Gauge, one(7)),
            family(
                "m",
                Kind::Gauge,
                vec![series(&[("node_id", "a:1")], Value::Integer(7))],
            ),
            family(
                "m",
                Kind::Gauge,
                vec![series(&[(evil, "x")], Value::Integer(7))],
            ),
            family(
                "m",
                Kind::Gauge,
                vec![series(&[("a", "1"), ("a", "2")], Value::Integer(7))],
            ),
            family("c", Kind::Counter, one(-7)),
            family(
                "c",
                Kind::Counter,
                vec![series(&[], Value::Number(f64::NAN))],
            ),
            family(
                "h",
                Kind::Histogram,
                vec![series(&[], histogram(&[2.0, 1.0], &[1, 1, 1], 3.0))],
            ),
            family(
                "h",
                Kind::Histogram,
                vec![series(&[], histogram(&[1.0], &[1], 3.0))],
            ),
            family(
                "h",
                Kind::Histogram,
                vec![series(&[], histogram(&[1.0], &[u64::MAX, 1], 3.0))],
            ),
        ];
        let rejected = forged.len() + 1;
        let allowed = family(
            "ok",
            Kind::Gauge,
            vec![series(&[("name", evil)], Value::Integer(8))],
        );
        let mut page = Page::default();
        page.add(&origin("a:1"), vec![family("tasks", Kind::Counter, one(1))]);
        let twice = vec![allowed.clone(), allowed];
        page.add(&origin("b:1"), [forged, twice].concat());
        let text = page.into_text();
        let of_a: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("{node_id=\"a:1\""))
            .collect();
        assert_eq!(of_a.len(), 1, "{text}");
        assert!(of_a[0].starts_with("tasks_total{"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("fake")), "{text}");
        assert_eq!(text.matches("\n# EOF\n").count(), 1, "{text}");
        assert!(!text.contains("} 7"), "{text}");
        assert_eq!(text.matches("} 8").count(), 1, "{text}");
        let counted = format!(
            "spice_cluster_scrape_rejected_series{{node_id=\"b:1\",node_role=\"executor\"}} {rejected}\n"
        );
        assert!(text.contains(&counted), "{text}");
    }

    #[test]
    fn a_series_is_shown_once_however_its_labels_are_written() {
        let labels: [&[(&str, &str)]; 5] = [
            &[("a", "1"), ("b", "2")],
            &[("b", "2"), ("a", "1")],
            &[("b", "2"), ("none", ""), ("a", "1")],
            &[("a", "1"), ("b", "")],
            &[("a", "1")],
        ];
        let sent = labels.map(|labels| series(labels, Value::Integer(1)));
        let mut page = Page::default();
        page.add(
            &origin("a:1"),
            vec![family("m", Kind::Gauge, sent.to_vec())],
        );
        let text = page.into_text();
        let shown: Vec<&str> = text.lines().filter(|it| it.starts_with("m{")).collect();
        let node = "node_id=\"a:1\",node_role=\"executor\"";
        assert_eq!(
            shown,
            [
                format!("m{{{node},a=\"1\",b=\"2\"}} 1"),
                format!("m{{{node},a=\"1\"}} 1")
            ]
        );
        assert!(text.contains("rejected_series{node_id=\"a:1\",node_role=\"executor\"} 3\n"));
    }

    #[test]
    fn a_node_with_too_many_series_shows_as_many_as_it_may() {
        let many = (0..SERIES_LIMIT_PER_NODE + 5)
            .map(|number| series(&[("number", &number.to_string())], Value::Integer(1)));
        let mut page = Page::default();
        page.add(
            &origin("a:1"),
            vec![family("many", Kind::Gauge, many.collect())],
        );
        let text = page.into_text();
        assert_eq!(text.matches("\nmany{").count(), SERIES_LIMIT_PER_NODE);
        assert!(text.contains("rejected_series{node_id=\"a:1\",node_role=\"executor\"} 5\n"));
    }

    #[test]
    fn a_full_page_misses_the_nodes_that_come_last() {
        let mut page = Page::default();
        let thousand = || {
            (0..SERIES_LIMIT_PER_NODE)
                .map(|number| series(&[("number", &number.to_string())], Value::Integer(1)))
        };
        let nodes = SERIES_LIMIT / SERIES_LIMIT_PER_NODE;
        for node in 0..=nodes {
            let families = vec![family("many", Kind::Gauge, thousand().collect())];
            page.add(&origin(&format!("n{node}:1")), families);
        }
        let text = page.into_text();
        assert_eq!(text.matches("\nmany{").count(), SERIES_LIMIT);
        let missing = format!(
            "missing{{node_id=\"n{nodes}:1\",node_role=\"executor\",reason=\"page_full\"}} 1\n"
        );
        assert!(text.contains(&missing));
    }
}
