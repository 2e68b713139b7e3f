//! Streaming locators with the ids and content keys that they had.

use headwater_blob::HttpClient;
use headwater_catalog::{CatalogError, Sql};
use headwater_catalog::{
    assets as catalog_assets, key_policies as catalog_key_policies, locators as catalog_locators,
    policies as catalog_policies,
};
use serde_json::{Map, Value as Json};

use super::import_items::Item;
use super::imports::{Document, Outcome, bytes, instead, is_there};
use super::locator_paths::streaming_paths;
use super::locators;
use super::streaming_report::Streaming;
use crate::call::Call;
use crate::error::{ApiError, Kind};

/// A locator, the paths that it opens, and what is lost on the way. `looked`: what plays of the document's assets.
pub(super) async fn locator<S: Sql, C: HttpClient>(
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
