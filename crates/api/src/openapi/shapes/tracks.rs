//! Tracks of assets: `resources/{tracks, track_fields, media_tracks}.rs`.

use serde_json::{Value as Json, json};

use crate::openapi::schema::{Schema, flag, one_of, shape, text, time, union, whole};
use crate::openapi::shape::{
    Member, Properties, Shape, optional, required, resource, shown, sometimes, update,
};
use crate::resources::track_fields::{LONGEST_LANGUAGE, LONGEST_TEXT};

/// The kinds that can be added, as shapes of these names and an ending.
fn added(ending: &str) -> [(String, String); 2] {
    ["AudioTrack", "TextTrack"].map(|kind| {
        (
            format!("#Microsoft.Media.{kind}"),
            format!("{kind}{ending}"),
        )
    })
}

fn among(kinds: &[(String, String)]) -> Schema {
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, name)| (kind.as_str(), name.as_str()))
        .collect();
    union(&kinds)
}

fn short() -> Schema {
    text().at_least(1).at_most(LONGEST_TEXT as u64)
}

/// What every kind has. Video and what the media has of sound and text is shown only.
fn common(kind: &str, file_name: Member) -> Vec<Member> {
    vec![
        required(
            "@odata.type",
            text().with("enum", vec![format!("#Microsoft.Media.{kind}")]),
        ),
        file_name,
        optional("displayName", short()),
        optional(
            "languageCode",
            text()
                .at_most(LONGEST_LANGUAGE as u64)
                .about("RFC 5646, for instance `en-US`."),
        ),
        optional("hlsSettings", shape("HlsSettings")),
    ]
}

fn audio(file_name: Member) -> Vec<Member> {
    let mut members = common("AudioTrack", file_name);
    members.extend([
        optional("dashSettings", shape("DashSettings")),
        optional(
            "mpeg4TrackId",
            whole()
                .at_least(1)
                .at_most(u32::MAX.into())
                .about("Of the track in its file. Cannot be changed by PATCH."),
        ),
        sometimes("bitRate", whole().about("In bits per second.")),
    ]);
    members
}

fn subtitles(file_name: Member) -> Vec<Member> {
    let mut members = common("TextTrack", file_name);
    members.push(optional(
        "playerVisibility",
        one_of(&["Hidden", "Visible"]).with("default", "Visible"),
    ));
    members
}

pub(super) fn shapes() -> Vec<Shape> {
    let mut every = Vec::from(added(""));
    every.push(("#Microsoft.Media.VideoTrack".into(), "VideoTrack".into()));
    let provisioning = || shown("provisioningState", one_of(&["Succeeded"]));
    let properties = Shape::two(
        "AssetTrackProperties",
        "",
        vec![
            required("track", among(&every))
                .written_as(among(&added("")))
                .needed(),
            provisioning(),
        ],
    );
    let changed = Shape::request(
        "AssetTrackPropertiesUpdate",
        "",
        vec![required("track", among(&added("Update"))), provisioning()],
    );
    let mut shapes = Vec::from(update("AssetTrack", Properties::Required, changed));
    shapes.extend(resource(
        "AssetTrack",
        "What a player can choose: a track of the asset's media, or a file that was added to it.",
        Properties::Required,
        properties,
        vec![],
    ));
    let of_file = || text().about("Of the asset. It must be there, and begin as such a file does.");
    let file = || {
        sometimes("fileName", of_file())
            .written_as(of_file())
            .needed()
    };
    let same_file = || {
        let about = "Cannot be changed by PATCH.";
        optional("fileName", text().about(about))
    };
    shapes.extend([
        Shape::two("AudioTrack", "Sound.", audio(file())),
        Shape::two(
            "TextTrack",
            "Subtitles: WebVTT, or TTML if the file is called `.ttml`.",
            subtitles(file()),
        ),
        Shape::answer(
            "VideoTrack",
            "Pictures. They come with the media: they are neither added nor changed.",
            vec![shown(
                "@odata.type",
                one_of(&["#Microsoft.Media.VideoTrack"]),
            )],
        ),
        Shape::request(
            "AudioTrackUpdate",
            "What is left out stays as it is.",
            audio(same_file()),
        ),
        Shape::request(
            "TextTrackUpdate",
            "What is left out stays as it is.",
            subtitles(same_file()),
        ),
        Shape::same(
            "HlsSettings",
            "",
            vec![
                optional("default", flag()),
                optional("forced", flag().about("For text tracks.")),
                optional(
                    "characteristics",
                    short()
                        .pattern("^[A-Za-z0-9., -]*$")
                        .about("Uniform type identifiers with commas between them."),
                ),
            ],
        ),
        Shape::same(
            "DashSettings",
            "",
            vec![optional(
                "role",
                short()
                    .pattern("^[A-Za-z0-9-]*$")
                    .about("As in ISO/IEC 23009-1, for instance `alternate`."),
            )],
        ),
        Shape::answer(
            "TrackOperationStatus",
            "What became of a long-running operation.",
            vec![
                shown("name", text()),
                shown("id", text()),
                shown("status", one_of(&["InProgress", "Succeeded", "Failed"])),
                shown("startTime", time()),
                shown("endTime", time()),
            ],
        ),
    ]);
    shapes
}

pub(in crate::openapi) fn audio_example() -> Json {
    json!({"properties": {"track": {
        "@odata.type": "#Microsoft.Media.AudioTrack",
        "fileName": "film_fr.mp4",
        "displayName": "Français",
        "languageCode": "fr",
        "mpeg4TrackId": 1,
        "hlsSettings": {"default": false, "characteristics": "public.accessibility.describes-video"},
        "dashSettings": {"role": "dub"},
    }}})
}

pub(in crate::openapi) fn text_example() -> Json {
    json!({"properties": {"track": {
        "@odata.type": "#Microsoft.Media.TextTrack",
        "fileName": "film_en.vtt",
        "displayName": "English",
        "languageCode": "en",
        "playerVisibility": "Visible",
        "hlsSettings": {"default": true, "forced": false},
    }}})
}

pub(in crate::openapi) fn update_example() -> Json {
    json!({"properties": {"track": {
        "@odata.type": "#Microsoft.Media.TextTrack",
        "displayName": "English (for the deaf)",
        "hlsSettings": {"characteristics": "public.accessibility.describes-music-and-sound"},
    }}})
}
