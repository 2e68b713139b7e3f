//! Captions inside of pictures that are live.

use crate::common::*;
use crate::live::*;
use headwater_live::timeline::Change;
use headwater_time::Timescale;

/// An `avcC` that says enough: baseline, lengths of four bytes, no parameter sets.
fn avc_init() -> Vec<u8> {
    let config = headwater_bmff::TrackConfig {
        id: 1,
        kind: headwater_bmff::TrackKind::Video,
        timescale: Timescale::MPEG,
        language: "und".into(),
        codec: headwater_bmff::CodecConfig::Avc(
            headwater_bmff::AvcConfig::parse(
                headwater_bmff::FourCc(*b"avc1"),
                &[1, 66, 0, 31, 0xff, 0xe0, 0],
            )
            .unwrap(),
        ),
        width: 1280,
        height: 720,
        matrix: headwater_bmff::Matrix::IDENTITY,
        pixel_aspect: None,
        colour: None,
        sample_rate: 0,
        channels: 0,
    };
    headwater_bmff::write::init_segment(&config, 0).unwrap()
}

/// A part whose one picture has caption data for channel 2, or none.
fn captioned_part(with: bool) -> Vec<u8> {
    let mut picture = Vec::new();
    if with {
        let sei = b"\x06\x04\x0e\xb5\0\x31GA94\x03\x41\xff\xfc\x1c\x20\xff\x80";
        picture.extend((sei.len() as u32).to_be_bytes());
        picture.extend(sei);
    }
    picture.extend([0, 0, 0, 2, 0x65, 1]);
    let mut out = b"\0\0\0\x08moof".to_vec();
    out.extend((picture.len() as u32 + 8).to_be_bytes());
    out.extend(b"mdat");
    out.extend(picture);
    out
}

#[test]
fn captions_of_live_pictures_are_told_of() {
    let with_init = |count: u64| {
        let mut changes = tracks();
        for change in &mut changes {
            if let Change::Config { track: 0, config } = change {
                config.init = avc_init();
            }
        }
        timeline(&[changes, rows(0..count, None)].concat())
    };
    let mpd = "show.ism/manifest(format=mpd-time-cmaf)";
    for (with, told, dash) in [
        (true, ",CLOSED-CAPTIONS=\"cc\"", 1),
        (false, ",CLOSED-CAPTIONS=NONE", 0),
    ] {
        // From the worker, and from storage.
        let newest = FIRST + 9;
        let places = [
            format!("live/v1/events/e/media/0/{newest}/0"),
            format!("video_2000000/{}", newest * 90_000),
        ];
        for place in places {
            let storage = Memory::default();
            tell(&storage, with_init(10), false);
            storage.write(&place, captioned_part(with));
            let bench = Bench::with(storage, on_air(None));
            let master = bench.get(MANIFEST);
            assert!(master.text().contains(told), "{place}: {}", master.text());
            let count = |what: &str| bench.get(mpd).text().matches(what).count();
            assert_eq!(count("cc:cea-608:2015\" value=\"CC2=und\""), dash);
        }
    }
    // Neither has it: nothing is said.
    let storage = Memory::default();
    tell(&storage, with_init(10), false);
    let bench = Bench::with(storage, on_air(None));
    assert!(!bench.get(MANIFEST).text().contains("CLOSED-CAPTIONS"));
}
