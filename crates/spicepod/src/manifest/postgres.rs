//! How a dataset gets to its table in PostgreSQL.

use std::path::Path;

use super::{Reader, path};
use crate::node::Value;
use crate::param::ParamValue;
use crate::section::Section;
use crate::source::{PostgresSource, SslMode};

/// The parameters of a PostgreSQL source.
pub(super) struct PostgresAccess {
    host: ParamValue,
    port: u16,
    database: ParamValue,
    user: ParamValue,
    password: Option<ParamValue>,
    ssl_mode: SslMode,
    ssl_root_cert: Option<ParamValue>,
}

pub(super) fn source(schema: String, table: String, access: PostgresAccess) -> PostgresSource {
    PostgresSource {
        schema,
        table,
        host: access.host,
        port: access.port,
        database: access.database,
        user: access.user,
        password: access.password,
        ssl_mode: access.ssl_mode,
        ssl_root_cert: access.ssl_root_cert,
    }
}

impl Reader<'_> {
    pub(super) fn postgres_access(&mut self, params: &Section<'_>) -> Option<PostgresAccess> {
        let host = self.required_param(params, "pg_host");
        let port = self.pg_port(params);
        let database = self.required_param(params, "pg_db");
        let user = self.required_param(params, "pg_user");
        let password = self.secret_param(params, "pg_pass");
        let ssl_mode = self.pg_sslmode(params);
        let ssl_root_cert = self.pg_sslrootcert(params, ssl_mode);
        Some(PostgresAccess {
            host: host?,
            port,
            database: database?,
            user: user?,
            password,
            ssl_mode,
            ssl_root_cert,
        })
    }

    fn pg_port(&mut self, params: &Section<'_>) -> u16 {
        let Some(cursor) = params.optional("pg_port") else {
            return DEFAULT_PORT;
        };
        let port = match cursor.value() {
            Value::Integer(value) => u16::try_from(*value).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        port.filter(|port| *port > 0).unwrap_or_else(|| {
            cursor.fault(&mut self.findings, "expected a port, 1 to 65535");
            DEFAULT_PORT
        })
    }

    fn pg_sslmode(&mut self, params: &Section<'_>) -> SslMode {
        let words = MODES.map(SslMode::as_str);
        let word = self.word(params, "pg_sslmode", &words);
        let mode = MODES.into_iter().find(|mode| Some(mode.as_str()) == word);
        mode.unwrap_or(SslMode::VerifyFull)
    }

    /// PEM text, or a path, which is resolved here as the one to a file is.
    fn pg_sslrootcert(&mut self, params: &Section<'_>, mode: SslMode) -> Option<ParamValue> {
        let value = self.param(params, "pg_sslrootcert")?;
        let cursor = params.optional("pg_sslrootcert")?;
        if mode != SslMode::VerifyFull {
            let message = "has no effect unless `pg_sslmode` is `verify-full`; remove one of them";
            cursor.fault(&mut self.findings, message);
        }
        let Some(text) = value.literal().filter(|text| !text.starts_with(PEM)) else {
            return Some(value);
        };
        match path::resolved(Path::new(text), self.base) {
            Ok(path) => Some(ParamValue::from_literal(path)),
            Err(fault) => {
                cursor.fault(&mut self.findings, fault.to_string());
                None
            }
        }
    }
}

/// The port that PostgreSQL is registered for.
const DEFAULT_PORT: u16 = 5432;

const MODES: [SslMode; 3] = [SslMode::Disable, SslMode::Require, SslMode::VerifyFull];

const PEM: &str = "-----BEGIN";
