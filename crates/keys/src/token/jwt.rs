//! JSON Web Tokens in compact form (RFC 7515 §7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json};

use super::key_set::MOST_KID;
use super::{KeySet, Signed, TokenError, VerificationKey, strict};

/// Members of a header that bring keys along, change what is signed, or must be understood.
const REFUSED: [&str; 9] = [
    "jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk",
];

/// Checks the signature against each configured key, then against the provider's key that the header names.
pub(super) fn check<'a>(
    token: &'a str,
    keys: &[VerificationKey],
    discovered: Option<&KeySet>,
) -> Result<Signed<'a>, TokenError> {
    let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (head, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
    // The decoder takes no padding, no other alphabet and no stray bits, so there is one spelling of each token.
    let decode = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| TokenError::Malformed)
    };
    let raw = decode(signature)?;
    let header = strict::object(&decode(head)?).ok_or(TokenError::Malformed)?;
    let (algorithm, kid) = read_header(&header)?;
    if raw.is_empty() {
        return Err(TokenError::Signature);
    }

    let message = message.as_bytes();
    let mut fits = false;
    let mut genuine = false;
    for key in keys {
        match key.check(algorithm, message, signature, &raw) {
            Some(true) => {
                genuine = true;
                break;
            }
            Some(false) => fits = true,
            None => {}
        }
    }
    if !genuine {
        let found = discovered.zip(kid).map(|(set, kid)| set.get(kid));
        let verdict = match found {
            Some(Some(key)) => key.check(algorithm, message, signature, &raw),
            Some(None) => return Err(TokenError::UnknownKey),
            None => None,
        };
        match verdict {
            Some(true) => {}
            Some(false) => return Err(TokenError::Signature),
            None if fits => return Err(TokenError::Signature),
            None => return Err(TokenError::Algorithm),
        }
    }
    let claims = strict::object(&decode(payload)?).ok_or(TokenError::Malformed)?;
    Ok(Signed { claims, message })
}

fn read_header(header: &Map<String, Json>) -> Result<(&str, Option<&str>), TokenError> {
    if REFUSED.iter().any(|name| header.contains_key(*name)) {
        return Err(TokenError::Header);
    }
    let kind = |text: &str| text.eq_ignore_ascii_case("JWT") || text.eq_ignore_ascii_case("at+jwt");
    match header.get("typ") {
        None => {}
        Some(Json::String(text)) if kind(text) => {}
        Some(_) => return Err(TokenError::Header),
    }
    if header.contains_key("cty") {
        return Err(TokenError::Header);
    }
    let algorithm = header
        .get("alg")
        .and_then(Json::as_str)
        .ok_or(TokenError::Malformed)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Json::String(kid)) if kid.len() <= MOST_KID => Some(kid.as_str()),
        Some(_) => return Err(TokenError::Header),
    };
    Ok((algorithm, kid))
}
