//! One entry of `datasets`.

use super::location::{self, Location};
use super::{Reader, postgres, s3};
use crate::app::Dataset;
use crate::section::{Cursor, Keys, Section};
use crate::source::{FileSource, Source};

impl Reader<'_> {
    pub(super) fn dataset(&mut self, item: &Cursor<'_>) -> Option<Dataset> {
        let section = item.section(DATASET, &mut self.findings)?;
        let name = self.name(&section);
        let location = self.location(&section);
        let params = match section.optional("params") {
            Some(params) => params.section(PARAMS, &mut self.findings),
            None => None,
        };
        let source = match location {
            Some(location) => self.source(&section, location, params.as_ref()),
            None => {
                self.format(&section, None, params.as_ref());
                None
            }
        };
        Some(Dataset {
            name: name?,
            source: source?,
        })
    }

    fn location(&mut self, section: &Section<'_>) -> Option<Location> {
        let cursor = section.required("from", &mut self.findings)?;
        let from = cursor.text(&mut self.findings)?;
        match location::parse(from, self.base) {
            Ok(location) => Some(location),
            Err(error) => {
                cursor.fault(&mut self.findings, error.to_string());
                None
            }
        }
    }

    /// Complete a location with the parameters of its kind; those of another kind are faults.
    fn source(
        &mut self,
        dataset: &Section<'_>,
        location: Location,
        params: Option<&Section<'_>>,
    ) -> Option<Source> {
        self.refuse_strangers(&location, params);
        match location {
            Location::File { path } => {
                let format = self.format(dataset, Some(&path), params)?;
                Some(Source::File(FileSource { path, format }))
            }
            Location::S3 { bucket, key } => {
                let format = self.format(dataset, Some(&key), params);
                let access = self.s3_access(params);
                Some(Source::S3(s3::source(bucket, key, format?, access?)))
            }
            Location::Postgres { schema, table } => {
                let params = match params {
                    Some(params) => params,
                    None => {
                        dataset.required("params", &mut self.findings);
                        return None;
                    }
                };
                let access = self.postgres_access(params)?;
                Some(Source::Postgres(postgres::source(schema, table, access)))
            }
        }
    }

    fn refuse_strangers(&mut self, location: &Location, params: Option<&Section<'_>>) {
        let mine: &[Topic] = match location {
            Location::File { .. } => &[Topic::Files],
            Location::S3 { .. } => &[Topic::Files, Topic::S3],
            Location::Postgres { .. } => &[Topic::Postgres],
        };
        for (key, cursor) in params.into_iter().flat_map(Section::entries) {
            let topic = Topic::of(key);
            if !mine.contains(&topic) {
                let message = format!("applies to {} only", topic.as_str());
                cursor.fault(&mut self.findings, message);
            }
        }
    }
}

/// What a parameter is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topic {
    Files,
    S3,
    Postgres,
}

impl Topic {
    /// The topic of one of [`PARAMS`], which say it in their first letters.
    fn of(key: &str) -> Topic {
        if key.starts_with("pg_") {
            Topic::Postgres
        } else if key.starts_with("s3_") || key == "allow_http" {
            Topic::S3
        } else {
            Topic::Files
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Topic::Files => "files",
            Topic::S3 => "sources of the kind `s3:`",
            Topic::Postgres => "sources of the kind `postgres:`",
        }
    }
}

const DATASET: Keys = Keys {
    known: &["name", "from", "params"],
    later: &["acceleration"],
    ignored: &[],
};

const PARAMS: Keys = Keys {
    known: &[
        "file_format",
        "csv_has_header",
        "csv_delimiter",
        "csv_quote",
        "csv_escape",
        "csv_schema_infer_max_records",
        "s3_endpoint",
        "s3_region",
        "s3_auth",
        "s3_key",
        "s3_secret",
        "s3_session_token",
        "allow_http",
        "pg_host",
        "pg_port",
        "pg_db",
        "pg_user",
        "pg_pass",
        "pg_sslmode",
        "pg_sslrootcert",
    ],
    later: &["file_compression_type", "hive_partitioning_enabled"],
    ignored: &[],
};
