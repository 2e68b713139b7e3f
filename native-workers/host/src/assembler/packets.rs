//! Transport streams from stores that are not ours: the reference implementation over the host's connections.

use super::request_range;
use crate::outgoing::HttpClient;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{SinkExt, StreamExt, TryStreamExt, channel::mpsc};
use headwater_plan::{AssembleError, ByteStream, Object, Plan, RangeSource, Sink, assemble};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use wasmtime_wasi_http::{Error, WasiBody};

/// The body of `plan`. Its first range is opened before the answer begins.
pub(super) async fn remote(client: HttpClient, plan: Plan) -> Result<WasiBody, StatusCode> {
    let first = match plan.first_run() {
        Some(run) => Some(open(&client, run.object, &run.range).await?),
        None => None,
    };
    let source = Store {
        client,
        first: Mutex::new(first),
    };
    let (sender, receiver) = mpsc::channel(1);
    let work = async move {
        let mut sink = Sender(sender);
        match assemble(&plan, &source, &mut sink).await {
            // The client went away; that is its right.
            Ok(_) | Err(AssembleError::Sink(Gone)) => {}
            Err(error) => {
                tracing::warn!("{error}; the body was broken off");
                let broken = Error::InternalError(Some("an object could not be read".to_owned()));
                // Nobody left to tell is no failure.
                let _ = sink.0.send(Err(broken)).await;
            }
        }
    };
    // The work is done while the body is asked for its frames, and no further ahead than one.
    let work = futures::stream::once(work).filter_map(|()| std::future::ready(None));
    let frames = futures::stream::select(receiver, work);
    Ok(StreamBody::new(frames.map_ok(Frame::data)).boxed_unsync())
}

async fn open(
    client: &HttpClient,
    object: &Object,
    range: &Range<u64>,
) -> Result<Delivery, StatusCode> {
    let response = request_range(client, object, range).await?;
    Ok(Delivery(response.into_body().into_data_stream().boxed()))
}

pub(super) struct Store {
    client: HttpClient,
    /// The plan's first range, opened.
    first: Mutex<Option<Delivery>>,
}

impl Store {
    pub(super) fn new(client: HttpClient) -> Self {
        Self {
            client,
            first: Mutex::new(None),
        }
    }
}

impl RangeSource for Store {
    type Stream = Delivery;
    type Error = Refusal;

    /// Ranges are opened in the plan's order, so the first call is for the one that is open.
    async fn open(&self, object: &Object, range: Range<u64>) -> Result<Delivery, Refusal> {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match first {
            Some(first) => Ok(first),
            None => open(&self.client, object, &range).await.map_err(Refusal),
        }
    }
}

/// What the store answered, or 502 if it broke off.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode);

pub(super) struct Delivery(BoxStream<'static, Result<Bytes, Error>>);

impl ByteStream for Delivery {
    type Error = Refusal;

    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let next = self.0.try_next().await;
        next.map_err(|_| Refusal(StatusCode::BAD_GATEWAY))
    }
}

struct Gone;

struct Sender(mpsc::Sender<Result<Bytes, Error>>);

impl Sink for Sender {
    type Error = Gone;

    async fn write(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.0.send(Ok(bytes)).await.map_err(|_| Gone)
    }
}
