//! Akamai's signature header authentication ("G2O"): its servers sign what they ask the origin for.
//!
//! ```text
//! X-Akamai-G2O-Auth-Data: 5, 203.0.113.4, 198.51.100.7, 1795923906, 7411.93, key-1      version, server, client, time, id, nonce
//! X-Akamai-G2O-Auth-Sign: base64(HMAC-SHA256(key, data + path and query))
//! ```
//!
//! The nonce is the identifier of the key. Versions 3, 4 and 5 are HMACs of MD5, SHA-1 and SHA-256. Versions 1 and 2, plain MD5 of
//! the key and the text, are not taken: whoever saw one signature of them can make others. What was signed may be sent again for
//! as long as its time holds: instances of the origin have nothing in common in which they could remember it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;

/// How far a signature's time may be from ours, seconds: what other implementations take.
const NEAR_S: i64 = 30;

/// A key that signers have. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureKey {
    /// What signers call it.
    pub identifier: String,
    /// The key itself.
    pub key: Vec<u8>,
    /// Not taken from then on.
    pub expires: Option<Timestamp>,
}

impl std::fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignatureKey")
            .field("identifier", &self.identifier)
            .finish_non_exhaustive()
    }
}

/// What of a request is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) now: Timestamp,
}

/// Whether the request is signed with one of `keys`.
///
/// Errors: why not, for the client.
pub(crate) fn check(keys: &[SignatureKey], request: Signed<'_>) -> Result<(), &'static str> {
    let header = |name| {
        let mut values = request.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    let (Some(data), Some(signature)) = (
        header("x-akamai-g2o-auth-data"),
        header("x-akamai-g2o-auth-sign"),
    ) else {
        return Err("it is not signed by a CDN");
    };
    let fields: Vec<&str> = data.split(',').map(str::trim).collect();
    let [version, _server, _client, time, _id, nonce] = fields.as_slice() else {
        return Err("its signature's data has not six fields");
    };
    let time: i64 = time
        .parse()
        .map_err(|_| "its signature's time is no number")?;
    if time
        .saturating_sub(request.now.as_second())
        .saturating_abs()
        > NEAR_S
    {
        return Err("its signature is not of this time");
    }
    let signature = STANDARD
        .decode(signature.trim())
        .map_err(|_| "its signature is not base64")?;
    let key = keys.iter().find(|key| key.identifier == *nonce);
    let key = key.filter(|key| key.expires.is_none_or(|expires| request.now < expires));
    let key = key.ok_or("its signature's key is not one of the endpoint's")?;
    let mark = if request.query.is_empty() { "" } else { "?" };
    let text = [data, request.path, mark, request.query];
    let holds = match *version {
        "3" => holds::<Hmac<md5::Md5>>(key, &text, &signature),
        "4" => holds::<Hmac<sha1::Sha1>>(key, &text, &signature),
        "5" => holds::<Hmac<sha2::Sha256>>(key, &text, &signature),
        _ => return Err("its signature's version is not 3, 4 or 5"),
    };
    match holds {
        true => Ok(()),
        false => Err("its signature is wrong"),
    }
}

/// In constant time.
fn holds<M: Mac + KeyInit>(key: &SignatureKey, text: &[&str], signature: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(&key.key) else {
        return false;
    };
    for piece in text {
        mac.update(piece.as_bytes());
    }
    mac.verify_slice(signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW: i64 = 1_302_112_359;

    fn key(identifier: &str, key: &str, expires: Option<i64>) -> SignatureKey {
        SignatureKey {
            identifier: identifier.into(),
            key: key.into(),
            expires: expires.map(|second| Timestamp::from_second(second).unwrap()),
        }
    }

    fn asked(
        data: &str,
        signature: &str,
        path: &str,
        query: &str,
        now: i64,
    ) -> Result<(), &'static str> {
        let keys = [
            key("token", "abcdefg", None),
            key("old", "abcdefg", Some(NOW)),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-akamai-g2o-auth-data", data),
            ("x-akamai-g2o-auth-sign", signature),
        ] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        let now = Timestamp::from_second(now).unwrap();
        let (headers, now) = (&headers, now);
        check(
            &keys,
            Signed {
                path,
                query,
                headers,
                now,
            },
        )
    }

    /// By Python's `hmac`.
    const MD5: (&str, &str) = (
        "3, 192.168.0.1, 192.168.1.1, 1302112359, 123, token",
        "OJ5NVeyCqqe46mgJ60TJqA==",
    );

    const SHA1: &str = "MnQ1qWCn1gIRPpljRbHhLeIhc/Q=";
    const SHA256: &str = "nrSt6OKOcAUH6yQ3QUCIxtHSRp62PEEGv9LCprjZR64=";
    const SHA256_QUERY: &str = "UDcHbItCnY0SeLM8KW6tYR4T7wtqN10UuNcCvqRyDdM=";

    #[test]
    fn signatures_of_others_hold() {
        for (data, signature, query) in [
            (MD5.0, MD5.1, ""),
            (
                "4, 192.168.0.1, 192.168.1.1, 1302112359, 123, token",
                SHA1,
                "",
            ),
            (
                "5, 192.168.0.1, 192.168.1.1, 1302112359, 123, token",
                SHA256,
                "",
            ),
            (
                "5, 192.168.0.1, 192.168.1.1, 1302112359, 123, token",
                SHA256_QUERY,
                "a=b&c",
            ),
        ] {
            assert_eq!(
                asked(data, signature, "/movie.mp4", query, NOW),
                Ok(()),
                "{data}"
            );
            assert_eq!(
                asked(data, signature, "/movie.mp4", query, NOW + 30),
                Ok(())
            );
            let wrong = Err("its signature is wrong");
            assert_eq!(asked(data, signature, "/other.mp4", query, NOW), wrong);
            assert_eq!(asked(data, signature, "/movie.mp4", "x", NOW), wrong);
            assert_eq!(
                asked(
                    &data.replace("168.1.1", "168.1.2"),
                    signature,
                    "/movie.mp4",
                    query,
                    NOW
                ),
                wrong
            );
        }
    }

    #[test]
    fn what_does_not_hold_says_why() {
        let (data, signature) = MD5;
        for (data, signature, now, why) in [
            ("", "", NOW, "it is not signed by a CDN"),
            (data, "", NOW, "it is not signed by a CDN"),
            (
                data,
                "OJ5NVeyCqqe46mgJ60TJqA",
                NOW,
                "its signature is not base64",
            ),
            (data, "AAAA", NOW, "its signature is wrong"),
            (
                data,
                signature,
                NOW + 31,
                "its signature is not of this time",
            ),
            (
                data,
                signature,
                NOW - 31,
                "its signature is not of this time",
            ),
            (
                "3, a, b, soon, 123, token",
                signature,
                NOW,
                "its signature's time is no number",
            ),
            (
                "3, a, b, 1302112359, token",
                signature,
                NOW,
                "its signature's data has not six fields",
            ),
            (
                "3, a, b, 1302112359, 1, other",
                signature,
                NOW,
                "its signature's key is not one of the endpoint's",
            ),
            (
                "3, a, b, 1302112359, 1, old",
                signature,
                NOW,
                "its signature's key is not one of the endpoint's",
            ),
            (
                "1, a, b, 1302112359, 1, token",
                signature,
                NOW,
                "its signature's version is not 3, 4 or 5",
            ),
            (
                "6, a, b, 1302112359, 1, token",
                signature,
                NOW,
                "its signature's version is not 3, 4 or 5",
            ),
        ] {
            assert_eq!(
                asked(data, signature, "/movie.mp4", "", now),
                Err(why),
                "{data}"
            );
        }
    }
}
