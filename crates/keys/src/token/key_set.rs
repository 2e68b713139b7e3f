//! The keys of an OpenID provider (RFC 7517), each with the one kind of algorithm it is for.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value as Json};

use super::key::VerificationKey;
use super::strict;

/// Keys of a set that are looked at.
const MOST_KEYS: usize = 100;
/// Longest key id.
pub(super) const MOST_KID: usize = 256;

/// A provider's public keys by id. Symmetric keys are never taken from a set: whoever can read it could sign.
#[derive(Debug, Clone, Default)]
pub struct KeySet(HashMap<String, VerificationKey>);

impl KeySet {
    /// Reads a JWK set. Keys without an id, for encryption, or of other kinds than RSA and P-256 are left out; of two with
    /// one id both are.
    ///
    /// Errors: what is wrong, for the log.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let set = strict::object(bytes).ok_or("the key set is no JSON object")?;
        let keys = set
            .get("keys")
            .and_then(Json::as_array)
            .ok_or("the key set has no keys")?;
        let mut found = HashMap::new();
        let mut twice = Vec::new();
        for (kid, key) in keys
            .iter()
            .take(MOST_KEYS)
            .filter_map(|key| read(key.as_object()?))
        {
            if found.insert(kid.clone(), key).is_some() {
                twice.push(kid);
            }
        }
        twice.iter().for_each(|kid| drop(found.remove(kid)));
        Ok(Self(found))
    }

    /// The key of that id.
    pub(super) fn get(&self, kid: &str) -> Option<&VerificationKey> {
        self.0.get(kid)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read(key: &Map<String, Json>) -> Option<(String, VerificationKey)> {
    let text = |name: &str| key.get(name).and_then(Json::as_str);
    let kid = text("kid").filter(|kid| !kid.is_empty() && kid.len() <= MOST_KID)?;
    if key.contains_key("use") && text("use") != Some("sig") {
        return None;
    }
    let number = |name: &str| {
        URL_SAFE_NO_PAD
            .decode(text(name)?.trim_end_matches('='))
            .ok()
    };
    let (made, algorithms): (_, &[&str]) = match text("kty")? {
        "RSA" => (
            VerificationKey::rsa(&number("n")?, &number("e")?).ok()?,
            &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ),
        "EC" if text("crv") == Some("P-256") => {
            let key = DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?;
            (VerificationKey::P256(Box::new(key)), &["ES256"])
        }
        _ => return None,
    };
    if key.contains_key("alg") && !algorithms.contains(&text("alg")?) {
        return None;
    }
    Some((kid.to_owned(), made))
}
