//! Text that was packaged before, named by a server manifest: read back and served as other text is.

use crate::common::*;
use headwater_text::{Clock, Text, mp4};
use headwater_time::Timescale;

const VTT: &str =
    "WEBVTT\n\n00:00:00.200 --> 00:00:01.000\nBonjour\n\n00:00:01.500 --> 00:00:02.500\nà tous\n";
const TTML: &str = "<tt xmlns=\"http://www.w3.org/ns/ttml\" xml:lang=\"de\"><body><div><p begin=\"0.2s\" end=\"1s\">Hallo</p></div></body></tt>";

/// A file of one-second segments.
fn packaged(source: &str, as_ttml: bool) -> Vec<u8> {
    let text = Text::parse(source.as_bytes()).unwrap().0;
    let clock = Clock {
        scale: Timescale::new(10_000_000).unwrap(),
        zero: 0,
    };
    let mut file = match as_ttml {
        true => mp4::stpp_init(clock.scale, None),
        false => mp4::wvtt_init(&text, clock.scale, None),
    }
    .unwrap();
    for number in 0..4_u32 {
        let start = u64::from(number) * 10_000_000;
        let window = start..start + 10_000_000;
        file.extend(
            match as_ttml {
                true => mp4::stpp_segment(&text, &window, clock, number, None),
                false => mp4::wvtt_segment(&text, &window, clock, number),
            }
            .unwrap(),
        );
    }
    file
}

fn bench() -> Bench {
    let storage = Memory::default();
    storage.write("film.mp4", media("azure-bumper.mp4"));
    storage.write("fr.cmft", packaged(VTT, false));
    storage.write("de.ismt", packaged(TTML, true));
    storage.write("no.cmft", "\0\0\0\x08ftyp and nothing that fits");
    storage.write(
        "film.ism",
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch>
        <video src="film.mp4" systemBitrate="200000"><param name="trackName" value="video"/></video>
        <audio src="film.mp4" systemBitrate="96000"><param name="trackName" value="audio"/></audio>
        <textstream src="fr.cmft" systemBitrate="52" systemLanguage="fr-FR"><param name="trackName" value="subt_fr"/>
          <param name="transcriptsrc" value="gone.vtt"/><param name="textDisplayName" value="Français"/></textstream>
        <textstream src="de.ismt" systemBitrate="53" systemLanguage="deu"><param name="trackName" value="subt_de"/></textstream>
        <textstream src="no.cmft" systemBitrate="54" systemLanguage="nor"><param name="trackName" value="subt_no"/></textstream>
        </switch></body></smil>"#,
    );
    Bench::new(storage)
}

fn ok(bench: &Bench, path: &str) -> Got {
    let got = bench.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    got
}

#[test]
fn packaged_text_is_listed_and_what_is_none_is_left_out() {
    let bench = bench();
    for format in ["m3u8-aapl", "m3u8-cmaf"] {
        let master = ok(&bench, &format!("film.ism/manifest(format={format})"));
        let text = master.text();
        assert_eq!(text.matches("TYPE=SUBTITLES").count(), 2, "{text}");
        assert!(text.contains("NAME=\"Français\",LANGUAGE=\"fr"), "{text}");
        assert!(text.contains("LANGUAGE=\"de\""), "{text}");
    }
    let mpd = ok(&bench, "film.ism/manifest(format=mpd-time-cmaf)");
    assert_eq!(mpd.text().matches("contentType=\"text\"").count(), 2);
    let smooth = ok(&bench, "film.ism/Manifest");
    assert_eq!(smooth.text().matches("Type=\"text\"").count(), 2);
}

#[test]
fn packaged_text_has_its_cues_in_every_protocol() {
    let bench = bench();
    for (name, bitrate, said) in [("subt_fr", 52, "Bonjour"), ("subt_de", 53, "Hallo")] {
        let playlist =
            format!("film.ism/QualityLevels({bitrate})/Manifest({name},format=m3u8-aapl)");
        let list = ok(&bench, &playlist);
        let first = ok(&bench, &resolve(&playlist, &uris(list.text())[0]));
        let text = first.text();
        assert!(text.contains("00:00:00.200 --> 00:00:01.000"), "{text}");
        assert!(text.contains(said), "{text}");
        for format in ["m3u8-cmaf", "mpd-time-cmaf", "mpd-time-csf"] {
            let path =
                format!("film.ism/QualityLevels({bitrate})/Fragments({name}=0,format={format})");
            let segment = ok(&bench, &path);
            let text = String::from_utf8_lossy(&segment.body).into_owned();
            assert!(text.contains(said), "{path}: {text}");
        }
    }
}
