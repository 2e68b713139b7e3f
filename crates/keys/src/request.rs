//! What a player asks for: `/keys/…` with the key in the query or the body, and a token in one of several places.
//!
//! ```text
//! GET|POST /keys/?kid=…            the key itself (AES-128)
//! POST     /keys/ClearKey/         EME's JSON
//! POST     /keys/Widevine/?kid=…   the client's message
//! POST     /keys/PlayReady/        SOAP, keys named inside
//! POST     /keys/FairPlay/?kid=…   spc=<base64>, or the bytes
//! ```
//! Spec: the streaming reference, 4.6. The name of `kid` and the path's words are taken in any case.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use headwater_protect::{Kid, playready, pssh::Pssh};
use http::{HeaderMap, Method, header::AUTHORIZATION};

use crate::policy::System;
use crate::token::MAX_TOKEN_BYTES;

/// Longest body that is read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Most keys in one request.
const MOST_KIDS: usize = 32;

/// A request for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRequest {
    /// The key itself.
    Raw(Kid),
    /// A W3C licence; not empty.
    ClearKey(Vec<Kid>),
    /// A licence of a system that others make.
    Licence {
        /// Whose.
        system: System,
        /// All of them must be granted; not empty.
        kids: Vec<Kid>,
        /// What the client says, for the licence server only.
        challenge: Vec<u8>,
    },
    /// Widevine's request for the service's certificate, which needs no key: everybody may have it. The key of the licence URL
    /// that it came to, if that names one, says whose service is meant.
    WidevineCertificate(Option<Kid>),
}

/// Why a request is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// 404.
    #[error("there is no such kind of licence")]
    Path,
    /// 405.
    #[error("this is asked for with another method")]
    Method,
    /// 400.
    #[error("{0}")]
    Malformed(&'static str),
    /// 400.
    #[error("the body is longer than 64 KiB")]
    TooLarge,
}

impl KeyRequest {
    /// Reads a request. `path`: behind `/keys`. `query`: as it came, without the question mark.
    ///
    /// Errors: [`RequestError`].
    pub fn read(
        method: &Method,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Self, RequestError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(RequestError::TooLarge);
        }
        let kind = path.trim_matches('/').to_ascii_lowercase();
        let post = || match *method {
            Method::POST => Ok(()),
            _ => Err(RequestError::Method),
        };
        let one = || kid_of(query)?.ok_or(RequestError::Malformed("kid: is missing"));
        let licence = |system, kids, challenge: &[u8]| {
            if challenge.is_empty() {
                return Err(RequestError::Malformed("the body is empty"));
            }
            Ok(Self::Licence {
                system,
                kids,
                challenge: challenge.to_vec(),
            })
        };
        match kind.as_str() {
            "" if matches!(*method, Method::GET | Method::POST) => Ok(Self::Raw(one()?)),
            "" => Err(RequestError::Method),
            "clearkey" => {
                post()?;
                crate::clearkey::kids_of(body).map(Self::ClearKey)
            }
            "widevine" => {
                post()?;
                if body == [0x08, 0x04] {
                    return kid_of(query).map(Self::WidevineCertificate);
                }
                licence(System::Widevine, vec![one()?], body)
            }
            "playready" => {
                post()?;
                licence(System::PlayReady, playready_kids(body)?, body)
            }
            "fairplay" => {
                post()?;
                let kid = one()?;
                licence(System::FairPlay, vec![kid], &spc_of(body)?)
            }
            _ => Err(RequestError::Path),
        }
    }
}

/// The `kid` of a query.
fn kid_of(query: &str) -> Result<Option<Kid>, RequestError> {
    let mut kids = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name.eq_ignore_ascii_case("kid"));
    let Some((_, kid)) = kids.next() else {
        return Ok(None);
    };
    if kids.next().is_some() {
        return Err(RequestError::Malformed("kid: is there twice"));
    }
    Kid::parse(&kid)
        .map(Some)
        .ok_or(RequestError::Malformed("kid: must be a UUID"))
}

/// The server playback context: a form's `spc`, or the bytes themselves.
fn spc_of(body: &[u8]) -> Result<Vec<u8>, RequestError> {
    if !body.starts_with(b"spc=") && !body.windows(5).any(|window| window == b"&spc=") {
        return Ok(body.to_vec());
    }
    let malformed = RequestError::Malformed("spc: is not base64");
    let spc = form_urlencoded::parse(body)
        .find(|(name, _)| name == "spc")
        .map(|(_, value)| value.into_owned())
        .ok_or(malformed)?;
    // Players that do not escape the form make spaces of plus signs; others use the alphabet for URLs.
    let spc = spc.replace(' ', "+");
    STANDARD
        .decode(&spc)
        .or_else(|_| URL_SAFE_NO_PAD.decode(spc.trim_end_matches('=')))
        .map_err(|_| malformed)
}

/// The keys of an AcquireLicense message: those of every header in it.
fn playready_kids(body: &[u8]) -> Result<Vec<Kid>, RequestError> {
    let malformed = RequestError::Malformed("the body is no PlayReady licence request");
    let text = std::str::from_utf8(body).map_err(|_| malformed)?;
    let document =
        roxmltree::Document::parse(text.trim_start_matches('\u{feff}')).map_err(|_| malformed)?;
    if document.root_element().tag_name().name() != "Envelope" {
        return Err(malformed);
    }
    let mut kids = Vec::new();
    for header in document
        .descendants()
        .filter(|node| node.tag_name().name() == "WRMHEADER")
    {
        let xml = text
            .trim_start_matches('\u{feff}')
            .get(header.range())
            .ok_or(malformed)?;
        for kid in playready::kids_of(xml).map_err(|_| malformed)? {
            if !kids.contains(&kid) {
                kids.push(kid);
            }
        }
    }
    if kids.is_empty() || kids.len() > MOST_KIDS {
        return Err(RequestError::Malformed(
            "the licence request names no keys, or too many",
        ));
    }
    Ok(kids)
}

/// The keys of EME init data of the kinds `cenc` and `keyids`.
pub(crate) fn init_data_kids(bytes: &[u8]) -> Option<Vec<Kid>> {
    let boxes = Pssh::read_all(bytes).ok()?;
    let kids: Vec<_> = boxes.into_iter().flat_map(|pssh| pssh.kids).collect();
    (!kids.is_empty() && kids.len() <= MOST_KIDS).then_some(kids)
}

/// The token of a request, in this order: `Authorization: Bearer …` (and `Bearer=…`, as old players of AMS wrote it), the
/// query's `token`, PlayReady's custom data. With or without the word Bearer in the latter two.
pub fn token_of(headers: &HeaderMap, query: &str, body: &[u8]) -> Option<String> {
    let from_header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(bearer);
    if let Some(token) = from_header {
        return Some(token.to_owned());
    }
    let from_query = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name.eq_ignore_ascii_case("token"))
        .map(|(_, value)| value.into_owned());
    if let Some(token) = from_query {
        return Some(bearer(&token).unwrap_or(&token).to_owned());
    }
    custom_data_token(body)
}

fn bearer(text: &str) -> Option<&str> {
    let (word, rest) = text.split_at_checked(6)?;
    let rest = rest.strip_prefix([' ', '='])?;
    word.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

/// The token of a PlayReady message's custom data, which is XML as text inside XML.
fn custom_data_token(body: &[u8]) -> Option<String> {
    if body.len() > MAX_BODY_BYTES {
        return None;
    }
    let text = std::str::from_utf8(body)
        .ok()?
        .trim_start_matches('\u{feff}');
    let document = roxmltree::Document::parse(text).ok()?;
    let data = document
        .descendants()
        .find(|node| node.tag_name().name() == "CustomData")?;
    let token = match data
        .children()
        .find(|node| node.tag_name().name() == "Token")
    {
        Some(token) => token.text()?.to_owned(),
        None => {
            let inner = roxmltree::Document::parse(data.text()?.trim()).ok()?;
            let token = inner
                .descendants()
                .find(|node| node.tag_name().name() == "Token")?;
            token.text()?.to_owned()
        }
    };
    let token = token.trim();
    let token = bearer(token).unwrap_or(token);
    (token.len() <= MAX_TOKEN_BYTES.saturating_mul(2)).then(|| token.to_owned())
}
