//! What a new instance costs: the same request to a host that reuses its instances, and to one that makes a new one for
//! every request. Prints microseconds per request, one after the other, without a listener, on one thread: what is
//! measured is work, not how long an idle core of this machine takes to wake up.
//!
//! `cargo xtask bench start` runs it, after building `dist/guests`.

use headwater_host::{AppDirectory, Connection, Host, HostConfig, Limits, full_body};
use http::Request;
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "instances"
[[trigger.http]]
route = "/..."
component = "main"
[component.main]
source = "guest.wasm"
sqlite_databases = ["catalog"]
[component.main.dependencies]
"headwater:test/greeter@0.1.0" = { path = "greeter.wasm" }
"#;

const REQUESTS: u32 = 20_000;

fn host(folder: &Path, requests_per_instance: usize) -> anyhow::Result<Host> {
    Host::load(
        &AppDirectory(folder.into()),
        HostConfig {
            variables: BTreeMap::new(),
            databases: BTreeMap::from([("catalog".into(), Some(folder.join("catalog.db")))]),
            cache: Some(folder.join("cache")),
            limits: Limits {
                requests_per_instance,
                ..Limits::default()
            },
            stand_ins: BTreeMap::new(),
            cache_bytes: 0,
            extra_roots: vec![],
        },
    )
}

async fn microseconds(host: &Host) -> anyhow::Result<f64> {
    let connection = Connection {
        client: "127.0.0.1:1".parse()?,
        tls: false,
    };
    let mut started = Instant::now();
    for request in 0..REQUESTS + REQUESTS / 10 {
        // The first tenth warms up.
        if request == REQUESTS / 10 {
            started = Instant::now();
        }
        let request = Request::get("/ok")
            .header("host", "localhost")
            .body(full_body(""))?;
        let response = host.handle(connection, request).await;
        anyhow::ensure!(response.status().is_success(), "{}", response.status());
        response.into_body().collect().await?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/guests");
    for name in ["guest.wasm", "greeter.wasm"] {
        std::fs::copy(guests.join(name), folder.path().join(name))?;
    }
    std::fs::write(folder.path().join("spin.toml"), MANIFEST)?;
    let reused = microseconds(&host(folder.path(), usize::MAX)?).await?;
    let new = microseconds(&host(folder.path(), 1)?).await?;
    println!("| instances | µs per request |");
    println!("|---|---|");
    println!("| reused | {reused:.1} |");
    println!("| new for each request | {new:.1} |");
    println!("| the difference: starting one | {:.1} |", new - reused);
    Ok(())
}
