//! Several sounds of an event: which tracks they are, what language those are in, and that it is kept.

use crate::support::{Encoder, NOW, Seen, audio, settings};
use headwater_live::archive::Recording;
use headwater_live::edge::Snapshot;
use headwater_live::engine::{AccessUnit, Engine};
use headwater_live::group::RowsPerSegment;
use headwater_live::journal;
use headwater_live::reason::Reason;
use headwater_live::stream::StreamConfig;
use headwater_live::timeline::{Change, Timeline, Track};
use headwater_live::{smooth, ts};
use std::process::Command;

fn sound(language: Option<&str>) -> StreamConfig {
    StreamConfig {
        language: language.map(str::to_owned),
        ..audio()
    }
}

fn engine() -> Engine {
    Engine::new(settings(), Timeline::default(), NOW)
}

/// Names and languages.
fn named(tracks: &[Track]) -> Vec<(&str, Option<&str>)> {
    tracks
        .iter()
        .map(|track| (track.name.as_str(), track.language.as_deref()))
        .collect()
}

#[test]
fn sounds_of_an_encoder_are_tracks_of_their_own_and_of_a_pair_the_same() {
    let mut engine = engine();
    let mut announce = |source, line, language| {
        let name = ("audio", 128_000);
        engine.announce_line(NOW, source, line, name, sound(language))
    };
    assert_eq!(announce(1, 257, Some("eng")), Ok(0));
    assert_eq!(announce(1, 258, Some("deu")), Ok(1));
    // Two that say none.
    assert_eq!(announce(1, 259, None), Ok(2));
    assert_eq!(announce(1, 260, None), Ok(3));
    // The other of the pair, in another order; and one of them is announced again.
    assert_eq!(announce(2, 258, Some("deu")), Ok(1));
    assert_eq!(announce(2, 257, Some("eng")), Ok(0));
    assert_eq!(announce(2, 259, None), Ok(2));
    assert_eq!(announce(2, 260, None), Ok(3));
    assert_eq!(announce(1, 258, Some("deu")), Ok(1));
    assert_eq!(announce(1, 260, None), Ok(3));
    // By a protocol that has no languages, it is the first.
    let rtmp = engine.announce(NOW, 3, "audio", 64_000, sound(None));
    assert_eq!(rtmp, Ok(4));
    // A stream turns out to be in another language than it was: that is another track.
    let other = engine.announce_line(NOW, 1, 258, ("audio", 128_000), sound(Some("fra")));
    assert_eq!(other, Ok(5));
    let expected = [
        ("audio", Some("eng")),
        ("audio-2", Some("deu")),
        ("audio-3", None),
        ("audio-4", None),
        ("audio", None),
        ("audio-5", Some("fra")),
    ];
    assert_eq!(named(&engine.timeline().tracks), expected);
}

#[test]
fn as_many_are_taken_as_an_event_may_have() {
    let mut engine = engine();
    for line in 0..9 {
        let name = ("audio", 128_000);
        let announced = engine.announce_line(NOW, 1, line, name, sound(None));
        let Ok(index) = announced else {
            assert_eq!((line, announced), (8, Err(Reason::TooManyQualities)));
            return;
        };
        let unit = AccessUnit {
            dts: 0,
            pts: 0,
            sync: true,
            bytes: "sound".into(),
        };
        engine.push(NOW, 1, index, unit).unwrap();
    }
    panic!("nine were taken");
}

#[test]
fn a_language_that_is_stated_later_is_learned_and_kept() {
    let (mut engine, mut seen, mut now) = (engine(), Seen::default(), NOW);
    let mut encoder = Encoder::new(&mut engine, 1, 0, now, &[3_000_000], true);
    encoder.run(&mut engine, &mut seen, &mut now, 130);
    let tracks = |engine: &Engine| -> Vec<Option<String>> {
        let tracks = engine.timeline().tracks.iter();
        tracks.map(|track| track.language.clone()).collect()
    };
    assert_eq!(tracks(&engine), [None, None]);
    let again = engine.announce(now, 1, "audio", 128_000, sound(Some("swe")));
    assert_eq!(again, Ok(1));
    encoder.run(&mut engine, &mut seen, &mut now, 130);
    // Who does not say it does not take it away.
    engine
        .announce(now, 1, "audio", 128_000, sound(None))
        .unwrap();
    encoder.run(&mut engine, &mut seen, &mut now, 60);
    engine.end(now);
    seen.drain(&mut engine);
    seen.check();
    assert_eq!(tracks(&engine), [None, Some("swe".into())]);
    assert_eq!(seen.discontinuities(), 0);
    let configs = engine.timeline().tracks.iter().map(|t| t.configs.len());
    assert_eq!(configs.collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn heads_journals_and_snapshots_keep_languages() {
    let mut engine = engine();
    for (line, language) in [(1, Some("eng")), (2, Some("pt-BR")), (3, None)] {
        let name = ("audio", 128_000);
        engine
            .announce_line(NOW, 1, line, name, sound(language))
            .unwrap();
    }
    let timeline = engine.timeline().clone();
    let expected = [
        ("audio", Some("eng")),
        ("audio-2", Some("pt-BR")),
        ("audio-3", None),
    ];
    let mut recording = Recording::default();
    let mut log = journal::snapshot(&Timeline::default());
    while let Some(output) = engine.poll() {
        if let headwater_live::engine::Output::Change(change) = output {
            recording.apply(&change).unwrap();
            log.extend(journal::record(&change).unwrap());
        }
    }
    let head = Recording::parse(&recording.head("m").bytes).unwrap();
    assert_eq!(head, recording);
    assert_eq!(named(&head.open.tracks), expected);
    for bytes in [log, journal::snapshot(&timeline)] {
        assert_eq!(journal::read(&bytes).unwrap().timeline, timeline);
    }
    let snapshot = Snapshot {
        generation: 1,
        now_ms: NOW,
        interval_ms: 2_000,
        part_ms: 334,
        low_latency: false,
        timeline,
    };
    assert_eq!(Snapshot::parse(&snapshot.to_bytes()), Ok(snapshot));
    let unknown = Change::Language {
        track: 7,
        language: "eng".into(),
    };
    assert!(recording.apply(&unknown).is_err());
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Pictures and sound, with a row of sound; 3 discontinuities are gone, and 1 to 9 cuts.
const TIMELINE_2: &str = "
    020000000005000000766964656f80841e00010000000b000000617663312e363430303166905f010000050000d002000000000000000001000000
    760105000000617564696f00f4010001000000090000006d7034612e34302e3280bb0000000000000000000080bb00000200010000006103000000
    0000000001000000000000000200000000000000030000000000000004000000000000000500000000000000060000000000000007000000000000
    0008000000000000000900000000000000470000000000000000010000004600000000000000c042c0000000000000010000000100008a66000000
    0000007701000000010100000000000000007701008403000064000000010000000000000000";

#[test]
fn what_version_2_wrote_is_read_and_has_no_languages() {
    let head = "48574c480200ba6ab2e21f010000 ffffffffffffffff 03 00000000";
    let recording = Recording::parse(&bytes(&format!("{head}{TIMELINE_2}"))).unwrap();
    assert_eq!(Some(recording.rows_per_segment), RowsPerSegment::new(3));
    let timeline = &recording.open;
    assert_eq!(named(&timeline.tracks), [("video", None), ("audio", None)]);
    assert_eq!(timeline.tracks[1].configs[0].channels, 2);
    assert_eq!(timeline.rows[0].segments[&1].size(), 900);
    assert_eq!(timeline.gone.discontinuities, 3);
    assert_eq!(timeline.next_number, Some(71));
    let snapshot = "48574c4502000e90ea7227010000 01000000 0500000000000000 d0070000 4e010000 01";
    let snapshot = Snapshot::parse(&bytes(&format!("{snapshot}{TIMELINE_2}"))).unwrap();
    assert_eq!(snapshot.timeline, *timeline);
    // A journal, with a track that came later.
    let journal = "48574c4a020023794aef12010000";
    let later = "48574c43010087a093b20f000000 0101 05000000617564696f 00fa0000";
    let read = journal::read(&bytes(&format!("{journal}{TIMELINE_2}{later}"))).unwrap();
    assert_eq!(read.timeline.tracks.len(), 3);
    assert_eq!(read.timeline.tracks[..2], timeline.tracks[..]);
    assert_eq!(
        (
            read.timeline.tracks[2].bitrate,
            &read.timeline.tracks[2].language
        ),
        (64_000, &None)
    );
    // It goes on in the new version, as it was.
    assert_eq!(
        Recording::parse(&recording.head("m").bytes).unwrap(),
        recording
    );
}

/// A second of sound in English and in German, as ffmpeg sends it.
fn sent(format: &str) -> Vec<u8> {
    let inputs =
        "-v error -f lavfi -i sine=440:d=1 -f lavfi -i sine=880:d=1 -map 0 -map 1 -c:a aac";
    let stated = "-metadata:s:a:0 language=eng -metadata:s:a:1 language=deu";
    let output = Command::new("ffmpeg")
        .args(inputs.split(' ').chain(stated.split(' ')))
        .args(format.split(' '))
        .arg("-")
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn both_languages_of_ffmpeg_come_out_with_all_their_sound() {
    let (mut demux, mut found) = (ts::Demux::default(), Vec::new());
    for piece in sent("-f mpegts").chunks(1316) {
        demux.feed(piece).unwrap();
    }
    demux.end();
    let mut units = [0, 0];
    while let Some(next) = demux.poll() {
        match next {
            ts::Found::Config { pid, config } => found.push((pid, config.language)),
            ts::Found::Unit { pid, .. } => units[usize::from(pid - 0x100)] += 1,
            other => panic!("{other:?}"),
        }
    }
    let some = |tag: &str| Some(tag.to_owned());
    assert_eq!(found, [(0x100, some("eng")), (0x101, some("deu"))]);
    assert_eq!(units[0], units[1]);
    assert!(units[0] >= 44, "{units:?}");

    let (mut demux, mut found) = (smooth::Demux::default(), Vec::new());
    demux
        .feed(&sent("-f ismv -movflags isml+frag_keyframe"))
        .unwrap();
    while let Some(next) = demux.poll() {
        if let smooth::Found::Config { track, config } = next {
            found.push((track, config.language));
        }
    }
    assert_eq!(found, [(1, some("eng")), (2, some("deu"))]);
}
