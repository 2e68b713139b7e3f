//! Prometheus text at `/metrics`, and what probes ask, on a port of its own: not for the public.

use crate::fault::{Blame, Kind, Setting};
use crate::health::Health;
use anyhow::Result;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Upper bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// How long a gauge is shown that nobody sets any more: a live event that has ended is not shown as if it went on. Those who
/// set them do it every few seconds.
const FRESH: Duration = Duration::from_secs(60);

/// Metrics that are kept, on a listener that does not answer yet: its address is known before what `/readyz` asks about.
pub(crate) struct Listener {
    tcp: TcpListener,
    pub(crate) address: SocketAddr,
    handle: PrometheusHandle,
}

/// Starts to keep metrics. `setting`: where `address` was named.
pub(crate) async fn bind(address: SocketAddr, setting: Setting) -> Result<Listener> {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .idle_timeout(MetricKindMask::GAUGE, Some(FRESH))
        .build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder)
        .map_err(|_| anyhow::anyhow!("metrics are already set up"))?;
    let what = || format!("{setting}: listening on {address}");
    let tcp = TcpListener::bind(address)
        .await
        .blame(Kind::CannotCreate, what())?;
    let address = tcp.local_addr()?;
    tokio::spawn(upkeep(handle.clone()));
    Ok(Listener {
        tcp,
        address,
        handle,
    })
}

/// Answers from now on.
pub(crate) fn answer_with(listener: Listener, health: Arc<Health>) {
    tokio::spawn(health.clone().watch());
    let Listener { tcp, handle, .. } = listener;
    tokio::spawn(async move {
        loop {
            match tcp.accept().await {
                Ok((stream, _)) => {
                    drop(tokio::spawn(answer(stream, handle.clone(), health.clone())));
                }
                // Out of descriptors, most likely: give connections time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
}

/// [`bind`] and [`answer_with`] at once.
pub(crate) async fn serve(
    address: SocketAddr,
    health: Arc<Health>,
    setting: Setting,
) -> Result<()> {
    answer_with(bind(address, setting).await?, health);
    Ok(())
}

/// Histograms keep every value until somebody looks. Where nobody does, they would grow for ever.
async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.run_upkeep();
    }
}

async fn answer(stream: TcpStream, handle: PrometheusHandle, health: Arc<Health>) {
    let service =
        hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (handle, health) = (handle.clone(), health.clone());
            async move {
                let answer = match health.answer(request.uri().path()).await {
                    Some(answer) => answer,
                    None => http::Response::builder()
                        .header(http::header::CONTENT_TYPE, "text/plain; version=0.0.4")
                        .body(handle.render())?,
                };
                http::Result::Ok(
                    answer.map(|text| http_body_util::Full::new(bytes::Bytes::from(text))),
                )
            }
        });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
        .await;
}
