//! Rows by segments of transport streams: what numbers mean stays, whatever becomes of the rows.

use headwater_live::archive::{PAGE_ROWS, Recording, parse_page};
use headwater_live::edge::Snapshot;
use headwater_live::group::{MOST_ROWS, RowsPerSegment};
use headwater_live::journal;
use headwater_live::timeline::{Change, Timeline};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Rows of two seconds.
const STEP: i64 = 180_000;

fn row(number: u64, discontinuity: bool) -> Change {
    Change::Row {
        number,
        start: i64::try_from(number).unwrap() * STEP,
        discontinuity,
    }
}

fn lengths() -> Vec<RowsPerSegment> {
    let lengths = (1..=u32::from(MOST_ROWS)).map(RowsPerSegment::new);
    lengths.map(Option::unwrap).collect()
}

#[test]
fn an_output_has_one_to_ten_rows_in_a_segment() {
    assert_eq!(RowsPerSegment::new(0), None);
    assert_eq!(RowsPerSegment::new(11), None);
    assert_eq!(RowsPerSegment::new(257), None);
    let lengths: Vec<u8> = lengths().into_iter().map(RowsPerSegment::get).collect();
    assert_eq!(lengths, (1..=10).collect::<Vec<u8>>());
}

#[test]
fn the_picture_at_the_head_of_the_module_is_right() {
    let three = RowsPerSegment::new(3).unwrap();
    let mut timeline = Timeline::default();
    for number in 7..16 {
        timeline.apply(&row(number, number == 10)).unwrap();
    }
    let number = |row| timeline.segment_number(row, three);
    assert_eq!(
        (7..16).map(number).collect::<Vec<_>>(),
        [2, 2, 3, 4, 4, 5, 5, 5, 6]
    );
    let begins = timeline.rows.iter().filter(|row| three.begins(row));
    assert_eq!(
        begins.map(|row| row.number).collect::<Vec<_>>(),
        [9, 10, 12, 15]
    );
    assert_eq!(three.stretch(14), 12);
}

/// Numbers of the segments that rows are in: one more wherever one begins.
fn expected(rows: &[(u64, bool)], length: RowsPerSegment) -> BTreeMap<u64, u64> {
    let each = u64::from(length.get());
    let mut last = None;
    let numbers = rows.iter().map(|(number, discontinuity)| {
        let begins = *discontinuity || number % each == 0;
        let own = match last {
            // The first of all may be in the middle of a stretch.
            None => number / each + u64::from(*discontinuity && number % each != 0),
            Some(last) => last + u64::from(begins),
        };
        last = Some(own);
        (*number, own)
    });
    numbers.collect()
}

proptest! {
    #[test]
    fn segments_keep_their_numbers(
        first in 0_u64..100,
        breaks in prop::collection::vec(prop::bool::weighted(0.15), 1..300),
        begins in 0_usize..300,
        trims in prop::collection::vec(0_usize..300, 0..4),
        shown in 1_usize..80,
    ) {
        let rows: Vec<(u64, bool)> = (first..).zip(breaks).collect();
        let lengths = lengths();
        let all: Vec<_> = lengths.iter().map(|length| (*length, expected(&rows, *length))).collect();
        let check = |timeline: &Timeline| {
            for (length, numbers) in &all {
                for row in &timeline.rows {
                    assert_eq!(timeline.segment_number(row.number, *length), numbers[&row.number]);
                }
            }
            for row in &timeline.rows {
                let before = rows.iter().filter(|(number, broken)| *broken && *number < row.number);
                assert_eq!(timeline.discontinuity_sequence(row.number), before.count() as u64);
            }
        };
        let (mut timeline, mut log) = (Timeline::default(), journal::snapshot(&Timeline::default()));
        let mut recording: Option<Recording> = None;
        let mut pages = Vec::new();
        for (at, (number, discontinuity)) in rows.iter().enumerate() {
            if at == begins {
                let mut begun = Recording { rows_per_segment: lengths[at % 10], ..Recording::default() };
                begun.open.next_number = timeline.next_number;
                begun.open.gone = timeline.gone_before(u64::MAX);
                recording = Some(begun);
            }
            let change = row(*number, *discontinuity);
            timeline.apply(&change).unwrap();
            log.extend(journal::record(&change).unwrap());
            if let Some(recording) = &mut recording {
                recording.apply(&change).unwrap();
                if let Some(page) = recording.seal("m", u64::MAX) {
                    pages.push(page.bytes);
                }
            }
            if trims.contains(&at) {
                let trim = Change::Trim { number: first + at as u64 / 2 };
                timeline.apply(&trim).unwrap();
                log.extend(journal::record(&trim).unwrap());
            }
        }
        check(&timeline);
        // As a worker that was killed finds it, and as it tells of it.
        let found = journal::read(&log).unwrap().timeline;
        prop_assert_eq!(&found, &timeline);
        let compact = journal::read(&journal::snapshot(&timeline)).unwrap().timeline;
        prop_assert_eq!(&compact, &timeline);
        let snapshot = Snapshot {
            generation: 1,
            now_ms: 0,
            interval_ms: 2_000,
            part_ms: 334,
            low_latency: false,
            timeline: timeline.tail(shown),
        };
        check(&Snapshot::parse(&snapshot.to_bytes()).unwrap().timeline);
        // What begins anew goes on.
        let mut anew = timeline.anew();
        let (last, _) = rows[rows.len() - 1];
        anew.apply(&row(last + 1, false)).unwrap();
        for (length, numbers) in &all {
            let more = u64::from((last + 1) % u64::from(length.get()) == 0);
            prop_assert_eq!(anew.segment_number(last + 1, *length), numbers[&last] + more);
        }
        if let Some(recording) = recording {
            let mut recording = Recording::parse(&recording.head("m").bytes).unwrap();
            check(&recording.open);
            // With the pages in front.
            prop_assert_eq!(recording.pages.len(), pages.len());
            for page in pages.iter().rev() {
                for row in parse_page(page).unwrap().into_iter().rev() {
                    recording.open.gone.give_back(&row);
                    recording.open.rows.push_front(row);
                }
                check(&recording.open);
            }
        }
    }

    #[test]
    fn nothing_that_is_one_segment_with_what_stays_is_deleted(
        first in 0_u64..100,
        count in 1_u64..400,
        length in 1_u32..=10,
        back in 0_u64..400,
    ) {
        let mut recording = Recording {
            rows_per_segment: RowsPerSegment::new(length).unwrap(),
            ..Recording::default()
        };
        for number in first..first + count {
            recording.apply(&row(number, false)).unwrap();
            recording.seal("m", u64::MAX);
        }
        let last = first + count - 1;
        let played = last.saturating_sub(back).max(first);
        let clock = i64::try_from(played).unwrap() * STEP;
        // The page that has it, unless it is among the open rows.
        let page = (played - first) / PAGE_ROWS as u64;
        let page = (page < recording.pages.len() as u64).then(|| first + page * PAGE_ROWS as u64);
        let needed = page.map(|page| page - page % u64::from(length));
        let needed = needed.filter(|needed| *needed > first);
        prop_assert_eq!(recording.needed_from(clock), needed);
        if let Some(needed) = needed {
            for page in recording.trim(needed) {
                prop_assert!(page.first + PAGE_ROWS as u64 <= needed);
            }
            prop_assert_eq!(recording.first_row(), Some(needed));
            prop_assert!(recording.page_of(needed).is_some());
            prop_assert_eq!(recording.needed_from(clock), None);
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A track with a row of media and an empty one that is a discontinuity; three discontinuities are gone.
const TIMELINE_1: &str = "
    010000000005000000766964656f80841e00010000000b000000617663312e363430303166905f010000050000d002000000000000000004000000
    696e69740300000000000000480000000000000000020000004600000000000000c042c0000000000000010000000000c042c0000000000020bf02
    00000001010000000000000020bf02008403000064000000014700000000000000e001c300000000000100000000";

#[test]
fn what_version_1_wrote_is_read() {
    // A head whose rows begin with 6, which a page begins with that has two discontinuities.
    let head = "48574c4801008bcf9373c2000000 0600000000000000 01000000 0600000000000000c07a1000000000000200";
    let recording = Recording::parse(&bytes(&format!("{head}{TIMELINE_1}"))).unwrap();
    assert_eq!(recording.rows_per_segment, RowsPerSegment::ONE);
    assert_eq!(recording.first, Some(6));
    assert_eq!(recording.pages.len(), 1);
    assert_eq!(
        (recording.pages[0].first, recording.pages[0].start),
        (6, 6 * STEP)
    );
    let journal = format!("48574c4a01007a2df5f5a4000000{TIMELINE_1}");
    let timeline = journal::read(&bytes(&journal)).unwrap().timeline;
    assert_eq!(timeline, recording.open);
    let snapshot = format!(
        "48574c4501000c2ec115b9000000 01000000 0500000000000000 d0070000 4e010000 01{TIMELINE_1}"
    );
    let snapshot = Snapshot::parse(&bytes(&snapshot)).unwrap();
    assert_eq!(
        (snapshot.timeline, snapshot.interval_ms),
        (timeline.clone(), 2_000)
    );
    assert_eq!(timeline.tracks[0].configs[0].init, b"init");
    let numbers: Vec<u64> = timeline.rows.iter().map(|row| row.number).collect();
    assert_eq!((numbers, timeline.next_number), (vec![70, 71], Some(72)));
    assert_eq!(timeline.rows[0].segments[&0].size(), 900);
    assert_eq!(timeline.discontinuity_sequence(72), 4);
    assert_eq!(timeline.segment_number(71, RowsPerSegment::ONE), 71);
    // It goes on in the new version, as it was.
    assert_eq!(
        Recording::parse(&recording.head("m").bytes).unwrap(),
        recording
    );
    let later = bytes(&format!("48574c4804008bcf9373c2000000{TIMELINE_1}"));
    let unknown = Recording::parse(&later).unwrap_err();
    assert!(matches!(
        unknown,
        headwater_live::LiveError::Version { version: 4, .. }
    ));
}
