//! Reading an asset's files with an address and a token, as MK.IO's `getFileAccessInfo` gives them out.
//! Spec: the management API reference, 1.5.
//!
//! `GET {url}/{subPath}/{file}` with `Authorization: Bearer {jwt}`. The address is ours: it answers with a redirect to the
//! file in storage, signed for that file and some minutes, so that media never pass through the control plane. The token
//! opens the files of this one asset for an hour, and nothing else. MK.IO's older way, a POST to `{url}downloadBlob` that
//! names the file, is answered by a redirect, too (303, so that clients follow with a GET).

use headwater_auth::{Claims, FILES_AUDIENCE};
use headwater_blob::HttpClient;
use headwater_catalog::assets::{self, Asset};
use headwater_catalog::{CatalogError, Sql, keys, names};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::json;

use super::assets::place;
use super::locators::segment;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Object;
use crate::reply::Reply;

/// How long a token lasts, in seconds.
const TOKEN_SECONDS: i64 = 3600;

pub(super) async fn info<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    if !call.incoming.body.is_empty() {
        let body = call.body()?;
        Object::root(&body)?.only(&[])?;
    }
    let project = call.project()?;
    let asset = assets::get(call.sql, &project.id, call.var("asset")).await?;
    place(call, &asset).await?.can_sign()?;
    let key = keys::signing_key(call.sql, call.seal)
        .await?
        .ok_or_else(|| ApiError::internal("there is no signing key"))?;
    let now = call.moment.now.as_second();
    let claims = Claims {
        aud: FILES_AUDIENCE.into(),
        project: Some(project.name.clone()),
        ..Claims::bare(
            &call.settings.public_url,
            &asset.asset_id.to_string(),
            &call.moment.ids.uuid().to_string(),
            now,
            now.saturating_add(TOKEN_SECONDS),
        )
    };
    let token = key
        .issue(&claims)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let url = format!(
        "{}/api/v1/projects/{}/media/assets/{}/files",
        call.incoming.origin,
        segment(&project.name),
        segment(&asset.name)
    );
    Ok(Reply::ok(json!({
        "storageAccountName": asset.storage_account,
        "containerName": asset.container,
        "jwt": token,
        "url": url,
        "subPath": asset.sub_path,
    })))
}

/// Leads to a file.
pub(super) async fn read<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let asset = own_asset(call).await?;
    // Without a folder, clients put two slashes.
    let file = call.var("file").trim_start_matches('/');
    names::blob("file", file)?;
    if !is_within(&asset, file) {
        return Err(CatalogError::not_found("File", file).into());
    }
    let url = place(call, &asset).await?.file_url(file)?;
    Ok(Reply::empty(StatusCode::TEMPORARY_REDIRECT).with(LOCATION, url))
}

/// As [`read`], for a file that the body names: from the top of the container, or within the asset's folder.
pub(super) async fn download<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let asset = own_asset(call).await?;
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&["storageAccountName", "containerName", "fileName"])?;
    let named = root.required_text("fileName")?;
    names::blob("fileName", &named)?;
    for (member, is) in [
        ("storageAccountName", &asset.storage_account),
        ("containerName", &asset.container),
    ] {
        if root.required_text(member)? != *is {
            return Err(CatalogError::not_found("File", &named).into());
        }
    }
    let file = match is_within(&asset, &named) {
        true => named,
        false => format!("{}/{named}", asset.sub_path),
    };
    let url = place(call, &asset).await?.file_url(&file)?;
    Ok(Reply::empty(StatusCode::SEE_OTHER).with(LOCATION, url))
}

/// The asset of the path. One that the token is not for is as if it did not exist.
async fn own_asset<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Asset, ApiError> {
    let name = call.var("asset");
    let asset = assets::get(call.sql, &call.project()?.id, name).await?;
    if call.caller()?.subject != asset.asset_id.to_string() {
        return Err(CatalogError::not_found("Asset", name).into());
    }
    Ok(asset)
}

fn is_within(asset: &Asset, file: &str) -> bool {
    asset.sub_path.is_empty()
        || file
            .strip_prefix(asset.sub_path.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
}
