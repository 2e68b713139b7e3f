//! The private listener of `headwater_live::edge`: timelines and newest media for the origin.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use headwater_live::edge::{MOST_WAIT_MS, Place};
use headwater_live::timeline::TrackIndex;
use headwater_trace::Span;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::event::{Live, Media};
use crate::hub::Hub;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Connections at once: origins pool theirs, and a request of HTTP/1.1 that waits holds one.
const MOST_CONNECTIONS: usize = 2048;

/// A segment that stops growing for so long is sent as it is.
const STALLED: Duration = Duration::from_secs(10);

/// Answers until `stop`.
pub(crate) async fn listen(
    listener: TcpListener,
    hub: Arc<Hub>,
    secret: String,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let expected: Arc<str> = format!("Bearer {secret}").into();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (hub, expected) = (hub.clone(), expected.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let service = service_fn(move |request| {
                let (hub, expected) = (hub.clone(), expected.clone());
                async move { Ok::<_, Infallible>(answer(&hub, &expected, request).await) }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            server
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(60));
            let connection = server.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Answers a request, traced within the asking host's.
async fn answer(hub: &Hub, expected: &str, request: Request<Incoming>) -> Response<Body> {
    let mut span = Span::serve(request.headers(), || {
        request.method().as_str().to_owned().into()
    });
    span.tell("url.path", || request.uri().path().to_owned().into());
    let response = respond(hub, expected, request).await;
    span.set(
        "http.response.status_code",
        i64::from(response.status().as_u16()),
    );
    response
}

async fn respond(hub: &Hub, expected: &str, request: Request<Incoming>) -> Response<Body> {
    if !is_known(&request, expected) {
        return status(StatusCode::UNAUTHORIZED);
    }
    if request.method() != Method::GET {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let range = range(&request);
    let query: HashMap<&str, u64> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name, value.parse().ok()?))
        })
        .collect();
    let path: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    let ["live", "v1", "events", id, rest @ ..] = path.as_slice() else {
        return status(StatusCode::NOT_FOUND);
    };
    let event = id.parse::<Uuid>().ok().and_then(|id| hub.event(id));
    let Some(live) = event else {
        return status(StatusCode::NOT_FOUND);
    };
    let wait = query.get("wait").copied().unwrap_or(0).min(MOST_WAIT_MS);
    let deadline = Instant::now() + Duration::from_millis(wait);
    match rest {
        ["timeline"] => {
            if let Some(number) = query.get("number") {
                let place = Place {
                    track: query
                        .get("track")
                        .and_then(|track| TrackIndex::try_from(*track).ok()),
                    number: *number,
                    part: query
                        .get("part")
                        .and_then(|part| usize::try_from(*part).ok()),
                };
                until(&live, deadline, |live| {
                    live.ask(|timeline| place.is_in(timeline))
                })
                .await;
            }
            whole(live.snapshot().to_bytes().into())
        }
        ["init", track, config] => {
            let (Ok(track), Ok(config)) = (track.parse(), config.parse()) else {
                return status(StatusCode::NOT_FOUND);
            };
            let init = live.ask(|timeline| {
                let config = timeline.config(track, config);
                config.map(|config| Bytes::copy_from_slice(&config.init))
            });
            init.map_or_else(|| status(StatusCode::NOT_FOUND), whole)
        }
        ["media", track, number, part @ ..] => {
            let (Ok(track), Ok(number)) = (track.parse(), number.parse()) else {
                return status(StatusCode::NOT_FOUND);
            };
            match part {
                [] => within(segment(live, track, number, deadline).await, range).await,
                [part] => match part.parse() {
                    Ok(part) => {
                        within(one_part(&live, track, number, part, deadline).await, range).await
                    }
                    Err(_) => status(StatusCode::NOT_FOUND),
                },
                _ => status(StatusCode::NOT_FOUND),
            }
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// Whether the secret is shown: in a header, or in the query by who moves bytes and sets no headers.
fn is_known(request: &Request<Incoming>, expected: &str) -> bool {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.map(|value| value.as_bytes()).unwrap_or_default();
    if bool::from(shown.ct_eq(expected.as_bytes())) {
        return true;
    }
    let secret = expected.strip_prefix("Bearer ").unwrap_or(expected);
    let query = request.uri().query().unwrap_or_default();
    let mut keys = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("key="));
    keys.next()
        .is_some_and(|key| bool::from(key.as_bytes().ct_eq(secret.as_bytes())))
}

/// First and last byte asked for: `bytes=a-b` alone, which is what assemblers send.
fn range(request: &Request<Incoming>) -> Option<(u64, u64)> {
    let text = request.headers().get(header::RANGE)?.to_str().ok()?;
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// The part of an answer that was asked for. What still grows has no parts to ask for.
async fn within(response: Response<Body>, range: Option<(u64, u64)>) -> Response<Body> {
    let Some((first, last)) = range.filter(|_| response.status() == StatusCode::OK) else {
        return response;
    };
    let Some(total) = response.body().size_hint().exact() else {
        return response;
    };
    if first >= total {
        return status(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let last = last.min(total - 1);
    let (mut head, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let bytes = body.to_bytes();
    let (from, to) = (first as usize, last as usize + 1);
    head.status = StatusCode::PARTIAL_CONTENT;
    if let Ok(value) = format!("bytes {first}-{last}/{total}").parse() {
        head.headers.insert(header::CONTENT_RANGE, value);
    }
    Response::from_parts(head, Full::new(bytes.slice(from..to)).boxed_unsync())
}

/// What has left memory and is not in storage yet.
async fn from_disk(
    live: &Live,
    track: TrackIndex,
    number: u64,
    part: Option<usize>,
) -> Response<Body> {
    if let Some((kept, range)) = live.on_disk(track, number, part)
        && let Ok(bytes) = kept.read().await
        && let (Ok(from), Ok(to)) = (usize::try_from(range.start), usize::try_from(range.end))
        && to <= bytes.len()
    {
        return whole(bytes.slice(from..to));
    }
    status(StatusCode::GONE)
}

/// Waits until `there`, or the deadline.
async fn until(live: &Live, deadline: Instant, there: impl Fn(&Live) -> bool) -> bool {
    let mut changes = live.watch();
    loop {
        changes.borrow_and_update();
        if there(live) {
            return true;
        }
        match tokio::time::timeout_at(deadline, changes.changed()).await {
            Ok(Ok(())) => {}
            _ => return there(live),
        }
    }
}

async fn one_part(
    live: &Live,
    track: TrackIndex,
    number: u64,
    part: usize,
    deadline: Instant,
) -> Response<Body> {
    until(live, deadline, |live| {
        match live.media(track, number, part) {
            Media::Parts { parts, complete } => complete || !parts.is_empty(),
            Media::NotYet => false,
            Media::Gone => true,
        }
    })
    .await;
    match live.media(track, number, part) {
        Media::Parts { parts, .. } => match parts.into_iter().next() {
            Some(part) => whole(part),
            None => status(StatusCode::NOT_FOUND),
        },
        Media::NotYet => status(StatusCode::NOT_FOUND),
        Media::Gone => from_disk(live, track, number, Some(part)).await,
    }
}

/// A segment: what there is at once, then every part as it is made.
async fn segment(
    live: Arc<Live>,
    track: TrackIndex,
    number: u64,
    deadline: Instant,
) -> Response<Body> {
    until(&live, deadline, |live| {
        !matches!(live.media(track, number, 0), Media::NotYet)
    })
    .await;
    match live.media(track, number, 0) {
        Media::NotYet => return status(StatusCode::NOT_FOUND),
        Media::Gone => return from_disk(&live, track, number, None).await,
        Media::Parts {
            parts,
            complete: true,
        } => {
            let mut bytes = Vec::with_capacity(parts.iter().map(Bytes::len).sum());
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            return whole(bytes.into());
        }
        Media::Parts { .. } => {}
    }
    let parts = stream::unfold((live, 0_usize), move |(live, sent)| async move {
        let deadline = Instant::now() + STALLED;
        let more = until(
            &live,
            deadline,
            |live| matches!(live.media(track, number, sent), Media::Parts { parts, complete } if complete || !parts.is_empty()),
        );
        if !more.await {
            return None;
        }
        match live.media(track, number, sent) {
            Media::Parts { parts, .. } => {
                let part = parts.into_iter().next()?;
                Some((Ok(Frame::data(part)), (live, sent + 1)))
            }
            _ => None,
        }
    });
    media(StreamBody::new(parts).boxed_unsync())
}

fn whole(bytes: Bytes) -> Response<Body> {
    media(Full::new(bytes).boxed_unsync())
}

fn media(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = code;
    response
}
