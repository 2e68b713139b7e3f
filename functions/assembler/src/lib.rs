//! The assembler: carries out plans of bytes (`POST http://assembler.spin.internal/`, body: an encoded plan).
//!
//! Answers 200 with the body that the plan describes, or, before the first byte, the reason why not: 400 for what is
//! not a plan, 404 and 412 as the store says them (the origin then reads its index anew), 502 for everything else the
//! store says, 503 and 504 when it cannot be reached. Private: plans hold signed URLs.
//!
//! `POST /scan` answers which bytes of a segment's samples stay clear under common encryption; 422 for samples that do not parse.
//!
//! Hosts may answer this name natively; the bytes are the same.

use bytes::Bytes;
use headwater_blob::TransportError;
use headwater_edge::http::{BodySink, ClientGone, Opened, open, streamed, whole};
use headwater_edge::problem::Problem;
use headwater_plan::{
    AssembleError, ByteStream, MAX_ENCODED_BYTES, MAX_SCAN_BYTES, Object, Plan, RangeSource, Read,
    Scan, Sink, StoreAnswer, StoreFault, assemble, scan,
};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, IF_MATCH, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use spin_sdk::http::Request;
use spin_sdk::http_service;
use spin_sdk::wasip3::http::types::{ErrorCode, Response};
use std::cell::RefCell;
use std::ops::Range;

#[http_service]
async fn handle(request: Request) -> Result<Response, ErrorCode> {
    let answer = if request.uri().path() == "/scan" {
        match map(request).await {
            Ok(map) => whole(StatusCode::OK, HeaderMap::new(), map.into()),
            Err(refusal) => refusal.response(),
        }
    } else {
        match parse(request).await {
            Ok(plan) => respond(plan).await,
            Err(refusal) => refusal.response(),
        }
    };
    answer.map_err(|e| ErrorCode::InternalError(Some(e.to_string())))
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    detail: &'static str,
}

impl Refusal {
    const NOT_A_PLAN: Self = Self {
        status: StatusCode::BAD_REQUEST,
        kind: "InvalidArgument",
        detail: "the body is not a plan",
    };
    const MISSING: Self = Self {
        status: StatusCode::NOT_FOUND,
        kind: "NotFound",
        detail: "an object is not there",
    };
    const CHANGED: Self = Self {
        status: StatusCode::PRECONDITION_FAILED,
        kind: "PreconditionFailed",
        detail: "an object has changed",
    };
    const UPSTREAM: Self = Self {
        status: StatusCode::BAD_GATEWAY,
        kind: "Upstream",
        detail: "the store did not deliver a range",
    };
    const MEDIA: Self = Self {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        kind: "FormatNotSupported",
        detail: "a sample is damaged",
    };
    const BUSY: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        kind: "Unavailable",
        detail: "the store is not available",
    };
    const TIMEOUT: Self = Self {
        status: StatusCode::GATEWAY_TIMEOUT,
        kind: "UpstreamTimeout",
        detail: "the store did not answer",
    };

    fn response(self) -> Result<Response, TransportError> {
        Problem {
            kind: self.kind,
            status: self.status,
            title: "The plan was not carried out",
            detail: self.detail,
            instance: None,
        }
        .response()
    }
}

async fn parse(request: Request) -> Result<Plan, Refusal> {
    let bytes = read(request, MAX_ENCODED_BYTES).await?;
    Plan::decode(bytes).map_err(|_| Refusal::NOT_A_PLAN)
}

async fn read(request: Request, limit: usize) -> Result<Bytes, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::NOT_A_PLAN);
    }
    let body = Limited::new(request.into_body(), limit).collect().await;
    Ok(body.map_err(|_| Refusal::NOT_A_PLAN)?.to_bytes())
}

/// Answers a scan: the subsamples of a segment's samples.
async fn map(request: Request) -> Result<Vec<u8>, Refusal> {
    let bytes = read(request, MAX_SCAN_BYTES).await?;
    let asked = Scan::decode(bytes).map_err(|_| Refusal::NOT_A_PLAN)?;
    match scan(&asked, &First(RefCell::new(None))).await {
        Ok(map) => Ok(Scan::write_map(map)),
        Err(AssembleError::Source(refusal)) => Err(refusal),
        Err(AssembleError::Sink(_) | AssembleError::Cipher(_)) => Err(Refusal::MEDIA),
        Err(_) => Err(Refusal::UPSTREAM),
    }
}

async fn respond(plan: Plan) -> Result<Response, TransportError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(plan.total_len()));
    if let Some(body) = plan.inline_only() {
        return whole(StatusCode::OK, headers, body);
    }
    let first = match First::open(&plan).await {
        Ok(first) => first,
        Err(refusal) => return refusal.response(),
    };
    // One range and nothing else: the store's answer is the body, and need not pass through here.
    let mut reads = plan.reads();
    if let (Some(Read::Object(run)), None) = (reads.next(), reads.next())
        && plan.encryption().is_none()
        && run.keep.len() == 1
        && let Some(opened) = first.take()
    {
        return opened.hand_on(StatusCode::OK, headers);
    }
    drop(reads);
    let (response, sink) = streamed(StatusCode::OK, headers)?;
    spin_sdk::wit_bindgen::spawn(async move {
        let mut sink = Writer(sink);
        match assemble(&plan, &first, &mut sink).await {
            Ok(_) => sink.0.finish().await,
            // The client went away; that is its right.
            Err(AssembleError::Sink(ClientGone)) => {}
            // The sink is dropped unfinished: the client sees a broken body, not a short one.
            Err(AssembleError::Media(fault)) => {
                eprintln!("{fault}; the body was broken off");
            }
            Err(AssembleError::Cipher(fault)) => {
                eprintln!("{fault}; the body was broken off");
            }
            Err(_) => eprintln!("an object range ended early; the body was broken off"),
        }
    });
    Ok(response)
}

/// The store, with the plan's first range opened: whether it delivers is known before our status is sent.
struct First(RefCell<Option<Opened>>);

impl First {
    async fn open(plan: &Plan) -> Result<Self, Refusal> {
        match plan.first_run() {
            Some(run) => {
                let opened = open_range(run.object, run.range).await?;
                Ok(Self(RefCell::new(Some(opened))))
            }
            None => Ok(Self(RefCell::new(None))),
        }
    }

    fn take(&self) -> Option<Opened> {
        self.0.take()
    }
}

impl RangeSource for First {
    type Stream = Body;
    type Error = Refusal;

    /// Ranges are opened in the plan's order, so the first call is for the one that is open.
    async fn open(&self, object: &Object, range: Range<u64>) -> Result<Body, Refusal> {
        let opened = self.take();
        match opened {
            Some(opened) => Ok(Body(opened)),
            None => open_range(object, range).await.map(Body),
        }
    }
}

async fn open_range(object: &Object, range: Range<u64>) -> Result<Opened, Refusal> {
    let mut request = http::Request::get(object.url()).header(
        RANGE,
        format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
    );
    if let Some(etag) = object.if_match() {
        request = request.header(IF_MATCH, etag);
    }
    let request = request
        .body(Bytes::new())
        .map_err(|_| Refusal::NOT_A_PLAN)?;
    let opened = open(request).await.map_err(|e| match e {
        TransportError::Timeout => Refusal::TIMEOUT,
        _ => Refusal::BUSY,
    })?;
    let answer = StoreAnswer {
        status: opened.status.as_u16(),
        content_length: opened.content_length(),
        content_range: opened
            .headers
            .get(CONTENT_RANGE)
            .and_then(|v| v.to_str().ok()),
    };
    match answer.delivers(&range) {
        Ok(()) => Ok(opened),
        Err(StoreFault::Missing) => Err(Refusal::MISSING),
        Err(StoreFault::Changed) => Err(Refusal::CHANGED),
        Err(StoreFault::Busy) => Err(Refusal::BUSY),
        Err(StoreFault::Timeout) => Err(Refusal::TIMEOUT),
        Err(StoreFault::Unexpected) => Err(Refusal::UPSTREAM),
    }
}

struct Body(Opened);

impl ByteStream for Body {
    type Error = Refusal;

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        self.0.next().await.map_err(|_| Refusal::UPSTREAM)
    }
}

struct Writer(BodySink);

impl Sink for Writer {
    type Error = ClientGone;

    async fn write(&mut self, bytes: Bytes) -> Result<(), ClientGone> {
        self.0.write(bytes).await
    }
}
