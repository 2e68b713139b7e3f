//! Streaming locators and the paths they open. Spec: the management API reference, 1.8 and 2.8.

use headwater_blob::HttpClient;
use headwater_catalog::assets::{self, Asset};
use headwater_catalog::locators::{self, IfExists, NewLocator, StreamingLocator};
use headwater_catalog::policies::{self, Publishing};
use headwater_catalog::{Sql, fingerprint};
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::assets::{place, query_page};
use super::{light_state, status};
use crate::call::Call;
use crate::dialect::{END_OF_TIME, Envelope};
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::place::File;
use crate::query;
use crate::reply::Reply;

/// What a path segment may hold unescaped (RFC 3986 section 3.3, without the sub-delimiters that tools trip over).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One path segment, percent-encoded.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

pub(crate) const READ_ONLY: &[&str] = &["created"];

pub(crate) const WRITABLE: &[&str] = &[
    "assetName",
    "streamingPolicyName",
    "streamingLocatorId",
    "defaultContentKeyPolicyName",
    "alternativeMediaId",
    "startTime",
    "endTime",
    "contentKeys",
    "filters",
    "defaultManifestFilename",
    "suppressed",
];

fn end_time(locator: &StreamingLocator) -> String {
    locator
        .end_time
        .map_or_else(|| END_OF_TIME.to_owned(), |at| at.to_string())
}

fn render<S, C>(call: &Call<'_, S, C>, locator: StreamingLocator) -> Result<Json, ApiError> {
    let end_time = end_time(&locator);
    let mut properties = locator.extra;
    let mut set = |name: &str, value: Json| {
        if !value.is_null() {
            properties.insert(name.into(), value);
        }
    };
    set("assetName", locator.asset_name.into());
    set("created", locator.created.to_string().into());
    set(
        "startTime",
        locator.start_time.map(|at| at.to_string()).into(),
    );
    set("endTime", end_time.into());
    set("streamingLocatorId", locator.locator_id.to_string().into());
    set("streamingPolicyName", locator.policy_name.into());
    set("alternativeMediaId", locator.alternative_media_id.into());
    set("defaultManifestFilename", locator.default_manifest.into());
    set("contentKeys", json!([]));
    set("filters", json!([]));
    if !call.is_arm() {
        set("suppressed", locator.suppressed.into());
    }
    let resource = Envelope {
        project: call.project()?,
        path: &[("streamingLocators", &locator.name)],
        properties: Json::Object(properties),
        created: locator.created,
        modified: None,
    }
    .render();
    Ok(Json::Object(resource))
}

/// AMS `AssetStreamingLocator`.
pub(super) fn summary(locator: &StreamingLocator) -> Json {
    let mut shown = json!({
        "name": locator.name,
        "assetName": locator.asset_name,
        "created": locator.created.to_string(),
        "endTime": end_time(locator),
        "streamingLocatorId": locator.locator_id,
        "streamingPolicyName": locator.policy_name,
    });
    if let (Some(start), Json::Object(members)) = (locator.start_time, &mut shown) {
        members.insert("startTime".into(), start.to_string().into());
    }
    shown
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = locators::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    let items: Vec<_> = page
        .items
        .into_iter()
        .map(|locator| render(call, locator))
        .collect::<Result<_, _>>()?;
    let page = query_page(page.offset, page.total, page.next, items);
    Ok(Reply::ok(query::render(
        call.dialect,
        "StreamingLocator",
        &call.url(),
        page,
        |item| item,
    )))
}

async fn locator<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<StreamingLocator, ApiError> {
    Ok(locators::get(call.sql, &call.project()?.id, call.var("locator")).await?)
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, locator(call).await?)?))
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<NewLocator, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    for protection in ["contentKeys", "defaultContentKeyPolicyName"] {
        if properties.has(protection) {
            return Err(ApiError::invalid(
                properties.path(protection),
                "content protection is not supported by this installation",
            ));
        }
    }
    if properties
        .texts("filters")?
        .is_some_and(|filters| !filters.is_empty())
    {
        return Err(ApiError::invalid(
            "properties.filters",
            "are not applied by this installation: a locator takes none",
        ));
    }
    // AMS writes "never" as the last instant of the year 9999, which is beyond what can be an instant here.
    let never = jiff::Timestamp::MAX;
    let known: Vec<&str> = READ_ONLY.iter().chain(WRITABLE).copied().collect();
    let new = NewLocator {
        locator_id: properties.uuid("streamingLocatorId")?,
        asset_name: properties.required_text("assetName")?,
        policy_name: properties.required_text("streamingPolicyName")?,
        start_time: properties.time("startTime")?,
        end_time: properties.time("endTime")?.filter(|end| *end < never),
        alternative_media_id: properties.text("alternativeMediaId")?,
        default_manifest: properties.text("defaultManifestFilename")?,
        suppressed: properties.flag("suppressed")?.unwrap_or(false),
        extra: properties.beyond(&known),
        fingerprint: String::new(),
    };
    let request = json!([
        new.locator_id,
        new.asset_name,
        new.policy_name,
        new.start_time.map(|at| at.to_string()),
        new.end_time.map(|at| at.to_string()),
        new.alternative_media_id,
        new.default_manifest,
        new.suppressed,
        new.extra,
    ]);
    Ok(NewLocator {
        fingerprint: fingerprint(&request),
        ..new
    })
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let new = read(call)?;
    let if_exists = if call.is_arm() {
        IfExists::Keep
    } else {
        IfExists::Replace
    };
    let project = &call.project()?.id;
    let (locator, written) = locators::put(
        call.sql,
        project,
        call.var("locator"),
        &new,
        if_exists,
        call.moment,
    )
    .await?;
    // The Azure client takes nothing but 201, for a repeated request as well.
    let status = if call.is_arm() {
        StatusCode::CREATED
    } else {
        status(written)
    };
    Ok(Reply::json(status, render(call, locator)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = locators::delete(call.sql, &call.project()?.id, call.var("locator")).await?;
    Ok(Reply::deleted(existed))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    locator(call).await?;
    Ok(light_state("Created"))
}

/// Clear content has no keys.
pub(super) async fn content_keys<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    locator(call).await?;
    Ok(Reply::ok(json!({"contentKeys": []})))
}

/// Files that can be played although no server manifest names them.
const MEDIA: [&str; 4] = [".mp4", ".m4v", ".mov", ".m4a"];

/// What the names of one film's files may differ in from: `film_1280x720.mp4`, `film_640x360.mp4`.
const SEPARATORS: [char; 4] = ['_', '-', '.', ' '];

/// The name in streaming URLs, without `.ism`: that of the server manifest, else what the media files' names have in
/// common. `None`: there is nothing to play yet.
pub(super) fn streaming_stem(manifest: Option<&str>, files: &[File]) -> Option<String> {
    let ending = |suffix: &'static str| {
        files
            .iter()
            .map(|file| file.name.as_str())
            .filter(move |name| {
                name.len() > suffix.len() && name.to_ascii_lowercase().ends_with(suffix)
            })
    };
    if let Some(manifest) = manifest.or_else(|| ending(".ism").next()) {
        return Some(stem(manifest).to_owned()).filter(|stem| !stem.is_empty());
    }
    let media: Vec<&str> = MEDIA.into_iter().flat_map(ending).map(stem).collect();
    let (first, others) = media.split_first()?;
    Some(common_stem(first, others).unwrap_or(first).to_owned())
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// What comes before a separator in all of several names: asked for by that, the origin takes all of them for renditions
/// of one film. `None` if they have no such beginning, or there is but one name.
fn common_stem<'a>(first: &'a str, others: &[&str]) -> Option<&'a str> {
    if others.is_empty() {
        return None;
    }
    first
        .rmatch_indices(SEPARATORS)
        .filter_map(|(at, _)| first.get(..at))
        .filter(|common| !common.is_empty())
        .find(|common| {
            others.iter().all(|other| {
                other
                    .strip_prefix(common)
                    .is_some_and(|rest| rest.starts_with(SEPARATORS))
            })
        })
}

/// The HLS and DASH paths of a locator, without host.
pub(super) fn streaming_paths(
    locator_id: Uuid,
    stem: &str,
    publishing: Publishing,
) -> Vec<(&'static str, String)> {
    let base = format!("/{locator_id}/{}.ism/manifest", segment(stem));
    let mut paths = Vec::new();
    if publishing.clear.hls {
        paths.push(("Hls", format!("{base}(format=m3u8-cmaf)")));
    }
    if publishing.clear.dash {
        paths.push(("Dash", format!("{base}(format=mpd-time-cmaf)")));
    }
    paths
}

async fn publishing<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    policy_name: &str,
) -> Result<Publishing, ApiError> {
    let policy = policies::get(call.sql, &call.project()?.id, policy_name).await?;
    Ok(policies::publishing(policy_name, Some(&policy.properties.to_string())).unwrap_or_default())
}

/// Files and server manifest of an asset. What is found in the container is remembered if it is a server manifest.
async fn look<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
    downloads: bool,
) -> Result<Vec<File>, ApiError> {
    if asset.manifest.is_some() && !downloads {
        return Ok(Vec::new());
    }
    let (files, _) = place(call, asset).await?.list().await?;
    if asset.manifest.is_none()
        && let Some(file) = files
            .iter()
            .find(|file| file.name.to_ascii_lowercase().ends_with(".ism"))
    {
        assets::set_manifest(call.sql, &call.project()?.id, &asset.name, &file.name).await?;
    }
    Ok(files)
}

/// Whether the origin gives a file out to downloaders: not the server manifest's family, and no side files. What the
/// origin itself goes by is `headwater_origin`'s policy (streaming reference 1.6).
fn is_downloadable(file: &str) -> bool {
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let manifest = ["ism", "ismc", "ismv", "isma", "ismt"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known));
    !manifest && !file.starts_with('.')
}

pub(super) async fn paths<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let locator = locator(call).await?;
    let publishing = publishing(call, &locator.policy_name).await?;
    let asset = assets::get(call.sql, &call.project()?.id, &locator.asset_name).await?;
    let files = look(call, &asset, publishing.clear.download).await?;
    let mut streaming = Vec::new();
    if let Some(stem) = streaming_stem(asset.manifest.as_deref(), &files) {
        for (protocol, path) in streaming_paths(locator.locator_id, &stem, publishing) {
            streaming.push(json!({
                "streamingProtocol": protocol, "encryptionScheme": "NoEncryption", "paths": [path],
            }));
        }
    }
    let mut downloads = Vec::new();
    if publishing.clear.download {
        downloads.extend(
            files
                .iter()
                .filter(|file| is_downloadable(&file.name))
                .map(|file| format!("/{}/{}", locator.locator_id, segment(&file.name))),
        );
    }
    let mut body = Map::new();
    body.insert("streamingPaths".into(), streaming.into());
    body.insert("downloadPaths".into(), downloads.into());
    if !call.is_arm() {
        body.insert("drm".into(), json!({}));
    }
    Ok(Reply::ok(Json::Object(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<File> {
        names
            .iter()
            .map(|name| File {
                name: (*name).into(),
                len: 1,
            })
            .collect()
    }

    #[test]
    fn the_name_in_urls_comes_from_the_manifest_or_else_a_media_file() {
        assert_eq!(
            streaming_stem(Some("film.ism"), &[]).as_deref(),
            Some("film")
        );
        let both = files(&["a.mp4", "b.ism", "b.mp4"]);
        assert_eq!(streaming_stem(None, &both).as_deref(), Some("b"));
        assert_eq!(
            streaming_stem(None, &files(&["x.jpg", "My film.MOV"])).as_deref(),
            Some("My film")
        );
        assert_eq!(streaming_stem(None, &files(&["notes.txt", ".mp4"])), None);
    }

    #[test]
    fn a_ladder_without_a_manifest_is_named_by_what_its_files_share() {
        for (names, expected) in [
            (
                &[
                    "film_1280x720_AACAudio_3400.mp4",
                    "film_640x360_AACAudio_600.mp4",
                ][..],
                "film",
            ),
            (
                &["my-film_720.mp4", "my-film_360.mp4", "my-film audio.m4a"],
                "my-film",
            ),
            (&["film_a_1.mp4", "film_a_2.mp4"], "film_a"),
            (&["größe-1.mov", "größe-2.mov", "poster.jpg"], "größe"),
            // Nothing in common that ends where a word does: the first one, as the origin plays one file.
            (&["film1.mp4", "film2.mp4"], "film1"),
            (&["film.mp4", "film_640x360.mp4"], "film"),
            (&["_1.mp4", "_2.mp4"], "_1"),
            (&["one_film_720.mp4"], "one_film_720"),
        ] {
            assert_eq!(
                streaming_stem(None, &files(names)).as_deref(),
                Some(expected),
                "{names:?}"
            );
        }
    }

    #[test]
    fn only_what_the_origin_gives_out_is_a_download() {
        for file in ["film.mp4", "poster.jpg", "film.ism.mp4", "noext"] {
            assert!(is_downloadable(file), "{file}");
        }
        for file in [
            "film.ism",
            "film.ISMC",
            "a.ismv",
            "a.isma",
            "a.ismt",
            ".hidden.mp4",
        ] {
            assert!(!is_downloadable(file), "{file}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        let both = policies::publishing("Predefined_ClearStreamingOnly", None).unwrap();
        let paths = streaming_paths(Uuid::nil(), "My film (1)", both);
        assert_eq!(
            paths,
            [
                (
                    "Hls",
                    format!(
                        "/{}/My%20film%20%281%29.ism/manifest(format=m3u8-cmaf)",
                        Uuid::nil()
                    )
                ),
                (
                    "Dash",
                    format!(
                        "/{}/My%20film%20%281%29.ism/manifest(format=mpd-time-cmaf)",
                        Uuid::nil()
                    )
                ),
            ]
        );
    }
}
