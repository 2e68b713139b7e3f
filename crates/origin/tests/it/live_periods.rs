//! Where the tracks of what is live change: another period in DASH, another init segment in HLS.

use crate::common::*;
use crate::live::*;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Change, Config, Segment};

/// Six rows; from the fifth on the pictures have other parameters.
fn other_parameters() -> Vec<Change> {
    let mut changes = [tracks(), rows(0..4, None)].concat();
    let other = Config {
        width: 640,
        height: 360,
        init: b"other".to_vec(),
        ..config(Kind::Video)
    };
    changes.push(Change::Config {
        track: 0,
        config: other,
    });
    changes.extend(rows(4..6, None).into_iter().map(|change| match change {
        Change::Whole {
            track: 0,
            number,
            segment,
        } => Change::Whole {
            track: 0,
            number,
            segment: Segment {
                config: 1,
                ..segment
            },
        },
        other => other,
    }));
    changes
}

#[test]
fn other_parameters_are_another_init_segment_and_another_period() {
    let storage = Memory::default();
    record(&storage, 0, false);
    tell(&storage, timeline(&other_parameters()), false);
    let bench = Bench::with(storage, on_air(None));
    let text = bench.get(VIDEO).text().to_owned();
    assert!(text.contains("#EXT-X-MAP:URI=\"Fragments(video=i,format=m3u8-cmaf).mp4\""));
    assert!(
        text.contains("#EXT-X-MAP:URI=\"Fragments(video=i,format=m3u8-cmaf,part=1).mp4\""),
        "{text}"
    );
    let init = "show.ism/QualityLevels(2000000)/Fragments(video=i,format=m3u8-cmaf,part=1).mp4";
    assert_eq!(bench.get(init).body, "other");
    let mpd = bench
        .get("show.ism/manifest(format=mpd-time-cmaf)")
        .text()
        .to_owned();
    assert!(mpd.contains("<Period id=\"p0\" start=\"PT0S\">"));
    assert!(
        mpd.contains(&format!("<Period id=\"p1\" start=\"PT{}S\">", FIRST + 4)),
        "{mpd}"
    );
    assert!(mpd.contains(&format!(
        "presentationTimeOffset=\"{}\"",
        (FIRST + 4) * 90_000
    )));
    assert!(mpd.contains("Fragments(video=i,format=mpd-time-cmaf,part=1)"));
}

#[test]
fn a_period_is_listed_once_every_track_has_something_of_it() {
    let storage = Memory::default();
    record(&storage, 0, false);
    let periods = |storage: &Memory| {
        let bench = Bench::with(storage.clone(), on_air(None));
        let mpd = bench.get("show.ism/manifest(format=mpd-time-cmaf)");
        let text = mpd.text().to_owned();
        let (first, second) = text.split_once("<Period id=\"p1\"").unwrap_or((&text, ""));
        (
            count(first, "<AdaptationSet"),
            count(second, "<AdaptationSet"),
        )
    };
    let mpd = |changes: &[Change], low_latency| {
        tell(&storage, timeline(changes), low_latency);
        periods(&storage)
    };
    let all = other_parameters();
    let fifth =
        |change: &Change| matches!(change, Change::Row { number, .. } if *number == FIRST + 4);
    let begins = all.iter().position(fifth).unwrap();
    // The row and its pictures are there; its sound comes.
    let pictures = &all[..begins + 2];
    assert_eq!(mpd(pictures, false), (2, 0));
    let sound = &all[..begins + 3];
    assert_eq!(mpd(sound, false), (2, 2));

    // Of sound that grows one part is enough.
    let grows = [
        pictures,
        &[Change::Open {
            track: 1,
            number: FIRST + 4,
            start: (FIRST + 4) * 48_000,
            config: 0,
        }],
    ]
    .concat();
    assert_eq!(mpd(&grows, true), (2, 0));
    let part = Change::Part {
        track: 1,
        number: FIRST + 4,
        part: part(48_000, 0),
    };
    let begun = [&grows[..], &[part]].concat();
    assert_eq!(mpd(&begun, true), (2, 2));
    assert_eq!(
        mpd(&begun, false),
        (2, 0),
        "without low latency only what is complete is listed"
    );

    // Sound that does not come is not waited for, least of all where nothing follows.
    let lost = |change: &Change| matches!(change, Change::Whole { track: 1, number, .. } if *number >= FIRST + 4);
    let mut silent: Vec<Change> = all.iter().filter(|change| !lost(change)).cloned().collect();
    let film = Memory::default();
    record_all(&film, &silent, true);
    assert_eq!(periods(&film), (2, 1));
    silent.extend(rows(6..9, None).into_iter().filter(|change| !lost(change)));
    assert_eq!(mpd(&silent, false), (2, 1));
}

#[test]
fn a_recording_begins_with_its_first_picture_where_a_moment_of_sound_is_in_front_of_it() {
    /// Milliseconds between the first sound and the first picture; where the period begins in pictures and in sound.
    fn begins(later_ms: i64) -> (String, Vec<String>) {
        let mut changes = [tracks(), rows(0..3, None)].concat();
        for change in &mut changes {
            if let Change::Whole {
                track: 0, segment, ..
            } = change
            {
                segment.start = segment.start.checked_add_signed(later_ms * 90).unwrap();
            }
        }
        let storage = Memory::default();
        record_all(&storage, &changes, true);
        let bench = Bench::new(storage);
        let mpd = bench.get("show.ism/manifest(format=mpd-time-cmaf)");
        let offsets = attributes(mpd.text(), "presentationTimeOffset");
        let first = attributes(mpd.text(), " t").swap_remove(0);
        (first, offsets)
    }
    let (pictures, sound) = (FIRST * 90_000, FIRST * 48_000);
    let at = |ms: u64| {
        vec![
            (pictures + ms * 90).to_string(),
            (sound + ms * 48).to_string(),
        ]
    };
    assert_eq!(begins(1), ((pictures + 90).to_string(), at(1)));
    assert_eq!(begins(49).1, at(49));
    // That is more than a moment.
    assert_eq!(begins(50).1, at(0));
    // What comes later than the pictures is no reason to cut them.
    let before = vec![(pictures - 90).to_string(), (sound - 48).to_string()];
    assert_eq!(begins(-1), ((pictures - 90).to_string(), before));
}
