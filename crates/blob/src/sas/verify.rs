//! The check of a shared access signature: signature first, then time, protocol and address.
//!
//! What the grant then allows is the caller's to decide per operation (`crate::server::authorize`).

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;

use super::permissions::{Permissions, UnknownPermission};
use super::{AccountFields, ServiceFields, canonical_name};
use crate::key::AccountKey;
use crate::query::Query;
use crate::time::parse_sas_time;

/// The oldest layout that is understood.
const OLDEST_VERSION: &str = "2015-04-05";

/// Every parameter that takes part in a signature. One that occurs twice is refused: the signed value and the used
/// value could differ.
const PARAMETERS: [&str; 19] = [
    "sv", "sr", "st", "se", "sp", "sip", "spr", "sig", "si", "ss", "srt", "ses", "rscc", "rscd",
    "rsce", "rscl", "rsct", "skoid", "sdd",
];

/// Why a signature is refused. The texts are safe to show to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SasError {
    #[error("the parameter `{0}` is missing")]
    Missing(&'static str),
    #[error("the parameter `{0}` occurs more than once")]
    Duplicate(&'static str),
    #[error("the parameter `{0}` is malformed")]
    Malformed(&'static str),
    #[error("`sv` must be a date, 2015-04-05 or later")]
    Version,
    #[error("{0}")]
    Permission(UnknownPermission),
    #[error("{0} are not supported here; sign with the account key")]
    Unsupported(&'static str),
    /// Carries the canonical form the server computed: it holds nothing but what the caller sent.
    #[error("the signature did not match; the server used the string to sign: '{string_to_sign}'")]
    WrongSignature { string_to_sign: String },
    #[error("the signature is not valid before {0}")]
    NotYetValid(String),
    #[error("the signature expired at {0}")]
    Expired(String),
    #[error("the signature allows only https")]
    Protocol,
    #[error("the signature does not allow requests from this address")]
    SourceIp,
}

/// Who asks, as the connection shows it.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub now: Timestamp,
    /// `None` inside one process: then a signature bound to addresses is refused.
    pub ip: Option<IpAddr>,
    pub https: bool,
}

/// What a verified signature gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub permissions: Permissions,
    pub scope: Scope,
    pub overrides: ResponseOverrides,
}

/// What a verified signature is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `sr=c`: the container of the URL and everything in it.
    Container,
    /// `sr=b`: the blob of the URL.
    Blob,
    /// An account SAS, by resource type (`srt`).
    Account {
        service: bool,
        container: bool,
        object: bool,
    },
}

/// Response headers the signature replaces on reads (`rscc`, `rscd`, `rsce`, `rscl`, `rsct`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseOverrides {
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_type: Option<String>,
}

/// Checks the signature in `query` for a request on `container` and `blob` (decoded names of the URL).
///
/// Nothing else of the query is trusted before the signature has matched.
pub fn verify(
    query: &Query,
    account: &str,
    container: Option<&str>,
    blob: Option<&str>,
    key: &AccountKey,
    caller: Caller,
) -> Result<Grant, SasError> {
    for name in PARAMETERS {
        if query.count(name) > 1 {
            return Err(SasError::Duplicate(name));
        }
    }
    let signature = required(query, "sig")?;
    let version = required(query, "sv")?;
    if version.len() != OLDEST_VERSION.len()
        || version < OLDEST_VERSION
        || parse_sas_time(version).is_none()
    {
        return Err(SasError::Version);
    }
    let (string_to_sign, scope) = if query.get("ss").is_some() || query.get("srt").is_some() {
        account_text(query, account, version)?
    } else {
        service_text(query, account, container, blob, version)?
    };
    if !key.verify(&string_to_sign, signature) {
        return Err(SasError::WrongSignature { string_to_sign });
    }
    check_limits(query, caller)?;
    let permissions = Permissions::parse(required(query, "sp")?).map_err(SasError::Permission)?;
    let owned = |name| {
        query
            .get(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let overrides = ResponseOverrides {
        cache_control: owned("rscc"),
        content_disposition: owned("rscd"),
        content_encoding: owned("rsce"),
        content_language: owned("rscl"),
        content_type: owned("rsct"),
    };
    Ok(Grant {
        permissions,
        scope,
        overrides,
    })
}

fn required<'q>(query: &'q Query, name: &'static str) -> Result<&'q str, SasError> {
    query
        .get(name)
        .filter(|value| !value.is_empty())
        .ok_or(SasError::Missing(name))
}

fn service_text(
    query: &Query,
    account: &str,
    container: Option<&str>,
    blob: Option<&str>,
    version: &str,
) -> Result<(String, Scope), SasError> {
    if query.get("skoid").is_some() {
        return Err(SasError::Unsupported("user delegation signatures"));
    }
    if query.get("si").is_some_and(|policy| !policy.is_empty()) {
        return Err(SasError::Unsupported("stored access policies"));
    }
    let resource = required(query, "sr")?;
    let container = container.ok_or(SasError::Malformed("sr"))?;
    let (scope, signed_blob) = match resource {
        "c" => (Scope::Container, None),
        // A blob signature on a container URL is signed for a blob that the URL does not name.
        "b" => (Scope::Blob, Some(blob.ok_or(SasError::Malformed("sr"))?)),
        "d" => return Err(SasError::Unsupported("directory signatures")),
        "bs" | "bv" => return Err(SasError::Unsupported("snapshot and version signatures")),
        _ => return Err(SasError::Malformed("sr")),
    };
    let value = |name| query.get(name).unwrap_or_default();
    let fields = ServiceFields {
        permissions: value("sp"),
        start: value("st"),
        expiry: value("se"),
        identifier: "",
        ip: value("sip"),
        protocol: value("spr"),
        version,
        resource,
        encryption_scope: value("ses"),
        overrides: ["rscc", "rscd", "rsce", "rscl", "rsct"].map(value),
    };
    Ok((
        fields.string_to_sign(&canonical_name(account, container, signed_blob)),
        scope,
    ))
}

fn account_text(query: &Query, account: &str, version: &str) -> Result<(String, Scope), SasError> {
    let services = required(query, "ss")?;
    let resource_types = required(query, "srt")?;
    if !services.contains('b') {
        return Err(SasError::Malformed("ss"));
    }
    let value = |name| query.get(name).unwrap_or_default();
    let fields = AccountFields {
        permissions: value("sp"),
        services,
        resource_types,
        start: value("st"),
        expiry: value("se"),
        ip: value("sip"),
        protocol: value("spr"),
        version,
        encryption_scope: value("ses"),
    };
    let has = |letter| resource_types.contains(letter);
    let scope = Scope::Account {
        service: has('s'),
        container: has('c'),
        object: has('o'),
    };
    Ok((fields.string_to_sign(account), scope))
}

fn check_limits(query: &Query, caller: Caller) -> Result<(), SasError> {
    let expiry = required(query, "se")?;
    let expires = parse_sas_time(expiry).ok_or(SasError::Malformed("se"))?;
    if let Some(start) = query.get("st").filter(|value| !value.is_empty()) {
        let starts = parse_sas_time(start).ok_or(SasError::Malformed("st"))?;
        if caller.now < starts {
            return Err(SasError::NotYetValid(start.to_owned()));
        }
    }
    if caller.now >= expires {
        return Err(SasError::Expired(expiry.to_owned()));
    }
    match query.get("spr").unwrap_or_default() {
        "" | "https,http" | "http,https" => {}
        "https" if caller.https => {}
        "https" => return Err(SasError::Protocol),
        _ => return Err(SasError::Malformed("spr")),
    }
    if let Some(range) = query.get("sip").filter(|value| !value.is_empty()) {
        let allowed = parse_ip_range(range).ok_or(SasError::Malformed("sip"))?;
        let ip = caller.ip.and_then(as_v4).ok_or(SasError::SourceIp)?;
        if !(allowed.0..=allowed.1).contains(&ip) {
            return Err(SasError::SourceIp);
        }
    }
    Ok(())
}

fn parse_ip_range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// An IPv4 address, also when it arrives on a dual-stack socket.
fn as_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}
