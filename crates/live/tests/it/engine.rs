//! Encoders in simulated time: what they send becomes a timeline without holes, whatever they do.

use crate::support::*;
use bytes::Bytes;
use headwater_live::archive::{Recording, parse_page};
use headwater_live::engine::{AccessUnit, Engine, Output};
use headwater_live::journal;
use headwater_live::reason::{Drop, Reason};
use headwater_live::timeline::{Change, Timeline, clock_of_ticks};
use headwater_time::Timescale;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn renditions_and_sound_are_cut_together_and_nothing_is_missing() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(
        &mut engine,
        1,
        12_345 * 90,
        now,
        &[3_000_000, 800_000],
        true,
    );
    encoder.run(&mut engine, &mut seen, &mut now, 50 * 5 + 10);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert!(seen.drops.is_empty() && seen.jumps == 0, "{:?}", seen.drops);
    let starts = seen.starts(0);
    assert_eq!(starts.len(), 6);
    assert_eq!(starts, seen.starts(1));
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 180_000));
    for (row, segment) in seen.timeline.segments(2) {
        let off = clock_of_ticks(segment.start, Timescale::new(48_000).unwrap()) - row.start;
        assert!(
            (0..1_921 + 90).contains(&off),
            "sound begins {off} ticks after its row"
        );
    }
    let sound = seen
        .timeline
        .segments(2)
        .map(|(_, s)| s)
        .collect::<Vec<_>>();
    assert!(sound.windows(2).all(|pair| pair[0].end() == pair[1].start));
    // Every part of a segment but the last is as long as promised, and the last is no crumb.
    for track in [0, 2] {
        let segments = seen.timeline.segments(track);
        let whole = segments.take(5).collect::<Vec<_>>();
        for (_, segment) in whole {
            let scale = seen.timeline.config(track, 0).unwrap().timescale.get();
            let (last, rest) = segment.parts.split_last().unwrap();
            let ms = |ticks: u32| u64::from(ticks) * 1000 / u64::from(scale);
            assert!(
                rest.iter()
                    .all(|part| (323..=380).contains(&ms(part.duration)))
            );
            assert!((190..=380).contains(&ms(last.duration)));
        }
    }
    assert_eq!(seen.numbers[0], NOW as u64 / 2_000);
    assert_eq!(seen.discontinuities(), 0);
}

#[test]
fn what_an_encoder_had_waiting_makes_nothing_late() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    // A second of it at once, then as it is made.
    for _ in 0..25 {
        encoder.step(&mut engine, now);
    }
    encoder.run(&mut engine, &mut seen, &mut now, 100);
    assert!(
        (-80..=0).contains(&engine.ahead_ms(now)),
        "{} ms ahead",
        engine.ahead_ms(now)
    );
    let first = seen.timeline.rows.front().unwrap().start;
    // Where it is shown, a picture after it is decoded.
    assert_eq!(first, (NOW - 960) * 90);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert!(seen.drops.is_empty() && seen.jumps == 0 && seen.discontinuities() == 0);
}

#[test]
fn an_encoder_that_catches_up_for_a_second_makes_nothing_late_either() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    // Two seconds in five quarters of one.
    for _ in 0..50 {
        encoder.step(&mut engine, now);
        now += 25;
    }
    encoder.run(&mut engine, &mut seen, &mut now, 100);
    assert!(
        (-80..=0).contains(&engine.ahead_ms(now)),
        "{} ms ahead",
        engine.ahead_ms(now)
    );
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert!(seen.drops.is_empty() && seen.jumps == 0 && seen.discontinuities() == 0);
}

#[test]
fn who_sends_a_file_is_not_waited_for() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    for _ in 0..100 {
        encoder.step(&mut engine, now);
        now += 2;
    }
    seen.drain(&mut engine);
    assert!(!seen.timeline.rows.is_empty(), "after {} ms", now - NOW);
}

#[test]
fn tracks_are_counted_from_their_first_data_on() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let most = settings().limits.video_tracks;
    // All within a moment, before it is known where the clock is placed.
    for at in 0..=most {
        let rate = 1_000_000 + at as u32;
        let announced = engine.announce(NOW, 1, "video", rate, video());
        if at == most {
            assert_eq!(announced, Err(Reason::TooManyQualities));
            break;
        }
        let unit = AccessUnit {
            dts: 0,
            pts: 0,
            sync: true,
            bytes: Bytes::from_static(b"picture"),
        };
        engine.push(NOW, 1, announced.unwrap(), unit).unwrap();
    }
}

#[test]
fn an_encoder_that_comes_back_with_its_clock_makes_no_discontinuity() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 130);
    engine.disconnect(now, 1);
    // It kept what it could not send, and sends the last seconds again.
    now += 1_500;
    engine.tick(now);
    let mut again = Encoder::new(&mut engine, 2, 0, now, &[3_000_000], true);
    again.frame = 100;
    again.sound = 100 * 40 * 48 / 1024;
    again.run(&mut engine, &mut seen, &mut now, 200);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert_eq!(seen.discontinuities(), 0);
    assert!(
        seen.drops
            .iter()
            .all(|drop| matches!(drop, Drop::Overlap | Drop::NonIncreasing))
    );
    assert!(
        seen.starts(0)
            .windows(2)
            .all(|pair| pair[1] - pair[0] == 180_000)
    );
}

#[test]
fn an_encoder_that_comes_back_late_with_its_clock_is_one_discontinuity() {
    for (sent, from) in [(123, 150), (130, 157)] {
        let mut engine = Engine::new(settings(), Timeline::default(), NOW);
        let (mut seen, mut now) = (Seen::default(), NOW);
        let rates = [3_000_000, 1_000_000];
        let mut encoder = Encoder::new(&mut engine, 1, 0, now, &rates, true);
        encoder.run(&mut engine, &mut seen, &mut now, sent);
        engine.disconnect(now, 1);
        // More than a second is missing.
        now += 1_080;
        engine.tick(now);
        let mut again = Encoder::new(&mut engine, 2, 0, now, &rates, true);
        again.frame = from;
        again.sound = from * 40 * 48 / 1024;
        again.run(&mut engine, &mut seen, &mut now, 200);
        engine.end(now);
        seen.drain(&mut engine);
        seen.check();
        assert_eq!(seen.discontinuities(), 1, "{sent} {from}");
    }
}

#[test]
fn an_encoder_that_comes_back_in_the_middle_of_a_row_waits_for_nothing() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let rates = [3_000_000, 1_000_000];
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &rates, true);
    encoder.run(&mut engine, &mut seen, &mut now, 104);
    engine.disconnect(now, 1);
    // Silent for so long that what it left is closed. It goes on where it was, its key frames are elsewhere now.
    for _ in 0..5 {
        now += 1_000;
        engine.tick(now);
    }
    let mut again = Encoder::new(&mut engine, 2, 109 * FRAME, now, &rates, true);
    again.run(&mut engine, &mut seen, &mut now, 120);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    seen.check_told(0);
    // Less than half a second is missing: players bridge it.
    assert_eq!(seen.discontinuities(), 0);
    let starts = seen.starts(0);
    let first = starts[0];
    let frames: Vec<u64> = starts.iter().map(|start| (start - first) / 3_600).collect();
    assert_eq!(frames, [0, 50, 100, 109, 159, 209]);
}

#[test]
fn sound_that_comes_back_before_the_pictures_is_not_put_before_the_hole() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 120);
    engine.disconnect(now, 1);
    now += 1_500;
    engine.tick(now);
    // Started anew: its clock begins somewhere else, and sound by three frames earlier.
    let mut again = Encoder::new(&mut engine, 2, 9_000_000, now, &[3_000_000], true);
    for early in (1..=3).rev() {
        let time = again.base - early * 1920;
        let unit = AccessUnit {
            dts: time,
            pts: time,
            sync: true,
            bytes: Bytes::from_static(b"early"),
        };
        engine.push(now, 2, again.audio.unwrap(), unit).unwrap();
    }
    again.run(&mut engine, &mut seen, &mut now, 200);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert_eq!(seen.discontinuities(), 1);
    let sound: Vec<_> = seen.timeline.segments(1).collect();
    // Two seconds and a few frames at most: none spans what is missing.
    assert!(sound.iter().all(|(_, segment)| segment.duration <= 99_072));
    let back = sound.iter().find(|(row, _)| row.discontinuity);
    let (row, segment) = back.unwrap();
    let early = row.start - clock_of_ticks(segment.start, Timescale::new(48_000).unwrap());
    assert!((0..=5_400).contains(&early), "{early}");
}

#[test]
fn pictures_that_wait_for_a_key_frame_too_long_are_missing() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[1_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 104);
    engine.disconnect(now, 1);
    for _ in 0..5 {
        now += 1_000;
        engine.tick(now);
    }
    // Without a hole, but in the middle of a group of pictures.
    let mut again = Encoder::new(&mut engine, 2, 0, now, &[1_000_000], true);
    (again.frame, again.sound) = (106, 106 * 40 * 48 / 1024);
    again.run(&mut engine, &mut seen, &mut now, 120);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    seen.check_told(0);
    assert_eq!(seen.discontinuities(), 1);
}

#[test]
fn an_encoder_that_starts_anew_is_a_discontinuity_and_time_goes_on() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 5_000_000, now, &[3_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 130);
    engine.disconnect(now, 1);
    now += 3_000;
    let mut again = Encoder::new(&mut engine, 2, 0, now, &[3_000_000], true);
    again.run(&mut engine, &mut seen, &mut now, 200);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert_eq!(seen.discontinuities(), 1);
    let broken = seen
        .timeline
        .rows
        .iter()
        .find(|row| row.discontinuity)
        .unwrap();
    assert_eq!(broken.segments.len(), 2);
    // 130 pictures and three seconds after the start, give or take how sound and picture came together.
    let after = broken.start - NOW * 90;
    assert!((after - (130 * 3_600 + 270_000)).abs() < 9_000, "{after}");
}

#[test]
fn what_breaks_all_renditions_is_one_discontinuity() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let rates = [3_000_000, 800_000, 200_000];
    let mut encoder = Encoder::new(&mut engine, 1, 5_000_000, now, &rates, true);
    encoder.run(&mut engine, &mut seen, &mut now, 130);
    engine.disconnect(now, 1);
    now += 3_000;
    let mut again = Encoder::new(&mut engine, 2, 0, now, &rates, true);
    again.run(&mut engine, &mut seen, &mut now, 200);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert_eq!(seen.discontinuities(), 1);
}

#[test]
fn a_rendition_that_rests_comes_back_where_a_row_begins_and_breaks_nothing() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000, 800_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 110);
    let large = encoder.video.remove(0);
    engine.rest(large);
    encoder.run(&mut engine, &mut seen, &mut now, 140);
    encoder.video.insert(0, large);
    encoder.run(&mut engine, &mut seen, &mut now, 110);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert_eq!((seen.discontinuities(), seen.jumps), (0, 0));
    assert!(seen.drops.is_empty(), "{:?}", seen.drops);
    let (one, all) = (seen.starts(0), seen.starts(1));
    // Two whole segments and what it had of the third; then from the sixth on.
    assert_eq!((one.len(), all.len()), (6, 8));
    assert_eq!((&one[..3], &one[3..]), (&all[..3], &all[5..]));
}

#[test]
fn either_of_a_redundant_pair_may_vanish() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut first = Encoder::new(&mut engine, 1, 900, now, &[3_000_000], true);
    let mut second = Encoder::new(&mut engine, 2, 900, now, &[3_000_000], true);
    for at in 0..300 {
        if at < 137 {
            first.step(&mut engine, now);
        }
        if at == 200 {
            engine.disconnect(now, 1);
        }
        second.step(&mut engine, now + 20);
        seen.drain(&mut engine);
        now += 40;
        engine.tick(now);
    }
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert_eq!((seen.discontinuities(), seen.jumps), (0, 0));
    assert!(seen.drops.iter().all(|drop| *drop == Drop::Duplicate));
    assert!(
        seen.starts(0)
            .windows(2)
            .all(|pair| pair[1] - pair[0] == 180_000)
    );
}

#[test]
fn sound_alone_makes_rows() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[], true);
    encoder.run(&mut engine, &mut seen, &mut now, 300);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert!(seen.starts(0).len() >= 6, "{:?}", seen.starts(0));
}

#[test]
fn changed_parameters_begin_a_row_with_a_configuration_of_its_own() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 100);
    let mut changed = video();
    changed.init = b"another".to_vec();
    engine
        .announce(now, 1, "video", 3_000_000, changed)
        .unwrap();
    encoder.run(&mut engine, &mut seen, &mut now, 100);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    let configs: Vec<(u16, bool)> = seen
        .timeline
        .segments(0)
        .map(|(row, segment)| (segment.config, row.discontinuity))
        .collect();
    assert_eq!(configs, [(0, false), (0, false), (1, true), (1, false)]);
}

#[test]
fn a_restarted_worker_goes_on_with_the_next_number() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 120);
    // Killed while it wrote: the last record is torn.
    let mut torn = seen.journal.clone().unwrap();
    torn.truncate(torn.len() - 3);
    let mut read = journal::read(&torn).unwrap();
    assert!(read.good < torn.len());
    // Nothing is left of one track's last segment, and of the other's all but a byte of its last part.
    let last = seen.timeline.rows.back().unwrap().clone();
    let [pictures, sound] = [&last.segments[&0], &last.segments[&1]];
    assert!(!pictures.complete && pictures.parts.len() > 1 && !sound.complete);
    let there = |track, number| match (track, number == last.number) {
        (1, true) => 0,
        _ => pictures.size() - 1,
    };
    let grew = read.timeline.close_what_grew(there);
    let kept = &read.timeline.rows.back().unwrap().segments;
    let parts = pictures.parts.len() - 1;
    let end = pictures.parts[parts].offset;
    assert_eq!(kept[&0].parts, pictures.parts[..parts]);
    assert_eq!((kept[&0].duration, kept[&0].complete), (end, true));
    assert_eq!(
        grew,
        [(0, last.number, kept[&0].size()), (1, last.number, 0)]
    );
    assert!(!kept.contains_key(&1));
    let mut engine = Engine::new(settings(), read.timeline.clone(), now);
    let mut after = Seen {
        timeline: read.timeline,
        ..Seen::default()
    };
    now += 2_000;
    // The encoder runs on with its clock.
    encoder.source = 9;
    engine
        .announce(now, 9, "video", 3_000_000, video())
        .unwrap();
    engine.announce(now, 9, "audio", 128_000, audio()).unwrap();
    encoder.run(&mut engine, &mut after, &mut now, 150);
    engine.end(now);
    after.drain(&mut engine);
    after.check();
    assert!(after.numbers[0] > seen.numbers[seen.numbers.len() - 2]);
    assert!(
        after
            .timeline
            .rows
            .iter()
            .zip(after.timeline.rows.iter().skip(1))
            .all(|(a, b)| b.number == a.number + 1)
    );
    assert_eq!(after.discontinuities(), 1);
}

#[test]
fn a_recording_is_found_by_head_and_page_and_can_be_trimmed() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let mut recording = Recording::default();
    let mut pages = BTreeMap::new();
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], false);
    for _ in 0..50 * 150 {
        encoder.step(&mut engine, now);
        now += 40;
        engine.tick(now);
        let mut changes = Vec::new();
        while let Some(output) = engine.poll() {
            if let Output::Change(change) = output {
                seen.timeline.apply(&change).unwrap();
                changes.push(match change {
                    Change::Close { track, number, .. } => Change::Whole {
                        track,
                        number,
                        segment: engine.segment(track, number).unwrap().clone(),
                    },
                    other => other,
                });
            }
        }
        for change in changes {
            recording.apply(&change).unwrap();
        }
        if let Some(page) = recording.seal("m", engine.settled()) {
            pages.insert(page.name, page.bytes);
        }
    }
    assert_eq!(recording.pages.len(), 2);
    let head = recording.head("m");
    let read = Recording::parse(&head.bytes).unwrap();
    assert_eq!(read, recording);
    let wanted = &seen.timeline.rows[70];
    let page = read.page_at(wanted.start + 5).unwrap();
    let rows = parse_page(&pages[&format!("m.live/{}", page.first)]).unwrap();
    assert!(rows.contains(wanted));
    let newest = seen.timeline.rows.len() - 2;
    assert_eq!(read.page_at(seen.timeline.rows[newest].start), None);
    let gone = recording.trim(wanted.number);
    assert_eq!(gone.len(), 1);
    assert_eq!(recording.first_row(), Some(wanted.number));
    let mut damaged = head.bytes;
    *damaged.last_mut().unwrap() ^= 1;
    assert!(Recording::parse(&damaged).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_encoders_do_times_and_numbers_go_forward(
        acts in prop::collection::vec((0_u8..10, 1_usize..120, -400_000_i64..400_000), 1..14),
        sound: bool,
        filled: bool,
    ) {
        let mut engine = Engine::new(settings(), Timeline::default(), NOW);
        engine.set_fill(filled.then_some(crate::filling::FILL));
        let (mut seen, mut now) = (Seen::default(), NOW);
        let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000, 900_000], sound);
        let mut source = 1;
        for (act, frames, jump) in acts {
            make_black(&mut engine);
            match act {
                // Pictures and sound that never came.
                0 => encoder.frame += frames as i64,
                1 => encoder.sound += frames as i64,
                // The clock jumps.
                2 => encoder.base += jump,
                // Time without data.
                3 => {
                    now += frames as i64 * 100;
                    engine.tick(now);
                }
                // Another connection.
                4 => {
                    engine.disconnect(now, source);
                    source += 1;
                    let base = if jump > 0 { 0 } else { encoder.base };
                    let (frame, sounds) = (encoder.frame, encoder.sound);
                    encoder = Encoder::new(&mut engine, source, base, now, &[3_000_000, 900_000], sound);
                    if jump < 0 {
                        (encoder.frame, encoder.sound) = (frame, sounds);
                    }
                }
                5 => {
                    let mut stream = video();
                    stream.init = vec![frames as u8 % 3];
                    engine.announce(now, source, "video", 900_000, stream).unwrap();
                }
                6 if sound => {
                    let mut stream = audio();
                    stream.init = vec![frames as u8 % 3];
                    stream.timescale = Timescale::new(if frames % 2 == 0 { 48_000 } else { 44_100 }).unwrap();
                    encoder.audio = Some(engine.announce(now, source, "audio", 128_000, stream).unwrap());
                }
                _ => encoder.run(&mut engine, &mut seen, &mut now, frames),
            }
        }
        engine.end(now);
        seen.drain(&mut engine);
        seen.check();
    }

    #[test]
    fn readers_survive_anything(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..400, value: u8) {
        let _ = journal::read(&bytes);
        let _ = Recording::parse(&bytes);
        let _ = parse_page(&bytes);
        let mut head = Recording::default().head("m").bytes;
        if let Some(byte) = head.get_mut(at) {
            *byte = value;
        }
        let _ = Recording::parse(&head);
    }
}
