//! Metrics as values: what a registry holds, what a node sends, and what a page shows.

/// All series of one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    /// Without the suffixes of its samples.
    pub(super) name: String,
    pub(super) help: String,
    /// The last part of its name, or empty.
    pub(super) unit: String,
    pub(super) kind: Kind,
    pub(super) series: Vec<Series>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// What is put behind the name of a family for its samples.
    pub(super) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Kind::Counter => &["_total", "_created"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_count", "_sum", "_created"],
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Number(f64),
    Histogram(Buckets),
}

/// How many observations were at most each bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Buckets {
    /// Finite and growing.
    pub(super) bounds: Vec<f64>,
    /// In each bucket by itself, and one more for what is beyond the last bound.
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
}
