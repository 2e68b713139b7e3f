//! Cues: told to the timeline, cut at, and put into media.

use crate::support::*;
use headwater_live::cue::{Body, ID3_SCHEME, Message, Role, SPLICE_SCHEME, Said, Signal};
use headwater_live::engine::Engine;
use headwater_live::journal;
use headwater_live::message::told;
use headwater_live::timeline::Timeline;

fn section() -> Vec<u8> {
    // ANSI/SCTE 35, 14.2.
    let hex = "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a0008435545490000013562dba30a";
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn signal(id: &str, time: i64, role: Role) -> Signal {
    Signal {
        id: id.to_owned(),
        time,
        duration: (role == Role::Out).then_some(2 * 90_000),
        cancel: false,
        body: Body::Splice {
            role,
            section: section(),
        },
    }
}

/// Presentation times of the splice messages in a part's front.
fn messages(mut bytes: &[u8]) -> Vec<i64> {
    let mut times = Vec::new();
    loop {
        let size = u32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize;
        match &bytes[4..8] {
            b"emsg" => times.push(i64::from_be_bytes(*bytes[16..].first_chunk().unwrap())),
            _ => return times,
        }
        bytes = &bytes[size..];
    }
}

#[test]
fn a_cue_is_told_cut_at_and_put_into_media() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let rates = [3_000_000, 1_000_000];
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &rates, true);
    // Before any media: where its clock is, is not known yet.
    engine.say(1, Said::Signal(signal("early", 8 * 90_000, Role::Other)));
    encoder.run(&mut engine, &mut seen, &mut now, 60);
    let zero = NOW * 90;
    // Where the encoder has no key frame, nothing can be cut.
    engine.say(1, Said::Signal(signal("a", 3 * 90_000, Role::Out)));
    // Here it makes one. Said twice, the second time a little off, it is one cue.
    encoder.extra = 130;
    let at = 131 * FRAME;
    engine.say(1, Said::Signal(signal("b", at, Role::Out)));
    engine.say(1, Said::Signal(signal("b", at + 90, Role::Out)));
    encoder.run(&mut engine, &mut seen, &mut now, 200);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    let cues = &seen.timeline.cues;
    let found: Vec<(&str, i64)> = cues
        .iter()
        .map(|cue| (cue.id.as_str(), cue.start - zero))
        .collect();
    assert_eq!(found, [("a", 3 * 90_000), ("b", at), ("early", 8 * 90_000)]);
    // Of what is regular nothing has moved.
    let rows: Vec<i64> = seen
        .timeline
        .rows
        .iter()
        .map(|row| row.start - zero)
        .collect();
    assert_eq!(
        rows,
        [1, 51, 101, 131, 151, 201, 251].map(|frame| frame * FRAME)
    );
    assert_eq!(
        seen.timeline.schemes,
        [(SPLICE_SCHEME.to_owned(), String::new())]
    );
    // Every segment that begins before a cue says it, in all tracks.
    for row in &seen.timeline.rows {
        for (track, segment) in &row.segments {
            let first = &seen.media[&(*track, row.number)][0];
            let own = messages(first);
            for cue in cues {
                // The second row had begun when it was said.
                let due = cue.start >= row.start && row.start > zero + 51 * FRAME;
                let told = own.contains(&cue.start);
                assert!(told || !due, "{} {}", row.number, cue.id);
                assert!(!told || cue.start >= row.start, "{} {}", row.number, cue.id);
            }
            assert_eq!(segment.parts[0].size as usize, first.len());
        }
    }
    // What is kept is what was.
    let read = journal::read(&journal::snapshot(&seen.timeline)).unwrap();
    assert_eq!(read.timeline, seen.timeline);
}

#[test]
fn what_is_cancelled_in_time_does_not_come_to_pass() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[1_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 60);
    engine.say(1, Said::Signal(signal("past", 90_000, Role::Out)));
    engine.say(1, Said::Signal(signal("past", 20 * 90_000, Role::Out)));
    let cancel = Signal {
        cancel: true,
        ..signal("past", 0, Role::Out)
    };
    engine.say(1, Said::Signal(cancel));
    seen.drain(&mut engine);
    let starts: Vec<i64> = seen.timeline.cues.iter().map(|cue| cue.start).collect();
    assert_eq!(starts, [(NOW + 1_000) * 90]);
}

#[test]
fn a_cancelled_break_leaves_no_cut_at_its_end() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[1_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 60);
    // The encoder makes a key frame where the break would end.
    encoder.extra = 180;
    let at = 131 * FRAME;
    engine.say(1, Said::Signal(signal("b", at, Role::Out)));
    let cancel = Signal {
        cancel: true,
        ..signal("b", 0, Role::Out)
    };
    engine.say(1, Said::Signal(cancel));
    encoder.run(&mut engine, &mut seen, &mut now, 200);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    let rows = seen.timeline.rows.iter();
    let rows: Vec<i64> = rows.map(|row| row.start - NOW * 90).collect();
    assert_eq!(rows, [1, 51, 101, 151, 201, 251].map(|frame| frame * FRAME));
    assert!(seen.timeline.cues.is_empty());
}

#[test]
fn all_tracks_say_a_message_once_and_in_the_same_row() {
    let mut engine = Engine::new(settings(), Timeline::default(), NOW);
    let (mut seen, mut now) = (Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000, 1_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 60);
    // At every place that a picture has in the rows, so also where one track has begun another row than the others.
    for frame in 60..180_u32 {
        let message = Message {
            scheme: ID3_SCHEME.to_owned(),
            value: String::new(),
            time: i64::from(frame) * FRAME,
            duration: None,
            id: frame,
            data: b"ID3 words".to_vec(),
        };
        engine.say(1, Said::Message(message));
        encoder.run(&mut engine, &mut seen, &mut now, 1);
    }
    encoder.run(&mut engine, &mut seen, &mut now, 60);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    let mut said: Vec<Vec<(u32, u64)>> = vec![Vec::new(); seen.timeline.tracks.len()];
    for ((track, row), parts) in &seen.media {
        let messages = parts.iter().flat_map(|part| told(part));
        let own = messages.filter(|message| message.scheme == ID3_SCHEME);
        said[usize::from(*track)].extend(own.map(|message| (message.id, *row)));
    }
    assert_eq!(said.len(), 3);
    for own in &mut said {
        own.sort_unstable();
    }
    let ids: Vec<u32> = said[0].iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (60..180).collect::<Vec<_>>());
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
}
