//! Cues of live presentations and of their recordings, in HLS and in DASH.

use crate::common::*;
use crate::live::*;
use headwater_live::cue::{Body, Cue, Role, SPLICE_SCHEME};
use headwater_live::timeline::Change;

fn splice(id: &str, at: i64, role: Role, seconds: Option<u64>) -> Change {
    Change::Cue(Cue {
        id: id.into(),
        start: START + at * 90_000,
        duration: seconds.map(|seconds| seconds * 90_000),
        body: Body::Splice {
            role,
            section: vec![0xfc, 0x30, id.as_bytes()[0]],
        },
    })
}

/// A break of six seconds from the tenth on that ends a second early, one of the simple mode, and one that nobody ends.
fn cues() -> Vec<Change> {
    vec![
        splice("7", 10, Role::Out, Some(6)),
        splice("7", 15, Role::In, None),
        Change::Cue(Cue {
            id: "simple".into(),
            start: START + 18 * 90_000 + 900,
            duration: Some(2 * 90_000),
            body: Body::Break,
        }),
        splice("9", 24, Role::Out, None),
        Change::Scheme {
            scheme: SPLICE_SCHEME.into(),
            value: String::new(),
        },
    ]
}

fn on_the_air() -> Bench {
    let storage = Memory::default();
    let changes = [tracks(), rows(0..30, None), cues()].concat();
    tell(&storage, timeline(&changes), false);
    Bench::with(storage, on_air(None))
}

/// `EXT-X-CUE` tags by the number of the segment that follows.
fn tags(playlist: &str) -> Vec<(usize, &str)> {
    let (mut number, mut tags) = (0, Vec::new());
    for line in playlist.lines() {
        match line.strip_prefix("#EXT-X-CUE:") {
            Some(tag) => tags.push((number, tag)),
            None if !line.starts_with('#') => number += 1,
            None => {}
        }
    }
    tags
}

#[test]
fn breaks_are_date_ranges_and_cues_of_their_segments() {
    let bench = on_the_air();
    let playlist = bench.get(VIDEO).text().to_owned();
    let ranges: Vec<&str> = playlist
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-DATERANGE:"))
        .collect();
    assert_eq!(
        ranges,
        [
            "ID=\"7-1780272010000\",START-DATE=\"2026-06-01T00:00:10.000Z\",DURATION=5.000,PLANNED-DURATION=6.000,\
             SCTE35-OUT=0xFC3037,SCTE35-IN=0xFC3037",
            "ID=\"simple-1780272018010\",START-DATE=\"2026-06-01T00:00:18.010Z\",PLANNED-DURATION=2.000",
            "ID=\"9-1780272024000\",START-DATE=\"2026-06-01T00:00:24.000Z\",SCTE35-OUT=0xFC3039",
        ]
    );
    let found = tags(&playlist);
    let at: Vec<usize> = found.iter().map(|(number, _)| *number).collect();
    // The simple one begins a moment after its segment, which is its own all the same.
    assert_eq!(at, [10, 11, 12, 13, 14, 18, 19, 24]);
    assert_eq!(
        found[0].1,
        "ID=\"7\",TYPE=\"scte35\",DURATION=6.000,TIME=1780272010.000,CUE=\"/DA3\""
    );
    assert_eq!(
        found[2].1,
        "ID=\"7\",TYPE=\"scte35\",DURATION=6.000,TIME=1780272010.000,ELAPSED=2.000,CUE=\"/DA3\""
    );
    assert_eq!(
        found[6].1,
        "ID=\"simple\",TYPE=\"SpliceOut\",DURATION=2.000,TIME=1780272018.010,ELAPSED=0.990"
    );
    // Sound has the same.
    let audio = VIDEO.replace("2000000", "128000").replace("video", "audio");
    let audio = bench.get(&audio).text().to_owned();
    assert_eq!(tags(&audio), found);
}

#[test]
fn what_left_the_window_is_said_no_more() {
    let storage = Memory::default();
    let mut changes = [tracks(), rows(0..30, None), cues()].concat();
    changes.push(Change::Trim { number: FIRST + 19 });
    tell(&storage, timeline(&changes), false);
    let bench = Bench::with(storage, on_air(None));
    let playlist = bench.get(VIDEO).text().to_owned();
    // The one that goes on in it is.
    assert_eq!(count(&playlist, "#EXT-X-DATERANGE:"), 2);
    let found = tags(&playlist);
    assert!(
        found[0].0 == 0 && found[0].1.contains("ELAPSED=0.990"),
        "{found:?}"
    );
}

#[test]
fn an_mpd_has_events_and_names_what_media_carries() {
    let bench = on_the_air();
    let text = bench
        .get("show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    let document = roxmltree::Document::parse(&text).unwrap();
    let streams: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "EventStream")))
        .collect();
    let schemes: Vec<_> = streams
        .iter()
        .map(|s| s.attribute("schemeIdUri").unwrap())
        .collect();
    assert_eq!(
        schemes,
        [
            "urn:scte:scte35:2014:xml+bin",
            "urn:com:adobe:dpi:simple:2015"
        ]
    );
    let events: Vec<_> = streams[0]
        .children()
        .filter(|node| node.is_element())
        .collect();
    let times: Vec<i64> = events
        .iter()
        .map(|event| {
            event
                .attribute("presentationTime")
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(times, [10, 15, 24].map(|at| START + at * 90_000));
    assert_eq!(events[0].attribute("duration"), Some("540000"));
    let binary = events[0]
        .descendants()
        .find(|node| node.tag_name().name() == "Binary");
    assert_eq!(binary.and_then(|node| node.text()), Some("/DA3"));
    assert_eq!(
        count(
            &text,
            "<InbandEventStream schemeIdUri=\"urn:scte:scte35:2013:bin\"/>"
        ),
        2
    );
}

#[test]
fn a_recording_keeps_its_cues() {
    let storage = Memory::default();
    let changes = [tracks(), rows(0..100, None), cues()].concat();
    record_all(&storage, &changes, true);
    let bench = Bench::with(storage, published());
    let playlist = bench.get(VIDEO).text().to_owned();
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(count(&playlist, "#EXT-X-DATERANGE:"), 3);
    assert_eq!(tags(&playlist)[0].0, 10);
    let text = bench
        .get("show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    assert_eq!(count(&text, "<Event "), 4);
}
