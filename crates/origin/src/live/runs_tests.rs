//! Playlists of an event that goes on: what they say of a segment stays what it is.

use super::*;
use crate::live::show::{Span, join};
use headwater_live::archive::{Recording, parse_page};
use headwater_live::edge::Snapshot;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Change, Config, Part, Row, Timeline, TrackIndex};
use headwater_time::Timescale;
use proptest::prelude::*;
use std::collections::BTreeMap;

const STEP: i64 = 180_000;

/// What a track has in a row: the configuration, if anything.
type Has = Option<u16>;

/// A row of the event.
#[derive(Debug, Clone, Copy)]
struct Step {
    discontinuity: bool,
    has: [Has; 2],
}

fn step() -> impl Strategy<Value = Step> {
    let has = || {
        prop_oneof![
            8 => Just(Some(0_u16)),
            1 => Just(None),
            1 => Just(Some(1)),
        ]
    };
    (prop::bool::weighted(0.12), has(), has()).prop_map(|(discontinuity, a, b)| Step {
        discontinuity,
        has: [a, b],
    })
}

fn tracks() -> Vec<Change> {
    let config = || Config {
        codec: "avc1.64001f".into(),
        timescale: Timescale::MPEG,
        width: 0,
        height: 0,
        sample_rate: 0,
        channels: 0,
        init: Vec::new(),
    };
    let of = |track: TrackIndex| {
        let named = Change::Track {
            kind: Kind::Video,
            name: "video".into(),
            bitrate: u32::from(track) + 1,
            language: None,
        };
        let config = || Change::Config {
            track,
            config: config(),
        };
        [named, config(), config()]
    };
    [of(0), of(1)].concat()
}

fn row(number: u64, step: Step) -> Vec<Change> {
    let start = i64::try_from(number).unwrap() * STEP;
    let mut changes = vec![Change::Row {
        number,
        start,
        discontinuity: step.discontinuity,
    }];
    for (track, has) in (0..).zip(step.has) {
        changes.extend(has.map(|config| Change::Whole {
            track,
            number,
            segment: Segment {
                start: u64::try_from(start).unwrap(),
                duration: 180_000,
                config,
                parts: vec![Part {
                    offset: 0,
                    duration: 180_000,
                    size: 10,
                    header: 5,
                    independent: true,
                }],
                complete: true,
            },
        }));
    }
    changes
}

/// What an event, its worker and storage have.
struct Event {
    rows_per_segment: RowsPerSegment,
    timeline: Timeline,
    recording: Recording,
    pages: Vec<Vec<Row>>,
}

impl Event {
    fn new(rows_per_segment: RowsPerSegment) -> Self {
        let mut event = Self {
            rows_per_segment,
            timeline: Timeline::default(),
            recording: Recording {
                rows_per_segment,
                ..Recording::default()
            },
            pages: Vec::new(),
        };
        event.take(&tracks(), true);
        event
    }

    fn take(&mut self, changes: &[Change], recorded: bool) {
        for change in changes {
            self.timeline.apply(change).unwrap();
            if recorded {
                self.recording.apply(change).unwrap();
            }
        }
        if let Some(page) = self.recording.seal("m", u64::MAX) {
            self.pages.push(parse_page(&page.bytes).unwrap().into());
        }
    }

    /// As `serve` puts it together, of all pages.
    fn show(&self, told: Option<usize>, stored: bool, span: Span, window_ms: u64) -> Show {
        let snapshot = told.map(|rows| Snapshot {
            generation: 1,
            now_ms: 0,
            interval_ms: 2_000,
            part_ms: 334,
            low_latency: false,
            timeline: self.timeline.tail(rows),
        });
        let recording = stored.then_some(&self.recording);
        let pages = self.recording.pages.iter().copied();
        let pages = pages.zip(self.pages.iter().cloned());
        let timeline = join(snapshot.as_ref(), recording, pages.collect());
        let ended = stored && self.recording.open.ended;
        let begun = recording.filter(|recording| recording.first.is_none());
        let mut show = Show {
            interval_ms: 2_000,
            promised: snapshot.is_some(),
            part_ms: None,
            ended,
            window_ms,
            captions: None,
            rows_per_segment: self.rows_per_segment,
            begun: begun.and_then(Recording::first_row),
            closed: None,
            earlier: Vec::new(),
            keys_began: None,
            timeline,
        };
        show.cut(span);
        show
    }
}

/// What was said of a segment: the rows that it is, its discontinuity sequence and what its URL names.
type Said = (Vec<u64>, u64, Option<(u64, u64)>);

/// Holds what is said of a track against what was said before.
fn check(show: &Show, track: TrackIndex, known: &mut BTreeMap<u64, Said>) -> Vec<u64> {
    let lane = show.lane(track);
    let runs = show.runs(&lane);
    let mut numbers = Vec::new();
    for run in &runs {
        let rows: Vec<u64> = run.items.iter().map(|item| item.row.number).collect();
        assert!(rows.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert!(run.items.iter().skip(1).all(|item| !item.row.discontinuity));
        let breaks = show.timeline.discontinuity_sequence(rows[0]);
        let media = run.media().map(|media| (media.first.start, media.rows));
        if let Some((start, count)) = media {
            let first = start / 180_000;
            let named = first..first + count;
            assert!(
                rows.contains(&first) && rows.contains(&(named.end - 1)),
                "{named:?} {rows:?}"
            );
        }
        let said = (rows, breaks, media);
        let before = known.entry(run.number).or_insert_with(|| said.clone());
        // At the end of all, rows in which nothing came are not waited for.
        if !show.ended {
            assert_eq!(*before, said, "segment {}", run.number);
        } else {
            assert_eq!(
                (&before.1, &before.2, &before.0[0]),
                (&said.1, &said.2, &said.0[0]),
                "segment {}",
                run.number
            );
        }
        numbers.push(run.number);
    }
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_segment_is_the_same_in_every_reload(
        first in 0_u64..40,
        steps in prop::collection::vec(step(), 1..160),
        length in 1_u32..=10,
        told in 12_usize..80,
        every in 2_u64..7,
        window_rows in 20_u64..120,
        behind in prop_oneof![0_usize..5, 0_usize..100],
    ) {
        let length = RowsPerSegment::new(length).unwrap();
        let mut event = Event::new(length);
        let mut known = [BTreeMap::new(), BTreeMap::new()];
        let mut late: Vec<Vec<Change>> = Vec::new();
        for (number, step) in (first..).zip(&steps) {
            // Storage has rows some steps after the worker.
            let changes = row(number, *step);
            event.take(&changes, false);
            late.push(changes);
            if late.len() > behind {
                for change in late.remove(0) {
                    event.recording.apply(&change).unwrap();
                }
                if let Some(page) = event.recording.seal("m", u64::MAX) {
                    event.pages.push(parse_page(&page.bytes).unwrap().into());
                }
            }
            let window_ms = window_rows * 2_000;
            if number % every != 0 {
                continue;
            }
            for (track, known) in (0..).zip(&mut known) {
                check(&event.show(Some(told), true, Span::default(), u64::MAX), track, known);
                check(&event.show(Some(told), true, Span::default(), window_ms), track, known);
                check(&event.show(None, true, Span::default(), window_ms), track, known);
                // Without storage.
                check(&event.show(Some(told), false, Span::default(), window_ms), track, known);
            }
        }
        for change in late.into_iter().flatten().chain([Change::End]) {
            event.recording.apply(&change).unwrap();
        }
        let film = event.show(None, true, Span::default(), u64::MAX);
        for (track, known) in (0..).zip(&mut known) {
            let numbers = check(&film, track, known);
            // All that there ever was, up to the last that has something.
            let newest = known.iter().rev().find(|(_, said)| said.2.is_some());
            let newest = newest.map(|(number, _)| *number);
            prop_assert!(numbers.last().copied() >= newest);
            let oldest = known.keys().next().copied();
            prop_assert_eq!(numbers.first().copied().filter(|_| newest.is_some()), oldest.filter(|_| newest.is_some()));
        }
    }

    #[test]
    fn windows_show_whole_segments(
        first in 0_u64..40,
        steps in prop::collection::vec(step(), 1..200),
        length in 1_u32..=10,
        from in 0_i64..240,
        lasts in 1_i64..100,
        ended: bool,
    ) {
        let length = RowsPerSegment::new(length).unwrap();
        let mut event = Event::new(length);
        for (number, step) in (first..).zip(&steps) {
            event.take(&row(number, *step), true);
        }
        if ended {
            event.recording.apply(&Change::End).unwrap();
        }
        let told = (!ended).then_some(64);
        // In the middle of a row.
        let start = (i64::try_from(first).unwrap() + from) * STEP + STEP / 3;
        let end = start + lasts * STEP;
        let span = Span { start: Some(start), end: Some(end), ..Span::default() };
        let part = event.show(told, true, span, u64::MAX);
        let all = event.show(told, true, Span::default(), u64::MAX);
        for track in [0, 1] {
            let lane = all.lane(track);
            let runs = all.runs(&lane);
            let touches = runs.iter().filter(|run| {
                let rows = run.items.iter().map(|item| item.row.start);
                let (from, to) = (rows.clone().min().unwrap(), rows.max().unwrap() + STEP);
                to > start && from < end
            });
            let expected: Vec<_> = touches.map(|run| (run.number, run.media())).collect();
            let lane = part.lane(track);
            let runs = part.runs(&lane);
            let got: Vec<_> = runs.iter().map(|run| (run.number, run.media())).collect();
            let common = got.len().min(expected.len());
            prop_assert_eq!(&got[..common], &expected[..common]);
            // Once a window is over, what is missing at its end is not waited for any more.
            prop_assert!(expected[common..].iter().all(|(_, media)| media.is_none()), "{:?} {:?}", got, expected);
            prop_assert!(got.len() == common || part.ended && !all.ended, "{:?} {:?}", got, expected);
        }
    }
}
