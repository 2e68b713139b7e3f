//! Which event an encoder means, and what it may push into: the seam between protocols and events.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use headwater_live::cue::Said;
use headwater_live::engine::{AccessUnit, SourceId};
use headwater_live::reason::Reason;
use headwater_live::stream::StreamConfig;
use headwater_live::timeline::TrackIndex;
use headwater_trace::{Kind, Span};
use headwater_work::live::IpRange;
use headwater_work::live::facts::{ConnectionEnded, Encoder, Fact, StreamReceived};
use uuid::Uuid;

use crate::encode::Session;
use crate::event::{Counted, Live};
use crate::facts;

/// An event that takes encoders in.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) live: Arc<Live>,
    /// By which name encoders are told to come.
    pub(crate) host: Arc<str>,
}

/// The events of this worker.
#[derive(Default)]
pub(crate) struct Hub {
    /// By access token, without dashes and in lower case.
    open: RwLock<HashMap<String, Open>>,
    events: RwLock<HashMap<Uuid, Arc<Live>>>,
}

/// Tokens are UUIDs to people, with dashes or without.
pub(crate) fn token_key(token: &str) -> String {
    let letters = token.chars().filter(|letter| *letter != '-');
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

impl Hub {
    /// Shows an event at the edge.
    pub(crate) fn show(&self, live: &Arc<Live>) {
        if let Ok(mut events) = self.events.write() {
            events.insert(live.id, live.clone());
        }
    }

    pub(crate) fn hide(&self, id: Uuid) {
        if let Ok(mut events) = self.events.write() {
            events.remove(&id);
        }
    }

    pub(crate) fn event(&self, id: Uuid) -> Option<Arc<Live>> {
        self.events.read().ok()?.get(&id).cloned()
    }

    /// Takes encoders with that token in.
    pub(crate) fn open(&self, token: &str, open: Open) {
        if let Ok(mut known) = self.open.write() {
            known.insert(token_key(token), open);
        }
    }

    pub(crate) fn close(&self, token: &str) {
        if let Ok(mut known) = self.open.write() {
            known.remove(&token_key(token));
        }
    }

    /// The event of a token.
    pub(crate) fn find(&self, token: &str) -> Option<Open> {
        self.open.read().ok()?.get(&token_key(token)).cloned()
    }
}

/// Whether an address is in one of the ranges.
pub(crate) fn is_allowed(ranges: &[IpRange], peer: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(peer))
}

/// A connection of an encoder that has been let in: what a protocol adapter pushes into. Tells of its end when dropped.
pub(crate) struct Publication {
    live: Arc<Live>,
    source: SourceId,
    /// What comes is encoded; `None`: it is passed on, and the source is this connection's.
    session: Option<Session>,
    encoder: Encoder,
    /// Tracks announced, and whether media has come.
    tracks: Vec<(TrackIndex, Announced)>,
    window: (Instant, u64),
    talk: Talk,
    ended: Reason,
    /// From its first word to its last.
    span: Span,
    /// Until its end has been told.
    _counted: Counted,
}

/// What a connection has said of moments in the second that began then.
pub(crate) struct Talk {
    since: Instant,
    count: u32,
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            count: 0,
        }
    }
}

impl Talk {
    /// Counts what is said; whether that is more than is listened to.
    pub(crate) fn is_too_much(&mut self, event: Uuid) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::default();
        }
        self.count = self.count.saturating_add(1);
        if self.count == MOST_SAID + 1 {
            tracing::info!(%event, "an encoder sends more than {MOST_SAID} cues and messages a second");
        }
        self.count > MOST_SAID
    }
}

struct Announced {
    kind: &'static str,
    name: String,
    bitrate: u64,
    seen: bool,
}

/// Bit rates are measured over so long.
const WINDOW: Duration = Duration::from_secs(10);

/// Cues and messages of a connection that are taken in a second.
const MOST_SAID: u32 = 32;

/// An encoder may be so far ahead of the clock before it is read more slowly.
const AHEAD_MS: i64 = 5_000;

impl Publication {
    /// Lets an encoder in.
    ///
    /// `url`: what it connected to, without the token. Errors: the reason to refuse it, which the event's followers are told.
    pub(crate) fn begin(
        open: &Open,
        url: &str,
        stream: &str,
        peer: SocketAddr,
    ) -> Result<Self, Reason> {
        let encoder = Encoder {
            ingest_url: short(url),
            stream_id: short(stream),
            encoder_ip: peer.ip().to_canonical().to_string(),
            encoder_port: peer.port().to_string(),
        };
        let mut span = Span::within(None, Kind::Server, "publish");
        span.set("headwater.live_event", open.live.id.to_string());
        span.set("client.address", encoder.encoder_ip.clone());
        span.set("headwater.stream", encoder.stream_id.clone());
        let good_name = !stream.is_empty()
            && stream.len() <= 128
            && stream
                .chars()
                .all(|c| c.is_ascii_graphic() && !"/\\?#%\"<>".contains(c));
        let source = open.live.source();
        let begun = if !open.live.allows(peer.ip()) {
            Err(Reason::ConnectionDenied)
        } else if !good_name {
            Err(Reason::Malformed)
        } else {
            Session::begin(&open.live, source, stream)
        };
        let session = begun.inspect_err(|reason| {
            span.fail(|| reason.code().to_owned());
            open.live
                .facts
                .tell(Fact::ConnectionRejected(ended(&encoder, *reason)));
        })?;
        open.live
            .facts
            .tell(Fact::EncoderConnected(encoder.clone()));
        open.live.set_here(span.here());
        let now = crate::now_ms();
        open.live.stats().connected(now, source, &encoder);
        Ok(Self {
            source,
            session,
            live: open.live.clone(),
            encoder,
            tracks: Vec::new(),
            window: (Instant::now(), 0),
            talk: Talk::default(),
            ended: Reason::ClientTerminated,
            span,
            _counted: open.live.count_encoder(),
        })
    }

    /// What the event takes in.
    pub(crate) fn limits(&self) -> headwater_live::limits::Limits {
        self.live.limits
    }

    /// Whether players want what comes within seconds.
    pub(crate) fn is_low_latency(&self) -> bool {
        self.live.low_latency
    }

    /// Whether what comes is encoded: one picture and one sound.
    pub(crate) fn is_encoded(&self) -> bool {
        self.session.is_some()
    }

    /// Cancelled when the event takes no encoder any more.
    pub(crate) fn stop(&self) -> tokio_util::sync::CancellationToken {
        self.live.stop.clone()
    }

    /// A stream's configuration, at first and whenever it changes. `line`: which of the connection's streams it is.
    pub(crate) fn announce(
        &mut self,
        line: u32,
        bitrate: Option<u32>,
        config: StreamConfig,
    ) -> Result<TrackIndex, Reason> {
        let kind = config.kind.name();
        let stream = self.encoder.stream_id.clone();
        let (index, encoded) = match &mut self.session {
            None => {
                let of = (self.source, line);
                let announced = self.live.announce(of, &stream, bitrate, config);
                (announced?, None)
            }
            Some(session) => {
                let (index, bitrate) = session.announce(bitrate, &config)?;
                (index, Some((kind.to_owned(), bitrate)))
            }
        };
        if self.tracks.iter().all(|(known, _)| *known != index) {
            let (name, bitrate) = encoded.unwrap_or_else(|| {
                self.live.ask(|timeline| {
                    let track = timeline.tracks.get(usize::from(index));
                    track.map_or_else(Default::default, |track| {
                        (track.name.clone(), track.bitrate)
                    })
                })
            });
            let announced = Announced {
                kind,
                name: format!("{name}_{bitrate}"),
                bitrate: bitrate.into(),
                seen: false,
            };
            let (name, bitrate) = (&announced.name, announced.bitrate);
            let now = crate::now_ms();
            self.live
                .stats()
                .announced(now, self.source, index, kind, name, bitrate);
            self.tracks.push((index, announced));
        }
        Ok(index)
    }

    /// An access unit. Gives how long to wait before more is read.
    pub(crate) fn push(
        &mut self,
        track: TrackIndex,
        unit: AccessUnit,
    ) -> Result<Option<Duration>, Reason> {
        let (time, bytes) = (unit.dts, unit.bytes.len() as u64);
        let now = crate::now_ms();
        self.live.stats().arrived(now, self.source, track, &unit);
        let ahead = match &mut self.session {
            None => self.live.push(self.source, track, unit)?,
            Some(session) => session.push(track, unit)?,
        };
        let first = self
            .tracks
            .iter_mut()
            .find(|(known, announced)| *known == track && !announced.seen);
        if let Some((_, announced)) = first {
            announced.seen = true;
            self.live.facts.tell(Fact::StreamReceived(StreamReceived {
                ingest_url: self.encoder.ingest_url.clone(),
                track_type: announced.kind.to_owned(),
                track_name: announced.name.clone(),
                bitrate: announced.bitrate,
                encoder_ip: self.encoder.encoder_ip.clone(),
                encoder_port: self.encoder.encoder_port.clone(),
                timestamp: facts::time(time),
                duration: "0".to_owned(),
                timescale: facts::scale(),
            }));
        }
        let (since, seen) = self.window;
        let lasted = since.elapsed();
        self.window.1 = seen + bytes;
        if lasted >= WINDOW {
            let rate =
                self.window.1 * 8_000 / u64::try_from(lasted.as_millis()).unwrap_or(1).max(1);
            self.window = (Instant::now(), 0);
            self.live.measured(self.source, rate)?;
        }
        let wait = u64::try_from(ahead - AHEAD_MS)
            .ok()
            .filter(|wait| *wait > 0);
        Ok(wait.map(|ms| Duration::from_millis(ms.min(1_000))))
    }

    /// Something that the encoder says of a moment: a cue, or a message for players.
    pub(crate) fn say(&mut self, said: Said) {
        if self.talk.is_too_much(self.live.id) {
            return;
        }
        if let Some(session) = &self.session {
            said.key_times().for_each(|time| session.key_at(time));
        }
        self.live.say(self.source, said);
    }

    /// Says why it ends. Without, the encoder closed the connection.
    pub(crate) fn end(mut self, reason: Reason) {
        self.ended = reason;
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // What a session has still to encode comes before its source is gone.
        if self.session.take().is_none() {
            self.live.disconnect(self.source);
        }
        self.live.forget_rate(self.source);
        self.live.stats().gone(self.source);
        if self.ended != Reason::ClientTerminated {
            self.span.fail(|| self.ended.code().to_owned());
        }
        self.live
            .facts
            .tell(Fact::EncoderDisconnected(ended(&self.encoder, self.ended)));
    }
}

fn short(text: &str) -> String {
    text.chars().take(256).collect()
}

fn ended(encoder: &Encoder, reason: Reason) -> ConnectionEnded {
    ConnectionEnded {
        ingest_url: encoder.ingest_url.clone(),
        stream_id: encoder.stream_id.clone(),
        encoder_ip: encoder.encoder_ip.clone(),
        encoder_port: encoder.encoder_port.clone(),
        result_code: reason.code().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_prefixes_and_an_empty_list_is_nobody() {
        let range = |address: &str, bits| IpRange {
            name: None,
            address: address.parse().unwrap(),
            subnet_prefix_length: bits,
        };
        let peer = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(!is_allowed(&[], peer("127.0.0.1")));
        assert!(is_allowed(
            &[range("10.1.0.0", Some(16))],
            peer("10.1.200.3")
        ));
        assert!(!is_allowed(
            &[range("10.1.0.0", Some(16))],
            peer("10.2.0.1")
        ));
        assert!(is_allowed(
            &[range("0.0.0.0", Some(0))],
            peer("::ffff:10.0.0.1")
        ));
        assert!(is_allowed(
            &[range("0.0.0.0", Some(0))],
            peer("2001:db8::1")
        ));
        assert!(is_allowed(
            &[range("2001:db8::", Some(32))],
            peer("2001:db8::1")
        ));
        assert!(!is_allowed(&[range("192.0.2.1", None)], peer("192.0.2.2")));
    }

    #[test]
    fn tokens_are_the_same_with_dashes_and_without() {
        let token = "0F1E2D3C-0000-4000-8000-000000000000";
        assert_eq!(token_key(token), "0f1e2d3c000040008000000000000000");
    }
}
