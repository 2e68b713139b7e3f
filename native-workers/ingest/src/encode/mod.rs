//! Live encoding: one incoming picture and its sound become the layers of a preset, which go the way that incoming layers go.
//!
//! ```text
//! connection ─> queue ─> pictures: decode, order, thin, scale ─┬─> layer: bars, encode ─┐
//!                   │                                          └─> layer ...           ─┼─> event
//!                   └──> sound: decode, stereo at 48 kHz, encode ──────────────────────┘
//! ```
//!
//! Every connection has threads of its own: one that takes its queue, and one for each layer. They yield to those that move
//! media, and every place where something waits is bounded: a queue that is full drops to the next key frame, and before that
//! layers are given up ([`headwater_live::encode::relief`]). Times are the source's: pictures keep theirs, sound is counted
//! in samples from its own.
//!
//! Of several connections one is encoded at a time. The next one's newest group of pictures waits, so it takes over from there.

mod layer;
mod pictures;
mod queue;
mod sound;
mod source;
mod threads;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use headwater_live::encode::ladder::{self, Layer, Stretch};
use headwater_live::engine::{AccessUnit, SourceId};
use headwater_live::limits::Limits;
use headwater_live::reason::Reason;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::TrackIndex;
use headwater_work::live::facts::{ChunkDropped, Fact};
use headwater_work::live::{Assignment, EncodingType, StretchMode};

use crate::event::Live;
use crate::facts;
use pictures::Pictures;
use queue::{Item, Queue, Taken};
use sound::Sound;

/// Connections of one event at once: a redundant pair, and one that comes back before the old one is given up.
const MOST_SESSIONS: usize = 4;

/// What an encoder sends ahead of its own clock before it is read more slowly; connections that are passed through may be
/// farther ahead.
const AHEAD_MS: i64 = 4_000;

/// Sound that waits for the first picture.
const MOST_EARLY: usize = 512;

/// What an encoder is told with its code when encoders here cannot keep up. Not a name of AMS.
const OVERLOAD: &str = "FragmentDrop_EncoderOverload";

/// How an event is encoded.
pub(crate) struct Encoding {
    layers: Vec<Layer>,
    /// Bits per second.
    sound_bitrate: u32,
    stretch: Stretch,
    interval_ms: u32,
    desk: Desk,
}

/// What the connections of an event share.
#[derive(Default)]
struct Desk {
    /// Who holds it is encoded.
    turn: Mutex<()>,
    sessions: Mutex<Sessions>,
    /// Steps of relief: who comes back goes on with them.
    level: AtomicUsize,
}

#[derive(Default)]
struct Sessions {
    count: usize,
    /// Stream name of those that are there.
    stream: String,
    queues: Vec<Weak<Queue>>,
}

/// Of the sound of an event that is encoded, bits per second.
pub(crate) fn sound_bitrate(assignment: &Assignment) -> u32 {
    let own = assignment.encoding.ladder.as_ref();
    own.and_then(|own| own.sound_bitrate)
        .unwrap_or(sound::BITRATE)
}

impl Encoding {
    /// What an assignment asks for; `None`: incoming layers are passed on.
    ///
    /// Errors: a preset that says nothing.
    pub(crate) fn of(assignment: &Assignment, interval_ms: u32) -> Result<Option<Self>, String> {
        let asked = &assignment.encoding;
        let default = match asked.encoding_type {
            EncodingType::None
            | EncodingType::PassthroughBasic
            | EncodingType::PassthroughStandard => return Ok(None),
            EncodingType::Standard => "Default720p",
            EncodingType::Premium1080p => "Default1080p",
        };
        let name = asked.preset_name.as_deref().unwrap_or(default);
        let own = asked.ladder.as_ref().filter(|own| !own.layers.is_empty());
        let layers = match own {
            Some(own) => {
                let layers = own.layers.iter().map(|layer| Layer {
                    size: ladder::Size {
                        width: layer.width,
                        height: layer.height,
                    },
                    bitrate: layer.bitrate,
                });
                layers.collect()
            }
            None => {
                let known = ladder::preset(name).ok_or_else(|| {
                    format!(
                        "encoding.presetName '{name}' is not known; there are Default720p and Default1080p"
                    )
                })?;
                known.to_vec()
            }
        };
        let stretch = match asked.stretch_mode {
            None | Some(StretchMode::None) => Stretch::None,
            Some(StretchMode::AutoSize) => Stretch::AutoSize,
            Some(StretchMode::AutoFit) => Stretch::AutoFit,
        };
        Ok(Some(Self {
            layers,
            sound_bitrate: sound_bitrate(assignment),
            stretch,
            interval_ms,
            desk: Desk::default(),
        }))
    }

    /// The picture at that time of the encoder is to be a key frame, whichever of its connections has it.
    pub(crate) fn key_at(&self, time: i64) {
        let queues = self.sessions().queues.clone();
        for queue in queues.iter().filter_map(Weak::upgrade) {
            queue.push(Item::Key(time));
        }
    }

    /// Whether something is given up.
    pub(crate) fn is_relieved(&self) -> bool {
        self.desk.level.load(Ordering::Relaxed) > 0
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        let sessions = self.desk.sessions.lock();
        sessions.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all that has come is encoded, `patience` at most.
    pub(crate) async fn settle(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.sessions().count > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One connection that is encoded. What it has sent is brought to its end when it is dropped.
pub(crate) struct Session {
    live: Arc<Live>,
    queue: Arc<Queue>,
    /// When the first unit came, and its decode time.
    begun: Option<(Instant, i64)>,
    video_bitrate: u32,
}

/// A place among the sessions of an event, of the thread that encodes one. However the thread ends, what it served is told.
struct Seat {
    live: Arc<Live>,
    source: SourceId,
    queue: Arc<Queue>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.queue.fail(Reason::CapacityReached);
        self.live.disconnect(self.source);
        if let Some(encoding) = &self.live.encoding {
            encoding.sessions().count -= 1;
        }
    }
}

/// Incoming pictures, among what a session announces.
pub(crate) const VIDEO: TrackIndex = 0;
const AUDIO: TrackIndex = 1;

impl Session {
    /// Begins to encode what comes under a stream name; `None` for events that are passed on.
    ///
    /// Errors: `TooManyQualities` beside a stream of another name, `CapacityReached`.
    pub(crate) fn begin(
        live: &Arc<Live>,
        source: SourceId,
        stream: &str,
    ) -> Result<Option<Self>, Reason> {
        let Some(encoding) = &live.encoding else {
            return Ok(None);
        };
        {
            let mut sessions = encoding.sessions();
            if sessions.count > 0 && sessions.stream != stream {
                return Err(Reason::TooManyQualities);
            }
            if sessions.count >= MOST_SESSIONS {
                return Err(Reason::CapacityReached);
            }
            sessions.count += 1;
            sessions.stream = stream.to_owned();
        }
        let queue = Arc::new(Queue::default());
        {
            let queues = &mut encoding.sessions().queues;
            queues.retain(|known| known.strong_count() > 0);
            queues.push(Arc::downgrade(&queue));
        }
        let seat = Seat {
            live: live.clone(),
            source,
            queue: queue.clone(),
        };
        let spawned = threads::spawn("live decoder", threads::DECODER, move || {
            encode(&seat.live, seat.source, &seat.queue);
        });
        if let Err(error) = spawned {
            tracing::warn!(event = %live.id, "starting a live encoder: {error}");
            return Err(Reason::CapacityReached);
        }
        Ok(Some(Self {
            live: live.clone(),
            queue,
            begun: None,
            video_bitrate: 0,
        }))
    }

    /// A stream's configuration. Gives its place, and the bit rate that it is known by.
    ///
    /// Errors: the reason to refuse it.
    pub(crate) fn announce(
        &mut self,
        bitrate: Option<u32>,
        config: &StreamConfig,
    ) -> Result<(TrackIndex, u32), Reason> {
        Limits::ENCODING.check_size(config.width, config.height)?;
        let refused = |why: String| {
            tracing::info!(event = %self.live.id, "what an encoder sends cannot be encoded anew: {why}");
            Reason::CodecNotSupported
        };
        match config.kind {
            Kind::Video => {
                let video = source::Video::of(config).map_err(refused)?;
                let guess = (config.width * config.height).saturating_mul(2);
                self.video_bitrate = bitrate.unwrap_or(guess).max(1);
                self.queue.push(Item::Video(video));
                Ok((VIDEO, self.video_bitrate))
            }
            Kind::Audio => {
                let audio = source::Audio::of(config).map_err(refused)?;
                self.queue.push(Item::Audio(audio));
                Ok((AUDIO, bitrate.unwrap_or(128_000)))
            }
        }
    }

    /// An access unit. Gives how far what comes is ahead of its own clock, in milliseconds, as [`Live::push`] does of the event's.
    ///
    /// Errors: the reason to end the connection.
    pub(crate) fn push(&mut self, track: TrackIndex, unit: AccessUnit) -> Result<i64, Reason> {
        if let Some(reason) = self.queue.failed() {
            return Err(reason);
        }
        if unit.bytes.len() > headwater_live::engine::MAX_UNIT_BYTES {
            return Err(Reason::TooLargeUnprocessed);
        }
        let now = Instant::now();
        let ahead = |(since, first): (Instant, i64)| {
            let lasted = i64::try_from(now.duration_since(since).as_millis()).unwrap_or(i64::MAX);
            (unit.dts.saturating_sub(first) / headwater_live::CLOCK_PER_MS).saturating_sub(lasted)
        };
        // A clock that was set is another clock.
        let same = self
            .begun
            .filter(|begun| ahead(*begun).saturating_abs() < 15_000);
        let begun = *self.begun.insert(same.unwrap_or((now, unit.dts)));
        let ahead = ahead(begun);
        let kind = match track {
            VIDEO => Kind::Video,
            _ => Kind::Audio,
        };
        let item = Item::Unit {
            kind,
            unit,
            came: now,
        };
        if self.queue.push(item) == Taken::Full {
            self.live.encoder_dropped("video", self.video_bitrate);
        }
        Ok(ahead.saturating_add(AHEAD_MS))
    }
}

impl Session {
    /// The picture at that time of the source is to be a key frame.
    pub(crate) fn key_at(&self, time: i64) {
        self.queue.push(Item::Key(time));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Live {
    /// Encoders cannot keep up, and drop pictures of a track from now on. Told once for each time that it begins.
    fn encoder_dropped(&self, name: &str, bitrate: u32) {
        let track_name = format!("{name}_{bitrate}");
        tracing::warn!(event = %self.id, track = track_name, "encoders cannot keep up; pictures are dropped");
        self.facts.tell(Fact::ChunkDropped(ChunkDropped {
            timestamp: facts::time(headwater_live::clock_of_ms(crate::now_ms())),
            track_type: "video".to_owned(),
            track_name,
            bitrate: bitrate.into(),
            timescale: facts::scale(),
            result_code: OVERLOAD.to_owned(),
        }));
    }
}

/// Encodes what comes until the queue is closed, and then what is left.
fn encode(live: &Arc<Live>, source: SourceId, queue: &Arc<Queue>) {
    let Some(encoding) = &live.encoding else {
        return;
    };
    let turn = encoding.desk.turn.lock();
    let _turn = turn.unwrap_or_else(PoisonError::into_inner);
    queue.activate();
    let (mut pictures, mut sound) = (None::<Pictures>, None::<Sound>);
    let mut early = Vec::new();
    while let Some(item) = queue.pop() {
        let step = match item {
            Item::Video(video) => match &mut pictures {
                Some(pictures) => pictures.configure(video),
                None => Pictures::new(live.clone(), source, queue.clone(), video)
                    .map(|made| pictures = Some(made)),
            },
            Item::Audio(audio) => Sound::new(&audio, encoding.sound_bitrate).map(|made| {
                // What the old one holds is less than a frame.
                sound = Some(made);
            }),
            Item::Key(time) => {
                if let Some(pictures) = &mut pictures {
                    pictures.key_at(time);
                }
                Ok(())
            }
            Item::Unit { kind, unit, came } => match (kind, &mut pictures, &mut sound) {
                (Kind::Video, Some(pictures), _) => pictures.push(unit, came),
                (Kind::Audio, _, Some(sound)) => {
                    early.extend(sound.push(&unit));
                    Ok(())
                }
                _ => Ok(()),
            },
        };
        let step = step.and_then(|()| match &sound {
            // Rows begin with pictures: sound that comes before the first is kept for it.
            Some(sound)
                if pictures.as_ref().is_none_or(Pictures::is_shown) || early.len() > MOST_EARLY =>
            {
                sound.hand_on(live, source, early.drain(..))
            }
            _ => Ok(()),
        });
        if let Err(reason) = step {
            queue.fail(reason);
            break;
        }
    }
    if let Some(pictures) = pictures {
        pictures.end();
    }
    if let Some(sound) = &mut sound {
        early.extend(sound.finish());
        let _ = sound.hand_on(live, source, early.drain(..));
    }
}
