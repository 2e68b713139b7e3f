//! A sender between an API that hands out deliveries and receivers of every kind, all on real sockets.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_net::egress::Guard;
use headwater_notifier::{CancellationToken, Config};
use headwater_work::webhooks::{ClaimedDeliveries, DeliveryOutcome, ReportDelivery, WorkDelivery};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What a receiver may take in these tests: more than one that answers needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(6);

type Body = BoxBody<Bytes, Infallible>;

/// What was received, by path.
#[derive(Default)]
struct Received(Mutex<HashMap<String, (HeaderMap, Bytes)>>);

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// Listens and answers every request by `handler`.
async fn serve<H, F>(handler: H) -> SocketAddr
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let handler = handler.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let handler = handler.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    Ok::<_, Infallible>(handler(Request::from_parts(parts, body)).await)
                }
            });
            tokio::spawn(async move {
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(tcp), service)
                    .await;
            });
        }
    });
    address
}

/// One receiver per path.
async fn receivers(received: Arc<Received>) -> SocketAddr {
    serve(move |request| {
        let received = received.clone();
        async move {
            let path = request.uri().to_string();
            let (parts, body) = request.into_parts();
            received
                .0
                .lock()
                .unwrap()
                .insert(path.clone(), (parts.headers, body));
            match path.as_str() {
                "/redirect" => {
                    let mut answer = answer(302, "");
                    answer
                        .headers_mut()
                        .insert("location", "/trap".parse().unwrap());
                    answer
                }
                "/busy" => {
                    let mut answer = answer(429, "");
                    answer
                        .headers_mut()
                        .insert("retry-after", "7".parse().unwrap());
                    answer
                }
                "/down" => answer(500, "stack trace"),
                "/slow" => {
                    tokio::time::sleep(PATIENCE * 10).await;
                    answer(200, "")
                }
                "/endless" => {
                    let pieces = futures_stream(Bytes::from(vec![b'x'; 64 << 10]));
                    Response::new(StreamBody::new(pieces).boxed())
                }
                _ => answer(204, ""),
            }
        }
    })
    .await
}

/// The same piece for ever.
fn futures_stream(
    piece: Bytes,
) -> impl futures::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync {
    futures::stream::repeat_with(move || Ok(Frame::data(piece.clone())))
}

/// Takes every connection, writes `bytes`, and closes it.
async fn blunt(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let _ = tcp.write_all(bytes).await;
        }
    });
    address
}

/// Hands out `deliveries` once, and passes on what is reported.
async fn api(
    deliveries: Vec<WorkDelivery>,
) -> (SocketAddr, mpsc::UnboundedReceiver<ReportDelivery>) {
    let left = Arc::new(Mutex::new(Some(deliveries)));
    let (reports, reported) = mpsc::unbounded_channel();
    let address = serve(move |request| {
        let (left, reports) = (left.clone(), reports.clone());
        async move {
            assert_eq!(request.headers()["authorization"], "Bearer secret");
            match request.uri().path() {
                "/internal/v1/webhooks/claim" => match left.lock().unwrap().take() {
                    Some(deliveries) => {
                        let claimed = ClaimedDeliveries { deliveries };
                        answer(200, serde_json::to_vec(&claimed).unwrap())
                    }
                    None => answer(204, ""),
                },
                "/internal/v1/webhooks/report" => {
                    reports
                        .send(serde_json::from_slice(request.body()).unwrap())
                        .unwrap();
                    answer(204, "")
                }
                other => panic!("the sender asked for {other}"),
            }
        }
    })
    .await;
    (address, reported)
}

fn delivery(url: &str) -> WorkDelivery {
    WorkDelivery {
        rule_id: Uuid::from_u128(1),
        event_id: Uuid::new_v4(),
        lease: "lease".into(),
        url: url.into(),
        headers: vec![
            ("content-type".into(), "application/cloudevents+json".into()),
            ("X-Key".into(), "hunter2".into()),
        ],
        body: "{}".into(),
    }
}

/// Sends to each URL and gives what came of it, by URL, in the order in which it was reported.
async fn send(urls: &[String], guard: Guard) -> Vec<(String, DeliveryOutcome)> {
    let deliveries: Vec<_> = urls.iter().map(|url| delivery(url)).collect();
    let by_event: HashMap<_, _> = deliveries
        .iter()
        .map(|delivery| (delivery.event_id, delivery.url.clone()))
        .collect();
    let (address, mut reported) = api(deliveries).await;
    let shutdown = CancellationToken::new();
    let config = Config {
        api_url: format!("http://{address}/"),
        token: "secret".into(),
        ca: None,
        guard,
        patience: PATIENCE,
    };
    let sender = tokio::spawn(headwater_notifier::run(config, shutdown.clone()));
    let mut outcomes = Vec::new();
    while outcomes.len() < urls.len() {
        let report = tokio::time::timeout(Duration::from_secs(60), reported.recv()).await;
        let report = report.expect("a report").unwrap();
        assert_eq!(report.lease, "lease");
        outcomes.push((by_event[&report.event_id].clone(), report.outcome));
    }
    shutdown.cancel();
    sender.await.unwrap().unwrap();
    outcomes
}

fn open() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().unwrap()])
}

fn answered(status: u16, retry_after_seconds: Option<u32>) -> DeliveryOutcome {
    DeliveryOutcome::Answered {
        status,
        retry_after_seconds,
    }
}

#[tokio::test]
async fn every_receiver_gets_its_due_and_holds_up_nobody() {
    let received = Arc::new(Received::default());
    let at = receivers(received.clone()).await;
    let (silent, garbage) = (blunt(b"").await, blunt(b"SSH-2.0-OpenSSH_9.9\r\n").await);
    // Nobody listens at it, and nobody else comes to.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = held.local_addr().unwrap();
    let mut urls: Vec<_> = [
        "slow",
        "redirect",
        "busy",
        "down",
        "endless",
        "hook?a=b%20c",
    ]
    .map(|path| format!("http://{at}/{path}"))
    .into();
    urls.extend([silent, garbage, nobody].map(|address| format!("http://{address}/")));
    // A receiver without TLS where TLS is asked for.
    urls.push(format!("https://{at}/"));
    let started = Instant::now();
    let outcomes = send(&urls, open()).await;
    assert!(started.elapsed() < PATIENCE * 4, "the slow one is given up");
    let (last, gave_up) = outcomes.last().unwrap();
    assert!(last.ends_with("/slow"), "all others came before: {last}");
    assert!(
        matches!(gave_up, DeliveryOutcome::Unanswered { .. }),
        "{gave_up:?}"
    );
    let of = |url: &str| &outcomes.iter().find(|(sent, _)| sent == url).unwrap().1;
    let path = |path: &str| of(&format!("http://{at}/{path}")).clone();
    assert_eq!(path("redirect"), answered(302, None));
    assert_eq!(path("busy"), answered(429, Some(7)));
    assert_eq!(path("down"), answered(500, None));
    assert_eq!(path("endless"), answered(200, None));
    assert_eq!(path("hook?a=b%20c"), answered(204, None));
    for (url, word) in [
        (format!("http://{silent}/"), "broke"),
        (format!("http://{garbage}/"), "not HTTP"),
        (format!("http://{nobody}/"), "refused"),
        (format!("https://{at}/"), "TLS"),
    ] {
        let DeliveryOutcome::Unanswered { reason } = of(&url) else {
            panic!("{url}: {:?}", of(&url));
        };
        assert!(reason.contains(word), "{url}: {reason}");
    }

    let received = received.0.lock().unwrap();
    assert!(
        !received.contains_key("/trap"),
        "redirects are not followed"
    );
    let (headers, body) = &received["/hook?a=b%20c"];
    assert_eq!(body, "{}");
    assert_eq!(headers["x-key"], "hunter2");
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    assert_eq!(headers["host"], at.to_string().as_str());
}

#[tokio::test]
async fn the_operators_own_network_is_out_of_reach() {
    let received = Arc::new(Received::default());
    let at = receivers(received.clone()).await;
    let port = at.port();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ];
    for (url, outcome) in send(&urls, Guard::default()).await {
        let DeliveryOutcome::Refused { reason } = &outcome else {
            panic!("{url}: {outcome:?}");
        };
        assert!(reason.contains("--egress-allow"), "{url}: {reason}");
    }
    assert!(received.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_api_that_is_away_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let config = Config {
        api_url: format!("http://{address}"),
        token: "secret".into(),
        ca: None,
        guard: open(),
        patience: PATIENCE,
    };
    let sender = tokio::spawn(headwater_notifier::run(config, shutdown.clone()));
    for _ in 0..2 {
        drop(listener.accept().await.unwrap());
    }
    shutdown.cancel();
    sender.await.unwrap().unwrap();
}
