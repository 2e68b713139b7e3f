//! Live presentations with sound in several languages and codecs, and pictures in several codecs.

use crate::common::*;
use crate::live::*;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::{Change, Config};

/// A track: name, bit rate, codec, channels, language.
type Of = (
    Kind,
    &'static str,
    u32,
    &'static str,
    u16,
    Option<&'static str>,
);

const PICTURES: Of = (Kind::Video, "video", 2_000_000, "avc1.64001f", 0, None);
const HEVC: Of = (Kind::Video, "video", 1_500_000, "hvc1.1.6.L93.90", 0, None);
const ENGLISH: Of = (Kind::Audio, "audio", 128_000, "mp4a.40.2", 2, Some("eng"));
const GERMAN: Of = (Kind::Audio, "audio-2", 128_000, "mp4a.40.2", 2, Some("deu"));

/// Six seconds of tracks.
fn changes(all: &[Of]) -> Vec<Change> {
    let mut changes = Vec::new();
    for (track, (kind, name, bitrate, codec, channels, language)) in (0..).zip(all) {
        changes.push(Change::Track {
            kind: *kind,
            name: (*name).into(),
            bitrate: *bitrate,
            language: language.map(str::to_owned),
        });
        let config = Config {
            codec: (*codec).into(),
            channels: *channels,
            init: match *kind {
                // Smooth Streaming looks inside.
                Kind::Audio => StreamConfig::aac(&[0x11, 0x90]).unwrap().init,
                Kind::Video => b"video".to_vec(),
            },
            ..config(*kind)
        };
        changes.push(Change::Config { track, config });
    }
    for at in 0..6 {
        let number = FIRST + at;
        changes.push(Change::Row {
            number,
            start: START + i64::try_from(at).unwrap() * 90_000,
            discontinuity: false,
        });
        for (track, (kind, ..)) in (0..).zip(all) {
            let segment = segment(*kind, at);
            changes.push(Change::Whole {
                track,
                number,
                segment,
            });
        }
    }
    changes
}

/// MPEG-2 TS looks inside of pictures: H.264 of libx264, 64x64, as the first track.
fn real_pictures(mut changes: Vec<Change>) -> Vec<Change> {
    let sps = [
        0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x26, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xc8,
        0x3c, 0x48, 0x99, 0x20,
    ];
    let pps = [0x68, 0xcb, 0x83, 0xcb, 0x20];
    let real = StreamConfig::avc_sets(vec![sps.to_vec()], vec![pps.to_vec()]).unwrap();
    for change in &mut changes {
        if let Change::Config { track: 0, config } = change {
            config.init.clone_from(&real.init);
        }
    }
    changes
}

fn airing(all: &[Of]) -> Memory {
    let storage = Memory::default();
    record_all(&storage, &changes(all), false);
    tell(&storage, timeline(&changes(all)), false);
    storage
}

fn live(all: &[Of]) -> Bench {
    Bench::with(airing(all), on_air(None))
}

fn text(bench: &Bench, options: &str) -> String {
    let url = format!("show.ism/manifest({options})");
    let got = bench.get(&url);
    assert_eq!(got.status, 200, "{url}: {}", got.text());
    got.text().to_owned()
}

/// Adaptation sets of a presentation without a stretch of its own: language, role and codecs.
fn sets(mpd: &str) -> Vec<String> {
    let sets = mpd.split("<AdaptationSet").skip(1);
    let set = |set: &str| {
        let of = |name: &str| {
            let found = attributes(set, name);
            found.join(" ")
        };
        let role = set.split("<Role").nth(1).unwrap_or_default();
        let role = attributes(role.split("/>").next().unwrap_or_default(), "value");
        let parts = [of("lang"), role.join(" "), of("codecs"), of("bandwidth")];
        parts.join("|")
    };
    sets.map(set).collect()
}

#[test]
fn two_languages_are_renditions_of_one_group() {
    let bench = live(&[PICTURES, ENGLISH, GERMAN]);
    let expected = r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="QualityLevels(128000)/Manifest(audio,format=m3u8-cmaf)"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="German",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="QualityLevels(128000)/Manifest(audio-2,format=m3u8-cmaf)"
#EXT-X-STREAM-INF:BANDWIDTH=2128000,AVERAGE-BANDWIDTH=1600,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,VIDEO-RANGE=SDR,AUDIO="aac"
QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf)
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=2000000,CODECS="avc1.64001f",RESOLUTION=1280x720,VIDEO-RANGE=SDR,URI="QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf,type=keyframes)"
"#;
    assert_eq!(text(&bench, "format=m3u8-cmaf"), expected);
    let mpd = text(&bench, "format=mpd-time-cmaf");
    let expected = [
        "||avc1.64001f|2000000",
        "en|main|mp4a.40.2|128000",
        "de|alternate|mp4a.40.2|128000",
    ];
    assert_eq!(sets(&mpd), expected, "{mpd}");
    // Each has a playlist and segments under its own name.
    let german = "show.ism/QualityLevels(128000)/Manifest(audio-2,format=m3u8-cmaf)";
    let playlist = bench.get(german).text().to_owned();
    assert_eq!(count(&playlist, "\nFragments(audio-2="), 6, "{playlist}");
}

#[test]
fn the_recording_tells_the_same_languages() {
    let tracks = [PICTURES, ENGLISH, GERMAN];
    let storage = airing(&tracks);
    let live = Bench::with(storage.clone(), on_air(None));
    let before = text(&live, "format=m3u8-cmaf");
    record_all(&storage, &changes(&tracks), true);
    let film = Bench::new(storage);
    assert_eq!(text(&film, "format=m3u8-cmaf"), before);
    let mpd = text(&film, "format=mpd-time-cmaf");
    assert!(mpd.contains("type=\"static\""), "{mpd}");
    assert_eq!(
        sets(&mpd)[1..],
        [
            "en|main|mp4a.40.2|128000".to_owned(),
            "de|alternate|mp4a.40.2|128000".to_owned()
        ]
    );
}

#[test]
fn codec_families_are_groups_and_sets_of_their_own() {
    let surround: Of = (Kind::Audio, "audio", 384_000, "ac-3", 6, Some("eng"));
    let surround_german: Of = (Kind::Audio, "audio-2", 384_000, "ac-3", 6, Some("deu"));
    let bench = live(&[PICTURES, HEVC, ENGLISH, GERMAN, surround, surround_german]);
    let master = text(&bench, "format=m3u8-cmaf");
    let media: Vec<&str> = master
        .lines()
        .filter(|line| line.starts_with("#EXT-X-MEDIA"))
        .collect();
    let groups: Vec<String> = attributes(&media.join("\n"), "GROUP-ID");
    assert_eq!(groups, ["aac_2ch", "aac_2ch", "ac-3_6ch", "ac-3_6ch"]);
    let languages = attributes(&media.join("\n"), "LANGUAGE");
    assert_eq!(languages, ["en", "de", "en", "de"]);
    assert_eq!(
        attributes(&media.join("\n"), "NAME"),
        ["English", "German", "English", "German"]
    );
    let default: Vec<bool> = media
        .iter()
        .map(|line| line.contains("DEFAULT=YES"))
        .collect();
    assert_eq!(default, [true, false, true, false], "one in each group");
    assert_eq!(count(&master, "AUTOSELECT=YES"), 4);
    let variants: Vec<&str> = master
        .lines()
        .filter(|line| line.starts_with("#EXT-X-STREAM-INF"))
        .collect();
    let variants = variants.join("\n");
    assert_eq!(
        attributes(&variants, "AUDIO"),
        ["aac_2ch", "ac-3_6ch", "aac_2ch", "ac-3_6ch"]
    );
    assert_eq!(
        attributes(&variants, "CODECS"),
        [
            "avc1.64001f,mp4a.40.2",
            "avc1.64001f,ac-3",
            "hvc1.1.6.L93.90,mp4a.40.2",
            "hvc1.1.6.L93.90,ac-3"
        ]
    );
    let mpd = text(&bench, "format=mpd-time-cmaf");
    let expected = [
        "||avc1.64001f|2000000",
        "||hvc1.1.6.L93.90|1500000",
        "en|main|mp4a.40.2|128000",
        "de|alternate|mp4a.40.2|128000",
        "en|main|ac-3|384000",
        "de|alternate|ac-3|384000",
    ];
    assert_eq!(sets(&mpd), expected, "{mpd}");
}

#[test]
fn levels_of_one_sound_are_alternatives_and_others_are_not() {
    let low: Of = (Kind::Audio, "audio", 64_000, "mp4a.40.2", 2, Some("eng"));
    let other: Of = (Kind::Audio, "audio-3", 128_000, "mp4a.40.2", 2, None);
    let bench = live(&[PICTURES, ENGLISH, low, GERMAN, other]);
    let expected = [
        "||avc1.64001f|2000000",
        "en|main|mp4a.40.2 mp4a.40.2|128000 64000",
        "de|alternate|mp4a.40.2|128000",
        "|alternate|mp4a.40.2|128000",
    ];
    let mpd = text(&bench, "format=mpd-time-cmaf");
    assert_eq!(sets(&mpd), expected, "{mpd}");
    // A language with one level is in the group of the lower ones as well.
    let master = text(&bench, "format=m3u8-cmaf");
    let media: Vec<&str> = master
        .lines()
        .filter(|line| line.starts_with("#EXT-X-MEDIA"))
        .collect();
    let media = media.join("\n");
    let names = attributes(&media, "NAME");
    assert_eq!(
        names,
        ["English", "German", "Audio", "English", "German", "Audio"]
    );
    let groups = attributes(&media, "GROUP-ID");
    assert_eq!(groups[..3], ["aac", "aac", "aac"]);
    assert_eq!(groups[3..], ["aac_2ch_2", "aac_2ch_2", "aac_2ch_2"]);
}

#[test]
fn sound_without_a_language_is_as_it_was() {
    let one: Of = (Kind::Audio, "audio", 128_000, "mp4a.40.2", 2, None);
    let und: Of = (
        Kind::Audio,
        "audio-2",
        128_000,
        "mp4a.40.2",
        2,
        Some("english"),
    );
    let bench = live(&[PICTURES, one, und]);
    let master = text(&bench, "format=m3u8-cmaf");
    assert!(!master.contains("LANGUAGE"), "{master}");
    assert_eq!(attributes(&master, "NAME"), ["Audio", "Audio (2)"]);
    assert_eq!(count(&master, "DEFAULT=YES"), 1);
    let mpd = text(&bench, "format=mpd-time-cmaf");
    assert!(!mpd.contains(" lang="), "{mpd}");
}

#[test]
fn smooth_streaming_says_the_language_of_each_stream() {
    let text = text(&live(&[ENGLISH, GERMAN]), "");
    let streams: Vec<&str> = text.split("<StreamIndex ").skip(1).collect();
    assert_eq!(streams.len(), 2, "{text}");
    for (stream, (name, language)) in streams.iter().zip([("audio", "en"), ("audio-2", "de")]) {
        assert_eq!(attributes(stream, "Name"), [name], "{text}");
        assert_eq!(attributes(stream, "Language"), [language], "{text}");
    }
}

#[test]
fn filters_and_options_choose_by_language() {
    let filter = |operation: &str, value: &str| {
        format!(
            r#"{{"tracks": [{{"trackSelections": [
                {{"property": "Type", "operation": "Equal", "value": "Video"}}]}},
                {{"trackSelections": [{{"property": "Type", "operation": "Equal", "value": "Audio"}},
                {{"property": "Language", "operation": "{operation}", "value": "{value}"}}]}}]}}"#
        )
    };
    let (german, others) = (filter("Equal", "de"), filter("NotEqual", "deu"));
    let filters = [("german", german.as_str()), ("others", others.as_str())];
    let changes = real_pictures(changes(&[PICTURES, ENGLISH, GERMAN]));
    let storage = Memory::default();
    record_all(&storage, &changes, false);
    tell(&storage, timeline(&changes), false);
    let bench = Bench::filtered(storage, on_air(None), &filters);
    let languages = |options: &str| attributes(&text(&bench, options), "LANGUAGE");
    assert_eq!(languages("format=m3u8-cmaf,filter=german"), ["de"]);
    assert_eq!(languages("format=m3u8-cmaf,filter=others"), ["en"]);
    assert_eq!(languages("format=m3u8-aapl"), ["en", "de"]);
    let mpd = text(&bench, "format=mpd-time-cmaf,filter=german");
    let expected = ["||avc1.64001f|2000000", "de|main|mp4a.40.2|128000"];
    assert_eq!(sets(&mpd), expected);
    // Sound within the segments of pictures: the first, the one that is named, or the one that is left.
    for (options, name) in [
        ("", "audio"),
        (",audioTrack=audio-2", "audio-2"),
        (",filter=german", "audio-2"),
    ] {
        let options = format!("format=m3u8-aapl-v3{options}");
        let playlist = uris(&text(&bench, &options)).remove(0);
        let playlist = bench.get(&format!("show.ism/{playlist}")).text().to_owned();
        let named = format!("audioTrack={name}");
        let uris = uris(&playlist);
        let of = |uri: &String| uri.split([',', ')']).any(|option| option == named);
        assert_eq!(uris.len(), 6);
        assert!(uris.iter().all(of), "{options}: {playlist}");
    }
}
