//! The way to a PostgreSQL server: addresses, TLS, and (feature `catalog`) the catalog on a session of its own.
//!
//! An address is what libpq takes: `postgres://user:password@host:5432/database?sslmode=require`, or words such as
//! `host=localhost user=headwater dbname=headwater`. With TLS the server's certificate is always checked, against the
//! roots of the web or those that the caller names: `sslmode=require` is at least as strict here as `verify-full` there.

#[cfg(feature = "catalog")]
mod catalog;
#[cfg(feature = "catalog")]
pub mod copy;
#[cfg(feature = "catalog")]
mod session;

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

#[cfg(feature = "catalog")]
pub use catalog::Catalog;
#[cfg(feature = "catalog")]
pub use session::Session;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The port of an address that names none.
const PORT: u16 = 5432;

/// What is wrong with an address or a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    #[error("not an address of a PostgreSQL server: {0}")]
    Address(String),
    #[error("a server is reached by its name, not by a socket's path")]
    Socket,
    #[error("not a certificate in PEM: {0}")]
    Certificate(String),
}

/// An address, understood.
#[derive(Debug, Clone)]
pub struct Address {
    pub config: Config,
}

impl Address {
    /// Parses an address. The password in it is never part of an error.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut config: Config = text
            .parse()
            .map_err(|error: tokio_postgres::Error| AddressError::Address(reason(&error)))?;
        if config
            .get_hosts()
            .iter()
            .any(|host| matches!(host, Host::Unix(_)))
        {
            return Err(AddressError::Socket);
        }
        if config.get_hosts().is_empty() {
            return Err(AddressError::Address("it names no host".into()));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("headwater");
        }
        Ok(Self { config })
    }

    /// Hosts and ports that a connection may go to.
    pub fn endpoints(&self) -> Vec<(String, u16)> {
        let ports = self.config.get_ports();
        self.config
            .get_hosts()
            .iter()
            .enumerate()
            .filter_map(|(at, host)| {
                let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
                match host {
                    Host::Tcp(name) => Some((name.clone(), port)),
                    Host::Unix(_) => None,
                }
            })
            .collect()
    }
}

/// An error with what caused it: tokio-postgres keeps the reason one level down.
pub fn reason(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// TLS that trusts `roots`, or without them the roots of the web.
pub fn tls(roots: &[CertificateDer<'_>]) -> MakeRustlsConnect {
    let mut store = RootCertStore::empty();
    if roots.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store.add_parsable_certificates(roots.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_root_certificates(store)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

/// The certificates of a PEM text; at least one.
pub fn roots(pem: &str) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let refuse = |reason: String| AddressError::Certificate(reason);
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(error.to_string()))?;
    if found.is_empty() {
        return Err(refuse("it holds none".into()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_their_endpoints() {
        for (text, endpoints) in [
            ("postgres://u:p@db.example/hw", vec![("db.example", 5432)]),
            ("host=a,b port=1,2 user=u", vec![("a", 1), ("b", 2)]),
            ("host=a,b port=7 user=u", vec![("a", 7), ("b", 7)]),
        ] {
            let address = Address::parse(text).unwrap();
            let wanted: Vec<_> = endpoints
                .into_iter()
                .map(|(host, port)| (host.to_owned(), port))
                .collect();
            assert_eq!(address.endpoints(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for text in [
            "",
            "user=u password=secret",
            "postgres://u:secret@/db",
            "host=/run/postgresql user=u password=secret",
            "host=a port=many password=secret",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn certificates_are_read_or_refused() {
        assert!(roots("no certificate").is_err());
        assert!(roots("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").is_err());
    }
}
