//! One live event while it runs here: the engine, the newest media in memory, the journal and the spool.
//!
//! Everything goes through one lock that is never held across a wait. What the engine makes is recorded on disk first, then
//! shown: to those who wait at the edge, and to the recordings.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use headwater_live::cue::Said;
use headwater_live::edge::Snapshot;
use headwater_live::engine::{
    AccessUnit, Black, BlackWanted, Clock, Engine, Fill, Output, Settings, SourceId,
};
use headwater_live::limits::Limits;
use headwater_live::reason::Reason;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::{Change, Segment, Timeline, Track, TrackIndex};
use headwater_trace::Here;
use headwater_work::live::facts::{
    ChunkDropped, Discontinuity, Fact, Heartbeat, StreamsOutOfSync, VideoStreamsOutOfSync,
};
use headwater_work::live::{Assignment, EncodingType, FillWith, IpRange, StreamOption};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::encode::Encoding;
use crate::facts::{self, Facts};
use crate::lease::Lease;
use crate::spool::{Kept, Spool};
use crate::stats::Stats;
use crate::told;

/// Rows whose media stay in memory.
const ROWS_IN_MEMORY: u64 = 12;

/// Most media in memory, bytes; the oldest rows make room.
const MOST_BYTES: usize = 192 << 20;

/// Rows that the timeline keeps: what recordings have not stored is among them for minutes.
const ROWS_KNOWN: u64 = 600;

/// Rows that the edge shows. What is older is in storage, unless storage is away for minutes.
const ROWS_SHOWN: usize = 64;

/// Of sound that says nothing of its bit rate, bits per second.
const SOUND_BITRATE: u32 = 128_000;

/// What a recording is told.
pub(crate) enum Told {
    /// A step that needs no media.
    Change(Change),
    /// A complete segment.
    Whole {
        track: TrackIndex,
        number: u64,
        segment: Segment,
        kept: Option<Arc<Kept>>,
    },
}

/// Media at the edge.
pub(crate) enum Media {
    /// Parts from the one asked for on; more will come unless `complete`.
    Parts {
        parts: Vec<Bytes>,
        complete: bool,
    },
    NotYet,
    /// Not in memory any more.
    Gone,
}

pub(crate) struct Live {
    pub(crate) id: Uuid,
    pub(crate) generation: u32,
    /// What comes in.
    pub(crate) limits: Limits,
    /// How it is encoded; `None`: it is passed on.
    pub(crate) encoding: Option<Encoding>,
    pub(crate) facts: Facts,
    /// How what comes in is doing. Never held across another lock.
    stats: Mutex<Stats>,
    /// Connections end when it is cancelled.
    pub(crate) stop: CancellationToken,
    /// Encoders that are let in, and not told of as gone.
    encoders: watch::Sender<usize>,
    interval_ms: u32,
    part_ms: u32,
    pub(crate) low_latency: bool,
    version: watch::Sender<u64>,
    /// Nothing more is taken in.
    over: AtomicBool,
    /// Rows before it were there before this worker had the event.
    inherited: u64,
    /// Who may send, by the newest assignment.
    allow: Mutex<Vec<IpRange>>,
    /// Messages that came by HTTP.
    pub(crate) told: told::Pace,
    /// Where the connection of the encoder is traced that came last.
    here: Mutex<Option<Here>>,
    /// Under which it is taken in.
    pub(crate) lease: Arc<Lease>,
    inner: Mutex<Inner>,
}

struct Inner {
    engine: Engine,
    spool: Spool,
    media: BTreeMap<(u64, TrackIndex), Vec<Bytes>>,
    media_bytes: usize,
    /// Segments on disk that some recording still needs.
    kept: BTreeMap<(u64, TrackIndex), std::sync::Weak<Kept>>,
    listeners: Vec<mpsc::UnboundedSender<Told>>,
    /// Name and bit rate of the picture of every stream name.
    streams: BTreeMap<String, u32>,
    /// Measured bits per second by source.
    rates: BTreeMap<SourceId, u64>,
    next_source: SourceId,
    /// Of which kind something stands in for what does not come.
    filled: Vec<Kind>,
    /// The disk refused: nothing more is taken in.
    broken: Option<String>,
}

/// An encoder that is counted.
pub(crate) struct Counted(Arc<Live>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.encoders.send_modify(|count| *count -= 1);
    }
}

/// What a recording begins with.
pub(crate) struct Subscription {
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    pub(crate) timeline: Timeline,
    pub(crate) kept: BTreeMap<(u64, TrackIndex), Arc<Kept>>,
}

/// The part of an assignment that an engine needs, and what comes in at most.
fn settings(assignment: &Assignment) -> (Settings, Limits) {
    let incoming = match assignment.encoding.encoding_type {
        EncodingType::PassthroughBasic => Limits::BASIC,
        EncodingType::None | EncodingType::PassthroughStandard => Limits::STANDARD,
        EncodingType::Standard | EncodingType::Premium1080p => Limits::ENCODING,
    };
    let interval = assignment.input.key_frame_interval_ms;
    let interval = interval.or(assignment.encoding.key_frame_interval_ms);
    let interval_ms = u32::try_from(interval.unwrap_or(2_000))
        .unwrap_or(2_000)
        .clamp(500, 20_000);
    let settings = Settings {
        interval_ms,
        // A third of a second or a whole one, and a picture's length more.
        part_ms: if is_low_latency(assignment) {
            380
        } else {
            1_140
        },
        // Of an event that is encoded, what comes to the engine are its layers.
        limits: match assignment.encoding.encoding_type.is_passthrough() {
            true => incoming,
            false => Limits::STANDARD,
        },
    };
    (settings, incoming)
}

fn fill(assignment: &Assignment) -> Option<Fill> {
    let asked = assignment.input.fill?;
    let encoded = !assignment.encoding.encoding_type.is_passthrough();
    Some(Fill {
        black: asked.with == FillWith::BlackAndSilence,
        after_ms: u32::try_from(asked.after_ms).unwrap_or(u32::MAX),
        sound_bitrate: match encoded {
            true => crate::encode::sound_bitrate(assignment),
            false => SOUND_BITRATE,
        },
    })
}

fn is_low_latency(assignment: &Assignment) -> bool {
    assignment.stream_option != StreamOption::Default
}

impl Live {
    /// Errors: the encoding that is asked for is not known here.
    pub(crate) fn new(
        assignment: &Assignment,
        spool: Spool,
        timeline: Timeline,
        lease: Arc<Lease>,
    ) -> Result<Self, String> {
        let (settings, limits) = settings(assignment);
        let (interval_ms, part_ms) = (settings.interval_ms, settings.part_ms);
        let inherited = timeline.next_number.unwrap_or(0);
        let mut engine = Engine::new(settings, timeline, crate::now_ms());
        engine.set_fill(fill(assignment));
        Ok(Self {
            id: assignment.event_id,
            generation: assignment.generation,
            limits,
            encoding: Encoding::of(assignment, interval_ms)?,
            facts: Facts::default(),
            stats: Mutex::default(),
            stop: CancellationToken::new(),
            encoders: watch::Sender::new(0),
            interval_ms,
            part_ms,
            low_latency: is_low_latency(assignment),
            version: watch::Sender::new(0),
            over: AtomicBool::new(false),
            inherited,
            allow: Mutex::new(assignment.input.allow.clone()),
            told: told::Pace::default(),
            here: Mutex::default(),
            lease,
            inner: Mutex::new(Inner {
                engine,
                spool,
                media: BTreeMap::new(),
                media_bytes: 0,
                kept: BTreeMap::new(),
                listeners: Vec::new(),
                streams: BTreeMap::new(),
                rates: BTreeMap::new(),
                next_source: 1,
                filled: Vec::new(),
                broken: None,
            }),
        })
    }

    /// A panic of another holder leaves nothing half done that matters more than going on.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what became of an encoder's track. What becomes of layers that are made here says nothing about an encoder.
    fn count(&self, count: impl FnOnce(&mut Stats, i64)) {
        if self.encoding.is_none() {
            count(&mut self.stats(), crate::now_ms());
        }
    }

    /// Takes over who may send. Those who are in stay.
    pub(crate) fn set_allow(&self, allow: &[IpRange]) {
        let mut known = self.allow.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != allow {
            *known = allow.to_vec();
        }
    }

    pub(crate) fn set_here(&self, here: Option<Here>) {
        *self.here.lock().unwrap_or_else(PoisonError::into_inner) = here;
    }

    /// What is recorded and served is part of this.
    pub(crate) fn here(&self) -> Option<Here> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.clone()
    }

    pub(crate) fn allows(&self, peer: std::net::IpAddr) -> bool {
        let known = self.allow.lock().unwrap_or_else(PoisonError::into_inner);
        crate::hub::is_allowed(&known, peer)
    }

    pub(crate) fn source(&self) -> SourceId {
        let mut inner = self.lock();
        let source = inner.next_source;
        inner.next_source += 1;
        source
    }

    /// Announces a stream of a connection. `stream`: the stream name; `bitrate`: as its metadata have it.
    ///
    /// Errors: the reason to refuse it.
    pub(crate) fn announce(
        &self,
        (source, line): (SourceId, u32),
        stream: &str,
        bitrate: Option<u32>,
        config: StreamConfig,
    ) -> Result<TrackIndex, Reason> {
        let mut inner = self.lock();
        let kind = config.kind;
        let bitrate = match kind {
            Kind::Audio => bitrate.unwrap_or(SOUND_BITRATE),
            Kind::Video => {
                let others: Vec<u32> = inner
                    .streams
                    .iter()
                    .filter(|(name, _)| *name != stream)
                    .map(|(_, rate)| *rate)
                    .collect();
                match inner.streams.get(stream) {
                    Some(known) => *known,
                    // Bit rates tell the streams of an encoder apart.
                    None if bitrate.is_none() && !others.is_empty() => {
                        return Err(Reason::SetDataFrameNotReceived);
                    }
                    None => {
                        let guess = (config.width * config.height).saturating_mul(2);
                        let mut rate = bitrate.unwrap_or(guess).max(1);
                        while others.contains(&rate) {
                            rate += 1;
                        }
                        inner.streams.insert(stream.to_owned(), rate);
                        rate
                    }
                }
            }
        };
        let now = crate::now_ms();
        let named = (kind.name(), bitrate);
        let index = inner
            .engine
            .announce_line(now, source, line, named, config)?;
        self.settle(&mut inner);
        Ok(index)
    }

    /// Announces a track that is encoded here.
    ///
    /// Errors: the reason to refuse it.
    pub(crate) fn announce_layer(
        &self,
        source: SourceId,
        kind: Kind,
        bitrate: u32,
        config: StreamConfig,
    ) -> Result<TrackIndex, Reason> {
        let mut inner = self.lock();
        let now = crate::now_ms();
        let index = inner
            .engine
            .announce(now, source, kind.name(), bitrate, config)?;
        self.settle(&mut inner);
        Ok(index)
    }

    /// A track that is encoded here sends nothing for a while.
    pub(crate) fn rest(&self, track: TrackIndex) {
        let mut inner = self.lock();
        inner.engine.rest(track);
        self.settle(&mut inner);
    }

    /// Whether tracks of a kind have come to this time of a source already.
    pub(crate) fn is_past(&self, source: SourceId, kind: Kind, dts: i64) -> bool {
        let inner = self.lock();
        inner.engine.is_past(crate::now_ms(), source, kind, dts)
    }

    /// An access unit of a connection. Gives how far what comes is ahead of the clock, in milliseconds.
    ///
    /// Errors: the reason to end the connection.
    pub(crate) fn push(
        &self,
        source: SourceId,
        track: TrackIndex,
        unit: AccessUnit,
    ) -> Result<i64, Reason> {
        let now = crate::now_ms();
        if self.over.load(Ordering::Relaxed) {
            return Err(Reason::ChannelStop);
        }
        let mut inner = self.lock();
        if inner.broken.is_some() {
            return Err(Reason::CapacityReached);
        }
        inner.engine.push(now, source, track, unit)?;
        self.settle(&mut inner);
        Ok(inner.engine.ahead_ms(now))
    }

    /// Something is said beside what a source sends. False if there is no media yet that it could be said of.
    pub(crate) fn say_by(&self, clock: Clock, said: Said) -> bool {
        let mut inner = self.lock();
        let said = inner.engine.say_by(clock, said);
        self.settle(&mut inner);
        said
    }

    /// Likewise, what an encoder says on a connection without media. False before it has sent any on another.
    pub(crate) fn say_beside(&self, said: Said) -> bool {
        if let Some(encoding) = &self.encoding {
            said.key_times().for_each(|time| encoding.key_at(time));
        }
        self.say_by(Clock::Encoder, said)
    }

    /// An encoder says something of a moment.
    pub(crate) fn say(&self, source: SourceId, said: Said) {
        let mut inner = self.lock();
        inner.engine.say(source, said);
        self.settle(&mut inner);
    }

    /// A connection measured what it gets, bits per second.
    ///
    /// Errors: it is too much.
    pub(crate) fn measured(&self, source: SourceId, rate: u64) -> Result<(), Reason> {
        let mut inner = self.lock();
        inner.rates.insert(source, rate);
        let total = inner.rates.values().sum();
        self.limits.check_measured(rate, total)
    }

    /// A connection gets nothing any more.
    pub(crate) fn forget_rate(&self, source: SourceId) {
        self.lock().rates.remove(&source);
    }

    pub(crate) fn disconnect(&self, source: SourceId) {
        let mut inner = self.lock();
        inner.engine.disconnect(crate::now_ms(), source);
        self.settle(&mut inner);
    }

    /// Gives the black pictures that are to be made for [`Self::set_black`].
    pub(crate) fn tick(&self) -> Vec<BlackWanted> {
        let mut inner = self.lock();
        inner.engine.tick(crate::now_ms());
        self.settle(&mut inner);
        let kinds = [Kind::Video, Kind::Audio];
        let filled = kinds
            .into_iter()
            .filter(|kind| inner.engine.is_filled(*kind));
        let filled: Vec<Kind> = filled.collect();
        if filled != inner.filled {
            let names: Vec<_> = filled.iter().map(|kind| kind.name()).collect();
            tracing::info!(event = %self.id, kinds = ?names, "stands in for what does not come");
            inner.filled = filled;
        }
        inner.engine.black_wanted()
    }

    pub(crate) fn set_black(&self, track: TrackIndex, black: Black) {
        self.lock().engine.set_black(track, black);
    }

    /// Of which kind something stands in for what does not come.
    pub(crate) fn filled(&self) -> Vec<Kind> {
        self.lock().filled.clone()
    }

    /// Brings out everything that was growing, as nothing more comes.
    pub(crate) fn flush(&self) {
        let mut inner = self.lock();
        inner.engine.set_fill(None);
        inner.engine.flush(crate::now_ms());
        self.settle(&mut inner);
    }

    /// Brings out what was growing if no encoder is there, and nothing stands in for one: it would be closed in some seconds anyway.
    pub(crate) fn flush_what_was_left(&self) {
        let mut inner = self.lock();
        let filled = [Kind::Video, Kind::Audio].map(|kind| inner.engine.is_filled(kind));
        if !inner.engine.has_sources() && !filled.contains(&true) {
            inner.engine.flush(crate::now_ms());
            self.settle(&mut inner);
        }
    }

    /// Nothing comes any more: whoever waits is told.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        let mut inner = self.lock();
        inner.engine.end(crate::now_ms());
        self.settle(&mut inner);
    }

    /// Recordings are told nothing more: they end once they have stored what they were told.
    pub(crate) fn hang_up(&self) {
        self.lock().listeners.clear();
    }

    /// The process ends, or another has the event: what is on disk stays there.
    pub(crate) fn leave(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.lock().spool.leave();
    }

    /// The event is over: its disk is freed.
    pub(crate) fn forget(&self) {
        self.lock().spool.remove();
    }

    /// Whether a row is of an earlier life of the worker.
    pub(crate) fn inherits(&self, number: u64) -> bool {
        number < self.inherited
    }

    /// Counts an encoder until what is returned is dropped.
    pub(crate) fn count_encoder(self: &Arc<Self>) -> Counted {
        self.encoders.send_modify(|count| *count += 1);
        Counted(self.clone())
    }

    /// Waits until every encoder is gone and told of so, or `patience` is over.
    pub(crate) async fn deserted(&self, patience: Duration) {
        let mut encoders = self.encoders.subscribe();
        let none = encoders.wait_for(|count| *count == 0);
        // Who does not go in time is told of by nobody.
        let _ = tokio::time::timeout(patience, none).await;
    }

    /// Why nothing is taken in any more.
    pub(crate) fn broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// Rows from this number on may still get segments.
    pub(crate) fn settled(&self) -> u64 {
        self.lock().engine.settled()
    }

    /// Follows the timeline from now on. `from`: what starts then or later is wanted, too, as far as it is in memory.
    pub(crate) fn subscribe(&self, from: Option<i64>) -> Subscription {
        let mut inner = self.lock();
        let (teller, told) = mpsc::unbounded_channel();
        inner.listeners.push(teller);
        let timeline = inner.engine.timeline().clone();
        let mut kept = BTreeMap::new();
        let inner = &mut *inner;
        for row in &timeline.rows {
            for (track, segment) in &row.segments {
                if !segment.complete {
                    continue;
                }
                let key = (row.number, *track);
                let file = inner.kept.get(&key).and_then(std::sync::Weak::upgrade);
                let file = file.or_else(|| inner.spool.found(*track, row.number));
                let file = file.or_else(|| {
                    from.filter(|from| row.start >= *from)?;
                    let parts = inner.media.get(&key)?;
                    let size = segment.size();
                    inner.spool.keep(*track, row.number, size, parts).ok()
                });
                if let Some(file) = file {
                    inner.kept.insert(key, Arc::downgrade(&file));
                    kept.insert(key, file);
                }
            }
        }
        Subscription {
            told,
            timeline,
            kept,
        }
    }

    /// Takes everything out of the engine.
    fn settle(&self, inner: &mut Inner) {
        let mut changed = false;
        while let Some(output) = inner.engine.poll() {
            changed = true;
            match output {
                Output::Change(change) => {
                    if let Err(error) = inner.keep(change) {
                        inner.refuse(self.id, &error);
                    }
                }
                Output::Media {
                    track,
                    number,
                    bytes,
                } => {
                    if let Err(error) = inner.spool.grow(track, number, &bytes) {
                        inner.refuse(self.id, &error);
                    }
                    inner.media_bytes += bytes.len();
                    inner.media.entry((number, track)).or_default().push(bytes);
                }
                Output::Dropped { track, time, drop } => {
                    self.count(|stats, now| stats.dropped(now, track, drop));
                    if let (Some(code), Some(known)) = (drop.code(), inner.track(track)) {
                        self.facts.tell(Fact::ChunkDropped(ChunkDropped {
                            timestamp: facts::time(time),
                            track_type: known.kind.name().to_owned(),
                            track_name: name(known),
                            bitrate: u64::from(known.bitrate),
                            timescale: facts::scale(),
                            result_code: code.to_owned(),
                        }));
                    }
                }
                Output::Jump {
                    track,
                    previous,
                    new,
                } => {
                    self.count(|stats, now| stats.jumped(now, track));
                    if let Some(known) = inner.track(track) {
                        self.facts.tell(Fact::Discontinuity(Discontinuity {
                            track_type: known.kind.name().to_owned(),
                            track_name: name(known),
                            bitrate: u64::from(known.bitrate),
                            previous_timestamp: facts::time(previous),
                            new_timestamp: facts::time(new),
                            timescale: facts::scale(),
                            discontinuity_gap: facts::time(new - previous),
                        }));
                    }
                }
            }
        }
        if changed {
            inner.make_room();
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// Is told of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let inner = self.lock();
        Snapshot {
            generation: self.generation,
            now_ms: crate::now_ms(),
            interval_ms: self.interval_ms,
            part_ms: self.part_ms,
            low_latency: self.low_latency,
            timeline: inner.engine.timeline().tail(ROWS_SHOWN),
        }
    }

    /// Asks the timeline something, under the lock.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Timeline) -> T) -> T {
        question(self.lock().engine.timeline())
    }

    /// Media of a segment from part `from` on.
    pub(crate) fn media(&self, track: TrackIndex, number: u64, from: usize) -> Media {
        let inner = self.lock();
        let timeline = inner.engine.timeline();
        let segment = timeline
            .row(number)
            .and_then(|row| row.segments.get(&track));
        let complete = segment.is_some_and(|segment| segment.complete) || timeline.ended;
        match inner.media.get(&(number, track)) {
            Some(parts) => Media::Parts {
                parts: parts.get(from..).unwrap_or_default().to_vec(),
                complete,
            },
            None if segment.is_some_and(|segment| !segment.parts.is_empty()) => Media::Gone,
            None if timeline.next_number.is_some_and(|next| number >= next) => Media::NotYet,
            None if segment.is_some() || timeline.row(number).is_some() => Media::NotYet,
            None => Media::Gone,
        }
    }

    /// A segment that has left memory, from the disk while some recording still needs it there, and the place of `part` in it.
    pub(crate) fn on_disk(
        &self,
        track: TrackIndex,
        number: u64,
        part: Option<usize>,
    ) -> Option<(Arc<Kept>, std::ops::Range<u64>)> {
        let inner = self.lock();
        let row = inner.engine.timeline().row(number)?;
        let segment = row.segments.get(&track).filter(|s| s.complete)?;
        let range = match part {
            None => 0..segment.size(),
            Some(part) => segment.part_range(part)?,
        };
        let kept = inner.kept.get(&(number, track))?.upgrade()?;
        Some((kept, range))
    }

    /// How every track is doing.
    pub(crate) fn heartbeats(&self) -> Vec<Heartbeat> {
        let mut inner = self.lock();
        let now = crate::now_ms();
        let tracks = inner.engine.timeline().tracks.clone();
        let mut beats = Vec::new();
        let mut heads = Vec::new();
        let relieved = self.encoding.as_ref().is_some_and(Encoding::is_relieved);
        for (index, track) in (0..).zip(&tracks) {
            let Some(stats) = inner.engine.take_stats(index, now) else {
                continue;
            };
            let incoming = stats.bitrate(now);
            let running = stats.bytes > 0;
            heads.extend(
                stats
                    .last
                    .filter(|_| running)
                    .map(|last| (track.kind, last)),
            );
            let expected = u64::from(track.bitrate);
            // A layer that is made here says nothing about an encoder.
            let (drift, arrived) = match self.encoding {
                None => self.stats().heard(now, index),
                Some(_) => (None, None),
            };
            beats.push(Heartbeat {
                track_type: track.kind.name().to_owned(),
                track_name: name(track),
                bitrate: expected,
                incoming_bitrate: incoming,
                last_timestamp: facts::time(stats.last.unwrap_or(0)),
                timescale: facts::scale(),
                overlap_count: stats.overlaps,
                discontinuity_count: stats.discontinuities,
                nonincreasing_count: stats.non_increasing,
                // Of what is encoded here it says nothing about an encoder.
                unexpected_bitrate: running
                    && self.encoding.is_none()
                    && (incoming > expected * 2 || incoming < expected / 4),
                state: if running { "Running" } else { "Stopped" }.to_owned(),
                healthy: running
                    && !relieved
                    && stats.overlaps + stats.discontinuities + stats.non_increasing == 0,
                last_fragment_arrival_time: facts::moment(arrived),
                ingest_drift_value: facts::drift(drift),
                transcription_state: String::new(),
                transcription_language: String::new(),
            });
        }
        drop(inner);
        self.tell_of_drift(&heads);
        beats
    }
}

/// Streams are out of step when their newest times are so far apart, in ticks of the event's clock: more than encoders
/// interleave.
const OUT_OF_STEP: i64 = 3 * 90_000;

impl Live {
    /// Tells of streams that have drifted apart. `heads`: kind and newest time of those that run.
    fn tell_of_drift(&self, heads: &[(Kind, i64)]) {
        if let Some((least, most)) = apart(heads.iter().copied()) {
            self.facts.tell(Fact::StreamsOutOfSync(StreamsOutOfSync {
                min_last_timestamp: facts::time(least.1),
                type_of_stream_with_min_last_timestamp: least.0.name().to_owned(),
                max_last_timestamp: facts::time(most.1),
                type_of_stream_with_max_last_timestamp: most.0.name().to_owned(),
                timescale_of_min_last_timestamp: facts::scale(),
                timescale_of_max_last_timestamp: facts::scale(),
            }));
        }
        let pictures = heads.iter().copied();
        let pictures = pictures.filter(|(kind, _)| *kind == Kind::Video);
        if let Some((least, most)) = apart(pictures) {
            let duration = facts::time(headwater_live::clock_of_ms(i64::from(self.interval_ms)));
            self.facts
                .tell(Fact::VideoStreamsOutOfSync(VideoStreamsOutOfSync {
                    first_timestamp: facts::time(least.1),
                    first_duration: duration.clone(),
                    second_timestamp: facts::time(most.1),
                    second_duration: duration,
                    timescale: facts::scale(),
                }));
        }
    }
}

/// The stream that is farthest behind and the one farthest ahead, if they are out of step.
fn apart(heads: impl Iterator<Item = (Kind, i64)> + Clone) -> Option<((Kind, i64), (Kind, i64))> {
    let least = heads.clone().min_by_key(|(_, time)| *time)?;
    let most = heads.max_by_key(|(_, time)| *time)?;
    (most.1 - least.1 > OUT_OF_STEP).then_some((least, most))
}

/// A track's name in events.
fn name(track: &Track) -> String {
    format!("{}_{}", track.name, track.bitrate)
}

impl Inner {
    fn track(&self, index: TrackIndex) -> Option<&Track> {
        self.engine.timeline().tracks.get(usize::from(index))
    }

    /// The disk cannot be written: nothing more is taken in.
    fn refuse(&mut self, event: Uuid, error: &io::Error) {
        tracing::error!(%event, "the journal cannot be written: {error}");
        self.broken = Some(format!("the worker's disk cannot be written: {error}"));
    }

    /// Records a change, then tells of it.
    fn keep(&mut self, change: Change) -> io::Result<()> {
        self.spool.record(&change, self.engine.timeline())?;
        match change {
            Change::Close { track, number, .. } => {
                let Some(segment) = self.engine.segment(track, number).cloned() else {
                    return Ok(());
                };
                let key = (number, track);
                let parts = self.media.get(&key).map(Vec::as_slice).unwrap_or_default();
                // Without a recording nobody needs it beyond memory.
                let kept = match self.listeners.is_empty() {
                    true => {
                        self.spool.discard(track, number);
                        None
                    }
                    false => Some(self.spool.keep(track, number, segment.size(), parts)?),
                };
                if let Some(kept) = &kept {
                    self.kept.insert(key, Arc::downgrade(kept));
                }
                let whole = Change::Whole {
                    track,
                    number,
                    segment: segment.clone(),
                };
                self.spool.record(&whole, self.engine.timeline())?;
                self.tell(|| Told::Whole {
                    track,
                    number,
                    segment: segment.clone(),
                    kept: kept.clone(),
                });
            }
            Change::Open { .. } | Change::Part { .. } | Change::Trim { .. } => {}
            other => self.tell(|| Told::Change(other.clone())),
        }
        Ok(())
    }

    fn tell(&mut self, told: impl Fn() -> Told) {
        self.listeners
            .retain(|listener| listener.send(told()).is_ok());
    }

    fn make_room(&mut self) {
        let next = self.engine.timeline().next_number.unwrap_or(0);
        let oldest = next.saturating_sub(ROWS_IN_MEMORY);
        while let Some(entry) = self.media.first_entry() {
            let (number, _) = *entry.key();
            if number >= oldest && self.media_bytes <= MOST_BYTES {
                break;
            }
            let freed: usize = entry.remove().iter().map(Bytes::len).sum();
            self.media_bytes -= freed;
        }
        let known = next.saturating_sub(ROWS_KNOWN);
        if self
            .engine
            .timeline()
            .rows
            .front()
            .is_some_and(|row| row.number + 64 < known)
        {
            self.engine.forget_before(known);
            self.kept.retain(|(number, _), _| *number >= known);
        }
    }
}
