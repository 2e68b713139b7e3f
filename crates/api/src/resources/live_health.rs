//! How a live event's ingest is doing: what the worker measured, judged. Words and units are those of AMS's ingest
//! heartbeats (the management API reference, 2.13) where it had one.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::live::health::{self, Measured};
use headwater_catalog::live::{LiveEvent, LiveEventState, events};
use headwater_work::live::health::{EncoderHealth, TrackHealth};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

/// A worker measures every 5 s and is lost after 15 s.
const SILENT: SignedDuration = SignedDuration::from_secs(20);

/// Streams that send nothing for so long have stopped.
const STOPPED_MS: u64 = 5_000;

/// What sound may be off the pictures.
const APART_MS: i64 = 500;

/// What an encoder may fall behind in a minute.
const BEHIND_MS: i64 = 1_000;

/// What is wrong.
struct Reason {
    code: &'static str,
    message: String,
    track: Option<String>,
}

impl Reason {
    fn new(code: &'static str, message: String) -> Self {
        Self {
            code,
            message,
            track: None,
        }
    }

    fn json(&self) -> Json {
        let mut members = json!({"code": self.code, "message": self.message});
        if let (Some(track), Json::Object(members)) = (&self.track, &mut members) {
            members.insert("trackName".into(), track.clone().into());
        }
        members
    }
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let now = call.moment.now;
    let project = &call.project()?.id;
    let event = events::get(call.sql, project, call.var("event"), now).await?;
    let measured = health::of(call.sql, event.id, now).await?;
    Ok(Reply::ok(render(&event, &measured, now)))
}

/// `measured`: of the last ten minutes, the oldest first.
fn render(event: &LiveEvent, measured: &[Measured], now: Timestamp) -> Json {
    let running = event.state == LiveEventState::Running;
    // What was measured before the event was stopped is history.
    let newest = measured
        .last()
        .filter(|newest| running && now.duration_since(newest.at) <= SILENT);
    let interval = event.properties.input.key_frame_interval_duration;
    let interval = interval.or(event.properties.encoding.key_frame_interval);
    let interval_ms = interval.map_or(2_000, |interval| interval.as_millis());
    let reasons = newest.map_or_else(Vec::new, |newest| judge(newest, interval_ms));
    let state = match newest {
        _ if !running => "NotRunning",
        None => "NotMeasured",
        Some(newest) if newest.health.encoders.is_empty() => "NoEncoder",
        Some(_) if reasons.is_empty() => "Healthy",
        Some(_) => "Unhealthy",
    };
    let mut shown = json!({
        "state": state,
        "healthy": state == "Healthy",
        "reasons": reasons.iter().map(Reason::json).collect::<Vec<_>>(),
        "incomingBitrate": newest.map_or(0, incoming),
        "encoders": [],
        "tracks": [],
        "filled": newest.map_or(&[][..], |newest| &newest.health.filled),
        "history": measured.iter().map(point).collect::<Vec<_>>(),
    });
    if let (Some(newest), Json::Object(members)) = (newest, &mut shown) {
        let at = newest.at;
        members.insert("measuredTime".into(), at.to_string().into());
        if let Some(apart) = newest.health.av_drift_ms {
            members.insert("avDriftMs".into(), apart.into());
        }
        let encoders = newest.health.encoders.iter();
        let encoders: Vec<_> = encoders.map(|one| encoder(at, one)).collect();
        members.insert("encoders".into(), encoders.into());
        let tracks = newest.health.tracks.iter();
        let tracks: Vec<_> = tracks
            .map(|one| track(at, one, judge_track(one, interval_ms).is_empty()))
            .collect();
        members.insert("tracks".into(), tracks.into());
    }
    shown
}

/// Bits per second of what encoders send; of a redundant pair both.
fn incoming(measured: &Measured) -> u64 {
    let encoders = measured.health.encoders.iter();
    encoders.fold(0, |sum, one| sum.saturating_add(one.incoming_bitrate))
}

fn judge(measured: &Measured, interval_ms: u64) -> Vec<Reason> {
    let health = &measured.health;
    if health.encoders.is_empty() {
        return vec![Reason::new("NoEncoder", "No encoder is connected.".into())];
    }
    let mut reasons = Vec::new();
    if health.tracks.iter().all(|track| !track.connected) {
        let message = "An encoder is connected and has not sent anything yet.";
        reasons.push(Reason::new("NoData", message.into()));
    }
    if let Some(apart) = health
        .av_drift_ms
        .filter(|ms| ms.saturating_abs() > APART_MS)
    {
        let (which, ms) = match apart < 0 {
            true => ("behind", apart.saturating_neg()),
            false => ("ahead of", apart),
        };
        reasons.push(Reason::new(
            "AudioVideoDrift",
            format!("Sound is {ms} ms {which} the pictures it comes with."),
        ));
    }
    for track in &health.tracks {
        reasons.extend(
            judge_track(track, interval_ms)
                .into_iter()
                .map(|reason| Reason {
                    track: Some(track.track_name.clone()),
                    ..reason
                }),
        );
    }
    reasons
}

/// Whether what comes is far from what was announced. An encoder's bit rate is a promise, and still pictures need little.
fn is_unexpected(track: &TrackHealth) -> bool {
    track.incoming_bitrate > track.bitrate.saturating_mul(2)
        || track.incoming_bitrate < track.bitrate / 4
}

fn is_stopped(track: &TrackHealth) -> bool {
    !track.connected || track.age_ms.is_none_or(|age| age > STOPPED_MS)
}

/// What is wrong with a track that an encoder sends.
fn judge_track(track: &TrackHealth, interval_ms: u64) -> Vec<Reason> {
    let mut reasons = Vec::new();
    // Of a stream that was sent once nothing is expected.
    if !track.connected {
        return reasons;
    }
    let mut tell = |code, message: String| reasons.push(Reason::new(code, message));
    let name = &track.track_name;
    if is_stopped(track) {
        let since = track
            .age_ms
            .map_or_else(|| "yet".to_owned(), |age| format!("for {} s", age / 1000));
        tell("NoData", format!("Nothing has come of {name} {since}."));
        return reasons;
    }
    let video = track.track_type == "video";
    let patience = interval_ms.saturating_mul(2).saturating_add(1_000);
    match track.key_frame_age_ms.filter(|_| video) {
        Some(age) if age > patience => tell(
            "NoKeyFrame",
            format!("The last key frame of {name} came {} s ago.", age / 1000),
        ),
        _ => {
            let distance = track.key_frame_distance_ms.filter(|_| video);
            if let Some(distance) =
                distance.filter(|ms| *ms > interval_ms.saturating_add(interval_ms / 2))
            {
                tell(
                    "KeyFrameDistance",
                    format!(
                        "Key frames of {name} are {distance} ms apart; the event expects one every {interval_ms} ms."
                    ),
                );
            }
        }
    }
    let dropped = track.lost.dropped();
    if dropped > 0 {
        tell(
            "Dropped",
            format!("{dropped} frames of {name} were left out in the last minute."),
        );
    }
    if track.lost.discontinuities > 0 {
        let jumps = track.lost.discontinuities;
        tell(
            "Discontinuity",
            format!("The times of {name} jumped {jumps} times in the last minute."),
        );
    }
    if let Some(drift) = track.ingest_drift_ms.filter(|ms| *ms > BEHIND_MS) {
        tell(
            "SlowDelivery",
            format!("{name} fell {drift} ms behind in the last minute."),
        );
    }
    reasons
}

fn before(at: Timestamp, age_ms: u64) -> String {
    let age = SignedDuration::from_millis(i64::try_from(age_ms).unwrap_or(i64::MAX));
    at.saturating_sub(age).unwrap_or(Timestamp::MIN).to_string()
}

fn encoder(at: Timestamp, encoder: &EncoderHealth) -> Json {
    json!({
        "ingestUrl": encoder.ingest_url,
        "streamId": encoder.stream_id,
        "protocol": encoder.protocol,
        "encoderIp": encoder.encoder_ip,
        "encoderPort": encoder.encoder_port,
        "connectedTime": before(at, encoder.connected_for_ms),
        "incomingBitrate": encoder.incoming_bitrate,
    })
}

/// Frames per second, from thousandths.
fn rate(milli: u32) -> f64 {
    f64::from(milli) / 1000.0
}

/// As AMS's `ingestDriftValue`: seconds in a minute, or `n/a`.
fn drift(ms: Option<i64>) -> String {
    let Some(ms) = ms else {
        return "n/a".to_owned();
    };
    let ms = ms.max(0);
    match ms % 1000 {
        0 => (ms / 1000).to_string(),
        rest => format!("{}.{rest:03}", ms / 1000),
    }
}

fn track(at: Timestamp, track: &TrackHealth, healthy: bool) -> Json {
    let stopped = is_stopped(track);
    let mut shown = json!({
        "trackType": track.track_type,
        "trackName": track.track_name,
        "bitrate": track.bitrate,
        "incomingBitrate": track.incoming_bitrate,
        "frameRate": rate(track.frame_rate_milli),
        "lastTimestamp": track.last_timestamp.to_string(),
        "timescale": "90000",
        "overlapCount": track.lost.overlaps,
        "nonincreasingCount": track.lost.non_increasing,
        "undecodableCount": track.lost.undecodable,
        "duplicateCount": track.lost.duplicates,
        "discontinuityCount": track.lost.discontinuities,
        "unexpectedBitrate": !stopped && is_unexpected(track),
        "ingestDriftValue": drift(track.ingest_drift_ms),
        "state": if stopped { "Stopped" } else { "Running" },
        "healthy": healthy && !stopped,
        // Nothing is transcribed.
        "transcriptionState": "",
        "transcriptionLanguage": "",
    });
    let mut more = Map::new();
    if let Some(distance) = track.key_frame_distance_ms {
        more.insert("keyFrameDistanceMs".into(), distance.into());
    }
    if let Some(age) = track.key_frame_age_ms {
        more.insert("lastKeyFrameTime".into(), before(at, age).into());
    }
    if let Some(age) = track.age_ms {
        more.insert("lastFragmentArrivalTime".into(), before(at, age).into());
    }
    if let Json::Object(members) = &mut shown {
        members.append(&mut more);
    }
    shown
}

/// One point of the charts.
fn point(measured: &Measured) -> Json {
    let health = &measured.health;
    let tracks: Vec<_> = health
        .tracks
        .iter()
        .map(|track| {
            json!({
                "trackName": track.track_name,
                "incomingBitrate": track.incoming_bitrate,
                "frameRate": rate(track.frame_rate_milli),
                "droppedCount": track.lost.dropped(),
            })
        })
        .collect();
    let mut shown = json!({
        "time": measured.at.to_string(),
        "encoders": health.encoders.len(),
        "incomingBitrate": incoming(measured),
        "tracks": tracks,
    });
    if let (Some(apart), Json::Object(members)) = (health.av_drift_ms, &mut shown) {
        members.insert("avDriftMs".into(), apart.into());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_work::live::health::{Health, Losses};

    fn track() -> TrackHealth {
        TrackHealth {
            track_type: "video".into(),
            track_name: "video_1000000".into(),
            bitrate: 1_000_000,
            incoming_bitrate: 900_000,
            frame_rate_milli: 25_000,
            key_frame_distance_ms: Some(2_000),
            key_frame_age_ms: Some(1_500),
            age_ms: Some(20),
            last_timestamp: 90_000,
            ingest_drift_ms: Some(-10),
            connected: true,
            lost: Losses::default(),
        }
    }

    fn codes(change: impl FnOnce(&mut TrackHealth)) -> Vec<&'static str> {
        let mut track = track();
        change(&mut track);
        let reasons = judge_track(&track, 2_000);
        reasons.iter().map(|reason| reason.code).collect()
    }

    #[test]
    fn every_fault_of_a_track_is_named() {
        assert_eq!(codes(|_| {}), [""; 0]);
        assert_eq!(codes(|track| track.age_ms = Some(6_000)), ["NoData"]);
        assert_eq!(codes(|track| track.age_ms = None), ["NoData"]);
        assert_eq!(
            codes(|track| track.key_frame_age_ms = Some(5_001)),
            ["NoKeyFrame"]
        );
        assert_eq!(
            codes(|track| track.key_frame_distance_ms = Some(4_000)),
            ["KeyFrameDistance"]
        );
        assert_eq!(
            codes(|track| track.ingest_drift_ms = Some(1_001)),
            ["SlowDelivery"]
        );
        assert_eq!(codes(|track| track.lost.overlaps = 1), ["Dropped"]);
        assert_eq!(
            codes(|track| track.lost.discontinuities = 1),
            ["Discontinuity"]
        );
        // The other of a redundant pair is no fault, nor is what nobody sends any more.
        assert_eq!(codes(|track| track.lost.duplicates = 100), [""; 0]);
        assert_eq!(
            codes(|track| (track.connected, track.age_ms) = (false, None)),
            [""; 0]
        );
        // Sound has no key frames.
        let sound = |track: &mut TrackHealth| {
            track.track_type = "audio".into();
            track.key_frame_age_ms = Some(60_000);
        };
        assert_eq!(codes(sound), [""; 0]);
    }

    #[test]
    fn sound_and_pictures_that_are_apart_are_told_which_way() {
        let encoder = EncoderHealth {
            ingest_url: String::new(),
            stream_id: String::new(),
            protocol: "SRT".into(),
            encoder_ip: String::new(),
            encoder_port: String::new(),
            connected_for_ms: 0,
            incoming_bitrate: 0,
        };
        let mut measured = Measured {
            at: Timestamp::UNIX_EPOCH,
            health: Health {
                encoders: vec![encoder],
                tracks: vec![track()],
                av_drift_ms: Some(-700),
                filled: Vec::new(),
            },
        };
        let reasons = judge(&measured, 2_000);
        assert_eq!(reasons[0].code, "AudioVideoDrift");
        assert!(reasons[0].message.contains("700 ms behind"));
        measured.health.tracks.clear();
        measured.health.av_drift_ms = None;
        assert_eq!(judge(&measured, 2_000)[0].code, "NoData");
    }
}
