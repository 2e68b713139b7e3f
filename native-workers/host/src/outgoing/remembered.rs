//! Reads that may be answered by what was said lately: `GET` and `HEAD` with `cache-control: stale-if-error=SECONDS`.
//!
//! The component says so for what it can go by (RFC 5861 §4), and the directive goes no further than here. A component is told
//! what itself was told: neither signatures nor `Authorization` name a question, as they change with every second.

use super::{HttpClient, Patience, fetch, full_body};
use crate::lately::{self, Key, Lately, Said};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::header::{CACHE_CONTROL, IF_MATCH, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use std::time::Duration;
use wasmtime_wasi_http::{Error, WasiBody};

/// Longest body that is remembered.
const MOST_BYTES: usize = 1 << 20;
/// Longest time that a component may go by what was said.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Headers that make it another question.
const ASKED_BY: [HeaderName; 3] = [RANGE, IF_MATCH, IF_NONE_MATCH];

/// An answer with its whole body.
#[derive(Clone)]
pub(crate) struct Told {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Takes the directive off a request.
pub(super) fn grace(request: &mut Request<WasiBody>) -> Option<Duration> {
    let text = request.headers().get(CACHE_CONTROL)?.to_str().ok()?;
    let seconds = text
        .split(',')
        .find_map(|one| one.trim().strip_prefix("stale-if-error="))?
        .parse()
        .ok()?;
    request.headers_mut().remove(CACHE_CONTROL);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    reads.then(|| LONGEST.min(Duration::from_secs(seconds)))
}

fn key(component: &str, request: &Request<WasiBody>) -> Key {
    let (method, uri) = (request.method().as_str(), request.uri());
    let query = uri.query().unwrap_or("").split('&');
    // Parts of a shared access signature: what it allows is not what is asked.
    let signature = ["sig=", "se=", "st=", "skoid=", "sktid=", "skt=", "ske="];
    let query = query.filter(|part| !signature.iter().any(|name| part.starts_with(name)));
    let place = [uri.scheme_str(), uri.authority().map(|to| to.as_str())];
    let place = place.map(Option::unwrap_or_default);
    let headers = ASKED_BY.iter().map(|name| request.headers().get(name));
    let headers = headers.map(|value| value.map_or(&b""[..], |value| value.as_bytes()));
    let fixed = [component, method, place[0], place[1], uri.path()];
    let fixed = fixed.into_iter().map(str::as_bytes).chain(headers);
    lately::key(fixed.chain(query.map(str::as_bytes)))
}

/// Sends a request, or answers it by what was said to one like it less than `grace` ago.
pub(super) async fn ask(
    lately: &Lately<Told>,
    component: &str,
    client: &HttpClient,
    request: Request<WasiBody>,
    patience: Patience,
    grace: Duration,
) -> Result<Response<WasiBody>, Error> {
    let peer = request.uri().authority().map(ToString::to_string);
    let key = key(component, &request);
    let question = listen(client, request, patience);
    let peer = peer.unwrap_or_default();
    let late = || Error::ConnectionReadTimeout;
    Ok(match lately.ask(&peer, key, grace, question, late).await? {
        Said::Again(told, _) => told.response(),
        Said::Once(response) | Said::Nothing(response) => response,
    })
}

async fn listen(
    client: &HttpClient,
    request: Request<WasiBody>,
    patience: Patience,
) -> Result<Said<Told, Response<WasiBody>>, Error> {
    let head = request.method() == Method::HEAD;
    let response = fetch(client, request, patience).await?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Ok(Said::Nothing(response));
    }
    let (parts, body) = response.into_parts();
    let body = match head {
        true => Ok(Bytes::new()),
        false => short(body).await?,
    };
    match body {
        Ok(body) => {
            let told = Told {
                status,
                headers: parts.headers,
                body,
            };
            let bytes = told.bytes();
            Ok(Said::Again(told, bytes))
        }
        Err(long) => Ok(Said::Once(Response::from_parts(parts, long))),
    }
}

/// The whole of a body that is short; else the body as it was.
async fn short(mut body: WasiBody) -> Result<Result<Bytes, WasiBody>, Error> {
    let least = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if least > MOST_BYTES {
        return Ok(Err(body));
    }
    let mut read = Vec::with_capacity(least);
    while let Some(frame) = body.frame().await {
        // Stores send no trailers that anybody reads.
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        read.extend_from_slice(&data);
        if read.len() > MOST_BYTES {
            let begun = stream::iter([Ok(Bytes::from(read))]);
            let frames = begun.chain(body.into_data_stream()).map_ok(Frame::data);
            return Ok(Err(StreamBody::new(frames).boxed_unsync()));
        }
    }
    Ok(Ok(read.into()))
}

impl Told {
    fn bytes(&self) -> u64 {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 64);
        (self.body.len() + headers.sum::<usize>()) as u64
    }

    fn response(self) -> Response<WasiBody> {
        let mut response = Response::new(full_body(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, url: &str, headers: &[(HeaderName, &str)]) -> Request<WasiBody> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.body(full_body("")).unwrap()
    }

    #[test]
    fn only_reads_that_say_so_are_remembered_and_the_directive_stays_here() {
        let says = |method, text| {
            let mut request = request(method, "http://store/a", &[(CACHE_CONTROL, text)]);
            let grace = grace(&mut request).map(|grace| grace.as_secs());
            (grace, request.headers().contains_key(CACHE_CONTROL))
        };
        assert_eq!(says(Method::GET, "stale-if-error=300"), (Some(300), false));
        assert_eq!(
            says(Method::HEAD, "max-age=0, stale-if-error=9999999"),
            (Some(24 * 3600), false)
        );
        assert_eq!(says(Method::PUT, "stale-if-error=300"), (None, false));
        assert_eq!(says(Method::GET, "no-store"), (None, true));
        assert_eq!(says(Method::GET, "stale-if-error=soon"), (None, true));
    }

    #[test]
    fn a_question_is_what_is_asked_for_and_not_the_signature() {
        let of =
            |component, method, url, headers: &[_]| key(component, &request(method, url, headers));
        let base = of(
            "origin",
            Method::GET,
            "http://store/a?sv=1&se=2026&sig=x",
            &[],
        );
        assert!(
            base == of(
                "origin",
                Method::GET,
                "http://store/a?sv=1&se=2027&sig=y",
                &[]
            )
        );
        let others = [
            of("api", Method::GET, "http://store/a?sv=1&se=2026&sig=x", &[]),
            of("origin", Method::HEAD, "http://store/a?sv=1", &[]),
            of("origin", Method::GET, "https://store/a?sv=1", &[]),
            of("origin", Method::GET, "http://other/a?sv=1", &[]),
            of("origin", Method::GET, "http://store/b?sv=1", &[]),
            of("origin", Method::GET, "http://store/a?sv=1&comp=list", &[]),
            of(
                "origin",
                Method::GET,
                "http://store/a?sv=1",
                &[(RANGE, "bytes=0-1")],
            ),
            of(
                "origin",
                Method::GET,
                "http://store/a?sv=1",
                &[(IF_MATCH, "\"1\"")],
            ),
            of(
                "origin",
                Method::GET,
                "http://store/a?sv=1",
                &[(IF_NONE_MATCH, "\"1\"")],
            ),
        ];
        for other in others {
            assert!(other != base);
        }
    }

    #[tokio::test]
    async fn a_long_body_goes_through_as_it_is() {
        let long = Bytes::from((0..MOST_BYTES + 7).map(|at| at as u8).collect::<Vec<_>>());
        let pieces: Vec<_> = long.chunks(10_000).map(Bytes::copy_from_slice).collect();
        let frames = stream::iter(pieces).map(|piece| Ok(Frame::data(piece)));
        let unknown = StreamBody::new(frames).boxed_unsync();
        let through = short(unknown).await.unwrap().unwrap_err();
        assert!(through.collect().await.unwrap().to_bytes() == long);
        let known = short(full_body(long.clone())).await.unwrap().unwrap_err();
        assert!(known.collect().await.unwrap().to_bytes() == long);
        let edge = long.slice(..MOST_BYTES);
        assert!(short(full_body(edge.clone())).await.unwrap().unwrap() == edge);
    }
}
