//! A place for events, which can refuse them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use headwater_blobstore::EventSink;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) events: Mutex<Vec<Value>>,
    pub(crate) headers: Mutex<Option<HeaderMap>>,
    pub(crate) refuse: AtomicBool,
    pub(crate) refusals: AtomicUsize,
}

pub(crate) struct Sink {
    pub(crate) inner: Arc<Inner>,
    pub(crate) sink: EventSink,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events/storage", listener.local_addr().unwrap());
        let inner = Arc::new(Inner::default());
        let shared = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inner = Arc::clone(&shared);
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let inner = Arc::clone(&inner);
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let refuse = inner.refuse.load(Ordering::SeqCst);
                        if refuse {
                            inner.refusals.fetch_add(1, Ordering::SeqCst);
                        } else {
                            *inner.headers.lock().unwrap() = Some(head.headers);
                            let batch: Vec<Value> = serde_json::from_slice(&body).unwrap();
                            inner.events.lock().unwrap().extend(batch);
                        }
                        let mut answer = Response::new(Full::new(Bytes::new()));
                        *answer.status_mut() = if refuse { 503 } else { 200 }.try_into().unwrap();
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            inner,
            sink: EventSink {
                url,
                secret: "s3cret".to_owned(),
            },
        }
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.inner.events.lock().unwrap().clone()
    }

    /// Waits for an outcome, at most 20 seconds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        for _ in 0..400 {
            if holds(&self.events()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{what} did not happen; {} events", self.events().len());
    }
}
