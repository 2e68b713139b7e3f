//! The application: the manifest's components, routes and stand-ins, answering one request at a time.

use crate::cache::{self, Question, ResponseCache};
use crate::compiled::Compiler;
use crate::component::{Limits, LoadedComponent, Mount, engine, link};
use crate::compose::{self, compose};
use crate::delivered::Delivered;
use crate::dispatch::{Dispatcher, Recalled, Unanswered};
use crate::instance::EPOCH;
use crate::lately::Lately;
use crate::manifest::{self, Manifest, RequestHeaders};
use crate::meters::NameMeters;
use crate::outbound::AllowedHosts;
use crate::outgoing::{HttpClient, StandIn, Told as Heard, client, full_body};
use crate::postgres::Pools;
use crate::problem;
use crate::router::{Router, Target};
use crate::sqlite::Database;
use crate::template::{Variables, expand};
use anyhow::{Context, bail};
use bytes::Bytes;
use headwater_trace::{Here, Kind, Span};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;
use wasmtime_wasi_http::{Error, WasiBody};

/// Room for what stores said lately.
const TOLD_BYTES: u64 = 32 << 20;

/// Where the manifest and the files it names come from.
pub trait AppSource {
    /// Bytes of a file, by its path relative to the manifest.
    fn read(&self, path: &str) -> anyhow::Result<Vec<u8>>;
    /// The folder the manifest is in, when it is one; `files` mounts need it.
    fn directory(&self) -> Option<&std::path::Path>;
}

/// An application in a folder.
pub struct AppDirectory(pub PathBuf);

impl AppSource for AppDirectory {
    fn read(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.0.join(path);
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    }

    fn directory(&self) -> Option<&std::path::Path> {
        Some(&self.0)
    }
}

/// What the host is built from, beside the manifest.
pub struct HostConfig {
    /// Values from outside, over the manifest's defaults.
    pub variables: Variables,
    /// Files behind the labels of `sqlite_databases`. `None`: there is none, and components may not open it.
    pub databases: BTreeMap<String, Option<PathBuf>>,
    /// Compiled code is kept here.
    pub cache: Option<PathBuf>,
    pub limits: Limits,
    /// Native answers by component id.
    pub stand_ins: BTreeMap<String, Arc<dyn StandIn>>,
    /// Room for answers that are kept, in bytes; 0 keeps none.
    pub cache_bytes: u64,
    /// Further roots that outbound TLS trusts, DER.
    pub extra_roots: Vec<rustls_pki_types::CertificateDer<'static>>,
}

struct Runnable {
    instances: Dispatcher,
    places: Arc<Semaphore>,
    component: Arc<LoadedComponent>,
    /// From the request to the response's head.
    seconds: metrics::Histogram,
    /// What is counted by a parameter of its routes.
    names: Option<NameMeters>,
}

/// What chaining needs to find its target.
pub(crate) struct Registry {
    runnables: BTreeMap<String, Runnable>,
    pub(crate) stand_ins: BTreeMap<String, Arc<dyn StandIn>>,
    pub(crate) client: HttpClient,
    /// What stores said.
    pub(crate) lately: Lately<Heard>,
}

/// The route that a traced request took, in its answer's extensions.
#[derive(Clone)]
pub(crate) struct Route(pub(crate) String);

/// A running application, without a listener.
pub struct Host {
    registry: Arc<Registry>,
    router: Router,
    cache: Option<ResponseCache>,
    /// Keeps copied `files` alive.
    _mounts: Vec<tempfile::TempDir>,
}

/// What the listener knows of a request.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    pub client: SocketAddr,
    pub tls: bool,
}

impl Host {
    /// Reads `spin.toml` of `source`, compiles its components and starts the epoch clock.
    pub fn load(source: &(dyn AppSource + Sync), config: HostConfig) -> anyhow::Result<Self> {
        let text =
            String::from_utf8(source.read("spin.toml")?).context("spin.toml is not UTF-8")?;
        let manifest = Manifest::parse(&text).context("spin.toml")?;
        let variables = resolve_variables(&manifest, &config.variables)?;
        // A component without a route is there to be depended on.
        let routed: Vec<_> = manifest
            .component
            .iter()
            .filter(|(id, _)| {
                manifest
                    .trigger
                    .http
                    .iter()
                    .any(|t| t.component() == Some(*id))
            })
            .collect();
        let engine = engine(&config.limits)?;
        let mut compiler = Compiler::new(engine.clone(), config.cache.clone())
            .context("the folder of compiled code")?;
        start_epoch_clock(&engine);

        let mut databases = BTreeMap::new();
        for label in routed.iter().flat_map(|(_, c)| &c.sqlite_databases) {
            let path = config
                .databases
                .get(label)
                .with_context(|| format!("no file is configured for the database `{label}`"))?;
            if let Some(path) = path
                && !databases.contains_key(label)
            {
                let database =
                    Database::open(path).with_context(|| format!("opening {}", path.display()))?;
                databases.insert(label.clone(), database);
            }
        }

        let postgres = Arc::new(Pools::default());
        let mut temporary = Vec::new();
        let mut loaded = Vec::new();
        for (id, component) in routed.iter().copied() {
            // One after the other: each is compiled by all cores, and what the compiler holds of several is hundreds of megabytes.
            let bytes = composed(source, &manifest, component)
                .with_context(|| format!("component `{id}`"))?;
            let exports = compiler
                .component(&bytes)
                .and_then(|compiled| link(&engine, &compiled))
                .map_err(anyhow::Error::from)
                .with_context(|| format!("component `{id}` ({})", component.source))?;
            let named = |what: &str| format!("component `{id}`: {what}");
            let expand_all = |texts: &BTreeMap<String, String>| -> anyhow::Result<Variables> {
                texts
                    .iter()
                    .map(|(k, v)| Ok((k.clone(), expand(v, &variables).with_context(|| named(k))?)))
                    .collect()
            };
            let hosts = component
                .allowed_outbound_hosts
                .iter()
                .map(|text| expand(text, &variables))
                .collect::<Result<Vec<_>, _>>()
                .with_context(|| named("allowed_outbound_hosts"))?;
            // One variable may hold several hosts, separated by white space.
            let hosts = hosts.iter().flat_map(|text| text.split_whitespace());
            loaded.push(Arc::new(LoadedComponent {
                id: id.clone(),
                variables: expand_all(&component.variables)?,
                environment: component.environment.clone(),
                mounts: mounts(source, component, &mut temporary)
                    .with_context(|| named("files"))?,
                allowed_hosts: AllowedHosts::parse(hosts).with_context(|| named("outbound"))?,
                databases: component
                    .sqlite_databases
                    .iter()
                    .filter_map(|label| Some((label.clone(), databases.get(label)?.clone())))
                    .collect(),
                postgres: postgres.clone(),
                limits: config.limits,
                request_headers: component.tool.headwater.request_headers.clone(),
                cached: component.tool.headwater.cache,
                count_by: component.tool.headwater.count_by.clone(),
                stale_if_error: Duration::from_secs(component.tool.headwater.stale_if_error),
                exports,
                engine: engine.clone(),
            }));
        }

        let registry = Arc::new_cyclic(|registry| Registry {
            runnables: loaded
                .into_iter()
                .map(|component| {
                    let names = component.count_by.as_deref().map(NameMeters::new);
                    let runnable = Runnable {
                        names,
                        instances: Dispatcher::new(component.clone(), registry.clone()),
                        places: Arc::new(Semaphore::new(config.limits.concurrent_requests)),
                        component: component.clone(),
                        seconds: metrics::histogram!(
                            "headwater_component_seconds", "component" => component.id.clone()
                        ),
                    };
                    (component.id.clone(), runnable)
                })
                .collect(),
            stand_ins: config.stand_ins,
            client: client(&config.extra_roots),
            lately: Lately::new(TOLD_BYTES),
        });
        Ok(Self {
            registry,
            router: Router::new(&manifest)?,
            cache: (config.cache_bytes > 0).then(|| ResponseCache::new(config.cache_bytes)),
            _mounts: temporary,
        })
    }

    /// What is delivered by the component of this id, by the parameter that it is counted by. `None`: it is counted by none.
    pub fn delivered(&self, component: &str) -> Option<Delivered> {
        let runnable = self.registry.runnables.get(component)?;
        runnable.names.as_ref().map(NameMeters::delivered)
    }

    /// Answers one request. Never fails: what goes wrong is a problem body.
    pub async fn handle(
        &self,
        connection: Connection,
        request: Request<WasiBody>,
    ) -> Response<WasiBody> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let Some(matched) = self.router.best(&path) else {
            return problem::response(StatusCode::NOT_FOUND, "No route leads here.");
        };
        let started = Instant::now();
        let (id, route, meters) = match &matched.target {
            Target::Static(response) => return static_response(response),
            Target::Component { id, route, meters } => (id, route, meters),
        };
        let Some(runnable) = self.registry.runnables.get(id) else {
            return problem::response(StatusCode::NOT_FOUND, "No component answers here.");
        };
        let question = match &self.cache {
            Some(cache) if runnable.component.cached => {
                Question::of(&request).map(|question| (cache, question))
            }
            _ => None,
        };
        let traced = request.extensions().get::<Here>().is_some();
        let headers = &runnable.component.request_headers;
        let told = headers.any().then_some(Told {
            headers,
            client: connection.client,
            route,
            captures: &matched.captures,
            trailing: matched.trailing,
        });
        let ask = async {
            match prepare(connection.tls, request, told) {
                Ok(request) => runnable.answer(request).await,
                Err(reason) => problem::response(StatusCode::BAD_REQUEST, reason),
            }
        };
        let mut response = match question {
            Some((cache, question)) => cache.answer(question, ask).await,
            None => ask.await,
        };
        cache::unmark(&mut response);
        let took = started.elapsed();
        meters.note(response.status(), took);
        if let Some(names) = &runnable.names
            && let Some(name) = names.name_of(&method, &matched.captures)
        {
            let bytes = response.body().size_hint().exact();
            names.note(&name, response.status(), bytes, took);
            if bytes.is_none() && response.status().is_success() {
                // Its bytes are counted as they are sent.
                let delivered = names.delivered();
                let count = move |frame: Frame<Bytes>| {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    delivered.add(&name, 0, u64::try_from(bytes).unwrap_or(u64::MAX));
                    frame
                };
                response = response.map(|body| body.map_frame(count).boxed_unsync());
            }
        }
        if traced {
            response.extensions_mut().insert(Route(route.clone()));
        }
        response
    }
}

/// Why a component gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("every instance is busy")]
    Busy,
    #[error("the deadline passed")]
    Deadline,
    #[error("the component failed")]
    Broken,
}

impl Failure {
    fn response(&self) -> Response<WasiBody> {
        match self {
            Self::Busy => {
                let mut response = problem::response(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Every instance is busy; try again in a moment.",
                );
                response
                    .headers_mut()
                    .insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Self::Deadline => problem::response(
                StatusCode::GATEWAY_TIMEOUT,
                "The component did not answer before its deadline.",
            ),
            Self::Broken => problem::response(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The component failed; the log says why.",
            ),
        }
    }
}

impl Runnable {
    /// A place among the requests in flight.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let queue = self.component.limits.queue;
        tokio::time::timeout(queue, self.places.clone().acquire_owned())
            .await
            .map_err(|_| Failure::Busy)?
            .map_err(|_| Failure::Broken)
    }

    /// The component's answer, or the problem it has.
    async fn answer(&self, request: Request<WasiBody>) -> Response<WasiBody> {
        let started = Instant::now();
        let response = match self.call(request).await {
            Ok(response) => response,
            Err(failure) => failure.response(),
        };
        self.seconds.record(started.elapsed().as_secs_f64());
        response
    }

    async fn call(&self, mut request: Request<WasiBody>) -> Result<Response<WasiBody>, Failure> {
        let outside = request.extensions_mut().remove::<Here>();
        let mut span = Span::part_of(outside.as_ref(), Kind::Internal, self.component.id.clone());
        if let Some(here) = span.here() {
            request.extensions_mut().insert(here);
        }
        let answered = self.call_instance(request).await;
        if let Err(failure) = &answered {
            span.fail(|| failure.to_string());
        }
        answered
    }

    async fn call_instance(
        &self,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let limits = &self.component.limits;
        let started = Instant::now();
        let id = &self.component.id;
        let place = self.place().await?;
        let answered = match self.instances.recall(place, request).await {
            Ok(Recalled::Answer(response)) => Ok(response),
            Ok(Recalled::Nothing(request, place)) => self.instances.handle(place, request).await,
            Err(unanswered) => Err(unanswered),
        };
        answered.map_err(|unanswered| match unanswered {
            Unanswered::Late => Failure::Deadline,
            // The deadline ends a guest that is computing.
            _ if started.elapsed() >= limits.request_deadline => Failure::Deadline,
            Unanswered::NoInstance(error) => {
                tracing::error!(component = %id, "no instance: {error:?}");
                Failure::Busy
            }
            Unanswered::Refused(error) => {
                tracing::error!(component = %id, "no answer: {error:?}");
                Failure::Broken
            }
            Unanswered::Lost => {
                tracing::error!(component = %id, "no answer: its instance ended");
                Failure::Broken
            }
        })
    }
}

impl Registry {
    /// A request from one component to another, in process.
    pub(crate) async fn chain(
        &self,
        id: &str,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Error> {
        let runnable = self.runnables.get(id).ok_or(Error::DestinationNotFound)?;
        let headers = &runnable.component.request_headers;
        let told = headers.any().then_some(Told {
            headers,
            client: SocketAddr::from(([0, 0, 0, 0], 0)),
            route: "/...",
            captures: &[],
            trailing: None,
        });
        let request = prepare(false, request, told).map_err(|_| Error::HttpRequestUriInvalid)?;
        runnable
            .call(request)
            .await
            .map_err(|failure| match failure {
                Failure::Busy => Error::ConnectionLimitReached,
                Failure::Deadline => Error::HttpResponseTimeout,
                Failure::Broken => Error::HttpResponseIncomplete,
            })
    }
}

fn resolve_variables(manifest: &Manifest, given: &Variables) -> anyhow::Result<Variables> {
    if let Some(name) = given
        .keys()
        .find(|name| !manifest.variables.contains_key(*name))
    {
        bail!("spin.toml has no variable `{name}`");
    }
    manifest
        .variables
        .iter()
        .map(|(name, variable)| {
            let value = given
                .get(name)
                .or(variable.default.as_ref())
                .with_context(|| format!("the variable `{name}` is required and was not given"))?;
            Ok((name.clone(), value.clone()))
        })
        .collect()
}

fn composed(
    source: &dyn AppSource,
    manifest: &Manifest,
    component: &manifest::Component,
) -> anyhow::Result<Vec<u8>> {
    let mut dependencies = BTreeMap::new();
    for (name, dependency) in &component.dependencies {
        let path = match (&dependency.path, &dependency.component) {
            (Some(path), _) => path,
            (None, Some(id)) => {
                &manifest
                    .component
                    .get(id)
                    .context("a missing component")?
                    .source
            }
            (None, None) => bail!("dependency `{name}` names nothing"),
        };
        dependencies.insert(
            name.clone(),
            compose::Dependency {
                bytes: source.read(path)?,
                export: dependency.export.clone(),
                inherit: dependency.inherit_configuration
                    || component.dependencies_inherit_configuration,
            },
        );
    }
    compose(source.read(&component.source)?, dependencies)
}

/// Directories are mounted where they are; matches of globs are copied, as Spin does.
fn mounts(
    source: &dyn AppSource,
    component: &manifest::Component,
    temporary: &mut Vec<tempfile::TempDir>,
) -> anyhow::Result<Vec<Mount>> {
    if component.files.is_empty() {
        return Ok(Vec::new());
    }
    let root = source
        .directory()
        .context("an application without a folder has no files to mount")?;
    let excluded = component
        .exclude_files
        .iter()
        .map(|pattern| glob::Pattern::new(pattern))
        .collect::<Result<Vec<_>, _>>()?;
    let mut mounts = Vec::new();
    let mut copies: Option<tempfile::TempDir> = None;
    for file in &component.files {
        match file {
            manifest::FileMount::Directory(mount) if excluded.is_empty() => {
                let source = root.join(&mount.source);
                if !source.is_dir() {
                    bail!("{} is not a folder", source.display());
                }
                mounts.push(Mount {
                    source,
                    destination: mount.destination.clone(),
                });
            }
            manifest::FileMount::Directory(_) => {
                bail!("exclude_files works with patterns, not with a mounted folder");
            }
            manifest::FileMount::Glob(pattern) => {
                let copies = match &mut copies {
                    Some(copies) => copies,
                    none => none.insert(tempfile::tempdir()?),
                };
                let full = root.join(pattern);
                for path in glob::glob(full.to_str().context("a path that is not UTF-8")?)? {
                    let path = path?;
                    let relative = path.strip_prefix(root)?;
                    if path.is_file()
                        && !excluded
                            .iter()
                            .any(|pattern| pattern.matches_path(relative))
                    {
                        let to = copies.path().join(relative);
                        std::fs::create_dir_all(to.parent().context("a file has a folder")?)?;
                        std::fs::copy(&path, to)?;
                    }
                }
            }
        }
    }
    if let Some(copies) = copies {
        mounts.push(Mount {
            source: copies.path().to_owned(),
            destination: "/".into(),
        });
        temporary.push(copies);
    }
    Ok(mounts)
}

/// Every tick is a chance for busy guests to yield and for overdue ones to be stopped.
fn start_epoch_clock(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(EPOCH);
        }
    });
}

fn static_response(response: &manifest::StaticResponse) -> Response<WasiBody> {
    let mut out = Response::new(full_body(response.body.clone()));
    *out.status_mut() = StatusCode::from_u16(response.status_code).unwrap_or(StatusCode::OK);
    for (name, value) in &response.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value),
        ) {
            out.headers_mut().append(name, value);
        }
    }
    out
}

/// What Spin's request headers say.
struct Told<'a> {
    /// Those that the component wants.
    headers: &'a RequestHeaders,
    client: SocketAddr,
    /// The pattern that matched.
    route: &'a str,
    captures: &'a [(String, String)],
    /// What `/...` stands for.
    trailing: Option<&'a str>,
}

/// Makes the URI absolute, removes headers that a client sent under the names of Spin's own, and adds those.
fn prepare(
    tls: bool,
    request: Request<WasiBody>,
    told: Option<Told<'_>>,
) -> Result<Request<WasiBody>, &'static str> {
    let (mut parts, body) = request.into_parts();
    let spoofed: Vec<HeaderName> = parts
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("spin-"))
        .cloned()
        .collect();
    for name in spoofed {
        parts.headers.remove(name);
    }
    let authority = match (parts.uri.authority(), parts.headers.get(http::header::HOST)) {
        (Some(authority), _) => authority.clone(),
        (None, Some(host)) => host_header(host).ok_or("The Host header is not an authority.")?,
        (None, None) => Authority::from_static("localhost"),
    };
    let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
    let path = parts.uri.path_and_query().cloned();
    parts.uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
        .build()
        .map_err(|_| "The request's target is not one that a URL can hold.")?;
    if let Some(told) = told {
        tell(&mut parts.headers, &parts.uri, &told);
    }
    Ok(Request::from_parts(parts, body))
}

fn tell(headers: &mut HeaderMap, url: &Uri, told: &Told<'_>) {
    let mut tell = |name: HeaderName, value: &dyn Fn() -> String| {
        if told.headers.tells(name.as_str()) {
            set(headers, name, value());
        }
    };
    tell(FULL_URL, &|| url.to_string());
    tell(PATH_INFO, &|| told.trailing.unwrap_or_default().to_owned());
    tell(MATCHED_ROUTE, &|| told.route.to_owned());
    tell(RAW_COMPONENT_ROUTE, &|| told.route.to_owned());
    let component_route = told.route.strip_suffix("/...").unwrap_or(told.route);
    tell(COMPONENT_ROUTE, &|| component_route.to_owned());
    tell(BASE_PATH, &|| "/".to_owned());
    tell(CLIENT_ADDR, &|| told.client.to_string());
    for (name, value) in told.captures {
        if let Ok(name) = HeaderName::try_from(format!("spin-path-match-{name}")) {
            tell(name, &|| value.clone());
        }
    }
}

const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// The authority that a Host header names: whole, so that nothing after a slash gets in front of the path that was routed,
/// and without user information.
fn host_header(host: &HeaderValue) -> Option<Authority> {
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    (!authority.as_str().contains('@')).then_some(authority)
}

/// Sets a header; a value that no header can hold is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: impl TryInto<HeaderValue>) {
    if let Ok(value) = value.try_into() {
        headers.insert(name, value);
    }
}
