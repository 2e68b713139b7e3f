//! How a store is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use headwater_blob::AccountKey;

pub use crate::events::EventSink;
use crate::s3::S3Config;

/// Everything a store needs to know. Start from [`Config::new`] and change what differs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The folder with everything in it; created if missing. One process at a time. With a bucket: of what is on its way.
    pub root: PathBuf,
    /// A bucket for the blobs, in place of the folder.
    pub s3: Option<S3Config>,
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The first segment of every path.
    pub account: String,
    pub key: AccountKey,
    /// Who is told about new and deleted blobs. Without it no events are recorded.
    pub events: Option<EventSink>,
    /// A certificate in PEM that the event sink's may chain to, in addition to the public roots.
    pub events_ca_pem: Option<Vec<u8>>,
    /// Serve https instead of http.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Scheme, host and port under which clients reach the store, if not the listening address. Events name it.
    pub public_url: Option<String>,
    /// The `topic` of events: the storage account's resource id.
    pub topic: String,
    /// Origins that browsers may call from; `*` for all. The signature is what protects a blob.
    pub cors_origins: Vec<String>,
    /// Further connections wait in the kernel's queue.
    pub max_connections: usize,
    /// A client that neither sends nor takes a byte for so long is disconnected.
    pub idle_timeout: Duration,
    /// How long requests may take to end at a shutdown.
    pub drain_timeout: Duration,
}

impl Config {
    pub fn new(
        root: impl Into<PathBuf>,
        listen: SocketAddr,
        account: impl Into<String>,
        key: AccountKey,
    ) -> Self {
        let account = account.into();
        let topic = format!(
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/headwater/providers/Microsoft.Storage/storageAccounts/{account}"
        );
        Self {
            root: root.into(),
            s3: None,
            listen,
            account,
            key,
            events: None,
            events_ca_pem: None,
            tls: None,
            public_url: None,
            topic,
            cors_origins: vec!["*".to_owned()],
            max_connections: 1024,
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }

    /// Scheme, host and port of the store that listens on `addr`, without a trailing slash.
    pub(crate) fn base_url(&self, addr: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.scheme(), reachable(addr)),
        }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// An address that a client on this machine can use.
pub(crate) fn reachable(addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port())
    } else {
        addr
    }
}
