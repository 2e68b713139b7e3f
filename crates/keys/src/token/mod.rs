//! What a token restriction asks of a token (RFC 7519, RFC 8725; SWT 0.9.5.1; AMS `ContentKeyPolicyTokenRestriction`).

mod jwt;
mod key;
mod key_set;
mod rsa;
mod strict;
mod swt;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;

pub use key::VerificationKey;
pub use key_set::KeySet;

use headwater_protect::Kid;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

/// Tokens longer than this are not looked at.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Of a required claim without a value: the token's claim must be the id of the key that is asked for.
pub const CONTENT_KEY_IDENTIFIER: &str = "urn:microsoft:azure:mediaservices:contentkeyidentifier";
/// A token's claim that says how often it may be used.
pub const MAX_USES: &str = "urn:microsoft:azure:mediaservices:maxuses";
/// How far clocks may differ, in seconds.
const SKEW: i64 = 300;
/// A token whose uses are counted may last so long from now, in seconds.
const COUNTED_LIFE: i64 = 3600;
/// The end of the year 9999. What is later is no time but an attempt.
const LATEST: i64 = 253_402_300_799;

/// The two kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// JSON Web Token.
    Jwt,
    /// Simple Web Token.
    Swt,
}

/// A claim that a token must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredClaim {
    /// Its name.
    pub name: String,
    /// Its value; `None`: any, but for [`CONTENT_KEY_IDENTIFIER`].
    pub value: Option<String>,
}

/// Which tokens get a key.
#[derive(Debug, Clone)]
pub struct TokenRestriction {
    /// What is accepted, and nothing of the other kind.
    pub kind: TokenKind,
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud`, exactly, or a member of it.
    pub audience: String,
    /// The primary key, then the alternate ones.
    pub keys: Vec<VerificationKey>,
    /// The URL of an OpenID discovery document, whose keys are good as well.
    pub discovery: Option<String>,
    /// All of them.
    pub claims: Vec<RequiredClaim>,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    #[error("there is no token")]
    Missing,
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    #[error("the token is not well-formed")]
    Malformed,
    #[error("the token's header asks for something that is not done here")]
    Header,
    #[error("the token's algorithm is none that the configured keys are for")]
    Algorithm,
    #[error("no configured key made the token's signature")]
    Signature,
    #[error("the key that the token names is not among the provider's")]
    UnknownKey,
    #[error("the token has expired, or never does")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token lacks a required claim")]
    Claim,
    #[error("the token is for another key")]
    OtherKey,
    #[error("the token's uses cannot be counted, or are used up")]
    Uses,
}

impl TokenError {
    /// The token is genuine and current, only not good for this: 403 rather than 401.
    pub fn is_genuine(self) -> bool {
        matches!(self, Self::Claim | Self::OtherKey | Self::Uses)
    }
}

/// A token that may have the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// When it expires, in seconds since the epoch.
    pub expires: i64,
    /// How often it may be used; `None`: as often as it likes.
    pub uses: Option<Uses>,
}

/// That a token's uses are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// In all.
    pub most: u64,
    /// Tells tokens apart: SHA-256 of what was signed. Not of the signature, of which some algorithms have many for one
    /// token.
    pub fingerprint: [u8; 32],
}

/// What a checked signature leaves to check.
struct Signed<'a> {
    claims: Map<String, Json>,
    message: &'a [u8],
}

impl TokenRestriction {
    /// Whether `token` may have the key `kid`.
    ///
    /// `discovered`: the provider's keys, if there is a provider and it could be asked.
    /// Errors: [`TokenError`]; `UnknownKey` if other keys of the provider might help.
    pub fn verify(
        &self,
        token: &str,
        kid: Kid,
        discovered: Option<&KeySet>,
        now: Timestamp,
    ) -> Result<Accepted, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let signed = match self.kind {
            TokenKind::Jwt => jwt::check(token, &self.keys, discovered)?,
            TokenKind::Swt => swt::check(token, &self.keys)?,
        };
        self.judge(&signed, kid, now)
    }

    fn judge(&self, signed: &Signed<'_>, kid: Kid, now: Timestamp) -> Result<Accepted, TokenError> {
        let claims = &signed.claims;
        let now = now.as_second();
        let expires = seconds(claims.get("exp"))?.ok_or(TokenError::Expired)?;
        if now.saturating_sub(SKEW) >= expires {
            return Err(TokenError::Expired);
        }
        if let Some(from) = seconds(claims.get("nbf"))?
            && now.saturating_add(SKEW) < from
        {
            return Err(TokenError::NotYetValid);
        }
        // Nothing but a time, if it is there.
        seconds(claims.get("iat"))?;
        if claims.get("iss").and_then(Json::as_str) != Some(self.issuer.as_str()) {
            return Err(TokenError::Issuer);
        }
        let for_us = match claims.get("aud") {
            Some(Json::String(one)) => *one == self.audience,
            Some(Json::Array(all)) => {
                all.iter().all(Json::is_string)
                    && all
                        .iter()
                        .any(|one| one.as_str() == Some(self.audience.as_str()))
            }
            _ => false,
        };
        if !for_us {
            return Err(TokenError::Audience);
        }
        for claim in &self.claims {
            claim.check(claims.get(&claim.name), kid)?;
        }
        let uses = match claims.get(MAX_USES) {
            None => None,
            Some(value) => {
                let most = uses(value).ok_or(TokenError::Uses)?;
                if expires.saturating_sub(now) > COUNTED_LIFE {
                    return Err(TokenError::Uses);
                }
                let fingerprint = Sha256::digest(signed.message).into();
                Some(Uses { most, fingerprint })
            }
        };
        Ok(Accepted { expires, uses })
    }
}

impl RequiredClaim {
    fn check(&self, claim: Option<&Json>, kid: Kid) -> Result<(), TokenError> {
        let claim = claim
            .filter(|claim| !claim.is_null())
            .ok_or(TokenError::Claim)?;
        match &self.value {
            Some(value) if holds(claim, value) => Ok(()),
            Some(_) => Err(TokenError::Claim),
            None if self.name == CONTENT_KEY_IDENTIFIER => {
                let same = claim.as_str().and_then(Kid::parse) == Some(kid);
                if same {
                    Ok(())
                } else {
                    Err(TokenError::OtherKey)
                }
            }
            None => Ok(()),
        }
    }
}

/// Whether a claim is `value`, or a list that has it.
fn holds(claim: &Json, value: &str) -> bool {
    match claim {
        Json::String(text) => text == value,
        Json::Number(number) => number.to_string() == value,
        Json::Bool(flag) => flag.to_string() == value,
        Json::Array(all) => all.iter().any(|one| one.as_str() == Some(value)),
        _ => false,
    }
}

/// A time, if the claim is there. Whole seconds from the epoch to the year 9999.
fn seconds(claim: Option<&Json>) -> Result<Option<i64>, TokenError> {
    match claim {
        None => Ok(None),
        Some(value) => value
            .as_i64()
            .filter(|seconds| (0..=LATEST).contains(seconds))
            .map(Some)
            .ok_or(TokenError::Malformed),
    }
}

fn uses(claim: &Json) -> Option<u64> {
    let count = match claim {
        Json::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok()?
        }
        other => other.as_u64()?,
    };
    (1..=1_000_000).contains(&count).then_some(count)
}
