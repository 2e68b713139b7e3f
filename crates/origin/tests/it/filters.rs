//! Filters and windows: what manifests show, in every protocol.

use crate::common::*;

/// Eight audio tracks and one video, 10 s of it.
fn storage() -> Memory {
    let storage = Memory::default();
    storage.write("film.mp4", media("bigbuckbunny.mp4"));
    storage.write("spa.mp4", media("car-detection.mp4"));
    storage.write(
        "film.ism",
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch>
        <video src="film.mp4" systemBitrate="2000000"><param name="trackName" value="video"/><param name="trackID" value="1"/></video>
        <video src="spa.mp4" systemBitrate="900000"><param name="trackName" value="video"/><param name="trackID" value="1"/></video>
        <audio src="film.mp4" systemBitrate="128000" systemLanguage="eng"><param name="trackName" value="eng"/></audio>
        <audio src="spa.mp4" systemBitrate="64000" systemLanguage="spa"><param name="trackName" value="spa"/></audio>
        </switch></body></smil>"#,
    );
    storage
}

const FILTERS: &[(&str, &str)] = &[
    (
        "low",
        r#"{"tracks": [{"trackSelections": [{"property": "Type", "operation": "Equal", "value": "Video"},
                                            {"property": "Bitrate", "operation": "Equal", "value": "0-1000000"}]},
                       {"trackSelections": [{"property": "Type", "operation": "Equal", "value": "audio"}]}]}"#,
    ),
    (
        "english",
        r#"{"tracks": [{"trackSelections": [{"property": "Language", "operation": "Equal", "value": "en"}]},
                       {"trackSelections": [{"property": "Type", "operation": "NotEqual", "value": "audio"}]}]}"#,
    ),
    (
        "nothing",
        r#"{"tracks": [{"trackSelections": [{"property": "FourCC", "operation": "Equal", "value": "hvc1"}]}]}"#,
    ),
    (
        "start",
        r#"{"presentationTimeRange": {"startTimestamp": 30000000}}"#,
    ),
    (
        "end",
        r#"{"presentationTimeRange": {"endTimestamp": 5, "timescale": 1}}"#,
    ),
    (
        "late",
        r#"{"presentationTimeRange": {"startTimestamp": 999, "timescale": 1, "endTimestamp": 9223372036854776000}}"#,
    ),
    ("first", r#"{"firstQuality": {"bitrate": 1000000}}"#),
    ("first2", r#"{"firstQuality": {"bitrate": 2000000}}"#),
];

fn bench(of_locator: &[&str]) -> Bench {
    let filters = of_locator.iter().map(|n| (*n).to_owned()).collect();
    let published = headwater_origin::Published {
        filters,
        ..published()
    };
    Bench::filtered(storage(), published, FILTERS)
}

/// Bit rates of the tracks that a manifest lists, each once, in order.
fn levels(manifest: &str) -> Vec<u32> {
    let numbers = manifest.split("QualityLevels(").skip(1);
    let mut found = Vec::new();
    for number in numbers.filter_map(|rest| rest.split(')').next()?.parse().ok()) {
        if !found.contains(&number) {
            found.push(number);
        }
    }
    found
}

#[test]
fn tracks_are_left_out_in_every_protocol() {
    let bench = bench(&[]);
    let get = |filter: &str, format: &str| {
        let got = bench.get(&format!("film.ism/manifest(format={format}{filter})"));
        assert_eq!(got.status, 200, "{}", got.text());
        got.text().to_owned()
    };
    assert_eq!(
        levels(&get("", "m3u8-cmaf")),
        [128_000, 64_000, 2_000_000, 900_000]
    );
    let low = get(",filter=low", "m3u8-cmaf");
    assert_eq!(levels(&low), [128_000, 64_000, 900_000]);
    assert!(
        low.contains("Manifest(video,format=m3u8-cmaf,filter=low)"),
        "{low}"
    );
    // All that apply, and in any order.
    assert_eq!(
        levels(&get(",filter=english;low", "m3u8-cmaf")),
        [128_000, 900_000]
    );
    assert_eq!(
        levels(&get(",filter=english;low", "m3u8-aapl")),
        [128_000, 900_000]
    );
    let dash = get(",filter=english;low", "mpd-time-csf");
    assert_eq!(
        (
            dash.matches("<Representation").count(),
            dash.matches("filter").count()
        ),
        (2, 0)
    );
    let smooth = bench.get("film.ism/manifest(filter=english;low)");
    assert_eq!(smooth.text().matches("<QualityLevel ").count(), 2);
    for (path, status, code) in [
        (
            "film.ism/manifest(format=m3u8-cmaf,filter=nothing)",
            415,
            "MPE_FILTER_REMOVED_ALL_STREAMS",
        ),
        (
            "film.ism/manifest(format=m3u8-cmaf,filter=unknown)",
            404,
            "MPE_EGRESS_FILTER_NOT_FOUND",
        ),
        (
            "film.ism/manifest(filter=first;first2)",
            415,
            "MPE_FILTER_COMPOSITION_MULTIPLE_FIRST_QUALITY_OPERATOR_NOT_ALLOWED",
        ),
        (
            "film.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf,filter=low)",
            404,
            "MPE_EGRESS_TRACK_NOT_FOUND",
        ),
    ] {
        let got = bench.get(path);
        assert_eq!((got.status, got.code().as_str()), (status, code), "{path}");
    }
}

#[test]
fn operators_are_told_of_tracks_that_files_do_not_have() {
    let storage = storage();
    let ism = String::from_utf8(storage.get("film.ism").unwrap().to_vec()).unwrap();
    let more = r#"<audio src="film.mp4" systemBitrate="5"><param name="trackID" value="77"/></audio>
        <ref src="meta.mp4"/></switch>"#;
    storage.write("film.ism", ism.replacen("</switch>", more, 1));
    logged();
    let got = Bench::new(storage).get("film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(got.status, 200);
    let lines = logged();
    let told = |line: &str| lines.iter().filter(|known| *known == line).count();
    assert_eq!(
        told("film.mp4: track 77: the file has no such track that can be packaged"),
        1,
        "{lines:?}"
    );
    assert_eq!(
        told("film.ism: meta.mp4: it is a reference, which is not packaged"),
        1,
        "{lines:?}"
    );
}

#[test]
fn what_cannot_be_applied_is_said_by_its_name() {
    let range = |member: &str| format!(r#"{{"presentationTimeRange": {{{member}}}}}"#);
    let faults = [
        (
            range(r#""timescale": 0"#),
            "MPE_FILTER_RANGE_ATTRIBUTE_INVALID",
        ),
        (
            range(r#""presentationWindowDuration": -1"#),
            "MPE_FILTER_PRESENTATION_WINDOW_INVALID",
        ),
        (
            range(r#""liveBackoffDuration": "10""#),
            "MPE_FILTER_LIVE_BACKOFF_INVALID",
        ),
        (
            r#"{"tracks": [{"trackSelections": []}]}"#.to_owned(),
            "MPE_FILTER_TRACK_ATTRIBUTE_INVALID",
        ),
        (
            r#"{"firstQuality": {"bitrate": "x"}}"#.to_owned(),
            "MPE_FILTER_FIRST_QUALITY_ATTRIBUTE_INVALID",
        ),
    ];
    for (properties, code) in faults {
        let filters = [("broken", properties.as_str())];
        let bench = Bench::filtered(storage(), published(), &filters);
        for path in [
            "film.ism/manifest(format=m3u8-cmaf,filter=broken)",
            "film.ism/manifest(format=mpd-time-csf,filter=broken)",
            "film.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf,filter=broken)",
        ] {
            let got = bench.get(path);
            assert_eq!((got.status, got.code().as_str()), (415, code), "{path}");
        }
        // Whoever does not ask for it does not notice.
        assert_eq!(bench.get("film.ism/manifest").status, 200);
    }
}

#[test]
fn filters_of_the_locator_cannot_be_escaped() {
    let bench = bench(&["low", "first"]);
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(levels(master.text()), [128_000, 64_000, 900_000]);
    assert!(!master.text().contains("filter"), "{}", master.text());
    let hidden = bench.get("film.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf)");
    assert_eq!(hidden.code(), "MPE_EGRESS_TRACK_NOT_FOUND");
    let both = bench.get("film.ism/manifest(format=m3u8-cmaf,filter=english)");
    assert_eq!(levels(both.text()), [128_000, 900_000]);
    // Fragments are those of the unfiltered presentation.
    let fragment = bench.get("film.ism/QualityLevels(2000000)/Fragments(video=0,format=m3u8-cmaf)");
    assert_eq!(fragment.status, 200);
    let gone = Bench::filtered(
        storage(),
        headwater_origin::Published {
            filters: vec!["gone".into()],
            ..published()
        },
        &[],
    );
    assert_eq!(
        gone.get("film.ism/manifest").code(),
        "MPE_EGRESS_FILTER_NOT_FOUND"
    );
}

#[test]
fn first_quality_is_the_closest_variant() {
    let variants = |filter: &str| {
        let got = bench(&[]).get(&format!("film.ism/manifest(format=m3u8-cmaf{filter})"));
        levels(&uris(got.text()).join("\n"))
    };
    assert_eq!(variants(",filter=first"), [900_000, 2_000_000]);
    assert_eq!(variants(",filter=first2"), [2_000_000, 900_000]);
}

/// Start and end of the segments of a media playlist, seconds from the names and EXTINFs of the unfiltered one.
fn spans(bench: &Bench, options: &str) -> Vec<(f64, f64)> {
    let path = |o: &str| format!("film.ism/QualityLevels(900000)/Manifest(video,format=m3u8-{o})");
    let list = |text: &str| {
        let mut at = 0.0;
        let lengths = text
            .lines()
            .filter_map(|l| l.strip_prefix("#EXTINF:"))
            .map(|l| l.trim_end_matches(',').parse::<f64>().unwrap());
        let spans: Vec<(f64, f64)> = lengths
            .map(|l| {
                at += l;
                (at - l, at)
            })
            .collect();
        uris(text).into_iter().zip(spans).collect::<Vec<_>>()
    };
    let format = options.split(',').next().unwrap();
    let all = bench.get(&path(format));
    let some = bench.get(&path(options));
    assert_eq!(some.status, 200, "{}", some.text());
    assert!(some.text().ends_with("#EXT-X-ENDLIST\n") && some.text().contains("PLAYLIST-TYPE:VOD"));
    let all = list(all.text());
    let shown = list(some.text());
    shown
        .into_iter()
        .map(|(uri, (from, to))| {
            let (_, (start, end)) = all
                .iter()
                .find(|(known, _)| *known == uri)
                .unwrap_or_else(|| panic!("{uri} is a segment of the whole"));
            assert!((end - start - (to - from)).abs() < 1e-5);
            (*start, *end)
        })
        .collect()
}

#[test]
fn times_are_cut_at_segments() {
    let bench = bench(&[]);
    let inside = |spans: &[(f64, f64)], from: f64, to: f64, whole: &[(f64, f64)]| {
        let expected: Vec<(f64, f64)> = whole
            .iter()
            .copied()
            .filter(|(a, b)| *b > from && *a < to)
            .collect();
        assert_eq!(spans, expected);
        assert!(!expected.is_empty());
    };
    for format in ["cmaf", "aapl"] {
        let whole = spans(&bench, format);
        for (options, from, to) in [
            ("filter=start", 3.0, f64::MAX),
            ("filter=end", 0.0, 5.0),
            ("filter=start;end", 3.0, 5.0),
            ("vbegin=PT3S", 3.0, f64::MAX),
            ("vend=PT5S", 0.0, 5.0),
            ("vbegin=PT3S,vend=PT5S", 3.0, 5.0),
            ("filter=start,vend=PT4.5S", 3.0, 4.5),
            ("vbegin=PT9.7S,vend=PT14.3S", 9.7, 14.3),
        ] {
            inside(
                &spans(&bench, &format!("{format},{options}")),
                from,
                to,
                &whole,
            );
        }
    }
    for options in [
        "filter=late",
        "vbegin=PT1H",
        "filter=start,vend=PT1S",
        "start=2026-06-01T13:15:00Z",
    ] {
        let got = bench.get(&format!(
            "film.ism/manifest(format=mpd-time-cmaf,{options})"
        ));
        assert_eq!(
            (got.status, got.code().as_str()),
            (404, "MPE_EGRESS_TIMESTAMP_NOT_FOUND"),
            "{options}"
        );
    }
}

#[test]
fn dash_and_smooth_count_from_what_is_left() {
    let bench = bench(&[]);
    let whole = bench.get("film.ism/manifest(format=mpd-time-cmaf)");
    let cut = bench.get("film.ism/manifest(format=mpd-time-cmaf,vbegin=PT10S,vend=PT12S)");
    assert_ne!(whole.header("etag"), cut.header("etag"));
    let document = roxmltree::Document::parse(cut.text()).unwrap();
    let mut zero: Option<f64> = None;
    for template in document
        .descendants()
        .filter(|n| n.tag_name().name() == "SegmentTemplate")
    {
        let number = |name: &str| template.attribute(name).unwrap().parse::<f64>().unwrap();
        let first = template
            .descendants()
            .find(|n| n.tag_name().name() == "S")
            .unwrap();
        let start = first.attribute("t").unwrap().parse::<f64>().unwrap();
        let (offset, scale) = (number("presentationTimeOffset"), number("timescale"));
        assert!(start >= offset, "{}", cut.text());
        let instant = offset / scale;
        assert!(
            zero.is_none_or(|z| (z - instant).abs() < 0.001),
            "one zero for all"
        );
        zero = Some(instant);
    }
    // Groups of pictures last 4.8 s; the other film is over by then.
    assert!(zero.is_some_and(|z| (9.0..9.7).contains(&z)), "{zero:?}");
    assert_eq!(cut.text().matches("<Representation").count(), 2);
    let smooth = bench.get("film.ism/manifest(vbegin=PT10S,vend=PT12S)");
    let document = roxmltree::Document::parse(smooth.text()).unwrap();
    let duration: u64 = document
        .root_element()
        .attribute("Duration")
        .unwrap()
        .parse()
        .unwrap();
    assert!((48_000_000..56_000_000).contains(&duration), "{duration}");
    for stream in document
        .descendants()
        .filter(|n| n.has_tag_name("StreamIndex"))
    {
        let first = stream.children().find(|n| n.has_tag_name("c")).unwrap();
        assert!(first.attribute("t").is_some());
    }
}
