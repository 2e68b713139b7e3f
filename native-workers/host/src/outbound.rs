//! `allowed_outbound_hosts`: where a component may send requests.
//!
//! Grammar (Spin): `scheme://host[:port]`, at most one trailing `/`. Scheme: letters or `*`. Host: `*`, `*.domain`
//! (subdomains at any depth, not the domain itself), `self` or `self.alt`, an IP address or CIDR block, or a name.
//! Port: a number, `a..b` (end excluded) or `*`; left out it is the scheme's own.

use std::net::IpAddr;
use std::ops::Range;

/// A parsed allow list. Empty allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AllowedHosts(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// `None` is `*`.
    scheme: Option<String>,
    host: Host,
    ports: Range<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    SubdomainsOf(String),
    Itself,
    Network(IpAddr, u8),
    Name(String),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("allowed_outbound_hosts: {pattern:?}: {reason}")]
pub(crate) struct AllowedHostsError {
    pattern: String,
    reason: &'static str,
}

impl AllowedHosts {
    /// Parses patterns whose templates are already expanded. One that expanded to nothing is dropped.
    pub(crate) fn parse<'a>(
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AllowedHostsError> {
        patterns
            .into_iter()
            .filter(|pattern| !matches!(*pattern, "" | "http://" | "https://"))
            .map(|text| {
                Pattern::parse(text).map_err(|reason| AllowedHostsError {
                    pattern: text.into(),
                    reason,
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a request to `scheme://host:port` may leave. A relative request names the host `self`.
    pub(crate) fn allows(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.0
            .iter()
            .any(|pattern| pattern.matches(scheme, host, port))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("needs a scheme, e.g. `https://`")?;
        let scheme = match scheme {
            "*" => None,
            _ if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphabetic()) => {
                Some(scheme.to_ascii_lowercase())
            }
            _ => return Err("the scheme is letters or `*`"),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(rest);
        let host = Host::parse(host)?;
        let ports = match port {
            Some("*") => 0..65_536,
            Some(port) => match port.split_once("..") {
                // The end is the first port that is not meant.
                Some((from, to)) => number(from)?..last(to)?,
                None => {
                    let port = number(port)?;
                    port..port.saturating_add(1)
                }
            },
            None => match scheme.as_deref() {
                Some("http") => 80..81,
                Some("https") => 443..444,
                Some("postgres") => 5432..5433,
                Some("mysql") => 3306..3307,
                Some("redis") => 6379..6380,
                Some("mqtt") => 1883..1884,
                _ => return Err("needs a port"),
            },
        };
        Ok(Self {
            scheme,
            host,
            ports,
        })
    }

    fn matches(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.scheme
            .as_deref()
            .is_none_or(|s| s.eq_ignore_ascii_case(scheme))
            && (self.host == Host::Itself || self.ports.contains(&u32::from(port)))
            && self.host.matches(host)
    }
}

/// Splits `host:port`, `10.0.0.0/8:80` and `[::1]:80`.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => (text, None),
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn number(text: &str) -> Result<u32, &'static str> {
    text.parse::<u16>()
        .map(u32::from)
        .map_err(|_| "the port is a number, `a..b` or `*`")
}

/// The end of a range of ports, which may be one past the last port there is.
fn last(text: &str) -> Result<u32, &'static str> {
    match text {
        "65536" => Ok(65_536),
        _ => number(text),
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address
                .parse()
                .map_err(|_| "a path is not part of the pattern")?;
            let bits: u8 = bits.parse().map_err(|_| "not a CIDR block")?;
            let width = if address.is_ipv4() { 32 } else { 128 };
            return if bits <= width {
                Ok(Self::Network(address, bits))
            } else {
                Err("not a CIDR block")
            };
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(
                address,
                if address.is_ipv4() { 32 } else { 128 },
            ));
        }
        match text {
            "" => Err("needs a host"),
            "*" => Ok(Self::Any),
            "self" | "self.alt" => Ok(Self::Itself),
            _ => match text.strip_prefix("*.") {
                Some(domain) if !domain.contains('*') => {
                    Ok(Self::SubdomainsOf(domain.to_ascii_lowercase()))
                }
                None if !text.contains('*') => Ok(Self::Name(text.to_ascii_lowercase())),
                _ => Err("`*` stands alone or as the first label"),
            },
        }
    }

    fn matches(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match self {
            Self::Any => true,
            Self::Itself => matches!(host, "self" | "self.alt"),
            Self::Name(name) => name.eq_ignore_ascii_case(host),
            Self::SubdomainsOf(domain) => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            Self::Network(network, bits) => bare
                .parse::<IpAddr>()
                .is_ok_and(|address| leading_bits_equal(*network, address, *bits)),
        }
    }
}

fn leading_bits_equal(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, scheme: &str, host: &str, port: u16) -> bool {
        AllowedHosts::parse([pattern])
            .unwrap()
            .allows(scheme, host, port)
    }

    #[test]
    fn a_missing_port_is_the_schemes_own() {
        assert!(allows("https://example.com", "https", "EXAMPLE.com", 443));
        assert!(!allows("https://example.com", "https", "example.com", 8443));
        assert!(!allows("https://example.com", "http", "example.com", 443));
        assert!(AllowedHosts::parse(["*://example.com"]).is_err());
    }

    #[test]
    fn a_wildcard_does_not_match_the_domain_itself() {
        assert!(allows(
            "http://*.spin.internal",
            "http",
            "assembler.spin.internal",
            80
        ));
        assert!(allows(
            "http://*.example.com",
            "http",
            "a.b.example.com",
            80
        ));
        assert!(!allows("http://*.example.com", "http", "example.com", 80));
        assert!(!allows(
            "http://*.example.com",
            "http",
            "badexample.com",
            80
        ));
    }

    #[test]
    fn addresses_blocks_and_port_ranges() {
        assert!(allows(
            "http://127.0.0.1:10000",
            "http",
            "127.0.0.1",
            10_000
        ));
        assert!(allows("*://10.0.0.0/8:*", "http", "10.1.2.3", 1));
        assert!(!allows("*://10.0.0.0/8:*", "http", "11.1.2.3", 1));
        assert!(allows("http://[::1]:8080", "http", "[::1]", 8080));
        assert!(allows(
            "http://localhost:8000..8010",
            "http",
            "localhost",
            8009
        ));
        assert!(!allows(
            "http://localhost:8000..8010",
            "http",
            "localhost",
            8010
        ));
    }

    #[test]
    fn nothing_is_allowed_by_default_and_nonsense_is_refused() {
        assert!(!AllowedHosts::default().allows("http", "localhost", 80));
        for pattern in [
            "example.com",
            "http://a/b",
            "http://a.*.b",
            "ht tp://a",
            "http://a:x",
            "http://1.2.3.4/33",
        ] {
            assert!(AllowedHosts::parse([pattern]).is_err(), "{pattern}");
        }
    }
}
