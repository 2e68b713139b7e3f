use super::*;
use crate::address::child;
use crate::address::{AudioTrack, Clock, Encryption, Format, SmoothVersion, TsVersion, Window};
use headwater_live::group::RowsPerSegment;
use proptest::prelude::*;

const LOCATOR: &str = "1d2f3a4b-0000-4000-8000-00112233aabb";

fn options(format: Format) -> Options {
    Options::of(format)
}

fn target(rest: &str) -> Target {
    parse(&format!("/{LOCATOR}/{rest}")).unwrap().target
}

fn code(path: &str) -> &'static str {
    parse(path).unwrap_err().code().name()
}

fn code_of(rest: &str) -> &'static str {
    code(&format!("/{LOCATOR}/{rest}"))
}

#[test]
fn the_clock_stands_beside_the_manifest() {
    assert_eq!(target("film.ism/time"), Target::Time);
    assert_eq!(code_of("film.ism/time(x)"), code_of("film.ism/other"));
    assert!(matches!(target("time"), Target::File { .. }));
}

#[test]
fn manifests_in_every_spelling() {
    let expected = |format| Target::Manifest {
        name: "film".to_owned(),
        options: options(format),
    };
    for rest in [
        "film.ism/manifest(format=m3u8-cmaf)",
        "film.ism/Manifest(format=m3u8-cmaf)",
        "film.ism/manifest(format=m3u8-cmaf).m3u8",
        "film.ism/manifest%28format%3Dm3u8-cmaf%29",
        "film.ISM/manifest( Format = M3U8-CMAF )",
    ] {
        assert_eq!(target(rest), expected(Format::HlsCmaf), "{rest}");
    }
    assert_eq!(
        target("film.ism/manifest(format=mpd-time-cmaf).mpd"),
        expected(Format::DashCmaf)
    );
    for rest in ["film.ism/manifest", "film.ism/manifest()"] {
        assert_eq!(
            target(rest),
            expected(Format::Smooth(SmoothVersion::V22)),
            "{rest}"
        );
    }
    for (value, format) in [
        ("fmp4-v20", Format::Smooth(SmoothVersion::V20)),
        ("m3u8-aapl", Format::HlsTs(TsVersion::V4)),
        ("m3u8-aapl-v3", Format::HlsTs(TsVersion::V3)),
        ("M3U8-AAPL-v4", Format::HlsTs(TsVersion::V4)),
        ("m3u8-aapl-v8", Format::HlsTs(TsVersion::V8)),
        ("mpd-time-csf", Format::DashCsf),
    ] {
        assert_eq!(
            target(&format!("film.ism/manifest(format={value})")),
            expected(format)
        );
    }
    let encrypted = Options {
        encryption: Some(Encryption::Cbcs),
        ..options(Format::HlsCmaf)
    };
    assert_eq!(
        target("film.ism/manifest(encryption=CBCS-aapl,format=m3u8-cmaf)"),
        Target::Manifest {
            name: "film".to_owned(),
            options: encrypted
        }
    );
    let audio_only = Options {
        audio_only: true,
        ..options(Format::HlsCmaf)
    };
    assert_eq!(
        target("a%20b%27c.ism/manifest(format=m3u8-cmaf,audio-only=true)"),
        Target::Manifest {
            name: "a b'c".to_owned(),
            options: audio_only
        }
    );
}

#[test]
fn locator_is_normalised() {
    let path = format!("/{}/film.ism/manifest", LOCATOR.to_uppercase());
    assert_eq!(parse(&path).unwrap().locator, LOCATOR);
}

#[test]
fn playlists_and_fragments() {
    let track = |bitrate, name: &str| TrackAddress {
        manifest: "film".to_owned(),
        bitrate,
        name: name.to_owned(),
    };
    assert_eq!(
        target("film.ism/QualityLevels(381048)/Manifest(video,format=m3u8-cmaf)"),
        Target::MediaPlaylist {
            track: track(381_048, "video"),
            options: options(Format::HlsCmaf)
        }
    );
    assert_eq!(
        target(
            "film.ism/qualitylevels(128041)/fragments(aac_eng_2_128041_2_1=18446744073709551615,format=mpd-time-cmaf)"
        ),
        Target::Fragment {
            track: track(128_041, "aac_eng_2_128041_2_1"),
            part: Part::Start(u64::MAX),
            noun: Noun::Fragments,
            options: options(Format::DashCmaf)
        }
    );
    assert_eq!(
        target("film.ism/QualityLevels(1)/Fragments(a%3Db%20ß=i,format=m3u8-cmaf)"),
        Target::Fragment {
            track: track(1, "a=b ß"),
            part: Part::Init,
            noun: Noun::Fragments,
            options: options(Format::HlsCmaf)
        }
    );
}

#[test]
fn first_pictures_have_their_word_in_every_format_but_one() {
    for (format, suffix) in [
        (Format::HlsCmaf, ".m4s"),
        (Format::HlsTs(TsVersion::V4), ".ts"),
        (Format::HlsTs(TsVersion::V8), ".ts"),
        (Format::DashCmaf, ""),
        (Format::DashCsf, ""),
    ] {
        let value = format.value().unwrap();
        let path = format!("film.ism/QualityLevels(1)/KeyFrames(video=7,format={value}){suffix}");
        let expected = Target::Fragment {
            track: TrackAddress {
                manifest: "film".to_owned(),
                bitrate: 1,
                name: "video".to_owned(),
            },
            part: Part::Start(7),
            noun: Noun::KeyFrames,
            options: Options::of(format),
        };
        assert_eq!(target(&path), expected);
    }
    let asked = target("film.ism/manifest(format=mpd-time-cmaf,type=keyframes)");
    assert!(matches!(asked, Target::Manifest { options, .. } if options.key_frames));
    for rest in [
        "KeyFrames(video=7,format=m3u8-aapl-v3)",
        "KeyFrames(video=i,format=m3u8-cmaf)",
        "KeyFrames(video=7,format=m3u8-cmaf,part=1)",
        "KeyFrames(video=7,format=m3u8-aapl,fragments=3)",
        "FragmentInfo(video=7,format=m3u8-cmaf)",
    ] {
        let path = format!("film.ism/QualityLevels(1)/{rest}");
        assert_eq!(code_of(&path), "MPE_BAD_URL_SYNTAX", "{path}");
    }
}

#[test]
fn files() {
    let file = |path: &str| Target::File {
        path: path.to_owned(),
    };
    assert_eq!(target("film%20720.mp4"), file("film 720.mp4"));
    assert_eq!(
        target("sub/Thumbnail000001.jpg"),
        file("sub/Thumbnail000001.jpg")
    );
    assert_eq!(target("film.ism"), file("film.ism"));
    assert_eq!(target(".headwater/x"), file(".headwater/x"));
}

#[test]
fn errors_have_their_names() {
    assert_eq!(code("/"), "MPE_RESOURCE_NOT_FOUND");
    assert_eq!(code("/favicon.ico"), "MPE_RESOURCE_NOT_FOUND");
    assert_eq!(code(&format!("/{LOCATOR}")), "MPE_RESOURCE_NOT_FOUND");
    assert_eq!(
        code("/not-a-uuid/film.ism/manifest"),
        "MPE_RESOURCE_NOT_FOUND"
    );
    for rest in [
        "film.ism/",
        "film.ism/other",
        "film.ism/manifest(format)",
        "film.ism/manifest(format=m3u8-cmaf",
        "film.ism/manifest(format=m3u8-cmaf)x",
        "film.ism/manifest(format=m3u8-cmaf,format=m3u8-cmaf)",
        "film.ism/manifest(color=red)",
        "film.ism/manifest(format=m3u8-cmaf,audio-only=yes)",
        "film.ism/QualityLevels(x)/Manifest(video,format=m3u8-cmaf)",
        "film.ism/QualityLevels(+5)/Manifest(video,format=m3u8-cmaf)",
        "film.ism/QualityLevels(4294967296)/Manifest(video,format=m3u8-cmaf)",
        "film.ism/QualityLevels(5)/Manifest(,format=m3u8-cmaf)",
        "film.ism/QualityLevels(5)/Fragments(video,format=m3u8-cmaf)",
        "film.ism/QualityLevels(5)/Fragments(video=00,format=m3u8-cmaf)",
        "film.ism/QualityLevels(5)/Fragments(video=-1,format=m3u8-cmaf)",
        "film.ism/QualityLevels(5)/Fragments(video=18446744073709551616,format=m3u8-cmaf)",
        "film.ism/QualityLevels(5)",
        "film.ism/QualityLevels(5)/Manifest(video)/x",
        "../x",
        "a/../b",
        "a//b",
        "%2e%2e/b",
        "a%2fb",
        "a%5cb",
        "a%00b",
        "%ff",
    ] {
        assert_eq!(code_of(rest), "MPE_BAD_URL_SYNTAX", "{rest}");
    }
    assert_eq!(code_of(&"a".repeat(MAX_PATH_BYTES)), "MPE_BAD_URL_SYNTAX");
    assert_eq!(
        code_of("film.ism/manifest(format=ogg)"),
        "MPE_OUTPUT_FORMAT_NOT_SUPPORTED"
    );
    assert_eq!(
        code_of("film.ism/manifest(format=m3u8-cmaf,encryption=rot13)"),
        "MPE_ENCRYPTION_NOT_SUPPORTED"
    );
    assert_eq!(
        code_of("film.ism/manifest(format=m3u8-cmaf,filter=a;b;c;d)"),
        "MPE_FILTER_COMPOSITION_FILTER_COUNT_OVER_LIMIT"
    );
}

#[test]
fn options_belong_to_their_protocols() {
    for rest in [
        "film.ism/QualityLevels(5)/RawFragments(video=0,format=m3u8-cmaf)",
        "film.ism/QualityLevels(5)/Fragments(video=i)",
        "film.ism/QualityLevels(5)/Fragments(video=i,format=m3u8-aapl)",
        "film.ism/QualityLevels(5)/Fragments(video=0,format=m3u8-cmaf,type=keyframes)",
        "film.ism/QualityLevels(5)/Manifest(video)",
        "film.ism/QualityLevels(5)/Manifest(video,format=mpd-time-cmaf)",
        "film.ism/manifest(format=m3u8-cmaf,type=keyframes)",
        "film.ism/manifest(format=m3u8-cmaf,type=other)",
        "film.ism/manifest(format=m3u8-aapl,audioTrack=a)",
        "film.ism/manifest(audio-only=true)",
        "film.ism/manifest(filter=;)",
        "film.ism/manifest(vbegin=PT2S,vend=PT1S)",
        "film.ism/manifest(start=yesterday)",
    ] {
        assert_eq!(code_of(rest), "MPE_BAD_URL_SYNTAX", "{rest}");
    }
}

#[test]
fn filters_windows_and_tracks() {
    let target = target(
        "film.ism/manifest(format=m3u8-aapl-v3,filter=low%20end; two;low%20end,vbegin=PT1M30S,vend=PT2M,audioTrack=aac_eng,\
         start=2026-06-01T13:15:00.000Z)",
    );
    let Target::Manifest { options, .. } = target else {
        panic!("{target:?}")
    };
    let start: jiff::Timestamp = "2026-06-01T13:15:00Z".parse().unwrap();
    let expected = Options {
        filters: vec!["low end".to_owned(), "two".to_owned()],
        audio_track: Some(AudioTrack::Named("aac_eng".to_owned())),
        window: Window {
            begin: Some(90_000_000),
            end: Some(120_000_000),
            clock_start: Some(Clock(start)),
            clock_end: None,
        },
        ..Options::of(Format::HlsTs(TsVersion::V3))
    };
    assert_eq!(options, expected);
    let carried = child::Carried::new(&options, options.audio_track.as_ref());
    assert_eq!(
        carried.media_playlist(5, "video"),
        "QualityLevels(5)/Manifest(video,format=m3u8-aapl-v3,audioTrack=aac_eng,filter=low%20end;two,vbegin=PT90S,vend=PT120S,\
         start=2026-06-01T13%3A15%3A00Z)"
    );
}

#[test]
fn segments_of_pictures_may_have_no_sound() {
    let path = "film.ism/QualityLevels(5)/Fragments(video=7,format=m3u8-aapl-v3,audioTrack=).ts";
    let Target::Fragment { options, .. } = target(path) else {
        panic!("no fragment")
    };
    assert_eq!(options.audio_track, Some(AudioTrack::Silent));
    let carried = child::Carried::new(&options, options.audio_track.as_ref());
    let (_, prefix, suffix) = carried.hls_segments("video");
    assert!(
        path.ends_with(&format!("{prefix}7{suffix}")),
        "{prefix}7{suffix}"
    );
    let elsewhere = "film.ism/manifest(format=m3u8-aapl,audioTrack=)";
    assert_eq!(code_of(elsewhere), "MPE_BAD_URL_SYNTAX");
}

#[test]
fn nouns_of_smooth_streaming() {
    for (word, noun) in [
        ("Fragments", Noun::Fragments),
        ("FragmentInfo", Noun::FragmentInfo),
        ("rawfragments", Noun::RawFragments),
        ("KeyFrames", Noun::KeyFrames),
    ] {
        let target = target(&format!("film.ism/QualityLevels(5,a=b)/{word}(video=70)"));
        let is =
            matches!(target, Target::Fragment { noun: n, part: Part::Start(70), .. } if n == noun);
        assert!(is, "{word}: {target:?}");
    }
}

#[test]
fn written_urls_are_read_back() {
    let formats = ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3", "m3u8-aapl-v8"];
    for (name, format) in [
        "video",
        "aac_eng_2_128041_2_1",
        "Español & más",
        "a=b",
        "100%",
    ]
    .into_iter()
    .flat_map(|name| formats.map(|format| (name, format)))
    {
        let Target::Manifest { options, .. } =
            target(&format!("f.ism/manifest(format={format},filter=x y)"))
        else {
            panic!()
        };
        let name = child::track_name(name);
        let audio = (format == "m3u8-aapl-v3").then(|| AudioTrack::Named(name.clone()));
        let carried = child::Carried::new(&options, audio.as_ref());
        let got = target(&format!("f.ism/{}", carried.media_playlist(7, &name)));
        let same = |o: &Options| o.audio_track == audio && o.format == options.format;
        assert!(
            matches!(&got, Target::MediaPlaylist { track, options: o } if track.name == name && same(o) && o.filters == options.filters),
            "{got:?}"
        );
        let got = target(&format!("f.ism/{}", carried.key_frame_playlist(7, &name)));
        assert!(matches!(got, Target::MediaPlaylist { options, .. } if options.key_frames));
        let (init, prefix, suffix) = carried.hls_segments(&name);
        if format == "m3u8-cmaf" {
            assert!(matches!(target(&format!("f.ism/QualityLevels(7)/{init}")),
                Target::Fragment { track, part: Part::Init, .. } if track.name == name));
        }
        let got = target(&format!("f.ism/QualityLevels(7)/{prefix}42{suffix}"));
        assert!(
            matches!(&got, Target::Fragment { track, part: Part::Start(42), options: o, .. } if track.name == name && same(o) && o.filters.is_empty()),
            "{got:?}"
        );
        let segments = carried.live_segments(&name);
        assert_eq!(segments.uri(42, 1), format!("{prefix}42{suffix}"));
        let several = parse(&format!(
            "/{LOCATOR}/f.ism/QualityLevels(7)/{}",
            segments.uri(42, 3)
        ));
        match (format, several.map(|address| address.target)) {
            ("m3u8-cmaf", several) => assert!(several.is_err()),
            (
                _,
                Ok(Target::Fragment {
                    track,
                    part: Part::Start(42),
                    options: o,
                    ..
                }),
            ) => {
                assert!(track.name == name && same(&o));
                assert_eq!(o.fragments, RowsPerSegment::new(3));
            }
            (_, other) => panic!("{other:?}"),
        }
        let dash = Options::of(Format::DashCmaf);
        let (_, media) = child::Carried::new(&dash, None).dash_templates(&name);
        let media = media.replace("$Bandwidth$", "7").replace("$Time$", "42");
        assert!(matches!(target(&format!("f.ism/{media}")),
            Target::Fragment { track, part: Part::Start(42), .. } if track.name == name));
        let smooth = Options::of(Format::Smooth(SmoothVersion::V20));
        let media = child::Carried::new(&smooth, None).smooth_url(&name);
        let media = media
            .replace("{bitrate}", "7")
            .replace("{start time}", "42");
        assert!(matches!(target(&format!("f.ism/{media}")),
            Target::Fragment { track, part: Part::Start(42), .. } if track.name == name));
    }
}

proptest! {
    #[test]
    fn any_path_is_answered(path in ".{0,200}") {
        let _ = parse(&path);
    }

    #[test]
    fn grammar_like_paths_are_answered(path in "(film.ism|%2e%2e|a|)/(manifest|QualityLevels|Manifest|Fragments)?[()=,%a-z0-9./]{0,60}") {
        if let Ok(Address { target: Target::File { path }, .. }) = parse(&format!("/{LOCATOR}/{path}")) {
            prop_assert!(path.split('/').all(|e| !e.is_empty() && e != "." && e != ".."));
        }
    }

    #[test]
    fn times_are_exact(time in any::<u64>(), bitrate in any::<u32>()) {
        let parsed = target(&format!("f.ism/QualityLevels({bitrate})/Fragments(video={time},format=m3u8-cmaf)"));
        let matches = matches!(parsed, Target::Fragment { track, part: Part::Start(t), .. } if t == time && track.bitrate == bitrate);
        prop_assert!(matches);
    }
}
