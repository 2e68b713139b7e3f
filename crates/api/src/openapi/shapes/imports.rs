//! What plays of an asset, and imports: `resources/streaming_report.rs`, `resources/imports.rs`.

use serde_json::{Value as Json, json};

use crate::openapi::schema::{anything, flag, list, one_of, shape, text, whole};
use crate::openapi::shape::{Shape, accepted, shown, sometimes};
use crate::resources::imports::{MOST_ASSETS, MOST_ITEMS};

pub(super) fn shapes() -> Vec<Shape> {
    let few = |most: usize| list(anything()).with("maxItems", most);
    let protocol = || one_of(&["Hls", "HlsTs", "Dash", "SmoothStreaming"]);
    vec![
        Shape::answer(
            "AssetStreaming",
            "What of an asset plays.",
            vec![
                sometimes(
                    "name",
                    text().about("In streaming URLs, in front of `.ism`. Missing if there is nothing to play."),
                ),
                shown(
                    "hasManifest",
                    flag().about("Whether a server manifest lists the tracks, rather than the names of files."),
                ),
                shown("tracks", list(shape("StreamingTrack"))),
                sometimes(
                    "thumbnails",
                    text().about("The WebVTT file whose cues are pictures for seeking."),
                ),
                shown("leftOut", list(shape("LeftOut"))),
                shown("warnings", list(text())),
            ],
        ),
        Shape::answer(
            "StreamingTrack",
            "A track that plays, at least somewhere.",
            vec![
                shown("name", text().about("In streaming URLs.")),
                shown("type", one_of(&["Video", "Audio", "Text"])),
                shown("fileName", text().about("Of an archived live track its movie header.")),
                sometimes("mpeg4TrackId", whole().about("Not of text, of which a file has one track.")),
                shown("bitRate", whole().about("In streaming URLs, in bit/s.")),
                shown("codec", text().about("RFC 6381.")),
                sometimes("languageCode", text()),
                shown("durationMs", whole()),
                shown("segments", whole()),
                shown(
                    "protocols",
                    list(protocol()).about("Those that carry it. `HlsTs` is HLS over MPEG-2 TS."),
                ),
                shown("refusals", list(shape("StreamingRefusal"))),
            ],
        ),
        Shape::answer(
            "StreamingRefusal",
            "A protocol that does not carry a track.",
            vec![shown("protocol", protocol()), shown("reason", text())],
        ),
        Shape::answer(
            "LeftOut",
            "Something of an asset that does not play.",
            vec![
                sometimes("fileName", text()),
                sometimes("mpeg4TrackId", whole()),
                shown("reason", text()),
            ],
        ),
        Shape::request(
            "ImportDocument",
            "Each member is a list of resources, as `az ams ... show` or the management API writes them.",
            vec![
                accepted(
                    "dryRun",
                    flag().about("Says what would be made, and makes nothing.").with("default", true),
                ),
                accepted("contentKeyPolicies", few(MOST_ITEMS).about("With their secrets.")),
                accepted("streamingPolicies", few(MOST_ITEMS)),
                accepted("accountFilters", few(MOST_ITEMS)),
                accepted(
                    "assets",
                    few(MOST_ASSETS).about("`container` has to be there; `assetFilters` may hold the asset's filters."),
                ),
                accepted(
                    "streamingLocators",
                    few(MOST_ITEMS).about("`contentKeys` may be what `listContentKeys` answered."),
                ),
            ],
        ),
        Shape::answer(
            "ImportReport",
            "",
            vec![shown("dryRun", flag()), shown("items", list(shape("ImportedItem")))],
        ),
        Shape::answer(
            "ImportedItem",
            "What became of a resource, or would.",
            vec![
                shown(
                    "kind",
                    one_of(&[
                        "ContentKeyPolicy",
                        "StreamingPolicy",
                        "AccountFilter",
                        "Asset",
                        "AssetFilter",
                        "StreamingLocator",
                    ]),
                ),
                shown("name", text()),
                sometimes("assetName", text()),
                shown("outcome", one_of(&["WouldCreate", "Created", "Exists", "Refused"])),
                sometimes("reason", text().about("Why it is refused.")),
                sometimes(
                    "serverManifest",
                    text().about("Name of a server manifest that is missing and is written."),
                ),
                sometimes("streaming", shape("AssetStreaming")),
                sometimes("paths", list(text()).about("That the locator opens.")),
                sometimes("warnings", list(text())),
            ],
        ),
    ]
}

pub(in crate::openapi) fn example() -> Json {
    json!({
        "dryRun": true,
        "assets": [{
            "name": "film",
            "assetId": "6e2b1c8e-2c4f-4d5a-9a7e-1b2c3d4e5f60",
            "container": "asset-6e2b1c8e-2c4f-4d5a-9a7e-1b2c3d4e5f60",
            "storageAccountName": "films",
        }],
        "streamingLocators": [{
            "name": "film-locator",
            "assetName": "film",
            "streamingPolicyName": "Predefined_ClearStreamingOnly",
            "streamingLocatorId": "1d2f3a4b-0000-4000-8000-00112233aabb",
        }],
    })
}
