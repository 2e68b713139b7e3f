//! Keys with which Akamai's servers sign what they ask an endpoint for: `akamaiSignatureHeaderAuthenticationKeyList`.
//!
//! In `properties_json` the list has identifiers and ends; `akamai_sealed` is a JSON array of the keys in the same order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_seal::{Seal, Secret};
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::error::CatalogError;
use crate::ids::Moment;
use crate::sql::{Row, Value};

const ACCESS: &str = "accessControl";
/// In that.
const LIST: &str = "/akamai/akamaiSignatureHeaderAuthenticationKeyList";
const KEY: &str = "base64Key";

/// A key of the list.
#[derive(Debug, Clone)]
pub struct SignatureKey {
    /// What signers name it: Akamai's nonce.
    pub identifier: String,
    pub key: Secret,
    /// Not taken from then on.
    pub expires: Option<Timestamp>,
}

impl PartialEq for SignatureKey {
    fn eq(&self, other: &Self) -> bool {
        let all = |key: &Self| (key.identifier.clone(), key.expires);
        all(self) == all(other) && self.key.expose() == other.key.expose()
    }
}

impl Eq for SignatureKey {}

/// The keys that `properties` name, in clear. `None`: not what the API writes.
pub(super) fn read(properties: &Map<String, Json>) -> Option<Vec<SignatureKey>> {
    let Some(listed) = list(properties) else {
        return Some(Vec::new());
    };
    let keys = listed.iter().map(|key| {
        let expires = key.get("expiration").and_then(Json::as_str);
        Some(SignatureKey {
            identifier: key.get("identifier")?.as_str()?.to_owned(),
            key: Secret::new(STANDARD.decode(key.get(KEY)?.as_str()?).ok()?),
            expires: expires.map(str::parse).transpose().ok()?,
        })
    });
    keys.collect()
}

fn list(properties: &Map<String, Json>) -> Option<&Vec<Json>> {
    properties.get(ACCESS)?.pointer(LIST)?.as_array()
}

fn list_mut(properties: &mut Map<String, Json>) -> Option<&mut Vec<Json>> {
    properties
        .get_mut(ACCESS)?
        .pointer_mut(LIST)?
        .as_array_mut()
}

/// Keys as they are kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sealed {
    id: Uuid,
    bytes: Vec<u8>,
}

fn context(id: Uuid) -> String {
    format!("streaming-endpoint/{id}/akamai")
}

impl Sealed {
    pub(super) fn of(row: &Row<'_>) -> Result<Option<Self>, CatalogError> {
        let Some(bytes) = row.opt_blob("akamai_sealed")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            id: row.uuid("akamai_id")?,
            bytes,
        }))
    }

    /// The keys in base64, in the order of the list.
    pub(super) fn open(&self, seal: &Seal) -> Result<Vec<String>, CatalogError> {
        let opened = seal.open(&context(self.id), &self.bytes)?;
        serde_json::from_slice(opened.expose())
            .map_err(|_| CatalogError::corrupt("akamai_sealed", "not the JSON expected"))
    }
}

/// Takes the keys out of `properties`: the values of `akamai_id` and `akamai_sealed`.
pub(super) fn seal(
    properties: &mut Map<String, Json>,
    seal: &Seal,
    moment: Moment<'_>,
) -> Result<(Value, Value), CatalogError> {
    let listed = list_mut(properties).map(Vec::as_mut_slice);
    let keys = listed.unwrap_or_default().iter_mut().filter_map(|key| {
        let key = key.as_object_mut()?.remove(KEY)?;
        Some(key.as_str().unwrap_or_default().to_owned())
    });
    let keys: Vec<String> = keys.collect();
    if keys.is_empty() {
        return Ok((Value::Null, Value::Null));
    }
    let id = moment.ids.uuid();
    let plain = Secret::new(serde_json::to_vec(&keys).unwrap_or_default());
    let sealed = seal.seal(&context(id), plain.expose())?;
    Ok((id.into(), sealed.into()))
}

/// Puts the keys back into `properties`, from which [`seal`] has taken them.
pub(super) fn put_back(properties: &mut Map<String, Json>, keys: Vec<String>) {
    let listed = list_mut(properties).map(Vec::as_mut_slice);
    for (listed, key) in listed.unwrap_or_default().iter_mut().zip(keys) {
        if let Some(members) = listed.as_object_mut() {
            members.insert(KEY.to_owned(), key.into());
        }
    }
}
