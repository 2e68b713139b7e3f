//! Manifests in fewer bytes: gzip (RFC 1952), for those who take it (RFC 9110 §12.5.3).
//!
//! A manifest in another coding is another representation, with a tag of its own. Its bytes are the same for the same
//! text: the header names no time and no system. Brotli is left out: at the levels that pay off it takes several times as
//! long for a tenth fewer bytes, and manifests are made anew all the time.

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, RANGE};
use std::io::Write as _;

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As it is, to everybody: media.
    Plain,
    /// As it is, to those who take nothing else.
    Identity,
    Gzip,
}

impl Coding {
    /// What is sent of a text to a client with these headers. Parts are those of the text: there are clients that undo the
    /// coding of a part.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match accepts_gzip(headers) && !headers.contains_key(RANGE) {
            true => Self::Gzip,
            false => Self::Identity,
        }
    }

    /// The tag of a representation whose plain one has `etag`.
    pub(crate) fn tag(self, etag: &str) -> String {
        match (self, etag.strip_suffix('"')) {
            (Self::Gzip, Some(open)) => format!("{open}-gz\""),
            _ => etag.to_owned(),
        }
    }

    /// The body of a representation of `text`.
    pub(crate) fn encode(self, text: String) -> Vec<u8> {
        match self {
            Self::Plain | Self::Identity => text.into_bytes(),
            Self::Gzip => gzip(text.as_bytes()),
        }
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let room = text.len().checked_div(8).unwrap_or_default();
    let mut encoder = GzEncoder::new(
        Vec::with_capacity(room.saturating_add(64)),
        Compression::default(),
    );
    // Memory takes everything.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

/// Whether `gzip` is among the accepted codings and not refused with `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut by_star = false;
    let lists = headers.get_all(ACCEPT_ENCODING).iter();
    for item in lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
    {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut weights = parts.filter_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then_some(value.trim())
        });
        let wanted = weights
            .next()
            .is_none_or(|weight| weight.parse::<f32>().is_ok_and(|q| q > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return wanted;
        }
        if name == "*" {
            by_star = wanted;
        }
    }
    by_star
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(accepted: &str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
        Coding::of(&headers)
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for accepted in [
            "gzip",
            "gzip, deflate, br",
            "br;q=1, GZIP ; q=0.5",
            "*",
            "x-gzip",
        ] {
            assert_eq!(coding(accepted), Coding::Gzip, "{accepted}");
        }
        for refused in [
            "",
            "br",
            "gzip;q=0",
            "gzip; q=0.0, *",
            "*;q=0",
            "identity",
            "gzip;q=x",
        ] {
            assert_eq!(coding(refused), Coding::Identity, "{refused}");
        }
        assert_eq!(Coding::of(&HeaderMap::new()), Coding::Identity);
    }

    #[test]
    fn the_same_text_is_the_same_bytes() {
        let text = "#EXTINF:2.000000,\n".repeat(1000);
        let (one, other) = (
            Coding::Gzip.encode(text.clone()),
            Coding::Gzip.encode(text.clone()),
        );
        assert_eq!(one, other);
        // No time, no system (RFC 1952 §2.3.1).
        assert_eq!(one.get(4..8), Some(&[0; 4][..]));
        assert_eq!(one.get(9), Some(&255));
        assert!(one.len() < 300, "{}", one.len());
        let mut back = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&one[..]), &mut back)
            .unwrap();
        assert_eq!(back, text);
        assert_eq!(Coding::Gzip.tag("\"abc\""), "\"abc-gz\"");
        assert_eq!(Coding::Identity.tag("\"abc\""), "\"abc\"");
    }
}
