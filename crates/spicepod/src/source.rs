//! Where a dataset's data is, and what it takes to get there.

use std::fmt;
use std::path::Path;

use crate::format::Format;
use crate::param::ParamValue;

/// Where a dataset's data is. Exhaustive, so that whoever reads data handles a new kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files on the node itself.
    File(FileSource),
    /// Objects of a store that speaks S3.
    S3(S3Source),
    /// A table of a PostgreSQL database.
    Postgres(PostgresSource),
}

/// A file, or a directory of files, on the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// Absolute; text, because JSON carries it between machines.
    pub(crate) path: String,
    pub(crate) format: Format,
}

/// An object, or all objects under a prefix, of a store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Source {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) format: Format,
    pub(crate) endpoint: Option<ParamValue>,
    pub(crate) region: Option<ParamValue>,
    pub(crate) auth: S3Auth,
    pub(crate) allow_http: bool,
}

/// Who a node is to an S3 store (`s3_auth`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Auth {
    /// Nobody: requests are not signed.
    Public,
    /// The holder of a key.
    Key {
        /// The access key id (`s3_key`).
        key: ParamValue,
        /// The secret access key (`s3_secret`).
        secret: ParamValue,
        /// The token that temporary keys come with (`s3_session_token`).
        session_token: Option<ParamValue>,
    },
}

/// A table, or a view, of a PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSource {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) host: ParamValue,
    pub(crate) port: u16,
    pub(crate) database: ParamValue,
    pub(crate) user: ParamValue,
    pub(crate) password: Option<ParamValue>,
    pub(crate) ssl_mode: SslMode,
    pub(crate) ssl_root_cert: Option<ParamValue>,
}

/// How far a node trusts the way to a database (`pg_sslmode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS with whoever answers.
    Require,
    /// TLS with a server whose certificate is for the host that was dialled.
    VerifyFull,
}

impl Source {
    /// How the data is encoded; `None` where it is no file.
    #[must_use]
    pub fn format(&self) -> Option<&Format> {
        match self {
            Source::File(file) => Some(&file.format),
            Source::S3(s3) => Some(&s3.format),
            Source::Postgres(_) => None,
        }
    }

    /// Every parameter whose value may hold references.
    pub(crate) fn params(&self) -> Vec<&ParamValue> {
        match self {
            Source::File(_) => Vec::new(),
            Source::S3(s3) => s3.params(),
            Source::Postgres(postgres) => postgres.params(),
        }
    }
}

impl fmt::Display for Source {
    /// The `from` of a manifest that means this source.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(FileSource { path, .. }) => write!(out, "file:{path}"),
            Source::S3(S3Source { bucket, key, .. }) => write!(out, "s3://{bucket}/{key}"),
            Source::Postgres(PostgresSource { schema, table, .. }) => {
                write!(out, "postgres:{schema}.{table}")
            }
        }
    }
}

impl FileSource {
    /// The absolute path of the file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// How the files are encoded.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }
}

impl S3Source {
    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of one object or, where it is empty or ends in `/`, the prefix of many. It starts
    /// with no `/`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How the objects are encoded.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The URL of the store (`s3_endpoint`); Amazon's, for the region, where there is none.
    #[must_use]
    pub fn endpoint(&self) -> Option<&ParamValue> {
        self.endpoint.as_ref()
    }

    /// The region (`s3_region`).
    #[must_use]
    pub fn region(&self) -> Option<&ParamValue> {
        self.region.as_ref()
    }

    /// Who the node is to the store.
    #[must_use]
    pub fn auth(&self) -> &S3Auth {
        &self.auth
    }

    /// Whether the endpoint may be one without TLS (`allow_http`).
    #[must_use]
    pub fn allows_http(&self) -> bool {
        self.allow_http
    }

    fn params(&self) -> Vec<&ParamValue> {
        let mut params: Vec<_> = self.endpoint.iter().chain(&self.region).collect();
        if let S3Auth::Key {
            key,
            secret,
            session_token,
        } = &self.auth
        {
            params.extend([key, secret]);
            params.extend(session_token);
        }
        params
    }
}

impl S3Auth {
    /// The value of `s3_auth`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            S3Auth::Public => "public",
            S3Auth::Key { .. } => "key",
        }
    }
}

impl PostgresSource {
    /// The schema, `public` where `from` names none; as written, for SQL to be quoted.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The table within its schema; as written, for SQL to be quoted.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The host name or address of the server (`pg_host`).
    #[must_use]
    pub fn host(&self) -> &ParamValue {
        &self.host
    }

    /// The port of the server (`pg_port`, 5432).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database (`pg_db`).
    #[must_use]
    pub fn database(&self) -> &ParamValue {
        &self.database
    }

    /// Who the node is to the database (`pg_user`).
    #[must_use]
    pub fn user(&self) -> &ParamValue {
        &self.user
    }

    /// The password (`pg_pass`), where the server asks for one.
    #[must_use]
    pub fn password(&self) -> Option<&ParamValue> {
        self.password.as_ref()
    }

    /// How far the way to the server is trusted.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    /// The roots of the server's certificate (`pg_sslrootcert`), those of the system where there
    /// are none: PEM text, or the absolute path of a file with it on every node.
    #[must_use]
    pub fn ssl_root_cert(&self) -> Option<&ParamValue> {
        self.ssl_root_cert.as_ref()
    }

    fn params(&self) -> Vec<&ParamValue> {
        let mut params = vec![&self.host, &self.database, &self.user];
        params.extend(self.password.iter().chain(&self.ssl_root_cert));
        params
    }
}

impl SslMode {
    /// The value of `pg_sslmode`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Require => "require",
            SslMode::VerifyFull => "verify-full",
        }
    }
}
