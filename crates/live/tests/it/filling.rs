//! What stands in for what an encoder does not send: tracks go on without a hole, and give way to who comes back.

use crate::support::*;
use headwater_live::engine::{Engine, Fill};
use headwater_live::reason::Drop;
use headwater_live::silence;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::{Timeline, TrackIndex};

pub(crate) const FILL: Fill = Fill {
    black: true,
    after_ms: 1_000,
    sound_bitrate: 128_000,
};

/// Lets time pass for `ms`, as a worker does: it makes the black pictures that are asked for.
fn pass(engine: &mut Engine, seen: &mut Seen, now: &mut i64, ms: i64) {
    for _ in 0..ms / 100 {
        *now += 100;
        engine.tick(*now);
        give(engine);
        seen.drain(engine);
    }
}

fn give(engine: &mut Engine) {
    for wanted in make_black(engine) {
        assert_eq!((wanted.step, wanted.pictures), (FRAME, 50));
        assert_eq!((wanted.width, wanted.height), (1280, 720));
    }
}

struct Show {
    engine: Engine,
    seen: Seen,
    now: i64,
}

impl Show {
    fn new(fill: Fill) -> Self {
        let mut engine = Engine::new(settings(), Timeline::default(), NOW);
        engine.set_fill(Some(fill));
        Self {
            engine,
            seen: Seen::default(),
            now: NOW,
        }
    }

    fn encoder(&mut self, source: u64, rates: &[u32], sound: bool) -> Encoder {
        Encoder::new(&mut self.engine, source, 0, self.now, rates, sound)
    }

    fn run(&mut self, encoder: &mut Encoder, frames: usize) {
        encoder.run(&mut self.engine, &mut self.seen, &mut self.now, frames);
        give(&mut self.engine);
    }

    fn pass(&mut self, ms: i64) {
        pass(&mut self.engine, &mut self.seen, &mut self.now, ms);
    }

    fn end(&mut self) {
        self.engine.end(self.now);
        self.seen.drain(&mut self.engine);
        self.seen.check();
    }

    /// Segments of a track follow each other.
    fn is_whole(&self, track: TrackIndex) {
        let segments: Vec<_> = self.seen.timeline.segments(track).collect();
        for pair in segments.windows(2) {
            let ((before, earlier), (after, later)) = (pair[0], pair[1]);
            // Black ends with a picture, wherever the next one begins.
            assert!(
                later.start.abs_diff(earlier.end()) <= FRAME as u64 / 2,
                "track {track}: {} ticks between {} and {}",
                later.start as i64 - earlier.end() as i64,
                before.number,
                after.number
            );
        }
    }

    /// Which rows of a track are black, oldest first.
    fn black_rows(&self, track: TrackIndex) -> Vec<u64> {
        let rows = self.seen.timeline.segments(track);
        let init = |config| {
            self.seen
                .timeline
                .config(track, config)
                .unwrap()
                .init
                .clone()
        };
        let black = rows.filter(|(_, segment)| init(segment.config) == b"black");
        black.map(|(row, _)| row.number).collect()
    }
}

#[test]
fn tracks_go_on_without_a_hole_and_give_way_to_who_comes_back() {
    let mut show = Show::new(FILL);
    let rates = [3_000_000, 800_000];
    let mut encoder = show.encoder(1, &rates, true);
    show.run(&mut encoder, 260);
    show.engine.disconnect(show.now, 1);
    show.pass(900);
    assert!(!show.engine.is_filled(Kind::Video) && !show.engine.is_filled(Kind::Audio));
    show.pass(9_100);
    assert!(show.engine.is_filled(Kind::Video) && show.engine.is_filled(Kind::Audio));
    let ahead = show.engine.ahead_ms(show.now);
    assert!((-500..=0).contains(&ahead), "{ahead} ms ahead");

    // Another clock, and a key frame first.
    let mut again = show.encoder(2, &rates, true);
    show.run(&mut again, 200);
    assert!(!show.engine.is_filled(Kind::Video) && !show.engine.is_filled(Kind::Audio));
    show.end();
    for track in [0, 1, 2] {
        show.is_whole(track);
    }
    assert_eq!(show.seen.starts(0), show.seen.starts(1));
    // Where black begins, and where it ends.
    assert_eq!(show.seen.discontinuities(), 2);
    let black = show.black_rows(0);
    assert!((5..=6).contains(&black.len()), "{black:?}");
    assert!(black.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert!(show.seen.drops.is_empty(), "{:?}", show.seen.drops);
    assert_eq!(show.seen.jumps, 0);
}

#[test]
fn an_encoder_whose_clock_ran_on_finds_its_place_free() {
    let mut show = Show::new(FILL);
    let mut encoder = show.encoder(1, &[3_000_000], true);
    show.run(&mut encoder, 260);
    show.pass(3_000);
    // It is a stalled connection that goes on with what is made now.
    encoder.frame += 75;
    encoder.sound += 75 * 40 * 48 / 1024 + 1;
    show.run(&mut encoder, 200);
    show.end();
    show.is_whole(0);
    // Pictures in the middle of a group are no use after black: it stays until the next key frame.
    let useless = show.seen.drops.iter().filter(|drop| **drop == Drop::NoSync);
    assert_eq!(
        useless.count(),
        0,
        "told of as dropped only where something is missing"
    );
    assert_eq!(show.seen.discontinuities(), 2);
    assert_eq!(show.black_rows(0).len(), 2);
}

#[test]
fn silence_stands_in_while_pictures_go_on_and_is_no_discontinuity() {
    let mut show = Show::new(FILL);
    let mut encoder = show.encoder(1, &[3_000_000], true);
    let index = encoder.audio.unwrap();
    show.run(&mut encoder, 260);
    encoder.audio = None;
    show.run(&mut encoder, 200);
    assert!(show.engine.is_filled(Kind::Audio) && !show.engine.is_filled(Kind::Video));
    encoder.audio = Some(index);
    encoder.sound = encoder.frame * 40 * 48 / 1024;
    show.run(&mut encoder, 200);
    assert!(!show.engine.is_filled(Kind::Audio));
    show.end();
    show.is_whole(0);
    show.is_whole(index);
    assert_eq!(show.seen.discontinuities(), 0);
    let silence = silence::of(&audio()).unwrap().bytes;
    let media: Vec<u8> = show
        .seen
        .media
        .iter()
        .filter(|((track, _), _)| *track == index)
        .flat_map(|(_, parts)| parts.iter().flatten().copied())
        .collect();
    let frames = media
        .windows(silence.len())
        .filter(|window| *window == silence);
    // Eight seconds, less what came.
    assert!((350..=380).contains(&frames.count()));
}

#[test]
fn pictures_without_sound_get_a_track_of_silence_from_the_first_row_on() {
    let mut show = Show::new(FILL);
    let mut encoder = show.encoder(1, &[3_000_000, 1_000_000], false);
    show.run(&mut encoder, 300);
    let tracks = &show.seen.timeline.tracks;
    assert_eq!(
        (tracks.len(), tracks[2].kind, tracks[2].bitrate),
        (3, Kind::Audio, 128_000)
    );
    show.end();
    for track in [0, 1, 2] {
        show.is_whole(track);
    }
    assert_eq!(show.seen.discontinuities(), 0);
    let rows = |track| {
        show.seen
            .timeline
            .segments(track)
            .map(|(row, _)| row.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(0), rows(2));
}

#[test]
fn what_comes_back_is_another_period_until_there_were_very_many() {
    let mut show = Show::new(FILL);
    let mut source = 0;
    let mut seen = Vec::new();
    for _ in 0..24 {
        source += 1;
        let mut encoder = show.encoder(source, &[3_000_000], false);
        show.run(&mut encoder, 60);
        show.engine.disconnect(show.now, source);
        show.pass(3_000);
    }
    for (_, segment) in show.seen.timeline.segments(0) {
        if seen.last() != Some(&segment.config) {
            seen.push(segment.config);
        }
    }
    // Forty-eight changes between two configurations: none comes twice among any thirty in a row.
    assert!(seen.len() >= 46, "{seen:?}");
    for thirty in seen.windows(30) {
        let different: std::collections::BTreeSet<_> = thirty.iter().collect();
        assert_eq!(different.len(), 30, "{seen:?}");
    }
    assert!(show.seen.timeline.tracks[0].configs.len() <= 33);
}

#[test]
fn nothing_stands_in_that_was_not_asked_for() {
    for (fill, tracks) in [
        (None, 2),
        (
            Some(Fill {
                black: false,
                ..FILL
            }),
            2,
        ),
    ] {
        let mut show = Show::new(FILL);
        show.engine.set_fill(fill);
        let mut encoder = show.encoder(1, &[3_000_000], true);
        show.run(&mut encoder, 130);
        show.engine.disconnect(show.now, 1);
        show.pass(6_000);
        show.end();
        assert_eq!(show.seen.timeline.tracks.len(), tracks);
        assert!(show.black_rows(0).is_empty());
        assert_eq!(show.seen.starts(0).len(), 3);
    }
}

#[test]
fn a_rendition_that_was_given_up_before_stays_away() {
    let mut show = Show::new(FILL);
    let mut both = show.encoder(1, &[3_000_000, 800_000], true);
    show.run(&mut both, 100);
    let second = both.video.pop().unwrap();
    show.run(&mut both, 500);
    show.engine.disconnect(show.now, 1);
    show.pass(5_000);
    show.end();
    assert_eq!(show.seen.starts(second).len(), 2);
    assert!(show.black_rows(second).is_empty());
    assert!(!show.black_rows(0).is_empty());
}

#[test]
fn a_worker_that_was_away_goes_on_with_what_stands_in() {
    let mut show = Show::new(FILL);
    let mut encoder = show.encoder(1, &[3_000_000], true);
    show.run(&mut encoder, 260);
    show.pass(4_000);
    let mut kept = show.engine.timeline().clone();
    kept.drop_incomplete();
    show.now += 3_000;
    show.engine = Engine::new(settings(), kept.clone(), show.now);
    show.engine.set_fill(Some(FILL));
    show.seen = Seen {
        timeline: kept,
        ..Seen::default()
    };
    show.pass(6_000);
    show.end();
    show.is_whole(0);
    let starts = show.seen.starts(0);
    assert!(starts.len() > 8 && starts.windows(2).all(|pair| pair[1] - pair[0] <= 180_001));
}

#[test]
fn other_parameters_that_were_announced_meanwhile_are_taken_on() {
    let mut show = Show::new(FILL);
    let mut encoder = show.encoder(1, &[3_000_000], true);
    show.run(&mut encoder, 130);
    show.engine.disconnect(show.now, 1);
    show.pass(4_000);
    let mut again = show.encoder(2, &[3_000_000], true);
    let other = StreamConfig {
        init: b"other".to_vec(),
        ..video()
    };
    let index = show
        .engine
        .announce(show.now, 2, "video", 3_000_000, other)
        .unwrap();
    assert_eq!(index, again.video[0]);
    show.run(&mut again, 130);
    show.end();
    show.is_whole(0);
    let (_, last) = show.seen.timeline.segments(0).last().unwrap();
    assert_eq!(
        show.seen.timeline.config(0, last.config).unwrap().init,
        b"other"
    );
}

#[test]
fn an_encoder_that_goes_on_where_it_stopped_is_placed_anew() {
    let mut show = Show::new(FILL);
    let mut encoder = show.encoder(1, &[3_000_000, 800_000], true);
    show.run(&mut encoder, 130);
    // A connection that stalled, and lost nothing: from now on it is five seconds behind.
    show.pass(5_000);
    show.run(&mut encoder, 250);
    assert!(!show.engine.is_filled(Kind::Video) && !show.engine.is_filled(Kind::Audio));
    let ahead = show.engine.ahead_ms(show.now);
    assert!((-500..=0).contains(&ahead), "{ahead} ms ahead");
    show.end();
    show.is_whole(0);
    show.is_whole(1);
    assert_eq!(show.seen.discontinuities(), 2);
    // Two seconds of its own until that is clear, and what is left of a group.
    assert!((3..=5).contains(&show.black_rows(0).len()));
}

#[test]
fn black_is_made_anew_for_another_size_and_not_for_another_codec() {
    let mut show = Show::new(FILL);
    let mut encoder = show.encoder(1, &[3_000_000], false);
    show.run(&mut encoder, 60);
    for (codec, width, height, asked) in [
        ("avc1.64001f", 1280, 720, 0),
        ("avc1.64001f", 640, 360, 1),
        ("hvc1.1.6.L93.90", 640, 360, 0),
        ("avc1.64001f", 640, 360, 1),
    ] {
        let stream = StreamConfig {
            codec: codec.into(),
            init: format!("{codec} {width}").into_bytes(),
            width,
            height,
            ..video()
        };
        let announced = show
            .engine
            .announce(show.now, 1, "video", 3_000_000, stream);
        assert_eq!(announced, Ok(encoder.video[0]));
        // Its first key frame is the next group's.
        encoder.run(&mut show.engine, &mut show.seen, &mut show.now, 60);
        let wanted = make_black(&mut show.engine);
        assert_eq!(wanted.len(), asked, "{codec} {width}");
        assert!(
            wanted
                .iter()
                .all(|wanted| (wanted.width, wanted.height) == (width, height))
        );
    }
}
