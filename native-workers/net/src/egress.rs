//! Where requests may go whose address a user chose: not onto the operator's own network.
//!
//! [`Guard`] decides about one resolved address. Whoever connects must ask about the address that is connected to, not about
//! a name: a name may mean something else the next time it is looked up. [`Guard::resolve`] looks a name up once and gives
//! only addresses that may be connected to.
//!
//! Refused are the special-purpose addresses of RFC 6890 and its registries that do not lead to the public network, and the
//! IPv6 forms that carry an IPv4 address are decided by that address. The operator opens ranges one by one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

/// A text that is no range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCidr(String);

impl std::fmt::Display for InvalidCidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "'{}' is not a range of addresses such as 10.0.0.0/8",
            self.0
        )
    }
}

impl std::error::Error for InvalidCidr {}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let invalid = || InvalidCidr(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address.trim().parse().map_err(|_| invalid())?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.trim().parse().map_err(|_| invalid())?,
        };
        if bits > most {
            return Err(invalid());
        }
        Ok(Self { network, bits })
    }
}

impl Cidr {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

/// Why an address is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Not for whoever chose a name: what it means inside of the operator's network is not theirs to know.
    pub address: IpAddr,
    /// Completes "it is ...": `private`, `a loopback address`.
    pub kind: &'static str,
}

impl std::fmt::Display for Blocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}", self.address, self.kind)
    }
}

impl std::error::Error for Blocked {}

/// Why a name gives no address to connect to.
#[derive(Debug)]
pub enum NoAddress {
    /// It cannot be looked up now, or means nothing.
    Unknown(io::Error),
    /// All it means is blocked.
    Blocked(Blocked),
}

/// Decides about addresses.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<Cidr>,
}

impl Guard {
    /// `allowed`: ranges that may be connected to whatever they are.
    pub fn new(allowed: Vec<Cidr>) -> Self {
        Self { allowed }
    }

    /// Whether `address` may be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), Blocked> {
        // `::ffff:10.0.0.1` is 10.0.0.1 to every socket.
        let plain = address.to_canonical();
        if self
            .allowed
            .iter()
            .any(|range| range.contains(address) || range.contains(plain))
        {
            return Ok(());
        }
        let kind = match plain {
            IpAddr::V4(address) => special_v4(address),
            IpAddr::V6(address) => special_v6(address),
        };
        match kind {
            Some(kind) => Err(Blocked { address, kind }),
            None => Ok(()),
        }
    }

    /// The addresses of `host` (a name, or an address with or without brackets) that may be connected to; never empty.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NoAddress> {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = match literal.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((host, port))
                .await
                .map_err(NoAddress::Unknown)?
                .collect(),
        };
        let mut blocked = None;
        let mut open = Vec::with_capacity(found.len());
        for address in found {
            match self.check(address.ip()) {
                Ok(()) => open.push(address),
                Err(why) => blocked = Some(why),
            }
        }
        match blocked {
            _ if !open.is_empty() => Ok(open),
            Some(why) => Err(NoAddress::Blocked(why)),
            None => Err(NoAddress::Unknown(io::ErrorKind::NotFound.into())),
        }
    }
}

/// What an address is that does not lead to the public network.
fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "unspecified",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (127, ..) => "a loopback address",
        (169, 254, _) => "link-local",
        (100, 64..=127, _) => "shared by a carrier's network",
        (192, 0, 0) | (192, 88, 99) => "reserved for protocols",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "for documentation",
        (198, 18..=19, _) => "for benchmarks",
        (224..=239, ..) => "a multicast address",
        (240..=255, ..) => "reserved",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let [a, b, c, d, .., g, h] = segments;
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        special_v4(Ipv4Addr::new(a, b, c, d))
    };
    if address.is_unspecified() {
        return Some("unspecified");
    }
    if address.is_loopback() {
        return Some("a loopback address");
    }
    match (a, b) {
        // ::/96, IPv4-compatible, long out of use.
        (0, 0) if c == 0 && d == 0 => Some("reserved"),
        // NAT64 (RFC 6052): the address behind it counts. The local prefix (RFC 8215) is the operator's own.
        (0x64, 0xff9b) if c == 0 => embedded(g, h),
        (0x64, 0xff9b) => Some("private"),
        (0x100, 0) => Some("a discard address"),
        // Teredo, ORCHID and the rest of the protocol block.
        (0x2001, 0..=0x1ff) => Some("reserved for protocols"),
        (0x2001, 0xdb8) | (0x3fff, 0..=0xfff) => Some("for documentation"),
        // 6to4 carries the address of its gateway.
        (0x2002, high) => embedded(high, c),
        (0xfc00..=0xfdff, _) => Some("private"),
        (0xfe80..=0xfebf, _) => Some("link-local"),
        (0xfec0..=0xfeff, _) => Some("site-local"),
        (0xff00..=0xffff, _) => Some("a multicast address"),
        // Nothing else is public yet (RFC 4291 section 2.4).
        (0x2000..=0x3fff, _) => None,
        _ => Some("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_the_public_network_is_open() {
        let guard = Guard::default();
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(is_open(&guard, public), "{public}");
        }
        for own in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::1",
            "4000::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_open(&guard, own), "{own}");
        }
    }

    #[test]
    fn the_operator_opens_ranges() {
        let ranges = ["10.1.0.0/16", "127.0.0.1", "fd00::/8"].map(|text| text.parse().unwrap());
        let guard = Guard::new(ranges.to_vec());
        for open in [
            "10.1.2.3",
            "127.0.0.1",
            "::ffff:10.1.2.3",
            "fd12::1",
            "1.1.1.1",
        ] {
            assert!(is_open(&guard, open), "{open}");
        }
        for closed in ["10.2.0.1", "127.0.0.2", "fc00::1", "::1"] {
            assert!(!is_open(&guard, closed), "{closed}");
        }
        let everything = Guard::new(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
        assert!(is_open(&everything, "127.0.0.1") && is_open(&everything, "::1"));
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "example.com",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_gives_only_addresses_that_are_open() {
        let closed = Guard::default().resolve("localhost", 80).await.unwrap_err();
        let NoAddress::Blocked(why) = closed else {
            panic!("{closed:?}");
        };
        assert!(why.to_string().contains("loopback"), "{why}");
        for literal in ["127.0.0.1", "[::1]", "2130706433", "0x7f.1"] {
            assert!(
                Guard::default().resolve(literal, 80).await.is_err(),
                "{literal}"
            );
        }
        let open = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let found = open.resolve("localhost", 80).await.unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
    }
}
