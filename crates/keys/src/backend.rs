//! Licence servers that others run: what is sent to them once a policy has let a request through, and what of their answers
//! reaches the player.
//!
//! Headwater makes no licences of Widevine, PlayReady and FairPlay itself. The client's message is opaque and carried as it
//! is; a [`Backend`] says where to and in which wrapping.

mod widevine;

use headwater_protect::{Kid, template};
use headwater_seal::Secret;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::policy::{Configuration, System};
use crate::vendor;
use widevine::CloudSigner;

/// Longest answer of a licence server that is read.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Most backends of an installation.
const MOST_BACKENDS: usize = 100;

/// A licence server.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Whose licences it makes.
    pub system: System,
    /// The one project it is for, by id; without it, all that have none of their own.
    pub project: Option<String>,
    /// Where it is. `{ContentKeyId}` stands for the key's id.
    url: String,
    headers: Vec<(HeaderName, Secret)>,
    wrapping: Wrapping,
}

/// How messages are carried.
#[derive(Debug, Clone)]
enum Wrapping {
    /// As they are.
    Plain,
    /// FairPlay as form field `spc`; the answer is `<ckc>base64</ckc>`.
    Form,
    /// FairPlay as JSON member `spc`; the answer has a member `ckc`.
    Json,
    /// Google's service: a signed envelope.
    WidevineCloud(CloudSigner),
}

/// What a backend is told.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The keys that were granted. The URL has the first.
    pub kids: &'a [Kid],
    /// What the client says.
    pub challenge: &'a [u8],
    /// Of the option that granted them; `None` for a certificate.
    pub configuration: Option<&'a Configuration>,
}

/// What the player gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    /// 200; of PlayReady also 500, with a fault that the client understands.
    pub status: StatusCode,
    /// Of the body.
    pub content_type: &'static str,
    /// As the licence server made it.
    pub body: Vec<u8>,
}

/// What is wrong with a backend or its answer. Holds nothing of either's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// A configuration that cannot be used.
    #[error("licence backend {at}: {fault}")]
    Configuration {
        /// Its place in the list.
        at: usize,
        /// What is wrong.
        fault: &'static str,
    },
    /// The request cannot be made.
    #[error("the licence request cannot be made: {0}")]
    Request(&'static str),
    /// 502.
    #[error("the licence server answered with status {0}")]
    Status(u16),
    /// 502.
    #[error("the licence server's answer {0}")]
    Answer(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    system: String,
    url: String,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    wrapping: Option<String>,
    /// Of Google's service: who signs, and with which AES key and vector (hexadecimal).
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    iv: Option<String>,
}

impl Backend {
    /// Reads a configuration: a JSON array. Empty text is none. Its elements for vendors of keys are checked and left out; see
    /// [`crate::KeyVendor::parse_all`].
    ///
    /// `[{"system": "PlayReady", "url": "https://…", "headers": {"Authorization": "…"}}, {"system": "FairPlay", "url": "…",
    /// "wrapping": "form"}, {"system": "Widevine", "url": "…", "wrapping": "widevineCloud", "provider": "…", "key": "…", "iv": "…"}]`
    ///
    /// Errors: `Configuration`.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, BackendError> {
        let fault = |at, fault| BackendError::Configuration { at, fault };
        let mut backends = Vec::new();
        for (at, stored) in elements(text)?.into_iter().enumerate() {
            if vendor::is_one(&stored) {
                vendor::KeyVendor::make(stored).map_err(|reason| fault(at, reason))?;
                continue;
            }
            let stored = serde_json::from_value(stored)
                .map_err(|_| fault(at, "has unknown, missing or mistyped members"))?;
            backends.push(Self::make(stored).map_err(|reason| fault(at, reason))?);
        }
        Ok(backends)
    }

    /// Scheme, host and port of the server, as an allow list has them.
    pub fn origin(&self) -> Option<String> {
        origin_of(&self.url)
    }

    fn make(stored: Stored) -> Result<Self, &'static str> {
        let system = match stored.system.as_str() {
            "Widevine" => System::Widevine,
            "PlayReady" => System::PlayReady,
            "FairPlay" => System::FairPlay,
            _ => return Err("system: must be Widevine, PlayReady, FairPlay or Speke"),
        };
        check_url(&stored.url)?;
        template::fill(&stored.url, Kid::from_bytes([0; 16]), None)
            .map_err(|_| "url: is not a URL template")?;
        let wrapping = match (stored.wrapping.as_deref().unwrap_or("plain"), system) {
            ("plain", _) => Wrapping::Plain,
            ("form", System::FairPlay) => Wrapping::Form,
            ("json", System::FairPlay) => Wrapping::Json,
            ("widevineCloud", System::Widevine) => {
                let signer =
                    CloudSigner::new(stored.provider, stored.key.as_deref(), stored.iv.as_deref())?;
                Wrapping::WidevineCloud(signer)
            }
            _ => return Err("wrapping: is none that the system has"),
        };
        let headers = read_headers(stored.headers)?;
        Ok(Self {
            system,
            project: stored.project,
            url: stored.url,
            headers,
            wrapping,
        })
    }

    /// The one for a project: its own before one for all.
    pub fn choose<'b>(all: &'b [Self], system: System, project: &str) -> Option<&'b Self> {
        let of = |owner: Option<&str>| {
            all.iter()
                .find(|backend| backend.system == system && backend.project.as_deref() == owner)
        };
        of(Some(project)).or_else(|| of(None))
    }

    /// The request. Its body holds the client's message, its headers what the licence server knows us by: neither is for logs.
    ///
    /// Errors: `Request`.
    pub fn request(&self, message: &Message<'_>) -> Result<Request<Vec<u8>>, BackendError> {
        let kid = message
            .kids
            .first()
            .copied()
            .unwrap_or(Kid::from_bytes([0; 16]));
        let url = template::fill(&self.url, kid, None)
            .map_err(|_| BackendError::Request("its URL is none"))?;
        let (content_type, body) = match &self.wrapping {
            Wrapping::Plain => {
                let kind = match self.system {
                    System::PlayReady => "text/xml; charset=utf-8",
                    _ => "application/octet-stream",
                };
                (kind, message.challenge.to_vec())
            }
            Wrapping::Form => {
                let spc = base64(message.challenge);
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.append_pair("spc", &spc)
                    .append_pair("assetId", &kid.to_string());
                (
                    "application/x-www-form-urlencoded",
                    form.finish().into_bytes(),
                )
            }
            Wrapping::Json => {
                let body = serde_json::json!({"spc": base64(message.challenge), "assetId": kid.to_string()});
                ("application/json", body.to_string().into_bytes())
            }
            Wrapping::WidevineCloud(signer) => ("application/json", signer.envelope(message)?),
        };
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .map_err(|_| BackendError::Request("its URL is none"))?;
        if self.system == System::PlayReady {
            request.headers_mut().insert(
                HeaderName::from_static("soapaction"),
                HeaderValue::from_static(
                    "\"http://schemas.microsoft.com/DRM/2007/03/protocols/AcquireLicense\"",
                ),
            );
        }
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_bytes(value.expose())
                .map_err(|_| BackendError::Request("a header cannot be sent"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name.clone(), value);
        }
        Ok(request)
    }

    /// What the player gets of an answer.
    ///
    /// Errors: `Status`, `Answer`: 502 to the player, without the licence server's words.
    pub fn answer(
        &self,
        status: StatusCode,
        content_type: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Licence, BackendError> {
        if body.len() > MAX_ANSWER_BYTES {
            return Err(BackendError::Answer("is too long"));
        }
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        let is_xml = content_type.contains("xml");
        if self.system == System::PlayReady && status == StatusCode::INTERNAL_SERVER_ERROR && is_xml
        {
            // A SOAP fault tells the client what it has to do first.
            return Ok(Licence {
                status,
                content_type: "text/xml; charset=utf-8",
                body,
            });
        }
        if status != StatusCode::OK {
            return Err(BackendError::Status(status.as_u16()));
        }
        if body.is_empty() {
            return Err(BackendError::Answer("is empty"));
        }
        let (content_type, body) = match (&self.wrapping, self.system) {
            (Wrapping::WidevineCloud(_), _) => {
                ("application/octet-stream", widevine::licence(&body)?)
            }
            (Wrapping::Form, _) => ("text/plain; charset=utf-8", framed(&ckc_of_form(&body)?)),
            (Wrapping::Json, _) => ("text/plain; charset=utf-8", framed(&ckc_of_json(&body)?)),
            (Wrapping::Plain, System::FairPlay) => ("text/plain; charset=utf-8", framed(&body)),
            (Wrapping::Plain, System::PlayReady) => ("text/xml; charset=utf-8", body),
            (Wrapping::Plain, _) => ("application/octet-stream", body),
        };
        Ok(Licence {
            status,
            content_type,
            body,
        })
    }
}

/// The elements of a configuration.
pub(crate) fn elements(text: &str) -> Result<Vec<Json>, BackendError> {
    let fault = |at, fault| BackendError::Configuration { at, fault };
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<Json> =
        serde_json::from_str(text).map_err(|_| fault(0, "the list is no JSON array"))?;
    if all.len() > MOST_BACKENDS {
        return Err(fault(MOST_BACKENDS, "there are too many"));
    }
    Ok(all)
}

/// Keys and messages travel over TLS, or stay on this machine.
pub(crate) fn check_url(url: &str) -> Result<(), &'static str> {
    let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let host_ends = |rest: &str| matches!(rest.chars().next(), None | Some(':' | '/' | '?'));
    let is_local = local
        .iter()
        .any(|prefix| url.strip_prefix(prefix).is_some_and(host_ends));
    if !url.starts_with("https://") && !is_local {
        return Err("url: must be https");
    }
    Ok(())
}

pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(format!("{scheme}://{authority}"))
}

/// What a server knows us by.
pub(crate) fn read_headers(
    headers: std::collections::BTreeMap<String, String>,
) -> Result<Vec<(HeaderName, Secret)>, &'static str> {
    headers
        .into_iter()
        .map(|(name, value)| {
            let name = HeaderName::try_from(name).map_err(|_| "headers: a name is none")?;
            HeaderValue::try_from(&value).map_err(|_| "headers: a value is none")?;
            Ok((name, Secret::from(value.as_str())))
        })
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn decode(text: &str) -> Result<Vec<u8>, BackendError> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text.trim())
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .ok_or(BackendError::Answer("holds no licence"))
}

/// A content key context as AMS players expect it.
fn framed(ckc: &[u8]) -> Vec<u8> {
    format!("<ckc>{}</ckc>", base64(ckc)).into_bytes()
}

fn ckc_of_form(body: &[u8]) -> Result<Vec<u8>, BackendError> {
    let text = std::str::from_utf8(body).map_err(|_| BackendError::Answer("is no text"))?;
    let text = text.trim();
    let inner = text
        .strip_prefix("<ckc>")
        .and_then(|rest| rest.strip_suffix("</ckc>"));
    decode(inner.or_else(|| text.strip_prefix("ckc=")).unwrap_or(text))
}

fn ckc_of_json(body: &[u8]) -> Result<Vec<u8>, BackendError> {
    let answer: Json =
        serde_json::from_slice(body).map_err(|_| BackendError::Answer("is no JSON"))?;
    let ckc = answer.get("ckc").and_then(Json::as_str);
    decode(ckc.ok_or(BackendError::Answer("holds no licence"))?)
}

#[cfg(test)]
mod tests;
