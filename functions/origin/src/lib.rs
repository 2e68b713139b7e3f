//! The origin: manifests, segments and files of published assets (`GET /{locator}/...`).
//!
//! All decisions are `headwater-origin`'s. Here its ports are connected (the catalog over `spin:sqlite`, storage over
//! outbound HTTP), and its answers sent: texts as they are, plans of bytes through the assembler, whose body is handed
//! on unread.

mod catalog;

use catalog::SpinCatalog;
use headwater_blob::TransportError;
use headwater_edge::config;
use headwater_edge::http::{Asked, SpinHttp, open, whole};
use headwater_edge::memory;
use headwater_origin::{
    BlobStorage, Body, CacheSizes, Code, Freshness, Growing, Origin, OriginError,
    Request as OriginRequest, failure,
};
use headwater_plan::Plan;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

/// Where plans are carried out: on our host natively, else by `functions/assembler`.
const ASSEMBLER: &str = "http://assembler.spin.internal/";

type SpinOrigin = Origin<SpinCatalog, BlobStorage<SpinHttp>>;

thread_local! {
    /// Kept for the instance's life: an origin is its caches.
    static ORIGIN: Rc<SpinOrigin> = Rc::new(Origin::new(
        SpinCatalog::default(),
        BlobStorage::new(SpinHttp::default(), Timestamp::now)
            .assembled()
            .lenient()
            .pausing(|ms| Box::pin(pause(ms))),
        CacheSizes::default(),
        |line| eprintln!("origin: {line}"),
    ));
}

/// What the SDK's `http_service` makes, with a request that is read only as far as it is of use.
struct Component;

spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        handle(request).await
    }
}

memory::export!(Component with_types_in memory::bindings);

impl memory::Guest for Component {
    fn recall(question: memory::Question) -> Option<memory::Answer> {
        let (request, host) = memory::asked(question);
        memory::recall(from_memory(&request, host.as_deref()))?
    }
}

/// `None`: the handler has to see to it.
async fn from_memory(request: &Asked, host: Option<&str>) -> Option<memory::Answer> {
    let origin = ORIGIN.with(Rc::clone);
    let asked = asked(request, host).await;
    let (head, body) = decide(&origin, &asked, Freshness::Remembered).await;
    let body = match body {
        Body::Empty => memory::Body::Empty,
        Body::Bytes(bytes) => memory::Body::Bytes(bytes.into()),
        // Should the store no longer have what the plan was made for, the handler is asked.
        Body::Plan(plan) => memory::Body::HandedOn(memory::Post {
            url: ASSEMBLER.to_owned(),
            body: plan.into_encoded().into(),
        }),
        Body::Growing(_) => return None,
    };
    Some(memory::answer(head.status, &head.headers, body))
}

async fn asked<'a>(request: &'a Asked, host: Option<&'a str>) -> OriginRequest<'a> {
    OriginRequest {
        method: &request.method,
        path: request.path(),
        query: request.query(),
        host,
        client: client(request).await,
        headers: &request.headers,
        now: Timestamp::now(),
    }
}

async fn handle(request: Request) -> Result<Response, ErrorCode> {
    let origin = ORIGIN.with(Rc::clone);
    let host = request.get_authority();
    let request = Asked::read(&request)?;
    let asked = asked(&request, host.as_deref()).await;
    let sent = match respond(&origin, &asked, Freshness::Remembered).await {
        Ok(Sent::Response(response)) => Ok(response),
        // The store no longer has what the instance remembers: once more, with fresh eyes.
        Ok(Sent::Outdated) => match respond(&origin, &asked, Freshness::Looked).await {
            Ok(Sent::Response(response)) => Ok(response),
            Ok(Sent::Outdated) => refuse(
                &asked,
                Code::StorageServerBusy,
                "a file of the asset is being replaced",
            ),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    sent.map_err(|e| ErrorCode::InternalError(Some(e.to_string())))
}

/// The client's address, where the host can be believed.
async fn client(request: &Asked) -> Option<IpAddr> {
    thread_local! {
        /// A variable stays what it is for as long as the instance lives.
        static BELIEVED: Cell<Option<bool>> = const { Cell::new(None) };
    }
    let told = request.client?;
    let believed = match BELIEVED.get() {
        Some(believed) => believed,
        None => {
            let believed = config::flag("client_address").await.ok()?;
            BELIEVED.set(Some(believed));
            believed
        }
    };
    believed.then(|| told.ip())
}

enum Sent {
    Response(Response),
    /// The assembler found another state of the storage than the plan was made for.
    Outdated,
}

/// What the origin answers, and how long that took it.
async fn decide(
    origin: &SpinOrigin,
    asked: &OriginRequest<'_>,
    freshness: Freshness,
) -> (http::response::Parts, Body) {
    let begun = Instant::now();
    let (mut head, body) = origin.handle(asked, freshness).await.into_parts();
    let spent = format!("origin;dur={:.1}", begun.elapsed().as_secs_f64() * 1000.0);
    if let Ok(spent) = HeaderValue::from_str(&spent) {
        head.headers.insert("server-timing", spent);
    }
    (head, body)
}

async fn respond(
    origin: &SpinOrigin,
    asked: &OriginRequest<'_>,
    freshness: Freshness,
) -> Result<Sent, TransportError> {
    let (head, body) = decide(origin, asked, freshness).await;
    let body = match body {
        Body::Empty => bytes::Bytes::new(),
        Body::Bytes(bytes) => bytes,
        Body::Plan(plan) => return assemble(asked, head, &plan).await,
        Body::Growing(Growing(url)) => return follow(asked, head, &url).await,
    };
    whole(head.status, head.headers, body).map(Sent::Response)
}

/// Hands on what a live event's worker makes, as it makes it.
async fn follow(
    asked: &OriginRequest<'_>,
    head: http::response::Parts,
    url: &str,
) -> Result<Sent, TransportError> {
    let request = http::Request::get(url)
        .body(bytes::Bytes::new())
        .map_err(|e| TransportError::Broken(e.to_string()))?;
    match open(request).await {
        Ok(opened) if opened.status == StatusCode::OK => opened
            .hand_on(head.status, head.headers)
            .map(Sent::Response),
        Ok(opened) if matches!(opened.status.as_u16(), 401 | 404 | 410) => Ok(Sent::Outdated),
        _ => refuse(
            asked,
            Code::StorageServerBusy,
            "the live event's worker is not available",
        )
        .map(Sent::Response),
    }
}

async fn pause(ms: u64) {
    memory::others().await;
    spin_sdk::wasip3::clocks::monotonic_clock::wait_for(ms.saturating_mul(1_000_000)).await;
}

async fn assemble(
    asked: &OriginRequest<'_>,
    head: http::response::Parts,
    plan: &Plan,
) -> Result<Sent, TransportError> {
    let request = http::Request::post(ASSEMBLER)
        .body(plan.encode())
        .map_err(|e| TransportError::Broken(e.to_string()))?;
    let opened = match open(request).await {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("origin: the assembler is not available: {error}");
            return refuse(asked, Code::StorageServerBusy, "storage is not available")
                .map(Sent::Response);
        }
    };
    match opened.status {
        StatusCode::OK => opened
            .hand_on(head.status, head.headers)
            .map(Sent::Response),
        StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND => Ok(Sent::Outdated),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            refuse(asked, Code::StorageServerBusy, "storage is not available").map(Sent::Response)
        }
        status => {
            eprintln!("origin: the assembler answered {status}");
            refuse(
                asked,
                Code::StorageUnexpected,
                "storage gave an unexpected answer",
            )
            .map(Sent::Response)
        }
    }
}

/// A problem that only shows once the answer was decided.
fn refuse(asked: &OriginRequest<'_>, code: Code, detail: &str) -> Result<Response, TransportError> {
    let (head, body) = failure(asked, &OriginError::new(code, detail)).into_parts();
    let body = match body {
        Body::Bytes(bytes) => bytes,
        Body::Empty | Body::Plan(_) | Body::Growing(_) => bytes::Bytes::new(),
    };
    whole(head.status, head.headers, body)
}
