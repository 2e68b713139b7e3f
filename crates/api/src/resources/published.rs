//! What can be watched: the list behind the page at `/`.
//!
//! One item per locator that may be played now in the clear, newest first unless another order is asked for. Readable without a token where the operator
//! shows published media to everybody.

use headwater_blob::HttpClient;
use headwater_catalog::publishing::{self, Listed};
use headwater_catalog::query::Listing;
use headwater_catalog::{Sql, assets};
use serde_json::{Value as Json, json};

use super::assets::{place, query_page};
use super::locator_paths::{CLEAR, streaming_paths, streaming_stem};
use super::locators::segment;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::query;
use crate::reply::Reply;

/// Items on a page.
const PAGE: u32 = 50;

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let listing = call.listing()?;
    let listing = Listing {
        top: Some(listing.top.unwrap_or(PAGE).min(PAGE)),
        ..listing
    };
    let found = publishing::published(call.sql, project, call.moment.now, &listing).await?;
    let (offset, total) = (found.offset, found.total);
    let end = u32::try_from(found.items.len())
        .unwrap_or(u32::MAX)
        .saturating_add(offset);
    let more = found.next.is_some();
    let mut items = Vec::new();
    for locator in found.items {
        if let Some(item) = render(call, &locator).await? {
            items.push(item);
        }
    }
    let page = query_page(offset, total, None, items);
    let mut body = query::render(call.dialect, "Published", &call.url(), page, |item| item);
    if more && let Json::Object(members) = &mut body {
        // Whatever is not shown was passed by all the same.
        let next = end.to_string();
        members.insert(
            "@odata.nextLink".into(),
            query::link(call.dialect, &call.url(), &next).into(),
        );
    }
    Ok(Reply::ok(body))
}

/// `None`: there is nothing in the asset that could be played.
async fn render<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    listed: &Listed,
) -> Result<Option<Json>, ApiError> {
    let locator = &listed.locator;
    let mut duration_ms = listed.duration_ms;
    let mut stem = listed
        .manifest
        .as_ref()
        .and_then(|manifest| streaming_stem(Some(manifest), &[]));
    if stem.is_none() || duration_ms.is_none() {
        match look_into(call, &locator.asset_name, stem, duration_ms).await {
            Ok(found) => (stem, duration_ms) = found,
            // A storage account that nothing opens plays nothing, and does not hide what others hold.
            Err(error) if matches!(error.kind, Kind::WrongState | Kind::Upstream) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    let Some(stem) = stem else {
        return Ok(None);
    };
    let origin = &call.incoming.origin;
    let paths = streaming_paths(locator.locator_id, &stem, listed.policy);
    let url = |protocol: &str| {
        paths
            .iter()
            .find(|path| path.protocol == protocol && path.scheme == CLEAR)
            .and_then(|path| path.paths.first())
            .map(|path| format!("{origin}{path}"))
    };
    // Jobs put a picture beside the server manifest. A video without pictures has none, which a page has to bear.
    let poster = (listed.policy.clear.download && listed.manifest.is_some()).then(|| {
        let (locator, stem) = (locator.locator_id, segment(&stem));
        format!("{origin}/{locator}/{stem}_Thumbnail000001.jpg")
    });
    Ok(Some(json!({
        "name": locator.name,
        "assetName": locator.asset_name,
        "created": locator.created.to_string(),
        "locatorId": locator.locator_id,
        "hlsUrl": url("Hls"),
        "dashUrl": url("Dash"),
        "posterUrl": poster,
        "durationSeconds": duration_ms.map(|ms| f64::from(ms) / 1000.0),
    })))
}

/// What is not known yet of an asset: the name that its manifests begin with, and how long it plays.
async fn look_into<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &str,
    mut stem: Option<String>,
    mut duration_ms: Option<u32>,
) -> Result<(Option<String>, Option<u32>), ApiError> {
    let project = &call.project()?.id;
    let asset = assets::get(call.sql, project, asset).await?;
    let place = place(call, &asset).await?;
    if stem.is_none() {
        stem = streaming_stem(None, &place.list().await?.0);
    }
    if duration_ms.is_none() {
        duration_ms = place.duration_ms().await?;
        if let Some(found) = duration_ms {
            assets::set_duration(call.sql, project, &asset.name, found).await?;
        }
    }
    Ok((stem, duration_ms))
}
