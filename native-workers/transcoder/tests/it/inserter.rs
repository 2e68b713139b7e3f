//! Text tracks added to an asset that is there.

use crate::support::jobs::{aac, fake};
use crate::support::{Fake, media, save};
use headwater_ism::EntryKind;
use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome};
use serde_json::{Value, json};

const FILM: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\"><head>\
    <meta name=\"formats\" content=\"mp4-v3\"/><meta name=\"extra\" content=\"kept\"/></head><body><switch>\
    <video src=\"film.mp4\" systemBitrate=\"900000\"/></switch></body></smil>";
const TEXT: &str =
    "WEBVTT\n\n00:01.000 --> 00:03.000\nbonjour\n\n00:21.500 --> 00:24.000\n<i>\u{e0} demain</i>\n";

fn preset(hidden: bool) -> Value {
    json!({"@odata.type": "#MediaKind.TrackInserterPreset", "baseFilename": "film_fr", "tracks": [{
        "@odata.type": "#MediaKind.TextTrack", "trackName": "subs_fr", "displayName": "Fran\u{e7}ais", "languageCode": "fr",
        "playerVisibility": if hidden { "Hidden" } else { "Visible" },
        "hlsSettings": {"default": true, "forced": false, "characteristics": "public.easy-to-read"},
    }]})
}

async fn with(manifests: &[&str]) -> Fake {
    let fake = fake(Choice::Auto).await;
    fake.upload("fr.vtt", TEXT);
    let mut state = fake.state.lock().unwrap();
    for name in manifests {
        state.blobs.insert(format!("out0/{name}"), FILM.into());
    }
    drop(state);
    fake
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_track_is_packaged_and_named_once() {
    let fake = with(&["film.ism"]).await;
    for hidden in [true, false] {
        fake.queue_with(fake.input("fr.vtt"), vec![preset(hidden)]);
        let outcome = fake.finish(1).await;
        let Outcome::Finished {
            manifests, encoded, ..
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(manifests, ["film.ism"]);
        assert!(encoded.is_empty(), "nothing is metered");
        let files = fake.files("out0");
        let text = String::from_utf8(files["film.ism"].to_vec()).unwrap();
        assert!(text.contains("name=\"extra\" content=\"kept\""), "{text}");
        let read = headwater_ism::parse(text.as_bytes()).unwrap();
        assert_eq!(read.tracks.len(), 2, "{text}");
        let track = &read.tracks[1];
        assert_eq!(track.kind, EntryKind::Text);
        assert_eq!(track.source, "film_fr.cmft");
        assert_eq!(track.transcript.as_deref(), Some("film_fr.vtt"));
        assert_eq!(track.track_name.as_deref(), Some("subs_fr"));
        assert_eq!(track.display_name.as_deref(), Some("Fran\u{e7}ais"));
        assert_eq!(track.language.as_deref(), Some("fr"));
        assert_eq!(track.output_flag, Some(if hidden { 0 } else { 3 }));
        assert!(track.is_default && !track.is_forced);
    }
    let files = fake.files("out0");
    assert_eq!(&files["film_fr.vtt"][..], TEXT.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    save(&files, folder.path());
    let packaged = folder.path().join("film_fr.cmft");
    let found = media::probe(
        &packaged,
        "-show_entries stream=codec_tag_string:stream_tags=language:packet=pts_time,duration_time",
    );
    assert_eq!(found["streams"][0]["codec_tag_string"], "stpp");
    let packets = found["packets"].as_array().unwrap();
    assert_eq!(packets.len(), 3, "{packets:?}");
    assert_eq!(packets[2]["pts_time"], "20.000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_added_to_says_why() {
    let encoder = json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset", "codecs": [aac()],
        "formats": [{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}{Extension}"}]});
    for (manifests, file, presets, says) in [
        (
            vec![],
            "fr.vtt",
            vec![preset(false)],
            "has 0 server manifests",
        ),
        (
            vec!["a.ism", "b.ism"],
            "fr.vtt",
            vec![preset(false)],
            "has 2 server manifests",
        ),
        (
            vec!["a.ism"],
            "",
            vec![preset(false), encoder],
            "cannot be outputs of one transform",
        ),
    ] {
        let fake = with(&manifests).await;
        fake.queue_with(fake.input(file), presets);
        match fake.finish(1).await {
            Outcome::Error(failure) => {
                assert_eq!(failure.code, JobErrorCode::ConfigurationUnsupported);
                assert!(failure.message.contains(says), "{}", failure.message);
            }
            outcome => panic!("{outcome:?}"),
        }
    }
}
