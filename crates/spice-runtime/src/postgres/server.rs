//! Whom to ask, as whom, and by what right.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use spicepod::{Dataset, ParamValue, PostgresSource, SslMode};
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode as Negotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PostgresError;
use super::tls;
use crate::open_error::OpenFault;
use crate::secrets::{SecretSource, expand};

/// A database and the right to read in it. It cannot be printed.
#[derive(Clone)]
pub(super) struct Server {
    /// Its host and port as the manifest has them: a host that is a secret stays one.
    pub(super) shown: String,
    pub(super) config: Config,
    /// `None` where there is to be no TLS.
    pub(super) tls: Option<MakeRustlsConnect>,
}

impl Server {
    /// Puts together what the manifest says. Nothing is asked of the server yet.
    pub(super) async fn of(
        dataset: &Dataset,
        source: &PostgresSource,
        secrets: &dyn SecretSource,
    ) -> Result<Self, OpenFault> {
        let fault = |error| OpenFault::Postgres {
            dataset: dataset.name().clone(),
            from: dataset.source().to_string(),
            source: Box::new(error),
        };
        let text = async |value: &ParamValue| {
            let expanded = expand(value, secrets).await;
            expanded.map_err(|source| OpenFault::Secret {
                dataset: dataset.name().clone(),
                source,
            })
        };
        let host = text(source.host()).await?;
        let host = host.expose_secret();
        if !is_host(host) {
            return Err(fault(PostgresError::Host));
        }
        let mut config = Config::new();
        config.host(host).port(source.port());
        config.dbname(text(source.database()).await?.expose_secret());
        config.user(text(source.user()).await?.expose_secret());
        if let Some(password) = source.password() {
            config.password(text(password).await?.expose_secret());
        }
        bounded(&mut config);
        let roots = match source.ssl_root_cert() {
            Some(roots) => Some(text(roots).await?),
            None => None,
        };
        let tls = protected(&mut config, source.ssl_mode(), roots).await;
        Ok(Self {
            shown: shown(&source.host().to_string(), source.port()),
            config,
            tls: tls.map_err(fault)?,
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

fn shown(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

/// A path would be a socket on this machine, and a comma would make two hosts of one.
fn is_host(text: &str) -> bool {
    let ordinary = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !text.is_empty() && text.chars().all(ordinary)
}

fn bounded(config: &mut Config) {
    config
        .application_name("spice")
        .connect_timeout(CONNECT_LIMIT)
        .tcp_user_timeout(PEER_LIMIT)
        .keepalives_idle(PEER_LIMIT / 3);
}

async fn protected(
    config: &mut Config,
    mode: SslMode,
    roots: Option<SecretString>,
) -> Result<Option<MakeRustlsConnect>, PostgresError> {
    config.ssl_mode(match mode {
        SslMode::Disable => Negotiation::Disable,
        SslMode::Require | SslMode::VerifyFull => Negotiation::Require,
    });
    let made = match (mode, roots) {
        (SslMode::Disable, _) => return Ok(None),
        (SslMode::Require, _) => {
            config.channel_binding(ChannelBinding::Require);
            return tls::any_certificate().map(Some);
        }
        // Certificates are read from files.
        (SslMode::VerifyFull, Some(roots)) => {
            tokio::task::spawn_blocking(move || tls::roots(roots.expose_secret())).await
        }
        (SslMode::VerifyFull, None) => tokio::task::spawn_blocking(tls::system_roots).await,
    };
    let interrupted = |error: tokio::task::JoinError| PostgresError::Roots {
        reason: format!("could not be read: {error}"),
    };
    made.map_err(interrupted)?.map(Some)
}

/// For one address of the host; the whole of a connection has a bound of its own.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A peer that acknowledges nothing for as long is gone.
const PEER_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_name_or_address() {
        for host in ["db", "db.example.org", "127.0.0.1", "::1", "db_1"] {
            assert!(is_host(host), "{host}");
        }
        assert_eq!(shown("db", 5432), "db:5432");
        assert_eq!(shown("::1", 5432), "[::1]:5432");
        for other in ["", "/run/postgresql", "a,b", "a b", "user@db"] {
            assert!(!is_host(other), "{other}");
        }
    }
}
