//! What streaming endpoints say: who is served, and for how long caches keep films.
//!
//! One address serves every endpoint of a project, so a request is served if any endpoint that it may have come to serves it:
//! those that have its host name for their own, or all where none has. Spec: AMS `StreamingEndpoint`, `accessControl` and
//! `maxCacheAge` (management API reference, 1.7 and 2.11).

use crate::answer::Body;
use crate::error::{Code, OriginError};
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

/// The endpoint that serves a request, of those that run. `host`: what was asked for, perhaps with a port.
///
/// Errors: 403 if none is for the client's address.
pub(crate) fn choose<'e>(
    running: &'e [Endpoint],
    host: Option<&str>,
    client: Option<IpAddr>,
) -> Result<Option<&'e Endpoint>, OriginError> {
    let own = |endpoint: &&Endpoint| {
        host.is_some_and(|host| endpoint.hosts.iter().any(|name| is_host(name, host)))
    };
    let any_own = running.iter().any(|endpoint| own(&endpoint));
    let mut asked = running
        .iter()
        .filter(|endpoint| !any_own || own(endpoint))
        .peekable();
    if asked.peek().is_none() {
        return Ok(None);
    }
    asked
        .find(|endpoint| {
            endpoint
                .allow
                .as_ref()
                .is_none_or(|ranges| admits(ranges, client))
        })
        .map(Some)
        .ok_or_else(|| {
            OriginError::new(
                Code::AddressNotAllowed,
                "no streaming endpoint is for your address",
            )
        })
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
    if running.iter().any(|endpoint| endpoint.allow.is_some()) {
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

    fn range(address: &str, bits: u8) -> IpRange {
        IpRange {
            name: None,
            address: address.parse().unwrap(),
            subnet_prefix_length: Some(bits),
        }
    }

    fn chosen(running: &[Endpoint], host: &str, client: &str) -> Result<Option<usize>, Code> {
        choose(running, Some(host), client.parse().ok())
            .map(|found| found.map(|found| running.iter().position(|e| e == found).unwrap()))
            .map_err(|error| error.code())
    }

    #[test]
    fn an_endpoint_serves_its_hosts_and_its_addresses() {
        let running = [
            Endpoint {
                hosts: vec!["inside.example".into()],
                allow: Some(vec![range("10.0.0.0", 8)]),
                max_age: None,
            },
            Endpoint {
                hosts: vec!["outside.example:8443".into()],
                allow: Some(vec![range("192.0.2.0", 24)]),
                max_age: Some(5),
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
