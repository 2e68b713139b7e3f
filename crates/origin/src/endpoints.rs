//! What streaming endpoints say: who is served, and for how long caches keep films.
//!
//! One address serves every endpoint of a project, so a request is served if any endpoint that it may have come to serves it:
//! those that have its host name for their own, or all where none has. Spec: AMS `StreamingEndpoint`, `accessControl` and
//! `maxCacheAge` (management API reference, 1.7 and 2.11).

use crate::answer::{Body, Request};
use crate::error::{Code, OriginError};
use crate::signed::{self, SignatureKey, Signed};
use headwater_work::live::IpRange;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response};
use std::net::IpAddr;

/// A streaming endpoint that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// Host names that lead to this endpoint.
    pub hosts: Vec<String>,
    /// Who is served: an address has to be in one of the ranges. `None`: everybody.
    pub allow: Option<Vec<IpRange>>,
    /// With keys, what is asked for has to be signed with one of them, as Akamai's servers do.
    pub signed_with: Vec<SignatureKey>,
    /// Seconds for which caches keep fragments, and manifests of what is not live. `None`: as is right for each.
    pub max_age: Option<u32>,
}

/// Whether an address is in one of `ranges`. `client`: `None` if the host does not tell, who is in the range of everybody alone.
pub(crate) fn admits(ranges: &[IpRange], client: Option<IpAddr>) -> bool {
    ranges.iter().any(|range| match client {
        Some(client) => range.contains(client),
        None => range.is_everybody(),
    })
}

/// The endpoint that serves a request, of those that run.
///
/// Errors: 404 if none is for the client's address, or none that is takes the request's signature.
pub(crate) fn choose<'e>(
    running: &'e [Endpoint],
    request: &Request<'_>,
) -> Result<Option<&'e Endpoint>, OriginError> {
    let mut asked = of_host(running, request.host, |endpoint| &endpoint.hosts).peekable();
    if asked.peek().is_none() {
        return Ok(None);
    }
    let mut why = None;
    for endpoint in asked {
        let allow = endpoint.allow.as_ref();
        if !allow.is_none_or(|ranges| admits(ranges, request.client)) {
            continue;
        }
        if endpoint.signed_with.is_empty() {
            return Ok(Some(endpoint));
        }
        let signed = Signed {
            path: request.path,
            query: request.query,
            headers: request.headers,
            now: request.now,
        };
        match signed::check(&endpoint.signed_with, signed) {
            Ok(()) => return Ok(Some(endpoint)),
            Err(wrong) => why = Some(wrong),
        }
    }
    Err(match why {
        None => OriginError::new(
            Code::AddressNotAllowed,
            "no streaming endpoint is for your address",
        ),
        Some(why) => OriginError::new(
            Code::NotSigned,
            format!("no streaming endpoint takes this request: {why}"),
        ),
    })
}

/// Those that answer for a host's name: whose own it is, or all if it is nobody's. `host`: what was asked for, perhaps with a port.
pub(crate) fn of_host<'e, T>(
    all: &'e [T],
    host: Option<&str>,
    names: impl Fn(&T) -> &[String],
) -> impl Iterator<Item = &'e T> {
    let own =
        move |one: &T| host.is_some_and(|host| names(one).iter().any(|name| is_host(name, host)));
    let any_own = all.iter().any(&own);
    all.iter().filter(move |one| !any_own || own(one))
}

/// `name`: as it was configured, with a port or for all of them.
fn is_host(name: &str, host: &str) -> bool {
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => bare,
        _ => host,
    };
    name.eq_ignore_ascii_case(host) || name.eq_ignore_ascii_case(bare)
}

/// What the endpoints have to say of an answer. `stays`: whether what was asked for stays as it is, which a live manifest does not.
pub(crate) fn rule(
    running: &[Endpoint],
    serving: Option<&Endpoint>,
    stays: bool,
    response: &mut Response<Body>,
) {
    let headers = response.headers_mut();
    let minds = |endpoint: &Endpoint| endpoint.allow.is_some() || !endpoint.signed_with.is_empty();
    if running.iter().any(minds) {
        // The host's cache does not know whom an answer is for.
        headers.remove(crate::serve::HOST_CACHE);
    }
    if let Some(seconds) = serving.and_then(|endpoint| endpoint.max_age)
        && stays
        && headers
            .get(CACHE_CONTROL)
            .is_some_and(|value| value.as_bytes().starts_with(b"public"))
        && let Ok(value) = HeaderValue::from_str(&format!("public, max-age={seconds}"))
    {
        headers.insert(CACHE_CONTROL, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
    use jiff::Timestamp;

    /// Of `/film` by the key `abcdefg`, by Python's `hmac`.
    const SIGNATURE: &str = "QD7EmJLu3SHNG+Kz98WqQ8Os7Oca/NatJe94B5k5h+Q=";

    fn range(address: &str, bits: u8) -> IpRange {
        IpRange {
            name: None,
            address: address.parse().unwrap(),
            subnet_prefix_length: Some(bits),
        }
    }

    fn chosen(running: &[Endpoint], host: &str, client: &str) -> Result<Option<usize>, Code> {
        asked(running, host, client, &HeaderMap::new())
    }

    fn asked(
        running: &[Endpoint],
        host: &str,
        client: &str,
        headers: &HeaderMap,
    ) -> Result<Option<usize>, Code> {
        let request = Request {
            method: &Method::GET,
            path: "/film",
            query: "",
            host: Some(host),
            client: client.parse().ok(),
            headers,
            now: Timestamp::from_second(1_302_112_359).unwrap(),
        };
        choose(running, &request)
            .map(|found| found.map(|found| running.iter().position(|e| e == found).unwrap()))
            .map_err(|error| error.code())
    }

    #[test]
    fn an_endpoint_with_keys_serves_what_is_signed_and_nobody_else() {
        let signed = Endpoint {
            allow: Some(vec![range("10.0.0.0", 8)]),
            signed_with: vec![SignatureKey {
                identifier: "token".into(),
                key: b"abcdefg".to_vec(),
                expires: None,
            }],
            ..Endpoint::default()
        };
        let running = [signed.clone()];
        let none = HeaderMap::new();
        assert_eq!(
            asked(&running, "localhost", "10.1.2.3", &none),
            Err(Code::NotSigned)
        );
        let mut headers = HeaderMap::new();
        let data = "5, 192.168.0.1, 192.168.1.1, 1302112359, 123, token";
        headers.insert("x-akamai-g2o-auth-data", HeaderValue::from_static(data));
        headers.insert(
            "x-akamai-g2o-auth-sign",
            HeaderValue::from_static(SIGNATURE),
        );
        assert_eq!(
            asked(&running, "localhost", "10.1.2.3", &headers),
            Ok(Some(0))
        );
        let denied = Err(Code::AddressNotAllowed);
        assert_eq!(asked(&running, "localhost", "192.0.2.1", &headers), denied);
        // Another endpoint, for whoever is inside.
        let inside = Endpoint {
            allow: Some(vec![range("192.0.2.0", 24)]),
            ..Endpoint::default()
        };
        let running = [signed, inside];
        assert_eq!(
            asked(&running, "localhost", "192.0.2.1", &none),
            Ok(Some(1))
        );
        assert_eq!(
            asked(&running, "localhost", "10.1.2.3", &none),
            Err(Code::NotSigned)
        );
        // The host's cache does not know what is signed.
        let mut response = Response::new(Body::Empty);
        let cached = HeaderValue::from_static("1");
        response
            .headers_mut()
            .insert(crate::serve::HOST_CACHE, cached);
        rule(&running[..1], None, true, &mut response);
        assert!(response.headers().is_empty());
    }

    #[test]
    fn an_endpoint_serves_its_hosts_and_its_addresses() {
        let running = [
            Endpoint {
                hosts: vec!["inside.example".into()],
                allow: Some(vec![range("10.0.0.0", 8)]),
                ..Endpoint::default()
            },
            Endpoint {
                hosts: vec!["outside.example:8443".into()],
                allow: Some(vec![range("192.0.2.0", 24)]),
                max_age: Some(5),
                ..Endpoint::default()
            },
        ];
        let denied = Err(Code::AddressNotAllowed);
        for (host, client, expected) in [
            ("inside.example", "10.1.2.3", Ok(Some(0))),
            ("INSIDE.example:443", "10.1.2.3", Ok(Some(0))),
            ("inside.example", "192.0.2.1", denied),
            ("outside.example:8443", "192.0.2.1", Ok(Some(1))),
            ("outside.example:8443", "10.1.2.3", denied),
            // The address that all have in common.
            ("localhost:8080", "10.1.2.3", Ok(Some(0))),
            ("localhost:8080", "192.0.2.9", Ok(Some(1))),
            ("localhost:8080", "198.51.100.1", denied),
            ("[::1]:8080", "", denied),
        ] {
            assert_eq!(chosen(&running, host, client), expected, "{host} {client}");
        }
        let open = [running[0].clone(), Endpoint::default()];
        assert_eq!(chosen(&open, "localhost", "198.51.100.1"), Ok(Some(1)));
        assert_eq!(chosen(&[], "localhost", "198.51.100.1"), Ok(None));
        let nobody = [Endpoint {
            allow: Some(Vec::new()),
            ..Endpoint::default()
        }];
        assert_eq!(chosen(&nobody, "localhost", "198.51.100.1"), denied);
    }
}
