//! Content keys that a project's vendor makes (SPEKE): ordered before a locator is written, so that no locator is without
//! keys, nor with keys that the vendor does not know.
//!
//! Ordered are the keys of common encryption for schemes that offer a system which the vendor licenses. Keys that the writer
//! brings along, and those that the locator or the project has already, are not. Of the vendor's signalling nothing is taken:
//! what players are told is made here, from key ids and the streaming policy's URL templates (ADR 22).

use bytes::Bytes;
use headwater_blob::HttpClient;
use headwater_catalog::key_plan::OrderedKey;
use headwater_catalog::locator_keys::MissingKey;
use headwater_catalog::locators::{self, NewLocator};
use headwater_catalog::policies::{self, StreamingPolicy};
use headwater_catalog::protection::{self, Encryption, KeySystem};
use headwater_catalog::{CatalogError, Sql};
use headwater_keys::speke::{MAX_ANSWER_BYTES, SpekeError};
use headwater_keys::{KeyVendor, System, WantedKey};
use headwater_protect::Scheme;
use headwater_seal::Secret;
use serde_json::Value as Json;

use crate::call::Call;
use crate::error::{ApiError, Kind};

const POLICY: &str = "properties.streamingPolicyName";

/// A scheme whose keys are ordered.
struct Ordered {
    encryption: Encryption,
    scheme: Scheme,
    /// Those of the vendor's that the streaming policy offers; not empty.
    systems: Vec<System>,
    /// Its keys rotate.
    rotates: bool,
}

/// What `vendor` makes the keys of.
fn ordered(vendor: &KeyVendor, policy: &StreamingPolicy) -> Vec<Ordered> {
    let schemes = protection::schemes(&policy.properties).into_iter();
    let ordered = schemes.filter_map(|scheme| {
        let systems: Vec<System> = scheme
            .offers
            .iter()
            .filter_map(|offer| match offer.system {
                KeySystem::Widevine => Some(System::Widevine),
                KeySystem::PlayReady => Some(System::PlayReady),
                KeySystem::FairPlay => Some(System::FairPlay),
                KeySystem::ClearKey => None,
            })
            .filter(|system| vendor.licenses(*system))
            .collect();
        let scheme_of = match scheme.encryption {
            Encryption::Envelope => return None,
            Encryption::Cenc => Scheme::Cenc,
            Encryption::Cbcs => Scheme::Cbcs,
        };
        (!systems.is_empty()).then_some(Ordered {
            encryption: scheme.encryption,
            scheme: scheme_of,
            systems,
            rotates: scheme.rotation.is_some(),
        })
    });
    ordered.collect()
}

async fn policy<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    name: &str,
) -> Result<Option<StreamingPolicy>, ApiError> {
    match policies::get(call.sql, &call.project()?.id, name).await {
        Ok(policy) => Ok(Some(policy)),
        // Whoever writes says so.
        Err(CatalogError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Has the vendor make the keys that `new` lacks.
///
/// Errors: 400 for a streaming policy whose keys rotate, as the vendor would not know those of periods, and for one whose keys the
/// vendor's contract cannot tell apart; 503 if the vendor does not answer
/// as it should; as `locators::keys_to_make`.
pub(super) async fn order<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    name: &str,
    new: &mut NewLocator,
) -> Result<(), ApiError> {
    let project = &call.project()?.id;
    let Some(vendor) = KeyVendor::choose(&call.settings.key_vendors, project.as_str()) else {
        return Ok(());
    };
    let Some(policy) = policy(call, &new.policy_name).await? else {
        return Ok(());
    };
    let schemes = ordered(vendor, &policy);
    if schemes.is_empty() {
        return Ok(());
    }
    if schemes.iter().any(|scheme| scheme.rotates) {
        return Err(ApiError::invalid(
            POLICY,
            "has keyRotationInterval for keys that this project's vendor makes: the vendor would not know those of periods",
        ));
    }
    let missing = locators::keys_to_make(call.sql, call.seal, project, name, new).await?;
    let content = new.content_id.as_deref().unwrap_or(name).to_owned();
    for scheme in schemes {
        let own: Vec<&MissingKey> = missing
            .iter()
            .filter(|key| key.usage.encryption == scheme.encryption)
            .collect();
        if own.is_empty() {
            continue;
        }
        let mut wanted = Vec::with_capacity(own.len());
        for key in &own {
            let id = key.id.unwrap_or_else(|| call.moment.ids.uuid());
            wanted.push(WantedKey {
                kid: id.into(),
                codes: codes(&key.usage.tracks),
            });
        }
        let keys = from_vendor(call, vendor, &content, &scheme, &wanted).await?;
        for (key, wanted) in own.into_iter().zip(&wanted) {
            let value = keys.iter().find(|(kid, _)| *kid == wanted.kid);
            // An accepted answer has them all.
            let (kid, value) = value.ok_or_else(|| refused(&"a key is missing"))?;
            new.ordered.push(OrderedKey {
                usage: key.usage.clone(),
                id: kid.uuid(),
                value: Secret::new(value.expose().to_vec()),
            });
        }
    }
    Ok(())
}

/// Refuses a streaming policy for locators that are made where no vendor can be asked.
///
/// Errors: 400 naming `properties.streamingPolicyName`.
pub(super) async fn refuse_ordered<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    name: &str,
) -> Result<(), ApiError> {
    let project = &call.project()?.id;
    let vendor = KeyVendor::choose(&call.settings.key_vendors, project.as_str());
    let (Some(vendor), Some(policy)) = (vendor, policy(call, name).await?) else {
        return Ok(());
    };
    if ordered(vendor, &policy).is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(
        POLICY,
        "has keys that this project's vendor makes, which an upload cannot wait for",
    ))
}

async fn from_vendor<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    vendor: &KeyVendor,
    content: &str,
    scheme: &Ordered,
    wanted: &[WantedKey],
) -> Result<Vec<(headwater_protect::Kid, headwater_protect::Key)>, ApiError> {
    let order = vendor
        .order(content, scheme.scheme, wanted, &scheme.systems)
        .map_err(|error| match error {
            SpekeError::Order(fault) => {
                ApiError::invalid(POLICY, format!("the key vendor's contract {fault}"))
            }
            other => refused(&other),
        })?;
    let request = vendor.request(&order).map_err(|error| refused(&error))?;
    let sent = call.http.send(request.map(Bytes::from)).await;
    let answer = sent.map_err(|error| refused(&error))?;
    if answer.body().len() > MAX_ANSWER_BYTES {
        return Err(refused(&"its answer is too long"));
    }
    vendor
        .keys(&order, answer.status(), answer.body())
        .map_err(|error| refused(&error))
}

/// The log gets to know why; what a vendor says is not for strangers.
fn refused(why: &dyn std::fmt::Display) -> ApiError {
    ApiError {
        context: Some(format!("the key vendor: {why}")),
        ..ApiError::new(
            Kind::Unavailable,
            "The vendor that makes this project's content keys did not give them. Nothing was changed.",
        )
    }
}

/// The sample entry codes of AMS's track selections.
fn codes(tracks: &Json) -> Vec<String> {
    let array = |value: &Json, member: &str| {
        let value = value.get(member).and_then(Json::as_array);
        value.cloned().unwrap_or_default()
    };
    let tracks = tracks.as_array().map(Vec::as_slice).unwrap_or_default();
    tracks
        .iter()
        .flat_map(|track| array(track, "trackSelections"))
        .filter_map(|condition| Some(condition.get("value")?.as_str()?.to_owned()))
        .collect()
}
