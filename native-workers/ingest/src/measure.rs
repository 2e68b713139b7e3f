//! Counters of an event, taken for the API, and told to the program's metrics on the way.
//!
//! | Metric | Labels beside `project` and `event` | |
//! |---|---|---|
//! | `headwater_ingest_encoders` | | connections |
//! | `headwater_ingest_bits_per_second` | `track` | what comes in |
//! | `headwater_ingest_frames_per_second` | `track` | access units |
//! | `headwater_ingest_key_frame_distance_seconds` | `track` | from one key frame to the next |
//! | `headwater_ingest_last_frame_age_seconds` | `track` | since the newest access unit |
//! | `headwater_ingest_drift_seconds` | `track` | by how much less media than time came in a minute |
//! | `headwater_ingest_av_drift_seconds` | | by how much sound is ahead of pictures |
//! | `headwater_ingest_dropped_total` | `track`, `reason` | access units left out |
//! | `headwater_ingest_discontinuities_total` | `track` | jumps of a track's time |

use std::time::Duration;

use headwater_work::live::health::{Health, Losses};

use crate::event::Live;

/// Measures an event. `of`: its project and its name.
pub(crate) fn health(live: &Live, of: (&str, &str)) -> Health {
    let now = crate::now_ms();
    let (health, lost) = {
        let mut stats = live.stats();
        let lost: Vec<(String, Losses)> = stats
            .lost_ever()
            .map(|(name, lost)| (name.to_owned(), lost))
            .collect();
        (stats.health(now), lost)
    };
    let filled = live.filled();
    let filled = filled.iter().map(|kind| kind.name().to_owned());
    let health = Health {
        filled: filled.collect(),
        ..health
    };
    tell(&health, &lost, of);
    health
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

fn signed_seconds(ms: i64) -> f64 {
    seconds(ms.unsigned_abs()).copysign(if ms < 0 { -1.0 } else { 1.0 })
}

fn tell(health: &Health, lost: &[(String, Losses)], (project, event): (&str, &str)) {
    let (project, event) = (project.to_owned(), event.to_owned());
    let gauge = |name: &'static str| metrics::gauge!(name, "project" => project.clone(), "event" => event.clone());
    // Lossless far beyond what a machine takes in.
    gauge("headwater_ingest_encoders").set(health.encoders.len() as f64);
    if let Some(drift) = health.av_drift_ms {
        gauge("headwater_ingest_av_drift_seconds").set(signed_seconds(drift));
    }
    for track in &health.tracks {
        let gauge = |name: &'static str| metrics::gauge!(name, "project" => project.clone(), "event" => event.clone(), "track" => track.track_name.clone());
        gauge("headwater_ingest_bits_per_second").set(track.incoming_bitrate as f64);
        gauge("headwater_ingest_frames_per_second").set(f64::from(track.frame_rate_milli) / 1000.0);
        if let Some(distance) = track.key_frame_distance_ms {
            gauge("headwater_ingest_key_frame_distance_seconds").set(seconds(distance));
        }
        if let Some(age) = track.age_ms {
            gauge("headwater_ingest_last_frame_age_seconds").set(seconds(age));
        }
        if let Some(drift) = track.ingest_drift_ms {
            gauge("headwater_ingest_drift_seconds").set(signed_seconds(drift));
        }
    }
    for (track, lost) in lost {
        for (reason, count) in [
            ("overlap", lost.overlaps),
            ("nonincreasing", lost.non_increasing),
            ("undecodable", lost.undecodable),
            ("duplicate", lost.duplicates),
        ] {
            metrics::counter!(
                "headwater_ingest_dropped_total",
                "project" => project.clone(), "event" => event.clone(), "track" => track.clone(), "reason" => reason
            )
            .absolute(count);
        }
        metrics::counter!(
            "headwater_ingest_discontinuities_total",
            "project" => project.clone(), "event" => event.clone(), "track" => track.clone()
        )
        .absolute(lost.discontinuities);
    }
}
