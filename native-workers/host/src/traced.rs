//! The span of a request, from its head to the last byte of its answer, with the attributes that the semantic conventions of HTTP
//! name. <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>

use crate::host::{Connection, Route};
use headwater_trace::{Span, Value};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::{Error, WasiBody};

/// Begins the span, and puts its place into the request's extensions.
pub(crate) fn begin(connection: Connection, request: &mut Request<WasiBody>) -> Option<Span> {
    let method = request.method().clone();
    let mut span = Span::serve(request.headers(), || method.as_str().to_owned().into());
    let here = span.here()?;
    span.set("http.request.method", method.as_str().to_owned());
    span.set("url.scheme", if connection.tls { "https" } else { "http" });
    // Without the query: tokens and signatures travel in it.
    span.set("url.path", request.uri().path().to_owned());
    span.set("client.address", connection.client.ip().to_string());
    let version = match request.version() {
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    span.set("network.protocol.version", version);
    request.extensions_mut().insert(here);
    Some(span)
}

/// Says how it was answered, and ends the span with the answer's body.
pub(crate) fn answered(span: Option<Span>, mut response: Response<WasiBody>) -> Response<WasiBody> {
    let Some(mut span) = span else {
        return response;
    };
    let status = response.status();
    if let Some(Route(route)) = response.extensions_mut().remove::<Route>() {
        span.set("http.route", route);
    }
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(|| status.to_string());
    }
    response.map(|body| {
        let sent = 0;
        Until { body, span, sent }.boxed_unsync()
    })
}

/// A body with the span that lasts until all of it has been taken.
struct Until {
    body: WasiBody,
    span: Span,
    sent: u64,
}

impl Drop for Until {
    fn drop(&mut self) {
        let sent = i64::try_from(self.sent).unwrap_or(i64::MAX);
        self.span
            .tell("http.response.body.size", || Value::I64(sent));
    }
}

impl Body for Until {
    type Data = bytes::Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, bytes::Bytes::len);
                self.sent = self.sent.saturating_add(len as u64);
            }
            Some(Err(error)) => {
                let why = format!("{error:?}");
                self.span.fail(|| why);
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
