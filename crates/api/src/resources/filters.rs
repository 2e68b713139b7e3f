//! Asset and account filters. Spec: the management API reference, 1.6 and 2.6; streaming reference, section 2.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::filters::{self, Filter, Owner};
use serde_json::{Map, Value as Json, json};

use super::{listed, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

/// Ticks a second where a filter states no timescale.
const DEFAULT_TIMESCALE: u64 = 10_000_000;
/// What Azure Media Services writes for a number that is not set. Of what is above it [`crate::json`] makes this.
const UNSET: u64 = i64::MAX.unsigned_abs();
/// Shortest window of a live presentation.
const SHORTEST_WINDOW_SECONDS: u64 = 60;
/// Longest delay from the live edge.
const LONGEST_BACKOFF_SECONDS: u64 = 300;
/// Most track entries of a filter, and most conditions of an entry.
pub(crate) const MOST_ENTRIES: usize = 50;

const PROPERTIES: &[&str] = &["presentationTimeRange", "firstQuality", "tracks"];

fn owner<'a, S, C>(call: &'a Call<'_, S, C>) -> Owner<'a> {
    match call.var("asset") {
        "" => Owner::Account,
        asset => Owner::Asset(asset),
    }
}

fn render<S, C>(call: &Call<'_, S, C>, filter: Filter) -> Result<Json, ApiError> {
    let path = match owner(call) {
        Owner::Account => vec![("accountFilters", filter.name.as_str())],
        Owner::Asset(asset) => vec![("assets", asset), ("assetFilters", filter.name.as_str())],
    };
    let resource = Envelope {
        project: call.project()?,
        path: &path,
        properties: Json::Object(filter.properties),
        created: filter.created,
        modified: Some(filter.modified),
    }
    .render();
    Ok(Json::Object(resource))
}

/// The properties that a body holds, each of the right shape.
pub(super) fn read(body: &Json) -> Result<Map<String, Json>, ApiError> {
    let root = Object::root(body)?;
    root.only(ENVELOPE)?;
    let Some(properties) = root.object("properties")? else {
        return Ok(Map::new());
    };
    properties.only(PROPERTIES)?;
    let mut read = Map::new();
    if let Some(range) = properties.object("presentationTimeRange")? {
        read.insert("presentationTimeRange".into(), time_range(&range)?);
    }
    if let Some(quality) = properties.object("firstQuality")? {
        quality.only(&["bitrate"])?;
        let bitrate = quality.whole("bitrate")?;
        let bitrate = quality.required("bitrate", bitrate)?;
        read.insert("firstQuality".into(), json!({ "bitrate": bitrate }));
    }
    if let Some(tracks) = properties.objects("tracks")? {
        few(&properties, "tracks", tracks.len())?;
        let tracks: Vec<_> = tracks.iter().map(track).collect::<Result<_, _>>()?;
        read.insert("tracks".into(), Json::Array(tracks));
    }
    Ok(read)
}

fn few(object: &Object<'_>, member: &str, count: usize) -> Result<(), ApiError> {
    if count > MOST_ENTRIES {
        return Err(ApiError::invalid(
            object.path(member),
            format!("must have at most {MOST_ENTRIES} members"),
        ));
    }
    Ok(())
}

fn time_range(range: &Object<'_>) -> Result<Json, ApiError> {
    const NUMBERS: [&str; 5] = [
        "startTimestamp",
        "endTimestamp",
        "presentationWindowDuration",
        "liveBackoffDuration",
        "timescale",
    ];
    let known: Vec<_> = NUMBERS.into_iter().chain(["forceEndTimestamp"]).collect();
    range.only(&known)?;
    let mut out = Map::new();
    for name in NUMBERS {
        if let Some(number) = range.whole(name)? {
            out.insert(name.into(), number.into());
        }
    }
    if let Some(force) = range.flag("forceEndTimestamp")? {
        out.insert("forceEndTimestamp".into(), force.into());
    }
    let wrong = |member: &str, what: String| Err(ApiError::invalid(range.path(member), what));
    // A number that is not set is kept as it is written, and compared with nothing.
    let number = |name: &str| {
        let number = out.get(name).and_then(Json::as_u64);
        number.filter(|number| *number < UNSET)
    };
    let timescale = number("timescale").unwrap_or(DEFAULT_TIMESCALE);
    if timescale == 0 {
        return wrong("timescale", "must be at least 1".into());
    }
    let seconds = |seconds: u64| timescale.saturating_mul(seconds);
    if let (Some(start), Some(end)) = (number("startTimestamp"), number("endTimestamp"))
        && start >= end
    {
        return wrong("endTimestamp", "must be after startTimestamp".into());
    }
    if number("presentationWindowDuration").is_some_and(|w| w < seconds(SHORTEST_WINDOW_SECONDS)) {
        return wrong(
            "presentationWindowDuration",
            format!("must be at least {SHORTEST_WINDOW_SECONDS} seconds in ticks of the timescale"),
        );
    }
    if number("liveBackoffDuration").is_some_and(|b| b > seconds(LONGEST_BACKOFF_SECONDS)) {
        return wrong(
            "liveBackoffDuration",
            format!("must be at most {LONGEST_BACKOFF_SECONDS} seconds in ticks of the timescale"),
        );
    }
    if out.get("forceEndTimestamp") == Some(&Json::Bool(true)) && number("endTimestamp").is_none() {
        return wrong("forceEndTimestamp", "needs an endTimestamp".into());
    }
    Ok(Json::Object(out))
}

/// One entry: its conditions hold together.
fn track(entry: &Object<'_>) -> Result<Json, ApiError> {
    entry.only(&["trackSelections"])?;
    let selections = entry.objects("trackSelections")?;
    let selections = entry.required("trackSelections", selections)?;
    few(entry, "trackSelections", selections.len())?;
    if selections.is_empty() {
        return Err(ApiError::invalid(
            entry.path("trackSelections"),
            "must have at least one member",
        ));
    }
    let selections: Vec<_> = selections.iter().map(condition).collect::<Result<_, _>>()?;
    Ok(json!({ "trackSelections": selections }))
}

fn condition(selection: &Object<'_>) -> Result<Json, ApiError> {
    // Not `Unknown`, which their enumeration has too: nobody can tell which tracks it is about.
    const FIELDS: [&str; 5] = ["Type", "Name", "Language", "FourCC", "Bitrate"];
    const OPERATIONS: [&str; 2] = ["Equal", "NotEqual"];
    selection.only(&["property", "operation", "value"])?;
    let one_of = |member: &str, names: &[&'static str]| {
        let found = selection.one_of(member, names, |text| {
            names.iter().find(|name| **name == text).copied()
        })?;
        selection.required(member, found)
    };
    let property = one_of("property", &FIELDS)?;
    let operation = one_of("operation", &OPERATIONS)?;
    let value = selection.required_text("value")?;
    let wrong = |what: &str| Err(ApiError::invalid(selection.path("value"), what));
    if value.is_empty() || value.chars().count() > 260 {
        return wrong("must have 1 to 260 characters");
    }
    let is_type = |name: &&str| name.eq_ignore_ascii_case(&value);
    if property == "Type" && !["Audio", "Video", "Text"].iter().any(is_type) {
        return wrong("must be Audio, Video or Text");
    }
    if property == "Bitrate" && !is_bitrate(&value) {
        return wrong("must be a bitrate in bits per second, or two as in 0-1500000");
    }
    Ok(json!({"property": property, "operation": operation, "value": value}))
}

/// `N`, or `A-B` with A not above B.
fn is_bitrate(value: &str) -> bool {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match value.split_once('-') {
        None => number(value).is_some(),
        Some((low, high)) => {
            matches!((number(low), number(high)), (Some(low), Some(high)) if low <= high)
        }
    }
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let page = filters::list(call.sql, project, owner(call), &call.listing()?).await?;
    let kind = match owner(call) {
        Owner::Account => "AccountFilter",
        Owner::Asset(_) => "AssetFilter",
    };
    listed(call, kind, page, |filter| render(call, filter))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let filter = filters::get(call.sql, project, owner(call), call.var("filter")).await?;
    Ok(Reply::ok(render(call, filter)?))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let (filter, written) = filters::put(
        call.sql,
        &call.project()?.id,
        owner(call),
        call.var("filter"),
        &read(&call.body()?)?,
        call.moment.now,
    )
    .await?;
    Ok(Reply::json(status(written), render(call, filter)?))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let filter = filters::update(
        call.sql,
        &call.project()?.id,
        owner(call),
        call.var("filter"),
        &read(&call.body()?)?,
        call.moment.now,
    )
    .await?;
    Ok(Reply::ok(render(call, filter)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let existed = filters::delete(call.sql, project, owner(call), call.var("filter")).await?;
    Ok(Reply::deleted(existed))
}
