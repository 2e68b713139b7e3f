//! Which content keys a streaming locator has: one for each key of its streaming policy, some of them brought along by the
//! writer. Decided before anything is written.
//!
//! Spec: the management API reference, 1.8 and 3.3.

use headwater_protect::Rotation;
use headwater_seal::Secret;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::key_policies;
use crate::policies::StreamingPolicy;
use crate::protection::{self, Encryption, Scheme};
use crate::sql::Sql;

/// The member that names the default content key policy of a locator.
const KEY_POLICY: &str = "properties.defaultContentKeyPolicyName";
const STREAMING_POLICY: &str = "properties.streamingPolicyName";

/// What a key is for.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyUse {
    pub encryption: Encryption,
    /// Of the streaming policy.
    pub label: Option<String>,
    /// The content key policy that gives it out. `None`: somebody else does.
    pub policy_name: Option<String>,
    /// The tracks it is for; empty: all that no other key is for.
    pub tracks: Json,
}

impl KeyUse {
    /// A key with this use in AMS's names, without its value.
    pub fn describe(&self, id: Uuid) -> Map<String, Json> {
        let mut members = Map::new();
        members.insert("id".into(), id.to_string().into());
        members.insert("type".into(), self.encryption.name().into());
        if let Some(label) = &self.label {
            members.insert(
                "labelReferenceInStreamingPolicy".into(),
                label.clone().into(),
            );
        }
        if let Some(name) = &self.policy_name {
            members.insert("policyName".into(), name.clone().into());
        }
        members.insert("tracks".into(), self.tracks.clone());
        members
    }

    /// Whether both stand for the same key of their streaming policy: by its label, else by the tracks it is for.
    pub(crate) fn is_place_of(&self, other: &Self) -> bool {
        (self.encryption, &self.label) == (other.encryption, &other.label)
            && (self.label.is_some() || self.tracks == other.tracks)
    }

    fn is_default(&self) -> bool {
        self.tracks.as_array().is_none_or(Vec::is_empty)
    }
}

/// A key that a writer brings along.
#[derive(Debug, Clone)]
pub struct GivenKey {
    pub id: Uuid,
    /// Narrows down which keys of the policy are meant.
    pub encryption: Option<Encryption>,
    pub label: Option<String>,
    /// [`KEY_BYTES`](crate::locator_keys::KEY_BYTES) bytes; else that of a key with this id in the project, else made here.
    pub value: Option<Secret>,
    /// In place of the locator's content key policy.
    pub policy_name: Option<String>,
    /// Only what the streaming policy says.
    pub tracks: Option<Json>,
}

/// A key that a locator is to have.
#[derive(Debug, Clone)]
pub(crate) struct PlannedKey {
    pub(crate) usage: KeyUse,
    /// How often what is derived from it changes.
    pub(crate) rotation: Option<Rotation>,
    pub(crate) given: Option<GivenKey>,
    /// What a vendor made for it, in place of a key that is made here.
    pub(crate) ordered: Option<(Uuid, Secret)>,
    /// The member that names the content key policy, or should.
    policy_field: String,
}

/// Which keys a locator on `policy` has. `key_policy`: the locator's own default.
///
/// Errors: [`CatalogError::Invalid`] naming the given key that has no place.
pub(crate) fn plan(
    policy: &StreamingPolicy,
    key_policy: Option<&str>,
    given: &[GivenKey],
) -> Result<Vec<PlannedKey>, CatalogError> {
    let schemes = protection::schemes(&policy.properties);
    if schemes.is_empty() {
        return match (key_policy, given) {
            (None, []) => Ok(Vec::new()),
            (Some(_), _) => Err(not_encrypting(KEY_POLICY, policy)),
            (None, _) => Err(not_encrypting("properties.contentKeys", policy)),
        };
    }
    let mut places = open_places(policy, key_policy, &schemes);
    for (at, key) in given.iter().enumerate() {
        let field = format!("properties.contentKeys[{at}]");
        if !put_in_place(&field, key, &mut places)? {
            return Err(no_place(&field, policy, &schemes));
        }
    }
    Ok(places)
}

/// A key of a locator that a vendor made.
#[derive(Debug, Clone)]
pub struct OrderedKey {
    /// What it was ordered for.
    pub usage: KeyUse,
    pub id: Uuid,
    /// [`KEY_BYTES`](crate::locator_keys::KEY_BYTES) bytes.
    pub value: Secret,
}

/// Puts ordered keys where they were ordered for.
pub(crate) fn with_ordered(
    mut planned: Vec<PlannedKey>,
    ordered: &[OrderedKey],
) -> Vec<PlannedKey> {
    for key in &mut planned {
        let mine = ordered
            .iter()
            .find(|ordered| key.usage.is_place_of(&ordered.usage));
        key.ordered = mine.map(|ordered| (ordered.id, ordered.value.clone()));
    }
    planned
}

/// Finds the place of a given key. One with a label has all places of that label, one without has the one default place
/// that its type leaves. Says whether there is any.
fn put_in_place(
    field: &str,
    key: &GivenKey,
    places: &mut [PlannedKey],
) -> Result<bool, CatalogError> {
    let mut placed = false;
    for place in places.iter_mut().filter(|place| key.is_for(&place.usage)) {
        if place.given.is_some() || (placed && key.label.is_none()) {
            return Err(CatalogError::invalid(
                format!("{field}.labelReferenceInStreamingPolicy"),
                "must say which key of the streaming policy this is, one for each",
            ));
        }
        if key
            .tracks
            .as_ref()
            .is_some_and(|tracks| *tracks != place.usage.tracks)
        {
            return Err(CatalogError::invalid(
                format!("{field}.tracks"),
                "are those of the streaming policy and cannot be chosen here",
            ));
        }
        if key.policy_name.is_some() {
            place.usage.policy_name.clone_from(&key.policy_name);
            place.policy_field = format!("{field}.policyName");
        }
        place.given = Some(key.clone());
        placed = true;
    }
    Ok(placed)
}

impl GivenKey {
    fn is_for(&self, usage: &KeyUse) -> bool {
        let labelled = match &self.label {
            Some(_) => usage.label == self.label,
            None => usage.is_default(),
        };
        labelled && self.encryption.is_none_or(|kind| kind == usage.encryption)
    }
}

fn not_encrypting(field: &str, policy: &StreamingPolicy) -> CatalogError {
    CatalogError::invalid(
        field,
        format!(
            "Streaming policy '{}' does not encrypt, so there are no keys.",
            policy.name
        ),
    )
}

fn no_place(field: &str, policy: &StreamingPolicy, schemes: &[Scheme]) -> CatalogError {
    let keys: Vec<_> = schemes
        .iter()
        .flat_map(|scheme| {
            scheme.keys.iter().map(|key| {
                let label = key.label.as_deref().unwrap_or("without a label");
                format!("{label} ({})", scheme.encryption.name())
            })
        })
        .collect();
    CatalogError::invalid(
        format!("{field}.labelReferenceInStreamingPolicy"),
        format!(
            "Streaming policy '{}' has no such key; it has: {}.",
            policy.name,
            keys.join(", ")
        ),
    )
}

fn open_places(
    policy: &StreamingPolicy,
    key_policy: Option<&str>,
    schemes: &[Scheme],
) -> Vec<PlannedKey> {
    let default = text(&policy.properties, "defaultContentKeyPolicyName");
    let mut places = Vec::new();
    for scheme in schemes {
        for key in &scheme.keys {
            let (policy_name, field) = match (&key.policy_name, key_policy, &default) {
                (Some(name), _, _) => (Some(name.clone()), STREAMING_POLICY),
                (None, Some(name), _) => (Some(name.to_owned()), KEY_POLICY),
                (None, None, Some(name)) => (Some(name.clone()), STREAMING_POLICY),
                (None, None, None) => (None, KEY_POLICY),
            };
            places.push(PlannedKey {
                usage: KeyUse {
                    encryption: scheme.encryption,
                    label: key.label.clone(),
                    policy_name,
                    tracks: key.tracks.clone(),
                },
                rotation: scheme.rotation,
                given: None,
                ordered: None,
                policy_field: field.to_owned(),
            });
        }
    }
    places
}

fn text(object: &Json, member: &str) -> Option<String> {
    object.get(member)?.as_str().map(str::to_owned)
}

/// Whether players can come by all planned keys: the content key policies exist and have an option for each key system
/// that the streaming policy offers, unless that has a licence server of its own.
///
/// Errors: [`CatalogError::Invalid`].
pub(crate) async fn check_delivery<S: Sql>(
    sql: &S,
    project: &ProjectId,
    policy: &StreamingPolicy,
    planned: &[PlannedKey],
) -> Result<(), CatalogError> {
    let schemes = protection::schemes(&policy.properties);
    for key in planned {
        let invalid = |message: String| CatalogError::invalid(&key.policy_field, message);
        let ours: Vec<_> = schemes
            .iter()
            .filter(|scheme| scheme.encryption == key.usage.encryption)
            .flat_map(|scheme| &scheme.offers)
            .filter(|offer| offer.url_template.is_none())
            .map(|offer| offer.system)
            .collect();
        let Some(name) = &key.usage.policy_name else {
            // A key that the writer knows may be given out by the writer.
            let theirs = key
                .given
                .as_ref()
                .is_some_and(|given| given.value.is_some());
            if ours.is_empty() || theirs {
                continue;
            }
            return Err(invalid(format!(
                "is required: streaming policy '{}' encrypts, and nothing says who gets the keys",
                policy.name
            )));
        };
        let found = key_policies::named(sql, project, &key.policy_field, name).await?;
        if let Some(system) = ours
            .into_iter()
            .find(|system| !system.is_among(&found.options))
        {
            return Err(invalid(format!(
                "Content key policy '{name}' has no {} option, which streaming policy '{}' needs.",
                system.name(),
                policy.name
            )));
        }
    }
    Ok(())
}

/// The keys that the writer chose, in AMS's names, without their values.
pub(crate) fn shown(planned: &[PlannedKey]) -> Json {
    planned
        .iter()
        .filter_map(|key| Some(key.usage.describe(key.given.as_ref()?.id)))
        .map(Json::Object)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_key_of_a_policy_has_a_place_of_its_own() {
        let mapping = |code: &str| json!({"tracks": [{"trackSelections": [{"value": code}]}]});
        let keys = json!({"keyToTrackMappings": [mapping("mp4a"), mapping("hev1")]});
        let policy = StreamingPolicy {
            name: "p".into(),
            properties: json!({"commonEncryptionCenc": {"contentKeys": keys}}),
            created: jiff::Timestamp::UNIX_EPOCH,
        };
        let planned = plan(&policy, Some("k"), &[]).unwrap();
        assert_eq!(planned.len(), 3, "the default key and one for each mapping");
        for (at, key) in planned.iter().enumerate() {
            let same = |other: &PlannedKey| key.usage.is_place_of(&other.usage);
            assert_eq!(planned.iter().position(same), Some(at));
            assert_eq!(key.usage.policy_name.as_deref(), Some("k"));
        }
    }
}
