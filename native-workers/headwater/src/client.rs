//! An HTTP client for the commands that talk to a running installation.

use crate::connection::ConnectionFile;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Talks to one installation.
#[derive(Clone)]
pub(crate) struct ApiClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    token: String,
}

impl ApiClient {
    pub(crate) fn new(connection: &ConnectionFile) -> Result<Self> {
        Self::to(
            &connection.api_url,
            &connection.token,
            connection.ca_file.as_deref(),
        )
    }

    /// `base`: without a trailing slash. `ca_file`: PEM roots to trust besides the public ones.
    pub(crate) fn to(base: &str, token: &str, ca_file: Option<&Path>) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(file) = ca_file {
            for certificate in CertificateDer::pem_file_iter(file)
                .with_context(|| format!("reading {}", file.display()))?
            {
                roots.add(certificate?)?;
            }
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector),
            base: base.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
        })
    }

    /// Sends bytes anywhere; the answer's status, headers and body.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>> {
        let uri = request.uri().clone();
        let place = format!(
            "{}{}",
            uri.authority().map_or("", |a| a.as_str()),
            uri.path()
        );
        let response = tokio::time::timeout(Duration::from_secs(120), self.client.request(request))
            .await
            .with_context(|| format!("{place} did not answer within two minutes"))?
            .with_context(|| format!("reaching {place}"))?;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .with_context(|| format!("reading from {place}"))?
            .to_bytes();
        Ok(http::Response::from_parts(parts, body))
    }

    /// A request without a body; the answer, whatever its status.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> Result<http::Response<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(Bytes::new()))?;
        self.send(request).await
    }

    /// Calls the API with a JSON body; anything but a 2xx is an error with the API's own words.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let (status, value) = self.try_call(method.clone(), path, body).await?;
        if !status.is_success() {
            let said = value["error"]["detail"]
                .as_str()
                .or(value["error"]["message"].as_str())
                .unwrap_or("no reason given");
            bail!("{method} {path}: {status}: {said}");
        }
        Ok(value)
    }

    /// Like [`Self::call`], but hands every status to the caller.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(match body {
                Some(value) => Bytes::from(serde_json::to_vec(value)?),
                None => Bytes::new(),
            }))?;
        let response = self.send(request).await?;
        let value = if response.body().is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(response.body()).with_context(|| {
                format!(
                    "{path} answered {} with something that is not JSON",
                    response.status()
                )
            })?
        };
        Ok((response.status(), value))
    }
}
