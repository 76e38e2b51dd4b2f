//! Why a database gave no rows, told without what it should not have repeated.

use std::path::PathBuf;

use tokio_postgres::error::SqlState;

use crate::causes::{causes, innermost, is_tls};
use crate::said::{logged, said};

/// Why a database gave no rows. No variant holds a value of a parameter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// Whatever kept a connection from being made.
    #[error("no connection with {server}")]
    Connecting {
        /// Its host and port, as the manifest has them.
        server: String,
        /// What is in the way.
        #[source]
        source: Box<PostgresError>,
    },
    /// No connection, or one that broke.
    #[error("the database cannot be reached: {reason}")]
    Unreachable {
        /// What the network said.
        reason: String,
    },
    /// A server that proves to be somebody else, or nobody.
    #[error("TLS with the database fails: {reason}; check `pg_host` and `pg_sslrootcert`")]
    Tls {
        /// What TLS said.
        reason: String,
    },
    /// A server that was not set up for TLS.
    #[error(
        "the server has no TLS; give it a certificate, or set `pg_sslmode: disable` where nobody \
         else can reach the network between: rows, and whatever proves the password, then travel \
         in the clear, and nothing proves which server it is"
    )]
    NoTls,
    /// A server that is silent.
    #[error("the database did not answer within {seconds} s")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// A server that does not know the user or the password. Its own words repeat the user.
    #[error(
        "the database refuses the user or the password ({code}); check `pg_user` and `pg_pass`"
    )]
    Refused {
        /// The code of the refusal.
        code: String,
    },
    /// A server without the database. Its own words repeat the name.
    #[error("the server has no such database ({code}); check `pg_db`")]
    NoDatabase {
        /// The code of the refusal.
        code: String,
    },
    /// A server that takes no connection now, or not this one. Its own words may repeat the user and
    /// the database.
    #[error("the database takes no connection ({code}): {advice}")]
    Declined {
        /// What is behind it, and what to do.
        advice: &'static str,
        /// The code of the refusal.
        code: String,
    },
    /// A server that proves by no certificate and by no password exchange who it is.
    #[error(
        "the server cannot prove who it is: with `pg_sslmode: require` it must know the password \
         by SCRAM and bind it to the connection; give `verify-full` and its root certificate instead"
    )]
    Unbound,
    /// Something that the server refuses about a statement.
    #[error("the database refuses: {message} ({code})")]
    Statement {
        /// Its words, cut short.
        message: String,
        /// Their code.
        code: String,
    },
    /// No such table, or none that the user may see.
    #[error("there is no table {schema}.{table} that the user may see; check `from`")]
    NoTable {
        /// Its schema.
        schema: String,
        /// Its name.
        table: String,
    },
    /// A column whose type has no equal here.
    #[error(
        "the column `{column}` has the type {type_name}, which this version does not read; read a \
         view without it, or with a cast to text"
    )]
    ColumnType {
        /// The column.
        column: String,
        /// Its type in the database.
        type_name: String,
    },
    /// A value that its column cannot hold here.
    #[error("the column `{column}` holds {value}, which has no equal here")]
    Value {
        /// The column.
        column: String,
        /// What kind of value.
        value: &'static str,
    },
    /// A column changed after its table was opened.
    #[error("the column `{column}` has another type than it had; start the node again")]
    OtherType {
        /// The column.
        column: String,
    },
    /// The table changed after it was opened.
    #[error("the columns of {dataset} are not those that it was opened with; start the node again")]
    Changed {
        /// The dataset.
        dataset: String,
    },
    /// A host that is none.
    #[error("`pg_host` is neither a host name nor an address")]
    Host,
    /// Roots that cannot be used.
    #[error("`pg_sslrootcert` {reason}")]
    Roots {
        /// What is wrong with them.
        reason: String,
    },
    /// A file of roots that cannot be read.
    #[error("cannot read {}, which `pg_sslrootcert` names", path.display())]
    RootsFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl PostgresError {
    /// Why no connection was made: of what a server says then, the code alone.
    pub(super) fn of_connecting(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => declined(refusal.code()),
            None => Self::from(error),
        }
    }

    /// The text with the texts of its causes.
    pub(crate) fn told(&self) -> String {
        let texts: Vec<String> = causes(self).map(ToString::to_string).collect();
        logged(&texts.join(": "))
    }

    /// Whether the server did not take the user or the password.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Connecting { source, .. } => source.is_refusal(),
            Self::Refused { .. } => true,
            _ => false,
        }
    }

    /// Whether the server is out of reach or out of order, and not what it was asked for is wrong.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Connecting { source, .. } => source.is_outage(),
            Self::Unreachable { .. } | Self::Silent { .. } => true,
            Self::Statement { code, .. } | Self::Declined { code, .. } => {
                OUT_OF_ORDER.iter().any(|it| code.starts_with(it))
            }
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            return refused(refusal.code(), refusal.message());
        }
        let reason = innermost(&error);
        // Of these two the client tells by text alone.
        if reason.contains("channel binding") {
            return Self::Unbound;
        }
        if reason == "server does not support TLS" {
            return Self::NoTls;
        }
        if is_tls(&error) {
            return Self::Tls { reason };
        }
        Self::Unreachable { reason }
    }
}

/// Of a statement.
fn refused(code: &SqlState, message: &str) -> PostgresError {
    unknown(code).unwrap_or_else(|| PostgresError::Statement {
        message: said(message),
        code: number(code),
    })
}

/// Of a connection that was to be made.
fn declined(code: &SqlState) -> PostgresError {
    unknown(code).unwrap_or_else(|| {
        let code = number(code);
        let fits = |(beginning, _): &&(&str, &str)| code.starts_with(beginning);
        let advice = DECLINED.iter().find(fits);
        PostgresError::Declined {
            advice: advice.map_or("its log says why", |(_, advice)| advice),
            code,
        }
    })
}

/// Of a user or a database that the server does not know.
fn unknown(code: &SqlState) -> Option<PostgresError> {
    let code = number(code);
    match code.get(..2)? {
        "28" => Some(PostgresError::Refused { code }),
        "3D" => Some(PostgresError::NoDatabase { code }),
        _ => None,
    }
}

/// A code has five characters, whatever a server sends.
fn number(code: &SqlState) -> String {
    let code = code.code().chars();
    code.filter(char::is_ascii_alphanumeric).take(5).collect()
}

/// The beginnings of codes with which connections are declined.
const DECLINED: [(&str, &str); 5] = [
    (
        "42501",
        "the user may not connect; grant CONNECT on the database, or check `pg_user` and `pg_db`",
    ),
    (
        "53",
        "too many connections or too little memory; raise the limits of the server, of the user or \
         of the database",
    ),
    (
        "55",
        "the database is not open to connections; open it, or check `pg_db`",
    ),
    ("57P", "it is starting up, stopping or recovering"),
    ("58", "its own system fails; its log says how"),
];

/// The beginnings of codes of a server that starts, stops, is full or has lost its own way: broken
/// connections, too few resources, an operator's intervention, and errors of its system.
const OUT_OF_ORDER: [&str; 4] = ["08", "53", "57P", "58"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_repeats_neither_the_user_nor_the_database() {
        let refusals = [
            (
                SqlState::INVALID_PASSWORD,
                "password authentication failed for user \"keeper\"",
            ),
            (
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                "no pg_hba.conf entry for \"keeper\"",
            ),
            (
                SqlState::INVALID_CATALOG_NAME,
                "database \"keeper\" does not exist",
            ),
        ];
        for (code, words) in refusals {
            let told = refused(&code, words).to_string();
            assert!(!told.contains("keeper"), "{told}");
            assert!(told.contains(code.code()), "{told}");
        }
        let told = refused(&SqlState::DIVISION_BY_ZERO, "division by zero").to_string();
        assert_eq!(told, "the database refuses: division by zero (22012)");
    }

    #[test]
    fn a_connection_that_is_declined_is_told_by_its_code_and_with_what_to_do() {
        for (code, words) in [
            (
                SqlState::TOO_MANY_CONNECTIONS,
                "(53300): too many connections",
            ),
            (SqlState::CANNOT_CONNECT_NOW, "(57P03): it is starting up"),
            (
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "(55000): the database is not open",
            ),
            (
                SqlState::INSUFFICIENT_PRIVILEGE,
                "(42501): the user may not connect",
            ),
            (SqlState::FEATURE_NOT_SUPPORTED, "(0A000): its log says why"),
            (
                SqlState::INVALID_PASSWORD,
                "refuses the user or the password (28P01)",
            ),
            (SqlState::INVALID_CATALOG_NAME, "no such database (3D000)"),
        ] {
            let told = declined(&code).to_string();
            assert!(told.contains(words), "{told}");
        }
        assert!(declined(&SqlState::TOO_MANY_CONNECTIONS).is_outage());
        assert!(declined(&SqlState::CANNOT_CONNECT_NOW).is_outage());
        assert!(!declined(&SqlState::INSUFFICIENT_PRIVILEGE).is_outage());
    }

    #[test]
    fn what_a_server_says_without_end_is_cut() {
        let endless = "x\n".repeat(1_000_000);
        let code = SqlState::from_code(&endless);
        let told = refused(&code, &endless).to_string();
        assert!(told.len() < 300, "{}", told.len());
        assert!(!told.contains('\n'));
        assert!(told.ends_with("(xxxxx)"), "{told}");
        let type_name = endless.clone();
        let column = endless;
        let odd = PostgresError::ColumnType { column, type_name };
        assert!(odd.told().len() < 1100);
    }

    #[test]
    fn a_server_out_of_order_is_told_from_one_that_refuses() {
        for code in [
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IO_ERROR,
        ] {
            assert!(refused(&code, "").is_outage(), "{code:?}");
        }
        for code in [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_CATALOG_NAME,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::QUERY_CANCELED,
            SqlState::UNDEFINED_TABLE,
        ] {
            assert!(!refused(&code, "").is_outage(), "{code:?}");
        }
        assert!(!PostgresError::NoTls.is_outage());
        let silent = PostgresError::Connecting {
            server: "db:5432".to_owned(),
            source: Box::new(PostgresError::Silent { seconds: 10 }),
        };
        assert!(silent.is_outage());
        let told = "no connection with db:5432: the database did not answer within 10 s";
        assert_eq!(silent.told(), told);
    }
}
