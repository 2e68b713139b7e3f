//! Claims, and the check of a token that somebody sent.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};

use crate::key::PublicKey;
use crate::permission::Role;
use crate::rights::Tree;

/// Who our tokens are for.
pub const AUDIENCE: &str = "headwater";

/// Whom the tokens are for that open the files of one asset and nothing else. Their `sub` is the asset's id.
pub const FILES_AUDIENCE: &str = "headwater-files";

/// Tokens longer than this are not looked at.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest that a token of ours may last, in seconds: a leap year.
pub const LONGEST_SECONDS: i64 = 366 * 24 * 3600;

/// How far the clocks of issuer and verifier may differ.
pub(crate) const LEEWAY_SECONDS: i64 = 30;

/// Why a token is not accepted, or none could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    #[error("the token is not a JSON Web Token of this service")]
    Malformed,
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    #[error("the token's signature, issuer or audience is wrong")]
    NotOurs,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the key is not an Ed25519 private key")]
    BadKey,
    #[error("no randomness available")]
    NoRandomness,
}

/// What the subject of a token is (Entra ID's `idtyp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A person, whose rights are looked up.
    User,
    /// An API client, whose rights are looked up.
    App,
}

/// What a token says. Instants are seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// Who: a user id, a client id, or the name of a worker.
    pub sub: String,
    /// What `sub` is. Without it the token stands for the installation itself (its workers, its command line), and its
    /// `roles` are all there is to look up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idtyp: Option<SubjectKind>,
    pub iat: i64,
    pub exp: i64,
    /// Identifies the token, for revocation.
    pub jti: String,
    /// MK.IO's kind of token: login, full-access, restricted, ephemeral.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// No more than these. Without it a person or client is not limited, and the installation's own token is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// The one project it is good for; without it, every project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// No more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Tree>,
}

impl Claims {
    /// Claims without `idtyp` and limits. `iat` and `exp`: seconds since the epoch.
    pub fn bare(issuer: &str, subject: &str, id: &str, iat: i64, exp: i64) -> Self {
        Self {
            iss: issuer.into(),
            aud: AUDIENCE.into(),
            sub: subject.into(),
            idtyp: None,
            iat,
            exp,
            jti: id.into(),
            kind: None,
            roles: None,
            project: None,
            permissions: None,
        }
    }
}

/// A genuine token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub claims: Claims,
    /// Of the key that signed it, for revocation.
    pub kid: String,
}

/// Tokens that a verifier remembers. Somebody who brings many different ones makes it forget, and nothing worse.
const REMEMBERED: usize = 64;

/// Checks tokens against a set of public keys.
///
/// A client sends the same token with each request, and checking a signature costs more than all else about a small one:
/// so a verifier remembers the last genuine tokens, for as long as it lives. What it remembers is that the signature is
/// good; how old the token is, is looked at each time.
pub struct Verifier {
    validation: Validation,
    keys: HashMap<String, DecodingKey>,
    genuine: Mutex<HashMap<String, Verified>>,
}

impl Verifier {
    /// `issuer`: what `iss` must be. Keys that are not Ed25519 public keys are left out.
    pub fn new(issuer: &str, keys: &[PublicKey]) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the clock; `verify` compares with the caller's `now` instead.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let keys = keys
            .iter()
            .filter_map(|key| {
                let decoding = DecodingKey::from_ed_components(&key.x).ok()?;
                (decoding.try_get_as_bytes().ok()?.len() == 32)
                    .then_some((key.kid.clone(), decoding))
            })
            .collect();
        Self {
            validation,
            keys,
            genuine: Mutex::default(),
        }
    }

    /// Whether a key of this id is known. If it is not, the caller may read the key table again.
    pub fn knows(&self, token: &str) -> bool {
        jsonwebtoken::decode_header(token)
            .ok()
            .and_then(|header| header.kid)
            .is_some_and(|kid| self.keys.contains_key(&kid))
    }

    /// The claims of a genuine token that is valid at `now`. Whether it was revoked is for the caller to look up.
    ///
    /// Errors: all but [`AuthError::BadKey`] and [`AuthError::NoRandomness`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, AuthError> {
        if let Some(verified) = self.remembered(token) {
            check_life(verified.claims.iat, verified.claims.exp, now)?;
            return Ok(verified);
        }
        let verified = self.check(token, now, &self.validation)?;
        if let Ok(mut genuine) = self.genuine.lock() {
            if genuine.len() >= REMEMBERED {
                genuine.clear();
            }
            genuine.insert(token.to_owned(), verified.clone());
        }
        Ok(verified)
    }

    fn remembered(&self, token: &str) -> Option<Verified> {
        self.genuine.lock().ok()?.get(token).cloned()
    }

    /// As [`Self::verify`], for tokens of [`FILES_AUDIENCE`].
    pub fn verify_for_files(&self, token: &str, now: Timestamp) -> Result<Verified, AuthError> {
        let mut validation = self.validation.clone();
        validation.set_audience(&[FILES_AUDIENCE]);
        self.check(token, now, &validation)
    }

    fn check(
        &self,
        token: &str,
        now: Timestamp,
        validation: &Validation,
    ) -> Result<Verified, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Malformed)?;
        let kid = header.kid.ok_or(AuthError::UnknownKey)?;
        let key = self.keys.get(&kid).ok_or(AuthError::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, validation)
            .map_err(|_| AuthError::NotOurs)?
            .claims;
        check_life(claims.iat, claims.exp, now)?;
        Ok(Verified { claims, kid })
    }
}

/// Whether `now` is between the two, in seconds since the epoch, give or take the leeway.
pub(crate) fn check_life(from: i64, exp: i64, now: Timestamp) -> Result<(), AuthError> {
    let now = now.as_second();
    if exp.saturating_add(LEEWAY_SECONDS) <= now {
        return Err(AuthError::Expired);
    }
    if from.saturating_sub(LEEWAY_SECONDS) > now {
        return Err(AuthError::NotYetValid);
    }
    Ok(())
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    const NOW: i64 = 1_800_000_000;

    fn claims() -> Claims {
        Claims {
            roles: Some(vec![Role::Operator]),
            project: Some("default".into()),
            ..Claims::bare("http://localhost:8080", "me", "1", NOW, NOW + 3600)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_that_is_remembered_still_grows_old() {
        let key = SigningKey::generate().unwrap();
        let verifier = Verifier::new("http://localhost:8080", &[key.public().clone()]);
        let token = key.issue(&claims()).unwrap();
        verifier.verify(&token, at(NOW)).unwrap();
        assert_eq!(verifier.verify(&token, at(NOW)).unwrap().claims, claims());
        assert_eq!(
            verifier.verify(&token, at(NOW + 7200)),
            Err(AuthError::Expired)
        );
        // A token of which one letter of the signature differs is another one.
        let mut forged = token.clone();
        let last = forged.pop().unwrap();
        forged.push(if last == 'A' { 'Q' } else { 'A' });
        assert!(verifier.verify(&forged, at(NOW)).is_err());
        for number in 0..2 * REMEMBERED {
            let other = Claims {
                jti: number.to_string(),
                ..claims()
            };
            let other = key.issue(&other).unwrap();
            verifier.verify(&other, at(NOW)).unwrap();
        }
        assert!(verifier.genuine.lock().unwrap().len() <= REMEMBERED);
        verifier.verify(&token, at(NOW)).unwrap();
    }

    #[test]
    fn accepts_its_own_and_nothing_else() {
        let key = SigningKey::generate().unwrap();
        let verifier = Verifier::new("http://localhost:8080", &[key.public().clone()]);
        let token = key.issue(&claims()).unwrap();
        assert_eq!(token.split('.').count(), 3);
        assert!(verifier.knows(&token));
        let verified = verifier.verify(&token, at(NOW)).unwrap();
        assert_eq!(verified.claims, claims());
        assert_eq!(verified.kid, key.public().kid);

        assert_eq!(
            verifier.verify(&token, at(NOW + 3631)).unwrap_err(),
            AuthError::Expired
        );
        assert_eq!(
            verifier.verify(&token, at(NOW - 31)).unwrap_err(),
            AuthError::NotYetValid
        );
        let other = SigningKey::generate().unwrap();
        assert_eq!(
            verifier
                .verify(&other.issue(&claims()).unwrap(), at(NOW))
                .unwrap_err(),
            AuthError::UnknownKey
        );
        for (issuer, audience) in [
            ("http://evil", AUDIENCE),
            ("http://localhost:8080", "other"),
        ] {
            let wrong = Claims {
                iss: issuer.into(),
                aud: audience.into(),
                ..claims()
            };
            assert_eq!(
                verifier
                    .verify(&key.issue(&wrong).unwrap(), at(NOW))
                    .unwrap_err(),
                AuthError::NotOurs
            );
        }
        let mut forged = token.clone();
        forged.replace_range(token.len() - 8..token.len() - 4, "AAAA");
        assert_eq!(
            verifier.verify(&forged, at(NOW)).unwrap_err(),
            AuthError::NotOurs
        );
        for junk in ["", "a.b.c", "....", &"x".repeat(10_000)] {
            assert_eq!(
                verifier.verify(junk, at(NOW)).unwrap_err(),
                AuthError::Malformed
            );
        }
    }

    #[test]
    fn a_token_for_files_opens_nothing_else() {
        let key = SigningKey::generate().unwrap();
        let verifier = Verifier::new("http://localhost:8080", &[key.public().clone()]);
        let token = key.issue(&claims()).unwrap();
        let for_files = Claims {
            aud: FILES_AUDIENCE.into(),
            ..claims()
        };
        let file_token = key.issue(&for_files).unwrap();
        assert_eq!(
            verifier
                .verify_for_files(&file_token, at(NOW))
                .unwrap()
                .claims,
            for_files
        );
        for crossed in [
            verifier.verify(&file_token, at(NOW)),
            verifier.verify_for_files(&token, at(NOW)),
        ] {
            assert_eq!(crossed.unwrap_err(), AuthError::NotOurs);
        }
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
        let key = SigningKey::generate().unwrap();
        let verifier = Verifier::new("http://localhost:8080", &[key.public().clone()]);
        for alg in ["none", "HS256", "EdDSA"] {
            let header = format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, key.public().kid);
            let token = format!(
                "{}.{}.",
                B64.encode(header),
                B64.encode(serde_json::to_vec(&claims()).unwrap())
            );
            assert!(verifier.verify(&token, at(NOW)).is_err(), "{alg}");
        }
    }
}
