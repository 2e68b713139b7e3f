//! Imports, and what of an asset plays, over real files in a storage of the test's own.

use std::process::Command;

use crate::support::{MKIO, World};
use headwater_auth::Role;
use serde_json::{Value as Json, json};

const LOCATOR: &str = "1d2f3a4b-0000-4000-8000-00112233aabb";

/// A file of two seconds: pictures if `video` is an encoder, and sound.
fn film(video: Option<&str>, audio: &str) -> Vec<u8> {
    film_with(2, video, audio, &[])
}

/// As `film`, of so many seconds, with more arguments for the encoders.
fn film_with(seconds: u32, video: Option<&str>, audio: &str, more: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args([
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &format!("sine=duration={seconds}:sample_rate=48000"),
    ]);
    if let Some(video) = video {
        ffmpeg.args([
            "-f",
            "lavfi",
            "-i",
            &format!("testsrc=size=64x64:rate=25:duration={seconds}"),
            "-c:v",
            video,
            "-pix_fmt",
            "yuv420p",
        ]);
    }
    let done = ffmpeg
        .args(["-c:a", audio, "-strict", "-2"])
        .args(more)
        .arg(&file)
        .status()
        .expect("ffmpeg is installed");
    assert!(done.success());
    std::fs::read(file).unwrap()
}

/// A world whose container `films` has these files.
fn world(files: &[(&str, Vec<u8>)]) -> World {
    let world = World::new();
    world.storage.containers.borrow_mut().insert("films".into());
    for (name, bytes) in files {
        world.storage.put_bytes("films", name, bytes.clone());
    }
    world
}

fn document(dry_run: bool) -> Json {
    json!({
        "dryRun": dry_run,
        "contentKeyPolicies": [{
            "name": "keys", "id": "/subscriptions/x", "policyId": "x", "description": null,
            "options": [{
                "configuration": {"odataType": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
                "restriction": {"odataType": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
            }],
        }],
        "streamingPolicies": [{"name": "Predefined_ClearKey"}],
        "accountFilters": [{"name": "first", "presentationTimeRange": {
            "startTimestamp": 0, "endTimestamp": 10_000_000, "presentationWindowDuration": i64::MAX,
        }}],
        "assets": [{
            "name": "film", "assetId": "6e2b1c8e-2c4f-4d5a-9a7e-1b2c3d4e5f60", "alternateId": "42", "container": "films",
            "storageEncryptionFormat": "None",
            "assetFilters": [{"name": "low", "properties": {"firstQuality": {"bitrate": 100000}}}],
        }],
        "streamingLocators": [{
            "name": "film-locator", "assetName": "film", "streamingLocatorId": LOCATOR,
            "streamingPolicyName": "Predefined_ClearKey", "defaultContentKeyPolicyName": "keys",
            "endTime": "9999-12-31T23:59:59.999999+00:00",
            "contentKeys": {"contentKeys": [{
                "id": "0f1e2d3c-0000-4000-8000-0123456789ab", "type": "EnvelopeEncryption",
                "value": "MDEyMzQ1Njc4OWFiY2RlZg==", "labelReferenceInStreamingPolicy": "ContentKey_AES",
                "policyName": "keys", "tracks": [],
            }]},
        }],
    })
}

#[track_caller]
fn import(world: &World, document: Json) -> Vec<Json> {
    let body = world
        .post(&format!("{MKIO}/import"), document)
        .expect(200)
        .body;
    body["items"].as_array().unwrap().clone()
}

fn outcomes(items: &[Json]) -> Vec<(&str, &str)> {
    items
        .iter()
        .map(|item| {
            (
                item["kind"].as_str().unwrap(),
                item["outcome"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_dry_run_makes_nothing_and_an_import_makes_it_once() {
    let world = world(&[("film.mp4", film(Some("libx264"), "aac"))]);
    let items = import(&world, document(true));
    assert_eq!(
        outcomes(&items),
        [
            ("ContentKeyPolicy", "WouldCreate"),
            ("StreamingPolicy", "Exists"),
            ("AccountFilter", "WouldCreate"),
            ("Asset", "WouldCreate"),
            ("AssetFilter", "WouldCreate"),
            ("StreamingLocator", "WouldCreate"),
        ],
        "{items:#?}"
    );
    assert_eq!(items[3]["serverManifest"], "film.ism");
    let tracks = items[3]["streaming"]["tracks"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    assert_eq!(
        tracks[0]["protocols"],
        json!(["Hls", "HlsTs", "Dash", "SmoothStreaming"])
    );
    assert_eq!(items[5]["warnings"], json!([]));
    let paths = items[5]["paths"].as_array().unwrap();
    assert!(paths.contains(&json!(format!(
        "/{LOCATOR}/film.ism/manifest(format=m3u8-cmaf,encryption=cbc)"
    ))));
    world.get(&format!("{MKIO}/assets/film")).expect(404);
    world
        .get(&format!("{MKIO}/streamingLocators/film-locator"))
        .expect(404);

    let items = import(&world, document(false));
    let made: Vec<&str> = outcomes(&items)
        .iter()
        .map(|(_, outcome)| *outcome)
        .collect();
    assert_eq!(
        made,
        [
            "Created", "Exists", "Created", "Created", "Created", "Created"
        ],
        "{items:#?}"
    );
    let again = import(&world, document(false));
    assert!(
        again.iter().all(|item| item["outcome"] == "Exists"),
        "{again:#?}"
    );
    assert!(again[3].get("serverManifest").is_none());
    let asset = world.get(&format!("{MKIO}/assets/film")).expect(200).body;
    assert_eq!(
        asset["properties"]["assetId"],
        "6e2b1c8e-2c4f-4d5a-9a7e-1b2c3d4e5f60"
    );
    assert_eq!(asset["properties"]["alternateId"], "42");
    assert_eq!(asset["properties"]["containerDeletionPolicy"], "Retain");
    let keys = world
        .post(
            &format!("{MKIO}/streamingLocators/film-locator/listContentKeys"),
            json!({}),
        )
        .expect(200)
        .body;
    assert_eq!(keys["contentKeys"][0]["value"], "MDEyMzQ1Njc4OWFiY2RlZg==");
    assert_eq!(
        keys["contentKeys"][0]["id"],
        "0f1e2d3c-0000-4000-8000-0123456789ab"
    );
    let manifest = world.storage.blobs.borrow()[&("films".into(), "film.ism".into())].clone();
    let manifest = headwater_ism::parse(&manifest).unwrap();
    assert_eq!(manifest.tracks.len(), 2);
    let streaming = world
        .get(&format!("{MKIO}/assets/film/streaming"))
        .expect(200)
        .body;
    assert_eq!(streaming["hasManifest"], true);
    assert_eq!(streaming["tracks"], items[3]["streaming"]["tracks"]);
}

#[test]
fn what_does_not_play_is_said_where_tracks_are_shown() {
    let manifest = "<smil><body><switch>
        <video src='film.mp4' systemBitrate='300000'/><video src='lost.mp4'/><video systemBitrate='1'/>
        <audio src='film.mp4' systemBitrate='96000'/><audio src='opus.mp4' systemBitrate='64000'/>
        <audio src='mp3.mp4'/>
    </switch></body></smil>";
    let world = world(&[
        ("film.mp4", film(Some("libx264"), "aac")),
        ("opus.mp4", film(None, "libopus")),
        ("mp3.mp4", film(None, "libmp3lame")),
        ("film.ism", manifest.as_bytes().to_vec()),
    ]);
    let asset = json!({"properties": {"container": "films"}});
    world.put(&format!("{MKIO}/assets/film"), asset).expect(201);
    let streaming = world
        .get(&format!("{MKIO}/assets/film/streaming"))
        .expect(200)
        .body;
    let files: Vec<_> = streaming["tracks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|track| {
            (
                track["fileName"].as_str().unwrap(),
                track["protocols"].as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(
        files,
        [("film.mp4", 4), ("film.mp4", 4), ("opus.mp4", 2)],
        "{streaming:#}"
    );
    let refusals = &streaming["tracks"][2]["refusals"];
    assert_eq!(
        refusals[0]["reason"],
        "MPEG-2 TS of HLS does not carry Opus"
    );
    let left_out = streaming["leftOut"].as_array().unwrap();
    let said: Vec<_> = left_out
        .iter()
        .map(|left| (left["fileName"].as_str(), left["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(said[0], (None, "track element 3: it names no file"));
    assert_eq!(
        said[1],
        (
            Some("lost.mp4"),
            "a file of the asset is not in its storage"
        )
    );
    assert_eq!(said[2].0, Some("mp3.mp4"));
    assert_eq!(said.len(), 3, "{said:?}");
}

#[test]
fn pictures_that_some_players_do_not_show_are_flagged() {
    let h264 = |params| film_with(6, Some("libx264"), "aac", &["-x264-params", params]);
    let h265 = |params| {
        film_with(
            6,
            Some("libx265"),
            "aac",
            &["-tag:v", "hvc1", "-x265-params", params],
        )
    };
    for (film, flagged) in [
        (h264("keyint=10:open-gop=0"), vec![]),
        (
            h264("keyint=10:open-gop=0:interlaced=1"),
            vec!["interlaced"],
        ),
        (
            h264("keyint=50:min-keyint=50:scenecut=0:bframes=3:b-adapt=0:open-gop=1"),
            vec!["open GOPs"],
        ),
        (h265("log-level=none:keyint=10:open-gop=0"), vec![]),
        (
            h265("log-level=none:keyint=10:open-gop=0:interlace=tff"),
            vec!["interlaced"],
        ),
    ] {
        let world = world(&[("film.mp4", film)]);
        let asset = json!({"properties": {"container": "films"}});
        world.put(&format!("{MKIO}/assets/film"), asset).expect(201);
        let streaming = world
            .get(&format!("{MKIO}/assets/film/streaming"))
            .expect(200)
            .body;
        let warnings = streaming["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), flagged.len(), "{flagged:?}: {warnings:?}");
        for (warning, word) in warnings.iter().zip(flagged) {
            let warning = warning.as_str().unwrap();
            assert!(warning.starts_with("film.mp4: "), "{warning}");
            assert!(warning.contains(word), "{warning}");
        }
    }
}

const VTT: &str = "WEBVTT\n\n00:00.500 --> 00:01.500\nHallo\n";
const SHEETS: &str = "WEBVTT\n\n00:00.000 --> 00:01.000\nsheet.jpg#xywh=0,0,160,90\n\n\
    00:01.000 --> 00:02.000\nsheet.jpg#xywh=160,0,160,90\n";

/// The tracks of a report that are text: name, file, language, codec.
fn texts(streaming: &Json) -> Vec<[Option<&str>; 4]> {
    let tracks = streaming["tracks"].as_array().unwrap().iter();
    tracks
        .filter(|track| track["type"] == "Text")
        .map(|track| ["name", "fileName", "languageCode", "codec"].map(|m| track[m].as_str()))
        .collect()
}

#[test]
fn text_beside_the_media_is_in_the_server_manifest_that_an_import_writes() {
    let world = world(&[
        ("film.mp4", film(Some("libx264"), "aac")),
        ("film.de.vtt", VTT.into()),
        ("film.fr.ttml", b"<tt".to_vec()),
        ("film_sheets.vtt", SHEETS.into()),
        ("sheet.jpg", vec![0; 100]),
    ]);
    let assets = json!([{"name": "film", "container": "films"}]);
    let items = import(&world, json!({"dryRun": false, "assets": assets}));
    let streaming = &items[0]["streaming"];
    let german = [
        Some("text_de"),
        Some("film.de.vtt"),
        Some("de"),
        Some("wvtt"),
    ];
    assert_eq!(texts(streaming), [german], "{streaming:#}");
    assert_eq!(streaming["thumbnails"], "film_sheets.vtt");
    assert_eq!(streaming["leftOut"][0]["fileName"], "film.fr.ttml");
    assert_eq!(streaming["leftOut"].as_array().unwrap().len(), 1);

    let manifest = world.storage.blobs.borrow()[&("films".into(), "film.ism".into())].clone();
    let manifest = headwater_ism::parse(&manifest).unwrap();
    assert_eq!(manifest.formats.as_deref(), Some("mp4"));
    let text = manifest.tracks.last().unwrap();
    assert_eq!(text.kind, headwater_ism::EntryKind::Text);
    assert_eq!(
        (
            text.source.as_str(),
            text.track_name.as_deref(),
            text.language.as_deref()
        ),
        ("film.de.vtt", Some("text_de"), Some("de"))
    );
    // From now on the manifest says it, and it is the same.
    let now = world
        .get(&format!("{MKIO}/assets/film/streaming"))
        .expect(200)
        .body;
    assert_eq!(now["hasManifest"], true);
    assert_eq!(now["tracks"], streaming["tracks"]);
}

#[test]
fn text_that_plays_and_text_that_does_not_are_reported() {
    let manifest = "<smil><body><switch>
        <video src='film.mp4' systemBitrate='300000'/>
        <textstream src='good.vtt' systemBitrate='50' systemLanguage='deu'><param name='trackName' value='subs'/></textstream>
        <textstream src='lost.vtt'/><textstream src='broken.ttml'/><textstream src='sheets.vtt'/>
        <textstream src='hidden.vtt'><param name='outputFlag' value='0'/></textstream>
    </switch></body></smil>";
    let world = world(&[
        ("film.mp4", film(Some("libx264"), "aac")),
        ("film.ism", manifest.into()),
        ("good.vtt", VTT.into()),
        ("hidden.vtt", VTT.into()),
        ("broken.ttml", b"<tt".to_vec()),
        ("sheets.vtt", SHEETS.into()),
    ]);
    let asset = json!({"properties": {"container": "films"}});
    world.put(&format!("{MKIO}/assets/film"), asset).expect(201);
    let streaming = world
        .get(&format!("{MKIO}/assets/film/streaming"))
        .expect(200)
        .body;
    let good = [Some("subs"), Some("good.vtt"), Some("de"), Some("wvtt")];
    assert_eq!(texts(&streaming), [good], "{streaming:#}");
    let text = streaming["tracks"].as_array().unwrap().last().unwrap();
    assert_eq!(text["bitRate"], 50);
    assert_eq!(text["durationMs"], 1500);
    assert_eq!(text["segments"], 1);
    assert_eq!(text["protocols"].as_array().unwrap().len(), 4);
    assert!(text.get("mpeg4TrackId").is_none(), "{text:#}");
    let left_out = streaming["leftOut"].as_array().unwrap();
    let said: Vec<_> = left_out
        .iter()
        .map(|left| {
            (
                left["fileName"].as_str().unwrap(),
                left["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(
        said[0],
        ("lost.vtt", "a file of the asset is not in its storage")
    );
    assert_eq!(said[1].0, "broken.ttml");
    assert_eq!(said[2], ("sheets.vtt", "parts of pictures are no text"));
    assert_eq!(said[3], ("hidden.vtt", "the server manifest hides it"));
}

#[test]
fn what_cannot_be_imported_does_not_keep_the_rest() {
    let world = world(&[("film.mp4", film(None, "aac"))]);
    let items = import(
        &world,
        json!({
            "dryRun": false,
            "assets": [
                {"name": "encrypted", "container": "films", "storageEncryptionFormat": "MediaStorageClientEncryption"},
                {"name": "nowhere", "container": "nothing-here"},
                {"name": "film", "container": "films"},
            ],
            "streamingLocators": [
                {"name": "a", "assetName": "other", "streamingPolicyName": "Predefined_ClearStreamingOnly"},
                {"name": "b", "assetName": "film", "streamingPolicyName": "none"},
                {"name": "c", "assetName": "film", "streamingPolicyName": "Predefined_ClearStreamingOnly"},
            ],
        }),
    );
    let made: Vec<&str> = outcomes(&items)
        .iter()
        .map(|(_, outcome)| *outcome)
        .collect();
    assert_eq!(
        made,
        [
            "Refused", "Refused", "Created", "Refused", "Refused", "Created"
        ],
        "{items:#?}"
    );
    assert!(
        items[0]["reason"]
            .as_str()
            .unwrap()
            .contains("encrypted in storage")
    );
    assert_eq!(items[5]["warnings"].as_array().unwrap().len(), 1);
    // No container came of it.
    assert!(!world.storage.containers.borrow().contains("nothing-here"));
}

#[test]
fn an_import_needs_the_rights_for_what_it_holds() {
    let world = world(&[]);
    let path = format!("{MKIO}/import");
    world
        .as_role(Role::Viewer, "POST", &path, "{\"assets\": []}")
        .expect(403);
    let body = json!({"assets": [], "surprise": []});
    let refused = world.post(&format!("{MKIO}/import"), body).expect(400).body;
    assert!(refused.to_string().contains("surprise"));
}
