//! The one way to write an application down, so that equal meaning has equal bytes.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest as hash};
use serde::Serialize;

use crate::app::{Dataset, Parts, View};
use crate::format::{CsvOptions, Format};
use crate::param::ParamValue;
use crate::secret::{SecretStore, StoreKind};
use crate::source::{PostgresSource, S3Auth, S3Source, Source};

/// Field order is declaration order, which is what makes the text canonical: a map type would
/// depend on features that other crates of a build switch on.
#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    kind: &'static str,
    name: &'a str,
    secrets: Vec<StoreEntry<'a>>,
    datasets: Vec<DatasetEntry<'a>>,
    views: Vec<ViewEntry<'a>>,
}

#[derive(Serialize)]
struct StoreEntry<'a> {
    from: String,
    name: &'a str,
    params: StoreParams<'a>,
}

#[derive(Serialize)]
struct StoreParams<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_path: Option<&'a str>,
}

#[derive(Serialize)]
struct DatasetEntry<'a> {
    name: String,
    from: String,
    params: Params<'a>,
}

#[derive(Serialize)]
struct Params<'a> {
    #[serde(flatten)]
    format: Option<FormatParams<'a>>,
    #[serde(flatten)]
    s3: Option<S3Params>,
    #[serde(flatten)]
    postgres: Option<PostgresParams>,
}

#[derive(Serialize)]
struct FormatParams<'a> {
    file_format: &'a str,
    #[serde(flatten)]
    csv: Option<CsvParams>,
}

#[derive(Serialize)]
struct CsvParams {
    csv_has_header: bool,
    csv_delimiter: char,
    csv_quote: char,
    #[serde(skip_serializing_if = "Option::is_none")]
    csv_escape: Option<char>,
    csv_schema_infer_max_records: u32,
}

#[derive(Serialize)]
struct S3Params {
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_region: Option<String>,
    s3_auth: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_session_token: Option<String>,
    allow_http: bool,
}

#[derive(Serialize)]
struct PostgresParams {
    pg_host: String,
    pg_port: u16,
    pg_db: String,
    pg_user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pg_pass: Option<String>,
    pg_sslmode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pg_sslrootcert: Option<String>,
}

#[derive(Serialize)]
struct ViewEntry<'a> {
    name: String,
    sql: &'a str,
}

/// The canonical JSON of an application's parts.
#[expect(
    clippy::expect_used,
    reason = "strings, numbers and booleans under string keys always serialize"
)]
pub(crate) fn json(parts: &Parts) -> String {
    let document = Document {
        version: "v1",
        kind: "Spicepod",
        name: &parts.name,
        secrets: parts.secret_stores.iter().map(store).collect(),
        datasets: parts.datasets.iter().map(dataset).collect(),
        views: parts.views.iter().map(view).collect(),
    };
    serde_json::to_string(&document).expect("plain data serializes")
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in hash(&SHA256, text.as_bytes()).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn store(store: &SecretStore) -> StoreEntry<'_> {
    let file_path = match &store.kind {
        StoreKind::Env { file_path } => file_path.as_deref(),
        StoreKind::File { .. } | StoreKind::Kubernetes { .. } => None,
    };
    StoreEntry {
        from: store.kind.to_string(),
        name: &store.name,
        params: StoreParams { file_path },
    }
}

fn dataset(dataset: &Dataset) -> DatasetEntry<'_> {
    let (s3, postgres) = match &dataset.source {
        Source::File(_) => (None, None),
        Source::S3(source) => (Some(s3(source)), None),
        Source::Postgres(source) => (None, Some(postgres(source))),
    };
    DatasetEntry {
        name: dataset.name.to_string(),
        from: dataset.source.to_string(),
        params: Params {
            format: dataset.source.format().map(format),
            s3,
            postgres,
        },
    }
}

fn format(format: &Format) -> FormatParams<'_> {
    FormatParams {
        file_format: format.as_str(),
        csv: match format {
            Format::Parquet => None,
            Format::Csv(options) => Some(csv(*options)),
        },
    }
}

fn csv(options: CsvOptions) -> CsvParams {
    CsvParams {
        csv_has_header: options.has_header,
        csv_delimiter: char::from(options.delimiter),
        csv_quote: char::from(options.quote),
        csv_escape: options.escape.map(char::from),
        csv_schema_infer_max_records: options.schema_infer_max_records,
    }
}

fn s3(source: &S3Source) -> S3Params {
    let (key, secret, session_token) = match &source.auth {
        S3Auth::Public => (None, None, None),
        S3Auth::Key {
            key,
            secret,
            session_token,
        } => (Some(key), Some(secret), session_token.as_ref()),
    };
    S3Params {
        s3_endpoint: source.endpoint.as_ref().map(ParamValue::to_string),
        s3_region: source.region.as_ref().map(ParamValue::to_string),
        s3_auth: source.auth.as_str(),
        s3_key: key.map(ParamValue::to_string),
        s3_secret: secret.map(ParamValue::to_string),
        s3_session_token: session_token.map(ParamValue::to_string),
        allow_http: source.allow_http,
    }
}

fn postgres(source: &PostgresSource) -> PostgresParams {
    PostgresParams {
        pg_host: source.host.to_string(),
        pg_port: source.port,
        pg_db: source.database.to_string(),
        pg_user: source.user.to_string(),
        pg_pass: source.password.as_ref().map(ParamValue::to_string),
        pg_sslmode: source.ssl_mode.as_str(),
        pg_sslrootcert: source.ssl_root_cert.as_ref().map(ParamValue::to_string),
    }
}

fn view(view: &View) -> ViewEntry<'_> {
    ViewEntry {
        name: view.name.to_string(),
        sql: &view.sql,
    }
}
