//! The native assembler, both ways, against the reference implementation in `headwater-plan`.

use bytes::Bytes;
use headwater_host::{LocalObject, LocalObjects, NativeAssembler, Refused, StandIn, full_body};
use headwater_plan::{
    ByteStream, Object, Plan, PlanBuilder, RangeSource, Sink, StoreAnswer, StoreFault, assemble,
};
use headwater_protect::{Cipher, Key};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use std::convert::Infallible;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

const ETAG: &str = "\"0x1\"";
const LEN: usize = 300_000;

/// Bytes that tell where they come from.
fn object() -> &'static [u8] {
    static OBJECT: OnceLock<Vec<u8>> = OnceLock::new();
    OBJECT.get_or_init(|| {
        (0..LEN as u32 / 4)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
            .collect()
    })
}

/// A store over HTTP: `/object` and its ranges, and `/503` and the like, which answer just that.
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
                    let service = hyper::service::service_fn(|request| async move {
                        Ok::<_, Infallible>(stored(&request))
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

fn both() -> [NativeAssembler; 2] {
    [
        NativeAssembler::new(Some(Arc::new(Files::new())), &[]),
        NativeAssembler::new(None, &[]),
    ]
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
        for assembler in both() {
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
    let [local, _] = both();
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
    for assembler in both() {
        assert_eq!(
            status(&assembler, &plan(object.clone(), "\"0x2\"", 0..10)),
            412
        );
        assert_eq!(
            status(&assembler, &plan(object.clone(), ETAG, beyond.clone())),
            412
        );
    }
    let [_, remote] = both();
    for (theirs, ours) in [
        (404, 404),
        (416, 412),
        (429, 503),
        (503, 503),
        (500, 502),
        (403, 502),
    ] {
        let plan = plan(format!("{}/{theirs}", store()), ETAG, 0..10);
        assert_eq!(status(&remote, &plan), ours, "{theirs}");
    }
    let nobody = plan("http://127.0.0.1:1/object".into(), ETAG, 0..10);
    assert_eq!(status(&remote, &nobody), 503);
}
