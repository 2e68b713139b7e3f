//! A control plane and a blob store in one process, in memory, with faults on request; and ffprobe.
#![allow(dead_code, unreachable_pub)] // the benchmark uses its own part

pub mod jobs;
pub mod media;
pub mod sharing;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use headwater_blob::xml::{BlockList, StoredBlock, parse_block_list, write_stored_blocks};
use headwater_net::egress::Guard;
use headwater_transcoder::auto::Auto;
use headwater_transcoder::auto::Choice;
use headwater_transcoder::ffmpeg::Settings;
use headwater_transcoder::worker::run_with_claims_of;
use headwater_transcoder::{CancellationToken, WorkerConfig};
use headwater_work::{
    AssistRequest, ChunkRecord, Claim, ClaimRequest, EngineChoice, FinishRequest, Outcome, Place,
    PlacesRequest, PlacesResponse, RenewRequest, Selection, WorkInput, WorkOutput,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use uuid::Uuid;

/// What the fake remembers and how it misbehaves.
#[derive(Default)]
pub struct State {
    /// By container and name: `in/film.mp4`.
    pub blobs: BTreeMap<String, Bytes>,
    /// Names of blobs in the order in which they were written.
    pub written: Vec<String>,
    staged: HashMap<String, BTreeMap<Vec<u8>, Bytes>>,
    /// The blocks of committed blobs, in order.
    committed: HashMap<String, Vec<(Vec<u8>, Bytes)>>,
    queue: Vec<Claim>,
    pub chunks: Vec<ChunkRecord>,
    pub progress: Vec<u8>,
    pub outcomes: Vec<Outcome>,
    /// What was said to do the work.
    pub engines: Vec<EngineChoice>,
    pub blocks_put: usize,
    /// Bytes of blobs that were read.
    pub bytes_read: usize,
    pub renewals: usize,
    lease: usize,
    pub sharing: sharing::Sharing,
    /// Answer the next so many blob requests with 503.
    pub busy: usize,
    /// What was written and what was reported, in order.
    pub journal: Vec<Change>,
    /// Kill the worker when the journal is as long: of what it sends afterwards nothing arrives.
    pub kill_after: Option<usize>,
    /// Leases up to this one are those of workers that were killed.
    dead: usize,
    /// Blocks that begin a file and are on their way, and the most there were.
    pub beginnings: (usize, usize),
    /// How long a block takes to be stored: a worker reports what it has made when it renews its lease, after 0.8 s, and however
    /// fast the machine is, it must not be done by then.
    pub slow: Duration,
    /// Lose the lease as soon as so many chunks are reported. Until then a block takes two seconds, so that the worker
    /// cannot be done with its job before it reports.
    pub lose_lease_after: Option<usize>,
    /// Ask for cancellation as soon as so many blocks are staged.
    pub cancel_after: Option<usize>,
    /// Ask for cancellation as soon as there is progress.
    pub cancel_on_progress: bool,
    /// Answer 400 to renewals with chunks, as the API does when a record is too long.
    pub refuse_chunks: bool,
    /// How long signatures last; for ever if `None`.
    pub signatures_last: Option<Duration>,
    /// As a control plane that signs a claim's places once.
    pub signs_once: bool,
    /// How often fresh signatures were asked for.
    pub asked_to_sign: usize,
    /// Refuse writes, as storage with a read-only signature does.
    pub read_only: bool,
    /// This blob cannot be written.
    pub refuse: Option<String>,
}

/// The name of the worker that is killed.
const KILLED: &str = "killed";

/// Something that a worker leaves behind when it falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Block,
    /// So many chunks were reported as finished.
    Chunks(usize),
    /// A blob came to be, or went.
    Blob,
}

#[derive(Clone)]
pub struct Fake {
    pub state: Arc<Mutex<State>>,
    pub url: String,
    started: Instant,
    pub job: Uuid,
    /// Of the workers that are started.
    pub engine: Choice,
    pub guard: Guard,
    /// Held by every connection that is open.
    connections: Arc<()>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self {
            state: Arc::default(),
            url,
            started: Instant::now(),
            job: Uuid::from_u128(7),
            engine: Choice::BuiltIn,
            guard: Guard::default(),
            connections: Arc::default(),
        };
        let server = fake.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let fake = server.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let fake = fake.clone();
                        async move { Ok::<_, Infallible>(fake.answer(request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        fake
    }

    pub fn upload(&self, name: &str, bytes: impl Into<Bytes>) {
        self.state
            .lock()
            .unwrap()
            .blobs
            .insert(format!("in/{name}"), bytes.into());
    }

    /// What the holder of a lease is given of a container; 0 for what is only read.
    fn place(&self, container: &str, lease: usize) -> Place {
        Place {
            container_url: format!("{}/blob/{container}", self.url),
            sas: format!("sig=secret&lease={lease}"),
            sub_path: String::new(),
        }
    }

    /// An input of `in/{file}`, of all there is for an empty name.
    pub fn input(&self, file: &str) -> WorkInput {
        self.cut_input(file, Selection::default())
    }

    pub fn cut_input(&self, file: &str, selection: Selection) -> WorkInput {
        WorkInput::Asset {
            place: self.place("in", 0),
            files: if file.is_empty() {
                vec![]
            } else {
                vec![file.into()]
            },
            selection,
        }
    }

    /// Queues a job over `in/{file}`.
    pub fn queue(&self, file: &str, presets: &[&str]) {
        let presets = presets.iter().map(|preset| {
            serde_json::json!({
                "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": preset
            })
        });
        self.queue_with(self.input(file), presets.collect());
    }

    /// Changes the job that was queued last.
    pub fn change(&self, change: impl FnOnce(&mut Claim)) {
        change(self.state.lock().unwrap().queue.last_mut().expect("a job"));
    }

    /// Queues a job.
    pub fn queue_with(&self, input: WorkInput, presets: Vec<serde_json::Value>) {
        let mut state = self.state.lock().unwrap();
        state.lease += 1;
        let lease = state.lease;
        let claim = Claim {
            job_id: self.job,
            lease: format!("lease-{lease}"),
            lease_seconds: 15,
            attempt: lease as u32,
            input,
            outputs: presets
                .into_iter()
                .enumerate()
                .map(|(index, preset)| WorkOutput {
                    index: index as u32,
                    asset_name: format!("out{index}"),
                    place: self.place(&format!("out{index}"), lease),
                    preset,
                    continues: false,
                    urgency: 1,
                })
                .collect(),
            chunks: state.chunks.clone(),
        };
        state.queue.push(claim);
    }

    pub fn config(&self, threads: usize) -> WorkerConfig {
        WorkerConfig {
            api_url: self.url.clone(),
            token: "worker-token".into(),
            ca: None,
            threads,
            poll: Duration::from_millis(50),
            name: "test".into(),
            engine: self.engine,
            ffmpeg: None,
            scratch: std::env::temp_dir(),
            guard: self.guard.clone(),
        }
    }

    /// Runs a worker until the job has an outcome.
    pub async fn finish(&self, threads: usize) -> Outcome {
        self.finish_or(threads, |state| !state.outcomes.is_empty())
            .await;
        self.state.lock().unwrap().outcomes.remove(0)
    }

    /// Runs a worker until `done`.
    pub async fn finish_or(&self, threads: usize, done: impl Fn(&State) -> bool) {
        let stop = CancellationToken::new();
        let worker = tokio::spawn(headwater_transcoder::run(
            self.config(threads),
            stop.clone(),
        ));
        while !done(&self.state.lock().unwrap()) {
            assert!(!worker.is_finished(), "the worker ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        worker.await.unwrap().unwrap();
        self.hung_up().await;
    }

    /// Waits until what a worker that has ended asked for last is answered: on a busy machine its question may be read when the next
    /// job is queued, which would then be given to nobody. Not for long, as others may be at work.
    async fn hung_up(&self) {
        for _ in 0..200 {
            // This value's, and the server's own.
            if Arc::strong_count(&self.connections) <= 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs a worker until it is killed, as [`State::kill_after`] says. False: the job had an outcome before that.
    pub async fn killed(&self, threads: usize) -> bool {
        let config = WorkerConfig {
            name: KILLED.into(),
            ..self.config(threads)
        };
        let run = headwater_transcoder::run(config, CancellationToken::new());
        let worker = tokio::spawn(run);
        let over = |state: &State| state.dead > 0 || !state.outcomes.is_empty();
        while !over(&self.state.lock().unwrap()) {
            assert!(!worker.is_finished(), "the worker ended");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
        let state = self.state.lock().unwrap();
        state.dead > 0 && state.outcomes.is_empty()
    }

    /// Runs a worker that asks for signatures or gives jobs back after `claim_lasts`, until there is an outcome.
    pub async fn finish_within(&self, threads: usize, claim_lasts: Duration) -> Outcome {
        let stop = CancellationToken::new();
        let settings = Settings {
            threads,
            ..Settings::default()
        };
        let worker = tokio::spawn(run_with_claims_of(
            claim_lasts,
            self.config(threads),
            Auto::find(self.engine, settings, None).await,
            stop.clone(),
        ));
        while self.state.lock().unwrap().outcomes.is_empty() {
            assert!(!worker.is_finished(), "the worker ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        worker.await.unwrap().unwrap();
        self.state.lock().unwrap().outcomes.remove(0)
    }

    /// A claim whose signatures are made now.
    fn signed(&self, claim: &Claim) -> Claim {
        fn sign(value: &mut serde_json::Value, now: u128) {
            match value {
                serde_json::Value::Object(members) => {
                    for (name, value) in members {
                        match value.as_str() {
                            Some(sas) if name == "sas" => *value = format!("{sas}&at={now}").into(),
                            _ => sign(value, now),
                        }
                    }
                }
                serde_json::Value::Array(values) => {
                    values.iter_mut().for_each(|value| sign(value, now));
                }
                _ => {}
            }
        }
        let mut value = serde_json::to_value(claim).unwrap();
        sign(&mut value, self.started.elapsed().as_millis());
        serde_json::from_value(value).unwrap()
    }

    /// The files of a container, by name.
    pub fn files(&self, container: &str) -> BTreeMap<String, Bytes> {
        let prefix = format!("{container}/");
        let state = self.state.lock().unwrap();
        state
            .blobs
            .iter()
            .filter_map(|(name, bytes)| {
                Some((name.strip_prefix(&prefix)?.to_owned(), bytes.clone()))
            })
            .collect()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        if let Some(rest) = path.strip_prefix("/internal/v1/jobs/") {
            assert_eq!(parts.headers["authorization"], "Bearer worker-token");
            return self.api(rest, &body);
        }
        let name = path.strip_prefix("/blob/").unwrap().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        assert!(query.contains("sig=secret"), "{query}");
        let parameter = |key: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.into_owned())
        };
        let name = percent_encoding::percent_decode_str(&name)
            .decode_utf8()
            .unwrap()
            .into_owned();
        let arrived = self.started.elapsed();
        let slow = self.state.lock().unwrap().block_takes();
        if parameter("comp").as_deref() == Some("block") && !slow.is_zero() {
            let id = BASE64.decode(parameter("blockid").unwrap()).unwrap();
            let begins = usize::from(id.ends_with(b"-header"));
            self.state.lock().unwrap().begin(begins);
            tokio::time::sleep(slow).await;
            self.state.lock().unwrap().beginnings.0 -= begins;
        }
        let mut state = self.state.lock().unwrap();
        let signed = parameter("at").and_then(|at| at.parse().ok());
        let signed = Duration::from_millis(signed.expect("when it was signed"));
        if state
            .signatures_last
            .is_some_and(|last| arrived > signed + last)
        {
            return status(403);
        }
        if state.busy > 0 {
            state.busy -= 1;
            return status(503);
        }
        let lease = parameter("lease").and_then(|lease| lease.parse::<usize>().ok());
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if !reads && lease.is_some_and(|lease| lease > 0 && lease <= state.dead) {
            return status(403);
        }
        match (&parts.method, parameter("comp").as_deref()) {
            (&Method::GET, Some("list")) => {
                list(&state, &name, &parameter("prefix").unwrap_or_default())
            }
            (&Method::GET, Some("blocklist")) => state.block_list(&name),
            (&Method::PUT, _) if state.read_only || state.refuse == Some(name.clone()) => {
                status(403)
            }
            (&Method::PUT, Some("block")) => {
                let id = BASE64.decode(parameter("blockid").unwrap()).unwrap();
                state.staged.entry(name).or_default().insert(id, body);
                state.blocks_put += 1;
                state.changed(Change::Block);
                written("")
            }
            (&Method::PUT, Some("blocklist")) => state.commit(&name, &body),
            (&Method::PUT, None) => {
                state.written.push(name.clone());
                state.committed.remove(&name);
                state.staged.remove(&name);
                state.blobs.insert(name, body.clone());
                state.changed(Change::Blob);
                written(&etag(&body))
            }
            (&Method::DELETE, None) => match state.blobs.remove(&name) {
                Some(_) => {
                    state.committed.remove(&name);
                    state.changed(Change::Blob);
                    status(202)
                }
                None => status(404),
            },
            (&Method::HEAD | &Method::GET, None) => match state.blobs.get(&name) {
                None => status(404),
                Some(blob) => {
                    if parts
                        .headers
                        .get("if-match")
                        .is_some_and(|wanted| *wanted != *etag(blob))
                    {
                        return status(412);
                    }
                    let (answer, bytes) = read(&parts, blob);
                    state.bytes_read += bytes;
                    answer
                }
            },
            other => panic!("{other:?}"),
        }
    }

    fn api(&self, path: &str, body: &Bytes) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().unwrap();
        if path == "claim" {
            let request: ClaimRequest = serde_json::from_slice(body).unwrap();
            if state.is_dead(&request.worker) {
                return status(204);
            }
            return match state.queue.pop() {
                Some(claim) => {
                    let lease = state.holder();
                    state.sharing.employ(&lease, &request.worker);
                    state.sharing.job = Some(claim.clone());
                    json(&self.signed(&claim))
                }
                None => status(204),
            };
        }
        if path == "assist" {
            let request: AssistRequest = serde_json::from_slice(body).unwrap();
            let nobody = state.sharing.unknown || state.is_dead(&request.worker);
            let offered = if nobody { None } else { state.assist(&request) };
            return offered.map_or(status(204), |mut assist| {
                assist.claim = self.signed(&assist.claim);
                json(&assist)
            });
        }
        let (_, verb) = path.split_once('/').unwrap();
        if matches!(verb, "share" | "take" | "records") {
            return match verb {
                _ if state.sharing.unknown => status(404),
                "share" => status(state.share(serde_json::from_slice(body).unwrap())),
                "take" => {
                    let taken = state.take(&serde_json::from_slice(body).unwrap());
                    taken.map_or(status(409), |taken| json(&taken))
                }
                _ => {
                    let records = state.records(&serde_json::from_slice(body).unwrap());
                    records.map_or(status(409), |records| json(&records))
                }
            };
        }
        let current = state.holder();
        if verb == "places" {
            state.asked_to_sign += 1;
            let request: PlacesRequest = serde_json::from_slice(body).unwrap();
            return match &state.sharing.job {
                _ if state.signs_once => status(404),
                Some(claim) if state.holds(&request.lease) => {
                    let places = self.signed(claim).places().into_iter().cloned().collect();
                    json(&PlacesResponse { places })
                }
                _ => status(409),
            };
        }
        if verb == "renew" {
            let request: RenewRequest = serde_json::from_slice(body).unwrap();
            if state.sharing.helpers.contains(&request.lease) {
                state.note_chunks(&request);
                return json(&serde_json::json!({ "cancel": false }));
            }
            if request.lease != current {
                return status(409);
            }
            if state.refuse_chunks && !request.chunks.is_empty() {
                return status(400);
            }
            state.renewals += 1;
            state.note_chunks(&request);
            if !request.chunks.is_empty() {
                state.changed(Change::Chunks(request.chunks.len()));
            }
            state.engines.extend(request.engine);
            state
                .progress
                .extend(request.progress.iter().map(|progress| progress.percent));
            if state
                .lose_lease_after
                .is_some_and(|count| state.chunks.len() >= count)
            {
                state.lose_lease_after = None;
                state.lease += 1;
                return status(409);
            }
            let cancel = state
                .cancel_after
                .is_some_and(|count| state.blocks_put >= count)
                || state.cancel_on_progress && state.progress.iter().any(|&percent| percent > 0);
            return json(&serde_json::json!({ "cancel": cancel }));
        }
        let request: FinishRequest = serde_json::from_slice(body).unwrap();
        if let Some(at) = state
            .sharing
            .helpers
            .iter()
            .position(|helper| *helper == request.lease)
        {
            state.sharing.helpers.remove(at);
            return status(204);
        }
        if request.lease != current {
            return status(409);
        }
        state.engines.extend(request.engine);
        state.outcomes.push(request.outcome);
        status(204)
    }
}

impl State {
    /// Whether a worker was killed. What it asks for on its way out is not given to it: leases do not run out here.
    fn is_dead(&self, worker: &str) -> bool {
        worker == KILLED && self.dead > 0
    }

    fn begin(&mut self, files: usize) {
        let (now, most) = self.beginnings;
        self.beginnings = (now + files, most.max(now + files));
    }

    fn block_takes(&self) -> Duration {
        match self.lose_lease_after {
            Some(_) => Duration::from_secs(2),
            None => self.slow,
        }
    }

    /// The lease of whoever has the job.
    fn holder(&self) -> String {
        format!("lease-{}", self.lease)
    }

    fn changed(&mut self, change: Change) {
        self.journal.push(change);
        if self.kill_after == Some(self.journal.len()) {
            self.dead = self.lease;
            self.lease += 1;
        }
    }

    fn block_list(&self, name: &str) -> Response<Full<Bytes>> {
        let (committed, staged) = (self.committed.get(name), self.staged.get(name));
        if committed.is_none() && staged.is_none() {
            return status(404);
        }
        let stored = |(id, bytes): (&Vec<u8>, &Bytes)| StoredBlock {
            id: BASE64.encode(id),
            len: bytes.len() as u64,
        };
        let committed = committed
            .into_iter()
            .flatten()
            .map(|(id, bytes)| (id, bytes));
        let list = BlockList {
            committed: Some(committed.map(stored).collect()),
            uncommitted: Some(staged.into_iter().flatten().map(stored).collect()),
        };
        Response::new(Full::from(write_stored_blocks(&list)))
    }

    /// Put Block List: blocks that it does not name are gone, as they are in Azure's store.
    fn commit(&mut self, name: &str, body: &Bytes) -> Response<Full<Bytes>> {
        let mut blocks = Vec::new();
        for block in parse_block_list(body).unwrap() {
            let id = BASE64.decode(block.id).unwrap();
            let staged = self.staged.get(name).and_then(|staged| staged.get(&id));
            let committed = || {
                let blocks = self.committed.get(name)?;
                let (_, bytes) = blocks.iter().find(|(own, _)| *own == id)?;
                Some(bytes)
            };
            match staged.or_else(committed) {
                Some(bytes) => blocks.push((id, bytes.clone())),
                None => return status(400),
            }
        }
        let parts: Vec<&[u8]> = blocks.iter().map(|(_, bytes)| &bytes[..]).collect();
        let blob = Bytes::from(parts.concat());
        let tag = etag(&blob);
        self.staged.remove(name);
        self.committed.insert(name.to_owned(), blocks);
        self.blobs.insert(name.to_owned(), blob);
        self.changed(Change::Blob);
        written(&tag)
    }
}

fn list(state: &State, container: &str, prefix: &str) -> Response<Full<Bytes>> {
    let blobs: String = state
        .blobs
        .iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix(&format!("{container}/"))?, bytes)))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, bytes)| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Content-Length>{}</Content-Length><Etag>{}</Etag></Properties></Blob>",
                bytes.len(),
                etag(bytes)
            )
        })
        .collect();
    Response::new(Full::from(format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"
    )))
}

/// The answer and how many bytes it has.
fn read(parts: &http::request::Parts, blob: &Bytes) -> (Response<Full<Bytes>>, usize) {
    let range = parts
        .headers
        .get("x-ms-range")
        .or(parts.headers.get("range"))
        .map(|value| {
            value
                .to_str()
                .unwrap()
                .strip_prefix("bytes=")
                .unwrap()
                .to_owned()
        });
    let builder = Response::builder().header("etag", etag(blob));
    let answer = match range {
        Some(range) => {
            let (first, last) = range.split_once('-').unwrap();
            let first: usize = first.parse().unwrap();
            let last: usize = last.parse::<usize>().unwrap().min(blob.len() - 1);
            builder
                .status(206)
                .header(
                    "content-range",
                    format!("bytes {first}-{last}/{}", blob.len()),
                )
                .body(Full::from(blob.slice(first..=last)))
                .unwrap()
        }
        None => builder
            .header("content-length", blob.len())
            .body(if parts.method == Method::HEAD {
                Full::default()
            } else {
                Full::from(blob.clone())
            })
            .unwrap(),
    };
    let bytes = hyper::body::Body::size_hint(answer.body()).exact();
    (answer, bytes.unwrap_or(0) as usize)
}

/// Worked out once: a source of 70 MB is read in hundreds of ranges, and hashing it for each took a quarter of the benchmark.
fn etag(bytes: &Bytes) -> String {
    /// By where the bytes are, which stays theirs as long as they are held here.
    static KNOWN: Mutex<BTreeMap<(usize, usize), (Bytes, String)>> = Mutex::new(BTreeMap::new());
    let place = (bytes.as_ptr().addr(), bytes.len());
    let mut known = KNOWN.lock().unwrap();
    let (_, tag) = known.entry(place).or_insert_with(|| {
        let tag = format!("\"{:08x}-{}\"", crc32fast::hash(bytes), bytes.len());
        (bytes.clone(), tag)
    });
    tag.clone()
}

fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .body(Full::default())
        .unwrap()
}

fn written(tag: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(201)
        .header("etag", tag)
        .header("last-modified", "Sun, 22 Nov 2026 12:00:00 GMT")
        .body(Full::default())
        .unwrap()
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(serde_json::to_vec(value).unwrap()))
        .unwrap()
}

/// Writes the files of a container to a folder.
pub fn save(files: &BTreeMap<String, Bytes>, folder: &Path) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// The media that tests of the whole project share.
pub fn shared_media() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    assert!(path.is_dir(), "test media is missing: {}", path.display());
    path
}
