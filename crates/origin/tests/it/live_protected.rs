//! Live presentations and their recordings, encrypted as films are: what is served decrypts to the clear media with tools we
//! did not write, and nothing goes out in the clear.

use crate::air::*;
use crate::common::*;
use crate::sealed::*;
use headwater_live::stream::Kind;
use headwater_origin::*;
use headwater_protect::{Cipher, IvSpace, Kid};
use serde_json::json;
use std::collections::HashSet;

const KEY: &str = "09090909090909090909090909090909";
const VIDEO: &str = "show.ism/QualityLevels(2000000)";

fn live(storage: &Memory, way: Way) -> Bench {
    Bench::guarded(storage.clone(), on_air(published()), protection(way), &[])
}

fn film(storage: &Memory, way: Way) -> Bench {
    Bench::protected(storage.clone(), protection(way))
}

#[test]
fn samples_decrypt_to_the_clear_frames_live_and_afterwards() {
    for codec in ["libx264", "libx265", "libsvtav1"] {
        let preset = if codec == "libsvtav1" {
            "10"
        } else {
            "ultrafast"
        };
        let mut args = vec!["-c:v", codec, "-preset", preset];
        if codec == "libx265" {
            args.extend([
                "-tag:v",
                "hvc1",
                "-x265-params",
                "log-level=error:open-gop=0",
            ]);
        }
        let air = Air::new(&args);
        for (way, encryption) in [(Way::Cenc, "cenc"), (Way::Cbcs, "cbcs-aapl")] {
            let storage = air.airing(false);
            let bench = live(&storage, way);
            let options = format!("format=m3u8-cmaf,encryption={encryption}");
            let playlists = media_playlists(&bench, &options);
            assert_eq!(playlists.len(), 2, "{codec}");
            let mut while_live = Vec::new();
            for (path, text) in &playlists {
                let served = bytes_of(&bench, &segment_urls(path, text));
                let clear = air.clear(kind_of(path), 0..7);
                assert_ne!(served, clear);
                let got = frames(&served, Some(KEY));
                assert!(got.len() > 100, "{codec} {encryption}: {}", got.len());
                assert_eq!(got, frames(&clear, None), "{codec} {encryption} {path}");
                while_live.push(served);
            }
            // The same bytes under the same URLs once it is a film.
            air.record(&storage, 0..7, true);
            let bench = film(&storage, way);
            for ((path, text), before) in playlists.iter().zip(&while_live) {
                assert_eq!(&bytes_of(&bench, &segment_urls(path, text)), before);
                let text = ok(&bench, path).text().to_owned();
                assert!(
                    text.ends_with("#EXT-X-ENDLIST\n")
                        && text.contains("#EXT-X-KEY:METHOD=SAMPLE-AES")
                );
            }
        }
    }
}

#[test]
fn parts_are_the_bytes_of_their_segment() {
    let air = Air::avc();
    for (way, encryption) in [(Way::Cenc, "cenc"), (Way::Cbcs, "cbcs-aapl")] {
        let storage = air.airing(true);
        let bench = live(&storage, way);
        let options = format!("format=m3u8-cmaf,encryption={encryption}");
        for (path, text) in media_playlists(&bench, &options) {
            let parts: Vec<String> = text
                .lines()
                .filter(|line| line.starts_with("#EXT-X-PART:"))
                .flat_map(|line| attributes(line, "URI"))
                .collect();
            let growing = FIRST + 7;
            assert!(
                parts
                    .iter()
                    .any(|uri| uri.contains(&format!("={growing},"))),
                "{text}"
            );
            assert!(text.contains(&format!(
                "={growing},format=m3u8-cmaf,encryption={encryption},part=2)"
            )));
            let of = |number: u64| -> Vec<u8> {
                let own = parts
                    .iter()
                    .filter(|uri| uri.contains(&format!("={number},")));
                own.flat_map(|uri| ok(&bench, &resolve(&path, uri)).body.to_vec())
                    .collect()
            };
            let last = uris(&text).pop().unwrap();
            let whole = ok(&bench, &resolve(&path, &last)).body;
            assert_eq!(of(FIRST + 6), whole);
            // What grows is the beginning of what will be.
            let first_parts = of(growing);
            assert!(!first_parts.is_empty());
            let then = air.airing(true);
            air.tell(&then, 2..8, 0, true, None);
            let later = live(&then, way);
            let url = format!(
                "{}/Fragments({}={},format=m3u8-cmaf,encryption={encryption}).m4s",
                path.rsplit_once('/').unwrap().0,
                kind_of(&path).name(),
                air.start(kind_of(&path), 7)
            );
            let whole = ok(&later, &url).body;
            assert_eq!(whole[..first_parts.len()], first_parts[..]);
            // Ranges of it are parts of it.
            let range = later.ask(http::Method::GET, &url, &[("range", "bytes=1000-4999")]);
            assert_eq!((range.status, &range.body[..]), (206, &whole[1000..5000]));
        }
    }
}

/// First vectors and counts of samples of what was answered.
fn vectors(bench: &Bench, url: &str) -> Vec<u64> {
    let plan = bench.plan(url).unwrap_or_else(|| panic!("{url} is a plan"));
    let Cipher::Ctr { first_iv, samples } = plan.encryption().unwrap().cipher() else {
        panic!("{url} is in counter mode");
    };
    (0..samples.len() as u64)
        .map(|at| first_iv.wrapping_add(at))
        .collect()
}

#[test]
fn no_vector_is_used_twice_not_even_by_a_worker_that_comes_back() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = live(&storage, Way::Cenc);
    let mut seen = HashSet::new();
    for (path, text) in media_playlists(&bench, "format=m3u8-cmaf,encryption=cenc") {
        for uri in uris(&text) {
            for vector in vectors(&bench, &resolve(&path, &uri)) {
                assert!(seen.insert(vector), "{uri}");
            }
        }
    }
    assert!(seen.len() > 400);
    let part = |number: u64| {
        format!("{VIDEO}/Fragments(video={number},format=m3u8-cmaf,encryption=cenc,part=0).m4s")
    };
    for vector in vectors(&bench, &part(FIRST + 7)) {
        assert!(seen.insert(vector));
    }
    // That part was lost with its worker. The next one has the same time and another number.
    let storage = Memory::default();
    air.record(&storage, 0..5, false);
    air.tell(&storage, 2..7, 1, true, Some(FIRST + 8));
    let bench = live(&storage, Way::Cenc);
    for vector in vectors(&bench, &part(FIRST + 8)) {
        assert!(seen.insert(vector));
    }
}

#[test]
fn whole_segments_decrypt_to_the_clear_bytes() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = live(&storage, Way::Envelope);
    let iv = format!(
        "{:032x}",
        u128::from_be_bytes(IvSpace::constant(Kid::parse(KID).unwrap()))
    );
    for (path, text) in media_playlists(&bench, "format=m3u8-cmaf,encryption=cbc") {
        // Parts of what is encrypted as a whole are of no use to anybody.
        assert!(
            !text.contains("EXT-X-PART") && !text.contains("CAN-BLOCK-RELOAD"),
            "{text}"
        );
        let tag = format!(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"https://video.example/keys/?kid={KID}\",IV=0x{iv}\n"
        );
        assert_eq!(text.matches(&tag).count(), 1);
        assert!(text.find("#EXT-X-MAP").unwrap() < text.find("#EXT-X-KEY").unwrap());
        let urls = segment_urls(&path, &text);
        let mut out = ok(&bench, &urls[0]).body.to_vec();
        for url in &urls[1..] {
            out.extend(opened(&ok(&bench, url).body, KEY, &iv));
        }
        assert_eq!(out, air.clear(kind_of(&path), 0..7));
    }
    let part = format!(
        "{VIDEO}/Fragments(video={},format=m3u8-cmaf,encryption=cbc,part=0).m4s",
        FIRST + 7
    );
    let got = bench.get(&part);
    assert_eq!(
        (got.status, got.code().as_str()),
        (415, "MPE_ENCRYPTION_NOT_SUPPORTED")
    );
    let growing = format!(
        "{VIDEO}/Fragments(video={},format=m3u8-cmaf,encryption=cbc).m4s",
        air.start(Kind::Video, 7)
    );
    assert_eq!(bench.get(&growing).code(), "MPE_FRAGMENT_NOT_READY");
    let mpd = ok(
        &bench,
        "show.ism/manifest(format=mpd-time-cmaf,encryption=cbc)",
    );
    assert!(mpd.text().contains("sea:CryptoPeriod"), "{}", mpd.text());
    roxmltree::Document::parse(mpd.text()).unwrap();
}

#[test]
fn nothing_goes_out_in_the_clear() {
    let air = Air::avc();
    let storage = air.airing(true);
    let live = live(&storage, Way::Cenc);
    air.record(&storage, 0..7, true);
    let film = film(&storage, Way::Cenc);
    let start = air.start(Kind::Video, 4);
    let grows = air.start(Kind::Video, 7);
    for format in [
        "m3u8-cmaf",
        "mpd-time-cmaf",
        "mpd-time-csf",
        "m3u8-aapl",
        "m3u8-aapl-v3",
        "fmp4-v20",
    ] {
        let own = format!("format={format}");
        let mut urls = vec![
            format!("show.ism/manifest({own})"),
            format!("{VIDEO}/Fragments(video={start},{own})"),
            format!("{VIDEO}/Fragments(video={grows},{own})"),
        ];
        if format.starts_with("m3u8") {
            urls.push(format!("{VIDEO}/Manifest(video,{own})"));
        }
        if format.contains("cmaf") || format.contains("csf") {
            urls.push(format!("{VIDEO}/Fragments(video=i,{own})"));
        }
        if format == "m3u8-cmaf" {
            let part = format!("video={},{own},part=0", FIRST + 7);
            urls.push(format!("{VIDEO}/Fragments({part})"));
        }
        for url in urls {
            for bench in [&live, &film] {
                let got = bench.get(&url);
                let refused = match format {
                    // They are the same as if `encryption=cenc` were said.
                    "mpd-time-csf" | "fmp4-v20" => {
                        let said = bench.get(&url.replace(&own, &format!("{own},encryption=cenc")));
                        assert_eq!((got.status, &got.body), (said.status, &said.body), "{url}");
                        let kept = said.status == 200 && url.contains("Fragments");
                        if kept && std::ptr::eq(bench, &live) {
                            assert_eq!(said.header("headwater-cache-control"), "max-age=2");
                        }
                        continue;
                    }
                    "m3u8-cmaf" | "mpd-time-cmaf" => {
                        (400, "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL")
                    }
                    _ => (403, "MPE_ENC_ENCRYPTION_REQUIRED"),
                };
                assert_eq!((got.status, got.code().as_str()), refused, "{url}");
            }
        }
    }
    for bench in [&live, &film] {
        let smooth = bench.get("show.ism/manifest");
        let said = bench.get("show.ism/manifest(encryption=cenc)");
        assert_eq!((smooth.status, &smooth.body), (200, &said.body));
        for url in ["show.live/head", &format!("video_2000000/{start}")] {
            assert_ne!(bench.get(url).status, 200, "{url}");
        }
        // Another scheme than the policy has.
        let got = bench.get("show.ism/manifest(format=m3u8-cmaf,encryption=cbcs-aapl)");
        assert_eq!(got.code(), "MPE_ENC_ENCRYPTION_NOT_SET_IN_DELIVERY_POLICY");
    }
    // A growing segment is not handed on as it comes.
    let url = format!("{VIDEO}/Fragments(video={grows},format=mpd-time-cmaf,encryption=cenc)");
    assert_eq!(live.get(&url).code(), "MPE_FRAGMENT_NOT_READY");
}

#[test]
fn manifests_say_where_keys_are() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = live(&storage, Way::Cenc);
    let mpd = ok(
        &bench,
        "show.ism/manifest(format=mpd-time-cmaf,encryption=cenc)",
    );
    let text = mpd.text();
    let document = roxmltree::Document::parse(text).unwrap();
    let protections = document
        .descendants()
        .filter(|node| node.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "ContentProtection")));
    assert_eq!(protections.count(), 2 * 5, "{text}");
    assert_eq!(
        text.matches(&format!("cenc:default_KID=\"{KID}\"")).count(),
        2
    );
    assert!(text.contains("https://video.example/keys/ClearKey"));
    // Whole segments only: nothing says that they may be asked for while they grow.
    assert!(
        text.contains("type=\"dynamic\"") && !text.contains("availabilityTimeOffset"),
        "{text}"
    );
    let csf = format!("{VIDEO}/Fragments(video=i,format=mpd-time-csf,encryption=cenc)");
    let boxes = |url: &str| {
        let body = ok(&bench, url).body;
        body.windows(4).filter(|name| name == b"pssh").count()
    };
    assert_eq!((boxes(&csf), boxes(&csf.replace("csf", "cmaf"))), (3, 0));
    let master = ok(
        &bench,
        "show.ism/manifest(format=m3u8-cmaf,encryption=cenc)",
    );
    let sessions = master
        .text()
        .lines()
        .filter(|l| l.starts_with("#EXT-X-SESSION-KEY"));
    assert_eq!(sessions.count(), 3, "{}", master.text());
    let delta = format!("{VIDEO}/Manifest(video,format=m3u8-cmaf,encryption=cenc)?_HLS_skip=YES");
    let delta = ok(&bench, &delta);
    assert!(
        delta.text().contains("#EXT-X-SKIP") && delta.text().contains("#EXT-X-KEY"),
        "{}",
        delta.text()
    );
}

#[test]
fn tracks_have_their_own_keys_or_none() {
    let air = Air::avc();
    let storage = air.airing(false);
    let four_cc = |code: &str| json!([{"trackSelections": [{"property": "FourCC", "operation": "Equal", "value": code}]}]);
    let mut policy = protection(Way::Cenc);
    policy.schemes[0]
        .keys
        .push(key(AUDIO_KID, 7, four_cc("mp4a")));
    let bench = Bench::guarded(storage.clone(), on_air(published()), policy, &[]);
    let mpd = ok(
        &bench,
        "show.ism/manifest(format=mpd-time-cmaf,encryption=cenc)",
    );
    for kid in [KID, AUDIO_KID] {
        assert_eq!(
            mpd.text()
                .matches(&format!("cenc:default_KID=\"{kid}\""))
                .count(),
            1
        );
    }
    let (path, text) = media_playlists(&bench, "format=m3u8-cmaf,encryption=cenc")
        .pop()
        .unwrap();
    let served = bytes_of(&bench, &segment_urls(&path, &text));
    let got = frames(&served, Some("07070707070707070707070707070707"));
    assert_eq!(got, frames(&air.clear(Kind::Audio, 0..7), None));

    let mut policy = protection(Way::Cbcs);
    policy.schemes[0].clear = Tracks::read(&four_cc("mp4a"));
    let bench = Bench::guarded(storage, on_air(published()), policy, &[]);
    let (path, text) = media_playlists(&bench, "format=m3u8-cmaf,encryption=cbcs-aapl")
        .pop()
        .unwrap();
    assert!(
        path.contains("(audio") && !text.contains("EXT-X-KEY"),
        "{text}"
    );
    assert_eq!(
        bytes_of(&bench, &segment_urls(&path, &text)),
        air.clear(Kind::Audio, 0..7)
    );
}

#[test]
fn a_token_in_the_url_reaches_key_delivery_and_no_cache() {
    let air = Air::avc();
    let bench = live(&air.airing(false), Way::Envelope);
    let master = ok(
        &bench,
        "show.ism/manifest(format=m3u8-cmaf,encryption=cbc)?token=t1",
    );
    assert_eq!(master.header("cache-control"), "no-store");
    let video = uris(master.text())[0].clone();
    assert!(video.ends_with("?token=t1"), "{}", master.text());
    let playlist = ok(&bench, &format!("show.ism/{video}"));
    assert!(
        playlist
            .text()
            .contains(&format!("https://video.example/keys/?kid={KID}&token=t1"))
    );
    assert_eq!(playlist.header("cache-control"), "no-store");
}

#[test]
fn headers_are_read_once_and_media_never() {
    let air = Air::avc();
    let storage = Memory::default();
    air.record(&storage, 0..5, true);
    let bench = film(&storage, Way::Cenc);
    let url = format!(
        "{VIDEO}/Fragments(video={},format=m3u8-cmaf,encryption=cenc).m4s",
        air.start(Kind::Video, 3)
    );
    bench.plan(&url).unwrap();
    let (calls, _) = storage.calls();
    assert_eq!(calls.iter().filter(|call| *call == "scan").count(), 1);
    assert_eq!(
        calls
            .iter()
            .filter(|call| call.starts_with("read video"))
            .count(),
        5
    );
    let again = bench.plan(&url).unwrap();
    let (calls, read) = storage.calls();
    assert!(
        read == 0 && !calls.contains(&"scan".to_owned()),
        "{calls:?}"
    );
    let shown = format!("{again} {again:?}");
    assert!(
        !shown.contains("0909") && !shown.contains("[9, 9"),
        "{shown}"
    );
    // A damaged header is said to be one.
    let name = format!("video_2000000/{}", air.start(Kind::Video, 2));
    let mut damaged = storage.get(&name).unwrap().to_vec();
    damaged[40] ^= 0x7f;
    damaged[60..120].fill(0xff);
    storage.write(&name, damaged);
    let url = url.replace(
        &air.start(Kind::Video, 3).to_string(),
        &air.start(Kind::Video, 2).to_string(),
    );
    assert_eq!(bench.get(&url).status, 500);
}
