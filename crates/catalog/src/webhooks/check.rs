//! What a rule may say. Everything in it ends up in a request that we send, so nothing may change where that request
//! goes or where it ends (RFC 9110 section 5, RFC 9112 section 11).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Authentication, RuleWrite, Texts};
use crate::error::CatalogError;

const LONGEST_URL: usize = 2048;
/// Most headers of a rule, secret ones included, and most query parameters.
const MOST_TEXTS: usize = 32;
const LONGEST_NAME: usize = 128;
const LONGEST_VALUE: usize = 4096;
/// Bytes of a signing secret (Standard Webhooks).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What the connection or the delivery itself sets.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// `secrets`: those of the rule, asterisks replaced.
pub(super) fn rule(write: &RuleWrite, secrets: &Authentication) -> Result<(), CatalogError> {
    url(&write.url)?;
    events(write)?;
    let of_secrets = "spec.authentication";
    let headers = [
        ("spec.headers".to_owned(), &write.headers),
        (format!("{of_secrets}.headers"), &secrets.headers),
    ];
    let parameters = [
        ("spec.queryParams".to_owned(), &write.query_params),
        (format!("{of_secrets}.queryParams"), &secrets.query_params),
    ];
    texts(&headers, header, str::to_ascii_lowercase)?;
    texts(&parameters, parameter, str::to_owned)?;
    match &secrets.signing_secret {
        Some(secret) => signing_secret(secret),
        None => Ok(()),
    }
}

fn url(url: &str) -> Result<(), CatalogError> {
    let refuse = |why: &str| Err(CatalogError::invalid("spec.url", why));
    if url.len() > LONGEST_URL {
        return refuse("must have at most 2048 characters");
    }
    let Some(rest) = ["https://", "http://"].iter().find_map(|scheme| {
        url.split_at_checked(scheme.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(scheme))
            .map(|(_, rest)| rest)
    }) else {
        return refuse("must begin with https:// or http://");
    };
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains(['\\', '#', '"', '<', '>'])
    {
        return refuse("must be a URL in ASCII, percent-encoded, without a fragment");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return refuse(
            "must not contain user information; put credentials into spec.authentication",
        );
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of an address in brackets is the address's own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    if host.is_empty() || host.len() > 255 || !(bracketed || host.chars().all(plain)) {
        return refuse("must name a host");
    }
    // `parse` takes a sign.
    let number = |port: &str| {
        port.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| port.parse().ok())
    };
    if port.is_some_and(|port| !matches!(number(port), Some(Some(1..=u16::MAX)))) {
        return refuse("must have a port from 1 to 65535, or none");
    }
    Ok(())
}

fn events(write: &RuleWrite) -> Result<(), CatalogError> {
    if write.events.is_empty() {
        return Err(CatalogError::invalid(
            "spec.events",
            "must have at least one member",
        ));
    }
    let mut seen = BTreeSet::new();
    for (at, kind) in write.events.iter().enumerate() {
        if !seen.insert(*kind) {
            return Err(CatalogError::invalid(
                format!("spec.events[{at}]"),
                "is named twice",
            ));
        }
    }
    Ok(())
}

/// The open and the secret texts of one kind: `same` gives what two names must not share.
fn texts(
    fields: &[(String, &Texts)],
    check: fn(&str, &str) -> Result<(), &'static str>,
    same: fn(&str) -> String,
) -> Result<(), CatalogError> {
    let mut seen = BTreeSet::new();
    for (field, texts) in fields {
        for (name, value) in *texts {
            let member = || format!("{field}.{name}");
            check(name, value).map_err(|why| CatalogError::invalid(member(), why))?;
            if !seen.insert(same(name)) {
                return Err(CatalogError::invalid(member(), "is named twice"));
            }
            if seen.len() > MOST_TEXTS {
                return Err(CatalogError::invalid(
                    field.clone(),
                    format!("must have at most {MOST_TEXTS} members, secret ones included"),
                ));
            }
        }
    }
    Ok(())
}

fn header(name: &str, value: &str) -> Result<(), &'static str> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(token) {
        return Err("is not the name of a header of at most 128 characters");
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err("is set by the delivery itself");
    }
    if value.len() > LONGEST_VALUE || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("must be printable ASCII on one line, at most 4096 characters");
    }
    Ok(())
}

fn parameter(name: &str, value: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return Err("must have a name of 1 to 128 characters");
    }
    if value.len() > LONGEST_VALUE || value.chars().any(char::is_control) {
        return Err("must have at most 4096 bytes and no control characters");
    }
    Ok(())
}

fn signing_secret(secret: &str) -> Result<(), CatalogError> {
    let bytes = secret
        .strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok());
    if bytes.is_some_and(|bytes| SECRET_BYTES.contains(&bytes.len())) {
        return Ok(());
    }
    Err(CatalogError::invalid(
        "spec.authentication.signingSecret",
        "must be 'whsec_' followed by the base64 of 24 to 64 bytes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_where_they_seem_to() {
        for good in [
            "https://example.com",
            "HTTP://example.com:8080/a/b?c=d",
            "https://[2001:db8::1]/x",
            "https://[2001:db8::1]:443/x",
            "http://10.0.0.1/",
        ] {
            assert_eq!(url(good), Ok(()), "{good}");
        }
        let long = format!("https://example.com/{}", "x".repeat(2048));
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://user:secret@example.com/",
            "https://example.com@evil.example/",
            "https://example.com\\@evil.example/",
            "https://example.com/a b",
            "https://example.com/\r\nHost: evil",
            "https://exämple.com/",
            "https://example.com/#x",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://example.com:+80/",
            "https://[::1/",
            "https://[nonsense]/",
            &long,
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_stay_headers() {
        assert_eq!(header("X-Key", "a b~"), Ok(()));
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("ä", "x"),
            ("X", "a\r\nHost: evil"),
            ("X", "ä"),
            ("X", "\0"),
            ("Host", "evil"),
            ("transfer-ENCODING", "chunked"),
            ("Webhook-Signature", "v1,x"),
        ] {
            assert!(header(name, value).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn signing_secrets_are_long_enough() {
        let secret = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for good in [24, 32, 64] {
            assert_eq!(signing_secret(&secret(good)), Ok(()));
        }
        for bad in [
            secret(23),
            secret(65),
            STANDARD.encode([7; 32]),
            "whsec_!".into(),
        ] {
            assert!(signing_secret(&bad).is_err(), "{bad}");
        }
    }
}
