//! Simple Web Tokens: form-encoded pairs, the last of which is an HMAC over everything before it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::key::hmac256;
use super::{Signed, TokenError, VerificationKey};

const SIGNATURE: &str = "&HMACSHA256=";
/// Most pairs.
const MOST_PAIRS: usize = 100;

/// Checks the signature against each configured symmetric key. Claims get the names that JSON Web Tokens have for them.
pub(super) fn check<'a>(
    token: &'a str,
    keys: &[VerificationKey],
) -> Result<Signed<'a>, TokenError> {
    let (message, signature) = token.rsplit_once(SIGNATURE).ok_or(TokenError::Malformed)?;
    if signature.contains('&') {
        return Err(TokenError::Malformed);
    }
    let signature: String =
        form_urlencoded::parse(format!("s={}", signature.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .ok_or(TokenError::Malformed)?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    let genuine = keys.iter().any(|key| match key {
        VerificationKey::Symmetric(secret) => {
            hmac256(secret.expose(), message.as_bytes(), &signature)
        }
        VerificationKey::Rsa(_) | VerificationKey::P256(_) => false,
    });
    if !genuine {
        return Err(TokenError::Signature);
    }
    Ok(Signed {
        claims: claims(message)?,
        message: message.as_bytes(),
    })
}

fn claims(message: &str) -> Result<Map<String, Json>, TokenError> {
    let mut claims = Map::new();
    for (at, (name, value)) in form_urlencoded::parse(message.as_bytes()).enumerate() {
        if at >= MOST_PAIRS || name.contains('\u{fffd}') || value.contains('\u{fffd}') {
            return Err(TokenError::Malformed);
        }
        let (name, value): (&str, Json) = match &*name {
            "Issuer" => ("iss", value.into()),
            "Audience" => ("aud", value.into()),
            "ExpiresOn" => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let seconds: i64 = digits
                    .then(|| value.parse().ok())
                    .flatten()
                    .ok_or(TokenError::Malformed)?;
                ("exp", seconds.into())
            }
            // What these names mean is said by those above.
            "iss" | "aud" | "exp" | "nbf" | "iat" | "HMACSHA256" => {
                return Err(TokenError::Malformed);
            }
            other => (other, value.into()),
        };
        if claims.insert(name.to_owned(), value).is_some() {
            return Err(TokenError::Malformed);
        }
    }
    Ok(claims)
}
