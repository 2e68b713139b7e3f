//! The native stand-in of `functions/assembler`: carries a plan of bytes out without the media entering a guest.
//!
//! Objects of the embedded store are mapped files, and their ranges go to the socket as slices of the mapping.
//! Others are read in blocks that are [kept] on disk, and mapped as well; or, without such a cache and where they are too long for
//! it, over the host's pooled connections, neighbouring ranges in one request, as the reference
//! implementation in `headwater-plan` does. Same contract, same bytes: `tests/assembler.rs` holds both ways to the
//! reference implementation.
//!
//! Transport streams are made of the mapping, and bodies encrypted, as the socket takes them, a frame at a time; from other
//! stores by the reference implementation itself.
//!
//! Mapping is safe with the embedded store because it never writes into a file that has a name: a new version is
//! another file, renamed over the old one, and a mapping keeps the old one alive.

use crate::outgoing::{HttpClient, Patience, StandIn, client, fetch, full_body};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use headwater_plan::{
    MAX_ENCODED_BYTES, MAX_SCAN_BYTES, Object, Plan, Read, Run, Step, StoreAnswer, StoreFault,
};
use headwater_trace::{Here, Kind, Span, Value};
use http::{Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, WasiBody};

mod frames;
mod kept;
mod maps;
mod packets;
mod scan;

use frames::{Frames, Mapped, Outputs, frames};
pub use kept::MediaCache;
use maps::Maps;

/// An opened object of the embedded store.
pub struct LocalObject {
    /// Nobody changes or truncates it in place, also after the request: it is mapped.
    pub file: File,
    /// Length of the object, at most that of the file.
    pub len: u64,
}

/// Why a local object is not read. The status is the one the store itself would have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub StatusCode);

/// The embedded store, opened without HTTP.
pub trait LocalObjects: Send + Sync + 'static {
    /// Opens the object behind a signed URL after checking the signature and `if_match` exactly as the store's
    /// listener would; `None` if the URL is not the embedded store's.
    fn open(&self, url: &str, if_match: Option<&str>) -> Option<Result<LocalObject, Refused>>;
}

/// Answers `http://assembler.spin.internal/`.
pub struct NativeAssembler {
    stores: Stores,
}

impl NativeAssembler {
    /// `kept`: where what is read of other stores is kept.
    pub fn new(
        local: Option<Arc<dyn LocalObjects>>,
        kept: Option<MediaCache>,
        extra_roots: &[rustls_pki_types::CertificateDer<'static>],
    ) -> Self {
        Self {
            stores: Stores {
                local,
                maps: Maps::default(),
                kept,
                client: client(extra_roots),
            },
        }
    }
}

/// Where objects are read.
#[derive(Clone)]
struct Stores {
    local: Option<Arc<dyn LocalObjects>>,
    maps: Maps,
    kept: Option<MediaCache>,
    client: HttpClient,
}

impl StandIn for NativeAssembler {
    fn call(
        &self,
        request: Request<WasiBody>,
    ) -> BoxFuture<'static, Result<Response<WasiBody>, Error>> {
        let mut stores = self.stores.clone();
        let outside = request.extensions().get::<Here>();
        let mut span = Span::part_of(outside, Kind::Internal, "assembler");
        stores.client = stores.client.within(span.here());
        Box::pin(async move {
            let answered = answer(stores, request).await;
            match &answered {
                Ok(answer) => span.tell("http.response.body.size", || {
                    let len = answer.body().size_hint().exact().unwrap_or_default();
                    Value::I64(i64::try_from(len).unwrap_or(i64::MAX))
                }),
                Err(status) => span.fail(|| status.to_string()),
            }
            Ok(answered.unwrap_or_else(status_only))
        })
    }
}

fn status_only(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(full_body(Bytes::new()));
    *response.status_mut() = status;
    response
}

async fn answer(
    stores: Stores,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, StatusCode> {
    let scans = request.uri().path() == "/scan";
    let limit = if scans {
        MAX_SCAN_BYTES
    } else {
        MAX_ENCODED_BYTES
    };
    let encoded = Limited::new(request.into_body(), limit)
        .collect()
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?
        .to_bytes();
    if scans {
        return scan::answer(stores, encoded).await;
    }
    let plan = Plan::decode(encoded).map_err(|error| {
        tracing::error!("a plan was not understood: {error}");
        StatusCode::BAD_REQUEST
    })?;
    let len = plan.total_len();
    let body = match stores.map_all(&plan).await? {
        Some(mapped) => Frames::of(mapped, &plan).boxed_unsync(),
        None if packetises(&plan) || plan.encryption().is_some() => {
            packets::remote(stores.client, plan).await?
        }
        None => remote(stores.client, plan).await?,
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, len.into());
    Ok(response)
}

impl Stores {
    /// The frames of a plan whose objects are all local or kept; `None` if one is neither.
    async fn map_all(&self, plan: &Plan) -> Result<Option<Outputs>, StatusCode> {
        let mut opened = Vec::with_capacity(plan.objects().len());
        for object in plan.objects() {
            let local = self.local.as_deref();
            let found = local.and_then(|local| local.open(object.url(), object.if_match()));
            opened.push(found.transpose().map_err(|Refused(status)| status)?);
        }
        let far = opened.iter().any(Option::is_none);
        let needed = match &self.kept {
            Some(_) if far => kept::needed(plan),
            _ => None,
        };
        if far && needed.is_none() {
            return Ok(None);
        }
        let map = async |index: usize, opened: &Option<LocalObject>| {
            if let Some(opened) = opened {
                return self.maps.mapped(opened).map(Some);
            }
            let (Some(kept), Some(needed), Some(object)) = (
                &self.kept,
                needed.as_ref().and_then(|needed| needed.get(index)),
                plan.objects().get(index),
            ) else {
                return Ok(None);
            };
            let blocks = kept.read(&self.client, object, needed).await?;
            Ok(blocks.map(Mapped::Blocks))
        };
        let all = opened
            .iter()
            .enumerate()
            .map(|(index, opened)| map(index, opened));
        let maps: Option<Vec<_>> = futures::future::try_join_all(all)
            .await?
            .into_iter()
            .collect();
        let outputs = |maps: Vec<Mapped>| {
            Ok(Outputs {
                frames: frames(plan, &maps)?,
                maps,
            })
        };
        maps.map(outputs).transpose()
    }
}

/// Whether a transport stream is to be made.
fn packetises(plan: &Plan) -> bool {
    plan.steps()
        .iter()
        .any(|step| matches!(step, Step::Packetise(_)))
}

/// One thing to write, owned.
enum Piece {
    Inline(Bytes),
    Object {
        object: Object,
        range: Range<u64>,
        keep: VecDeque<Range<u64>>,
    },
}

fn pieces(plan: &Plan) -> VecDeque<Piece> {
    plan.reads()
        .filter_map(|read| match read {
            Read::Inline(bytes) => Some(Piece::Inline(bytes.clone())),
            Read::Object(Run {
                object,
                range,
                keep,
            }) => Some(Piece::Object {
                object: object.clone(),
                range,
                keep: keep.into(),
            }),
            // Plans with one go another way.
            Read::Packetise(_) => None,
        })
        .collect()
}

type Pieces = BoxStream<'static, Result<Bytes, Error>>;

/// Streams a plan from other stores. The first object is opened before the answer begins, so that a store that
/// refuses is a status and not a broken body.
async fn remote(client: HttpClient, plan: Plan) -> Result<WasiBody, StatusCode> {
    let mut pieces = pieces(&plan);
    let mut head = Vec::new();
    while let Some(Piece::Inline(bytes)) = pieces.front() {
        head.push(Ok(bytes.clone()));
        pieces.pop_front();
    }
    let first: Pieces = match pieces.pop_front() {
        Some(Piece::Object {
            object,
            range,
            keep,
        }) => open(&client, &object, range, keep).await?,
        _ => futures::stream::empty().boxed(),
    };
    let rest = futures::stream::iter(pieces).then(move |piece| {
        let client = client.clone();
        async move {
            match piece {
                Piece::Inline(bytes) => Ok(futures::stream::iter([Ok(bytes)]).boxed()),
                Piece::Object {
                    object,
                    range,
                    keep,
                } => open(&client, &object, range, keep).await.map_err(|status| {
                    Error::InternalError(Some(format!("an object answered {status}")))
                }),
            }
        }
    });
    let stream = futures::stream::iter(head)
        .chain(first)
        .chain(rest.try_flatten());
    let body = http_body_util::StreamBody::new(stream.map_ok(Frame::data));
    Ok(body.boxed_unsync())
}

async fn open(
    client: &HttpClient,
    object: &Object,
    range: Range<u64>,
    mut keep: VecDeque<Range<u64>>,
) -> Result<Pieces, StatusCode> {
    let response = request_range(client, object, &range).await?;
    let mut position = range.start;
    let kept = response
        .into_body()
        .into_data_stream()
        .map_ok(move |mut bytes| {
            let mut out = Vec::new();
            while let Some(next) = keep.front_mut() {
                let skip =
                    usize::try_from(next.start.saturating_sub(position)).unwrap_or(usize::MAX);
                if skip >= bytes.len() {
                    break;
                }
                position += bytes.split_to(skip).len() as u64;
                let want = usize::try_from(next.end - next.start)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                out.push(Ok(bytes.split_to(want)));
                position += want as u64;
                next.start += want as u64;
                if next.start < next.end {
                    break;
                }
                keep.pop_front();
            }
            position += bytes.len() as u64;
            futures::stream::iter(out)
        });
    Ok(kept.try_flatten().boxed())
}

/// Asks a store for a range. Returns once it has agreed to deliver that.
async fn request_range(
    client: &HttpClient,
    object: &Object,
    range: &Range<u64>,
) -> Result<Response<WasiBody>, StatusCode> {
    let response = send(client, object, range).await?;
    store_answer(&response).delivers(range).map_err(status)?;
    Ok(response)
}

fn store_answer(response: &Response<WasiBody>) -> StoreAnswer<'_> {
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    StoreAnswer {
        status: response.status().as_u16(),
        content_length: text(header::CONTENT_LENGTH).and_then(|len| len.parse().ok()),
        content_range: text(header::CONTENT_RANGE),
    }
}

fn status(fault: StoreFault) -> StatusCode {
    StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// Asks a store for a range, and has its answer, whatever that is.
async fn send(
    client: &HttpClient,
    object: &Object,
    range: &Range<u64>,
) -> Result<Response<WasiBody>, StatusCode> {
    let mut request = Request::get(object.url())
        .header(
            header::RANGE,
            format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
        )
        .header("x-ms-version", "2021-12-02");
    if let Some(etag) = object.if_match() {
        request = request.header(header::IF_MATCH, etag);
    }
    let request = request
        .body(full_body(Bytes::new()))
        .map_err(|_| StatusCode::BAD_REQUEST)?;
    fetch(client, request, Patience::default())
        .await
        .map_err(|error| {
            tracing::warn!("an object store cannot be reached: {error}");
            status(match error {
                Error::ConnectionReadTimeout => StoreFault::Timeout,
                _ => StoreFault::Busy,
            })
        })
}
