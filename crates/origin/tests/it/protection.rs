//! Encrypted delivery: what is served decrypts to the clear media with tools we did not write, and says how.

use crate::common::*;
use crate::sealed::*;
use headwater_origin::*;
use headwater_protect::{IvSpace, Kid};
use http::Method;
use serde_json::json;
use std::process::Command;

fn kid() -> Kid {
    Kid::parse(KID).unwrap()
}

fn four_cc(code: &str) -> serde_json::Value {
    json!([{"trackSelections": [{"property": "FourCC", "operation": "Equal", "value": code}]}])
}

/// A film of `codec` with sound, muxed.
fn film(codec: &str) -> Memory {
    film_with(codec, "aac")
}

fn film_with(codec: &str, sound_codec: &str) -> Memory {
    let folder = tempfile::tempdir().unwrap();
    let pictures = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=duration=6:size=320x180:rate=25",
    ];
    let sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=6"];
    let how = [
        "-c:v",
        codec,
        "-preset",
        match codec {
            "libsvtav1" => "10",
            _ => "ultrafast",
        },
        "-g",
        "50",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        sound_codec,
        "-movflags",
        "+faststart",
        "film.mp4",
    ];
    let tag: &[&str] = match codec {
        "libx265" => &["-tag:v", "hvc1", "-x265-params", "log-level=error"],
        _ => &[],
    };
    let args: Vec<&str> = [&pictures[..], &sound, tag, &how].concat();
    ffmpeg(folder.path(), &args);
    let storage = Memory::default();
    storage.write(
        "film.mp4",
        std::fs::read(folder.path().join("film.mp4")).unwrap(),
    );
    storage
}

/// The media playlists of a presentation: paths and texts.
fn playlists(bench: &Bench, options: &str) -> Vec<(String, String)> {
    let master = bench.get(&format!("film.ism/manifest({options})"));
    assert_eq!(master.status, 200, "{}", master.text());
    let mut found = uris(master.text());
    found.truncate(1);
    let audio = master
        .text()
        .lines()
        .filter(|l| l.starts_with("#EXT-X-MEDIA"));
    found.extend(attributes(&audio.collect::<Vec<_>>().join("\n"), "URI"));
    let found = found.into_iter().map(|uri| {
        let path = format!("film.ism/{uri}");
        let got = bench.get(&path);
        assert_eq!(got.status, 200, "{}", got.text());
        (path, got.text().to_owned())
    });
    found.collect()
}

fn bytes(bench: &Bench, urls: &[String]) -> Vec<u8> {
    let parts = urls.iter().map(|url| {
        let got = bench.get(url);
        assert_eq!(got.status, 200, "{}", got.text());
        got.body.to_vec()
    });
    parts.collect::<Vec<_>>().concat()
}

/// Checksums of all decoded frames of a file.
fn frames(file: &[u8], key: Option<&str>) -> String {
    frame_sums(file, key, &[])
}

const HEX_KEY: &str = "09090909090909090909090909090909";

fn decrypts_to_the_clear(storage: &Memory, way: Way, encryption: &str, format: &str) {
    let clear = Bench::new(storage.clone());
    let bench = Bench::protected(storage.clone(), protection(way));
    let plain = playlists(&clear, &format!("format={format}"));
    let protected = playlists(&bench, &format!("format={format},encryption={encryption}"));
    assert_eq!((plain.len(), protected.len()), (2, 2));
    for ((path, text), (plain_path, plain_text)) in protected.iter().zip(&plain) {
        let served = bytes(&bench, &segment_urls(path, text));
        let expected = bytes(&clear, &segment_urls(plain_path, plain_text));
        assert_ne!(served, expected);
        let got = frames(&served, Some(HEX_KEY));
        assert!(got.lines().count() > 100, "{got}");
        assert_eq!(got, frames(&expected, None));
    }
}

#[test]
fn samples_of_cmaf_decrypt_to_the_clear_frames() {
    for codec in ["libx264", "libx265", "libsvtav1"] {
        let storage = film(codec);
        decrypts_to_the_clear(&storage, Way::Cenc, "cenc", "m3u8-cmaf");
        decrypts_to_the_clear(&storage, Way::Cbcs, "cbcs-aapl", "m3u8-cmaf");
    }
}

/// Decrypts AES-128 segments as a player does, from what the playlist says.
fn opened(bench: &Bench, path: &str, text: &str) -> Vec<u8> {
    let tag = text.lines().find(|l| l.starts_with("#EXT-X-KEY")).unwrap();
    let iv = format!("{:032x}", u128::from_be_bytes(IvSpace::constant(kid())));
    assert_eq!(
        tag,
        format!(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"https://video.example/keys/?kid={KID}\",IV=0x{iv}"
        )
    );
    let folder = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    let init = text.contains("#EXT-X-MAP");
    for (at, url) in segment_urls(path, text).iter().enumerate() {
        let got = bench.get(url);
        if init && at == 0 {
            out.extend_from_slice(&got.body);
            continue;
        }
        std::fs::write(folder.path().join("in"), &got.body).unwrap();
        let output = Command::new("openssl")
            .current_dir(folder.path())
            .args([
                "enc",
                "-d",
                "-aes-128-cbc",
                "-K",
                HEX_KEY,
                "-iv",
                &iv,
                "-in",
                "in",
            ])
            .output()
            .expect("openssl is installed");
        assert!(output.status.success());
        out.extend(output.stdout);
    }
    out
}

#[test]
fn whole_segments_decrypt_to_the_clear_bytes() {
    let storage = film("libx264");
    let clear = Bench::new(storage.clone());
    let bench = Bench::protected(storage, protection(Way::Envelope));
    for format in ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3"] {
        let plain = playlists(&clear, &format!("format={format}"));
        let protected = playlists(&bench, &format!("format={format},encryption=cbc"));
        assert_eq!(plain.len(), protected.len());
        for ((path, text), (plain_path, plain_text)) in protected.iter().zip(&plain) {
            let map = text.find("#EXT-X-MAP");
            assert!(map.is_none_or(|map| map < text.find("#EXT-X-KEY").unwrap()));
            let expected = bytes(&clear, &segment_urls(plain_path, plain_text));
            assert_eq!(opened(&bench, path, text), expected, "{format}");
        }
    }
    // Init segments are clear, and DASH and Smooth have the same bytes.
    let mpd = bench.get("film.ism/manifest(format=mpd-time-cmaf,encryption=cbc)");
    assert!(mpd.text().contains("sea:CryptoPeriod"), "{}", mpd.text());
    roxmltree::Document::parse(mpd.text()).unwrap();
    let smooth = bench.get("film.ism/manifest(encryption=cbc)");
    assert!(
        smooth
            .text()
            .contains("B47B251A-2409-4B42-958E-08DBAE7B4EE9")
    );
}

/// Hashes of the first `count` frames that ffmpeg's HLS demuxer gives of a media playlist whose key is a file. The playlist
/// goes on with its segments once more, or as often as it takes: of the last one, ffmpeg 5.1 leaves those packets encrypted that
/// it takes apart after it has read it to its end, and it looks at some seconds ahead.
fn played(bench: &Bench, path: &str, text: &str, count: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (mut head, mut list) = (String::new(), String::new());
    for line in text.lines() {
        if line.starts_with("#EXT-X-KEY") {
            // FairPlay's players have a tag of their own.
            if line.contains("video.example/keys/?kid=") {
                let iv = line.split_once("IV=").unwrap().1;
                list += &format!("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"key\",IV={iv}\n");
            }
        } else if line.starts_with("#EXTINF") {
            list += &format!("{line}\n");
        } else if line.starts_with('#') || line.is_empty() {
            head += &format!("{line}\n");
        } else {
            let name = format!("{}.ts", list.len());
            let got = bench.get(&resolve(path, line));
            assert_eq!(got.status, 200, "{}", got.text());
            std::fs::write(folder.path().join(&name), &got.body).unwrap();
            list += &format!("{name}\n");
        }
    }
    let head = head.replace("#EXT-X-ENDLIST\n", "");
    let again = format!("#EXT-X-DISCONTINUITY\n{list}").repeat(200 / list.lines().count() + 1);
    let list = format!("{head}{list}{again}#EXT-X-ENDLIST\n");
    std::fs::write(folder.path().join("key"), [9; 16]).unwrap();
    std::fs::write(folder.path().join("list.m3u8"), list).unwrap();
    let count = count.to_string();
    let output = Command::new("ffmpeg")
        .current_dir(folder.path())
        .args(["-v", "error", "-xerror", "-allowed_extensions", "ALL"])
        .args(["-i", "list.m3u8", "-vsync", "passthrough"])
        .args(["-frames:v", &count, "-frames:a", &count])
        .args(["-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg is installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    hashes(&String::from_utf8(output.stdout).unwrap())
}

/// Of `framemd5`, without times.
fn hashes(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

#[test]
fn samples_of_transport_streams_decrypt_to_the_clear_frames() {
    for (codec, sound) in [("libx264", "aac"), ("libx264", "ac3"), ("libx264", "eac3")] {
        let storage = film_with(codec, sound);
        let clear = Bench::new(storage.clone());
        let bench = Bench::protected(storage, protection(Way::Cbcs));
        let plain = playlists(&clear, "format=m3u8-aapl");
        let protected = playlists(&bench, "format=m3u8-aapl,encryption=cbcs-aapl");
        assert_eq!((plain.len(), protected.len()), (2, 2), "{sound}");
        for ((path, text), (plain_path, plain_text)) in protected.iter().zip(&plain) {
            assert!(text.contains("#EXT-X-VERSION:5"), "{text}");
            let fairplay = format!("URI=\"skd://video.example/keys/FairPlay/?kid={KID}\"");
            assert!(text.contains(&fairplay), "{text}");
            let expected = bytes(&clear, &segment_urls(plain_path, plain_text));
            let expected = hashes(&frames(&expected, None));
            assert!(expected.len() > 100);
            let got = played(&bench, path, text, expected.len());
            assert_eq!(got, expected, "{path}");
            let url = &segment_urls(path, text)[0];
            let whole = bench.get(url).body;
            for range in [0..=0, 170..=1000, 5000..=9000] {
                let header = format!("bytes={}-{}", range.start(), range.end());
                let got = bench.ask(Method::GET, url, &[("range", &header)]);
                assert_eq!((got.status, &got.body[..]), (206, &whole[range]));
            }
        }
    }
}

#[test]
fn key_frames_of_what_is_encrypted_decode_on_their_own() {
    let storage = film("libx264");
    let clear = Bench::new(storage.clone());
    let (plain_path, plain_text) = playlists(&clear, "format=m3u8-cmaf").remove(0);
    let whole = bytes(&clear, &segment_urls(&plain_path, &plain_text));
    let whole = hashes(&frames(&whole, None));
    assert_eq!(whole.len(), 150);
    let expected: Vec<String> = whole.iter().step_by(50).cloned().collect();
    for (way, encryption, format) in [
        (Way::Cenc, "cenc", "m3u8-cmaf"),
        (Way::Cbcs, "cbcs-aapl", "m3u8-cmaf"),
        (Way::Cbcs, "cbcs-aapl", "m3u8-aapl"),
        (Way::Envelope, "cbc", "m3u8-cmaf"),
        (Way::Envelope, "cbc", "m3u8-aapl"),
    ] {
        let what = format!("{encryption} {format}");
        let bench = Bench::protected(storage.clone(), protection(way));
        let options = format!("format={format},encryption={encryption}");
        let master = bench.get(&format!("film.ism/manifest({options})"));
        let line = master
            .text()
            .lines()
            .find(|line| line.starts_with("#EXT-X-I-FRAME-STREAM-INF:"));
        let uri = line
            .unwrap()
            .split("URI=\"")
            .nth(1)
            .unwrap()
            .trim_end_matches('"');
        let path = format!("film.ism/{uri}");
        let playlist = bench.get(&path);
        let text = playlist.text();
        assert_eq!(playlist.status, 200, "{text}");
        assert!(
            text.contains("#EXT-X-I-FRAMES-ONLY\n") && !text.contains("BYTERANGE"),
            "{text}"
        );
        let (_, media) = playlists(&bench, &options).remove(0);
        let keys = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with("#EXT-X-KEY"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(
            (keys(text), keys(text).is_empty()),
            (keys(&media), false),
            "{what}"
        );
        assert_eq!(uris(text).len(), 3, "{text}");
        let got = match (way, format) {
            (Way::Envelope, _) => {
                let opened = opened(&bench, &path, text);
                hashes(&frames(&opened, None))
            }
            (_, "m3u8-aapl") => played(&bench, &path, text, 3),
            _ => hashes(&frames(
                &bytes(&bench, &segment_urls(&path, text)),
                Some(HEX_KEY),
            )),
        };
        assert_eq!(got, expected, "{what}");
        if format == "m3u8-cmaf" && way != Way::Envelope {
            // The same bytes as in the segment: a vector is never used for two texts.
            for uri in uris(text) {
                let picture = bench.get(&resolve(&path, &uri)).body;
                let segment = resolve(&path, &uri.replace("KeyFrames", "Fragments"));
                let segment = bench.get(&segment).body;
                let sample = &picture[picture.len() - 400..];
                assert!(segment.windows(400).any(|part| part == sample), "{what}");
            }
        }
    }
}

#[test]
fn what_transport_streams_cannot_encrypt_is_left_out_and_never_clear() {
    // Of such sound nobody says how it is set up.
    let storage = film_with("libx264", "eac3");
    let mut file = storage.get("film.mp4").unwrap().to_vec();
    let setup = file.windows(4).position(|name| name == b"dec3").unwrap();
    file[setup..setup + 4].copy_from_slice(b"free");
    storage.write("film.mp4", file);
    let bench = Bench::protected(storage.clone(), protection(Way::Cbcs));
    let manifest = "film.ism/manifest(format=m3u8-aapl,encryption=cbcs-aapl)";
    let master = bench.get(manifest);
    assert_eq!(
        (master.status, master.text().contains("ec-3")),
        (200, false)
    );
    // No system of the policy has a place there.
    let mut others = protection(Way::Cbcs);
    others.schemes[0].offers = vec![offer(KeySystem::Widevine)];
    let got = Bench::protected(storage, others).get(manifest);
    assert_eq!(
        (got.status, got.code().as_str()),
        (415, "MPE_ENCRYPTION_NOT_SUPPORTED")
    );
}

#[test]
fn sets_of_key_frames_are_under_the_key_of_their_set() {
    let storage = film("libx264");
    let (plain_path, plain_text) =
        playlists(&Bench::new(storage.clone()), "format=m3u8-cmaf").remove(0);
    let clear = Bench::new(storage.clone());
    let whole = hashes(&frames(
        &bytes(&clear, &segment_urls(&plain_path, &plain_text)),
        None,
    ));
    let expected: Vec<String> = whole.iter().step_by(50).cloned().collect();
    for (way, encryption) in [(Way::Cenc, "cenc"), (Way::Cbcs, "cbcs")] {
        let bench = Bench::protected(storage.clone(), protection(way));
        let path = format!(
            "film.ism/manifest(format=mpd-time-cmaf,encryption={encryption},type=keyframes)"
        );
        let mpd = bench.get(&path);
        let (urls, _) = dash_key_frames(&path, mpd.text());
        assert_eq!(
            mpd.text().matches("mp4protection").count(),
            3,
            "{}",
            mpd.text()
        );
        let got = hashes(&frames(&bytes(&bench, &urls), Some(HEX_KEY)));
        assert_eq!(got, expected, "{encryption}");
    }
}

#[test]
fn pictures_that_are_none_are_said_to_be_the_fault() {
    let storage = film("libx264");
    let mut file = storage.get("film.mp4").unwrap().to_vec();
    let media = file.windows(4).rposition(|name| name == b"mdat").unwrap() + 4;
    // No length of a NAL unit is so large.
    file[media..].fill(0xff);
    storage.write("film.mp4", file);
    let bench = Bench::protected(storage, protection(Way::Cenc));
    let path = "film.ism/manifest(format=m3u8-cmaf,encryption=cenc)";
    let list = format!("film.ism/{}", uris(bench.get(path).text())[0]);
    let segment = segment_urls(&list, bench.get(&list).text()).pop().unwrap();
    let got = bench.get(&segment);
    assert_eq!(
        (got.status, got.code().as_str()),
        (415, "MPE_INVALID_VIDEO_NAL_UNIT")
    );
}

#[test]
fn ranges_of_encrypted_segments_are_parts_of_them() {
    let storage = film("libx264");
    for (way, encryption) in [
        (Way::Envelope, "cbc"),
        (Way::Cenc, "cenc"),
        (Way::Cbcs, "cbcs"),
    ] {
        let bench = Bench::protected(storage.clone(), protection(way));
        let lists = playlists(&bench, &format!("format=m3u8-cmaf,encryption={encryption}"));
        for (path, text) in &lists {
            let url = segment_urls(path, text).pop().unwrap();
            let whole = bench.get(&url).body;
            let len = whole.len();
            for (from, to) in [
                (0, 0),
                (1, 40),
                (700, 1900),
                (len / 2, len - 2),
                (len - 1, len - 1),
            ] {
                let range = format!("bytes={from}-{to}");
                let got = bench.ask(Method::GET, &url, &[("range", &range)]);
                assert_eq!(got.status, 206);
                assert_eq!(got.body, whole[from..=to.min(len - 1)], "{range} of {url}");
            }
        }
    }
}

#[test]
fn manifests_say_where_keys_are() {
    let storage = film("libx264");
    let bench = Bench::protected(storage.clone(), protection(Way::Cenc));
    let mpd = bench.get("film.ism/manifest(format=mpd-time-cmaf,encryption=cenc)");
    let document = roxmltree::Document::parse(mpd.text()).unwrap();
    for set in document
        .descendants()
        .filter(|n| n.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "AdaptationSet")))
    {
        let schemes: Vec<_> = set
            .children()
            .filter(|n| n.tag_name().name() == "ContentProtection")
            .map(|n| n.attribute("schemeIdUri").unwrap())
            .collect();
        assert_eq!(
            schemes,
            [
                "urn:mpeg:dash:mp4protection:2011",
                "urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95",
                "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",
                // The one with the server first: what Shaka Player joins of several periods.
                "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e",
                "urn:uuid:1077efec-c0b2-4d02-ace3-3c1e52e2fb4b",
            ]
        );
    }
    for said in [
        format!("cenc:default_KID=\"{KID}\""),
        "https://video.example/keys/ClearKey</dashif:Laurl>".to_owned(),
        format!("https://video.example/keys/Widevine/?kid={KID}"),
    ] {
        assert!(mpd.text().contains(&said), "{said}: {}", mpd.text());
    }
    let smooth = bench.get("film.ism/manifest(encryption=piff)");
    assert!(
        smooth
            .text()
            .contains("SystemID=\"9A04F079-9840-4286-AB92-E65BE0885F95\"")
    );
    let lists = playlists(&bench, "format=m3u8-cmaf,encryption=cenc");
    assert!(
        lists[0].1.contains("METHOD=SAMPLE-AES-CTR"),
        "{}",
        lists[0].1
    );
    let hls = Bench::protected(storage, protection(Way::Cbcs));
    let master = hls.get("film.ism/manifest(format=m3u8-cmaf,encryption=cbcs-aapl)");
    let session = format!(
        "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://video.example/keys/FairPlay/?kid={KID}\""
    );
    assert_eq!(
        master.text().matches(&session).count(),
        1,
        "{}",
        master.text()
    );
    assert!(master.text().contains("I-FRAME-STREAM-INF"));
}

#[test]
fn a_token_in_the_url_reaches_key_delivery_and_no_cache() {
    let bench = Bench::protected(film("libx264"), protection(Way::Envelope));
    let manifest = "film.ism/manifest(format=m3u8-aapl,encryption=cbc)";
    let plain = bench.get(manifest);
    let master = bench.get(&format!("{manifest}?token=Bearer%20ey.J"));
    assert_eq!(
        (master.status, master.header("cache-control")),
        (200, "no-store")
    );
    assert!(!master.headers.contains_key("headwater-cache-control"));
    assert_ne!(master.header("etag"), plain.header("etag"));
    assert!(
        master.text().contains(",type=keyframes)?token=ey.J\""),
        "{}",
        master.text()
    );
    for uri in uris(master.text())
        .into_iter()
        .chain(attributes(master.text(), "URI"))
    {
        assert!(uri.ends_with("?token=ey.J"), "{uri}");
        let list = bench.get(&format!("film.ism/{uri}"));
        assert_eq!(list.header("cache-control"), "no-store");
        let key = format!("URI=\"https://video.example/keys/?kid={KID}&token=ey.J\"");
        assert!(list.text().contains(&key), "{}", list.text());
        assert!(uris(list.text()).iter().all(|uri| !uri.contains("token")));
    }
    // What a client has of the text without a token is another text.
    let etag = plain.header("etag").to_owned();
    let asked = |path: &str, etag: &str| {
        let got = bench.ask(Method::GET, path, &[("if-none-match", etag)]);
        got.status
    };
    assert_eq!(asked(manifest, &etag), 304);
    assert_eq!(asked(&format!("{manifest}?token=ey.J"), &etag), 200);
    let etag = master.header("etag").to_owned();
    assert_eq!(asked(&format!("{manifest}?token=ey.J"), &etag), 304);
    assert_eq!(asked(&format!("{manifest}?token=ey.K"), &etag), 200);
    // What went before stays without.
    assert_eq!(bench.get(manifest).body, plain.body);
    assert_eq!(bench.get(&format!("{manifest}?token=%ff")).status, 400);
}

#[test]
fn templates_name_other_peoples_servers() {
    let mut protection = protection(Way::Envelope);
    protection.schemes[0].offers[0].url_template =
        Some("https://keys.example/{ContentKeyId}?m={AlternativeMediaId}".to_owned());
    let bench = Bench::protected(film("libx264"), protection);
    let lists = playlists(&bench, "format=m3u8-aapl,encryption=cbc");
    let url = format!("URI=\"https://keys.example/{KID}?m=film\"");
    assert!(lists[0].1.contains(&url), "{}", lists[0].1);
}

#[test]
fn tracks_have_their_own_keys_or_none() {
    let storage = film("libx264");
    let mut two = protection(Way::Cenc);
    two.schemes[0].keys.push(key(AUDIO_KID, 7, four_cc("mp4a")));
    let bench = Bench::protected(storage.clone(), two);
    let mpd = bench.get("film.ism/manifest(format=mpd-time-cmaf,encryption=cenc)");
    let kids = [KID, AUDIO_KID].map(|kid| {
        mpd.text()
            .matches(&format!("default_KID=\"{kid}\""))
            .count()
    });
    assert_eq!(kids, [1, 1]);
    let mut some = protection(Way::Cenc);
    some.schemes[0].clear = Tracks::read(&four_cc("mp4a"));
    let bench = Bench::protected(storage.clone(), some);
    let lists = playlists(&bench, "format=m3u8-cmaf,encryption=cenc");
    assert!(lists[0].1.contains("#EXT-X-KEY") && !lists[1].1.contains("#EXT-X-KEY"));
    let sound = bytes(&bench, &segment_urls(&lists[1].0, &lists[1].1));
    frames(&sound, None);
    // No key for a track is no reason to let it out.
    let mut lost = protection(Way::Cenc);
    lost.schemes[0].keys = vec![key(AUDIO_KID, 7, four_cc("mp4a"))];
    let bench = Bench::protected(storage, lost);
    assert_eq!(
        bench
            .get("film.ism/manifest(format=mpd-time-cmaf,encryption=cenc)")
            .status,
        500
    );
}

#[test]
fn what_does_not_go_together_is_refused() {
    let storage = film("libx264");
    for (way, options, status, code) in [
        (
            Way::Cenc,
            "format=m3u8-cmaf",
            400,
            "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL",
        ),
        (
            Way::Cenc,
            "format=m3u8-aapl,encryption=cenc",
            415,
            "MPE_ENCRYPTION_NOT_SUPPORTED",
        ),
        (
            Way::Cbcs,
            "format=m3u8-aapl-v3,encryption=cbcs-aapl",
            415,
            "MPE_ENCRYPTION_NOT_SUPPORTED",
        ),
        (
            Way::Cbcs,
            "encryption=cbcs-aapl",
            415,
            "MPE_ENCRYPTION_NOT_SUPPORTED",
        ),
        (
            Way::Cenc,
            "format=mpd-time-cmaf,encryption=piff",
            415,
            "MPE_ENCRYPTION_NOT_SUPPORTED",
        ),
        (
            Way::Cenc,
            "format=m3u8-cmaf,encryption=cbc",
            403,
            "MPE_ENC_ENCRYPTION_NOT_SET_IN_DELIVERY_POLICY",
        ),
    ] {
        let bench = Bench::protected(storage.clone(), protection(way));
        let got = bench.get(&format!("film.ism/manifest({options})"));
        assert_eq!(
            (got.status, got.code().as_str()),
            (status, code),
            "{options}"
        );
    }
}

#[test]
fn an_encryption_that_the_url_leaves_open_is_that_of_the_policy() {
    for (way, open, said) in [
        (
            Way::Cenc,
            "format=mpd-time-csf",
            "format=mpd-time-csf,encryption=cenc",
        ),
        (Way::Cenc, "", "encryption=cenc"),
        (
            Way::Envelope,
            "format=m3u8-aapl-v3",
            "format=m3u8-aapl-v3,encryption=cbc",
        ),
        (
            Way::Cbcs,
            "format=m3u8-aapl",
            "format=m3u8-aapl,encryption=cbcs-aapl",
        ),
    ] {
        let bench = Bench::protected(film("libx264"), protection(way));
        let manifest = |options: &str| match options {
            "" => "film.ism/manifest".to_owned(),
            _ => format!("film.ism/manifest({options})"),
        };
        let got = bench.get(&manifest(open));
        assert_eq!(got.status, 200, "{open}: {}", got.text());
        // Its segments are asked for with the encryption, whatever players make of the manifest's URL.
        assert_eq!(got.body, bench.get(&manifest(said)).body, "{open}");
    }
}

#[test]
fn a_segment_is_scanned_once_and_no_answer_shows_a_key() {
    let bench = Bench::protected(film("libx264"), protection(Way::Cenc));
    let lists = playlists(&bench, "format=m3u8-cmaf,encryption=cenc");
    let url = segment_urls(&lists[0].0, &lists[0].1).pop().unwrap();
    bench.storage.calls();
    let first = bench.get(&url);
    let second = bench.get(&url);
    assert_eq!(first.body, second.body);
    let (calls, _) = bench.storage.calls();
    assert_eq!(
        calls.iter().filter(|call| *call == "scan").count(),
        1,
        "{calls:?}"
    );
    let plan = bench.plan(&url).unwrap();
    assert!(!format!("{plan} {plan:?}").contains("9, 9"));
    assert!(
        first
            .headers
            .values()
            .all(|v| !v.to_str().unwrap().contains("0909"))
    );
}

/// A fragment of the first stream of a Smooth manifest that begins at 0.
fn smooth_fragment(bench: &Bench, options: &str) -> bytes::Bytes {
    let manifest = bench.get(&match options {
        "" => "film.ism/manifest".to_owned(),
        options => format!("film.ism/manifest({options})"),
    });
    let document = roxmltree::Document::parse(manifest.text()).unwrap();
    let find = |name: &str| {
        let mut nodes = document.descendants();
        nodes.find(|n| n.has_tag_name(name)).unwrap()
    };
    let url = find("StreamIndex").attribute("Url").unwrap();
    let bitrate = find("QualityLevel").attribute("Bitrate").unwrap();
    let url = url
        .replace("{bitrate}", bitrate)
        .replace("{start time}", "0");
    let got = bench.get(&format!("film.ism/{url}"));
    assert_eq!(got.status, 200, "{url}: {}", got.text());
    got.body
}

#[test]
fn smooth_fragments_decrypt_to_the_clear_frames() {
    let storage = film("libx264");
    let clear = Bench::new(storage.clone());
    let bench = Bench::protected(storage, protection(Way::Cenc));
    // Smooth has no init segments, so that of CMAF stands in.
    let init = |bench: &Bench, options: &str| {
        let (path, text) = playlists(bench, &format!("format=m3u8-cmaf{options}")).remove(0);
        bench.get(&segment_urls(&path, &text)[0]).body
    };
    let of = |init: bytes::Bytes, fragment: bytes::Bytes| [init, fragment].concat();
    let expected = of(init(&clear, ""), smooth_fragment(&clear, ""));
    let served = of(
        init(&bench, ",encryption=cenc"),
        smooth_fragment(&bench, "encryption=cenc"),
    );
    let got = frames(&served, Some(HEX_KEY));
    assert!(got.lines().count() > 40, "{got}");
    assert_eq!(got, frames(&expected, None));
    // PIFF: the same bytes of media behind other boxes.
    let piff = smooth_fragment(&bench, "encryption=piff");
    let id = 0xa239_4f52_5a9b_4f14_a244_6c42_7c64_8df4_u128.to_be_bytes();
    assert!(piff.windows(16).any(|bytes| bytes == id));
    assert!(served.ends_with(&piff[piff.len() - 10_000..]));
}

#[test]
fn media_that_is_encrypted_already_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, more: &str| {
        let args = format!(
            "-f lavfi -i testsrc2=size=128x72:rate=25:duration=2 -f lavfi -i sine=duration=2:sample_rate=48000 \
             -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac {more} {name}"
        );
        ffmpeg(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
        std::fs::read(folder.path().join(name)).unwrap()
    };
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff \
        -encryption_kid 0123456789abcdef0123456789abcdef";
    let storage = Memory::default();
    storage.write("secret.mp4", make("secret.mp4", key));
    storage.write(
        "live.ism",
        r#"<smil><head><meta name="formats" content="vod-fmp4"/></head><body><switch><video src="live"/></switch></body></smil>"#,
    );
    let flags = "-an -movflags empty_moov+frag_keyframe";
    storage.write("live/header", make("header.mp4", &format!("{key} {flags}")));
    let bench = Bench::new(storage);
    for name in ["secret", "live"] {
        let refused = bench.get(&format!("{name}.ism/manifest(format=m3u8-cmaf)"));
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (415, "MPE_ENC_ALREADY_ENCRYPTED"),
            "{}",
            refused.text()
        );
    }
}
