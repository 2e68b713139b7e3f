//! The paths that a locator opens, and where players get licences. Spec: the management API reference, 1.8 and 2.8.

use headwater_blob::HttpClient;
use headwater_catalog::assets::{self, Asset};
use headwater_catalog::locators::StreamingLocator;
use headwater_catalog::policies::{self, Publishing, StreamingPolicy};
use headwater_catalog::protection::{self, Encryption};
use headwater_catalog::{Sql, locator_keys};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::assets::place;
use super::locators::{locator, segment};
use crate::call::Call;
use crate::error::ApiError;
use crate::place::File;
use crate::reply::Reply;

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

/// What a locator opens of one protocol and one way of encryption.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StreamingPath {
    pub protocol: &'static str,
    /// AMS's word for how it is encrypted.
    pub scheme: &'static str,
    /// Manifests without host, the one for newer players first.
    pub paths: Vec<String>,
}

/// AMS's word for what is not encrypted.
pub(super) const CLEAR: &str = "NoEncryption";

/// How a protocol's manifests are asked for under one way of encryption. Smooth Streaming's has no format.
struct Formats {
    protocol: &'static str,
    enabled: bool,
    options: &'static [&'static str],
}

/// The paths of a locator, the clear ones first. There is no DASH with envelope encryption that players know, so there is
/// no path for it.
pub(super) fn streaming_paths(
    locator_id: Uuid,
    stem: &str,
    publishing: Publishing,
) -> Vec<StreamingPath> {
    let base = format!("/{locator_id}/{}.ism/manifest", segment(stem));
    let of = |protocol, enabled, options| Formats {
        protocol,
        enabled,
        options,
    };
    let (clear, envelope) = (publishing.clear, publishing.envelope);
    let (cenc, cbcs) = (publishing.cenc, publishing.cbcs);
    let schemes = [
        (
            CLEAR,
            vec![
                of(
                    "Hls",
                    clear.hls,
                    &["(format=m3u8-cmaf)", "(format=m3u8-aapl)"],
                ),
                of(
                    "Dash",
                    clear.dash,
                    &["(format=mpd-time-cmaf)", "(format=mpd-time-csf)"],
                ),
                of("SmoothStreaming", clear.smooth, &[""]),
            ],
        ),
        (
            Encryption::Envelope.name(),
            vec![of(
                "Hls",
                envelope.hls,
                &[
                    "(format=m3u8-cmaf,encryption=cbc)",
                    "(format=m3u8-aapl,encryption=cbc)",
                ],
            )],
        ),
        (
            Encryption::Cenc.name(),
            vec![
                of("Hls", cenc.hls, &["(format=m3u8-cmaf,encryption=cenc)"]),
                of(
                    "Dash",
                    cenc.dash,
                    &[
                        "(format=mpd-time-cmaf,encryption=cenc)",
                        "(format=mpd-time-csf,encryption=cenc)",
                    ],
                ),
                of("SmoothStreaming", cenc.smooth, &["(encryption=cenc)"]),
            ],
        ),
        (
            Encryption::Cbcs.name(),
            vec![
                of(
                    "Hls",
                    cbcs.hls,
                    &[
                        "(format=m3u8-cmaf,encryption=cbcs-aapl)",
                        "(format=m3u8-aapl,encryption=cbcs-aapl)",
                    ],
                ),
                of(
                    "Dash",
                    cbcs.dash,
                    &["(format=mpd-time-cmaf,encryption=cbcs)"],
                ),
            ],
        ),
    ];
    let mut paths = Vec::new();
    for (scheme, formats) in schemes {
        for format in formats.into_iter().filter(|format| format.enabled) {
            paths.push(StreamingPath {
                protocol: format.protocol,
                scheme,
                paths: format
                    .options
                    .iter()
                    .map(|options| format!("{base}{options}"))
                    .collect(),
            });
        }
    }
    paths
}

/// Where players get licences and keys, by key system: the servers that the streaming policy names, else our own key
/// delivery, as manifests name it too. Of several schemes the first in [`protection::schemes`]' order that encrypts samples
/// speaks for a system: whole segments' keys are named by playlists, and no player asks for them here.
async fn licences<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    locator: &StreamingLocator,
    policy: &StreamingPolicy,
) -> Result<Map<String, Json>, ApiError> {
    let project = &call.project()?.id;
    let ids = locator_keys::default_ids(call.sql, project, &locator.name).await?;
    let media = segment(locator.alternative_media_id.as_deref().unwrap_or_default());
    let mut licences = Map::new();
    let mut schemes = protection::schemes(&policy.properties);
    schemes.sort_by_key(|scheme| scheme.encryption == Encryption::Envelope);
    for scheme in schemes {
        let key = ids
            .iter()
            .find(|(encryption, _)| *encryption == scheme.encryption)
            .map(|(_, id)| id.to_string())
            .unwrap_or_default();
        for offer in scheme.offers {
            let own = || {
                let delivery = format!("{}/keys", call.settings.public_url);
                protection::own_url(&delivery, scheme.encryption, offer.system, &key)
            };
            let url = match &offer.url_template {
                Some(template) if !template.is_empty() => template
                    .replace("{ContentKeyId}", &key)
                    .replace("{AlternativeMediaId}", &media),
                _ => own(),
            };
            licences
                .entry(offer.system.member())
                .or_insert_with(|| json!({ "licenseAcquisitionUrl": url }));
        }
    }
    Ok(licences)
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
    let project = &call.project()?.id;
    let policy = policies::get(call.sql, project, &locator.policy_name).await?;
    let publishing = policies::publishing(&policy.name, Some(&policy.properties.to_string()))
        .unwrap_or_default();
    let asset = assets::get(call.sql, project, &locator.asset_name).await?;
    let files = look(call, &asset, publishing.clear.download).await?;
    let mut streaming = Vec::new();
    if let Some(stem) = streaming_stem(asset.manifest.as_deref(), &files) {
        for path in streaming_paths(locator.locator_id, &stem, publishing) {
            streaming.push(json!({
                "streamingProtocol": path.protocol, "encryptionScheme": path.scheme, "paths": path.paths,
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
    Ok(Reply::ok(json!({
        "streamingPaths": streaming,
        "downloadPaths": downloads,
        "drm": licences(call, &locator, &policy).await?,
    })))
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
        let base = format!("/{}/My%20film%20%281%29.ism/manifest", Uuid::nil());
        let path = |protocol, formats: &[&str]| StreamingPath {
            protocol,
            scheme: "NoEncryption",
            paths: formats.iter().map(|f| format!("{base}{f}")).collect(),
        };
        assert_eq!(
            paths,
            [
                path("Hls", &["(format=m3u8-cmaf)", "(format=m3u8-aapl)"]),
                path("Dash", &["(format=mpd-time-cmaf)", "(format=mpd-time-csf)"]),
                path("SmoothStreaming", &[""]),
            ]
        );
    }

    #[test]
    fn smooth_streaming_under_common_encryption_needs_playready() {
        for (drm, named) in [
            (r#"{"widevine": {}}"#, false),
            (r#"{"playReady": {}, "widevine": {}}"#, true),
        ] {
            let policy = format!(
                r#"{{"commonEncryptionCenc": {{"enabledProtocols":
                    {{"download": false, "dash": true, "hls": false, "smoothStreaming": true}}, "drm": {drm}}}}}"#
            );
            let publishing = policies::publishing("custom", Some(&policy)).unwrap();
            let paths = streaming_paths(Uuid::nil(), "f", publishing);
            let smooth = paths.iter().any(|path| path.protocol == "SmoothStreaming");
            assert_eq!(smooth, named, "{drm}");
            assert!(paths.iter().any(|path| path.protocol == "Dash"), "{drm}");
        }
    }

    #[test]
    fn paths_say_how_they_are_encrypted() {
        for (policy, expected) in [
            (
                "Predefined_ClearKey",
                &["Hls EnvelopeEncryption (format=m3u8-cmaf,encryption=cbc)"][..],
            ),
            (
                "Predefined_MultiDrmCencStreaming",
                &[
                    "Dash CommonEncryptionCenc (format=mpd-time-cmaf,encryption=cenc)",
                    "SmoothStreaming CommonEncryptionCenc (encryption=cenc)",
                ],
            ),
            (
                "Predefined_MultiDrmStreaming",
                &[
                    "Dash CommonEncryptionCenc (format=mpd-time-cmaf,encryption=cenc)",
                    "SmoothStreaming CommonEncryptionCenc (encryption=cenc)",
                    "Hls CommonEncryptionCbcs (format=m3u8-cmaf,encryption=cbcs-aapl)",
                ],
            ),
            ("Predefined_DownloadOnly", &[]),
        ] {
            let publishing = policies::publishing(policy, None).unwrap();
            let paths: Vec<_> = streaming_paths(Uuid::nil(), "f", publishing)
                .iter()
                .map(|path| {
                    let options = path.paths[0].split("manifest").nth(1).unwrap();
                    format!("{} {} {options}", path.protocol, path.scheme)
                })
                .collect();
            assert_eq!(paths, expected, "{policy}");
        }
    }
}
