//! Segments of transport streams that hold several rows of a live event (`hls.fragmentsPerTsSegment`).

use crate::air::*;
use crate::common::*;
use crate::live;
use crate::live_formats::{KEY, decode_times, frames_of_samples, guarded, hash};
use crate::live_metadata::{self, check_tags, counters};
use crate::sealed::*;
use headwater_live::archive::{PAGE_ROWS, Recording};
use headwater_live::stream::Kind;
use headwater_live::timeline::Change;
use headwater_origin::*;
use headwater_protect::{IvSpace, Kid};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

const VIDEO: &str = "show.ism/QualityLevels(2000000)";
const AUDIO: &str = "show.ism/QualityLevels(128000)";
/// Version 4 in words of its own, 3 with the sound in it.
const VERSIONS: [&str; 4] = ["m3u8-aapl", "m3u8-aapl-v3", "m3u8-aapl-v4", "m3u8-aapl-v8"];

fn three() -> RowsPerSegment {
    RowsPerSegment::new(3).unwrap()
}

fn avc() -> Air {
    let mut air = Air::avc();
    air.rows_per_segment = three();
    air
}

/// Seven rows are complete, and the next one grows.
fn airing(air: &Air) -> Memory {
    let storage = Memory::default();
    air.record(&storage, 0..5, false);
    air.tell(&storage, 0..7, 2, true, None);
    storage
}

fn clear(storage: &Memory) -> Bench {
    Bench::with(storage.clone(), on_air(published()))
}

/// The value of a tag that is there once.
fn value(text: &str, tag: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(tag));
    let value = lines.next().unwrap_or_else(|| panic!("{tag} {text}"));
    assert_eq!(lines.next(), None);
    value.parse().unwrap()
}

/// What is said in front of each URL of a playlist, and the URL.
fn entries(text: &str) -> Vec<(Vec<&str>, &str)> {
    let (mut found, mut tags) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match line.starts_with('#') {
            true => tags.push(line),
            false => found.push((std::mem::take(&mut tags), line)),
        }
    }
    found
}

/// Decoded frames of one of the streams of a file.
fn stream(file: &[u8], number: &str) -> Vec<String> {
    let all = frames(file, None);
    let own = all.iter().filter(|line| line.starts_with(number));
    own.map(|line| hash(line)).collect()
}

fn sent(air: &Air, kind: Kind, rows: std::ops::Range<u64>) -> Vec<String> {
    stream(&air.clear(kind, rows), "0")
}

#[test]
fn a_segment_of_three_rows_carries_all_their_frames() {
    let (air, one) = (avc(), Air::avc());
    let storage = airing(&air);
    let bench = clear(&storage);
    let by_one = clear(&airing(&one));
    let (mut while_live, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for version in VERSIONS {
        let options = format!("format={version}");
        let playlists = media_playlists(&bench, &options);
        let muxed = version == "m3u8-aapl-v3";
        assert_eq!(playlists.len(), if muxed { 1 } else { 2 });
        for ((path, text), (_, of_one)) in playlists.iter().zip(media_playlists(&by_one, &options))
        {
            // Of the third segment one row is there.
            assert_eq!(value(text, "#EXT-X-MEDIA-SEQUENCE:"), FIRST / 3, "{text}");
            assert_eq!(value(text, "#EXT-X-TARGETDURATION:"), 3);
            let urls = segment_urls(path, text);
            let kind = kind_of(path);
            let starts = [0, 3].map(|row| format!("={},fragments=3,", air.start(kind, row)));
            assert_eq!(urls.len(), 2, "{text}");
            assert!(
                urls.iter()
                    .zip(&starts)
                    .all(|(url, start)| url.contains(start)),
                "{text}"
            );
            let served = bytes_of(&bench, &urls);
            let plain = segment_urls(path, &of_one);
            assert_eq!(
                (
                    plain.len(),
                    plain.iter().any(|url| url.contains("fragments"))
                ),
                (7, false)
            );
            let plain = bytes_of(&by_one, &plain[..6]);
            // Versions without sound in the pictures' segments have the same ones.
            let known = seen.entry((muxed, kind == Kind::Audio));
            if let Entry::Occupied(known) = &known {
                assert!(known.get() == &served, "{path}");
                continue;
            }
            known.or_insert_with(|| served.clone());
            assert_eq!(frames(&served, None), frames(&plain, None), "{path}");
            let streams = if kind == Kind::Audio {
                &["a"][..]
            } else if muxed {
                &["v", "a"][..]
            } else {
                &["v"][..]
            };
            for stream in streams {
                assert_eq!(decode_times(&served, stream), decode_times(&plain, stream));
            }
            assert_eq!(stream(&served, "0"), sent(&air, kind, 0..6));
            if muxed {
                assert_eq!(stream(&served, "1"), sent(&air, Kind::Audio, 0..6));
            }
            // The tables are at its head alone, and all counters run on from segment to segment.
            assert_eq!(counters(&served, 0).len(), 2);
            let pids = [0, headwater_ts::VIDEO_PID, headwater_ts::AUDIO_PID];
            for pid in pids {
                let found = counters(&served, pid);
                let on = |pair: &[u8]| pair[1] == (pair[0] + 1) & 15;
                assert!(found.windows(2).all(on), "{pid} {found:?}");
            }
            // A part is that of the whole, and the tag says which bytes they are.
            let whole = ok(&bench, &urls[1]);
            let range = bench.ask(
                http::Method::GET,
                &urls[1],
                &[("range", "bytes=9000-30000")],
            );
            assert_eq!(
                (range.status, &range.body[..]),
                (206, &whole.body[9_000..=30_000])
            );
            assert_eq!(range.header("etag"), whole.header("etag"));
            let alone = ok(&bench, &urls[1].replace(",fragments=3", ""));
            assert_ne!(alone.header("etag"), whole.header("etag"));
            while_live.insert(path.clone(), (urls, served));
        }
    }
    // Afterwards the same segments are under the same URLs, and what was left is the last.
    air.record(&storage, 0..8, true);
    let film = Bench::new(storage);
    for (path, (urls, served)) in while_live {
        let text = ok(&film, &path).text().to_owned();
        assert!(text.ends_with("#EXT-X-ENDLIST\n"));
        assert_eq!(value(&text, "#EXT-X-MEDIA-SEQUENCE:"), FIRST / 3);
        let now = segment_urls(&path, &text);
        assert_eq!((now.len(), &now[..2]), (3, &urls[..]));
        assert!(now[2].contains(",fragments=2,"), "{text}");
        assert!(bytes_of(&film, &urls) == served, "{path}");
        let kind = kind_of(&path);
        assert_eq!(stream(&bytes_of(&film, &now), "0"), sent(&air, kind, 0..8));
    }
}

#[test]
fn segments_of_several_rows_are_encrypted_as_a_whole_and_by_samples() {
    let air = avc();
    let storage = airing(&air);
    let plain = clear(&storage);
    let whole = guarded(&storage, Way::Envelope, KeySystem::ClearKey);
    let iv = IvSpace::constant(Kid::parse(KID).unwrap());
    let iv = format!("{:032x}", u128::from_be_bytes(iv));
    for format in ["m3u8-aapl", "m3u8-aapl-v3"] {
        let clear = media_playlists(&plain, &format!("format={format}"));
        let sealed = media_playlists(&whole, &format!("format={format},encryption=cbc"));
        assert_eq!(clear.len(), sealed.len());
        for ((path, text), (plain_path, plain_text)) in sealed.iter().zip(&clear) {
            // One vector for all: it does not depend on the sequence number.
            assert_eq!(
                text.matches(&format!(
                    "METHOD=AES-128,URI=\"https://video.example/keys/?kid={KID}\",IV=0x{iv}\n"
                ))
                .count(),
                1
            );
            let mut out = Vec::new();
            for url in segment_urls(path, text) {
                let body = ok(&whole, &url).body;
                assert!(body == ok(&whole, &url).body);
                out.extend(opened(&body, KEY, &iv));
            }
            assert!(
                out == bytes_of(&plain, &segment_urls(plain_path, plain_text)),
                "{format}"
            );
        }
    }
    let samples = guarded(&storage, Way::Cbcs, KeySystem::ClearKey);
    let playlists = media_playlists(&samples, "format=m3u8-aapl,encryption=cbcs-aapl");
    assert_eq!(playlists.len(), 2);
    for (path, text) in playlists {
        assert!(text.contains(",fragments=3,"), "{text}");
        let expected = sent(&air, kind_of(&path), 0..6);
        assert_eq!(
            frames_of_samples(&samples, &path, &text, expected.len()),
            expected
        );
    }
}

#[test]
fn every_tag_of_the_rows_is_in_their_segment() {
    let (mut air, expected) = live_metadata::air();
    air.rows_per_segment = three();
    let storage = airing(&air);
    let sealed = guarded(&storage, Way::Cbcs, KeySystem::ClearKey);
    let plain = clear(&storage);
    for (bench, options) in [
        (&plain, "format=m3u8-aapl"),
        (&plain, "format=m3u8-aapl-v3"),
        (&sealed, "format=m3u8-aapl,encryption=cbcs-aapl"),
    ] {
        for (path, text) in media_playlists(bench, options) {
            assert!(text.contains(",fragments=3,"), "{text}");
            check_tags(&bytes_of(bench, &segment_urls(&path, &text)), &expected);
        }
    }
}

#[test]
fn a_discontinuity_begins_another_segment() {
    let mut air = avc();
    // Within a stretch of three, and at the beginning of one.
    air.breaks = vec![1, 3];
    let storage = Memory::default();
    air.record(&storage, 0..5, false);
    air.tell(&storage, 0..6, 2, true, None);
    let bench = clear(&storage);
    let names = |text: &str| -> Vec<(bool, String)> {
        let entries = entries(text).into_iter();
        let names = entries.map(|(tags, url)| {
            let own = url.split("video=").nth(1).unwrap();
            let own = own.split(",format").next().unwrap().to_owned();
            (tags.contains(&"#EXT-X-DISCONTINUITY"), own)
        });
        names.collect()
    };
    let start = |row| air.start(Kind::Video, row);
    let all = [
        (false, start(0).to_string()),
        (true, format!("{},fragments=2", start(1))),
        (true, format!("{},fragments=3", start(3))),
    ];
    let check = |bench: &Bench, from: usize, query: &str| {
        let path = format!("{VIDEO}/Manifest(video,format=m3u8-aapl{query})");
        let text = ok(bench, &path).text().to_owned();
        // The rows 1 and 2 have a number of their own.
        let numbers = [FIRST / 3, FIRST / 3 + 1, FIRST / 3 + 2, FIRST / 3 + 3];
        assert_eq!(
            value(&text, "#EXT-X-MEDIA-SEQUENCE:"),
            numbers[from],
            "{text}"
        );
        let gone = text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n");
        assert_eq!(gone, from == 2, "{text}");
        assert_eq!(
            gone,
            text.contains("#EXT-X-DISCONTINUITY-SEQUENCE"),
            "{text}"
        );
        assert_eq!(names(&text)[..3 - from], all[from..], "{text}");
        for url in segment_urls(&path, &text) {
            ok(bench, &url);
        }
    };
    check(&bench, 0, "");
    check(
        &bench,
        1,
        ",start=2026-06-01T00:00:02Z,end=2026-06-01T00:00:05Z",
    );
    check(
        &bench,
        2,
        ",start=2026-06-01T00:00:03Z,end=2026-06-01T00:00:06Z",
    );
    // Two segments are not one, whoever asks for it.
    let url = format!(
        "{VIDEO}/Fragments(video={},fragments=2,format=m3u8-aapl).ts",
        start(0)
    );
    assert_eq!(bench.get(&url).code(), "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND");
    air.record(&storage, 0..6, true);
    check(&Bench::new(storage), 0, "");
}

#[test]
fn rows_without_media_are_holes_and_segments_without_any_are_gaps() {
    let mut air = avc();
    air.missing = vec![
        (Kind::Audio, 1),
        (Kind::Audio, 3),
        (Kind::Audio, 4),
        (Kind::Audio, 5),
        (Kind::Audio, 6),
    ];
    let storage = Memory::default();
    air.record(&storage, 0..8, true);
    let film = Bench::new(storage.clone());
    let path = format!("{AUDIO}/Manifest(audio,format=m3u8-aapl)");
    let text = ok(&film, &path).text().to_owned();
    let found = entries(&text);
    let urls: Vec<String> = found.iter().map(|(_, url)| resolve(&path, url)).collect();
    let gaps: Vec<bool> = found
        .iter()
        .map(|(tags, _)| tags.contains(&"#EXT-X-GAP"))
        .collect();
    assert_eq!(gaps, [false, true, false], "{text}");
    // Time goes on as in the other tracks.
    let seconds = |tags: &[&str]| -> f64 {
        let own = tags
            .iter()
            .find_map(|tag| tag.strip_prefix("#EXTINF:"))
            .unwrap();
        own.trim_end_matches(',').parse().unwrap()
    };
    assert!((seconds(&found[0].0) - 3.0).abs() < 0.05, "{text}");
    assert!((seconds(&found[1].0) - 3.0).abs() < 0.05, "{text}");
    let of = |rows: &[u64]| {
        let rows = rows
            .iter()
            .map(|row| sent(&air, Kind::Audio, *row..row + 1).len());
        rows.sum::<usize>()
    };
    // Of the first there is what there is; the third begins with its second row.
    assert!(urls[0].contains(&format!("={},fragments=3,", air.start(Kind::Audio, 0))));
    assert!(
        urls[2].contains(&format!("={},format", air.start(Kind::Audio, 7))),
        "{text}"
    );
    let first = ok(&film, &urls[0]).body;
    assert_eq!(decode_times(&first, "a").len(), of(&[0, 2]));
    let times = decode_times(&first, "a");
    let step = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap();
    assert!((85_000..95_000).contains(&step), "{step}");
    assert_eq!(decode_times(&ok(&film, &urls[2]).body, "a").len(), of(&[7]));
    // With the pictures: none is missing, and the sound is there that is there.
    let path = format!("{VIDEO}/Manifest(video,format=m3u8-aapl-v3,audioTrack=audio)");
    let text = ok(&film, &path).text().to_owned();
    let urls = segment_urls(&path, &text);
    assert_eq!((urls.len(), text.contains("GAP")), (3, false));
    let counts = [[0, 2].as_slice(), &[], &[7]].map(of);
    for (at, (url, sounds)) in (0..).zip(urls.iter().zip(counts)) {
        let body = ok(&film, url).body;
        let pictures = sent(&air, Kind::Video, at * 3..(at * 3 + 3).min(8));
        assert_eq!(stream(&body, "0"), pictures);
        if sounds > 0 {
            assert_eq!(decode_times(&body, "a").len(), sounds);
        } else {
            assert!(counters(&body, headwater_ts::AUDIO_PID).is_empty());
        }
    }
    // While it is live the worker says that nothing comes; what was listed then is what is there now.
    let live = Memory::default();
    air.record(&live, 0..2, false);
    air.tell(&live, 0..8, 0, true, None);
    let bench = clear(&live);
    let now = ok(&bench, &path).text().to_owned();
    let listed = segment_urls(&path, &now);
    assert_eq!(listed, urls[..2], "{now}");
    for url in listed {
        assert!(ok(&bench, &url).body == ok(&film, &url).body, "{url}");
    }
}

#[test]
fn nothing_else_is_told_of_several_rows() {
    let (air, one) = (avc(), Air::avc());
    let ended = |air: &Air| {
        let storage = Memory::default();
        air.record(&storage, 0..7, true);
        Bench::new(storage)
    };
    let benches = [
        (clear(&airing(&air)), clear(&airing(&one))),
        (ended(&air), ended(&one)),
    ];
    for (bench, other) in &benches {
        let paths = [
            "show.ism/manifest(format=m3u8-cmaf)".to_owned(),
            format!("{VIDEO}/Manifest(video,format=m3u8-cmaf)"),
            format!("{AUDIO}/Manifest(audio,format=m3u8-cmaf)"),
            format!(
                "{VIDEO}/Manifest(video,format=m3u8-cmaf,start=2026-06-01T00:00:02Z,end=2026-06-01T00:00:05Z)"
            ),
            "show.ism/manifest(format=mpd-time-cmaf)".to_owned(),
            "show.ism/manifest(format=mpd-time-csf)".to_owned(),
            "show.ism/manifest".to_owned(),
            format!(
                "{VIDEO}/Fragments(video={},format=m3u8-cmaf).m4s",
                air.start(Kind::Video, 1)
            ),
        ];
        for path in paths {
            let (got, expected) = (ok(bench, &path), ok(other, &path));
            assert!(!got.body.is_empty() && got.body == expected.body, "{path}");
            assert_eq!(got.header("etag"), expected.header("etag"));
            assert_eq!(
                got.header("cache-control"),
                expected.header("cache-control")
            );
        }
    }
    let low_latency = ok(
        &benches[0].0,
        &format!("{VIDEO}/Manifest(video,format=m3u8-cmaf)"),
    );
    assert!(low_latency.text().contains("#EXT-X-PART:"));
}

#[test]
fn windows_take_segments_whole() {
    let air = avc();
    let storage = airing(&air);
    air.record(&storage, 0..8, true);
    let film = Bench::new(storage.clone());
    let live = clear(&airing(&air));
    for (times, first, count) in [
        ("start=2026-06-01T00:00:01Z,end=2026-06-01T00:00:02Z", 0, 1),
        ("start=2026-06-01T00:00:04Z,end=2026-06-01T00:00:05Z", 1, 1),
        ("start=2026-06-01T00:00:02Z,end=2026-06-01T00:00:04Z", 0, 2),
    ] {
        for format in ["m3u8-aapl", "m3u8-aapl-v3"] {
            let path = format!("{VIDEO}/Manifest(video,format={format},{times})");
            for bench in [&film, &live] {
                let text = ok(bench, &path).text().to_owned();
                assert_eq!(
                    value(&text, "#EXT-X-MEDIA-SEQUENCE:"),
                    FIRST / 3 + first,
                    "{text}"
                );
                assert_eq!(uris(&text).len(), count, "{text}");
                assert!(text.matches(",fragments=3,").count() == count, "{text}");
            }
        }
    }
    // The end of the window has come, but not that of its segment.
    let path = format!(
        "{VIDEO}/Manifest(video,format=m3u8-aapl,start=2026-06-01T00:00:04Z,end=2026-06-01T00:00:07Z)"
    );
    let text = ok(&live, &path).text().to_owned();
    assert_eq!(
        (uris(&text).len(), text.contains("ENDLIST")),
        (1, false),
        "{text}"
    );
    let text = ok(&film, &path).text().to_owned();
    assert_eq!(
        (uris(&text).len(), text.contains("ENDLIST")),
        (2, true),
        "{text}"
    );
    assert!(text.contains(",fragments=2,"), "{text}");
}

#[test]
fn what_is_still_to_come_is_waited_for() {
    let air = avc();
    let storage = Memory::default();
    air.record(&storage, 0..1, false);
    air.tell(&storage, 0..2, 2, true, None);
    let bench = clear(&storage);
    // No segment is whole yet, though rows are.
    for path in [
        "show.ism/manifest(format=m3u8-aapl)".to_owned(),
        "show.ism/manifest(format=m3u8-aapl-v3)".to_owned(),
        format!("{VIDEO}/Manifest(video,format=m3u8-aapl)"),
    ] {
        let got = bench.get(&path);
        assert_eq!(
            (got.status, got.code().as_str()),
            (404, "MPE_RESOURCE_NOT_FOUND"),
            "{path}"
        );
    }
    assert_eq!(
        uris(ok(&bench, &format!("{VIDEO}/Manifest(video,format=m3u8-cmaf)")).text()).len(),
        2
    );
    let url = |count: &str| {
        format!(
            "{VIDEO}/Fragments(video={},{count}format=m3u8-aapl).ts",
            air.start(Kind::Video, 0)
        )
    };
    assert_eq!(
        bench.get(&url("fragments=3,")).code(),
        "MPE_FRAGMENT_NOT_READY"
    );
    assert_eq!(
        bench.get(&url("fragments=4,")).code(),
        "MPE_FRAGMENT_NOT_READY"
    );
    ok(&bench, &url("fragments=2,"));
    for count in [
        "fragments=0,",
        "fragments=1,",
        "fragments=11,",
        "fragments=02,",
        "fragments=x,",
        "fragments=2,fragments=2,",
    ] {
        assert_eq!(
            bench.get(&url(count)).code(),
            "MPE_BAD_URL_SYNTAX",
            "{count}"
        );
    }
    for path in [
        format!("{VIDEO}/Manifest(video,fragments=2,format=m3u8-aapl)"),
        "show.ism/manifest(fragments=2,format=m3u8-aapl)".to_owned(),
        format!(
            "{VIDEO}/Fragments(video={},fragments=2,format=m3u8-cmaf).m4s",
            air.start(Kind::Video, 0)
        ),
        format!("{VIDEO}/Fragments(video=i,fragments=2,format=m3u8-cmaf).mp4"),
    ] {
        assert_eq!(bench.get(&path).code(), "MPE_BAD_URL_SYNTAX", "{path}");
    }
    // A film has no more than there was.
    air.record(&storage, 0..2, true);
    let film = Bench::new(storage);
    ok(&film, &url("fragments=2,"));
    assert_eq!(
        film.get(&url("fragments=3,")).code(),
        "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND"
    );
}

#[test]
fn a_segment_may_be_on_two_pages() {
    let mut air = avc();
    // Two rows of the first segment are on a page, the third is behind it.
    air.before = PAGE_ROWS as u64 - 2;
    let storage = Memory::default();
    air.record(&storage, 0..8, true);
    let head = Recording::parse(&storage.get("show.live/head").unwrap()).unwrap();
    assert_eq!((head.pages.len(), head.open.rows[0].number), (1, FIRST + 2));
    let film = Bench::new(storage);
    for version in ["m3u8-aapl", "m3u8-aapl-v3"] {
        let path = format!("{VIDEO}/Manifest(video,format={version})");
        let text = ok(&film, &path).text().to_owned();
        let found = entries(&text);
        let there = found
            .iter()
            .filter(|(tags, _)| !tags.contains(&"#EXT-X-GAP"));
        let urls: Vec<String> = there.map(|(_, url)| resolve(&path, url)).collect();
        assert_eq!(urls.len(), 3, "{text}");
        let first = FIRST - air.before;
        assert_eq!(value(&text, "#EXT-X-MEDIA-SEQUENCE:"), first / 3);
        assert_eq!(found.len() as u64, (FIRST + 8).div_ceil(3) - first / 3);
        assert_eq!(
            stream(&bytes_of(&film, &urls), "0"),
            sent(&air, Kind::Video, 0..8)
        );
        // From its third row on it is the same segment.
        let path = format!("{VIDEO}/Manifest(video,format={version},start=2026-06-01T00:00:02Z)");
        let text = ok(&film, &path).text().to_owned();
        assert_eq!(value(&text, "#EXT-X-MEDIA-SEQUENCE:"), FIRST / 3, "{text}");
        assert_eq!(segment_urls(&path, &text), urls);
    }
}

/// Numbers of a long event's segments and what they name, by what a playlist says.
fn numbered(text: &str) -> BTreeMap<u64, String> {
    let first = value(text, "#EXT-X-MEDIA-SEQUENCE:");
    (first..).zip(uris(text)).collect()
}

#[test]
fn long_events_keep_their_numbers_whoever_has_the_rows() {
    let path = "show.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-aapl)";
    // Pictures that a transport stream carries.
    let config = Air::avc().config(Kind::Video);
    let mut tracks = live::tracks();
    for change in &mut tracks {
        if let Change::Config {
            track: 0,
            config: known,
        } = change
        {
            *known = config.clone();
        }
    }
    for length in [2, 3, 7, 10] {
        let rows = RowsPerSegment::new(length).unwrap();
        let storage = Memory::default();
        let mut recording = Recording {
            rows_per_segment: rows,
            ..Recording::default()
        };
        let changes = [tracks.clone(), live::rows(0..200, None)].concat();
        for change in &changes {
            recording.apply(change).unwrap();
        }
        while let Some(page) = recording.seal("show", u64::MAX) {
            storage.write(&page.name, page.bytes);
        }
        let head =
            |recording: &Recording| storage.write("show.live/head", recording.head("show").bytes);
        head(&recording);
        let timeline = live::timeline(&[tracks.clone(), live::rows(0..203, None)].concat());
        live::tell(&storage, timeline, false);
        let get = |rewind_ms| {
            let mut published = live::on_air(rewind_ms);
            published.live.as_mut().unwrap().rows_per_segment = rows;
            numbered(ok(&Bench::with(storage.clone(), published), path).text())
        };
        let all = get(None);
        let each = u64::from(length);
        // Row 7 is a discontinuity.
        let cut = u64::from(!(FIRST + 7).is_multiple_of(each));
        assert_eq!(*all.keys().next().unwrap(), FIRST / each);
        assert_eq!(*all.keys().last().unwrap(), (FIRST + 203) / each - 1 + cut);
        for rewind_ms in (20_000..200_000).step_by(7_000) {
            if rewind_ms < 3_000 * each {
                continue;
            }
            let part = get(Some(rewind_ms));
            let expected: Vec<_> = all.iter().rev().take(part.len()).rev().collect();
            assert_eq!(
                part.iter().collect::<Vec<_>>(),
                expected,
                "{length} {rewind_ms}"
            );
            // As much as was asked for, but for rows whose segment is not whole, and to whole segments.
            let shown = part.len() as u64 * each;
            assert!(
                shown + 2 * each > rewind_ms / 1_000 && shown <= rewind_ms / 1_000 + 2 * each + 1
            );
        }
        // Without storage the worker counts the same.
        let head_bytes = storage.get("show.live/head").unwrap();
        storage.remove("show.live/head");
        let told = get(None);
        assert!(told.len() as u64 >= 64 / each - 1);
        assert!(
            told.iter()
                .all(|(number, uri)| all.get(number) == Some(uri)),
            "{told:?}"
        );
        storage.write("show.live/head", head_bytes);
        // And without the worker storage does.
        storage.remove("live/v1/events/e/timeline");
        let stored = get(None);
        assert!(
            stored
                .iter()
                .all(|(number, uri)| all.get(number) == Some(uri))
        );
        // What has left the archive took its segments with it.
        let needed = recording.needed_from(live::START + 100 * 90_000).unwrap();
        recording.trim(needed);
        recording.apply(&Change::End).unwrap();
        head(&recording);
        let film = numbered(ok(&Bench::new(storage.clone()), path).text());
        assert_eq!(
            *film.keys().next().unwrap(),
            needed / each + cut,
            "{length}"
        );
        let last = *film.keys().last().unwrap();
        for (number, uri) in film.iter().filter(|(number, _)| **number < last) {
            assert_eq!(all.get(number), Some(uri), "{length}");
        }
    }
}

#[test]
fn a_window_without_three_segments_is_refused_in_hls() {
    let mut air = Air::avc();
    air.rows_per_segment = RowsPerSegment::new(2).unwrap();
    let storage = air.airing(false);
    let codes = |rewind_ms, filter: Option<&str>| {
        let mut published = on_air(published());
        published.live.as_mut().unwrap().rewind_ms = Some(rewind_ms);
        let window =
            r#"{"presentationTimeRange": {"presentationWindowDuration": 5, "timescale": 1}}"#;
        let bench = Bench::filtered(storage.clone(), published, &[("short", window)]);
        let filter = filter.map_or(String::new(), |name| format!(",filter={name}"));
        [
            "manifest(format=m3u8-aapl",
            "QualityLevels(2000000)/Manifest(video,format=m3u8-aapl",
            "manifest(format=m3u8-cmaf",
            "manifest(format=mpd-time-cmaf",
        ]
        .map(|url| {
            let got = bench.get(&format!("show.ism/{url}{filter})"));
            match got.status {
                200 => (200, String::new()),
                status => (status, got.code()),
            }
        })
    };
    let fine = || (200, String::new());
    let large = || (415, "MPE_HLS_SEGMENT_TOO_LARGE".to_owned());
    assert_eq!(codes(6_000, None), [fine(), fine(), fine(), fine()]);
    // Others have a segment for each row.
    let refused = [large(), large(), fine(), fine()];
    assert_eq!(codes(5_999, None), refused);
    assert_eq!(codes(60_000, Some("short")), refused);
    // Without a worker nobody promises how long segments are.
    storage.remove("live/v1/events/e/timeline");
    assert_eq!(codes(5_999, None), [fine(), fine(), fine(), fine()]);
}
