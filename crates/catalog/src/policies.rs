//! Streaming policies: what a locator lets out, and in which shape.
//!
//! Six are predefined and exist in every project without a row; lists treat them like the others. What a policy encrypts is
//! read by [`crate::protection`].

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::Written;
use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::key_policies;
use crate::names;
use crate::protection::{self, Encryption, KeySystem};
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};

/// Protocols of one protection scheme.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protocols {
    pub hls: bool,
    pub dash: bool,
    pub smooth: bool,
    pub download: bool,
}

impl Protocols {
    /// Those that a scheme enables.
    pub(crate) fn read(scheme: &Json) -> Self {
        let enabled = |protocol: &str| {
            scheme
                .get("enabledProtocols")
                .and_then(|protocols| protocols.get(protocol))
                .and_then(Json::as_bool)
                .unwrap_or(false)
        };
        Self {
            hls: enabled("hls"),
            dash: enabled("dash"),
            smooth: enabled("smoothStreaming"),
            download: enabled("download"),
        }
    }
}

/// What a policy allows, by protection scheme.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publishing {
    /// AMS `noEncryption`.
    pub clear: Protocols,
    /// AMS `envelopeEncryption`.
    pub envelope: Protocols,
    /// AMS `commonEncryptionCenc`.
    pub cenc: Protocols,
    /// AMS `commonEncryptionCbcs`.
    pub cbcs: Protocols,
}

impl Publishing {
    /// Whether HLS or DASH is allowed in the clear.
    pub fn streams_clear(self) -> bool {
        self.clear.hls || self.clear.dash
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StreamingPolicy {
    pub name: String,
    /// The schemes, in AMS's names, without `created`.
    pub properties: Json,
    pub created: Timestamp,
}

/// Names of the predefined policies, in order.
pub const PREDEFINED: [&str; 6] = [
    "Predefined_ClearKey",
    "Predefined_ClearStreamingOnly",
    "Predefined_DownloadAndClearStreaming",
    "Predefined_DownloadOnly",
    "Predefined_MultiDrmCencStreaming",
    "Predefined_MultiDrmStreaming",
];

fn protocols(download: bool, dash: bool, hls: bool, smooth: bool) -> Json {
    json!({"download": download, "dash": dash, "hls": hls, "smoothStreaming": smooth})
}

fn content_keys(label: &str) -> Json {
    json!({"defaultKey": {"label": label}, "keyToTrackMappings": []})
}

/// The properties of a predefined policy, as AMS shows them.
fn predefined_properties(name: &str) -> Option<Json> {
    let cenc = |smooth| {
        json!({
            "enabledProtocols": protocols(false, true, false, smooth), "clearTracks": [],
            "contentKeys": content_keys("ContentKey_CENC"), "drm": {"playReady": {}, "widevine": {}},
        })
    };
    Some(match name {
        "Predefined_DownloadOnly" => {
            json!({"noEncryption": {"enabledProtocols": protocols(true, false, false, false)}})
        }
        "Predefined_ClearStreamingOnly" => {
            json!({"noEncryption": {"enabledProtocols": protocols(false, true, true, true)}})
        }
        "Predefined_DownloadAndClearStreaming" => {
            json!({"noEncryption": {"enabledProtocols": protocols(true, true, true, true)}})
        }
        "Predefined_ClearKey" => json!({"envelopeEncryption": {
            "enabledProtocols": protocols(false, true, true, true), "clearTracks": [],
            "contentKeys": content_keys("ContentKey_AES"),
        }}),
        "Predefined_MultiDrmCencStreaming" => json!({"commonEncryptionCenc": cenc(true)}),
        "Predefined_MultiDrmStreaming" => json!({
            "commonEncryptionCenc": cenc(true),
            "commonEncryptionCbcs": {
                "enabledProtocols": protocols(false, false, true, false), "clearTracks": [],
                "contentKeys": content_keys("ContentKey_CBCS"),
                "drm": {"fairPlay": {"allowPersistentLicense": false}},
            },
        }),
        _ => return None,
    })
}

fn predefined(name: &str) -> Option<StreamingPolicy> {
    Some(StreamingPolicy {
        name: name.to_owned(),
        properties: predefined_properties(name)?,
        created: Timestamp::UNIX_EPOCH,
    })
}

/// The properties of a policy. `custom_json`: those stored of a custom one.
///
/// `None` if there is no such policy.
pub(crate) fn properties(name: &str, custom_json: Option<&str>) -> Option<Json> {
    match predefined_properties(name) {
        Some(properties) => Some(properties),
        None => serde_json::from_str(custom_json?).ok(),
    }
}

/// What a policy allows. `custom_json`: the stored properties of a custom policy.
///
/// `None` if there is no such policy.
pub fn publishing(name: &str, custom_json: Option<&str>) -> Option<Publishing> {
    let properties = properties(name, custom_json)?;
    let mut publishing = Publishing {
        clear: properties
            .get("noEncryption")
            .map(Protocols::read)
            .unwrap_or_default(),
        ..Publishing::default()
    };
    for scheme in protection::schemes(&properties) {
        match scheme.encryption {
            Encryption::Envelope => publishing.envelope = scheme.protocols,
            // Smooth Streaming's players know no key system but PlayReady.
            Encryption::Cenc => {
                publishing.cenc = Protocols {
                    smooth: scheme.protocols.smooth && scheme.offers(KeySystem::PlayReady),
                    ..scheme.protocols
                };
            }
            Encryption::Cbcs => publishing.cbcs = scheme.protocols,
        }
    }
    Some(publishing)
}

const FIELDS: &[Field] = &[
    Field::new("name", "name", FieldKind::Text),
    Field::new("properties/created", "created", FieldKind::Time),
];

/// The custom policies, and the predefined ones in every project: so filter, order and pages go over all of them.
const ALL: &str = "(SELECT project_id, name, properties_json, created FROM streaming_policies
    UNION ALL SELECT projects.id, predefined.name, '', 0 FROM projects CROSS JOIN (
        SELECT 'Predefined_ClearKey' AS name
        UNION ALL SELECT 'Predefined_ClearStreamingOnly'
        UNION ALL SELECT 'Predefined_DownloadAndClearStreaming'
        UNION ALL SELECT 'Predefined_DownloadOnly'
        UNION ALL SELECT 'Predefined_MultiDrmCencStreaming'
        UNION ALL SELECT 'Predefined_MultiDrmStreaming'
    ) AS predefined) AS all_policies";

const ENTITY: Entity<StreamingPolicy> = Entity {
    one: "Streaming policy",
    many: "streaming policies",
    table: ALL,
    columns: "name, properties_json, created",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: FIELDS,
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<StreamingPolicy, CatalogError> {
    let name = row.text("name")?;
    if let Some(policy) = predefined(&name) {
        return Ok(policy);
    }
    Ok(StreamingPolicy {
        name,
        properties: row.json("properties_json")?,
        created: row.time("created")?,
    })
}

/// One policy, predefined or custom.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<StreamingPolicy, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// A page of the policies, predefined and custom.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<StreamingPolicy>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

/// Creates a custom policy. The same request again is answered with the policy that exists.
///
/// `properties`: checked by the caller for shape; here only for the content key policies that it names.
///
/// Errors: [`CatalogError::Invalid`] for a content key policy that does not exist or a predefined name,
/// [`CatalogError::Conflict`] if a policy of that name exists with other properties: policies are never changed.
pub async fn create<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    properties: Json,
    moment: Moment<'_>,
) -> Result<(StreamingPolicy, Written), CatalogError> {
    names::resource("name", name)?;
    if name.starts_with("Predefined_") {
        return Err(CatalogError::invalid(
            "name",
            "names that begin with 'Predefined_' are reserved",
        ));
    }
    let fingerprint = crate::fingerprint(&properties);
    let text = properties.to_string();
    let streams_clear = publishing(name, Some(&text)).is_some_and(Publishing::streams_clear);
    transaction(sql, async |sql| {
        let rows = sql
            .query(
                "INSERT INTO streaming_policies (project_id, name, properties_json, fingerprint, created, streams_clear)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (project_id, name) DO NOTHING RETURNING created",
                &[
                    project.into(),
                    name.into(),
                    Value::from(&text),
                    Value::from(&fingerprint),
                    moment.now.into(),
                    streams_clear.into(),
                ],
            )
            .await?;
        if !rows.is_empty() {
            check_key_policies(sql, project, &properties).await?;
            return Ok((get(sql, project, name).await?, Written::Created));
        }
        let same = sql
            .query(
                "SELECT 1 FROM streaming_policies WHERE project_id = ?1 AND name = ?2 AND fingerprint = ?3",
                &[project.into(), name.into(), Value::from(&fingerprint)],
            )
            .await?;
        if same.is_empty() {
            return Err(CatalogError::Conflict(format!(
                "Streaming policy '{name}' already exists and cannot be changed."
            )));
        }
        Ok((get(sql, project, name).await?, Written::Existing))
    })
    .await
}

/// Whether the content key policies that a new policy names exist.
async fn check_key_policies<S: Sql>(
    sql: &S,
    project: &ProjectId,
    properties: &Json,
) -> Result<(), CatalogError> {
    let member = "defaultContentKeyPolicyName";
    let default = properties.get(member).and_then(Json::as_str);
    let mut named: Vec<_> = default
        .map(|name| (format!("properties.{member}"), name.to_owned()))
        .into_iter()
        .collect();
    for scheme in protection::schemes(properties) {
        let field = format!("properties.{}.contentKeys", scheme.encryption.property());
        let names = scheme.keys.into_iter().filter_map(|key| key.policy_name);
        named.extend(names.map(|name| (field.clone(), name)));
    }
    for (field, name) in named {
        key_policies::named(sql, project, &field, &name).await?;
    }
    Ok(())
}

/// Deletes a custom policy. Says whether there was one.
///
/// Errors: [`CatalogError::Invalid`] for a predefined policy, [`CatalogError::Conflict`] while locators use it.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    if predefined(name).is_some() {
        return Err(CatalogError::invalid(
            "name",
            "predefined streaming policies cannot be deleted",
        ));
    }
    transaction(sql, async |sql| {
        let used = sql
            .query(
                "SELECT name FROM streaming_locators WHERE project_id = ?1 AND policy_name = ?2 LIMIT 1",
                &[project.into(), name.into()],
            )
            .await?;
        if let Some(row) = used.first() {
            return Err(CatalogError::Conflict(format!(
                "Streaming policy '{name}' is used by streaming locator '{}'.",
                row.text("name")?
            )));
        }
        let rows = sql
            .query(
                "DELETE FROM streaming_policies WHERE project_id = ?1 AND name = ?2 RETURNING name",
                &[project.into(), name.into()],
            )
            .await?;
        Ok(!rows.is_empty())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_six_predefined_policies_are_there_and_the_clear_ones_publish() {
        for name in PREDEFINED {
            assert!(predefined(name).is_some(), "{name} has properties");
            assert!(ALL.contains(&format!("'{name}'")), "{name} is listed");
        }
        let clear: Vec<_> = PREDEFINED
            .iter()
            .filter(|name| publishing(name, None).unwrap().clear != Protocols::default())
            .copied()
            .collect();
        assert_eq!(
            clear,
            [
                "Predefined_ClearStreamingOnly",
                "Predefined_DownloadAndClearStreaming",
                "Predefined_DownloadOnly"
            ]
        );
        let both = publishing("Predefined_DownloadAndClearStreaming", None)
            .unwrap()
            .clear;
        assert!(both.hls && both.dash && both.download);
        assert!(
            !publishing("Predefined_DownloadOnly", None)
                .unwrap()
                .clear
                .hls
        );
        let drm = publishing("Predefined_MultiDrmStreaming", None).unwrap();
        assert!(drm.cenc.dash && !drm.cenc.hls && drm.cbcs.hls && !drm.cbcs.dash);
        assert!(!drm.streams_clear());
        assert!(
            publishing("Predefined_ClearKey", None)
                .unwrap()
                .envelope
                .hls
        );
        assert_eq!(publishing("nobody", None), None);
    }
}
