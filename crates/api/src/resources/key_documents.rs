//! Content keys as CPIX 2.3 documents: how packagers and key servers hand them to each other.
//!
//! Out: `listContentKeys` with `Accept: application/xml`. In: `contentKeyDocument` of a locator that is made, in place of
//! `contentKeys`. A key's label in the streaming policy is the label of its usage rule.

use headwater_catalog::key_plan::GivenKey;
use headwater_catalog::locator_keys::{ContentKey, KEY_BYTES};
use headwater_catalog::locators::StreamingLocator;
use headwater_catalog::protection::Encryption;
use headwater_protect::cpix::{self, Cpix, UsageRule};
use headwater_protect::{IvSpace, Key, Kid, Scheme};
use headwater_seal::Secret;
use http::HeaderMap;
use http::header::ACCEPT;

use crate::error::ApiError;

/// The media type of documents.
pub(super) const XML: &str = "application/xml";

/// Whether a client asks for a document.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        accepted.split(',').any(|one| {
            let kind = one.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case(XML)
        })
    })
}

/// The keys of a locator, with their values.
///
/// Errors: 500 for a key that is none.
pub(super) fn document(
    locator: &StreamingLocator,
    keys: &[ContentKey],
) -> Result<String, ApiError> {
    let content = locator.content_id.as_ref().unwrap_or(&locator.name);
    let mut document = Cpix {
        content_id: Some(content.clone()),
        version: Some("2.3".to_owned()),
        ..Cpix::default()
    };
    for key in keys {
        let kid = Kid::from(key.id);
        // One key may be for several places.
        if document.keys.iter().all(|known| known.kid != kid) {
            let scheme = match key.usage.encryption {
                Encryption::Envelope => None,
                Encryption::Cenc => Some(Scheme::Cenc),
                Encryption::Cbcs => Some(Scheme::Cbcs),
            };
            let value = Key::from_slice(key.value.expose())
                .map_err(|error| ApiError::internal(error.to_string()))?;
            document.keys.push(cpix::ContentKey {
                kid,
                value: Some(value),
                // What samples under cenc begin with is a vector of their own.
                explicit_iv: (scheme != Some(Scheme::Cenc)).then(|| IvSpace::constant(kid)),
                scheme,
            });
        }
        document.rules.push(UsageRule {
            kid: Some(kid),
            intended_track_type: key.usage.label.is_none().then(|| "ALL".to_owned()),
            labels: key.usage.label.iter().cloned().collect(),
            ..UsageRule::default()
        });
    }
    Ok(document.to_xml())
}

/// The keys of a document, to be brought along. `field`: where it is.
///
/// Errors: 400 for what is no document, keys without values or with a vector that is not ours, and more usage rules of a key
/// than can be followed.
pub(super) fn given(field: &str, text: &str) -> Result<Vec<GivenKey>, ApiError> {
    let refuse = |why: &str| ApiError::invalid(field, why);
    let document = Cpix::from_xml(text).map_err(|error| refuse(&error.to_string()))?;
    if document.keys.is_empty() {
        return Err(refuse("has no keys"));
    }
    let mut given = Vec::new();
    for key in &document.keys {
        let value = key.value.as_ref();
        let value = value.ok_or_else(|| refuse("has a key without its value"))?;
        if key
            .explicit_iv
            .is_some_and(|iv| iv != IvSpace::constant(key.kid))
        {
            return Err(refuse(
                "has a key with an initialisation vector that is not the one made of its id",
            ));
        }
        let labels: Vec<Option<String>> = document
            .rules
            .iter()
            .filter(|rule| rule.kid == Some(key.kid))
            .map(|rule| match rule.labels.as_slice() {
                [] => Ok(None),
                [label] => Ok(Some(label.clone())),
                _ => Err(refuse("has a usage rule of several labels")),
            })
            .collect::<Result<_, _>>()?;
        let labels = if labels.is_empty() {
            vec![None]
        } else {
            labels
        };
        for label in labels {
            given.push(GivenKey {
                id: key.kid.uuid(),
                encryption: key.scheme.map(|scheme| match scheme {
                    Scheme::Cenc | Scheme::Piff => Encryption::Cenc,
                    Scheme::Cbcs => Encryption::Cbcs,
                }),
                label,
                value: Some(Secret::new(value.expose().to_vec())),
                policy_name: None,
                tracks: None,
            });
        }
    }
    Ok(given)
}

// What a document holds.
const _: () = assert!(KEY_BYTES == 16);
