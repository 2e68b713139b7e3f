//! Counters under a clock that the test sets.

use super::*;
use bytes::Bytes;

const START: i64 = 1_000_000_000_000;

fn encoder(port: u16) -> Encoder {
    Encoder {
        ingest_url: "rtmps://event/live".into(),
        stream_id: "main".into(),
        encoder_ip: "192.0.2.1".into(),
        encoder_port: port.to_string(),
    }
}

fn unit(ms: i64, sync: bool, bytes: usize) -> AccessUnit {
    AccessUnit {
        dts: ms * PER_MS,
        pts: ms * PER_MS,
        sync,
        bytes: Bytes::from(vec![0; bytes]),
    }
}

fn begun() -> Stats {
    let mut stats = Stats::default();
    stats.connected(START, 1, &encoder(4000));
    stats.announced(START, 1, 0, "video", "video_1000000", 1_000_000);
    stats.announced(START, 1, 1, "audio", "audio_128000", 128_000);
    stats
}

/// 25 pictures of 5000 bytes and 50 frames of sound of 320 per second, key frames every 2 s. `stretch`: wall clock per
/// media time, in thousandths; `ahead`: by how much sound's times are ahead.
fn send(stats: &mut Stats, source: SourceId, from_ms: i64, to_ms: i64, stretch: i64, ahead: i64) {
    for ms in (from_ms..to_ms).step_by(20) {
        let now = START + ms * stretch / 1000;
        if ms % 40 == 0 {
            stats.arrived(now, source, 0, &unit(ms, ms % 2000 == 0, 5000));
        }
        stats.arrived(now, source, 1, &unit(ms + ahead, true, 320));
    }
}

#[test]
fn rates_key_frames_and_ages_are_those_of_the_last_seconds() {
    let mut stats = begun();
    send(&mut stats, 1, 0, 10_000, 1000, 0);
    let health = stats.health(START + 10_500);
    let [video, audio] = &health.tracks[..] else {
        panic!("{health:?}")
    };
    assert_eq!(
        (video.incoming_bitrate, video.frame_rate_milli),
        (1_000_000, 25_000)
    );
    assert_eq!(
        (audio.incoming_bitrate, audio.frame_rate_milli),
        (128_000, 50_000)
    );
    assert_eq!(
        (video.key_frame_distance_ms, video.key_frame_age_ms),
        (Some(2000), Some(2500))
    );
    assert_eq!(
        (audio.key_frame_distance_ms, audio.key_frame_age_ms),
        (None, None)
    );
    assert_eq!(video.age_ms, Some(540));
    assert_eq!(
        (video.ingest_drift_ms, health.av_drift_ms),
        (Some(0), Some(0))
    );
    let encoder = &health.encoders[0];
    assert_eq!(
        (encoder.protocol.as_str(), encoder.incoming_bitrate),
        ("RTMPS", 1_128_000)
    );
    assert_eq!(encoder.connected_for_ms, 10_500);
}

#[test]
fn an_encoder_that_falls_behind_and_sound_that_is_off_are_seen() {
    let mut stats = begun();
    // 2 % slower than time, and sound half a second ahead of the pictures it comes with.
    send(&mut stats, 1, 0, 70_000, 1020, 500);
    let health = stats.health(START + 71_400);
    let drift = health.tracks[0].ingest_drift_ms.unwrap();
    assert!((900..1200).contains(&drift), "{drift}");
    let apart = health.av_drift_ms.unwrap();
    assert!((480..=520).contains(&apart), "{apart}");
}

#[test]
fn losses_are_forgotten_after_a_minute_and_counted_for_ever() {
    let mut stats = begun();
    stats.dropped(START, 0, Drop::Overlap);
    stats.dropped(START, 0, Drop::Duplicate);
    stats.jumped(START + 30_000, 0);
    // Of a track that nobody announced.
    stats.jumped(START, 9);
    let lost = stats.health(START + 40_000).tracks[0].lost;
    assert_eq!(
        (lost.dropped(), lost.duplicates, lost.discontinuities),
        (1, 1, 1)
    );
    let lost = stats.health(START + 75_000).tracks[0].lost;
    assert_eq!(
        (lost.dropped(), lost.duplicates, lost.discontinuities),
        (0, 0, 1)
    );
    let (name, ever) = stats.lost_ever().next().unwrap();
    assert_eq!(
        (name, ever.overlaps, ever.discontinuities),
        ("video_1000000", 1, 1)
    );
}

#[test]
fn a_redundant_pair_counts_once_and_the_one_that_stays_goes_on() {
    let mut stats = begun();
    stats.connected(START, 2, &encoder(4001));
    stats.announced(START, 2, 0, "video", "video_1000000", 1_000_000);
    stats.announced(START, 2, 1, "audio", "audio_128000", 128_000);
    for second in 0..6 {
        for source in [1, 2] {
            send(
                &mut stats,
                source,
                second * 1000,
                (second + 1) * 1000,
                1000,
                0,
            );
        }
    }
    let health = stats.health(START + 6_000);
    assert_eq!((health.encoders.len(), health.tracks.len()), (2, 2));
    assert_eq!(health.tracks[0].frame_rate_milli, 25_000);
    stats.gone(1);
    send(&mut stats, 2, 6_000, 7_000, 1000, 0);
    let health = stats.health(START + 7_000);
    assert_eq!(health.encoders.len(), 1);
    assert!(health.tracks[0].connected);
    stats.gone(2);
    let health = stats.health(START + 20_000);
    assert!(health.encoders.is_empty() && !health.tracks[0].connected);
    assert_eq!(health.tracks[0].age_ms, Some(13_040));
    assert_eq!(health.tracks[0].incoming_bitrate, 0);
    // It comes back with another clock: that is no drift.
    stats.connected(START + 21_000, 3, &encoder(4002));
    stats.announced(START + 21_000, 3, 0, "video", "video_1000000", 1_000_000);
    for ms in (0..4_000).step_by(40) {
        let picture = unit(ms + 5_000_000, ms == 0, 5000);
        stats.arrived(START + 21_000 + ms, 3, 0, &picture);
    }
    let health = stats.health(START + 25_000);
    assert_eq!(health.tracks[0].ingest_drift_ms, Some(0));
}

#[test]
fn a_clock_that_jumps_costs_neither_time_nor_room() {
    let mut stats = begun();
    stats.arrived(START, 1, 0, &unit(0, true, 100));
    stats.arrived(i64::MAX, 1, 0, &unit(40, false, 100));
    stats.arrived(i64::MIN, 1, 0, &unit(i64::MAX / PER_MS, true, 100));
    stats.jumped(i64::MAX, 0);
    let health = stats.health(START);
    assert_eq!(health.tracks.len(), 2);
    assert!(stats.tracks[&0].lost.counts.len() <= MINUTE + 1);
}
