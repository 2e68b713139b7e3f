//! The portal's files: `/` and `/assets-ui/...`, from memory.
//!
//! `portal/dist` is embedded at build time (`build.rs`), so that the portal runs wherever the component does, with no
//! files to mount.

mod site;

use bytes::Bytes;
use http_body_util::Full;
use spin_sdk::http::Request;
use spin_sdk::http_service;
use spin_sdk::variables;

/// Where the browser may reach to sign somebody in: origins, separated by white space.
const HOSTS: &str = "sign_in_hosts";

#[http_service]
async fn portal(request: Request) -> http::Response<Full<Bytes>> {
    let question = site::Question::read(request.method(), request.uri().path(), request.headers());
    let hosts = match question.is_sign_in() {
        false => String::new(),
        true => match variables::get(HOSTS).await {
            Ok(hosts) => hosts,
            Err(_) => {
                eprintln!("portal: {HOSTS} cannot be read");
                String::new()
            }
        },
    };
    site::answer(&question, &hosts).map(Full::new)
}
