//! Live presentations and their recordings in MPEG-2 TS and as Smooth Streaming.

use crate::air::*;
use crate::common::*;
use crate::sealed::*;
use headwater_live::stream::Kind;
use headwater_origin::*;
use headwater_protect::{IvSpace, Key, Kid, rotation};
use std::process::Command;

pub(crate) const KEY: &str = "09090909090909090909090909090909";
const VIDEO: &str = "show.ism/QualityLevels(2000000)";

pub(crate) fn protection(way: Way, system: KeySystem) -> Protection {
    Protection {
        schemes: vec![SchemeProtection {
            way,
            keys: vec![ContentKey {
                kid: Kid::parse(KID).unwrap(),
                key: Key::new([9; 16]),
                tracks: Tracks::default(),
            }],
            rotation: None,
            clear: Tracks::default(),
            offers: vec![KeyOffer {
                system,
                url_template: None,
                custom_attributes: None,
            }],
        }],
        media_id: None,
        key_url: "https://video.example/keys".to_owned(),
    }
}

fn clear(storage: &Memory) -> Bench {
    Bench::with(storage.clone(), on_air(published()))
}

pub(crate) fn guarded(storage: &Memory, way: Way, system: KeySystem) -> Bench {
    let protection = protection(way, system);
    Bench::guarded(storage.clone(), on_air(published()), protection, &[])
}

/// Decode times of a file's packets, by ffprobe.
pub(crate) fn decode_times(file: &[u8], stream: &str) -> Vec<i64> {
    packet_times(file, stream, "dts")
}

/// Times of a file's packets, by ffprobe's name of them.
pub(crate) fn packet_times(file: &[u8], stream: &str, which: &str) -> Vec<i64> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.ts"), file).unwrap();
    let output = Command::new("ffprobe")
        .current_dir(folder.path())
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            &format!("packet={which}"),
        ])
        .args(["-of", "csv=p=0", "in.ts"])
        .output()
        .expect("ffprobe is installed");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{:?}",
        output
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect()
}

#[test]
fn transport_streams_carry_every_frame() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = clear(&storage);
    let playlists = media_playlists(&bench, "format=m3u8-aapl");
    assert_eq!(playlists.len(), 2);
    let mut while_live = Vec::new();
    for (path, text) in &playlists {
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:4\n"), "{text}");
        assert!(
            !text.contains("EXT-X-MAP")
                && !text.contains("EXT-X-PART")
                && !text.contains("ENDLIST")
        );
        assert_eq!(uris(text).len(), 7);
        let served = bytes_of(&bench, &segment_urls(path, text));
        assert_eq!(served.len() % 188, 0);
        assert_eq!(
            frames(&served, None),
            frames(&air.clear(kind_of(path), 0..7), None),
            "{path}"
        );
        let stream = if kind_of(path) == Kind::Video {
            "v"
        } else {
            "a"
        };
        let times = decode_times(&served, stream);
        assert!(
            times.len() > 100 && times.windows(2).all(|pair| pair[0] < pair[1]),
            "{times:?}"
        );
        while_live.push(served);
    }
    let grows = air.start(Kind::Video, 7);
    let url = format!("{VIDEO}/Fragments(video={grows},format=m3u8-aapl).ts");
    assert_eq!(bench.get(&url).code(), "MPE_FRAGMENT_NOT_READY");
    air.record(&storage, 0..7, true);
    let film = Bench::new(storage);
    for ((path, _), before) in playlists.iter().zip(&while_live) {
        let text = ok(&film, path).text().to_owned();
        assert!(text.ends_with("#EXT-X-ENDLIST\n"));
        assert_eq!(&bytes_of(&film, &segment_urls(path, &text)), before);
    }
}

#[test]
fn old_players_get_sound_in_the_segments_of_the_pictures() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = clear(&storage);
    let playlists = media_playlists(&bench, "format=m3u8-aapl-v3");
    let [(path, text)] = &playlists[..] else {
        panic!("{playlists:?}");
    };
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:3\n"), "{text}");
    assert!(uris(text)[0].contains("audioTrack=audio"), "{text}");
    let served = bytes_of(&bench, &segment_urls(path, text));
    let got = frames(&served, None);
    for (stream, kind) in [("0", Kind::Video), ("1", Kind::Audio)] {
        let own = |frames: Vec<String>, stream: &str| -> Vec<String> {
            let own = frames.into_iter().filter(|line| line.starts_with(stream));
            own.map(|line| line.split_once(' ').unwrap().1.to_owned())
                .collect()
        };
        let expected = own(frames(&air.clear(kind, 0..7), None), "0");
        assert_eq!(own(got.clone(), stream), expected, "{kind:?}");
    }
    assert_eq!(
        ok(&bench, &path.replace(",audioTrack=audio", "")).text(),
        text
    );
    let none = bench.get(&path.replace("audioTrack=audio", "audioTrack=other"));
    assert_eq!(none.code(), "MPE_EGRESS_TRACK_NOT_FOUND");
}

#[test]
fn old_players_get_pictures_without_sound_that_is_removed_or_not_carried() {
    let silent = |bench: &Bench, filter: &str| {
        let options = format!("format=m3u8-aapl-v3{filter}");
        let playlists = media_playlists(bench, &options);
        let [(path, text)] = &playlists[..] else {
            panic!("{playlists:?}");
        };
        assert!(uris(text)[0].ends_with(",audioTrack=).ts"), "{text}");
        let served = bytes_of(bench, &segment_urls(path, text));
        let streams = frames(&served, None);
        assert!(!streams.is_empty() && streams.iter().all(|frame| frame.starts_with('0')));
        // The same of a URL that does not say it.
        let unsaid = path.replace(",audioTrack=", "");
        assert_eq!(ok(bench, &unsaid).text(), text);
        let bare = segment_urls(path, text)[0].replace(",audioTrack=", "");
        (served, bare)
    };
    let pictures = r#"{"tracks": [{"trackSelections": [{"property": "Type", "operation": "Equal", "value": "video"}]}]}"#;
    let storage = Air::avc().airing(true);
    let filtered = Bench::filtered(storage, on_air(published()), &[("pictures", pictures)]);
    let (removed, _) = silent(&filtered, ",filter=pictures");
    let air = Air::with_sound(
        &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"],
        &["-c:a", "libopus"],
    );
    let storage = air.airing(true);
    let bench = clear(&storage);
    let (not_carried, bare) = silent(&bench, "");
    assert_eq!(removed.len(), not_carried.len());
    let bare = ok(&bench, &bare).body.to_vec();
    assert!(not_carried.starts_with(&bare));
    air.record(&storage, 0..7, true);
    assert_eq!(silent(&Bench::new(storage), "").0, not_carried);
}

#[test]
fn transport_streams_are_encrypted_as_a_whole() {
    let air = Air::avc();
    let storage = air.airing(true);
    let plain = clear(&storage);
    let bench = guarded(&storage, Way::Envelope, KeySystem::ClearKey);
    let iv = format!(
        "{:032x}",
        u128::from_be_bytes(IvSpace::constant(Kid::parse(KID).unwrap()))
    );
    for format in ["m3u8-aapl", "m3u8-aapl-v3"] {
        let clear = media_playlists(&plain, &format!("format={format}"));
        let protected = media_playlists(&bench, &format!("format={format},encryption=cbc"));
        assert_eq!(clear.len(), protected.len());
        for ((path, text), (plain_path, plain_text)) in protected.iter().zip(&clear) {
            let tag = format!(
                "#EXT-X-KEY:METHOD=AES-128,URI=\"https://video.example/keys/?kid={KID}\",IV=0x{iv}\n"
            );
            assert_eq!(text.matches(&tag).count(), 1, "{text}");
            let mut out = Vec::new();
            for url in segment_urls(path, text) {
                out.extend(opened(&ok(&bench, &url).body, KEY, &iv));
            }
            assert_eq!(
                out,
                bytes_of(&plain, &segment_urls(plain_path, plain_text)),
                "{format}"
            );
        }
    }
}

/// Hashes of the decoded frames of a playlist with encrypted samples. `count`: of as many.
pub(crate) fn frames_of_samples(
    bench: &Bench,
    path: &str,
    text: &str,
    count: usize,
) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with("#EXT-X-PROGRAM"))
    {
        match line.starts_with('#') {
            true if line.starts_with("#EXT-X-KEY") => {
                assert!(line.contains("METHOD=SAMPLE-AES"), "{line}");
                let iv = line.split_once("IV=").unwrap().1;
                let kid = line.split_once("?kid=").unwrap().1;
                let kid = Kid::parse(kid.split('"').next().unwrap()).unwrap();
                // The key of nines, or what a period has in its place.
                let stored = (Kid::parse(KID).unwrap(), Key::new([9; 16]));
                let key = match kid == stored.0 {
                    true => stored.1,
                    false => rotation::resolve(kid, stored.0, &stored.1).unwrap().1,
                };
                let name = format!("{}.key", kid.hex());
                std::fs::write(folder.path().join(&name), key.expose()).unwrap();
                list += &format!("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"{name}\",IV={iv}\n");
            }
            true => list += &format!("{line}\n"),
            false => {
                let name = format!("{}.ts", list.len());
                let body = ok(bench, &resolve(path, line)).body;
                std::fs::write(folder.path().join(&name), &body).unwrap();
                list += &format!("{name}\n");
            }
        }
    }
    // The list goes on with its segments once more, or as often as it takes: of the last one, ffmpeg 5.1 leaves those packets
    // encrypted that it takes apart after it has read it to its end, and it looks at some seconds ahead.
    let at = list.find("#EXT-X-KEY").unwrap();
    let again = format!("#EXT-X-DISCONTINUITY\n{}", &list[at..]);
    let again = again.repeat(200 / again.lines().count() + 1);
    let list = format!("{list}{again}#EXT-X-ENDLIST\n");
    std::fs::write(folder.path().join("list.m3u8"), list).unwrap();
    let count = count.to_string();
    let output = Command::new("ffmpeg")
        .current_dir(folder.path())
        .args([
            "-v",
            "error",
            "-xerror",
            "-allowed_extensions",
            "ALL",
            "-live_start_index",
            "0",
        ])
        .args(["-i", "list.m3u8", "-vsync", "passthrough"])
        .args([
            "-frames:v",
            &count,
            "-frames:a",
            &count,
            "-f",
            "framemd5",
            "-",
        ])
        .output()
        .expect("ffmpeg is installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(hash).collect()
}

/// What a line about a frame ends with.
pub(crate) fn hash(line: &str) -> String {
    line.rsplit([',', ' ']).next().unwrap().trim().to_owned()
}

#[test]
fn samples_of_transport_streams_are_encrypted() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = guarded(&storage, Way::Cbcs, KeySystem::ClearKey);
    for (path, text) in media_playlists(&bench, "format=m3u8-aapl,encryption=cbcs-aapl") {
        let expected = frames(&air.clear(kind_of(&path), 0..7), None);
        let expected: Vec<String> = expected.iter().map(|line| hash(line)).collect();
        let got = frames_of_samples(&bench, &path, &text, expected.len());
        assert_eq!(got, expected, "{path}");
    }
}

#[test]
fn pictures_of_rows_are_encrypted_in_transport_streams() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = guarded(&storage, Way::Cbcs, KeySystem::ClearKey);
    let options = "format=m3u8-aapl,encryption=cbcs-aapl,type=keyframes";
    let path = format!("{VIDEO}/Manifest(video,{options})");
    let text = ok(&bench, &path).text().to_owned();
    let whole = frames(&air.clear(Kind::Video, 0..7), None);
    let expected: Vec<String> = whole.iter().step_by(25).map(|line| hash(line)).collect();
    assert_eq!(uris(&text).len(), 7, "{text}");
    assert_eq!(frames_of_samples(&bench, &path, &text, 7), expected);
}

/// The samples of a Smooth fragment: what is in its `mdat`.
fn media(fragment: &[u8]) -> &[u8] {
    let moof = u32::from_be_bytes(fragment[..4].try_into().unwrap()) as usize;
    assert_eq!(&fragment[moof + 4..moof + 8], b"mdat");
    &fragment[moof + 8..]
}

/// The samples of a CMAF segment, of all its chunks.
fn media_of_chunks(segment: &[u8]) -> Vec<u8> {
    let (mut at, mut out) = (0, Vec::new());
    while at < segment.len() {
        let size = u32::from_be_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
        if &segment[at + 4..at + 8] == b"mdat" {
            out.extend_from_slice(&segment[at + 8..at + size]);
        }
        at += size;
    }
    out
}

/// Where entries of `tfrf` begin, and how many there are.
fn ahead(fragment: &[u8]) -> Vec<u64> {
    const TFRF: [u8; 4] = [0xd4, 0x80, 0x7e, 0xf2];
    let Some(at) = fragment.windows(4).position(|bytes| bytes == TFRF) else {
        return Vec::new();
    };
    let count = usize::from(fragment[at + 20]);
    let time = |entry: usize| {
        let at = at + 21 + entry * 16;
        u64::from_be_bytes(fragment[at..at + 8].try_into().unwrap())
    };
    (0..count).map(time).collect()
}

#[test]
fn smooth_clients_learn_of_what_comes_from_fragments() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = clear(&storage);
    let manifest = ok(&bench, "show.ism/manifest");
    let text = manifest.text();
    assert!(
        text.contains("Duration=\"0\" IsLive=\"TRUE\" LookAheadFragmentCount=\"2\" DVRWindowLength=\"36000000000\""),
        "{text}"
    );
    let document = roxmltree::Document::parse(text).unwrap();
    let streams: Vec<_> = document
        .descendants()
        .filter(|n| n.has_tag_name("StreamIndex"))
        .collect();
    assert_eq!(streams.len(), 2);
    for stream in streams {
        let kind = match stream.attribute("Type").unwrap() {
            "video" => Kind::Video,
            _ => Kind::Audio,
        };
        // Seven are complete, and of the last two nobody knows yet what follows.
        assert_eq!(stream.attribute("Chunks"), Some("5"), "{text}");
        let scale = stream
            .attribute("TimeScale")
            .unwrap()
            .parse::<u64>()
            .unwrap();
        let own = if kind == Kind::Video { 90_000 } else { 48_000 };
        let name = |row: u64| {
            let start = u128::from(air.start(kind, row)) * u128::from(scale);
            u64::try_from((start + own / 2) / own).unwrap()
        };
        let first = stream.children().find(|n| n.has_tag_name("c")).unwrap();
        assert_eq!(first.attribute("t").unwrap(), name(0).to_string());
        let bitrate = if kind == Kind::Video {
            2_000_000
        } else {
            128_000
        };
        let url = |row: u64| {
            format!(
                "show.ism/QualityLevels({bitrate})/Fragments({}={})",
                kind.name(),
                name(row)
            )
        };
        for row in 0..5 {
            let fragment = ok(&bench, &url(row)).body;
            assert_eq!(ahead(&fragment), [name(row + 1), name(row + 2)], "{row}");
            let moof = media_of_chunks(&air.clear(kind, row..row + 1));
            assert_eq!(media(&fragment), moof);
        }
        for row in 5..8 {
            assert_eq!(
                bench.get(&url(row)).code(),
                "MPE_FRAGMENT_NOT_READY",
                "{row}"
            );
        }
    }
    air.record(&storage, 0..7, true);
    let film = Bench::new(storage);
    let text = ok(&film, "show.ism/manifest").text().to_owned();
    assert!(
        text.contains("Duration=\"7") && !text.contains("IsLive"),
        "{text}"
    );
    assert_eq!(text.matches("Chunks=\"7\"").count(), 2);
    let last = air.start(Kind::Video, 6) * 1000 / 9;
    let fragment = ok(&film, &format!("{VIDEO}/Fragments(video={last})")).body;
    assert!(ahead(&fragment).is_empty());
}

#[test]
fn smooth_fragments_are_encrypted_as_cmaf_is() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = guarded(&storage, Way::Cenc, KeySystem::PlayReady);
    let text = ok(&bench, "show.ism/manifest(encryption=cenc)")
        .text()
        .to_owned();
    assert!(
        text.contains("<ProtectionHeader SystemID=\"9A04F079-9840-4286-AB92-E65BE0885F95\">"),
        "{text}"
    );
    let start = air.start(Kind::Video, 3);
    let name = start * 1000 / 9;
    let fragment = |options: &str| {
        let url = format!("{VIDEO}/Fragments(video={name}{options})");
        ok(&bench, &url).body
    };
    let cmaf = format!("{VIDEO}/Fragments(video={start},format=m3u8-cmaf,encryption=cenc).m4s");
    let cmaf = media_of_chunks(&ok(&bench, &cmaf).body);
    assert_ne!(cmaf, media_of_chunks(&air.clear(Kind::Video, 3..4)));
    for encryption in [",encryption=cenc", ",encryption=piff"] {
        let fragment = fragment(encryption);
        assert_eq!(media(&fragment), cmaf, "{encryption}");
        assert_eq!(ahead(&fragment).len(), 2);
    }
    let bench = guarded(&storage, Way::Envelope, KeySystem::ClearKey);
    let url = format!("{VIDEO}/Fragments(video={name},encryption=cbc)");
    let iv = format!(
        "{:032x}",
        u128::from_be_bytes(IvSpace::constant(Kid::parse(KID).unwrap()))
    );
    let fragment = opened(&ok(&bench, &url).body, KEY, &iv);
    assert_eq!(
        media(&fragment),
        media_of_chunks(&air.clear(Kind::Video, 3..4))
    );
}

#[test]
fn who_fetches_ahead_is_told_what_comes_next() {
    let air = Air::avc();
    let storage = air.airing(true);
    let live = clear(&storage);
    air.record(&storage, 0..7, true);
    let film = Bench::new(storage);
    let asks = [("cdn-origin-assist-prefetch-enabled", "1")];
    let name = "cdn-origin-assist-prefetch-path";
    let smooth = |row| air.start(Kind::Video, row) * 1000 / 9;
    let packets = |row| air.start(Kind::Video, row);
    for bench in [&live, &film] {
        for (own, next) in [
            (
                format!("Fragments(video={},format=m3u8-aapl).ts", packets(2)),
                format!("Fragments(video={},format=m3u8-aapl).ts", packets(3)),
            ),
            (
                format!(
                    "Fragments(video={},format=m3u8-aapl-v3,audioTrack=audio).ts",
                    packets(2)
                ),
                format!(
                    "Fragments(video={},format=m3u8-aapl-v3,audioTrack=audio).ts",
                    packets(3)
                ),
            ),
            (
                format!("KeyFrames(video={},format=m3u8-aapl).ts", packets(2)),
                format!("KeyFrames(video={},format=m3u8-aapl).ts", packets(3)),
            ),
            (
                format!("Fragments(video={})", smooth(2)),
                format!("Fragments(video={})", smooth(3)),
            ),
        ] {
            let path = format!("{VIDEO}/{own}");
            let got = bench.ask(http::Method::GET, &path, &asks);
            assert_eq!(
                (got.status, got.header(name)),
                (200, next.as_str()),
                "{own}"
            );
            assert_eq!(ok(bench, &path).header(name), "");
        }
    }
}

#[test]
fn mpds_state_the_profile_of_their_format() {
    let air = Air::avc();
    let storage = air.airing(true);
    let live = clear(&storage);
    let profiles = |bench: &Bench, format: &str| {
        let mpd = ok(bench, &format!("show.ism/manifest(format={format})"));
        let count = |text: &str| mpd.text().matches(text).count();
        let sets = count("<AdaptationSet");
        (
            count(" profiles=\"ccff\"") == sets,
            count("profile:cmaf:2019"),
        )
    };
    let both = |bench: &Bench| ["mpd-time-csf", "mpd-time-cmaf"].map(|of| profiles(bench, of));
    assert_eq!(both(&live), [(true, 0), (false, 1)]);
    air.record(&storage, 0..7, true);
    assert_eq!(both(&Bench::new(storage)), [(true, 0), (false, 1)]);
}

#[test]
fn what_a_container_does_not_carry_is_said() {
    let air = Air::new(&[
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-tag:v",
        "hvc1",
        "-x265-params",
        "log-level=error:open-gop=0",
    ]);
    let storage = air.airing(true);
    let bench = clear(&storage);
    let master = ok(&bench, "show.ism/manifest(format=m3u8-aapl)");
    assert!(
        !master.text().contains("hvc1") && master.text().contains("mp4a"),
        "{}",
        master.text()
    );
    let video = bench.get(&format!("{VIDEO}/Manifest(video,format=m3u8-aapl)"));
    assert_eq!(
        (video.status, video.code().as_str()),
        (415, "MPE_FORMAT_NOT_SUPPORTED")
    );
    let text = ok(&bench, "show.ism/manifest").text().to_owned();
    assert!(
        text.contains("FourCC=\"hvc1\"") && text.contains("Type=\"audio\""),
        "{text}"
    );
    for (format, code) in [
        ("m3u8-aapl", "MPE_FORMAT_NOT_SUPPORTED"),
        ("m3u8-aapl-v3", "MPE_OUTPUT_FORMAT_NOT_SUPPORTED"),
    ] {
        let path = format!("{VIDEO}/Manifest(video,format={format},type=keyframes)");
        assert_eq!(
            (bench.get(&path).status, bench.get(&path).code().as_str()),
            (415, code)
        );
    }
}

/// The pictures of an I-frame playlist, each with its init segment if there is one.
fn key_frames(bench: &Bench, path: &str) -> Vec<Vec<u8>> {
    let text = ok(bench, path).text().to_owned();
    assert!(text.contains("#EXT-X-I-FRAMES-ONLY\n"), "{text}");
    assert!(
        !text.contains("EXT-X-PART") && !text.contains("CAN-BLOCK-RELOAD"),
        "{text}"
    );
    let init = attributes(&text, "URI")
        .first()
        .map(|uri| ok(bench, &resolve(path, uri)).body.to_vec());
    let init = init.unwrap_or_default();
    let pictures = uris(&text).into_iter().map(|uri| {
        let picture = ok(bench, &resolve(path, &uri));
        assert!(picture.header("cache-control").contains("immutable"));
        [init.clone(), picture.body.to_vec()].concat()
    });
    pictures.collect()
}

#[test]
fn every_row_has_a_picture_that_decodes_on_its_own() {
    let hevc = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-tag:v",
        "hvc1",
        "-x265-params",
        "log-level=error:open-gop=0",
    ];
    for air in [Air::avc(), Air::new(&hevc)] {
        let storage = Memory::default();
        air.record(&storage, 0..5, false);
        // With low latency and several rows to a segment: pictures are those of rows all the same.
        air.tell(&storage, 2..7, 2, true, None);
        let bench = clear(&storage);
        let whole = frames(&air.clear(Kind::Video, 0..8), None);
        assert_eq!(whole.len(), 200);
        let carried = ok(&bench, "show.ism/manifest(format=m3u8-aapl)")
            .text()
            .contains("RESOLUTION");
        let formats: &[&str] = match carried {
            true => &["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v8"],
            false => &["m3u8-cmaf"],
        };
        for format in formats {
            let master = ok(&bench, &format!("show.ism/manifest(format={format})"));
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
            let path = format!("show.ism/{uri}");
            let pictures = key_frames(&bench, &path);
            assert_eq!(pictures.len(), 7, "{format}");
            for (row, picture) in pictures.iter().enumerate() {
                assert_eq!(
                    frames(picture, None),
                    [whole[row * 25].as_str()],
                    "{format} {row}"
                );
            }
            // At their times: as far apart as the rows.
            if *format == "m3u8-cmaf" {
                let text = ok(&bench, &path).text().to_owned();
                assert_eq!(text.matches("#EXTINF:1.000000").count(), 7, "{text}");
                let last = format!(
                    "KeyFrames(video={},format=m3u8-cmaf).m4s",
                    air.start(Kind::Video, 6)
                );
                assert!(text.ends_with(&format!("{last}\n")), "{text}");
                for (row, picture) in pictures.iter().enumerate() {
                    let moof = picture
                        .windows(4)
                        .rposition(|name| name == b"tfdt")
                        .unwrap();
                    let time = u64::from_be_bytes(picture[moof + 8..moof + 16].try_into().unwrap());
                    assert_eq!(time, air.start(Kind::Video, row as u64));
                }
            }
            // The same afterwards.
            let then = storage.clone();
            air.record(&then, 0..7, true);
            let film = Bench::new(then);
            assert_eq!(key_frames(&film, &path), pictures);
            let text = ok(&film, &path).text().to_owned();
            assert!(text.ends_with("#EXT-X-ENDLIST\n"));
            air.record(&storage, 0..5, false);
        }
        for (path, code) in [
            (
                format!(
                    "{VIDEO}/KeyFrames(video={},format=m3u8-cmaf)",
                    air.start(Kind::Video, 7)
                ),
                "MPE_FRAGMENT_NOT_READY",
            ),
            (
                format!("{VIDEO}/KeyFrames(video=7,format=m3u8-cmaf)"),
                "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND",
            ),
            (
                format!(
                    "{VIDEO}/KeyFrames(video={},format=m3u8-aapl-v3)",
                    air.start(Kind::Video, 3)
                ),
                "MPE_BAD_URL_SYNTAX",
            ),
            (
                format!(
                    "show.ism/QualityLevels(128000)/KeyFrames(audio={},format=m3u8-cmaf)",
                    air.start(Kind::Audio, 3)
                ),
                "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND",
            ),
            (
                "show.ism/QualityLevels(128000)/Manifest(audio,format=m3u8-cmaf,type=keyframes)"
                    .to_owned(),
                "MPE_EGRESS_TRACK_NOT_FOUND",
            ),
        ] {
            assert_eq!(bench.get(&path).code(), code, "{path}");
        }
    }
}

#[test]
fn dash_lists_the_pictures_of_what_is_complete() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = clear(&storage);
    let whole = frames(&air.clear(Kind::Video, 0..8), None);
    let path = "show.ism/manifest(format=mpd-time-cmaf,type=keyframes)";
    let mpd = ok(&bench, path).text().to_owned();
    // Low latency stays what it is.
    let plain = ok(&bench, "show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    let early = "availabilityTimeComplete";
    assert_eq!(mpd.matches(early).count(), plain.matches(early).count());
    assert!(
        plain.contains(early) && !plain.contains("trickmode"),
        "{plain}"
    );
    let expected: Vec<&String> = whole.iter().step_by(25).take(7).collect();
    let (urls, rate) = dash_key_frames(path, &mpd);
    assert_eq!(rate, 24);
    let got = frames(&bytes_of(&bench, &urls), None);
    assert_eq!(got.iter().collect::<Vec<_>>(), expected);
    air.record(&storage, 0..7, true);
    let film = Bench::new(storage);
    let (afterwards, _) = dash_key_frames(path, ok(&film, path).text());
    assert_eq!(afterwards, urls);
}

#[test]
fn encrypted_rows_have_pictures_of_their_own() {
    let air = Air::avc();
    let whole = frames(&air.clear(Kind::Video, 0..8), None);
    let iv = format!(
        "{:032x}",
        u128::from_be_bytes(IvSpace::constant(Kid::parse(KID).unwrap()))
    );
    for (way, encryption, format) in [
        (Way::Cenc, "cenc", "m3u8-cmaf"),
        (Way::Cbcs, "cbcs-aapl", "m3u8-cmaf"),
        (Way::Envelope, "cbc", "m3u8-cmaf"),
        (Way::Envelope, "cbc", "m3u8-aapl"),
    ] {
        let storage = air.airing(true);
        let system = match way {
            Way::Envelope | Way::Cbcs => KeySystem::ClearKey,
            Way::Cenc => KeySystem::Widevine,
        };
        let bench = guarded(&storage, way, system);
        let options = format!("format={format},encryption={encryption}");
        let path = format!("{VIDEO}/Manifest(video,{options},type=keyframes)");
        let text = ok(&bench, &path).text().to_owned();
        let plain = ok(&bench, &format!("{VIDEO}/Manifest(video,{options})"));
        let tag = |text: &str| {
            let line = text.lines().find(|line| line.starts_with("#EXT-X-KEY"));
            line.map(str::to_owned)
        };
        assert_eq!(tag(&text), tag(plain.text()), "{text}");
        assert!(tag(&text).is_some(), "{text}");
        let init = attributes(&text, "URI");
        let init = init.iter().find(|uri| uri.contains("=i,"));
        let init = init.map(|uri| ok(&bench, &resolve(&path, uri)).body.to_vec());
        let urls = uris(&text);
        assert!(urls.len() >= 7, "{text}");
        for (row, uri) in urls.iter().enumerate() {
            let picture = ok(&bench, &resolve(&path, uri)).body;
            let got = match way {
                Way::Envelope => {
                    let opened = opened(&picture, KEY, &iv);
                    frames(&[init.clone().unwrap_or_default(), opened].concat(), None)
                }
                _ => frames(
                    &[init.clone().unwrap_or_default(), picture.to_vec()].concat(),
                    Some(KEY),
                ),
            };
            assert_eq!(got, [whole[row * 25].as_str()], "{options} {row}");
            if way == Way::Cenc || way == Way::Cbcs {
                // As in the segment: a vector is never used for two texts.
                let segment = ok(
                    &bench,
                    &resolve(&path, &uri.replace("KeyFrames", "Fragments")),
                )
                .body;
                let sample = &picture[picture.len() - 400..];
                assert!(
                    segment.windows(400).any(|part| part == sample),
                    "{options} {row}"
                );
            }
        }
    }
}

#[test]
fn the_frame_rate_is_listed_where_the_pictures_state_one() {
    let rates = |air: &Air, ended: bool| {
        let storage = match ended {
            true => {
                let storage = Memory::default();
                air.record(&storage, 0..7, true);
                storage
            }
            false => air.airing(true),
        };
        let bench = match ended {
            true => Bench::new(storage),
            false => clear(&storage),
        };
        let text = |format: &str| {
            let manifest = ok(&bench, &format!("show.ism/manifest(format={format})"));
            manifest.text().to_owned()
        };
        let (hls, dash) = (text("m3u8-cmaf"), text("mpd-time-cmaf"));
        let rate = hls.split("FRAME-RATE=").nth(1);
        let rate = rate.map(|rest| rest[..6].to_owned());
        assert_eq!(text("m3u8-aapl").contains("FRAME-RATE="), rate.is_some());
        (rate, attributes(&dash, "frameRate"))
    };
    let fixed = ["-c:v", "libx264", "-x264-params", "force-cfr=1:log-level=1"];
    let clock = ["-c:v", "libx264", "-enc_time_base:v", "1:1000"];
    let strings = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    for (air, hls, dash) in [
        (Air::avc(), Some("25.000"), &["25"][..]),
        (Air::new(&fixed), Some("25.000"), &["25"]),
        // Frames may be any number of milliseconds apart.
        (Air::new(&clock), None, &[]),
    ] {
        for ended in [false, true] {
            let (in_hls, in_dash) = rates(&air, ended);
            assert_eq!((in_hls.as_deref(), in_dash), (hls, strings(dash)));
        }
    }
}
