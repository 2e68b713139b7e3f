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
    /// Bodies of more bytes are answered with 413; 0: no limit.
    pub(crate) max_bytes: AtomicUsize,
    /// Bodies with this text are answered with 400.
    pub(crate) poison: Mutex<Option<String>>,
    pub(crate) refusals: AtomicUsize,
}

impl Inner {
    fn judge(&self, body: &[u8]) -> u16 {
        let max_bytes = self.max_bytes.load(Ordering::SeqCst);
        let poison = self.poison.lock().unwrap();
        let text = std::str::from_utf8(body).unwrap();
        if self.refuse.load(Ordering::SeqCst) {
            503
        } else if max_bytes > 0 && body.len() > max_bytes {
            413
        } else if poison.as_ref().is_some_and(|poison| text.contains(poison)) {
            400
        } else {
            200
        }
    }
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
                        let status = inner.judge(&body);
                        if status == 200 {
                            *inner.headers.lock().unwrap() = Some(head.headers);
                            let batch: Vec<Value> = serde_json::from_slice(&body).unwrap();
                            inner.events.lock().unwrap().extend(batch);
                        } else {
                            inner.refusals.fetch_add(1, Ordering::SeqCst);
                        }
                        let mut answer = Response::new(Full::new(Bytes::new()));
                        *answer.status_mut() = status.try_into().unwrap();
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

    /// Waits for an outcome, at most two minutes: after refusals it may be half of one until the next attempt.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        for _ in 0..2400 {
            if holds(&self.events()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{what} did not happen; {} events", self.events().len());
    }
}
