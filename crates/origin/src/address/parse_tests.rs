use super::*;
use crate::address::{Encryption, Format};
use proptest::prelude::*;

const LOCATOR: &str = "1d2f3a4b-0000-4000-8000-00112233aabb";

fn options(format: Format) -> Options {
    Options {
        format,
        encryption: None,
        audio_only: false,
    }
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
    for rest in [
        "film.ism/manifest",
        "film.ism/manifest()",
        "film.ism/manifest(format=fmp4-v20)",
    ] {
        assert_eq!(target(rest), expected(Format::Smooth), "{rest}");
    }
    for version in ["", "-v3", "-v4", "-v8"] {
        assert_eq!(
            target(&format!("film.ism/manifest(format=m3u8-aapl{version})")),
            expected(Format::HlsTs)
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
            options: options(Format::DashCmaf)
        }
    );
    assert_eq!(
        target("film.ism/QualityLevels(1)/Fragments(a%3Db%20ß=i,format=m3u8-cmaf)"),
        Target::Fragment {
            track: track(1, "a=b ß"),
            part: Part::Init,
            options: options(Format::HlsCmaf)
        }
    );
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
        code_of("film.ism/QualityLevels(5)/RawFragments(video=0)"),
        "MPE_OUTPUT_FORMAT_NOT_SUPPORTED"
    );
    assert_eq!(
        code_of("film.ism/QualityLevels(5)/Manifest(video,format=m3u8-cmaf,type=keyframes)"),
        "MPE_OUTPUT_FORMAT_NOT_SUPPORTED"
    );
    assert_eq!(
        code_of("film.ism/manifest(format=m3u8-cmaf,encryption=rot13)"),
        "MPE_ENCRYPTION_NOT_SUPPORTED"
    );
    assert_eq!(
        code_of("film.ism/manifest(format=m3u8-cmaf,filter=a;b)"),
        "MPE_EGRESS_FILTER_NOT_FOUND"
    );
}

#[test]
fn written_urls_are_read_back() {
    use crate::address::child;
    for name in [
        "video",
        "aac_eng_2_128041_2_1",
        "Español & más",
        "a=b",
        "100%",
    ] {
        let name = child::track_name(name);
        assert!(
            matches!(target(&format!("f.ism/{}", child::media_playlist(7, &name))),
            Target::MediaPlaylist { track, .. } if track.name == name)
        );
        let (init, prefix, suffix) = child::hls_segments(&name);
        assert!(matches!(target(&format!("f.ism/QualityLevels(7)/{init}")),
            Target::Fragment { track, part: Part::Init, .. } if track.name == name));
        assert!(
            matches!(target(&format!("f.ism/QualityLevels(7)/{prefix}42{suffix}")),
            Target::Fragment { track, part: Part::Start(42), .. } if track.name == name)
        );
        let (_, media) = child::dash_templates(&name);
        let media = media.replace("$Bandwidth$", "7").replace("$Time$", "42");
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
