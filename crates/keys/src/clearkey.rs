//! W3C ClearKey licences (Encrypted Media Extensions §9.1.3, §9.1.4). Not DRM: the page sees the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_protect::{Key, Kid};
use serde_json::{Value as Json, json};

use crate::request::{RequestError, init_data_kids};

/// Most keys in one request.
const MOST_KIDS: usize = 32;

/// The keys that a licence request asks for, each once. `pssh` boxes are taken as well, since some players send them.
///
/// Errors: `Malformed`.
pub(crate) fn kids_of(body: &[u8]) -> Result<Vec<Kid>, RequestError> {
    let malformed = RequestError::Malformed("the body is no ClearKey licence request");
    let read = match serde_json::from_slice::<Json>(body) {
        Ok(request) => {
            let kids = request
                .get("kids")
                .and_then(Json::as_array)
                .ok_or(malformed)?;
            kids.iter()
                .take(MOST_KIDS.saturating_add(1))
                .map(|kid| Kid::from_base64url(kid.as_str()?.trim_end_matches('=')))
                .collect::<Option<Vec<_>>>()
        }
        Err(_) => init_data_kids(body),
    };
    let mut kids = read.ok_or(malformed)?;
    kids.sort_unstable();
    kids.dedup();
    if kids.is_empty() || kids.len() > MOST_KIDS {
        return Err(malformed);
    }
    Ok(kids)
}

/// The licence: a JWK set of the keys that were granted. Give it one at least; nobody knows what to do with none.
pub fn licence(keys: &[(Kid, Key)]) -> Vec<u8> {
    let keys: Vec<_> = keys
        .iter()
        .map(|(kid, key)| json!({"kty": "oct", "kid": kid.base64url(), "k": URL_SAFE_NO_PAD.encode(key.expose())}))
        .collect();
    json!({"keys": keys, "type": "temporary"})
        .to_string()
        .into_bytes()
}
