//! Live presentations from what a worker and storage have, and the recordings that they leave.

use crate::common::*;
use headwater_live::archive::{PAGE_ROWS, Recording, segment_name};
use headwater_live::edge::Snapshot;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Change, Config, Part, Segment, Timeline};
use headwater_origin::{Broadcast, Edge, Published, RowsPerSegment};
use headwater_time::Timescale;

/// 2026-06-01T00:00:00Z on the event's clock, and the number of the row that begins there.
pub(crate) const START: i64 = 1_780_272_000 * 90_000;
pub(crate) const FIRST: u64 = 1_780_272_000;
pub(crate) const MANIFEST: &str = "show.ism/manifest(format=m3u8-cmaf)";
pub(crate) const VIDEO: &str = "show.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf)";

pub(crate) fn config(kind: Kind) -> Config {
    let video = kind == Kind::Video;
    Config {
        codec: if video { "avc1.64001f" } else { "mp4a.40.2" }.into(),
        timescale: match kind {
            Kind::Video => Timescale::MPEG,
            Kind::Audio => Timescale::new(48_000).unwrap(),
        },
        width: if video { 1280 } else { 0 },
        height: if video { 720 } else { 0 },
        sample_rate: if video { 0 } else { 48_000 },
        channels: if video { 0 } else { 2 },
        init: kind.name().into(),
    }
}

pub(crate) fn part(scale: u32, at: u32) -> Part {
    Part {
        offset: at * scale / 2,
        duration: scale / 2,
        size: 50,
        header: 10,
        independent: at == 0,
    }
}

pub(crate) fn segment(kind: Kind, at: u64) -> Segment {
    let scale = config(kind).timescale.get();
    Segment {
        start: (FIRST + at) * u64::from(scale),
        duration: scale,
        config: 0,
        parts: (0..2).map(|at| part(scale, at)).collect(),
        complete: true,
    }
}

pub(crate) fn tracks() -> Vec<Change> {
    let of = |kind: Kind, track, bitrate| {
        [
            Change::Track {
                kind,
                name: kind.name().into(),
                bitrate,
                language: None,
            },
            Change::Config {
                track,
                config: config(kind),
            },
        ]
    };
    [of(Kind::Video, 0, 2_000_000), of(Kind::Audio, 1, 128_000)].concat()
}

/// Rows of a second. `without`: number from `FIRST` on that has no sound.
pub(crate) fn rows(range: std::ops::Range<u64>, without: Option<u64>) -> Vec<Change> {
    let row = |at: u64| {
        let number = FIRST + at;
        let mut changes = vec![Change::Row {
            number,
            start: START + i64::try_from(at).unwrap() * 90_000,
            discontinuity: at == 7,
        }];
        for (track, kind) in [(0, Kind::Video), (1, Kind::Audio)] {
            if kind == Kind::Audio && without == Some(at) {
                continue;
            }
            let segment = segment(kind, at);
            changes.push(Change::Whole {
                track,
                number,
                segment,
            });
        }
        changes
    };
    range.flat_map(row).collect()
}

pub(crate) fn timeline(changes: &[Change]) -> Timeline {
    let mut timeline = Timeline::default();
    for change in changes {
        timeline.apply(change).unwrap();
    }
    timeline
}

/// Puts a recording of `count` rows where it belongs.
pub(crate) fn record(storage: &Memory, count: u64, ended: bool) {
    let changes = [tracks(), rows(0..count, None)].concat();
    record_all(storage, &changes, ended);
}

/// Puts a recording of what `changes` say where it belongs.
pub(crate) fn record_all(storage: &Memory, changes: &[Change], ended: bool) {
    let mut recording = Recording::default();
    for change in changes {
        recording.apply(change).unwrap();
    }
    while let Some(page) = recording.seal("show", u64::MAX) {
        storage.write(&page.name, page.bytes);
    }
    if ended {
        recording.apply(&Change::End).unwrap();
        storage.write(
            "show.ism",
            r#"<smil><head><meta name="formats" content="vod-cmaf"/></head><body><switch/></body></smil>"#,
        );
    }
    let head = recording.head("show");
    storage.write(&head.name, head.bytes);
}

/// What the worker tells.
pub(crate) fn tell(storage: &Memory, timeline: Timeline, low_latency: bool) {
    let snapshot = Snapshot {
        generation: 1,
        now_ms: 0,
        interval_ms: 1_000,
        part_ms: 500,
        low_latency,
        timeline: timeline.tail(64),
    };
    storage.write("live/v1/events/e/timeline", snapshot.to_bytes());
}

pub(crate) fn on_air(rewind_ms: Option<u64>) -> Published<()> {
    Published {
        live: Some(Broadcast {
            event: "e".into(),
            manifest: "show".into(),
            edge: Some(Edge {
                url: "http://memory".into(),
                secret: "s".into(),
            }),
            archive_ms: 3_600_000,
            rewind_ms,
            rows_per_segment: RowsPerSegment::ONE,
            preview: None,
        }),
        ..published()
    }
}

pub(crate) fn bench(stored: u64, told: u64, low_latency: bool, rewind_ms: Option<u64>) -> Bench {
    let storage = Memory::default();
    record(&storage, stored, false);
    tell(
        &storage,
        timeline(&[tracks(), rows(0..told, None)].concat()),
        low_latency,
    );
    Bench::with(storage, on_air(rewind_ms))
}

pub(crate) fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn a_playlist_joins_worker_head_and_pages_without_a_hole() {
    let bench = bench(200, 203, false, None);
    let text = bench.get(VIDEO).text().to_owned();
    assert!(
        text.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{FIRST}\n")),
        "{text}"
    );
    assert_eq!(count(&text, "#EXTINF:1.000000,\n"), 203);
    assert_eq!(count(&text, "#EXT-X-DISCONTINUITY\n"), 1);
    assert!(!text.contains("ENDLIST") && !text.contains("GAP") && !text.contains("PART"));
    let starts: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Fragments(video=")?.split(',').next())
        .map(|start| start.parse().unwrap())
        .collect();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 90_000));
    assert_eq!(starts[0], FIRST * 90_000);
}

#[test]
fn a_window_moves_on_and_renumbers_nothing() {
    let bench = bench(200, 203, false, Some(60_000));
    let got = bench.get(VIDEO);
    assert_eq!(got.header("cache-control"), "public, no-cache");
    let text = got.text().to_owned();
    // A row is shown for as long as a part of it is in the window.
    assert!(
        text.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{}\n", FIRST + 143)),
        "{text}"
    );
    assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
    assert_eq!(count(&text, "#EXTINF"), 60);
    // From pages alone: the worker tells 64 rows only.
    let far = Bench::with(bench.storage.clone(), on_air(Some(150_000)));
    let text = far.get(VIDEO).text().to_owned();
    assert!(
        text.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{}\n", FIRST + 53)),
        "{text}"
    );
    assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
}

#[test]
fn storage_that_is_away_does_not_stop_the_show() {
    let bench = bench(200, 203, false, Some(30_000));
    bench.storage.remove("show.live/head");
    // As if nothing had been recorded yet: what the worker tells is enough.
    assert_eq!(count(bench.get(VIDEO).text(), "#EXTINF"), 30);
}

#[test]
fn an_event_that_goes_on_adds_nothing_to_a_recording_that_has_ended() {
    let bench = bench(200, 203, false, None);
    record(&bench.storage, 200, true);
    let text = bench.get(VIDEO).text().to_owned();
    assert_eq!(count(&text, "#EXTINF"), 200);
    assert!(text.ends_with("#EXT-X-ENDLIST\n"));
}

#[test]
fn a_worker_that_is_away_leaves_what_is_in_storage() {
    let bench = bench(200, 203, false, None);
    bench.storage.remove("live/v1/events/e/timeline");
    let text = bench.get(VIDEO).text().to_owned();
    assert_eq!(count(&text, "#EXTINF"), 200);
    assert!(!text.contains("ENDLIST"));
}

#[test]
fn long_windows_are_updated_by_what_is_new() {
    let bench = bench(200, 203, false, None);
    let text = |path: &str| bench.get(path).text().to_owned();
    let whole = text(VIDEO);
    let delta = text(&format!("{VIDEO}?_HLS_skip=YES"));
    for (playlist, version) in [(&whole, 8), (&delta, 9)] {
        assert!(
            playlist.starts_with(&format!("#EXTM3U\n#EXT-X-VERSION:{version}\n")),
            "{playlist}"
        );
        assert_eq!(
            count(playlist, "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=6\n"),
            1,
            "{playlist}"
        );
    }
    assert!(
        delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=197\n"),
        "{delta}"
    );
    // What is not skipped is the whole playlist's end.
    let (_, newest) = delta
        .split_once("#EXT-X-SKIP:SKIPPED-SEGMENTS=197\n")
        .unwrap();
    assert!(whole.ends_with(newest), "{delta}");
    for format in ["m3u8-aapl-v3", "m3u8-aapl", "m3u8-aapl-v8"] {
        let path = VIDEO.replace("m3u8-cmaf", format);
        let plain = text(&path);
        assert!(!plain.contains("SKIP"), "{plain}");
        assert_eq!(text(&format!("{path}?_HLS_skip=YES")), plain);
    }
}

#[test]
fn the_multivariant_playlist_lists_what_plays() {
    let text = bench(3, 5, false, None).get(MANIFEST).text().to_owned();
    assert!(text.contains("QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf)\n"));
    assert!(text.contains("URI=\"QualityLevels(128000)/Manifest(audio,format=m3u8-cmaf)\""));
    assert!(text.contains("RESOLUTION=1280x720") && text.contains("avc1.64001f,mp4a.40.2"));
}

#[test]
fn missing_sound_is_a_gap_and_pictures_go_on() {
    let storage = Memory::default();
    record(&storage, 0, false);
    let changes = [tracks(), rows(0..8, Some(3))].concat();
    tell(&storage, timeline(&changes), false);
    let bench = Bench::with(storage, on_air(None));
    let audio = "show.ism/QualityLevels(128000)/Manifest(audio,format=m3u8-cmaf)";
    let text = bench.get(audio).text().to_owned();
    assert_eq!(
        (count(&text, "#EXTINF"), count(&text, "#EXT-X-GAP\n")),
        (8, 1)
    );
    let mpd = bench
        .get("show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    let gap = format!(
        "<S t=\"{}\" d=\"48000\" r=\"1\"/><S d=\"96000\"/><S d=\"48000\"",
        FIRST * 48_000
    );
    assert!(mpd.contains(&gap), "{mpd}");
}

#[test]
fn segments_come_from_storage_or_from_the_worker() {
    let bench = bench(200, 203, false, None);
    let track = timeline(&tracks()).tracks[0].clone();
    let url = |at: u64| {
        format!(
            "show.ism/QualityLevels(2000000)/Fragments(video={},format=m3u8-cmaf).m4s",
            (FIRST + at) * 90_000
        )
    };
    for at in [0, 100, 199] {
        let start = (FIRST + at) * 90_000;
        bench
            .storage
            .write(&segment_name(&track, start), vec![b's'; 100]);
        let got = bench.get(&url(at));
        assert_eq!(
            (got.status, got.body),
            (200, vec![b's'; 100].into()),
            "{at}"
        );
    }
    let newest = format!("live/v1/events/e/media/0/{}", FIRST + 202);
    bench.storage.write(&newest, vec![b'w'; 100]);
    let got = bench.get(&url(202));
    assert_eq!(got.body, vec![b'w'; 100]);
    assert!(got.header("cache-control").contains("immutable"));
    assert!(!got.header("etag").is_empty());
    let plan = bench.plan(&url(202)).unwrap();
    assert!(!format!("{plan} {plan:?}").contains("key=s"), "{plan}");
    assert_eq!(bench.get(&url(203)).code(), "MPE_FRAGMENT_NOT_READY");
    let far = |url: &str| {
        let got = bench.get(url);
        (got.status, got.code())
    };
    let none = (404, "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND".to_owned());
    assert_eq!(bench.get(&url(210)).status, 412);
    for at in [300, 1_000_000] {
        assert_eq!(far(&url(at)), none, "{at}");
    }
    let level = "show.ism/QualityLevels(2000000)";
    for rest in [
        "Fragments(video=18446744073709551615,format=m3u8-cmaf)",
        "Fragments(video=18446744073709551615,format=m3u8-aapl)",
        "Fragments(video=18446744073709551615,format=mpd-time-csf)",
        "Fragments(video=18446744073709551615)",
    ] {
        assert_eq!(far(&format!("{level}/{rest}")), none, "{rest}");
    }
    let between = format!(
        "show.ism/QualityLevels(2000000)/Fragments(video={},format=m3u8-cmaf)",
        FIRST * 90_000 + 5
    );
    assert_eq!(bench.get(&between).status, 404);
    let init = "show.ism/QualityLevels(2000000)/Fragments(video=i,format=m3u8-cmaf).mp4";
    assert_eq!(bench.get(init).body, "video");
}

#[test]
fn caches_are_told_what_to_fetch_ahead() {
    let bench = bench(200, 203, false, None);
    let track = timeline(&tracks()).tracks[0].clone();
    let file = |at: u64| {
        let start = (FIRST + at) * 90_000;
        format!("Fragments(video={start},format=m3u8-cmaf).m4s")
    };
    // From a page, from the open rows, and the newest, after which nothing is known.
    for at in [3, 198, 202] {
        let start = (FIRST + at) * 90_000;
        bench
            .storage
            .write(&segment_name(&track, start), vec![b's'; 100]);
        let newest = format!("live/v1/events/e/media/0/{}", FIRST + at);
        bench.storage.write(&newest, vec![b's'; 100]);
        let path = format!("show.ism/QualityLevels(2000000)/{}", file(at));
        let asks = [("cdn-origin-assist-prefetch-enabled", "1")];
        let got = bench.ask(http::Method::GET, &path, &asks);
        assert_eq!(got.status, 200, "{at}");
        let next = match at {
            202 => String::new(),
            at => file(at + 1),
        };
        assert_eq!(got.header("cdn-origin-assist-prefetch-path"), next, "{at}");
        assert_eq!(
            bench.get(&path).header("cdn-origin-assist-prefetch-path"),
            ""
        );
    }
}

fn growing(parts: u32) -> Vec<Change> {
    let number = FIRST + 10;
    let mut changes = [tracks(), rows(0..10, None)].concat();
    changes.push(Change::Row {
        number,
        start: START + 900_000,
        discontinuity: false,
    });
    changes.push(Change::Open {
        track: 0,
        number,
        start: number * 90_000,
        config: 0,
    });
    changes.extend((0..parts).map(|at| Change::Part {
        track: 0,
        number,
        part: part(90_000, at),
    }));
    changes
}

#[test]
fn low_latency_lists_parts_hints_and_reports() {
    let storage = Memory::default();
    record(&storage, 9, false);
    tell(&storage, timeline(&growing(1)), true);
    let bench = Bench::with(storage, on_air(None));
    let text = bench.get(VIDEO).text().to_owned();
    let number = FIRST + 10;
    assert!(text.contains("PART-HOLD-BACK=1.5"), "{text}");
    let tail = format!(
        "#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI=\"Fragments(video={number},format=m3u8-cmaf,part=0).m4s\"\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"Fragments(video={number},format=m3u8-cmaf,part=1).m4s\"\n\
         #EXT-X-RENDITION-REPORT:URI=\"../QualityLevels(128000)/Manifest(audio,format=m3u8-cmaf)\",LAST-MSN={},LAST-PART=1\n",
        number - 1
    );
    assert!(text.ends_with(&tail), "{text}");
    let got = bench.get(&format!("{VIDEO}?_HLS_msn={number}&_HLS_part=0"));
    assert_eq!(
        (got.status, got.header("cache-control")),
        (200, "public, max-age=6")
    );
    // Nothing comes while this test waits.
    let got = bench.get(&format!("{VIDEO}?_HLS_msn={number}&_HLS_part=1"));
    assert_eq!(got.status, 503);
    assert_eq!(
        bench
            .get(&format!("{VIDEO}?_HLS_msn={}", number + 2))
            .status,
        400
    );
    assert_eq!(bench.get(&format!("{VIDEO}?_HLS_part=1")).status, 400);
    let delta = bench
        .get(&format!("{VIDEO}?_HLS_skip=YES"))
        .text()
        .to_owned();
    assert!(
        delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n"),
        "{delta}"
    );

    let url = |at: u64| {
        format!(
            "show.ism/QualityLevels(2000000)/Fragments(video={number},format=m3u8-cmaf,part={at}).m4s"
        )
    };
    let stored = format!("live/v1/events/e/media/0/{number}/0");
    bench.storage.write(&stored, vec![b'p'; 50]);
    assert_eq!(bench.get(&url(0)).body, vec![b'p'; 50]);
    // Storage may be away: nobody looks there for what is only just there.
    let other = Bench::with(bench.storage.clone(), on_air(None));
    other.storage.calls();
    assert_eq!(other.get(&url(0)).status, 200);
    let (calls, _) = other.storage.calls();
    assert!(!calls.iter().any(|call| call.contains("show")), "{calls:?}");
    let early = bench.get(&url(1));
    assert_eq!(early.status, 412);
    // All who are early are told so by one call, as all who read what grows are given the same.
    let kept = |got: &Got| got.header("headwater-cache-control").to_owned();
    assert_eq!(kept(&early), "max-age=0.1");
    let growing = bench.get(&format!(
        "show.ism/QualityLevels(2000000)/Fragments(video={},format=mpd-time-cmaf)",
        number * 90_000
    ));
    assert_eq!((growing.status, kept(&growing)), (200, "max-age=10".into()));

    let mpd = bench
        .get("show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    assert!(mpd.contains(" availabilityTimeOffset=\"0.5\" availabilityTimeComplete=\"false\""));
    let listed = format!("<S t=\"{}\" d=\"90000\" r=\"10\"/>", FIRST * 90_000);
    assert!(mpd.contains(&listed), "{mpd}");
    assert!(mpd.contains("<Latency target=\"2500\""));
}

#[test]
fn an_mpd_counts_from_the_epoch_for_ever() {
    let bench = bench(10, 12, false, Some(600_000));
    let text = bench
        .get("show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    assert!(text.contains(
        "type=\"dynamic\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019\" \
         availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"2026-06-01T00:00:12.000Z\" \
         minimumUpdatePeriod=\"PT1S\" timeShiftBufferDepth=\"PT600S\" suggestedPresentationDelay=\"PT3S\" \
         maxSegmentDuration=\"PT1S\" minBufferTime=\"PT1S\">"
    ), "{text}");
    assert!(text.contains("<Period id=\"p0\" start=\"PT0S\">"));
    assert!(text.contains("timescale=\"90000\" presentationTimeOffset=\"0\""));
    let clocks = "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-xsdate:2014\" value=\"time\"/>\n  \
                  <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:direct:2014\" value=\"2026-06-01T00:00:00.000Z\"/>";
    assert!(text.contains(clocks), "{text}");
    let time = bench.get("show.ism/time");
    assert_eq!(time.text(), "2026-06-01T00:00:00.000Z");
    assert_eq!(time.header("cache-control"), "no-store");
}

#[test]
fn the_recording_is_a_film_under_the_same_urls() {
    let storage = Memory::default();
    record(&storage, 150, true);
    let bench = Bench::new(storage);
    let text = bench.get(VIDEO).text().to_owned();
    assert_eq!(count(&text, "#EXTINF"), 150);
    assert!(text.ends_with("#EXT-X-ENDLIST\n") && !text.contains("PART"));
    assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"), "{text}");
    assert_eq!(bench.get(MANIFEST).status, 200);
    let mpd = bench
        .get("show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    assert!(
        mpd.contains("type=\"static\"") && mpd.contains("mediaPresentationDuration=\"PT150S\"")
    );
    let offset = format!("presentationTimeOffset=\"{}\"", FIRST * 90_000);
    assert!(mpd.contains(&offset), "{mpd}");
    let track = timeline(&tracks()).tracks[0].clone();
    let start = (FIRST + 70) * 90_000;
    bench
        .storage
        .write(&segment_name(&track, start), vec![b's'; 100]);
    let url =
        format!("show.ism/QualityLevels(2000000)/Fragments(video={start},format=mpd-time-cmaf)");
    assert_eq!(bench.get(&url).body, vec![b's'; 100]);
    assert_eq!(
        bench.get("other.ism/manifest(format=m3u8-cmaf)").status,
        404
    );
    assert_eq!(bench.get("show.ism/manifest").status, 415);
    let (calls, _) = bench.storage.calls();
    let pages = calls
        .iter()
        .filter(|call| call.starts_with("read show.live/1"));
    assert_eq!(pages.count(), 150 / PAGE_ROWS);
}

#[test]
fn a_time_of_day_is_cut_out() {
    let bench = bench(200, 203, false, None);
    let of = |window: &str| {
        let url =
            format!("show.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf,{window})");
        bench.get(&url)
    };
    let text = of("start=2026-06-01T00:00:10Z,end=2026-06-01T00:00:20Z")
        .text()
        .to_owned();
    assert_eq!(count(&text, "#EXTINF"), 10);
    assert!(text.contains("#EXT-X-ENDLIST"));
    let text = of("start=2026-06-01T00:03:00Z").text().to_owned();
    assert_eq!(count(&text, "#EXTINF"), 23);
    assert!(!text.contains("#EXT-X-ENDLIST"));
    assert_eq!(
        of("start=2026-05-01T00:00:00Z,end=2026-05-01T01:00:00Z").status,
        404
    );
}

#[test]
fn filters_cut_what_is_live() {
    let storage = Memory::default();
    record(&storage, 200, false);
    let told = timeline(&[tracks(), rows(0..203, None)].concat());
    tell(&storage, told, true);
    let seconds = |at: u64| FIRST + at;
    let range =
        |members: &str| format!(r#"{{"presentationTimeRange": {{"timescale": 1, {members}}}}}"#);
    let window = range(r#""presentationWindowDuration": 60, "liveBackoffDuration": 10"#);
    let start = range(&format!(r#""startTimestamp": {}"#, seconds(190)));
    let end = range(&format!(r#""endTimestamp": {}"#, seconds(20)));
    let forced = range(&format!(
        r#""endTimestamp": {}, "forceEndTimestamp": true"#,
        seconds(20)
    ));
    let gone = range(r#""endTimestamp": 5, "forceEndTimestamp": true"#);
    let sound = r#"{"tracks": [{"trackSelections": [{"property": "Type", "operation": "Equal", "value": "audio"}]}]}"#;
    let filters = [
        ("window", window.as_str()),
        ("start", &start),
        ("end", &end),
        ("forced", &forced),
        ("gone", &gone),
        ("sound", sound),
    ];
    let bench = Bench::filtered(storage, on_air(None), &filters);
    let of = |name: &str| {
        let url = format!(
            "show.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf,filter={name})"
        );
        bench.get(&url)
    };
    let text = of("window").text().to_owned();
    assert_eq!(count(&text, "#EXTINF"), 60);
    let first = format!("#EXT-X-MEDIA-SEQUENCE:{}\n", FIRST + 133);
    assert!(text.contains(&first) && !text.contains("PART"), "{text}");
    assert_eq!(count(of("start").text(), "#EXTINF"), 13);
    assert_eq!(count(of("end").text(), "#EXTINF"), 203);
    let text = of("forced").text().to_owned();
    assert_eq!(count(&text, "#EXTINF"), 20);
    assert!(text.contains("ENDLIST"));
    assert_eq!(
        of("gone").code(),
        "MPE_FILTER_FORCE_END_LEFT_EDGE_CROSSED_DVR_WINDOW"
    );
    let text = bench
        .get("show.ism/manifest(format=m3u8-cmaf,filter=sound)")
        .text()
        .to_owned();
    assert!(
        !text.contains("RESOLUTION") && text.contains("Manifest(audio"),
        "{text}"
    );
}

#[test]
fn a_back_off_beyond_what_may_be_shown_is_refused_while_it_is_live() {
    let filter = |seconds: u64| {
        format!(
            r#"{{"presentationTimeRange": {{"timescale": 1, "liveBackoffDuration": {seconds}}}}}"#
        )
    };
    let (near, far) = (filter(10), filter(60));
    let window = r#"{"presentationTimeRange": {"timescale": 1, "presentationWindowDuration": 20}}"#;
    let filters = [
        ("near", near.as_str()),
        ("far", far.as_str()),
        ("window", window),
    ];
    let storage = Memory::default();
    record(&storage, 200, false);
    let told = timeline(&[tracks(), rows(0..203, None)].concat());
    tell(&storage, told, false);
    let of = |rewind_ms, names: &str| {
        let bench = Bench::filtered(storage.clone(), on_air(Some(rewind_ms)), &filters);
        bench.get(&format!(
            "show.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf,filter={names})"
        ))
    };
    for names in ["far", "near;far"] {
        let refused = of(60_000, names);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (415, "MPE_FILTER_LIVE_BACKOFF_OVER_DVRWINDOW"),
            "{names}"
        );
    }
    assert_eq!(count(of(60_000, "near").text(), "#EXTINF"), 50);
    assert_eq!(count(of(70_000, "far").text(), "#EXTINF"), 10);
    // A filter's own window is one of what is put back, so it may be shorter.
    assert_eq!(count(of(600_000, "far;window").text(), "#EXTINF"), 20);
    // Of a film nothing is put back.
    let film = Memory::default();
    record(&film, 200, true);
    let mut over = on_air(Some(60_000));
    over.live = None;
    let bench = Bench::filtered(film, over, &filters);
    assert_eq!(
        bench
            .get("show.ism/manifest(format=m3u8-cmaf,filter=far)")
            .status,
        200
    );
}

#[test]
fn a_preview_is_for_those_it_is_for() {
    let storage = Memory::default();
    tell(
        &storage,
        timeline(&[tracks(), rows(0..5, None)].concat()),
        false,
    );
    let published = |allow: &str, bits| {
        let mut published = on_air(None);
        if let Some(live) = &mut published.live {
            live.manifest = headwater_origin::PREVIEW.into();
            live.archive_ms = u64::MAX;
            live.preview = Some(vec![headwater_work::live::IpRange {
                name: None,
                address: allow.parse().unwrap(),
                subnet_prefix_length: Some(bits),
            }]);
        }
        published
    };
    let url = "preview.ism/manifest(format=m3u8-cmaf)";
    let open = Bench::with(storage.clone(), published("0.0.0.0", 0));
    assert_eq!(open.get(url).status, 200);
    assert_eq!(open.get("show.ism/manifest(format=m3u8-cmaf)").status, 404);
    let closed = Bench::with(storage, published("10.0.0.0", 8));
    let refused = closed.get(url);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (404, "MPE_UNAUTHORIZED")
    );
}

#[test]
fn what_all_who_watch_ask_for_is_marked_for_the_host() {
    let kept = |bench: &Bench, path: &str| {
        let got = bench.get(path);
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        got.header("headwater-cache-control").to_owned()
    };
    let storage = Memory::default();
    let changes = [tracks(), rows(0..5, None)].concat();
    tell(&storage, timeline(&changes), false);
    let bench = Bench::with(storage.clone(), on_air(None));
    for (format, moment) in [("m3u8-cmaf", "0.25"), ("mpd-time-cmaf", "0.1")] {
        let manifest = format!("show.ism/manifest(format={format})");
        assert_eq!(kept(&bench, &manifest), format!("max-age={moment}"));
    }
    assert_eq!(kept(&bench, VIDEO), "max-age=0.25");
    let video = "show.ism/QualityLevels(2000000)";
    let init = format!("{video}/Fragments(video=i,format=m3u8-cmaf)");
    assert_eq!(kept(&bench, &init), "max-age=2");
    // Of parts: a moment is shorter, and what is waited for stays under its URL.
    tell(&storage, timeline(&changes), true);
    let bench = Bench::with(storage.clone(), on_air(None));
    assert_eq!(kept(&bench, VIDEO), "max-age=0.1");
    let number = FIRST + 4;
    let waited = bench.get(&format!("{VIDEO}?_HLS_msn={number}"));
    assert_eq!(waited.status, 200);
    assert_eq!(waited.header("headwater-cache-control"), "max-age=2");
    // Nor is a preview for everybody.
    let mut preview = on_air(None);
    if let Some(live) = &mut preview.live {
        live.manifest = headwater_origin::PREVIEW.into();
        live.preview = Some(vec![headwater_work::live::IpRange {
            name: None,
            address: "0.0.0.0".parse().unwrap(),
            subnet_prefix_length: Some(0),
        }]);
    }
    let bench = Bench::with(storage, preview);
    assert_eq!(kept(&bench, "preview.ism/manifest(format=m3u8-cmaf)"), "");
}

#[test]
fn what_changes_is_sent_in_gzip_to_those_who_take_it() {
    use http::Method;
    let bench = bench(8, 12, true, None);
    let master = bench.get("show.ism/manifest(format=m3u8-cmaf)");
    let playlist = format!("show.ism/{}", uris(master.text())[0]);
    for path in [
        "show.ism/manifest(format=m3u8-cmaf)",
        "show.ism/manifest(format=mpd-time-cmaf)",
        &playlist,
    ] {
        let plain = bench.get(path);
        let packed = bench.ask(Method::GET, path, &[("accept-encoding", "gzip")]);
        assert_eq!((plain.status, packed.status), (200, 200), "{path}");
        assert_eq!(plain.header("content-encoding"), "");
        assert_eq!(packed.header("content-encoding"), "gzip");
        for got in [&plain, &packed] {
            assert_eq!(got.header("vary"), "Accept-Encoding", "{path}");
        }
        assert_eq!(
            packed.header("cache-control"),
            plain.header("cache-control")
        );
        assert_ne!(packed.header("etag"), plain.header("etag"));
        let mut text = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&packed.body[..]);
        std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
        assert_eq!(text, plain.text(), "{path}");
    }
}
