//! Runs a store on its own, for the tests that talk to it from outside.
//!
//! `cargo run -p headwater-blobstore --release --example serve -- --root DIR --port 0 --print` prints one line of JSON
//! when it answers: `url` (with the account), `account`, `key`, `pid`. It ends cleanly on SIGTERM, SIGINT or when its
//! standard input closes with `--until-eof`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use headwater_blob::AccountKey;
use headwater_blobstore::{Config, EventSink, S3Config, S3Credentials, serve};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

/// The key that every Azure emulator uses, from Microsoft's documentation: for tests only.
const WELL_KNOWN_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    root: PathBuf,
    /// 0 picks a free one.
    #[arg(long, default_value_t = 10000)]
    port: u16,
    #[arg(long, default_value = "local")]
    account: String,
    /// Base64. Default: the emulators' well-known key.
    #[arg(long, env = "HEADWATER_BLOB_KEY", default_value = WELL_KNOWN_KEY)]
    key: String,
    /// Where to POST storage events.
    #[arg(long)]
    events_url: Option<String>,
    #[arg(long, default_value = "secret")]
    events_secret: String,
    /// An S3 endpoint for the blobs, with keys from the environment as AWS's tools take them.
    #[arg(long, requires = "s3_bucket")]
    s3_endpoint: Option<String>,
    #[arg(long)]
    s3_bucket: Option<String>,
    #[arg(long, default_value = "")]
    s3_prefix: String,
    /// Print the connection as one line of JSON once the store answers.
    #[arg(long)]
    print: bool,
    /// End when standard input closes.
    #[arg(long)]
    until_eof: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let arguments = Arguments::parse();
    let key = AccountKey::from_base64(&arguments.key).context("--key")?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let mut config = Config::new(&arguments.root, listen, &arguments.account, key);
    config.events = arguments.events_url.map(|url| EventSink {
        url,
        secret: arguments.events_secret,
    });
    if let Some((endpoint, bucket)) = arguments.s3_endpoint.zip(arguments.s3_bucket) {
        let keys = S3Credentials::Keys {
            id: std::env::var("AWS_ACCESS_KEY_ID")?,
            secret: std::env::var("AWS_SECRET_ACCESS_KEY")?,
            token: None,
        };
        let mut s3 = S3Config::new(endpoint, "us-east-1", bucket, keys);
        s3.prefix = arguments.s3_prefix;
        config.s3 = Some(s3);
    }
    let running = serve(config).await?;
    if arguments.print {
        let connection = serde_json::json!({
            "url": format!("http://{}/{}", running.addr, arguments.account),
            "account": arguments.account,
            "key": arguments.key,
            "pid": std::process::id(),
        });
        println!("{connection}");
    }
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let eof = async {
        if !arguments.until_eof {
            std::future::pending::<()>().await;
        }
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = eof => {}
    }
    running.shutdown().await;
    Ok(())
}
