//! Reading an asset's files with an address and a token, as MK.IO's `getFileAccessInfo` gives them out.
//! Spec: the management API reference, 1.5.
//!
//! `GET {url}/{subPath}/{file}` with `Authorization: Bearer {jwt}`. The address is ours: it answers with a redirect to the
//! file in storage, signed for that file and some minutes, so that media do not pass through the control plane. The token
//! opens the files of this one asset for an hour, and nothing else. MK.IO's older way, a POST to `{url}downloadBlob` that
//! names the file, is answered by a redirect, too (303, so that clients follow with a GET).
//!
//! With a SAS there is nothing to sign with, and the SAS itself opens more than the file: then the bytes are handed on
//! ([`crate::passing`]).

use headwater_auth::{Claims, FILES_AUDIENCE};
use headwater_blob::HttpClient;
use headwater_catalog::assets::{self, Asset};
use headwater_catalog::{CatalogError, Sql, keys, names};
use http::header::{IF_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
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
    // Whether it can be opened at all.
    place(call, &asset).await?;
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

/// Leads to a file, or hands it on.
pub(super) async fn read<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let asset = own_asset(call).await?;
    // Without a folder, clients put two slashes.
    let file = call.var("file").trim_start_matches('/');
    names::blob("file", file)?;
    if !is_within(&asset, file) {
        return Err(CatalogError::not_found("File", file).into());
    }
    lead(call, &asset, file, StatusCode::TEMPORARY_REDIRECT).await
}

/// `to`: how clients are told to go where the file is.
async fn lead<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
    file: &str,
    to: StatusCode,
) -> Result<Reply, ApiError> {
    let place = place(call, asset).await?;
    match place.file_url(file) {
        Some(url) => Ok(Reply::empty(to).with(LOCATION, url)),
        None => {
            let stretch = stretch(call.incoming.headers);
            Ok(Reply::passing(place.file_request(file, stretch)?))
        }
    }
}

/// What of a file is asked for, if it is one stretch from a byte on, which is all that storage knows. Anything else may be
/// answered with the whole file (RFC 9110, 14.2).
fn stretch(headers: &HeaderMap) -> Option<&HeaderValue> {
    let asked = headers.get(RANGE)?;
    let (first, last) = asked
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let first: u64 = Some(first).filter(|text| digits(text))?.parse().ok()?;
    let fits = match last {
        "" => true,
        last => digits(last) && last.parse::<u64>().is_ok_and(|last| last >= first),
    };
    (fits && !headers.contains_key(IF_RANGE)).then_some(asked)
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
    lead(call, &asset, &file, StatusCode::SEE_OTHER).await
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
