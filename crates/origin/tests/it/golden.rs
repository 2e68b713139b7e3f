//! Manifests of one film as whole texts, in every format. Its samples are made up here, with the decoder configurations of a
//! shared file, so that nothing depends on an encoder. `INSTA_UPDATE=always` writes the texts anew; the difference is reviewed.

use crate::common::*;
use crate::formats::smooth_init;
use crate::made_up::{chunks, config, sample};
use headwater_bmff::write::{ProgressiveTrack, write_progressive};
use headwater_bmff::{Edit, EditList, TrackKind};
use headwater_time::Timescale;

/// Frames that the sound's decoder is primed by.
const PRIMING: u32 = 1024;
const MOVIE: u32 = 1000;

/// Seven seconds: 25 pictures a second with a key frame every two, and sound of 48 kHz.
fn film() -> Vec<u8> {
    // One NAL unit to a picture, of a size that its number gives.
    let pictures: Vec<Vec<u8>> = (0..175_u32)
        .map(|n| {
            let key = n % 50 == 0;
            let len = if key { 3000 } else { 400 + n % 7 * 60 };
            let mut unit = vec![0x80; len as usize];
            unit[0] = if key { 0x65 } else { 0x41 };
            [&len.to_be_bytes()[..], &unit].concat()
        })
        .collect();
    let sounds: Vec<Vec<u8>> = (0..329_u32)
        .map(|n| vec![0x21; 170 + n as usize % 5])
        .collect();
    let pictures = pictures.iter().enumerate();
    let video = ProgressiveTrack {
        config: config(TrackKind::Video, 12_800),
        edits: EditList::default(),
        samples: pictures
            .map(|(n, bytes)| sample(bytes.as_slice(), 512, n % 50 == 0))
            .collect(),
    };
    let audio = ProgressiveTrack {
        config: config(TrackKind::Audio, 48_000),
        edits: EditList {
            entries: vec![Edit {
                duration: 7 * u64::from(MOVIE),
                media_time: Some(PRIMING.into()),
                rate: 1 << 16,
            }],
        },
        samples: sounds
            .iter()
            .map(|bytes| sample(bytes.as_slice(), 1024, true))
            .collect(),
    };
    write_progressive(Timescale::new(MOVIE).unwrap(), &[video, audio]).unwrap()
}

pub(crate) fn storage() -> Memory {
    let storage = Memory::default();
    storage.write("film.mp4", film());
    storage.write(
        "film.ism",
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4-v3"/></head><body><switch>
        <video src="film.mp4" systemBitrate="150000"><param name="trackID" value="1"/><param name="trackName" value="video"/></video>
        <audio src="film.mp4" systemBitrate="64000" systemLanguage="eng"><param name="trackID" value="2"/><param name="trackName" value="aac_eng"/></audio>
        </switch></body></smil>"#,
    );
    storage
}

const VIDEO: &str = "film.ism/QualityLevels(150000)";
const AUDIO: &str = "film.ism/QualityLevels(64000)";

fn text(bench: &Bench, path: &str) -> String {
    let got = bench.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    got.text().to_owned()
}

#[test]
fn smooth_streaming() {
    let bench = Bench::new(storage());
    insta::assert_snapshot!("smooth_22", text(&bench, "film.ism/Manifest"));
    let old = "film.ism/Manifest(format=fmp4-v20)";
    insta::assert_snapshot!("smooth_20", text(&bench, old));
}

#[test]
fn dash() {
    let bench = Bench::new(storage());
    let of = |format: &str| text(&bench, &format!("film.ism/manifest(format={format})"));
    insta::assert_snapshot!("mpd_cmaf", of("mpd-time-cmaf"));
    insta::assert_snapshot!("mpd_csf", of("mpd-time-csf"));
}

#[test]
fn hls() {
    let bench = Bench::new(storage());
    for (version, format) in [
        ("v3", "m3u8-aapl-v3"),
        ("v4", "m3u8-aapl"),
        ("cmaf", "m3u8-cmaf"),
    ] {
        let master = format!("film.ism/manifest(format={format})");
        insta::assert_snapshot!(format!("hls_{version}_master"), text(&bench, &master));
        let option = match version {
            "v3" => ",audioTrack=aac_eng",
            _ => "",
        };
        let video = format!("{VIDEO}/Manifest(video,format={format}{option})");
        insta::assert_snapshot!(format!("hls_{version}_video"), text(&bench, &video));
        if version == "v3" {
            continue;
        }
        let audio = format!("{AUDIO}/Manifest(aac_eng,format={format})");
        insta::assert_snapshot!(format!("hls_{version}_audio"), text(&bench, &audio));
        let frames = format!("{VIDEO}/Manifest(video,format={format},type=keyframes)");
        insta::assert_snapshot!(format!("hls_{version}_key_frames"), text(&bench, &frames));
    }
}

/// From the third second to the fifth, which keeps the two groups of pictures that it is in.
#[test]
fn filtered() {
    let cut =
        r#"{"presentationTimeRange": {"startTimestamp": 30000000, "endTimestamp": 50000000}}"#;
    let bench = Bench::filtered(storage(), published(), &[("cut", cut)]);
    let of = |path: &str| text(&bench, path);
    insta::assert_snapshot!(
        "filtered_hls_master",
        of("film.ism/manifest(format=m3u8-cmaf,filter=cut)")
    );
    let video = format!("{VIDEO}/Manifest(video,format=m3u8-cmaf,filter=cut)");
    insta::assert_snapshot!("filtered_hls_video", of(&video));
    insta::assert_snapshot!(
        "filtered_mpd",
        of("film.ism/manifest(format=mpd-time-cmaf,filter=cut)")
    );
    insta::assert_snapshot!("filtered_smooth", of("film.ism/Manifest(filter=cut)"));
}

/// The same film as a regular channel would have left it: a folder for each track, fragments with `tfxd`, a header.
fn archive() -> Memory {
    let bench = Bench::new(storage());
    let storage = Memory::default();
    let manifest = text(&bench, "film.ism/Manifest(format=fmp4-v20)");
    for (name, level) in [("video", VIDEO), ("aac_eng", AUDIO)] {
        let init = bench.get(&format!("{level}/Fragments({name}=i,format=m3u8-cmaf)"));
        storage.write(&format!("live-{name}/header"), smooth_init(&init.body));
        for (at, _) in chunks(&manifest, name) {
            let fragment = bench.get(&format!("{level}/Fragments({name}={at})"));
            assert_eq!(fragment.status, 200);
            storage.write(&format!("live-{name}/{at}"), fragment.body);
        }
    }
    storage.write(
        "film.ism",
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="vod-fmp4"/></head><body><switch>
        <video src="live-video" systemBitrate="150000"><param name="trackName" value="video"/></video>
        <audio src="live-aac_eng" systemBitrate="64000" systemLanguage="eng"><param name="trackName" value="aac_eng"/></audio>
        </switch></body></smil>"#,
    );
    storage
}

#[test]
fn archived() {
    let bench = Bench::new(archive());
    let of = |path: &str| text(&bench, path);
    insta::assert_snapshot!(
        "archived_hls_master",
        of("film.ism/manifest(format=m3u8-cmaf)")
    );
    let video = format!("{VIDEO}/Manifest(video,format=m3u8-cmaf)");
    insta::assert_snapshot!("archived_hls_video", of(&video));
    insta::assert_snapshot!(
        "archived_mpd",
        of("film.ism/manifest(format=mpd-time-cmaf)")
    );
    insta::assert_snapshot!("archived_smooth", of("film.ism/Manifest"));
}
