//! What can be wrong with the data behind an application.

use std::io;
use std::path::PathBuf;

use datafusion::error::DataFusionError;
use spicepod::TableName;

use crate::causes::causes;
use crate::postgres::PostgresError;
use crate::s3::ObjectError;
use crate::said;
use crate::secrets::SecretError;

/// Why a runtime could not be opened: every fault of every dataset and view.
///
/// `Display` gives one line for each fault with its causes behind it, because a list has no
/// single `source()` that could carry them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{}", lines(faults))]
pub struct OpenError {
    /// At least one fault, datasets before views, in the order of the manifest.
    pub faults: Vec<OpenFault>,
}

/// One reason why a dataset or view cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenFault {
    /// Nothing exists at the path.
    #[error(
        "dataset `{dataset}`: {} does not exist; correct `from` (a relative path starts at the \
         directory of the spicepod)",
        path.display()
    )]
    Missing {
        /// The dataset.
        dataset: TableName,
        /// Its file or directory.
        path: PathBuf,
    },
    /// The path exists and cannot be read.
    #[error("dataset `{dataset}`: cannot read {}", path.display())]
    Unreadable {
        /// The dataset.
        dataset: TableName,
        /// What cannot be read.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The path is a socket, a device or the like.
    #[error("dataset `{dataset}`: {} is neither a file nor a directory", path.display())]
    NotAFile {
        /// The dataset.
        dataset: TableName,
        /// What `from` names.
        path: PathBuf,
    },
    /// The directory holds no file with the extension of the dataset's format.
    #[error(
        "dataset `{dataset}`: the directory {} holds no `.{extension}` file; put one there or \
         correct `params.file_format` (directories within it are not searched)",
        path.display()
    )]
    EmptyDirectory {
        /// The dataset.
        dataset: TableName,
        /// Its directory.
        path: PathBuf,
        /// The extension looked for, without its dot.
        extension: &'static str,
    },
    /// The directory is partitioned in the manner of Hive, which would lose columns.
    #[error(
        "dataset `{dataset}`: {} is a directory of partitions (`key=value`), which this version \
         does not support yet",
        path.display()
    )]
    Partitioned {
        /// The dataset.
        dataset: TableName,
        /// The first `key=value` directory found.
        path: PathBuf,
    },
    /// The files are there and are not what the manifest says.
    #[error("dataset `{dataset}`: {} is not readable as {format}", path.display())]
    Malformed {
        /// The dataset.
        dataset: TableName,
        /// Its file or directory, or its `from`.
        path: PathBuf,
        /// The format from the manifest.
        format: &'static str,
        /// What the reader of that format said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// Two files of one dataset have a column of the same name and another type.
    #[error("dataset `{dataset}`: {one} and {other} cannot be one table")]
    Unlike {
        /// The dataset.
        dataset: TableName,
        /// The name of a file, or of an object.
        one: String,
        /// That of the first one that does not go with it.
        other: String,
        /// Which column it is.
        #[source]
        source: Box<DataFusionError>,
    },
    /// The files hold no column, an empty CSV file for example.
    #[error("dataset `{dataset}`: {} holds no columns, so it makes no table", path.display())]
    NoColumns {
        /// The dataset.
        dataset: TableName,
        /// Its file or directory.
        path: PathBuf,
    },
    /// No object has the key.
    #[error(
        "dataset `{dataset}`: there is no object {from}; correct `from` (a prefix of many ends in `/`)"
    )]
    NoObject {
        /// The dataset.
        dataset: TableName,
        /// Its `from`.
        from: String,
    },
    /// The endpoint is no URL that a store may have.
    #[error(
        "dataset `{dataset}`: `s3_endpoint` must be a URL that starts with `https://`, or with \
         `http://` where `allow_http: true` is set, without a user and without a query"
    )]
    Endpoint {
        /// The dataset.
        dataset: TableName,
    },
    /// The store does not give the objects.
    #[error("dataset `{dataset}`: cannot read {from}")]
    Store {
        /// The dataset.
        dataset: TableName,
        /// Its `from`.
        from: String,
        /// What the store or the network said.
        #[source]
        source: ObjectError,
    },
    /// The database does not give the table.
    #[error("dataset `{dataset}`: cannot read {from}")]
    Postgres {
        /// The dataset.
        dataset: TableName,
        /// Its `from`.
        from: String,
        /// What the database or the network said.
        #[source]
        source: Box<PostgresError>,
    },
    /// A secret that it takes to get to the data is not to be had.
    #[error("dataset `{dataset}`")]
    Secret {
        /// The dataset.
        dataset: TableName,
        /// Which secret, and why not.
        #[source]
        source: SecretError,
    },
    /// The query of a view is refused.
    #[error("view `{view}`: {message}")]
    InvalidView {
        /// The view.
        view: TableName,
        /// What is wrong with its SQL.
        message: String,
    },
    /// Views that use each other, so none of them can come first.
    #[error("views {} use each other in a circle", circle(views))]
    ViewCycle {
        /// The views of the circle, each using the next, the last using the first.
        views: Vec<TableName>,
    },
    /// The engine could not be set up, or a table not be registered.
    #[error("cannot set up the query engine")]
    Engine {
        /// What the engine said.
        #[source]
        source: DataFusionError,
    },
}

impl OpenError {
    pub(crate) fn engine(source: DataFusionError) -> Self {
        let faults = vec![OpenFault::engine(source)];
        Self { faults }
    }
}

impl OpenFault {
    pub(crate) fn engine(source: DataFusionError) -> Self {
        OpenFault::Engine { source }
    }

    /// For whoever asks, strangers too, in one bounded line: of a store of secrets nothing that went
    /// wrong in it, and of a view nothing of its SQL.
    #[must_use]
    pub fn shown(&self) -> String {
        said::shown(&match self {
            OpenFault::Secret { source, .. } => format!("{self}: {source}"),
            OpenFault::InvalidView { view, .. } => {
                format!("view `{view}` cannot be made; the log says why")
            }
            _ => with_causes(self),
        })
    }

    /// Whether nothing may be wrong but that something elsewhere is out of reach for now. Whatever
    /// else is a fault of the application, or of what it is about.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            OpenFault::Store { source, .. } => source.is_outage(),
            OpenFault::Postgres { source, .. } => source.is_outage(),
            OpenFault::Secret { source, .. } => source.is_outage(),
            // A store that went away while its objects were read.
            OpenFault::Malformed { source, .. } => causes(&**source)
                .find_map(|cause| cause.downcast_ref::<ObjectError>())
                .is_some_and(ObjectError::is_outage),
            _ => false,
        }
    }
}

/// Why a table is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    /// For whoever asks, strangers too.
    pub(crate) shown: String,
    /// All of it, for the log.
    pub(crate) told: String,
}

impl Reason {
    pub(crate) fn of(fault: &OpenFault) -> Self {
        Self {
            shown: fault.shown(),
            told: with_causes(fault),
        }
    }
}

fn lines(faults: &[OpenFault]) -> String {
    let lines: Vec<String> = faults.iter().map(with_causes).collect();
    lines.join("\n")
}

/// All of it, in one bounded line.
fn with_causes(fault: &OpenFault) -> String {
    let mut line = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        // The engine's errors print their own causes already.
        cause = if error.is::<DataFusionError>() || error.is::<Box<DataFusionError>>() {
            None
        } else {
            error.source()
        };
    }
    said::logged(&line)
}

fn circle(views: &[TableName]) -> String {
    let names: Vec<String> = views
        .iter()
        .chain(views.first())
        .map(|view| format!("`{view}`"))
        .collect();
    names.join(" -> ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use spicepod::SecretReference;

    use super::*;

    #[test]
    fn what_went_wrong_in_a_store_of_secrets_is_for_the_log_alone() {
        let manifest = "{version: v1, kind: Spicepod, name: a, datasets: [{name: t, from: \
            'file:t.csv'}]}";
        let app = spicepod::parse(manifest, Path::new("/srv/spicepod.yaml")).unwrap();
        let fault = OpenFault::Secret {
            dataset: app.datasets()[0].name().clone(),
            source: SecretError::Unavailable {
                reference: SecretReference::new("kube", "KEY").unwrap(),
                source: "https://10.0.0.1/ does not answer".into(),
            },
        };
        assert!(fault.is_outage());
        let Reason { shown, told } = Reason::of(&fault);
        assert_eq!(shown, "dataset `t`: the secret ${kube:KEY} cannot be read");
        assert_eq!(told, format!("{shown}: https://10.0.0.1/ does not answer"));
    }

    #[test]
    fn of_a_view_that_is_refused_its_name_is_shown_and_its_sql_is_for_the_log() {
        let fault = OpenFault::InvalidView {
            view: "v".parse().unwrap(),
            message: "No field named hunter2.\nValid fields are a.".to_owned(),
        };
        let Reason { shown, told } = Reason::of(&fault);
        assert_eq!(shown, "view `v` cannot be made; the log says why");
        let line = "view `v`: No field named hunter2. Valid fields are a.";
        assert_eq!(told, line);
    }

    #[test]
    fn a_reason_is_bounded_whatever_a_server_sends() {
        let fault = OpenFault::Postgres {
            dataset: "t".parse().unwrap(),
            from: "postgres:t".to_owned(),
            source: Box::new(PostgresError::ColumnType {
                column: "c".repeat(1_000_000),
                type_name: String::new(),
            }),
        };
        let Reason { shown, told } = Reason::of(&fault);
        assert!(shown.len() < 450, "{}", shown.len());
        assert!(told.len() < 1050, "{}", told.len());
        let faults = vec![fault];
        assert!(OpenError { faults }.to_string().len() < 1050);
    }
}
