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
    Covering, MAX_ENCODED_BYTES, MAX_SCAN_BYTES, Object, Packetise, Piece as TsPiece, Plan, Read,
    Run, Step, StoreAnswer, StoreFault,
};
use headwater_trace::{Here, Kind, Span, Value};
use http::{Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime_wasi_http::{Error, WasiBody};

mod kept;
mod maps;
mod packets;
mod scan;

pub use kept::MediaCache;
use maps::Maps;

/// Transport streams are handed to the socket in frames of at least so many bytes.
const PACKETS_FRAME_BYTES: usize = 128 * 1024;
/// Largest frame handed to the socket at once.
const FRAME_BYTES: usize = 1 << 20;
/// Slices shorter than this are copied into one frame with their neighbours: the sound of an interleaved file is hundreds of
/// pieces to a segment, and a call to the kernel takes sixteen at most.
const SMALL_BYTES: usize = 8 * 1024;
/// Longest of such frames.
const GATHERED_BYTES: usize = 64 * 1024;

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
        Some(mapped) => Frames {
            mapped,
            covering: Covering::of(&plan),
            left: len,
        }
        .boxed_unsync(),
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

/// What a body is made of.
struct Outputs {
    frames: VecDeque<Output>,
    /// By the number of the object.
    maps: Vec<Mapped>,
}

impl Outputs {
    /// A piece of a mapped object, which was found to have it.
    fn piece(&self, map: usize, at: Range<usize>) -> &[u8] {
        match self.maps.get(map) {
            Some(Mapped::Whole(map)) => map.get(at).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// One object.
enum Mapped {
    Whole(Bytes),
    Blocks(kept::Blocks),
}

impl Mapped {
    /// Where a range is in the mapping of the whole object; `None` if it has no such range, or is mapped in blocks.
    fn within(&self, range: &Range<u64>) -> Option<Range<usize>> {
        let Self::Whole(map) = self else { return None };
        let from = usize::try_from(range.start).ok()?;
        let to = usize::try_from(range.end).ok()?;
        (from <= to && to <= map.len()).then_some(from..to)
    }

    /// The bytes of a range, in one piece or several; `None` if the object has no such range.
    fn slices(&self, range: &Range<u64>) -> Option<Vec<Bytes>> {
        match self {
            Self::Blocks(blocks) => kept::slices(blocks, range),
            Self::Whole(map) => Some(vec![map.slice(self.within(range)?)]),
        }
    }
}

impl Maps {
    fn mapped(&self, object: &LocalObject) -> Result<Mapped, StatusCode> {
        let map = self.map(&object.file);
        let map = map.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let len = usize::try_from(object.len).unwrap_or(usize::MAX);
        Ok(Mapped::Whole(map.slice(..len.min(map.len()))))
    }
}

/// The frames of a plan over mapped objects.
fn frames(plan: &Plan, maps: &[Mapped]) -> Result<VecDeque<Output>, StatusCode> {
    let map = |object: u32| {
        let index = usize::try_from(object).map_err(|_| StatusCode::BAD_REQUEST)?;
        let map = maps.get(index).ok_or(StatusCode::BAD_REQUEST)?;
        Ok::<_, StatusCode>((index, map))
    };
    let mapped = |object: u32, range: Range<u64>| {
        let (_, map) = map(object)?;
        // If it has none, it is not the object that the plan was made for.
        map.slices(&range).ok_or(StatusCode::PRECONDITION_FAILED)
    };
    let mut frames = VecDeque::with_capacity(plan.steps().len());
    for step in plan.steps() {
        match step {
            Step::Inline(bytes) => frames.push_back(Output::Ready(bytes.clone())),
            Step::Range {
                object,
                offset,
                len,
            } => {
                let (index, map) = map(*object)?;
                if *len < SMALL_BYTES as u64
                    && let Some(at) = map.within(&(*offset..*offset + *len))
                {
                    frames.push_back(Output::Small { map: index, at });
                    continue;
                }
                for mut rest in mapped(*object, *offset..*offset + *len)? {
                    while rest.len() > FRAME_BYTES {
                        frames.push_back(Output::Ready(rest.split_to(FRAME_BYTES)));
                    }
                    frames.push_back(Output::Ready(rest));
                }
            }
            Step::Packetise(step) => {
                let mut streams = Vec::with_capacity(step.streams().len());
                for sources in step.streams() {
                    let mut slices = VecDeque::new();
                    for source in sources {
                        slices.extend(mapped(source.object, source.range.clone())?);
                    }
                    streams.push(slices);
                }
                frames.push_back(Output::Packets(Box::new(Packets {
                    step: step.as_ref().clone(),
                    streams,
                    next: 0,
                })));
            }
            _ => return Err(StatusCode::NOT_IMPLEMENTED),
        }
    }
    Ok(frames)
}

/// Whether a transport stream is to be made.
fn packetises(plan: &Plan) -> bool {
    plan.steps()
        .iter()
        .any(|step| matches!(step, Step::Packetise(_)))
}

/// What a body of mapped files consists of.
enum Output {
    Ready(Bytes),
    /// Fewer than [`SMALL_BYTES`] of a mapped object, which most likely are copied: a slice of the mapping would be counted as
    /// one of its users for that.
    Small {
        map: usize,
        at: Range<usize>,
    },
    Packets(Box<Packets>),
}

impl Output {
    /// The length of what is copied together with its neighbours.
    fn small(&self) -> Option<usize> {
        match self {
            Self::Ready(bytes) => Some(bytes.len()).filter(|len| *len < SMALL_BYTES),
            Self::Small { at, .. } => Some(at.len()),
            Self::Packets(_) => None,
        }
    }
}

/// A transport stream, made piece by piece.
struct Packets {
    step: Packetise,
    /// What is left of each elementary stream.
    streams: Vec<VecDeque<Bytes>>,
    /// The piece to be made next.
    next: usize,
}

impl Packets {
    /// The next frame; `None` once all is made.
    fn frame(&mut self) -> Result<Option<Bytes>, Error> {
        let mut out = Vec::new();
        let mut media = Vec::new();
        while let Some(piece) = self.step.pieces().get(self.next)
            && out.len() < PACKETS_FRAME_BYTES
        {
            media.clear();
            if let TsPiece::Pes { stream, pes } = piece
                && let Some(stream) = self.streams.get_mut(usize::from(*stream))
            {
                take(stream, pes.media_len(), &mut media);
            }
            self.step
                .write(self.next, &media, &mut out)
                .map_err(|fault| {
                    tracing::warn!("{fault}; the body was broken off");
                    Error::InternalError(Some("a sample is damaged".to_owned()))
                })?;
            self.next += 1;
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }
}

/// Moves `len` bytes from `stream` to `out`.
fn take(stream: &mut VecDeque<Bytes>, len: u64, out: &mut Vec<u8>) {
    let mut missing = usize::try_from(len).unwrap_or(usize::MAX);
    while missing > 0
        && let Some(front) = stream.front_mut()
    {
        let now = front.split_to(front.len().min(missing));
        out.extend_from_slice(&now);
        missing -= now.len();
        if front.is_empty() {
            stream.pop_front();
        }
    }
}

/// Frames of mapped files.
struct Frames {
    mapped: Outputs,
    covering: Option<Covering>,
    left: u64,
}

impl Frames {
    /// The next bytes of the steps; `None` once there are no more.
    fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(Output::Packets(packets)) = self.mapped.frames.front_mut() {
                match packets.frame()? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => drop(self.mapped.frames.pop_front()),
                }
                continue;
            }
            if let Some(gathered) = self.gather() {
                return Ok(Some(gathered));
            }
            return Ok(match self.mapped.frames.pop_front() {
                Some(Output::Ready(bytes)) => Some(bytes),
                Some(Output::Small { map, at }) => {
                    Some(Bytes::copy_from_slice(self.mapped.piece(map, at)))
                }
                Some(Output::Packets(_)) | None => None,
            });
        }
    }

    /// The small pieces in front, copied into one frame; `None` if there are not two of them.
    fn gather(&mut self) -> Option<Bytes> {
        self.mapped.frames.front()?.small()?;
        self.mapped.frames.get(1)?.small()?;
        // As much as there may be: a frame that grows is copied again and again.
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut frame = Vec::with_capacity(left.min(GATHERED_BYTES));
        while let Some(len) = self.mapped.frames.front().and_then(Output::small)
            && frame.len() + len <= GATHERED_BYTES
            && let Some(output) = self.mapped.frames.pop_front()
        {
            match output {
                Output::Ready(bytes) => frame.extend_from_slice(&bytes),
                Output::Small { map, at } => frame.extend_from_slice(self.mapped.piece(map, at)),
                Output::Packets(_) => {}
            }
        }
        Some(frame.into())
    }

    /// The next bytes of the body; `None` once there are no more.
    fn covered(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let next = self.next()?;
            let Some(covering) = &mut self.covering else {
                return Ok(next);
            };
            let made = match &next {
                Some(bytes) => covering.push(bytes),
                None => covering.finish(),
            };
            let made = made.map_err(|fault| {
                tracing::warn!("{fault}; the body was broken off");
                Error::InternalError(Some("the media cannot be encrypted".to_owned()))
            })?;
            if next.is_none() {
                self.covering = None;
            }
            if !made.is_empty() {
                return Ok(Some(made));
            }
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.covered() {
            Ok(None) => Poll::Ready(None),
            Ok(Some(bytes)) => {
                self.left -= bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                self.mapped.frames.clear();
                self.covering = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
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
