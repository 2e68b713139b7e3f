//! Taking over what was exported from Azure Media Services: containers become assets where they lie, locators keep their
//! ids and content keys their values. Documentation: `docs/import.md`.
//!
//! A document is looked at before anything is made of it (`dryRun`, which is the default): what is there already, what
//! would be made, what cannot be, and what of each asset will play. Making it is what a client's own PUTs would do, one
//! after the other; what cannot be made does not keep the rest from it, and the same document again makes what is missing.

use bytes::Bytes;
use headwater_auth::{Permission, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::locators as catalog_locators;
use headwater_catalog::{CatalogError, Sql, assets as catalog_assets, filters as catalog_filters};
use headwater_catalog::{
    key_policies as catalog_key_policies, names, policies as catalog_policies, storage,
};
use headwater_cmaf::index::TrackKind;
use headwater_ism::{EntryKind, ServerManifest, TrackEntry};
use headwater_origin::{Report, Storage as _, StorageError};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::import_items::Item;
use super::locator_paths::streaming_paths;
use super::streaming_report::{self, Streaming};
use super::{assets, filters, key_policies, locators, policies};
use crate::Incoming;
use crate::access;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::place::Place;
use crate::reply::Reply;
use crate::routes::Vars;

/// Most resources of a kind in one document.
pub(crate) const MOST_ITEMS: usize = 1000;
/// Most assets in one document: each of them is looked into.
pub(crate) const MOST_ASSETS: usize = 20;

const SECTIONS: &[&str] = &[
    "dryRun",
    "contentKeyPolicies",
    "streamingPolicies",
    "accountFilters",
    "assets",
    "streamingLocators",
];

/// A document, taken apart.
struct Document {
    dry_run: bool,
    key_policies: Vec<Item>,
    policies: Vec<Item>,
    filters: Vec<Item>,
    assets: Vec<Item>,
    /// With the name of their asset.
    asset_filters: Vec<(String, Item)>,
    locators: Vec<Item>,
}

impl Document {
    fn read(body: &Json) -> Result<Self, ApiError> {
        let root = Object::root(body)?;
        root.only(SECTIONS)?;
        let section = |name: &str, most: usize, known: &[&str]| {
            let items = root.objects(name)?.unwrap_or_default();
            if items.len() > most {
                return Err(ApiError::invalid(
                    root.path(name),
                    format!("must have at most {most} members"),
                ));
            }
            let items = items.iter().map(|item| Item::read(item, known));
            items.collect::<Result<Vec<_>, _>>()
        };
        let asset_members: Vec<&str> = assets::WRITABLE.to_vec();
        let assets = section("assets", MOST_ASSETS, &asset_members)?;
        let mut asset_filters = Vec::new();
        for asset in root.objects("assets")?.unwrap_or_default() {
            let name = asset.required_text("name")?;
            for filter in asset.objects("assetFilters")?.unwrap_or_default() {
                asset_filters.push((name.clone(), Item::read(&filter, FILTER)?));
            }
        }
        Ok(Self {
            dry_run: root.flag("dryRun")?.unwrap_or(true),
            key_policies: section(
                "contentKeyPolicies",
                MOST_ITEMS,
                &["description", "options"],
            )?,
            policies: section("streamingPolicies", MOST_ITEMS, POLICY)?,
            filters: section("accountFilters", MOST_ITEMS, FILTER)?,
            assets,
            asset_filters,
            locators: section("streamingLocators", MOST_ITEMS, locators::WRITABLE)?,
        })
    }
}

const FILTER: &[&str] = &["presentationTimeRange", "firstQuality", "tracks"];
const POLICY: &[&str] = &[
    "defaultContentKeyPolicyName",
    "noEncryption",
    "envelopeEncryption",
    "commonEncryptionCenc",
    "commonEncryptionCbcs",
];

/// What became of a resource, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    WouldCreate,
    Created,
    Exists,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::WouldCreate => "WouldCreate",
            Self::Created => "Created",
            Self::Exists => "Exists",
        }
    }

    fn of(reply: &Reply) -> Self {
        match reply.status() {
            http::StatusCode::CREATED => Self::Created,
            _ => Self::Exists,
        }
    }
}

/// The lines of the report, one for each resource.
#[derive(Default)]
struct Lines(Vec<Json>);

impl Lines {
    /// Errors: those that are not about this resource, but about us or storage.
    fn add(
        &mut self,
        (kind, name): (&str, &str),
        result: Result<Outcome, ApiError>,
        more: Map<String, Json>,
    ) -> Result<(), ApiError> {
        let mut line = more;
        line.insert("kind".into(), kind.into());
        line.insert("name".into(), name.into());
        match result {
            Ok(outcome) => {
                line.insert("outcome".into(), outcome.name().into());
            }
            Err(error) => {
                if matches!(error.kind, Kind::Internal | Kind::Unavailable) {
                    return Err(error);
                }
                line.insert("outcome".into(), "Refused".into());
                line.insert("reason".into(), error.message.into());
            }
        }
        self.0.push(Json::Object(line));
        Ok(())
    }
}

/// The same caller's call for something else.
fn instead<'c, S, C>(
    call: &'c Call<'_, S, C>,
    vars: &[(&'static str, &str)],
    body: &'c Bytes,
) -> Call<'c, S, C> {
    Call {
        sql: call.sql,
        http: call.http,
        seal: call.seal,
        settings: call.settings,
        moment: call.moment,
        dialect: call.dialect,
        vars: Vars::of(vars),
        project: call.project.clone(),
        caller: call.caller.clone(),
        incoming: Incoming {
            path: call.incoming.path,
            query: call.incoming.query.clone(),
            headers: call.incoming.headers,
            origin: call.incoming.origin.clone(),
            body,
        },
    }
}

fn bytes(body: &Json) -> Bytes {
    Bytes::from(body.to_string())
}

fn check_rights<S, C>(call: &Call<'_, S, C>, document: &Document) -> Result<(), ApiError> {
    let needed = [
        (
            ResourceKind::ContentKeyPolicy,
            document.key_policies.is_empty(),
        ),
        (ResourceKind::StreamingPolicy, document.policies.is_empty()),
        (
            ResourceKind::Filter,
            document.filters.is_empty() && document.asset_filters.is_empty(),
        ),
        (ResourceKind::StreamingLocator, document.locators.is_empty()),
    ];
    let place = access::place(call.project.as_ref());
    for (kind, unused) in needed {
        if !unused
            && !call
                .caller()?
                .may(Permission::new(kind, Verb::Write), place)
        {
            return Err(ApiError::new(
                Kind::PermissionDenied,
                format!("The token's roles do not allow this (Write {kind:?})."),
            ));
        }
    }
    Ok(())
}

pub(super) async fn import<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let document = Document::read(&call.body()?)?;
    check_rights(call, &document)?;
    let dry = document.dry_run;
    let mut lines = Lines::default();
    for item in &document.key_policies {
        let result = key_policy(call, item, dry).await;
        lines.add(("ContentKeyPolicy", &item.name), result, Map::new())?;
    }
    for item in &document.policies {
        let result = policy(call, item, dry).await;
        lines.add(("StreamingPolicy", &item.name), result, Map::new())?;
    }
    for item in &document.filters {
        let result = filter(call, None, item, dry).await;
        lines.add(("AccountFilter", &item.name), result, Map::new())?;
    }
    let mut looked = Vec::new();
    for item in &document.assets {
        let mut more = Map::new();
        let result = asset(call, item, dry, &mut more).await;
        let result = result.map(|(outcome, streaming)| {
            looked.push((item.name.clone(), streaming));
            outcome
        });
        lines.add(("Asset", &item.name), result, more)?;
    }
    for (asset, item) in &document.asset_filters {
        let result = filter(call, Some(asset), item, dry).await;
        let more = Map::from_iter([("assetName".to_owned(), asset.clone().into())]);
        lines.add(("AssetFilter", &item.name), result, more)?;
    }
    for item in &document.locators {
        let mut more = Map::new();
        let result = locator(call, item, &document, &looked, &mut more).await;
        lines.add(("StreamingLocator", &item.name), result, more)?;
    }
    Ok(Reply::ok(json!({ "dryRun": dry, "items": lines.0 })))
}

/// Whether something is there, from what a look for it gave.
fn is_there<T>(found: Result<T, CatalogError>) -> Result<bool, ApiError> {
    match found {
        Ok(_) => Ok(true),
        Err(CatalogError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn would(exists: bool) -> Outcome {
    match exists {
        true => Outcome::Exists,
        false => Outcome::WouldCreate,
    }
}

async fn key_policy<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    item: &Item,
    dry: bool,
) -> Result<Outcome, ApiError> {
    names::resource("name", &item.name)?;
    key_policies::read(&item.body)?;
    let there = catalog_key_policies::get(call.sql, &call.project()?.id, &item.name).await;
    // A policy that is there may have been changed since; it is not set back.
    if dry || is_there(there)? {
        let there = catalog_key_policies::get(call.sql, &call.project()?.id, &item.name).await;
        return Ok(would(is_there(there)?));
    }
    let body = bytes(&item.body);
    let put = instead(call, &[("policy", &item.name)], &body);
    key_policies::put(&put)
        .await
        .map(|reply| Outcome::of(&reply))
}

async fn policy<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    item: &Item,
    dry: bool,
) -> Result<Outcome, ApiError> {
    let there = catalog_policies::get(call.sql, &call.project()?.id, &item.name).await;
    let there = is_there(there)?;
    // Predefined ones are in every list that Azure gives.
    if there || item.name.starts_with("Predefined_") {
        return match there {
            true => Ok(Outcome::Exists),
            false => Err(ApiError::new(
                Kind::NotFound,
                "There is no such predefined streaming policy here.",
            )),
        };
    }
    names::resource("name", &item.name)?;
    policies::read(&item.body)?;
    if dry {
        return Ok(Outcome::WouldCreate);
    }
    let body = bytes(&item.body);
    let put = instead(call, &[("policy", &item.name)], &body);
    policies::put(&put).await.map(|reply| Outcome::of(&reply))
}

async fn filter<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: Option<&str>,
    item: &Item,
    dry: bool,
) -> Result<Outcome, ApiError> {
    names::resource("name", &item.name)?;
    filters::read(&item.body)?;
    let owner = match asset {
        Some(asset) => catalog_filters::Owner::Asset(asset),
        None => catalog_filters::Owner::Account,
    };
    let there = catalog_filters::get(call.sql, &call.project()?.id, owner, &item.name).await;
    let there = is_there(there)?;
    if dry || there {
        return Ok(would(there));
    }
    let body = bytes(&item.body);
    let vars = [("asset", asset.unwrap_or_default()), ("filter", &item.name)];
    let put = instead(call, &vars, &body);
    filters::put(&put).await.map(|reply| Outcome::of(&reply))
}

/// An asset over a container that is there, and what of it plays. A missing server manifest is written.
async fn asset<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    item: &Item,
    dry: bool,
    more: &mut Map<String, Json>,
) -> Result<(Outcome, Streaming), ApiError> {
    names::resource("name", &item.name)?;
    let encrypted = item.members.get("storageEncryptionFormat");
    if encrypted.is_some_and(|format| format == "MediaStorageClientEncryption") {
        return Err(ApiError::new(
            Kind::WrongState,
            "The asset is encrypted in storage. Its key was Azure Media Services' to give out, and is in no container; decrypt \
             it with an exported key first.",
        ));
    }
    let project = &call.project()?.id;
    let mut item = item.clone();
    if item.get("containerDeletionPolicy").is_none() {
        // What was there before us stays when we are done with it.
        item.set("containerDeletionPolicy", "Retain".into());
    }
    let body = bytes(&item.body);
    let put = instead(call, &[("asset", &item.name)], &body);
    let write = assets::read(&put)?;
    let existing = catalog_assets::find(call.sql, project, &item.name).await?;
    let account = match (&existing, &write.storage_account) {
        (Some(asset), _) => storage::get(call.sql, project, &asset.storage_account).await?,
        (None, Some(name)) => storage::get(call.sql, project, name).await?,
        (None, None) => storage::primary(call.sql, project).await?,
    };
    let (container, folder) = match (&existing, &write.container) {
        (Some(asset), _) => (asset.container.clone(), asset.sub_path.clone()),
        (None, Some(container)) => {
            names::container("container", container)?;
            (
                container.clone(),
                write.sub_path.clone().unwrap_or_default(),
            )
        }
        (None, None) => {
            return Err(ApiError::invalid(
                "container",
                "is required: an import makes no containers",
            ));
        }
    };
    let place = assets::open(call, &account, &container, &folder)?;
    let (files, folders) = place.list().await?;
    if files.is_empty() && folders.is_empty() {
        return Err(ApiError::new(
            Kind::NotFound,
            format!(
                "Container '{container}' of storage account '{}' is empty or not there.",
                account.name
            ),
        ));
    }
    let manifest = existing
        .as_ref()
        .and_then(|asset| asset.manifest.as_deref());
    let mut streaming = streaming_report::look(&place, manifest, call.moment.now).await?;
    let missing = match (&streaming.stem, streaming.report.has_manifest) {
        (Some(stem), false) if !streaming.report.tracks.is_empty() => Some(format!("{stem}.ism")),
        _ => None,
    };
    if let Some(name) = &missing {
        more.insert("serverManifest".into(), name.clone().into());
    }
    more.insert("streaming".into(), streaming_report::render(&streaming));
    if dry {
        return Ok((would(existing.is_some()), streaming));
    }
    let wanted = item.members.get("assetId").and_then(Json::as_str);
    let wanted = wanted.and_then(|id| Uuid::parse_str(id).ok());
    let outcome = match existing {
        Some(_) => Outcome::Exists,
        None => Outcome::of(&assets::put_as(&put, wanted).await?),
    };
    if let Some(name) = missing {
        write_manifest(&place, &name, &streaming.report).await?;
        catalog_assets::set_manifest(call.sql, project, &item.name, &name).await?;
        streaming.report.has_manifest = true;
    }
    Ok((outcome, streaming))
}

/// Writes a server manifest that lists what a report found. One that is there by now stays.
async fn write_manifest<C: HttpClient>(
    place: &Place<'_, C>,
    name: &str,
    report: &Report,
) -> Result<(), ApiError> {
    let text = headwater_ism::write(&manifest_of(report));
    let (storage, folder) = (place.blobs(), place.folder());
    match storage.put(&folder, name, Bytes::from(text), None).await {
        Ok(_) | Err(StorageError::Changed) => Ok(()),
        Err(error) => Err(ApiError {
            context: Some(error.to_string()),
            ..ApiError::new(
                Kind::Upstream,
                format!("Storage refused the server manifest '{name}'."),
            )
        }),
    }
}

fn manifest_of(report: &Report) -> ServerManifest {
    let tracks = report.tracks.iter().filter_map(|track| {
        let kind = match track.kind {
            TrackKind::Video => EntryKind::Video,
            TrackKind::Audio => EntryKind::Audio,
            TrackKind::Text => return None,
        };
        let mut entry = TrackEntry::new(kind, track.file.clone());
        entry.bitrate = Some(track.bitrate);
        entry.track_id = Some(track.id);
        entry.track_name = Some(track.name.clone());
        entry.language = track.language.clone();
        Some(entry)
    });
    let smooth = |file: &str| {
        let file = file.to_ascii_lowercase();
        file.ends_with(".ismv") || file.ends_with(".isma")
    };
    let all_smooth = report.tracks.iter().all(|track| smooth(&track.file));
    ServerManifest {
        formats: Some(if all_smooth { "fmp4" } else { "mp4" }.to_owned()),
        tracks: tracks.collect(),
        ..ServerManifest::default()
    }
}

async fn locator<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    item: &Item,
    document: &Document,
    looked: &[(String, Streaming)],
    more: &mut Map<String, Json>,
) -> Result<Outcome, ApiError> {
    let project = &call.project()?.id;
    let mut item = item.clone();
    // As `listContentKeys` answers.
    if let Some(keys) = item
        .get("contentKeys")
        .and_then(|keys| keys.get("contentKeys"))
        .cloned()
    {
        item.set("contentKeys", keys);
    }
    let body = bytes(&item.body);
    let put = instead(call, &[("locator", &item.name)], &body);
    let new = locators::read(&put)?;
    let listed = |items: &[Item], name: &str| items.iter().any(|item| item.name == name);
    let policy = catalog_policies::get(call.sql, project, &new.policy_name).await;
    let stored = match policy {
        Ok(policy) => Some(policy.properties.to_string()),
        Err(CatalogError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let described = document
        .policies
        .iter()
        .find(|policy| policy.name == new.policy_name);
    let described = described.and_then(|policy| policy.body.get("properties"));
    let properties = stored.or(described.map(Json::to_string));
    let properties = properties.ok_or_else(|| {
        ApiError::new(
            Kind::NotFound,
            format!(
                "Streaming policy '{}' is neither here nor in the document.",
                new.policy_name
            ),
        )
    })?;
    let asset_there = catalog_assets::find(call.sql, project, &new.asset_name)
        .await?
        .is_some();
    if !asset_there && !listed(&document.assets, &new.asset_name) {
        return Err(ApiError::new(
            Kind::NotFound,
            format!(
                "Asset '{}' is neither here nor in the document.",
                new.asset_name
            ),
        ));
    }
    let mut warnings: Vec<String> = Vec::new();
    let publishing = catalog_policies::publishing(&new.policy_name, Some(&properties));
    let publishing = publishing.unwrap_or_default();
    let encrypts = [publishing.envelope, publishing.cenc, publishing.cbcs]
        .iter()
        .any(|protocols| protocols.hls || protocols.dash || protocols.smooth);
    if encrypts && new.keys.is_empty() {
        warnings.push(
            "The streaming policy encrypts and there are no content keys: new ones are made, and licences that players have \
             stored do not open them."
                .to_owned(),
        );
    }
    let without = new.keys.iter().filter(|key| key.value.is_none()).count();
    if without > 0 {
        warnings.push(format!(
            "{without} content keys have no value: new values are made under their ids."
        ));
    }
    if let Some(policy) = &new.key_policy {
        let there = catalog_key_policies::get(call.sql, project, policy).await;
        if !is_there(there)? && !listed(&document.key_policies, policy) {
            return Err(ApiError::new(
                Kind::NotFound,
                format!("Content key policy '{policy}' is neither here nor in the document."),
            ));
        }
    }
    if new.locator_id.is_none() {
        warnings.push(
            "There is no streamingLocatorId: the locator gets a new one, and old URLs end."
                .to_owned(),
        );
    }
    let found = looked.iter().find(|(name, _)| *name == new.asset_name);
    if let Some((_, streaming)) = found {
        match &streaming.stem {
            Some(stem) if !streaming.report.tracks.is_empty() => {
                let id = new.locator_id.unwrap_or_default();
                let paths = streaming_paths(id, stem, publishing);
                let paths: Vec<String> = paths.into_iter().flat_map(|path| path.paths).collect();
                more.insert("paths".into(), paths.into());
            }
            _ => warnings.push("Nothing in the asset plays.".to_owned()),
        }
    }
    more.insert("warnings".into(), warnings.into());
    let there = catalog_locators::get(call.sql, project, &item.name).await;
    match there {
        Ok(there) if new.locator_id.is_none_or(|id| id == there.locator_id) => {
            return Ok(Outcome::Exists);
        }
        Ok(there) => {
            return Err(ApiError::new(
                Kind::Conflict,
                format!(
                    "The locator is there with another id, {}.",
                    there.locator_id
                ),
            ));
        }
        Err(CatalogError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if document.dry_run {
        return Ok(Outcome::WouldCreate);
    }
    locators::put(&put).await.map(|reply| Outcome::of(&reply))
}
