//! `headwater up`: every part on this machine, on embedded storage and an embedded database.
//!
//! Order: keys, addresses, catalog, blob store, functions, worker. `connection.json` is written when each of them
//! answers and removed on exit.

use crate::bucket::{self, BucketArgs};
use crate::catalog::CatalogArgs;
use crate::client::ApiClient;
use crate::connection::{self, ConnectionFile};
use crate::fault::{self, Blame, Fault, Kind};
use crate::gate::RateLimit;
use crate::health::Health;
use crate::master_key::MasterKeyArgs;
use crate::metering::Metering;
use crate::notifier::Egress;
use crate::secrets::Secrets;
use crate::storage::{Account, EMBEDDED, StorageArgs};
use crate::supervisor::{Worker, supervise};
use crate::tls::Tls;
use crate::token::Who;
use crate::{
    app, blobstore, connect, demo, descriptors, files, live, local, metrics, shared, tls, token,
};
use anyhow::{Context, Result, bail};
use clap::Parser;
use headwater_api::limits::Limits as RateLimits;
use headwater_auth::{Issuer, Role};
use headwater_blob::AccountKey;
use headwater_blobstore::S3Config;
use headwater_catalog::RandomIds;
use headwater_catalog::bootstrap::{BootstrapClient, BootstrapConfig, bootstrap};
use headwater_host::{
    AccessLog, Host, HostConfig, Limits, MediaCache, NativeAssembler, ServerConfig, StandIn, bind,
    serve,
};
use headwater_keys::{Backend, KeyVendor};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Parser)]
pub(crate) struct Args {
    /// Folder for everything that is kept: media, catalog, keys.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
    #[command(flatten)]
    catalog: CatalogArgs,
    #[command(flatten)]
    master_key: MasterKeyArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    bucket: BucketArgs,
    #[command(flatten)]
    shared: shared::Args,
    /// Address of API, portal, streaming and keys. Port 0 takes a free one.
    #[arg(long, env = "HEADWATER_LISTEN", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// Address of the embedded blob store.
    #[arg(long, env = "HEADWATER_BLOB_LISTEN", default_value = "127.0.0.1:10000", value_parser = address)]
    blob_listen: SocketAddr,
    /// Address of the Prometheus metrics.
    #[arg(long, env = "HEADWATER_METRICS_LISTEN", default_value = "127.0.0.1:9464", value_parser = address)]
    metrics_listen: SocketAddr,
    /// How players and clients reach this installation, if not by its own address; no trailing slash.
    #[arg(long, env = "HEADWATER_PUBLIC_URL")]
    public_url: Option<String>,
    /// How clients and workers reach the embedded blob store, if not by its own address: scheme, host and port.
    #[arg(long, env = "HEADWATER_BLOB_PUBLIC_URL")]
    blob_public_url: Option<String>,
    /// What the API calls the place where this installation is, in the words of scripts for Azure Media Services: westeurope.
    #[arg(long, env = "HEADWATER_LOCATION", default_value = "local", value_parser = place_name)]
    location: String,
    /// Serve HTTPS with a certificate of an authority made for this installation.
    #[arg(long, env = "HEADWATER_TLS")]
    tls: bool,
    /// Publish the demo asset (the default in a new folder).
    #[arg(long, overrides_with = "no_demo")]
    demo: bool,
    /// Publish no demo asset.
    #[arg(long)]
    no_demo: bool,
    /// Let anybody read the list of published, unprotected assets. On by default when only this machine can connect:
    /// it listens on a loopback address and was given no public URL.
    #[arg(long, env = "HEADWATER_PUBLIC_GALLERY")]
    public_gallery: Option<bool>,
    /// Other authorities whose tokens are accepted, such as Entra ID: a file with a JSON array of
    /// {issuer, audience, roles: {theirs: ours}, jwksUri?, discovery?, rolesClaim?, project?, portal?}. With `portal`
    /// {clientId, name?, scopes?, parameters?, bearer?, hosts?} people sign in to the portal there.
    #[arg(long, env = "HEADWATER_OIDC_CONFIG", value_name = "FILE")]
    oidc_config: Option<PathBuf>,
    /// Servers that make Widevine, PlayReady and FairPlay licences: a file with a JSON array of
    /// {system, url, headers?, wrapping?, project?, ...}. Keys for AES and ClearKey need none. With the system "Speke" it is a
    /// vendor that keys are ordered from.
    #[arg(long, env = "HEADWATER_LICENCE_CONFIG", value_name = "FILE")]
    licence_config: Option<PathBuf>,
    /// Where content key policies may have the keys of their tokens' issuers read (OpenID discovery), with scheme.
    #[arg(
        long,
        env = "HEADWATER_KEY_ISSUER_HOSTS",
        value_delimiter = ',',
        default_value = "https://login.microsoftonline.com"
    )]
    key_issuer_hosts: Vec<String>,
    /// Threads of the transcoder.
    #[arg(long, env = "HEADWATER_THREADS")]
    threads: Option<usize>,
    /// An application folder (with spin.toml) in place of the one in this binary.
    #[arg(long, env = "HEADWATER_APP")]
    app: Option<PathBuf>,
    /// Memory for answers that are given again without asking a component, in MiB; 0 keeps none.
    #[arg(long, env = "HEADWATER_CACHE_MIB", default_value_t = 64)]
    cache_mib: u64,
    /// Disk for media of storage accounts that are elsewhere, in MiB; 0 keeps none.
    #[arg(long, env = "HEADWATER_MEDIA_CACHE_MIB", default_value_t = 4096)]
    media_cache_mib: u64,
    /// Keep no access log.
    #[arg(long)]
    no_access_log: bool,
    /// Reads that a project may make of the API in a minute; 0 is no limit.
    #[arg(long, env = "HEADWATER_RATE_LIMIT_READS", default_value_t = 0)]
    rate_limit_reads: u32,
    /// Writes that a project may make in a minute; 0 is no limit.
    #[arg(long, env = "HEADWATER_RATE_LIMIT_WRITES", default_value_t = 0)]
    rate_limit_writes: u32,
    /// How long the audit log goes back, in days.
    #[arg(long, env = "HEADWATER_AUDIT_DAYS", default_value_t = 90)]
    audit_days: u32,
    #[command(flatten)]
    live: live::Args,
    #[command(flatten)]
    egress: Egress,
    /// Answer the assembler in Wasm rather than natively. Slower; for comparison.
    #[arg(long, hide = true)]
    wasm_assembler: bool,
}

const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";
const RESOURCE_GROUP: &str = "headwater";
/// The API takes any tenant; this one is for SDKs that will not do without.
const TENANT: &str = "00000000-0000-0000-0000-000000000000";
const CLIENT: &str = "headwater";

/// `127.0.0.1:8080`, `:8080` or `8080`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    text.strip_prefix(':')
        .unwrap_or(text)
        .parse::<u16>()
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .map_err(|_| format!("{text:?} is neither an address with a port nor a port"))
}

/// `westeurope`, `West Europe`.
fn place_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    match text.trim() {
        name if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) => {
            Ok(name.to_owned())
        }
        _ => Err("a location has 1 to 64 letters, digits, spaces or hyphens".into()),
    }
}

/// Resolves on SIGTERM or SIGINT.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let started = Instant::now();
    let (external, s3) = check(&args)?;
    let data = prepare_folder(&args.data)?;
    let _lock = lock(&data, fault::DATA)?;
    let _ = std::fs::remove_file(connection::path(&data));
    let new = !data.join("secrets.json").exists();
    let mut secrets = Secrets::load(&data, args.master_key.is_given())?;
    args.shared.replace(&mut secrets, external.is_some());
    let master_key = args.master_key.keys(&secrets)?;
    if new && !args.no_demo {
        demo::request(&data)?;
    }
    let tls = if args.tls {
        Some(tls::load(&data, &names(&args))?)
    } else {
        None
    };

    let listener = bind(args.listen)
        .await
        .blame(Kind::CannotCreate, fault::LISTEN)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let base = url(scheme, listener.addr);
    let public = match &args.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => base.clone(),
    };
    let metrics = metrics::bind(args.metrics_listen, fault::METRICS_LISTEN).await?;
    let metrics_url = format!("{}/metrics", url("http", metrics.address));

    let ca_pem = tls
        .as_ref()
        .map(|tls| std::fs::read(&tls.ca_file))
        .transpose()?;
    let (blob, own, account) = match external {
        Some(account) => (None, account.clone(), account),
        None => {
            let sink = headwater_blobstore::EventSink {
                url: format!("{base}/events/storage"),
                secret: secrets.event_secret.clone(),
            };
            let (blob, own) = embedded(&args, &data, &secrets, tls.as_ref(), sink, s3).await?;
            let account = Account {
                url: match &args.blob_public_url {
                    Some(public) => format!("{}/{EMBEDDED}", public.trim_end_matches('/')),
                    None => own.url.clone(),
                },
                ..own.clone()
            };
            (Some(blob), own, account)
        }
    };

    let catalog = args.catalog.open(&data)?;
    let bootstrapped = bootstrap(
        &catalog,
        &BootstrapConfig {
            master_key: master_key.as_str().into(),
            blob_url: account.url.clone(),
            account: account.name.clone(),
            account_key: account.key_text.as_str().into(),
            subscription_id: SUBSCRIPTION.into(),
            resource_group: RESOURCE_GROUP.into(),
            location: args.location.clone(),
            client: (!secrets.client_secret.is_empty()).then(|| BootstrapClient {
                client_id: CLIENT.into(),
                secret: secrets.client_secret.as_str().into(),
            }),
        },
        jiff::Timestamp::now(),
        &RandomIds,
    )
    .await
    .map_err(|error| args.catalog.fault(error, args.master_key.setting()))
    .context("preparing the catalog")?;
    drop(catalog);
    let (uploads, storage_answers) = own
        .prepare(ca_pem)
        .await
        .context("preparing the container for uploads")?;

    let public_host = host(args.public_url.as_deref());
    let ports = args.live.ports(tls.is_some(), public_host.as_deref())?;
    let host = load_host(
        &args,
        &data,
        &secrets,
        &master_key,
        &Addresses {
            public: &public,
            blob: account.origin()?,
            metrics: &metrics_url,
            live: &args.live.hosts(ports.as_ref()),
        },
        tls.as_ref(),
        blob.as_ref().and_then(|blob| blob.local_reader()),
    )?;
    let metering = Metering::of(&host, &args.catalog, &data);
    let server_config = ServerConfig {
        max_connections: descriptors::raise() / 2,
        tls: tls.as_ref().map(|tls| tls.server.clone()),
        access_log: if args.no_access_log {
            AccessLog::off()
        } else {
            AccessLog::file(&data.join("access.log"))?
        },
        gate: RateLimit::gate(RateLimits {
            reads: args.rate_limit_reads,
            writes: args.rate_limit_writes,
        }),
        ..ServerConfig::default()
    };
    let server = serve(listener, host, server_config);

    let sign =
        |role, who: Who, hours| token::issue(&bootstrapped.signing_key, &public, role, &who, hours);
    let (stop_worker, worker_stopped) = tokio::sync::watch::channel(false);
    if let Some(metering) = metering.clone() {
        let stopped = worker_stopped.clone();
        tokio::spawn(metering.run(stopped));
    }
    let worker_of = |name, subject: &str, args, grace| {
        anyhow::Ok(Worker {
            name,
            api_url: base.clone(),
            token: sign(Role::Worker, Who::Installation(subject.into()), 24 * 366)?,
            ca_file: tls.as_ref().map(|tls| tls.ca_file.clone()),
            args,
            grace,
        })
    };
    let allowed = Some(args.egress.environment()).filter(|ranges| !ranges.is_empty());
    let threads = args.threads.map(|threads| format!("--threads={threads}"));
    let allowed = allowed.map(|ranges| format!("--egress-allow={ranges}"));
    let transcoding = threads.into_iter().chain(allowed).collect();
    let worker = match args.shared.no_transcoder {
        true => None,
        false => {
            let grace = Duration::from_secs(10);
            let worker = worker_of("transcoder", "worker", transcoding, grace)?;
            Some(tokio::spawn(supervise(worker, worker_stopped.clone())))
        }
    };
    let ingest = match &ports {
        None => None,
        Some(ports) => {
            let args = args.live.command(ports, &data, &public, tls.as_ref());
            let worker = worker_of("ingest", "ingest", args, Duration::from_secs(25))?;
            Some(tokio::spawn(supervise(worker, worker_stopped)))
        }
    };
    let stop_notifier = headwater_notifier::CancellationToken::new();
    let notifier = match args.shared.no_notifier {
        true => None,
        false => Some(tokio::spawn(headwater_notifier::run(
            headwater_notifier::Config {
                api_url: base.clone(),
                token: sign(Role::Worker, Who::Installation("notifier".into()), 24 * 366)?,
                ca: tls
                    .as_ref()
                    .map(|tls| std::fs::read(&tls.ca_file))
                    .transpose()?,
                guard: args.egress.guard(),
                patience: headwater_notifier::PATIENCE,
            },
            stop_notifier.clone(),
        ))),
    };
    let connection = ConnectionFile {
        api_url: public.clone(),
        arm_url: public.clone(),
        streaming_url: public.clone(),
        keys_url: format!("{public}/keys"),
        portal_url: format!("{public}/"),
        blob_connection_string: account.connection_string(),
        blob_url: account.url.clone(),
        rtmp_url: ports.as_ref().map(live::Ports::rtmp_url),
        srt_url: ports.as_ref().map(live::Ports::srt_url),
        metrics_url,
        subscription_id: SUBSCRIPTION.into(),
        resource_group: RESOURCE_GROUP.into(),
        account_name: "default".into(),
        project: "default".into(),
        token: sign(Role::Owner, Who::User(bootstrapped.owner.clone()), 24 * 365)?,
        tenant_id: TENANT.into(),
        client_id: CLIENT.into(),
        client_secret: secrets.client_secret.clone(),
        ca_file: tls.as_ref().map(|tls| tls.ca_file.clone()),
        pid: std::process::id(),
    };
    let local = ConnectionFile {
        api_url: base.clone(),
        ..serde_json::from_slice(&serde_json::to_vec(&connection)?)?
    };
    let api = ApiClient::new(&local)?;
    let health = Health::new(vec![
        ("catalog", connect::api_answers(api.clone())),
        ("storage", storage_answers),
    ]);
    metrics::answer_with(metrics, health.clone());

    let outcome = async {
        wait_until_ready(&api).await?;
        connection.write(&data)?;
        eprintln!("Headwater is ready after {:.1} s.", started.elapsed().as_secs_f64());
        if gallery_is_public(&args) {
            println!("portal     {}", connection.portal_url);
        } else {
            let viewer = sign(Role::Viewer, Who::Installation("portal".into()), 24)?;
            println!("portal     {}#token={viewer}", connection.portal_url);
        }
        println!("API        {} (AMS and MK.IO)", connection.api_url);
        println!("blobs      {}", connection.blob_url);
        if let (Some(rtmp), Some(srt)) = (&connection.rtmp_url, &connection.srt_url) {
            println!("live       {rtmp} and {srt}");
        }
        println!("metrics    {}", connection.metrics_url);
        println!("connection {}", connection::path(&data).display());
        if args.demo || (demo::is_requested(&data) && !args.no_demo) {
            tokio::select! {
                demo = demo::publish(&api, &connection, &data, &uploads) => match demo {
                    Ok(demo) => {
                        println!("The demo is published as {} (locator {}):", demo.asset, demo.locator);
                        for (protocol, path) in &demo.paths {
                            println!("  {protocol:<5} {}{path}", connection.streaming_url);
                        }
                    }
                    Err(error) => tracing::error!("the demo was not published: {error:#}"),
                },
                () = stop_signal() => return Ok(()),
            }
        }
        stop_signal().await;
        anyhow::Ok(())
    }
    .await;

    tracing::info!("stopping");
    health.stop();
    let _ = std::fs::remove_file(connection::path(&data));
    let _ = stop_worker.send(true);
    stop_notifier.cancel();
    // While the API still answers: it hands its events back.
    if let Some(ingest) = ingest {
        let _ = ingest.await;
    }
    if let Some(worker) = worker {
        let _ = worker.await;
    }
    if let Some(notifier) = notifier
        && let Ok(Err(error)) = notifier.await
    {
        tracing::error!("no webhooks were sent: {error}");
    }
    server.shutdown().await;
    if let Some(metering) = metering {
        metering.write().await;
    }
    if let Some(blob) = blob {
        blob.shutdown().await;
    }
    outcome
}

/// What can be said about the settings before anything is touched. Ok: the storage account elsewhere, if there is one.
/// And the bucket in place of the embedded store's folder.
fn check(args: &Args) -> Result<(Option<Account>, Option<S3Config>)> {
    if let Some(url) = &args.public_url {
        connect::origin(url, fault::PUBLIC_URL)?;
    }
    if let Some(url) = &args.blob_public_url {
        connect::origin(url, fault::BLOB_PUBLIC_URL)?;
    }
    args.catalog.check()?;
    Oidc::read(args.oidc_config.as_deref())?;
    Licences::read(args.licence_config.as_deref(), &[])?;
    let external = args.storage.account()?;
    if external.is_some() && args.blob_public_url.is_some() {
        let why = format!("there is no embedded store with {}", fault::STORAGE_URL);
        return Err(Fault::bad(fault::BLOB_PUBLIC_URL, why));
    }
    let s3 = args.bucket.config()?;
    if external.is_some() && s3.is_some() {
        let why = format!("blobs cannot be there and behind {}", fault::STORAGE_URL);
        return Err(Fault::bad(fault::S3_BUCKET, why));
    }
    args.shared.check()?;
    files::writable(&args.data, fault::DATA)?;
    Ok((external, s3))
}

/// Starts the embedded store. Its account has the address at which this process reaches it.
async fn embedded(
    args: &Args,
    data: &Path,
    secrets: &Secrets,
    tls: Option<&Tls>,
    events: headwater_blobstore::EventSink,
    s3: Option<S3Config>,
) -> Result<(headwater_blobstore::Running, Account)> {
    let key = AccountKey::from_base64(&secrets.account_key)
        .blame(Kind::Configuration, "secrets.json: accountKey")?;
    let root = data.join(blobstore::folder(s3.is_some()));
    let mut blob = headwater_blobstore::Config::new(root, args.blob_listen, EMBEDDED, key.clone());
    blob.s3 = s3;
    blob.tls = tls.map(|tls| tls.server.clone());
    blob.public_url = args.blob_public_url.clone();
    blob.events_ca_pem = tls.map(|tls| std::fs::read(&tls.ca_file)).transpose()?;
    blob.events = Some(events);
    let blob = headwater_blobstore::serve(blob).await;
    let blob = blob.map_err(|error| bucket::blame(error, fault::DATA));
    let blob = blob.context("starting the blob store")?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let account = Account {
        name: EMBEDDED.into(),
        key,
        key_text: secrets.account_key.clone(),
        url: format!("{}/{EMBEDDED}", url(scheme, blob.addr)),
    };
    Ok((blob, account))
}

/// Whether anybody may see what is published.
fn gallery_is_public(args: &Args) -> bool {
    // A public URL means that something on this machine lets others in.
    args.public_gallery
        .unwrap_or_else(|| args.listen.ip().is_loopback() && args.public_url.is_none())
}

/// What a client may call this installation.
fn names(args: &Args) -> Vec<String> {
    ["localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .into_iter()
        .chain([reachable(args.listen.ip()).to_string()])
        .chain(host(args.public_url.as_deref()))
        .chain(host(args.blob_public_url.as_deref()))
        .collect()
}

/// The host that a URL names.
fn host(url: Option<&str>) -> Option<String> {
    let url: http::Uri = url?.parse().ok()?;
    Some(url.host()?.trim_matches(['[', ']']).to_owned())
}

/// What the functions are told about where things are.
struct Addresses<'a> {
    public: &'a str,
    /// Scheme, host and port.
    blob: String,
    metrics: &'a str,
    /// Whom the origin may ask for newest moments.
    live: &'a str,
}

fn load_host(
    args: &Args,
    data: &Path,
    secrets: &Secrets,
    master_key: &str,
    at: &Addresses<'_>,
    tls: Option<&Tls>,
    reader: Option<headwater_blobstore::LocalReader>,
) -> Result<Arc<Host>> {
    let roots = tls.map(|tls| tls.roots.clone()).unwrap_or_default();
    let mut stand_ins: BTreeMap<String, Arc<dyn StandIn>> = BTreeMap::new();
    if !args.wasm_assembler {
        let local = reader.map(|reader| Arc::new(local::EmbeddedStore(reader)) as _);
        let kept = media_cache(args, data)?;
        let assembler = NativeAssembler::new(local, kept, &roots);
        stand_ins.insert("assembler".into(), Arc::new(assembler));
    }
    let oidc = Oidc::read(args.oidc_config.as_deref())?;
    let licences = Licences::read(args.licence_config.as_deref(), &args.key_issuer_hosts)?;
    let source = app::source(args.app.clone())?;
    let cache = data.join("cache/compiled");
    if !cache.exists() {
        eprintln!("Compiling the functions for this machine, once …");
    }
    let mut variables = args.catalog.variables()?;
    variables.extend([
        ("master_key".into(), master_key.to_owned()),
        ("public_url".into(), at.public.to_owned()),
        ("metrics_url".into(), at.metrics.to_owned()),
        ("live_hosts".into(), at.live.to_owned()),
        ("event_secret".into(), secrets.event_secret.clone()),
        ("event_buckets".into(), event_buckets(args)),
        ("public_gallery".into(), gallery_is_public(args).to_string()),
        ("oidc_issuers".into(), oidc.issuers),
        ("oidc_hosts".into(), oidc.hosts),
        ("sign_in_hosts".into(), oidc.sign_in_hosts),
        ("licence_backends".into(), licences.backends),
        ("licence_hosts".into(), licences.hosts),
        ("audit_days".into(), args.audit_days.to_string()),
        // The host drops what clients send under the name of the header, and sets it.
        ("client_address".into(), "true".into()),
        (
            "storage_hosts".into(),
            format!("{} https://*.blob.core.windows.net", at.blob),
        ),
    ]);
    let host = Host::load(
        source.as_ref(),
        HostConfig {
            variables,
            databases: BTreeMap::from([("catalog".into(), args.catalog.file(data))]),
            cache: Some(cache),
            limits: Limits::default(),
            stand_ins,
            cache_bytes: args.cache_mib.saturating_mul(1 << 20),
            extra_roots: roots,
        },
    )?;
    crate::release_freed_memory();
    Ok(Arc::new(host))
}

/// Whose notifications are about which account.
fn event_buckets(args: &Args) -> String {
    let own = args.bucket.events(EMBEDDED);
    let all = args.shared.event_buckets.iter().cloned().chain(own);
    all.collect::<Vec<_>>().join(" ")
}

fn media_cache(args: &Args, data: &Path) -> Result<Option<MediaCache>> {
    if args.media_cache_mib == 0 {
        return Ok(None);
    }
    let folder = data.join("cache/media");
    MediaCache::open(&folder, args.media_cache_mib.saturating_mul(1 << 20))
        .map(Some)
        .with_context(|| format!("the folder of kept media, {}", folder.display()))
}

/// Other authorities, as the application's variables have them.
#[derive(Debug, Default)]
struct Oidc {
    /// The file's text.
    issuers: String,
    /// Where their keys are read. An authority whose discovery document names keys on yet another host needs a `jwksUri`.
    hosts: String,
    /// Where browsers reach to sign people in.
    sign_in_hosts: String,
}

impl Oidc {
    /// Reads the file and makes sure that the API will take it.
    fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let issuers = std::fs::read_to_string(path)
            .with_context(|| format!("reading {}", path.display()))
            .blame(Kind::Configuration, fault::OIDC_CONFIG)?;
        let parsed = Issuer::parse_all(&issuers)
            .map_err(|reason| anyhow::anyhow!("{}: {reason}", path.display()))
            .blame(Kind::Configuration, fault::OIDC_CONFIG)?;
        let hosts: Vec<_> = parsed.iter().flat_map(Issuer::origins).collect();
        let sign_in: BTreeSet<_> = parsed.iter().flat_map(Issuer::sign_in_origins).collect();
        Ok(Self {
            issuers,
            hosts: hosts.join(" "),
            sign_in_hosts: sign_in.into_iter().collect::<Vec<_>>().join(" "),
        })
    }
}

/// What key delivery asks others for, as the application's variables have it.
struct Licences {
    /// The file's text. It holds secrets.
    backends: String,
    hosts: String,
}

impl Licences {
    /// Reads the file and makes sure that key delivery will take it.
    fn read(path: Option<&Path>, issuers: &[String]) -> Result<Self> {
        let mut hosts = issuers.to_vec();
        let backends = match path {
            None => String::new(),
            Some(path) => {
                let what = format!("{}: reading {}", fault::LICENCE_CONFIG, path.display());
                let text = std::fs::read_to_string(path).blame(Kind::Configuration, &what)?;
                let parsed = Backend::parse_all(&text).blame(Kind::Configuration, &what)?;
                hosts.extend(parsed.iter().filter_map(Backend::origin));
                let vendors = KeyVendor::parse_all(&text).blame(Kind::Configuration, &what)?;
                hosts.extend(vendors.iter().filter_map(KeyVendor::origin));
                text
            }
        };
        Ok(Self {
            backends,
            hosts: hosts.join(" "),
        })
    }
}

fn prepare_folder(data: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(data).with_context(|| format!("creating {}", data.display()))?;
    std::fs::canonicalize(data).with_context(|| format!("reading {}", data.display()))
}

/// One installation a folder: two would serve each other's half-written state.
pub(crate) fn lock(data: &Path, setting: fault::Setting) -> Result<std::fs::File> {
    let path = data.join("lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .blame(Kind::CannotCreate, setting)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let what = format!(
                "{setting}: another headwater runs on {}; stop it, or pass another --data",
                data.display()
            );
            Err(Fault::new(Kind::Taken, what).into())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

/// The address that others on this machine use for `ip`.
pub(crate) fn reachable(ip: IpAddr) -> IpAddr {
    if ip.is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        ip
    }
}

fn url(scheme: &str, address: SocketAddr) -> String {
    format!(
        "{scheme}://{}",
        SocketAddr::new(reachable(address.ip()), address.port())
    )
}

async fn wait_until_ready(api: &ApiClient) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let outcome = api.try_call(http::Method::GET, "/api/ready", None).await;
        match outcome {
            Ok((status, _)) if status.is_success() => return Ok(()),
            outcome if Instant::now() > deadline => {
                let why = match outcome {
                    Ok((status, value)) => format!("{status} {value}"),
                    Err(error) => format!("{error:#}"),
                };
                bail!("the API was not ready within a minute: {why}");
            }
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_port() {
        assert_eq!(address("8080").unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(address(":0").unwrap(), "127.0.0.1:0".parse().unwrap());
        assert_eq!(
            address("0.0.0.0:80").unwrap(),
            "0.0.0.0:80".parse().unwrap()
        );
        assert!(address("localhost:80x").is_err());
    }
}
