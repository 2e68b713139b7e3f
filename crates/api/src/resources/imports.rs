//! Taking over what was exported from Azure Media Services: containers become assets where they lie, locators keep their
//! ids and content keys their values. Documentation: `docs/import.md`.
//!
//! A document is looked at before anything is made of it (`dryRun`, which is the default): what is there already, what
//! would be made, what cannot be, and what of each asset will play. Making it is what a client's own PUTs would do, one
//! after the other; what cannot be made does not keep the rest from it, and the same document again makes what is missing.

use std::cell::Cell;

use bytes::Bytes;
use headwater_auth::{Permission, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::{CatalogError, Sql, names};
use headwater_catalog::{
    filters as catalog_filters, key_policies as catalog_key_policies, policies as catalog_policies,
};
use serde_json::{Map, Value as Json, json};

use super::import_assets::asset;
use super::import_items::Item;
use super::import_locators::locator;
use super::{assets, filters, key_policies, locators, policies};
use crate::Incoming;
use crate::access;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
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
pub(super) struct Document {
    pub(super) dry_run: bool,
    pub(super) key_policies: Vec<Item>,
    pub(super) policies: Vec<Item>,
    filters: Vec<Item>,
    pub(super) assets: Vec<Item>,
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
pub(super) enum Outcome {
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

    pub(super) fn of(reply: &Reply) -> Self {
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
pub(super) fn instead<'c, S, C>(
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
        asset: Cell::default(),
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

pub(super) fn bytes(body: &Json) -> Bytes {
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
pub(super) fn is_there<T>(found: Result<T, CatalogError>) -> Result<bool, ApiError> {
    match found {
        Ok(_) => Ok(true),
        Err(CatalogError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn would(exists: bool) -> Outcome {
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
