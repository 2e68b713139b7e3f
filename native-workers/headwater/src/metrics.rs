//! Prometheus text at `/metrics`, on a port of its own: not for the public.

use anyhow::{Context, Result};
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Upper bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Starts to keep metrics and to serve them on `address`; the address that was bound.
pub(crate) async fn serve(address: SocketAddr) -> Result<SocketAddr> {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder)
        .map_err(|_| anyhow::anyhow!("metrics are already set up"))?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} for metrics"))?;
    let bound = listener.local_addr()?;
    tokio::spawn(upkeep(handle.clone()));
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(answer(stream, handle.clone()))),
                // Out of descriptors, most likely: give connections time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(bound)
}

/// Histograms keep every value until somebody looks. Where nobody does, they would grow for ever.
async fn upkeep(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.run_upkeep();
    }
}

async fn answer(stream: TcpStream, handle: PrometheusHandle) {
    let service = hyper::service::service_fn(move |_request| {
        let text = handle.render();
        async move {
            http::Response::builder()
                .header(http::header::CONTENT_TYPE, "text/plain; version=0.0.4")
                .body(http_body_util::Full::new(bytes::Bytes::from(text)))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
        .await;
}
