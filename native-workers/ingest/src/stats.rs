//! What encoders send, counted: rates over the last seconds, losses over the last minute. Plain counters; *now* is an
//! argument, milliseconds of the wall clock.
//!
//! A redundant pair sends a track twice. Rates are those of the connection that brings most of it, so that they are the
//! track's; what each connection brings is told of the connection.

use std::collections::{BTreeMap, VecDeque};

use headwater_live::engine::{AccessUnit, SourceId};
use headwater_live::reason::Drop;
use headwater_live::timeline::TrackIndex;
use headwater_work::live::facts::Encoder;
use headwater_work::live::health::{EncoderHealth, Health, Losses, MOST_PARTS, TrackHealth};

/// Seconds that are remembered.
const MINUTE: usize = 60;

/// Whole seconds over which rates are taken.
const SHORT: usize = 5;

/// Seconds at either end of the minute between which drift is taken: encoders send in bursts.
const ENDS: usize = 10;

/// Ticks of access units' times per millisecond.
const PER_MS: i64 = 90;

/// Counts of seconds, the newest last.
#[derive(Debug)]
struct Seconds<T> {
    /// Which second the newest is, since the epoch.
    newest: i64,
    counts: VecDeque<T>,
}

impl<T: Default> Seconds<T> {
    fn new(now_ms: i64) -> Self {
        Self {
            newest: now_ms.div_euclid(1000),
            counts: VecDeque::from([T::default()]),
        }
    }

    /// The count of this second. A clock that was set back goes on with the newest one.
    fn now(&mut self, now_ms: i64) -> &mut T {
        let second = now_ms.div_euclid(1000);
        let passed = second.saturating_sub(self.newest).max(0);
        for _ in 0..passed.min(MINUTE as i64 + 1) {
            self.counts.push_back(T::default());
        }
        self.newest = self.newest.max(second);
        while self.counts.len() > MINUTE + 1 {
            self.counts.pop_front();
        }
        if self.counts.is_empty() {
            self.counts.push_back(T::default());
        }
        let last = self.counts.len() - 1;
        &mut self.counts[last]
    }

    /// Up to `most` whole seconds before this one, the newest first.
    fn whole(&mut self, now_ms: i64, most: usize) -> impl Iterator<Item = &T> {
        self.now(now_ms);
        self.counts.iter().rev().skip(1).take(most)
    }
}

#[derive(Debug, Default)]
struct Came {
    bytes: u64,
    units: u64,
    /// The least that arrival was behind the media's time, in milliseconds: what the encoder's bursts leave out.
    least_behind: Option<i64>,
}

/// A track on one connection.
#[derive(Debug)]
struct Feed {
    came: Seconds<Came>,
    last: Option<Last>,
    /// Arrival and decode time of the last key frame.
    key: Option<(i64, i64)>,
    key_distance_ms: Option<u64>,
    connected: bool,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at_ms: i64,
    dts: i64,
}

#[derive(Debug)]
struct Track {
    video: bool,
    kind: &'static str,
    name: String,
    bitrate: u64,
    feeds: BTreeMap<SourceId, Feed>,
    lost: Seconds<Losses>,
    /// Since the event is here.
    lost_ever: Losses,
}

#[derive(Debug)]
struct Connection {
    encoder: Encoder,
    since_ms: i64,
    came: Seconds<u64>,
}

/// The counters of one event.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    connections: BTreeMap<SourceId, Connection>,
    tracks: BTreeMap<TrackIndex, Track>,
}

fn age(now_ms: i64, then_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0)
}

impl Stats {
    pub(crate) fn connected(&mut self, now_ms: i64, source: SourceId, encoder: &Encoder) {
        let connection = Connection {
            encoder: encoder.clone(),
            since_ms: now_ms,
            came: Seconds::new(now_ms),
        };
        self.connections.insert(source, connection);
    }

    /// A connection brings a track, which may be one that another brings, or brought. `kind`: `audio` or `video`; `name` and
    /// `bitrate`: of the track, as clients are told them.
    pub(crate) fn announced(
        &mut self,
        now_ms: i64,
        source: SourceId,
        index: TrackIndex,
        kind: &'static str,
        name: &str,
        bitrate: u64,
    ) {
        let track = self.tracks.entry(index).or_insert_with(|| Track {
            video: kind == "video",
            kind,
            name: name.to_owned(),
            bitrate,
            feeds: BTreeMap::new(),
            lost: Seconds::new(now_ms),
            lost_ever: Losses::default(),
        });
        track.feeds.retain(|_, feed| feed.connected);
        track.feeds.entry(source).or_insert_with(|| Feed {
            came: Seconds::new(now_ms),
            last: None,
            key: None,
            key_distance_ms: None,
            connected: true,
        });
    }

    pub(crate) fn arrived(
        &mut self,
        now_ms: i64,
        source: SourceId,
        index: TrackIndex,
        unit: &AccessUnit,
    ) {
        let bytes = u64::try_from(unit.bytes.len()).unwrap_or(u64::MAX);
        if let Some(connection) = self.connections.get_mut(&source) {
            let count = connection.came.now(now_ms);
            *count = count.saturating_add(bytes);
        }
        let track = self.tracks.get_mut(&index);
        let Some((video, feed)) =
            track.and_then(|track| Some((track.video, track.feeds.get_mut(&source)?)))
        else {
            return;
        };
        let behind = now_ms.saturating_sub(unit.dts / PER_MS);
        let count = feed.came.now(now_ms);
        count.bytes = count.bytes.saturating_add(bytes);
        count.units = count.units.saturating_add(1);
        count.least_behind = Some(count.least_behind.map_or(behind, |least| least.min(behind)));
        feed.last = Some(Last {
            at_ms: now_ms,
            dts: unit.dts,
        });
        if video && unit.sync {
            if let Some((_, before)) = feed.key {
                let distance = unit.dts.saturating_sub(before) / PER_MS;
                // A jump is told as one.
                feed.key_distance_ms = u64::try_from(distance).ok().or(feed.key_distance_ms);
            }
            feed.key = Some((now_ms, unit.dts));
        }
    }

    pub(crate) fn dropped(&mut self, now_ms: i64, index: TrackIndex, drop: Drop) {
        self.count(now_ms, index, |losses| match drop {
            Drop::Overlap => &mut losses.overlaps,
            Drop::NonIncreasing => &mut losses.non_increasing,
            Drop::Duplicate => &mut losses.duplicates,
            Drop::NoSync => &mut losses.undecodable,
        });
    }

    /// The track's time made a jump.
    pub(crate) fn jumped(&mut self, now_ms: i64, index: TrackIndex) {
        self.count(now_ms, index, |losses| &mut losses.discontinuities);
    }

    fn count(&mut self, now_ms: i64, index: TrackIndex, which: impl Fn(&mut Losses) -> &mut u64) {
        let Some(track) = self.tracks.get_mut(&index) else {
            return;
        };
        for losses in [track.lost.now(now_ms), &mut track.lost_ever] {
            let count = which(losses);
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn gone(&mut self, source: SourceId) {
        self.connections.remove(&source);
        for track in self.tracks.values_mut() {
            if let Some(feed) = track.feeds.get_mut(&source) {
                feed.connected = false;
            }
            // One is kept, to say when it was heard of last.
            if track.feeds.values().any(|feed| feed.connected) {
                track.feeds.retain(|_, feed| feed.connected);
            } else if let Some(newest) = track.feeds.pop_last() {
                track.feeds = BTreeMap::from([newest]);
            }
        }
    }

    /// How a track's delivery drifted, and when its newest unit came, milliseconds of the wall clock.
    pub(crate) fn heard(&mut self, now_ms: i64, index: TrackIndex) -> (Option<i64>, Option<i64>) {
        let feed = self.tracks.get_mut(&index).and_then(Track::lead);
        feed.map_or((None, None), |feed| {
            (feed.drift_ms(now_ms), feed.last.map(|last| last.at_ms))
        })
    }

    /// What is lost of every track since the event is here, by the track's name.
    pub(crate) fn lost_ever(&self) -> impl Iterator<Item = (&str, Losses)> {
        self.tracks
            .values()
            .map(|track| (track.name.as_str(), track.lost_ever))
    }

    pub(crate) fn health(&mut self, now_ms: i64) -> Health {
        let connections = self.connections.values_mut().take(MOST_PARTS);
        let encoders = connections.map(|connection| connection.health(now_ms));
        let encoders = encoders.collect();
        let mut tracks = Vec::new();
        // How far sound and pictures are behind the clock, the first track of each.
        let (mut pictures, mut sound) = (None, None);
        for track in self.tracks.values_mut().take(MOST_PARTS) {
            let behind = if track.video {
                &mut pictures
            } else {
                &mut sound
            };
            if behind.is_none() {
                let lead = track.lead().filter(|feed| feed.connected);
                *behind = lead.and_then(|feed| feed.behind_ms(now_ms));
            }
            tracks.push(track.health(now_ms));
        }
        Health {
            encoders,
            tracks,
            filled: Vec::new(),
            av_drift_ms: pictures
                .zip(sound)
                .map(|(pictures, sound)| pictures.saturating_sub(sound)),
        }
    }
}

impl Connection {
    fn health(&mut self, now_ms: i64) -> EncoderHealth {
        let (mut seconds, mut bytes) = (0_u64, 0_u64);
        for count in self.came.whole(now_ms, SHORT) {
            seconds += 1;
            bytes = bytes.saturating_add(*count);
        }
        let scheme = self.encoder.ingest_url.split("://").next();
        EncoderHealth {
            ingest_url: self.encoder.ingest_url.clone(),
            stream_id: self.encoder.stream_id.clone(),
            protocol: match scheme.unwrap_or_default() {
                "http" | "https" => "FragmentedMP4".to_owned(),
                scheme => scheme.to_ascii_uppercase(),
            },
            encoder_ip: self.encoder.encoder_ip.clone(),
            encoder_port: self.encoder.encoder_port.clone(),
            connected_for_ms: age(now_ms, self.since_ms),
            incoming_bitrate: bytes.saturating_mul(8) / seconds.max(1),
        }
    }
}

impl Track {
    /// The connection that brings most of it.
    fn lead(&mut self) -> Option<&mut Feed> {
        let bytes = |feed: &Feed| -> u64 {
            let newest = feed.came.counts.iter().rev().take(SHORT + 1);
            newest.fold(0_u64, |sum, came| sum.saturating_add(came.bytes))
        };
        let feeds = self.feeds.values_mut();
        feeds.max_by_key(|feed| (feed.connected, bytes(feed)))
    }

    fn health(&mut self, now_ms: i64) -> TrackHealth {
        let mut lost = Losses::default();
        let this_second = *self.lost.now(now_ms);
        for second in self.lost.whole(now_ms, MINUTE).chain([&this_second]) {
            lost.overlaps += second.overlaps;
            lost.non_increasing += second.non_increasing;
            lost.undecodable += second.undecodable;
            lost.duplicates += second.duplicates;
            lost.discontinuities += second.discontinuities;
        }
        let mut health = TrackHealth {
            track_type: self.kind.to_owned(),
            track_name: self.name.clone(),
            bitrate: self.bitrate,
            incoming_bitrate: 0,
            frame_rate_milli: 0,
            key_frame_distance_ms: None,
            key_frame_age_ms: None,
            age_ms: None,
            last_timestamp: 0,
            ingest_drift_ms: None,
            connected: false,
            lost,
        };
        if let Some(feed) = self.lead() {
            let (mut seconds, mut bytes, mut units) = (0_u64, 0_u64, 0_u64);
            for came in feed.came.whole(now_ms, SHORT) {
                seconds += 1;
                bytes = bytes.saturating_add(came.bytes);
                units = units.saturating_add(came.units);
            }
            let seconds = seconds.max(1);
            health.incoming_bitrate = bytes.saturating_mul(8) / seconds;
            health.frame_rate_milli =
                u32::try_from(units.saturating_mul(1000) / seconds).unwrap_or(u32::MAX);
            health.key_frame_distance_ms = feed.key_distance_ms;
            health.key_frame_age_ms = feed.key.map(|(at, _)| age(now_ms, at));
            health.age_ms = feed.last.map(|last| age(now_ms, last.at_ms));
            health.last_timestamp = feed.last.map_or(0, |last| last.dts);
            health.ingest_drift_ms = feed.drift_ms(now_ms);
            health.connected = feed.connected;
        }
        health
    }
}

impl Feed {
    /// How far arrival is behind the media's times, by the last seconds.
    fn behind_ms(&mut self, now_ms: i64) -> Option<i64> {
        let seconds = self.came.whole(now_ms, SHORT);
        seconds.filter_map(|came| came.least_behind).min()
    }

    /// By how much less media than time came in the last minute, or since it began.
    fn drift_ms(&mut self, now_ms: i64) -> Option<i64> {
        let seconds: Vec<_> = self
            .came
            .whole(now_ms, MINUTE)
            .map(|came| came.least_behind)
            .collect();
        if seconds.iter().all(Option::is_none) {
            return None;
        }
        let ends = ENDS.min(seconds.len() / 2);
        let least = |seconds: &[Option<i64>]| seconds.iter().flatten().min().copied();
        let newest = least(seconds.get(..ends)?);
        let oldest = least(seconds.get(seconds.len() - ends..)?);
        match newest.zip(oldest) {
            Some((newest, oldest)) => Some(newest.saturating_sub(oldest)),
            // Nothing came at one end: what is missing is told by its age.
            None => Some(0),
        }
    }
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
