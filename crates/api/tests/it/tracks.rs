//! Tracks of assets, on the surfaces.

use crate::support::{ARM, MKIO, OLDER, World};
use headwater_auth::Role;
use serde_json::{Value as Json, json};

const VTT: &str = "WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n";
const MANIFEST: &str = "<smil xmlns='http://www.w3.org/2001/SMIL20/Language'><body><switch>
    <video src='film_720.mp4' systemBitrate='3400000'><param name='trackName' value='video'/></video>
    <video src='film_360.mp4' systemBitrate='600000'><param name='trackName' value='video'/></video>
    <audio src='film_720.mp4' systemBitrate='128041' systemLanguage='eng'>
        <param name='trackID' value='2'/><param name='trackName' value='aac_eng_2_128041_2_1'/>
    </audio>
</switch></body></smil>";

/// An asset `film` whose container has these files.
fn world(files: &[(&str, &str)]) -> World {
    let world = World::new();
    let asset = json!({"properties": {"container": "films"}});
    world.put(&format!("{ARM}/assets/film"), asset).expect(201);
    for (name, text) in files {
        world
            .storage
            .put_bytes("films", name, text.as_bytes().to_vec());
    }
    world
}

fn path(base: &str, track: &str) -> String {
    format!("{base}/assets/film/tracks/{track}")
}

fn track(kind: &str, members: Json) -> Json {
    let mut track = members;
    track["@odata.type"] = format!("#Microsoft.Media.{kind}").into();
    json!({"properties": {"track": track}})
}

fn text(file: &str) -> Json {
    track(
        "TextTrack",
        json!({"fileName": file, "displayName": "English", "languageCode": "en-US"}),
    )
}

#[track_caller]
fn refused(got: crate::support::Got, member: &str, says: &str) {
    let body = got.expect(400).body;
    assert_eq!(
        body["error"]["target"],
        format!("properties.track.{member}"),
        "{body}"
    );
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
}

fn names(world: &World, base: &str) -> Vec<String> {
    let body = world
        .get(&format!("{base}/assets/film/tracks"))
        .expect(200)
        .body;
    assert_eq!(body.get("@odata.nextLink"), None);
    let value = body["value"].as_array().unwrap();
    value
        .iter()
        .map(|track| track["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_text_track_lives_through_all_that_clients_do_with_it() {
    let world = world(&[("en.vtt", VTT), ("film.ism", MANIFEST)]);
    for base in [ARM, MKIO, OLDER] {
        let path = path(base, "english");
        world.get(&path).expect(404);
        let made = world.put(&path, text("en.vtt")).expect(201).body;
        assert_eq!(
            made["properties"],
            json!({
                "track": {
                    "@odata.type": "#Microsoft.Media.TextTrack", "fileName": "en.vtt", "displayName": "English",
                    "languageCode": "en-US", "playerVisibility": "Visible",
                },
                "provisioningState": "Succeeded",
            })
        );
        assert_eq!(made["type"], "Microsoft.Media/mediaservices/assets/tracks");
        assert!(
            made["id"]
                .as_str()
                .unwrap()
                .ends_with("/assets/film/tracks/english")
        );
        world.put(&path, text("en.vtt")).expect(200);
        world.put(&path, made).expect(200);
        assert_eq!(
            names(&world, base),
            ["video", "aac_eng_2_128041_2_1", "english"]
        );

        let hls =
            json!({"default": true, "forced": false, "characteristics": "public.easy-to-read"});
        let change =
            json!({"displayName": "Easy", "playerVisibility": "Hidden", "hlsSettings": hls});
        let change = track("TextTrack", change);
        let changed = world.patch(&path, change.clone()).expect(202);
        world.patch(&path, change).expect(202);
        let now = world.get(&path).expect(200).body;
        assert_eq!(
            now["properties"]["track"],
            json!({
                "@odata.type": "#Microsoft.Media.TextTrack", "fileName": "en.vtt", "displayName": "Easy",
                "languageCode": "en-US", "playerVisibility": "Hidden", "hlsSettings": hls,
            })
        );
        // What is `null` is taken back; every text track is visible or not.
        let bare = json!({"displayName": null, "languageCode": null, "playerVisibility": null});
        world.patch(&path, track("TextTrack", bare)).expect(202);
        assert_eq!(
            world.get(&path).expect(200).body["properties"]["track"],
            json!({
                "@odata.type": "#Microsoft.Media.TextTrack", "fileName": "en.vtt",
                "playerVisibility": "Hidden", "hlsSettings": hls,
            })
        );
        world.patch(&path, now.clone()).expect(202);
        // What was read can be written back.
        world.patch(&path, now.clone()).expect(202);
        assert_eq!(
            world.get(&path).expect(200).body["properties"],
            now["properties"]
        );

        let again = world
            .post(&format!("{path}/updateTrackData"), Json::Null)
            .expect(202);
        let deleted = world.delete(&path).expect(202);
        world.delete(&path).expect(204);
        world.get(&path).expect(404);
        for accepted in [&changed, &again, &deleted] {
            assert_eq!(accepted.header("retry-after"), "1");
            let status = accepted
                .header("azure-asyncoperation")
                .strip_prefix(crate::support::PUBLIC_URL)
                .unwrap();
            // Operations outlive their track.
            let status = world.get(status).expect(200).body;
            assert_eq!(status["status"], "Succeeded");
            assert!(
                status["id"]
                    .as_str()
                    .unwrap()
                    .contains("/assets/film/tracks/english/operationStatuses/")
            );
        }
        assert_eq!(changed.header("location").is_empty(), base != ARM);
        let result = changed
            .header("azure-asyncoperation")
            .replace("Statuses", "Results");
        let result = result.strip_prefix(crate::support::PUBLIC_URL).unwrap();
        world.get(result).expect(204);
        world.put(&path, text("en.vtt")).expect(201);
        assert_eq!(world.get(result).expect(200).body["name"], "english");
        world.get(&result.replace("english", "video")).expect(404);
        world.delete(&path).expect(202);
    }
    assert!(
        world
            .storage
            .blobs
            .borrow()
            .contains_key(&("films".into(), "en.vtt".into()))
    );
}

#[test]
fn a_recording_takes_text_and_no_sound() {
    let files = [
        ("french.m4a", "not really one"),
        ("en.vtt", VTT),
        ("show.ism", MANIFEST),
        ("show.live/head", "its timeline"),
    ];
    let world = world(&files);
    let sound = track("AudioTrack", json!({"fileName": "french.m4a"}));
    let refused = world.put(&path(ARM, "french"), sound).expect(409).body;
    let refused = refused.to_string();
    assert!(refused.contains("recording of a live event"), "{refused}");
    let text = track("TextTrack", json!({"fileName": "en.vtt"}));
    world.put(&path(ARM, "english"), text).expect(201);
}

#[test]
fn audio_tracks_name_a_file_that_is_there() {
    let world = world(&[("french.m4a", "not really one")]);
    let path = path(ARM, "french");
    let body = track(
        "AudioTrack",
        json!({
            "fileName": "french.m4a", "displayName": "Français", "languageCode": "fr", "mpeg4TrackId": 1,
            "hlsSettings": {"default": false, "characteristics": "public.accessibility.describes-video"},
            "dashSettings": {"role": "description"},
        }),
    );
    let made = world.put(&path, body.clone()).expect(201).body;
    assert_eq!(made["properties"]["track"], body["properties"]["track"]);
    let with = |member: &str, value: Json| {
        let mut body = body.clone();
        body["properties"]["track"][member] = value;
        body
    };
    for (member, value, field, says) in [
        (
            "fileName",
            json!("german.m4a"),
            "fileName",
            "'german.m4a' not found in the container",
        ),
        ("fileName", json!("french.mp3"), "fileName", ".mp4 or .m4a"),
        ("fileName", json!("../french.m4a"), "fileName", ""),
        ("fileName", Json::Null, "fileName", "required"),
        ("languageCode", json!("f"), "languageCode", "RFC 5646"),
        (
            "languageCode",
            json!("fr_FR\"x"),
            "languageCode",
            "RFC 5646",
        ),
        ("mpeg4TrackId", json!(0), "mpeg4TrackId", "track id"),
        (
            "hlsSettings",
            json!({"forced": true}),
            "hlsSettings.forced",
            "text",
        ),
        (
            "hlsSettings",
            json!({"characteristics": "a\"b"}),
            "hlsSettings.characteristics",
            "identifiers",
        ),
        (
            "hlsSettings",
            json!({"name": "x"}),
            "hlsSettings.name",
            "known",
        ),
        (
            "dashSettings",
            json!({"role": "a b"}),
            "dashSettings.role",
            "role",
        ),
        ("displayName", json!(""), "displayName", "characters"),
        (
            "displayName",
            json!("x".repeat(261)),
            "displayName",
            "characters",
        ),
        (
            "playerVisibility",
            json!("Visible"),
            "playerVisibility",
            "known",
        ),
        (
            "@odata.type",
            json!("#Microsoft.Media.VideoTrack"),
            "@odata.type",
            "only audio and text",
        ),
        (
            "@odata.type",
            json!("#Microsoft.Media.SmellTrack"),
            "@odata.type",
            "TextTrack",
        ),
        ("@odata.type", Json::Null, "@odata.type", "required"),
    ] {
        refused(world.put(&path, with(member, value)), field, says);
    }
    for (member, value) in [("fileName", json!("other.m4a")), ("mpeg4TrackId", json!(2))] {
        refused(world.patch(&path, with(member, value)), member, "PUT");
    }
    let other = track("TextTrack", json!({"displayName": "x"}));
    refused(world.patch(&path, other), "@odata.type", "delete");
    world.storage.put_bytes("films", "french.vtt", VTT.into());
    refused(
        world.put(&path, text("french.vtt")),
        "@odata.type",
        "AudioTrack",
    );
    assert_eq!(world.get(&path).expect(200).body, made);
    let none = world.put(&format!("{ARM}/assets/none/tracks/x"), body);
    none.expect(404);
}

#[test]
fn a_broken_text_file_is_named_with_its_line() {
    let world = world(&[
        ("srt.vtt", "1\n00:00:00,000 --> 00:00:01,000\nHi\n"),
        ("cue.vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nHi\n"),
        ("no.ttml", "<?xml version='1.0'?>\n<html/>"),
        (
            "ok.ttml",
            "<?xml version='1.0'?>\n<tt xmlns='http://www.w3.org/ns/ttml'/>",
        ),
        ("en.vtt", VTT),
    ]);
    let path = path(ARM, "t");
    for (file, says) in [
        ("srt.vtt", "'srt.vtt' line 1: must be WEBVTT"),
        ("cue.vtt", "'cue.vtt' line 3: the cue must end"),
        ("no.ttml", "'no.ttml' line 2"),
        ("none.vtt", "'none.vtt' not found"),
        ("film.mp4", ".vtt or .ttml"),
    ] {
        refused(world.put(&path, text(file)), "fileName", says);
    }
    world.get(&path).expect(404);
    world.put(&path, text("ok.ttml")).expect(201);
    world.put(&path, text("en.vtt")).expect(200);
    // The file is replaced by one that is none.
    world.storage.put_bytes("films", "en.vtt", b"no".to_vec());
    let again = world.post(&format!("{path}/updateTrackData"), Json::Null);
    refused(again, "fileName", "'en.vtt' line 1");
}

#[test]
fn tracks_of_the_media_are_shown_and_left_alone() {
    let world = world(&[("film.ism", MANIFEST), ("en.vtt", VTT)]);
    let audio = path(ARM, "aac_eng_2_128041_2_1");
    let shown = world.get(&audio).expect(200).body;
    assert_eq!(
        shown["properties"]["track"],
        json!({
            "@odata.type": "#Microsoft.Media.AudioTrack", "fileName": "film_720.mp4", "languageCode": "eng",
            "mpeg4TrackId": 2, "bitRate": 128_041,
        })
    );
    assert_eq!(
        world.get(&path(ARM, "video")).expect(200).body["properties"]["track"],
        json!({"@odata.type": "#Microsoft.Media.VideoTrack"})
    );
    let change = track("AudioTrack", json!({"displayName": "x"}));
    for refusal in [
        world.patch(&audio, change),
        world.put(&audio, text("en.vtt")),
        world.delete(&audio),
        world.post(&format!("{audio}/updateTrackData"), Json::Null),
    ] {
        let body = refusal.expect(409).body;
        assert_eq!(body["error"]["code"], "InvalidOperation");
        assert!(
            body["error"]["message"]
                .as_str()
                .unwrap()
                .contains("part of the media")
        );
    }
    world
        .storage
        .put_bytes("films", "film.ism", b"<smil>".to_vec());
    let broken = world
        .get(&format!("{ARM}/assets/film/tracks"))
        .expect(409)
        .body;
    assert!(
        broken["error"]["message"]
            .as_str()
            .unwrap()
            .contains("'film.ism'")
    );
}

#[test]
fn who_may_do_what_with_tracks() {
    let world = world(&[("en.vtt", VTT)]);
    let path = path(ARM, "t");
    let body = text("en.vtt").to_string();
    for (role, method, body, status) in [
        (Role::Viewer, "PUT", body.as_str(), 403),
        (Role::Operator, "PUT", &body, 201),
        (Role::Viewer, "GET", "", 200),
        (Role::Viewer, "PATCH", &body, 403),
        (Role::Viewer, "DELETE", "", 403),
        (Role::Worker, "GET", "", 403),
        (Role::Operator, "DELETE", "", 202),
    ] {
        world.as_role(role, method, &path, body).expect(status);
    }
    world
        .get("/api/v1/projects/other/media/assets/film/tracks")
        .expect(404);
    world.put(&path, text("en.vtt")).expect(201);
    // Tracks go with their asset.
    world.delete(&format!("{ARM}/assets/film")).expect(200);
    world.get(&path).expect(404);
    world.delete(&path).expect(204);
}

#[test]
fn files_in_storage_are_not_encrypted() {
    let world = world(&[]);
    let ask = |asset: &str| {
        let got = world.post(
            &format!("{ARM}/assets/{asset}/getEncryptionKey"),
            Json::Null,
        );
        got.expect(404).body["error"]["message"].to_string()
    };
    assert!(ask("film").contains("not encrypted"));
    assert!(ask("none").contains("Asset 'none' not found"));
}
