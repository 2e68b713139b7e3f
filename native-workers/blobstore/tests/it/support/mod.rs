//! A store in this process, and small clients for it.

pub(crate) mod sink;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use headwater_blob::{
    AccountKey, Auth, Container, HyperClient, HyperOptions, Permissions, ServiceSas, Store,
};
use headwater_blobstore::{Config, EventSink, Running, serve};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub(crate) fn key() -> AccountKey {
    AccountKey::from_base64(KEY).unwrap()
}

pub(crate) fn config(root: &Path, events: Option<EventSink>) -> Config {
    let mut config = Config::new(
        root,
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        "local",
        key(),
    );
    config.events = events;
    config
}

pub(crate) async fn start(root: &Path, events: Option<EventSink>) -> Running {
    serve(config(root, events)).await.unwrap()
}

pub(crate) fn client() -> HyperClient {
    HyperClient::new(HyperOptions {
        timeout: Duration::from_secs(120),
        ..HyperOptions::default()
    })
    .unwrap()
}

pub(crate) fn store(addr: SocketAddr, container: &str) -> Store<HyperClient> {
    let auth = Auth::SharedKey {
        account: "local".to_owned(),
        key: key(),
    };
    let container = Container::new(&format!("http://{addr}/local/{container}"), auth).unwrap();
    Store::new(client(), container, Timestamp::now)
}

pub(crate) fn sas(container: &str, letters: &str, minutes: i64) -> String {
    let expiry = Timestamp::now() + SignedDuration::from_mins(minutes);
    ServiceSas::for_container(container, Permissions::parse(letters).unwrap(), expiry)
        .sign("local", &key())
}

/// Sends raw bytes and returns everything that comes back until the server closes or is silent for `wait`.
pub(crate) async fn raw(addr: SocketAddr, request: &[u8], wait: Duration) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let (mut read, mut write) = stream.split();
    let _ = write.write_all(request).await;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(Ok(count)) = tokio::time::timeout(wait, read.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
