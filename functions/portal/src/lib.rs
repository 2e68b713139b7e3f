//! The portal's files: `/` and `/assets-ui/...`, from memory.
//!
//! `portal/dist` is embedded at build time (`build.rs`), so that the portal runs wherever the component does, with no
//! files to mount.

mod site;

use bytes::Bytes;
use http_body_util::Full;
use spin_sdk::http::Request;
use spin_sdk::http_service;

#[http_service]
async fn portal(request: Request) -> http::Response<Full<Bytes>> {
    let question = site::Question::read(request.method(), request.uri().path(), request.headers());
    site::answer(&question).map(Full::new)
}
