//! A control plane and a blob store in memory, with faults on request; ffmpeg as encoder; and what a recording holds.
#![allow(unreachable_pub)]

pub mod rtmp;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_ingest::{Bound, CancellationToken, Config, Worker};
use headwater_live::archive::{self, Recording, parse_page};
use headwater_live::timeline::{Row, TrackIndex};
use headwater_work::Place;
use headwater_work::live::facts::{Fact, ReportFacts};
use headwater_work::live::*;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use uuid::Uuid;

pub const TOKEN: &str = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0";
pub const SECRET: &str = "the-secret-of-the-edge";

#[derive(Default)]
pub struct State {
    pub blobs: BTreeMap<String, Bytes>,
    pub waiting: Option<Assignment>,
    pub assignment: Option<Assignment>,
    pub lease: u32,
    pub renewals: Vec<RenewRequest>,
    pub released: Vec<ReleaseRequest>,
    pub facts: Vec<Fact>,
    /// Storage answers 503.
    pub away: bool,
    /// The control plane answers 503.
    pub catalog_away: bool,
    pub claims: Vec<ClaimRequest>,
    /// 15 unless set.
    pub lease_seconds: Option<u32>,
}

#[derive(Clone)]
pub struct Fake {
    pub state: Arc<Mutex<State>>,
    pub url: String,
    pub event: Uuid,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self {
            state: Arc::default(),
            url,
            event: Uuid::from_u128(77),
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

    /// An event that waits for a worker, with one output.
    pub fn queue(&self, protocol: Protocol, encoding_type: EncodingType) {
        let allow = vec![IpRange {
            name: None,
            address: "127.0.0.0".parse().unwrap(),
            subnet_prefix_length: Some(8),
        }];
        let output = Output {
            output_id: Uuid::from_u128(5),
            name: "out".into(),
            asset_name: "asset".into(),
            wanted: OutputWanted::Record,
            place: Place {
                container_url: format!("{}/blob/asset", self.url),
                sas: "sig=secret".into(),
                sub_path: String::new(),
            },
            manifest_name: "show".into(),
            archive_window_ms: 3_600_000,
            rewind_window_ms: None,
            fragments_per_ts_segment: 3,
            output_snap_time: None,
            made: None,
        };
        let assignment = Assignment {
            event_id: self.event,
            project: "default".into(),
            event_name: "show".into(),
            wanted: Wanted::Run,
            generation: 1,
            input: Input {
                protocol,
                access_token: TOKEN.into(),
                key_frame_interval_ms: Some(1_000),
                allow: allow.clone(),
                fill: None,
            },
            preview: Preview {
                locator: Uuid::from_u128(9),
                allow,
            },
            encoding: Encoding {
                encoding_type,
                preset_name: None,
                key_frame_interval_ms: None,
                stretch_mode: None,
                ladder: None,
            },
            stream_option: StreamOption::LowLatency,
            static_hostname: None,
            outputs: vec![output],
        };
        self.state.lock().unwrap().waiting = Some(assignment);
    }

    pub fn change(&self, change: impl FnOnce(&mut Assignment)) {
        change(self.state.lock().unwrap().assignment.as_mut().unwrap());
    }

    pub fn config(&self, data: &Path) -> Config {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        Config {
            api_url: self.url.clone(),
            token: "worker-token".into(),
            ca: None,
            name: "test".into(),
            data: data.to_owned(),
            rtmp: vec![any, any],
            rtmps: None,
            srt: any,
            public_host: "127.0.0.1".into(),
            host_labels: false,
            edge_url: None,
            edge: any,
            edge_secret: SECRET.into(),
            streaming_url: "http://127.0.0.1:8080".into(),
            most_events: 4,
            poll: Duration::from_millis(50),
            lease_seconds: 15,
        }
    }

    pub async fn worker(&self, data: &Path) -> Running {
        let worker = Worker::start(self.config(data)).await.unwrap();
        let (bound, stop) = (worker.bound().clone(), CancellationToken::new());
        let task = tokio::spawn(worker.run(stop.clone()));
        Running { bound, stop, task }
    }

    pub async fn until(&self, what: &str, done: impl Fn(&State) -> bool) {
        let started = Instant::now();
        while !done(&self.state.lock().unwrap()) {
            assert!(
                started.elapsed() < Duration::from_secs(180),
                "{what} takes too long"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_running(&self) -> String {
        self.until("running", |state| state.input_url().is_some())
            .await;
        self.state.lock().unwrap().input_url().unwrap()
    }

    /// Complete segments of a track in storage.
    /// A worker that has the event, and the recording of which has begun; the URL to send to.
    pub async fn recording(&self, data: &Path) -> (Running, String) {
        let worker = self.worker(data).await;
        let url = self.until_running().await;
        self.until("an empty recording", |state| state.recording().is_some())
            .await;
        (worker, url)
    }

    /// The event is stopped: waits until the worker has let it go.
    pub async fn finish(&self, worker: Running) {
        self.change(|assignment| assignment.wanted = Wanted::Stop);
        self.until("the release", |state| !state.released.is_empty())
            .await;
        worker.end().await;
    }

    pub async fn until_stored(&self, segments: usize) {
        self.until("storing segments", |state| {
            let stored = state.recording().map_or(0, |r| r.open.segments(0).count());
            stored >= segments
        })
        .await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let mut state = self.state.lock().unwrap();
        if let Some(rest) = path.strip_prefix("/internal/v1/liveEvents/") {
            assert_eq!(parts.headers["authorization"], "Bearer worker-token");
            return state.api(rest, &body);
        }
        let name = path.strip_prefix("/blob/asset/").unwrap();
        let name = percent_encoding::percent_decode_str(name)
            .decode_utf8()
            .unwrap()
            .into_owned();
        assert!(parts.uri.query().unwrap_or_default().contains("sig=secret"));
        if state.away {
            return status(503);
        }
        match parts.method {
            Method::PUT => {
                let there = state.blobs.get(&name).map(tag_of);
                let only_over = parts.headers.get("if-match");
                if only_over.is_some_and(|tag| there.as_deref() != tag.to_str().ok()) {
                    return status(412);
                }
                if parts.headers.contains_key("if-none-match") && there.is_some() {
                    return Response::builder()
                        .status(409)
                        .header("x-ms-error-code", "BlobAlreadyExists")
                        .body(Full::default())
                        .unwrap();
                }
                let tag = tag_of(&body);
                state.blobs.insert(name, body);
                Response::builder()
                    .status(201)
                    .header("etag", tag)
                    .header("last-modified", "Sun, 22 Nov 2026 12:00:00 GMT")
                    .body(Full::default())
                    .unwrap()
            }
            Method::DELETE => match state.blobs.remove(&name) {
                Some(_) => status(202),
                None => status(404),
            },
            Method::GET | Method::HEAD => match state.blobs.get(&name) {
                None => status(404),
                Some(blob) => Response::builder()
                    .header("etag", tag_of(blob))
                    .header("content-length", blob.len())
                    .body(match parts.method {
                        Method::HEAD => Full::default(),
                        _ => Full::from(blob.clone()),
                    })
                    .unwrap(),
            },
            other => panic!("{other}"),
        }
    }
}

fn tag_of(blob: &Bytes) -> String {
    format!("\"{:08x}\"", crc32fast::hash(blob))
}

fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .body(Full::default())
        .unwrap()
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    Response::new(Full::from(serde_json::to_vec(value).unwrap()))
}

impl State {
    fn api(&mut self, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
        if self.catalog_away {
            return status(503);
        }
        if path == "claim" {
            self.claims.push(serde_json::from_slice(body).unwrap());
            let Some(assignment) = self.waiting.take() else {
                return status(204);
            };
            self.lease += 1;
            self.assignment = Some(assignment.clone());
            return json(&Claim {
                lease: format!("lease-{}", self.lease),
                lease_seconds: self.lease_seconds.unwrap_or(15),
                assignment,
            });
        }
        let current = format!("lease-{}", self.lease);
        match path.split_once('/').unwrap().1 {
            "renew" => {
                let request: RenewRequest = serde_json::from_slice(body).unwrap();
                if request.lease != current {
                    return status(409);
                }
                self.renewals.push(request);
                json(self.assignment.as_ref().unwrap())
            }
            "release" => {
                let request: ReleaseRequest = serde_json::from_slice(body).unwrap();
                if request.lease != current {
                    return status(409);
                }
                self.released.push(request);
                status(204)
            }
            "facts" => {
                let report: ReportFacts = serde_json::from_slice(body).unwrap();
                self.facts
                    .extend(report.facts.into_iter().map(|fact| fact.fact));
                status(204)
            }
            other => panic!("{other}"),
        }
    }

    pub fn input_url(&self) -> Option<String> {
        let running = self
            .renewals
            .last()
            .filter(|r| r.state == WorkerState::Running);
        running
            .and_then(|r| r.endpoints.input.first())
            .map(|endpoint| endpoint.url.clone())
    }

    pub fn recording(&self) -> Option<Recording> {
        self.recording_of("show")
    }

    pub fn recording_of(&self, manifest: &str) -> Option<Recording> {
        self.blobs
            .get(&archive::head_name(manifest))
            .map(|head| Recording::parse(head).unwrap())
    }

    /// All rows of the recording, from pages and head.
    pub fn rows(&self) -> Vec<Row> {
        let recording = self.recording().unwrap();
        let mut rows = Vec::new();
        for page in &recording.pages {
            rows.extend(parse_page(&self.blobs[&archive::page_name("show", page.first)]).unwrap());
        }
        rows.extend(recording.open.rows);
        rows
    }

    /// A track as one file: what a player would have fetched.
    pub fn film(&self, track: TrackIndex) -> Vec<u8> {
        self.film_of(track, 0, &self.rows())
    }

    /// Likewise what some rows have of it under one of its configurations.
    pub fn film_of(&self, track: TrackIndex, config: u16, rows: &[Row]) -> Vec<u8> {
        let recording = self.recording().unwrap();
        let known = &recording.open.tracks[usize::from(track)];
        let mut film = self.blobs[&archive::header_name(known, config)].to_vec();
        for row in rows {
            let segment = row.segments.get(&track);
            if let Some(segment) = segment.filter(|segment| segment.config == config) {
                let bytes = &self.blobs[&archive::segment_name(known, segment.start)];
                assert_eq!(bytes.len() as u64, segment.size());
                film.extend_from_slice(bytes);
            }
        }
        film
    }

    pub fn rejections(&self) -> Vec<String> {
        let ended = self.facts.iter().filter_map(|fact| match fact {
            Fact::ConnectionRejected(ended) | Fact::EncoderDisconnected(ended) => {
                Some(ended.result_code.clone())
            }
            _ => None,
        });
        ended.collect()
    }
}

pub struct Running {
    pub bound: Bound,
    pub stop: CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// A program that is ended when dropped.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a source of `seconds` with key frames every second: pictures that differ, and sound.
pub fn source(path: &Path, seconds: u32, options: &str) {
    let arguments = format!(
        "-v error -y -f lavfi -i testsrc2=s=320x180:r=25:d={seconds} -f lavfi -i sine=440:d={seconds} -c:v libx264 -preset ultrafast \
         -pix_fmt yuv420p -g 25 -keyint_min 25 -sc_threshold 0 -b:v 400k {options} -c:a aac -b:a 96k"
    );
    let made = Command::new("ffmpeg")
        .args(arguments.split_whitespace())
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// As [`source`], of HEVC.
pub fn hevc_source(path: &Path, seconds: u32) {
    let arguments = format!(
        "-v error -y -f lavfi -i testsrc2=s=320x180:r=25:d={seconds} -f lavfi -i sine=440:d={seconds} -c:v libx265 -preset ultrafast \
         -pix_fmt yuv420p -x265-params keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=2:log-level=error -b:v 400k \
         -tag:v hvc1 -c:a aac -b:a 96k"
    );
    let made = Command::new("ffmpeg")
        .args(arguments.split_whitespace())
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// Sends all of a file as it plays, to `ingest.isml`.
pub fn push(file: &Path, url: &str) -> Program {
    let child = Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-i"])
        .arg(file)
        .args("-map 0 -c copy -f ismv -movflags isml+frag_keyframe".split(' '))
        .arg(format!("{url}/Streams(main)"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Program(child)
}

/// Sends all of a file as it plays.
pub fn publish(file: &Path, format: &str, url: &str) -> Program {
    let child = Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-i"])
        .arg(file)
        .args(["-map", "0", "-c", "copy", "-f", format, url])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Program(child)
}

/// Checksums of decoded frames, without their times.
pub fn frames(file: &Path, stream: &str) -> Vec<String> {
    sums(file, &["-map", stream])
}

/// Checksums of coded access units, without their times.
pub fn packets(file: &Path, stream: &str) -> Vec<String> {
    sums(file, &["-map", stream, "-c", "copy"])
}

fn sums(file: &Path, options: &[&str]) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(options)
        .args(["-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sums = lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned());
    sums.collect()
}

/// A request of the edge.
pub async fn edge(bound: &Bound, path: &str) -> (StatusCode, Bytes) {
    let stream = tokio::net::TcpStream::connect(bound.edge).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "edge")
        .header("authorization", format!("Bearer {SECRET}"))
        .body(Full::<Bytes>::default())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    (
        status,
        answer.into_body().collect().await.unwrap().to_bytes(),
    )
}
