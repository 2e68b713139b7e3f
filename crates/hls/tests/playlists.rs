//! Playlists, compared whole.

use headwater_hls::*;
use headwater_time::Timescale;

fn video(bitrate: u64, resolution: (u32, u32)) -> Video {
    Video {
        uri: format!("QualityLevels({bitrate})/Manifest(video,format=m3u8-cmaf)"),
        codec: "avc1.640020".to_owned(),
        supplemental_codec: None,
        peak_bitrate: bitrate + 500_000,
        average_bitrate: bitrate,
        resolution: Some(resolution),
        frame_rate: Some((30_000, 1001)),
        range: VideoRange::Sdr,
    }
}

fn audio(name: &str, language: Option<&str>, default: bool) -> Audio {
    Audio {
        uri: format!("QualityLevels(128041)/Manifest({name},format=m3u8-cmaf)"),
        codec: "mp4a.40.2".to_owned(),
        peak_bitrate: 130_000,
        average_bitrate: 128_041,
        name: name.to_owned(),
        language: language.map(str::to_owned),
        channels: Some(2),
        objects: 0,
        default,
        characteristics: None,
    }
}

#[test]
fn two_variants_with_separate_audio() {
    let playlist = Multivariant {
        subtitles: vec![],
        captions: ClosedCaptions::Known(vec![]),
        images: vec![],
        session_keys: vec![],
        version: version::INIT_SEGMENTS,
        videos: vec![video(3_400_000, (1280, 720)), video(900_000, (640, 360))],
        audio_only_variants: false,
        audio_place: AudioPlace::Renditions,
        key_frames: vec![],
        independent: true,
        audio_groups: vec![AudioGroup {
            id: "aac".to_owned(),
            renditions: vec![
                audio("English \"stereo\"", Some("en"), true),
                audio("Español", Some("es"), false),
            ],
        }],
    };
    assert_eq!(
        playlist.write(),
        r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English 'stereo'",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="QualityLevels(128041)/Manifest(English 'stereo',format=m3u8-cmaf)"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="Español",LANGUAGE="es",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="QualityLevels(128041)/Manifest(Español,format=m3u8-cmaf)"
#EXT-X-STREAM-INF:BANDWIDTH=4030000,AVERAGE-BANDWIDTH=3528041,CODECS="avc1.640020,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO="aac",CLOSED-CAPTIONS=NONE
QualityLevels(3400000)/Manifest(video,format=m3u8-cmaf)
#EXT-X-STREAM-INF:BANDWIDTH=1530000,AVERAGE-BANDWIDTH=1028041,CODECS="avc1.640020,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO="aac",CLOSED-CAPTIONS=NONE
QualityLevels(900000)/Manifest(video,format=m3u8-cmaf)
"#
    );
}

#[test]
fn every_variant_is_listed_once_per_audio_group_and_audio_alone_if_asked_for() {
    let group = |id: &str| AudioGroup {
        id: id.to_owned(),
        renditions: vec![audio(id, None, true)],
    };
    let playlist = Multivariant {
        subtitles: vec![],
        captions: ClosedCaptions::Known(vec![]),
        images: vec![],
        session_keys: vec![],
        version: version::INIT_SEGMENTS,
        videos: vec![video(2, (2, 2)), video(1, (2, 2))],
        audio_only_variants: true,
        audio_place: AudioPlace::Renditions,
        key_frames: vec![],
        independent: true,
        audio_groups: vec![group("a"), group("b")],
    };
    let text = playlist.write();
    assert_eq!(text.matches("#EXT-X-STREAM-INF").count(), 6);
    assert_eq!(text.matches("AUDIO=\"a\"").count(), 3);
    assert!(
        text.ends_with(
            "CODECS=\"mp4a.40.2\",AUDIO=\"b\",CLOSED-CAPTIONS=NONE\nQualityLevels(128041)/Manifest(b,format=m3u8-cmaf)\n"
        ),
        "{text}"
    );
}

#[test]
fn silent_video_and_audio_alone() {
    let silent = Multivariant {
        subtitles: vec![],
        captions: ClosedCaptions::Known(vec![]),
        images: vec![],
        session_keys: vec![],
        version: version::INIT_SEGMENTS,
        videos: vec![video(900_000, (640, 360))],
        audio_only_variants: false,
        audio_place: AudioPlace::Renditions,
        key_frames: vec![],
        independent: true,
        audio_groups: vec![],
    };
    assert_eq!(
        silent.write(),
        r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=1400000,AVERAGE-BANDWIDTH=900000,CODECS="avc1.640020",RESOLUTION=640x360,FRAME-RATE=29.970,VIDEO-RANGE=SDR,CLOSED-CAPTIONS=NONE
QualityLevels(900000)/Manifest(video,format=m3u8-cmaf)
"#
    );
    let radio = Multivariant {
        subtitles: vec![],
        captions: ClosedCaptions::Known(vec![]),
        images: vec![],
        session_keys: vec![],
        version: version::INIT_SEGMENTS,
        videos: vec![],
        audio_only_variants: false,
        audio_place: AudioPlace::Renditions,
        key_frames: vec![],
        independent: true,
        audio_groups: vec![AudioGroup {
            id: "aac".to_owned(),
            renditions: vec![audio("a", None, true)],
        }],
    };
    assert_eq!(
        radio.write(),
        r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="a",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="QualityLevels(128041)/Manifest(a,format=m3u8-cmaf)"
#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128041,CODECS="mp4a.40.2",AUDIO="aac"
QualityLevels(128041)/Manifest(a,format=m3u8-cmaf)
"#
    );
}

#[test]
fn segments_that_need_others_are_not_called_independent() {
    let tag = "EXT-X-INDEPENDENT-SEGMENTS";
    let mut master = Multivariant {
        subtitles: vec![],
        captions: ClosedCaptions::Known(vec![]),
        images: vec![],
        session_keys: vec![],
        version: version::INIT_SEGMENTS,
        videos: vec![video(900_000, (640, 360))],
        independent: true,
        ..Multivariant::default()
    };
    assert!(master.write().contains(tag));
    master.independent = false;
    assert!(!master.write().contains(tag));
    let mut playlist = MediaPlaylist {
        longest_of_all: 0,
        keys: &[],
        keys_cover_init: false,
        timescale: Timescale::SECONDS,
        version: version::INIT_SEGMENTS,
        init_uri: Some("i"),
        uri_prefix: "",
        uri_suffix: "",
        listed: Listed::Segments(&[]),
        independent: true,
    };
    assert!(playlist.write().contains(tag));
    playlist.independent = false;
    assert!(!playlist.write().contains(tag));
}

#[test]
fn media_playlist_of_ntsc_video() {
    let segments: Vec<Segment> = [(0, 60_060), (60_060, 60_060), (120_120, 33_033)]
        .map(|(start, duration)| Segment { start, duration })
        .to_vec();
    let playlist = MediaPlaylist {
        longest_of_all: 0,
        keys: &[],
        keys_cover_init: false,
        timescale: Timescale::new(30_000).unwrap(),
        version: version::INIT_SEGMENTS,
        init_uri: Some("Fragments(video=i,format=m3u8-cmaf)"),
        uri_prefix: "Fragments(video=",
        uri_suffix: ",format=m3u8-cmaf)",
        listed: Listed::Segments(&segments),
        independent: true,
    };
    assert_eq!(
        playlist.write(),
        r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="Fragments(video=i,format=m3u8-cmaf)"
#EXTINF:2.002000,
Fragments(video=0,format=m3u8-cmaf)
#EXTINF:2.002000,
Fragments(video=60060,format=m3u8-cmaf)
#EXTINF:1.101100,
Fragments(video=120120,format=m3u8-cmaf)
#EXT-X-ENDLIST
"#
    );
}

#[test]
fn durations_add_up_to_the_media_time_without_drift() {
    // 1024/44100 s segments: every one needs rounding.
    let segments: Vec<Segment> = (0..10_000u64)
        .map(|n| Segment {
            start: n * 1024,
            duration: 1024,
        })
        .collect();
    let playlist = MediaPlaylist {
        longest_of_all: 0,
        keys: &[],
        keys_cover_init: false,
        timescale: Timescale::new(44_100).unwrap(),
        version: version::INIT_SEGMENTS,
        init_uri: Some("i"),
        uri_prefix: "",
        uri_suffix: "",
        listed: Listed::Segments(&segments),
        independent: true,
    };
    let text = playlist.write();
    let sum: u64 = text
        .lines()
        .filter_map(|l| l.strip_prefix("#EXTINF:"))
        .map(|l| {
            l.trim_end_matches(',')
                .replace('.', "")
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(sum, (10_000u64 * 1024 * 1_000_000 + 22_050) / 44_100);
    assert!(text.contains("#EXT-X-TARGETDURATION:1\n"));
}

#[test]
fn target_duration_is_the_rounded_longest_and_numbers_do_not_overflow() {
    let playlist = |segments: &[Segment]| {
        MediaPlaylist {
            longest_of_all: 0,
            keys: &[],
            keys_cover_init: false,
            timescale: Timescale::HUNDRED_NANOS,
            version: version::INIT_SEGMENTS,
            init_uri: Some("i"),
            uri_prefix: "",
            uri_suffix: "",
            listed: Listed::Segments(segments),
            independent: true,
        }
        .write()
    };
    let text = playlist(&[Segment {
        start: 0,
        duration: 65_000_000,
    }]);
    assert!(text.contains("#EXT-X-TARGETDURATION:7\n#"), "{text}");
    assert!(text.contains("#EXTINF:6.500000,"));
    let text = playlist(&[Segment {
        start: u64::MAX - 5,
        duration: 5,
    }]);
    assert!(text.contains("18446744073709551610\n"));
    assert!(playlist(&[]).ends_with("#EXT-X-ENDLIST\n"));
}

#[test]
fn audio_with_the_video_shows_in_bit_rates_and_codecs_alone() {
    let group = |id: &str| AudioGroup {
        id: id.to_owned(),
        renditions: vec![audio(id, None, true)],
    };
    let playlist = Multivariant {
        subtitles: vec![],
        captions: ClosedCaptions::Known(vec![]),
        images: vec![],
        session_keys: vec![],
        version: version::DECIMAL_DURATIONS,
        videos: vec![video(900_000, (640, 360))],
        audio_groups: vec![group("a"), group("b")],
        audio_place: AudioPlace::WithVideo,
        audio_only_variants: true,
        ..Multivariant::default()
    };
    assert_eq!(
        playlist.write(),
        r#"#EXTM3U
#EXT-X-VERSION:3
#EXT-X-STREAM-INF:BANDWIDTH=1530000,AVERAGE-BANDWIDTH=1028041,CODECS="avc1.640020,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=29.970,VIDEO-RANGE=SDR,CLOSED-CAPTIONS=NONE
QualityLevels(900000)/Manifest(video,format=m3u8-cmaf)
#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128041,CODECS="mp4a.40.2",CLOSED-CAPTIONS=NONE
QualityLevels(128041)/Manifest(a,format=m3u8-cmaf)
#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128041,CODECS="mp4a.40.2",CLOSED-CAPTIONS=NONE
QualityLevels(128041)/Manifest(b,format=m3u8-cmaf)
"#
    );
}

#[test]
fn dolby_vision_is_said_beside_the_codec_that_others_play() {
    let supplemental_codec = Some("dvh1.08.07/db4h".to_owned());
    let playlist = Multivariant {
        version: version::INIT_SEGMENTS,
        videos: vec![Video {
            codec: "hvc1.2.4.L120.90".to_owned(),
            supplemental_codec: supplemental_codec.clone(),
            range: VideoRange::Hlg,
            ..video(900_000, (640, 360))
        }],
        key_frames: vec![KeyFrames {
            uri: "keys".to_owned(),
            peak_bitrate: 1_400_000,
            codec: "hvc1.2.4.L120.90".to_owned(),
            supplemental_codec,
            resolution: Some((640, 360)),
            range: VideoRange::Hlg,
        }],
        ..Multivariant::default()
    };
    assert_eq!(
        playlist.write(),
        r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-STREAM-INF:BANDWIDTH=1400000,AVERAGE-BANDWIDTH=900000,CODECS="hvc1.2.4.L120.90",SUPPLEMENTAL-CODECS="dvh1.08.07/db4h",RESOLUTION=640x360,FRAME-RATE=29.970,VIDEO-RANGE=HLG
QualityLevels(900000)/Manifest(video,format=m3u8-cmaf)
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1400000,CODECS="hvc1.2.4.L120.90",SUPPLEMENTAL-CODECS="dvh1.08.07/db4h",RESOLUTION=640x360,VIDEO-RANGE=HLG,URI="keys"
"#
    );
}

#[test]
fn key_frames_are_parts_of_segments() {
    let playlist = Multivariant {
        subtitles: vec![],
        captions: ClosedCaptions::Known(vec![]),
        images: vec![],
        session_keys: vec![],
        version: version::KEY_FRAMES,
        videos: vec![video(900_000, (640, 360))],
        key_frames: vec![KeyFrames {
            uri: "keys".to_owned(),
            peak_bitrate: 1_400_000,
            codec: "avc1.640020".to_owned(),
            supplemental_codec: None,
            resolution: Some((640, 360)),
            range: VideoRange::Sdr,
        }],
        ..Multivariant::default()
    };
    assert!(playlist.write().ends_with(
        "\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1400000,CODECS=\"avc1.640020\",RESOLUTION=640x360,VIDEO-RANGE=SDR,URI=\"keys\"\n"
    ));
    let frame = |start, segment, offset| KeyFrame {
        shown: Segment { start, duration: 2 },
        segment,
        offset,
        len: 564,
    };
    let frames = [frame(0, 0, 0), frame(2, 0, 7896), frame(4, 4, 0)];
    let playlist = MediaPlaylist {
        longest_of_all: 0,
        keys: &[],
        keys_cover_init: false,
        version: version::KEY_FRAMES,
        timescale: Timescale::SECONDS,
        init_uri: None,
        uri_prefix: "f",
        uri_suffix: ".ts",
        listed: Listed::KeyFrames(&frames),
        independent: false,
    };
    assert_eq!(
        playlist.write(),
        "#EXTM3U
#EXT-X-VERSION:4
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-I-FRAMES-ONLY
#EXTINF:2.000000,
#EXT-X-BYTERANGE:564@0
f0.ts
#EXTINF:2.000000,
#EXT-X-BYTERANGE:564@7896
f0.ts
#EXTINF:2.000000,
#EXT-X-BYTERANGE:564@0
f4.ts
#EXT-X-ENDLIST
"
    );
}

#[test]
fn key_frames_of_their_own_are_named_by_when_they_are_shown() {
    let pictures = [0, 2, 6].map(|start| Segment { start, duration: 2 });
    let keys = ["#EXT-X-KEY:METHOD=AES-128,URI=\"k\"".to_owned()];
    let playlist = MediaPlaylist {
        longest_of_all: 0,
        keys: &keys,
        keys_cover_init: false,
        version: version::INIT_SEGMENTS,
        timescale: Timescale::SECONDS,
        init_uri: Some("i"),
        uri_prefix: "KeyFrames(v=",
        uri_suffix: ")",
        listed: Listed::Pictures(&pictures),
        independent: true,
    };
    assert_eq!(
        playlist.write(),
        "#EXTM3U
#EXT-X-VERSION:8
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-I-FRAMES-ONLY
#EXT-X-MAP:URI=\"i\"
#EXT-X-KEY:METHOD=AES-128,URI=\"k\"
#EXTINF:2.000000,
KeyFrames(v=0)
#EXTINF:2.000000,
KeyFrames(v=2)
#EXT-X-GAP
#EXTINF:2.000000,
KeyFrames(v=4)
#EXTINF:2.000000,
KeyFrames(v=6)
#EXT-X-ENDLIST
"
    );
}

#[test]
fn captions_inside_of_pictures_are_named_by_every_variant_with_pictures() {
    let caption = |id, language: Option<&str>| ClosedCaption {
        id,
        language: language.map(str::to_owned),
    };
    let mut master = Multivariant {
        version: version::KEY_FRAMES,
        videos: vec![video(3_400_000, (1280, 720)), video(900_000, (640, 360))],
        captions: ClosedCaptions::Known(vec![
            caption(InstreamId::Channel(1), Some("en")),
            caption(InstreamId::Channel(3), None),
        ]),
        ..Multivariant::default()
    };
    let text = master.write();
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:4\n"), "{text}");
    assert!(text.contains("#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"CC1\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID=\"CC1\"\n"), "{text}");
    assert!(
        text.contains("NAME=\"CC3\",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID=\"CC3\"\n"),
        "{text}"
    );
    assert_eq!(
        text.matches(",CLOSED-CAPTIONS=\"cc\"\n").count(),
        2,
        "{text}"
    );
    master.captions = ClosedCaptions::Known(vec![caption(InstreamId::Service(6), None)]);
    let text = master.write();
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n"), "{text}");
    assert!(text.contains("INSTREAM-ID=\"SERVICE6\"\n"), "{text}");
    master.captions = ClosedCaptions::Unknown;
    assert!(!master.write().contains("CLOSED-CAPTIONS"));
}
