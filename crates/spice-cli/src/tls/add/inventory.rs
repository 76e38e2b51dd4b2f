//! A list of nodes in a file: CSV or YAML.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cluster_pki::{Days, Host, NodeName};
use cluster_tls::Role;
use serde::Deserialize;

use crate::failure::{Failure, FailureKind};

/// One node of the list.
pub(super) struct Entry {
    /// Where it stands: `entry 2`, not counting a header.
    pub(super) place: String,
    pub(super) name: NodeName,
    pub(super) hosts: Vec<Host>,
    pub(super) role: Option<Role>,
    pub(super) days: Option<Days>,
}

/// Reads the nodes of a file, or everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let text = text(path)?;
    let raw = match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => csv_entries(&text),
        Some("yaml" | "yml") => yaml_entries(&text),
        _ => {
            let message = format!(
                "{} is neither a CSV nor a YAML file by its name",
                path.display()
            );
            return Err(
                Failure::new(message).with_next("name it with .csv, .yaml or .yml at its end")
            );
        }
    };
    let raw =
        raw.map_err(|error| Failure::new(format!("{}: {error}", path.display())).with_next(FORM))?;
    if raw.is_empty() {
        return Err(Failure::new(format!("{} names no node", path.display())).with_next(FORM));
    }
    let mut faults = Vec::new();
    let entries: Vec<_> = raw
        .into_iter()
        .filter_map(|raw| raw.entry().map_err(|fault| faults.push(fault)).ok())
        .collect();
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(all_faults(path, &faults))
    }
}

/// As many faults as a person can look at, and the number of the others.
pub(super) fn all_faults(path: &Path, faults: &[String]) -> Failure {
    let shown = faults.iter().take(FAULTS_SHOWN).map(String::as_str);
    let mut lines: Vec<_> = shown.collect();
    let more = format!("and {} more", faults.len().saturating_sub(lines.len()));
    if faults.len() > lines.len() {
        lines.push(&more);
    }
    let message = format!(
        "{}: nothing was issued\n  {}",
        path.display(),
        lines.join("\n  ")
    );
    let failure = Failure::new(message).of_kind(FailureKind::Refused);
    failure.with_next("mend the file and type the same command again")
}

/// A node as it was written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(skip)]
    place: String,
    name: String,
    #[serde(default)]
    hosts: Hosts,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    days: Option<u32>,
}

/// One text with spaces between the hosts, or a list.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Hosts {
    #[default]
    None,
    Text(String),
    List(Vec<String>),
}

impl Hosts {
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::None => Vec::new(),
            Self::Text(text) => text.split_whitespace().collect(),
            Self::List(list) => list.iter().map(String::as_str).collect(),
        }
    }
}

impl Raw {
    fn entry(self) -> Result<Entry, String> {
        let Self { place, name, .. } = &self;
        let fault = |error: &dyn std::fmt::Display| format!("{place}, {name}: {error}");
        let hosts = self.hosts.texts().into_iter().map(str::parse::<Host>);
        let role = self.role.as_deref().filter(|role| !role.is_empty());
        Ok(Entry {
            name: name.parse().map_err(|error| fault(&error))?,
            hosts: hosts
                .collect::<Result<_, _>>()
                .map_err(|error| fault(&error))?,
            role: role
                .map(str::parse::<Role>)
                .transpose()
                .map_err(|error| fault(&error))?,
            days: self
                .days
                .map(Days::new)
                .transpose()
                .map_err(|error| fault(&error))?,
            place: self.place,
        })
    }
}

fn csv_entries(text: &str) -> Result<Vec<Raw>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut entries = Vec::new();
    for (at, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let place = format!("entry {}", at + 1);
        if record.len() > headers.len() {
            return Err(format!("{place} has more fields than the header"));
        }
        let raw: Raw = record
            .deserialize(Some(&headers))
            .map_err(|error| format!("{place}: {}", field_error(&error, &headers)))?;
        entries.push(Raw { place, ..raw });
    }
    Ok(entries)
}

/// What is wrong with which field; the parser's own text counts octets.
fn field_error(error: &csv::Error, headers: &csv::StringRecord) -> String {
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else {
        return error.to_string();
    };
    let field = err
        .field()
        .and_then(|at| headers.get(usize::try_from(at).ok()?));
    match field {
        Some(field) => format!("{field}: {}", err.kind()),
        None => err.kind().to_string(),
    }
}

fn yaml_entries(text: &str) -> Result<Vec<Raw>, String> {
    // The parser shows the text around a fault, and this may be somebody's key by mistake.
    if text.contains("PRIVATE KEY") {
        return Err("it holds a private key and is no list of nodes".to_owned());
    }
    let first_line = |error: serde_saphyr::Error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let entries: Vec<Raw> = serde_saphyr::from_str(text).map_err(first_line)?;
    let placed = entries.into_iter().enumerate().map(|(at, raw)| {
        let place = format!("entry {}", at + 1);
        Raw { place, ..raw }
    });
    Ok(placed.collect())
}

fn text(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        let failure = Failure::new(message).of_kind(FailureKind::Io);
        failure.with_next(
            "name the list with --from FILE, in UTF-8; `spice cluster tls add --help` has its form",
        )
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LIMIT_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > LIMIT_BYTES {
        let limit = LIMIT_BYTES / 1024 / 1024;
        return Err(Failure::new(format!(
            "{} is larger than {limit} MiB",
            path.display()
        )));
    }
    Ok(text)
}

const FORM: &str = "a CSV file begins with the line `name,hosts,role,days`, a YAML file is a list \
                    of `- name: executor1`; only the name is needed";

/// Room for a hundred thousand nodes.
const LIMIT_BYTES: u64 = 16 * 1024 * 1024;

const FAULTS_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(name: &str, text: &str) -> Result<Vec<Entry>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|failure| format!("{failure:?}"))
    }

    fn shown(entries: &[Entry]) -> Vec<String> {
        let show = |entry: &Entry| {
            let hosts: Vec<_> = entry.hosts.iter().map(ToString::to_string).collect();
            let role = entry.role.map_or("", |role| role.as_str());
            let days = entry.days.map_or(0, Days::get);
            format!(
                "{} {} {} {role} {days}",
                entry.place,
                entry.name,
                hosts.join("+")
            )
        };
        entries.iter().map(show).collect()
    }

    #[test]
    fn csv_and_yaml_say_the_same() {
        let csv = "name, hosts, role, days\n# ours\nn1,\nn2, 10.0.0.7  e.example, executor, 90\n";
        let yaml = "- name: n1\n- name: n2\n  hosts: [10.0.0.7, e.example]\n  role: executor\n  days: 90\n";
        let expected = [
            "entry 1 n1   0",
            "entry 2 n2 10.0.0.7+e.example executor 90",
        ];
        assert_eq!(shown(&entries("n.csv", csv).unwrap()), expected);
        assert_eq!(shown(&entries("n.yml", yaml).unwrap()), expected);
        let short = shown(&entries("n.csv", "name\nn1\n").unwrap());
        assert_eq!(short, ["entry 1 n1   0"]);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let text = "name,hosts,role,days\nca,,,\nn1,*.example,,\nn2,,boss,\nn3,,,0\nn4,,,\n";
        let error = entries("n.csv", text).err().unwrap();
        for part in [
            "entry 1, ca:",
            "entry 2, n1:",
            "entry 3, n2:",
            "entry 4, n3:",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains("n4"), "{error}");
    }

    #[test]
    fn what_is_no_list_of_nodes_is_refused() {
        for (name, text) in [
            ("n.csv", ""),
            ("n.csv", "name\n"),
            ("n.csv", "hosts\na\n"),
            ("n.csv", "name,rolle\nn1,executor\n"),
            ("n.csv", "name\nn1,executor\n"),
            ("n.csv", "name,days\nn1,soon\n"),
            ("n.yaml", ""),
            ("n.yaml", "name: n1\n"),
            ("n.yaml", "- n1\n"),
            ("n.yaml", "- name: n1\n  rolle: executor\n"),
            ("n.txt", "name\nn1\n"),
        ] {
            assert!(entries(name, text).is_err(), "{name} {text:?}");
        }
    }
}
