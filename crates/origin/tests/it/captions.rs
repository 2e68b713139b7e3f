//! Captions inside of pictures: found in a film that ffmpeg made and that was given caption data, told of in manifests, and
//! still there in every container.

use crate::common::*;
use headwater_origin::{
    ContentKey, KeyOffer, KeySystem, Protection, SchemeProtection, Tracks, Way,
};
use headwater_protect::{Key, Kid};
use std::path::Path;
use std::process::Command;

const FRAMES: usize = 100;

/// Odd parity.
fn parity(byte: u8) -> u8 {
    match byte.count_ones() % 2 {
        0 => byte | 0x80,
        _ => byte,
    }
}

/// A pop-on caption of CEA-608 on the first channel, two bytes a picture: begin, row 15, text, show.
fn caption(text: &str) -> Vec<[u8; 2]> {
    let mut pairs = vec![[0x14, 0x20], [0x14, 0x20], [0x14, 0x70], [0x14, 0x70]];
    pairs.extend(
        text.as_bytes()
            .chunks(2)
            .map(|c| [c[0], *c.get(1).unwrap_or(&0)]),
    );
    pairs.extend([[0x14, 0x2f], [0x14, 0x2f]]);
    pairs
}

/// What each picture says, as they are shown.
fn said() -> Vec<[u8; 2]> {
    let mut pairs = vec![[0, 0]; 5];
    pairs.extend(caption("HEADWATER"));
    pairs.resize(50, [0, 0]);
    pairs.extend(caption("SECOND"));
    pairs.extend([[0; 2]; 10]);
    pairs.extend([[0x14, 0x2c], [0x14, 0x2c]]);
    pairs.resize(FRAMES, [0, 0]);
    pairs
}

fn sei(header: &[u8], [first, second]: [u8; 2]) -> Vec<u8> {
    let mut nal = vec![0, 0, 0, 1];
    nal.extend(header);
    nal.extend([
        4, 14, 0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03, 0x41, 0xff,
    ]);
    nal.extend([0xfc, parity(first), parity(second), 0xff, 0x80]);
    nal
}

/// Puts caption data in front of the first slice of every picture of an Annex B stream without reordering.
fn with_captions(stream: &[u8], hevc: bool, said: &[[u8; 2]]) -> Vec<u8> {
    let starts: Vec<usize> = (0..stream.len() - 3)
        .filter(|at| stream[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let (mut out, mut picture) = (Vec::new(), 0);
    for (at, start) in starts.iter().enumerate() {
        let mut end = starts.get(at + 1).copied().unwrap_or(stream.len());
        while at + 1 < starts.len() && stream[end - 1] == 0 {
            end -= 1;
        }
        let nal = &stream[start + 3..end];
        let (is_first_slice, header): (bool, &[u8]) = match hevc {
            true => (nal[0] >> 1 < 32 && nal[2] & 0x80 != 0, &[39 << 1, 1]),
            false => (matches!(nal[0] & 31, 1 | 5) && nal[1] & 0x80 != 0, &[6]),
        };
        if is_first_slice {
            out.extend(sei(header, said[picture]));
            picture += 1;
        }
        out.extend([0, 0, 0, 1]);
        out.extend(nal);
    }
    assert_eq!(picture, said.len());
    out
}

/// A film of 4 s in groups of 1 s, with sound; `codec`: of ffmpeg. Without captions if nothing is `said`.
fn film(folder: &Path, codec: &str, said: &[[u8; 2]]) -> Vec<u8> {
    let hevc = codec == "libx265";
    let raw = if hevc { "film.h265" } else { "film.h264" };
    let (kind, tag) = if hevc {
        ("hevc", "hvc1")
    } else {
        ("h264", "avc1")
    };
    let keys = [
        "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p", "-threads", "1",
    ];
    let parameters = match hevc {
        true => [
            "-x265-params",
            "keyint=25:min-keyint=25:scenecut=0:bframes=0:log-level=error",
        ],
        false => [
            "-x264-params",
            "keyint=25:min-keyint=25:scenecut=0:sliced-threads=0",
        ],
    };
    let pictures = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=25:duration=4",
    ];
    let encoder = ["-c:v", codec, "-preset", "ultrafast"];
    ffmpeg(
        folder,
        &[
            &pictures[..],
            &encoder,
            &keys,
            &parameters,
            &["-f", kind, raw],
        ]
        .concat(),
    );
    if !said.is_empty() {
        let stream = std::fs::read(folder.join(raw)).unwrap();
        std::fs::write(folder.join(raw), with_captions(&stream, hevc, said)).unwrap();
    }
    let sound = ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=4"];
    let copy = ["-c:v", "copy", "-tag:v", tag, "-c:a", "aac", "film.mp4"];
    ffmpeg(
        folder,
        &[&["-r", "25", "-f", kind, "-i", raw][..], &sound, &copy].concat(),
    );
    std::fs::read(folder.join("film.mp4")).unwrap()
}

const ISM: &str = r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch>
<video src="film.mp4" systemBitrate="200000"><param name="trackName" value="video"/><param name="trackID" value="1"/></video>
<audio src="film.mp4" systemBitrate="96000" systemLanguage="eng"><param name="trackName" value="audio"/><param name="trackID" value="2"/></audio>
</switch></body></smil>"#;

fn stored(film: Vec<u8>) -> Memory {
    let storage = Memory::default();
    storage.write("film.mp4", film);
    storage.write("film.ism", ISM);
    storage
}

fn ok(bench: &Bench, path: &str) -> Got {
    let got = bench.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    got
}

/// Pictures of a file that carry captions, as ffprobe sees them.
fn captioned(file: &Path) -> usize {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v",
            "-show_frames",
            "-of",
            "compact",
        ])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let frames = String::from_utf8_lossy(&output.stdout);
    frames.matches("ATSC A53").count()
}

/// What ffmpeg reads of the captions of a file.
fn read_captions(folder: &Path, file: &str) -> String {
    let graph = format!("movie={file}[out0+subcc]");
    ffmpeg(
        folder,
        &["-f", "lavfi", "-i", &graph, "-map", "0:s", "read.srt"],
    );
    std::fs::read_to_string(folder.join("read.srt")).unwrap()
}

/// The whole track behind a media playlist, as one file.
fn whole(bench: &Bench, playlist: &str) -> Vec<u8> {
    let list = ok(bench, playlist);
    let init = attributes(list.text(), "URI");
    let init = init.into_iter().filter(|uri| uri.contains("=i,"));
    let all = init.chain(uris(list.text()));
    all.flat_map(|uri| ok(bench, &resolve(playlist, &uri)).body.to_vec())
        .collect()
}

#[test]
fn captions_are_found_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let storage = stored(film(folder.path(), "libx264", &said()));
    assert_eq!(captioned(&folder.path().join("film.mp4")), FRAMES);
    let bench = Bench::new(storage.clone());
    for format in ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3"] {
        let master = ok(&bench, &format!("film.ism/manifest(format={format})"));
        let text = master.text();
        assert!(text.contains("TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"CC1\",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID=\"CC1\""), "{text}");
        assert_eq!(text.matches("INSTREAM-ID").count(), 1, "{text}");
        let streams = text.matches("#EXT-X-STREAM-INF").count();
        assert_eq!(
            text.matches(",CLOSED-CAPTIONS=\"cc\"").count(),
            streams,
            "{text}"
        );
    }
    for format in ["mpd-time-cmaf", "mpd-time-csf"] {
        let mpd = ok(&bench, &format!("film.ism/manifest(format={format})"));
        let tree = roxmltree::Document::parse(mpd.text()).unwrap();
        let told: Vec<_> = tree
            .descendants()
            .filter(|node| node.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "Accessibility")))
            .map(|node| {
                let set = node.parent_element().unwrap();
                ["schemeIdUri", "value"]
                    .map(|name| node.attribute(name).unwrap())
                    .join(" ")
                    + " "
                    + set.attribute("contentType").unwrap()
            })
            .collect();
        assert_eq!(told, ["urn:scte:dash:cc:cea-608:2015 CC1=und video"]);
    }
    // The pictures were read once; others read the note.
    let note = storage.get(".headwater/film.mp4.captions").unwrap();
    assert!(note.ends_with(b"608:1;708:\n"));
    storage.calls();
    let other = Bench::new(storage.clone());
    let again = ok(&other, "film.ism/manifest(format=m3u8-cmaf)");
    let first = ok(&bench, "film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(
        (again.text(), again.header("etag")),
        (first.text(), first.header("etag"))
    );
    let (calls, _) = storage.calls();
    assert!(
        !calls.iter().any(|call| call.contains("read film.mp4")),
        "{calls:?}"
    );
}

#[test]
fn a_note_of_another_film_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = stored(film(folder.path(), "libx264", &[]));
    storage.write(
        ".headwater/film.mp4.captions",
        "headwater captions 1\n\"other\"\n608:1;708:\n",
    );
    let bench = Bench::new(storage.clone());
    let master = ok(&bench, "film.ism/manifest(format=m3u8-cmaf)");
    assert!(
        master.text().contains(",CLOSED-CAPTIONS=NONE"),
        "{}",
        master.text()
    );
    assert!(
        !ok(&bench, "film.ism/manifest(format=mpd-time-cmaf)")
            .text()
            .contains("Accessibility")
    );
    assert!(
        storage
            .get(".headwater/film.mp4.captions")
            .unwrap()
            .ends_with(b"608:;708:\n")
    );
    // Where nothing can be written, it is looked up all the same.
    let storage = stored(std::fs::read(folder.path().join("film.mp4")).unwrap());
    storage.refuse_puts();
    let bench = Bench::new(storage);
    assert!(
        ok(&bench, "film.ism/manifest(format=m3u8-cmaf)")
            .text()
            .contains("=NONE")
    );
}

#[test]
fn captions_are_in_every_container() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(stored(film(folder.path(), "libx264", &said())));
    let playlist =
        |format: &str| format!("film.ism/QualityLevels(200000)/Manifest(video,format={format})");
    let expected = read_captions(folder.path(), "film.mp4");
    assert!(
        expected.contains("HEADWATER") && expected.contains("SECOND"),
        "{expected}"
    );
    for (format, name) in [
        ("m3u8-cmaf", "cmaf.mp4"),
        ("m3u8-aapl", "film.ts"),
        ("m3u8-aapl-v3", "muxed.ts"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, whole(&bench, &playlist(format))).unwrap();
        assert_eq!(captioned(&path), FRAMES, "{format}");
        let read = read_captions(folder.path(), name);
        assert!(
            read.contains("HEADWATER") && read.contains("SECOND"),
            "{format}: {read}"
        );
    }
    // A fragment of Smooth Streaming has the same samples.
    let smooth = ok(
        &bench,
        "film.ism/QualityLevels(200000)/RawFragments(video=0)",
    );
    let seen = smooth.body.windows(4).filter(|w| w == b"GA94").count();
    assert!(seen > 0 && seen.is_multiple_of(25), "{seen}");
}

#[test]
fn captions_stay_clear_under_encryption() {
    let folder = tempfile::tempdir().unwrap();
    let storage = stored(film(folder.path(), "libx264", &said()));
    let bench = protected(storage);
    for (format, encryption) in [
        ("m3u8-cmaf", "cbcs-aapl"),
        ("mpd-time-cmaf", "cenc"),
        ("m3u8-aapl", "cbcs-aapl"),
    ] {
        let options = format!("format={format},encryption={encryption}");
        let path = format!("film.ism/QualityLevels(200000)/Fragments(video=0,{options})");
        let segment = ok(&bench, &path);
        let seen = segment.body.windows(4).filter(|w| w == b"GA94").count();
        // A transport stream may have its own bytes in between.
        assert!(seen >= 20, "{options}: {seen}");
        if format != "mpd-time-cmaf" {
            let master = ok(&bench, &format!("film.ism/manifest({options})"));
            assert!(
                master.text().contains(",CLOSED-CAPTIONS=\"cc\""),
                "{}",
                master.text()
            );
        }
    }
}

/// Under cbcs and cenc at once.
fn protected(storage: Memory) -> Bench {
    let scheme = |way| SchemeProtection {
        way,
        keys: vec![ContentKey {
            kid: Kid::parse("0f1e2d3c-0000-4000-8000-000000000001").unwrap(),
            key: Key::new([7; 16]),
            tracks: Tracks::default(),
        }],
        clear: Tracks::default(),
        offers: [KeySystem::FairPlay, KeySystem::Widevine]
            .into_iter()
            .map(|system| KeyOffer {
                system,
                url_template: None,
                custom_attributes: None,
            })
            .collect(),
        rotation: None,
    };
    let protection = Protection {
        schemes: vec![scheme(Way::Cbcs), scheme(Way::Cenc)],
        media_id: None,
        key_url: "https://video.example/keys".to_owned(),
    };
    Bench::protected(storage, protection)
}

#[test]
fn hevc_has_captions_too() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(stored(film(folder.path(), "libx265", &said())));
    assert_eq!(captioned(&folder.path().join("film.mp4")), FRAMES);
    let master = ok(&bench, "film.ism/manifest(format=m3u8-cmaf)");
    assert!(
        master.text().contains("INSTREAM-ID=\"CC1\""),
        "{}",
        master.text()
    );
    let path = folder.path().join("cmaf.mp4");
    let playlist = "film.ism/QualityLevels(200000)/Manifest(video,format=m3u8-cmaf)";
    std::fs::write(&path, whole(&bench, playlist)).unwrap();
    assert_eq!(captioned(&path), FRAMES);
}
