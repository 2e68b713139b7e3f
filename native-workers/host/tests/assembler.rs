//! The native assembler, both ways, against the reference implementation in `headwater-plan`.

use bytes::Bytes;
use futures::StreamExt;
use headwater_host::{
    LocalObject, LocalObjects, MediaCache, NativeAssembler, Refused, StandIn, full_body,
};
use headwater_plan::{
    ByteStream, Object, Plan, PlanBuilder, RangeSource, Sink, StoreAnswer, StoreFault, assemble,
};
use headwater_protect::{Cipher, Key};
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};

const ETAG: &str = "\"0x1\"";
/// Two blocks of the cache and a part of a third.
const LEN: usize = 1_300_000;

/// Bytes that tell where they come from.
fn object() -> &'static [u8] {
    static OBJECT: OnceLock<Vec<u8>> = OnceLock::new();
    OBJECT.get_or_init(|| {
        (0..LEN as u32 / 4)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
            .collect()
    })
}

/// Paths at which nothing is any more.
static AWAY: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// How often each path was asked for.
static ASKED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

fn asked(path: &str) -> usize {
    ASKED.lock().unwrap().get(path).copied().unwrap_or(0)
}

/// A store over HTTP: `/object…` and its ranges, `/503` and the like, which answer just that, and `/broken`, which breaks off.
fn store() -> &'static str {
    static STORE: OnceLock<String> = OnceLock::new();
    STORE.get_or_init(|| {
        let (ready, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let service = hyper::service::service_fn(|request: Request<_>| async move {
                        let path = request.uri().path().to_owned();
                        *ASKED.lock().unwrap().entry(path.clone()).or_default() += 1;
                        let response = stored(&request);
                        if path != "/broken" {
                            let whole =
                                |body: Full<_>| BoxBody::new(body.map_err(std::io::Error::other));
                            return Ok::<_, Infallible>(response.map(whole));
                        }
                        // All that is promised but the last byte.
                        let (head, body) = response.into_parts();
                        let all = body.collect().await.unwrap().to_bytes();
                        let part = Ok(Frame::data(all.slice(..all.len() - 1)));
                        let end = async {
                            // What was handed over is sent by then.
                            tokio::time::sleep(Duration::from_millis(500)).await;
                            Err(std::io::Error::other("gone"))
                        };
                        let parts = futures::stream::iter([part]);
                        let body = StreamBody::new(parts.chain(futures::stream::once(end)));
                        Ok(Response::from_parts(head, BoxBody::new(body)))
                    });
                    tokio::spawn(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service),
                    );
                }
            });
        });
        format!("http://{}", address.recv().unwrap())
    })
}

fn stored<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let text = |name| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    if AWAY.lock().unwrap().contains(request.uri().path()) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    }
    if let Ok(status) = request.uri().path()[1..].parse() {
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        return response;
    }
    if text(header::IF_MATCH).is_some_and(|tag| tag != ETAG) {
        *response.status_mut() = StatusCode::PRECONDITION_FAILED;
        return response;
    }
    let range = text(header::RANGE).unwrap();
    let (start, end) = range["bytes=".len()..].split_once('-').unwrap();
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    if start >= LEN {
        *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        return response;
    }
    let end = end.min(LEN - 1);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let content_range = format!("bytes {start}-{end}/{LEN}");
    response
        .headers_mut()
        .insert(header::CONTENT_RANGE, content_range.parse().unwrap());
    *response.body_mut() = Full::new(Bytes::from_static(object()).slice(start..=end));
    response
}

/// The same object as a file of the embedded store, by the same URL.
struct Files(tempfile::NamedTempFile);

impl Files {
    fn new() -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(object()).unwrap();
        Self(file)
    }
}

impl LocalObjects for Files {
    fn open(&self, _url: &str, if_match: Option<&str>) -> Option<Result<LocalObject, Refused>> {
        if if_match.is_some_and(|tag| tag != ETAG) {
            return Some(Err(Refused(StatusCode::PRECONDITION_FAILED)));
        }
        Some(Ok(LocalObject {
            file: self.0.reopen().unwrap(),
            len: LEN as u64,
        }))
    }
}

/// What the reference implementation reads.
struct Reference;

struct Once(Option<Bytes>);

impl ByteStream for Once {
    type Error = StoreFault;
    async fn next(&mut self) -> Result<Option<Bytes>, StoreFault> {
        Ok(self.0.take())
    }
}

impl RangeSource for Reference {
    type Stream = Once;
    type Error = StoreFault;
    async fn open(&self, object: &Object, range: Range<u64>) -> Result<Once, StoreFault> {
        let mut request = Request::get(object.url()).header(
            header::RANGE,
            format!("bytes={}-{}", range.start, range.end - 1),
        );
        if let Some(tag) = object.if_match() {
            request = request.header(header::IF_MATCH, tag);
        }
        let response = stored(&request.body(()).unwrap());
        let content_range = response.headers().get(header::CONTENT_RANGE).cloned();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        StoreAnswer {
            status: head.status.as_u16(),
            content_length: Some(body.len() as u64),
            content_range: content_range.as_ref().map(|v| v.to_str().unwrap()),
        }
        .delivers(&range)?;
        Ok(Once(Some(body)))
    }
}

struct Collect(Vec<u8>);

impl Sink for Collect {
    type Error = Infallible;
    async fn write(&mut self, bytes: Bytes) -> Result<(), Infallible> {
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

/// Status and body that an assembler answers a plan with.
async fn answered(assembler: &NativeAssembler, plan: &Plan) -> (u16, Vec<u8>) {
    let request = Request::post("http://assembler.spin.internal/")
        .body(full_body(plan.encode()))
        .unwrap();
    let response = assembler.call(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, body.to_vec())
}

/// From files, from the store, and from the store by way of a cache.
fn every() -> [NativeAssembler; 3] {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    [
        NativeAssembler::new(Some(Arc::new(Files::new())), None, &[]),
        NativeAssembler::new(None, None, &[]),
        keeping(&FOLDER),
    ]
}

fn keeping(folder: &tempfile::TempDir) -> NativeAssembler {
    let kept = MediaCache::open(folder.path(), 64 << 20).unwrap();
    NativeAssembler::new(None, Some(kept), &[])
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[derive(Debug, Clone)]
enum Part {
    Inline(Vec<u8>),
    Range(u64, u64),
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..2000).prop_map(Part::Inline),
        (0..LEN as u64 - 1, 1..40_000u64)
            .prop_map(|(start, len)| { Part::Range(start, (start + len).min(LEN as u64)) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_way_gives_the_bytes_of_the_reference(parts in prop::collection::vec(part(), 1..20), encrypted: bool) {
        let mut plan = PlanBuilder::new();
        let url = format!("{}/object", store());
        let object = plan.object(Object::new(url, Some(ETAG.into())).unwrap()).unwrap();
        for part in parts {
            match part {
                Part::Inline(bytes) => plan.inline(bytes).unwrap(),
                Part::Range(start, end) => plan.range(object, start..end).unwrap(),
            }
        }
        let mut plan = plan.finish();
        if encrypted {
            let clear = plan.total_len().min(10);
            let cipher = Cipher::Envelope {
                iv: [1; 16],
                len: plan.total_len() - clear,
            };
            plan = plan.cover(clear, cipher, Key::new([2; 16])).unwrap();
        }
        let mut reference = Collect(Vec::new());
        let runtime = runtime();
        runtime.block_on(assemble(&plan, &Reference, &mut reference)).unwrap();
        for assembler in every() {
            let (status, body) = runtime.block_on(answered(&assembler, &plan));
            prop_assert_eq!(status, 200);
            prop_assert!(body == reference.0, "{} bytes, {} wanted", body.len(), reference.0.len());
        }
    }
}

/// A call to the kernel takes sixteen frames: what is in hundreds of pieces must not be as many.
#[test]
fn small_pieces_go_out_together() {
    let mut plan = PlanBuilder::new();
    let url = format!("{}/object", store());
    let film = plan
        .object(Object::new(url, Some(ETAG.into())).unwrap())
        .unwrap();
    let mut wanted = b"moof".to_vec();
    plan.inline(wanted.clone()).unwrap();
    let mut place = |range: Range<u64>| {
        let slice = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        wanted.extend_from_slice(&object()[slice]);
        plan.range(film, range).unwrap();
    };
    for at in 0..150 {
        place(at * 1_000..at * 1_000 + 400);
    }
    // A large one goes as it is.
    place(0..20_000);
    for at in 0..150 {
        place(at * 1_000..at * 1_000 + 400);
    }
    let plan = plan.finish();
    let [local, ..] = every();
    let frames: Vec<Bytes> = runtime().block_on(async {
        let request = Request::post("http://assembler.spin.internal/")
            .body(full_body(plan.encode()))
            .unwrap();
        let mut body = local.call(request).await.unwrap().into_body();
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        frames
    });
    let lengths: Vec<_> = frames.iter().map(Bytes::len).collect();
    assert_eq!(lengths, [4 + 150 * 400, 20_000, 150 * 400]);
    assert!(frames.concat() == wanted);
}

#[test]
fn refusals_are_told_apart_before_the_first_byte() {
    let plan = |url: String, tag: &str, range: Range<u64>| {
        let mut plan = PlanBuilder::new();
        let object = plan
            .object(Object::new(url, Some(tag.into())).unwrap())
            .unwrap();
        plan.inline(b"moof".to_vec()).unwrap();
        plan.range(object, range).unwrap();
        plan.finish()
    };
    let status =
        |assembler: &NativeAssembler, plan: &Plan| runtime().block_on(answered(assembler, plan)).0;
    let object = format!("{}/object", store());
    let beyond = LEN as u64 - 10..LEN as u64 + 10;
    for assembler in every() {
        assert_eq!(
            status(&assembler, &plan(object.clone(), "\"0x2\"", 0..10)),
            412
        );
        assert_eq!(
            status(&assembler, &plan(object.clone(), ETAG, beyond.clone())),
            412
        );
    }
    let [_, remote, kept] = every();
    for far in [remote, kept] {
        for (theirs, ours) in [
            (404, 404),
            (416, 412),
            (429, 503),
            (503, 503),
            (500, 502),
            (403, 502),
        ] {
            let plan = plan(format!("{}/{theirs}", store()), ETAG, 0..10);
            assert_eq!(status(&far, &plan), ours, "{theirs}");
        }
        let nobody = plan("http://127.0.0.1:1/object".into(), ETAG, 0..10);
        assert_eq!(status(&far, &nobody), 503);
    }
}

/// A plan of one range of `url`.
fn of(url: &str, range: Range<usize>) -> Plan {
    let mut plan = PlanBuilder::new();
    let object = Object::new(url, Some(ETAG.into())).unwrap();
    let object = plan.object(object).unwrap();
    plan.range(object, range.start as u64..range.end as u64)
        .unwrap();
    plan.finish()
}

#[test]
fn what_many_ask_for_is_read_once_and_what_is_kept_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let cache = keeping(&folder);
    let url = |signature| format!("{}/object/many?sig={signature}", store());
    runtime().block_on(async {
        let plans: Vec<_> = (0..100).map(|n| of(&url(n), n..600_000 + n)).collect();
        let all = plans.iter().map(|plan| answered(&cache, plan));
        for (n, (status, body)) in futures::future::join_all(all).await.iter().enumerate() {
            assert_eq!(*status, 200);
            assert!(*body == object()[n..600_000 + n], "{n}");
        }
        // Two blocks, which are neighbours.
        assert_eq!(asked("/object/many"), 1);
        // The third alone.
        let (status, body) = answered(&cache, &of(&url(1), 500_000..LEN)).await;
        assert!(status == 200 && body == object()[500_000..]);
        assert_eq!(asked("/object/many"), 2);
        let (status, _) = answered(&cache, &of(&url(1), 0..LEN)).await;
        assert_eq!((status, asked("/object/many")), (200, 2));
    });
}

#[test]
fn what_is_kept_is_there_while_the_store_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let cache = keeping(&folder);
    let object_url = format!("{}/object/away", store());
    let plan = of(&object_url, 10..2_000);
    let runtime = runtime();
    assert_eq!(runtime.block_on(answered(&cache, &plan)).0, 200);
    assert_eq!(asked("/object/away"), 1);
    AWAY.lock().unwrap().insert("/object/away".to_owned());
    // Another process finds it; in the background, so it may take a moment.
    let other = keeping(&folder);
    let started = Instant::now();
    loop {
        let (status, body) = runtime.block_on(answered(&other, &plan));
        if status == 200 {
            assert!(body == object()[10..2_000]);
            break;
        }
        assert_eq!(status, 503);
        assert!(started.elapsed() < Duration::from_secs(60), "never found");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_body_that_breaks_off_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = keeping(&folder);
    let plan = of(&format!("{}/broken", store()), 0..LEN);
    let runtime = runtime();
    for round in 1..=2 {
        assert_eq!(runtime.block_on(answered(&cache, &plan)).0, 502);
        assert_eq!(asked("/broken"), round);
    }
    // The blocks before were whole.
    let first = of(&format!("{}/broken", store()), 0..1_000_000);
    let (status, body) = runtime.block_on(answered(&cache, &first));
    assert!(status == 200 && body == object()[..1_000_000]);
    assert_eq!(asked("/broken"), 2);
}

#[test]
fn a_request_that_is_given_up_is_of_use_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let cache = keeping(&folder);
    let plan = of(&format!("{}/object/left", store()), 0..LEN);
    runtime().block_on(async {
        let given_up = tokio::time::timeout(Duration::ZERO, answered(&cache, &plan));
        assert!(given_up.await.is_err());
        let (status, body) = answered(&cache, &plan).await;
        assert!(status == 200 && body == object());
    });
    assert_eq!(asked("/object/left"), 1);
    // Nothing waits for what a runtime has left behind.
    let other = of(&format!("{}/object/behind", store()), 0..LEN);
    runtime().block_on(async {
        let _ = tokio::time::timeout(Duration::ZERO, answered(&cache, &other)).await;
    });
    assert_eq!(runtime().block_on(answered(&cache, &other)).0, 200);
}
