//! Tokens for players that cannot add headers to requests for keys: `?token=…` on an encrypted HLS presentation's URL is
//! carried to its media playlists, and from there to the addresses of our own key delivery (the streaming reference, 4.6).
//!
//! Nothing else of the query goes anywhere, and no token to servers that are not ours. Whoever has such a playlist has the
//! token: caches are told not to keep it.

use crate::address::{Format, Target};
use crate::error::{Code, OriginError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Longest token. Key delivery takes none that is longer either.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

const KEEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What goes on a URL, and which text it goes into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxied {
    /// `token=…`, percent-encoded.
    parameter: String,
    multivariant: bool,
}

impl Proxied {
    /// The token that `query` has for `target`; `None` if it has none, or `target` is no encrypted HLS playlist.
    ///
    /// Errors: 400 for a token that is too long or no text.
    pub(crate) fn read(query: &str, target: &Target) -> Result<Option<Self>, OriginError> {
        let (options, multivariant) = match target {
            Target::Manifest { options, .. } => (options, true),
            Target::MediaPlaylist { options, .. } => (options, false),
            Target::Fragment { .. } | Target::Time | Target::File { .. } => return Ok(None),
        };
        let hls = matches!(options.format, Format::HlsCmaf | Format::HlsTs(_));
        if options.encryption.is_none() || !hls {
            return Ok(None);
        }
        let value = query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.eq_ignore_ascii_case("token").then_some(value)
        });
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let bad = |why| OriginError::new(Code::BadUrlSyntax, why);
        let value = value.replace('+', " ");
        let token = percent_decode_str(&value)
            .decode_utf8()
            .map_err(|_| bad("token: is not UTF-8"))?;
        let token = match token.split_at_checked(7) {
            Some((word, rest)) if word.eq_ignore_ascii_case("bearer ") => rest.trim(),
            _ => token.trim(),
        };
        if token.len() > MAX_TOKEN_BYTES {
            return Err(bad("token: is longer than 8 KiB"));
        }
        Ok(Some(Self {
            parameter: format!("token={}", utf8_percent_encode(token, KEEP)),
            multivariant,
        }))
    }

    /// What an entity tag has to know of it.
    pub(crate) fn tag(&self) -> &str {
        &self.parameter
    }

    /// `playlist` with the token. `delivery`: the URL of our key delivery, without a slash at the end.
    pub(crate) fn carry(&self, playlist: &str, delivery: &str) -> String {
        let mut out = String::with_capacity(playlist.len().saturating_mul(2));
        for line in playlist.split_inclusive('\n') {
            let text = line.trim_end_matches(['\r', '\n']);
            let end = line.strip_prefix(text).unwrap_or_default();
            let is = |tag: &str| text.starts_with(tag);
            if is("#EXT-X-KEY:") || is("#EXT-X-SESSION-KEY:") {
                self.push_attribute(text, |uri| is_ours(uri, delivery), &mut out);
            } else if is("#EXT-X-MEDIA:") || is("#EXT-X-I-FRAME-STREAM-INF:") {
                self.push_attribute(text, |_| true, &mut out);
            } else if self.multivariant && !text.is_empty() && !text.starts_with('#') {
                self.push_uri(text, &mut out);
            } else {
                out.push_str(text);
            }
            out.push_str(end);
        }
        out
    }

    fn push_uri(&self, uri: &str, out: &mut String) {
        out.push_str(uri);
        out.push(if uri.contains('?') { '&' } else { '?' });
        out.push_str(&self.parameter);
    }

    /// A tag whose attribute `URI` gets the token if it is one of those.
    fn push_attribute(&self, line: &str, is_one: impl Fn(&str) -> bool, out: &mut String) {
        let parts = line.split_once("URI=\"").and_then(|(before, rest)| {
            let (uri, after) = rest.split_once('"')?;
            Some((before, uri, after))
        });
        match parts {
            Some((before, uri, after)) if is_one(uri) => {
                out.push_str(before);
                out.push_str("URI=\"");
                self.push_uri(uri, out);
                out.push('"');
                out.push_str(after);
            }
            _ => out.push_str(line),
        }
    }
}

/// Whether `uri` is of our key delivery. FairPlay's begin with `skd:` instead.
fn is_ours(uri: &str, delivery: &str) -> bool {
    let place = |url: &str| url.split_once("://").map(|(_, place)| place.to_owned());
    match (place(uri), place(delivery)) {
        (Some(uri), Some(ours)) => uri
            .strip_prefix(ours.as_str())
            .is_some_and(|rest| rest.starts_with('/')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Encryption, Options, TsVersion};

    fn target(format: Format, encryption: Option<Encryption>) -> Target {
        Target::Manifest {
            name: "f".to_owned(),
            options: Options {
                encryption,
                ..Options::of(format)
            },
        }
    }

    fn read(query: &str) -> Result<Option<String>, Code> {
        let target = target(Format::HlsCmaf, Some(Encryption::Envelope));
        Proxied::read(query, &target)
            .map(|found| found.map(|proxied| proxied.parameter))
            .map_err(|error| error.code())
    }

    #[test]
    fn the_token_is_found_and_made_harmless() {
        for (query, expected) in [
            ("", None),
            ("sv=1&x=token", None),
            ("token=", None),
            ("a=b&Token=ey.J-9_~", Some("token=ey.J-9_~")),
            ("token=Bearer%20ey.x", Some("token=ey.x")),
            ("token=Bearer+ey.x", Some("token=ey.x")),
            ("token=a%22%0d%0a%3Cb", Some("token=a%22%0D%0A%3Cb")),
        ] {
            assert_eq!(read(query), Ok(expected.map(str::to_owned)), "{query}");
        }
        assert_eq!(read("token=%ff"), Err(Code::BadUrlSyntax));
        let long = format!("token={}", "a".repeat(MAX_TOKEN_BYTES + 1));
        assert_eq!(read(&long), Err(Code::BadUrlSyntax));
    }

    #[test]
    fn only_encrypted_hls_has_it() {
        for (format, encryption, expected) in [
            (Format::HlsTs(TsVersion::V4), Some(Encryption::Cbcs), true),
            (Format::HlsCmaf, None, false),
            (Format::DashCmaf, Some(Encryption::Cenc), false),
        ] {
            let found = Proxied::read("token=a", &target(format, encryption)).unwrap();
            assert_eq!(found.is_some(), expected, "{format:?}");
        }
    }

    #[test]
    fn playlists_and_our_keys_get_it_and_nobody_else() {
        let delivery = "https://video.example/keys";
        let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a\",NAME=\"x\"\n#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS\n\
            #EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://video.example/keys/FairPlay/?kid=1\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1\nv(1)\n";
        let mut proxied = Proxied {
            parameter: "token=t".to_owned(),
            multivariant: true,
        };
        assert_eq!(
            proxied.carry(master, delivery),
            "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"a?token=t\",NAME=\"x\"\n#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS\n\
            #EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://video.example/keys/FairPlay/?kid=1&token=t\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1\nv(1)?token=t\n"
        );
        proxied.multivariant = false;
        let media = "#EXT-X-MAP:URI=\"i\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"https://video.example/keys/?kid=1\",IV=0x0\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"https://video.example/keys.evil/?kid=1\"\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"https://other.example/keys/?kid=1\"\n\
            #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,AA\"\n#EXTINF:1,\ns(0)\n";
        let expected = media.replace("keys/?kid=1\",IV", "keys/?kid=1&token=t\",IV");
        assert_eq!(proxied.carry(media, delivery), expected);
    }
}
