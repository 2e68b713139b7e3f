//! Manifests in fewer bytes: Brotli (RFC 7932) or gzip (RFC 1952), for those who take it (RFC 9110 §12.5.3).
//!
//! A manifest in another coding is another representation, with a tag of its own. Its bytes are the same for the same
//! text: the headers name no time and no system.

use brotli::enc::BrotliEncoderParams;
use brotli::enc::backward_references::BrotliEncoderMode;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, RANGE};
use std::io::Write as _;

/// As quick as gzip, for a sixth to a quarter fewer bytes of a playlist; the next one takes twice the memory and time (ADR 9).
const BROTLI_QUALITY: i32 = 4;
/// 64 KiB: a larger window gains nothing.
const BROTLI_WINDOW_BITS: i32 = 16;

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As it is, to everybody: media.
    Plain,
    /// As it is, to those who take or want nothing else.
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// What is sent of a text to a client with these headers: what it wants most, and of what it wants as much the smallest. Parts
    /// are those of the text: there are clients that undo the coding of a part.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(RANGE) {
            return Self::Identity;
        }
        let wanted = Wanted::read(headers);
        let identity = wanted.identity.unwrap_or(0);
        let codings = [
            (Self::Brotli, wanted.brotli.or(wanted.others).unwrap_or(0)),
            (Self::Gzip, wanted.gzip.or(wanted.others).unwrap_or(0)),
        ];
        let taken = codings.iter().filter(|(_, weight)| *weight > 0);
        let best = taken.rev().max_by_key(|(_, weight)| *weight);
        best.filter(|(_, weight)| *weight >= identity)
            .map_or(Self::Identity, |(coding, _)| *coding)
    }

    /// As `Content-Encoding` has it.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain | Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The tag of a representation whose plain one has `etag`.
    pub(crate) fn tag(self, etag: &str) -> String {
        let mark = match self {
            Self::Plain | Self::Identity => return etag.to_owned(),
            Self::Gzip => "gz",
            Self::Brotli => "br",
        };
        match etag.strip_suffix('"') {
            Some(open) => format!("{open}-{mark}\""),
            None => etag.to_owned(),
        }
    }

    /// The body of a representation of `text`.
    pub(crate) fn encode(self, text: String) -> Vec<u8> {
        match self {
            Self::Plain | Self::Identity => text.into_bytes(),
            Self::Gzip => gzip(text.as_bytes()),
            Self::Brotli => brotli(text.as_bytes()),
        }
    }
}

/// Room for what becomes of a text.
fn room(text: &[u8]) -> Vec<u8> {
    let expected = text.len().checked_div(8).unwrap_or_default();
    Vec::with_capacity(expected.saturating_add(64))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(room(text), Compression::default());
    // Memory takes everything.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

fn brotli(mut text: &[u8]) -> Vec<u8> {
    let params = BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW_BITS,
        size_hint: text.len(),
        mode: BrotliEncoderMode::BROTLI_MODE_TEXT,
        ..BrotliEncoderParams::default()
    };
    let mut packed = room(text);
    // Memory takes everything.
    let _ = ::brotli::BrotliCompress(&mut text, &mut packed, &params);
    packed
}

/// What a client says of codings: weights in thousandths, 0 for what it refuses.
#[derive(Debug, Default)]
struct Wanted {
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    /// Of all that are not named.
    others: Option<u16>,
}

impl Wanted {
    /// The first word about each counts. A weight that is none refuses.
    fn read(headers: &HeaderMap) -> Self {
        let mut wanted = Self::default();
        let lists = headers.get_all(ACCEPT_ENCODING).iter();
        for item in lists
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
        {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let place = match name.as_str() {
                "br" => &mut wanted.brotli,
                "gzip" | "x-gzip" => &mut wanted.gzip,
                "identity" => &mut wanted.identity,
                "*" => &mut wanted.others,
                _ => continue,
            };
            let mut weights = parts.filter_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim().eq_ignore_ascii_case("q").then_some(value.trim())
            });
            let stated = weights.next();
            let weight = stated.map_or(Some(1000), thousandths);
            place.get_or_insert(weight.unwrap_or(0));
        }
        wanted
    }
}

/// A weight (RFC 9110 §12.4.2): `0` to `1` with up to three decimals.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !digits {
        return None;
    }
    let thousandths: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn coding(accepted: &str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
        Coding::of(&headers)
    }

    #[test]
    fn clients_get_what_they_want_most() {
        for accepted in [
            "br",
            "gzip, deflate, br",
            "GZIP, deflate, BR;q=1.000, zstd",
            "br;q=0.5, gzip;q=0.5",
            "br;q=1, GZIP ; q=0.5",
            "gzip;q=0.0, *",
            "*",
            "identity, br",
        ] {
            assert_eq!(coding(accepted), Coding::Brotli, "{accepted}");
        }
        for accepted in [
            "gzip",
            "x-gzip",
            "gzip, br;q=0.9",
            "br;q=0, *;q=0.1",
            "br;q=0.004, gzip;q=0.01",
            "gzip;q=0.5, identity;q=0.1",
            "br;q=1.001, gzip",
            "br;q=0, br, gzip",
        ] {
            assert_eq!(coding(accepted), Coding::Gzip, "{accepted}");
        }
        for accepted in [
            "",
            "gzip;q=0",
            "gzip; q=0.0, br;q=0",
            "*;q=0",
            "identity",
            "deflate, zstd",
            "gzip;q=x",
            "br;q=",
            "identity;q=0",
            "identity, gzip;q=0.5, br;q=0.9",
        ] {
            assert_eq!(coding(accepted), Coding::Identity, "{accepted}");
        }
        assert_eq!(Coding::of(&HeaderMap::new()), Coding::Identity);
    }

    #[test]
    fn the_same_text_is_the_same_bytes() {
        let text = "#EXTINF:2.000000,\n".repeat(1000);
        let unpacked = |coding: Coding, packed: &[u8]| {
            let mut back = String::new();
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(packed).read_to_string(&mut back),
                _ => ::brotli::Decompressor::new(packed, 4096).read_to_string(&mut back),
            }
            .unwrap();
            back
        };
        for coding in [Coding::Gzip, Coding::Brotli] {
            let packed = coding.encode(text.clone());
            assert_eq!(packed, coding.encode(text.clone()));
            assert!(packed.len() < 300, "{}", packed.len());
            assert_eq!(unpacked(coding, &packed), text);
            assert_eq!(unpacked(coding, &coding.encode(String::new())), "");
        }
        let gzip = Coding::Gzip.encode(text);
        // No time, no system (RFC 1952 §2.3.1).
        assert_eq!(gzip.get(4..8), Some(&[0; 4][..]));
        assert_eq!(gzip.get(9), Some(&255));
        assert_eq!(Coding::Gzip.tag("\"abc\""), "\"abc-gz\"");
        assert_eq!(Coding::Brotli.tag("\"abc\""), "\"abc-br\"");
        assert_eq!(Coding::Identity.tag("\"abc\""), "\"abc\"");
    }
}
