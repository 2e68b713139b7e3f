//! RTMP and RTMPS: connections of encoders. On the same ports is Smooth ingest ([`crate::push`]).
//!
//! `rtmp://host:1935/live/{accessToken}/{streamName}`, with or without `live`; the token is in the application or in front of
//! the stream's name, as encoders split URLs where they like.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use headwater_live::CLOCK_PER_MS;
use headwater_live::engine::AccessUnit;
use headwater_live::reason::Reason;
use headwater_live::source::Unwrap;
use headwater_live::stream::StreamConfig;
use headwater_live::timeline::TrackIndex;
use headwater_rtmp::amf0::Value;
use headwater_rtmp::flv::{self, Codec, Tag};
use headwater_rtmp::{Event, Limits, Session};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::hub::{Hub, Open, Publication};
use crate::{push, said};

/// Connections of one port at once.
const MOST_CONNECTIONS: usize = 256;

/// From the connection to the grant to publish.
const PATIENCE_TO_PUBLISH: Duration = Duration::from_secs(10);

/// Without a message of media.
const IDLE: Duration = Duration::from_secs(10);

/// What comes in so many milliseconds is read at once, unless players want it with low latency. Reading and waking up for it cost
/// the same for one message as for ten.
const GATHERED_MS: u64 = 50;

/// Likewise where players want it with low latency: a picture's length.
const GATHERED_LOW_LATENCY_MS: u64 = 20;

/// A peer takes what it is told within this.
const PATIENCE_TO_WRITE: Duration = Duration::from_secs(5);

/// Takes connections until `stop`.
pub(crate) async fn listen(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    hub: Arc<Hub>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("accepting an encoder: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            tracing::warn!(%peer, reason = %Reason::CapacityReached, "an encoder is turned away");
            continue;
        };
        let (tls, hub) = (tls.clone(), hub.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let _ = stream.set_nodelay(true);
            let deadline = Instant::now() + PATIENCE_TO_PUBLISH;
            let port = stream.local_addr().map_or(0, |local| local.port());
            let at = At {
                port,
                peer,
                deadline,
            };
            match tls {
                None => told_apart(stream, ["rtmp", "http"], at, &hub, &stop).await,
                Some(tls) => match tokio::time::timeout_at(deadline, tls.accept(stream)).await {
                    Ok(Ok(stream)) => told_apart(stream, ["rtmps", "https"], at, &hub, &stop).await,
                    _ => tracing::debug!(%peer, "no TLS handshake"),
                },
            }
        });
    }
}

/// A connection of a port.
#[derive(Clone, Copy)]
struct At {
    port: u16,
    peer: SocketAddr,
    deadline: Instant,
}

/// RTMP begins with its version, 3; a method of HTTP with a letter.
async fn told_apart<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    [rtmp, http]: [&'static str; 2],
    at: At,
    hub: &Arc<Hub>,
    stop: &CancellationToken,
) {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let first = match tokio::time::timeout_at(at.deadline, stream.fill_buf()).await {
        Ok(Ok(bytes)) => bytes.first().copied(),
        _ => None,
    };
    match first {
        Some(letter) if letter.is_ascii_uppercase() => {
            push::connection(stream, (http, at.port), at.peer, hub, stop).await;
        }
        Some(_) => connection(stream, rtmp, at, hub, stop).await,
        None => {}
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    scheme: &'static str,
    At {
        port,
        peer,
        deadline,
    }: At,
    hub: &Hub,
    stop: &CancellationToken,
) {
    let mut encoder = Encoder {
        stream,
        session: Session::new(Limits::default()),
        scheme,
        port,
        peer,
        hub,
        app: String::new(),
        publication: None,
        media: Media::default(),
        deadline,
        wait: None,
        gather: None,
    };
    let reason = tokio::select! {
        reason = encoder.run() => reason,
        () = stop.cancelled() => Reason::ChannelStop,
    };
    // Before the farewell: the event may be waiting for the last of its encoders.
    match encoder.publication.take() {
        Some(publication) => publication.end(reason),
        None => tracing::info!(%peer, %reason, "an encoder was not let in"),
    }
    encoder.session.close(reason.code());
    let _ = encoder.send().await;
    let _ = tokio::time::timeout(Duration::from_secs(1), encoder.stream.shutdown()).await;
}

struct Encoder<'a, S> {
    stream: S,
    session: Session,
    scheme: &'static str,
    /// Of the listener.
    port: u16,
    peer: SocketAddr,
    hub: &'a Hub,
    app: String,
    publication: Option<Publication>,
    media: Media,
    /// When it is cut off, unless media comes.
    deadline: Instant,
    /// It is ahead of time, and read more slowly.
    wait: Option<Duration>,
    /// It publishes, and is read this often, in milliseconds.
    gather: Option<u64>,
}

/// When connections are read next that are read every so many milliseconds: all at the same moments, so that one awakening
/// serves them all.
fn next_reading(every_ms: u64) -> Instant {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let passed = u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX);
    let next = (passed / every_ms).saturating_add(1);
    *BEGUN + Duration::from_millis(next.saturating_mul(every_ms))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Encoder<'_, S> {
    /// Why it ended.
    async fn run(&mut self) -> Reason {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let stopped = self.publication.as_ref().map(Publication::stop);
            let stopped = async {
                match stopped {
                    Some(stop) => stop.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            let read = tokio::select! {
                () = stopped => return Reason::ChannelStop,
                read = tokio::time::timeout_at(self.deadline, self.stream.read(&mut buffer)) => read,
            };
            let count = match read {
                Err(_) => return Reason::IdleTimeout,
                Ok(Ok(0) | Err(_)) => return Reason::ClientTerminated,
                Ok(Ok(count)) => count,
            };
            let fed = self.session.feed(buffer.get(..count).unwrap_or_default());
            while let Some(event) = self.session.poll() {
                if let Err(reason) = self.event(event) {
                    self.session.reject(reason.code());
                    return reason;
                }
            }
            if let Err(error) = fed {
                tracing::info!(peer = %self.peer, "what an encoder sent is not RTMP: {error}");
                return match error {
                    headwater_rtmp::RtmpError::MessageTooLarge { .. }
                    | headwater_rtmp::RtmpError::TooManyUnfinished { .. } => {
                        Reason::TooLargeUnprocessed
                    }
                    _ => Reason::Malformed,
                };
            }
            if self.send().await.is_err() {
                return Reason::ClientTerminated;
            }
            // A full buffer: there is more, which its sender may be waiting to be rid of.
            let gather = self.gather.filter(|_| count < buffer.len());
            match (self.wait.take(), gather) {
                (Some(wait), _) => tokio::time::sleep(wait).await,
                (None, Some(every_ms)) => tokio::time::sleep_until(next_reading(every_ms)).await,
                (None, None) => {}
            }
        }
    }

    async fn send(&mut self) -> std::io::Result<()> {
        let output = self.session.take_output();
        if output.is_empty() {
            return Ok(());
        }
        tokio::time::timeout(PATIENCE_TO_WRITE, self.stream.write_all(&output)).await?
    }

    fn event(&mut self, event: Event) -> Result<(), Reason> {
        match event {
            Event::Connect { app, .. } => {
                self.app = app;
                // A token in the application is looked at before anything else is read.
                if let Some(token) = parts(&self.app, "").first() {
                    self.hub.find(token).ok_or(Reason::AuthFailure)?;
                }
                self.session.accept();
            }
            Event::Publish { stream } => {
                let path = parts(&self.app, &stream);
                let (token, name) = match path.as_slice() {
                    [token] => (*token, "default"),
                    [token, name] => (*token, *name),
                    _ => return Err(Reason::AuthFailure),
                };
                let open: Open = self.hub.find(token).ok_or(Reason::AuthFailure)?;
                let url = format!("{}://{}:{}/live", self.scheme, open.host, self.port);
                let publication = Publication::begin(&open, &url, name, self.peer)?;
                self.gather = Some(match publication.is_low_latency() {
                    true => GATHERED_LOW_LATENCY_MS,
                    false => GATHERED_MS,
                });
                self.publication = Some(publication);
                self.session.accept();
                self.deadline = Instant::now() + IDLE;
            }
            Event::Metadata(metadata) => {
                self.media.metadata(&metadata, self.publication.as_ref())?
            }
            Event::Data {
                timestamp,
                name,
                values,
            } => self.said(timestamp, &name, &values),
            Event::Video { timestamp, payload } => {
                let tag = flv::video(&payload);
                self.media(timestamp, tag, Line::Video)?;
            }
            Event::Audio { timestamp, payload } => {
                let tag = flv::audio(&payload);
                self.media(timestamp, tag, Line::Audio)?;
            }
            Event::End => return Err(Reason::Ok),
        }
        Ok(())
    }

    /// A data message: what it says of a moment goes on, anything else is no business of ours.
    fn said(&mut self, timestamp: u32, name: &str, values: &[Value]) {
        let Some(publication) = &mut self.publication else {
            return;
        };
        // A copy of the clock: what says something of a moment does not move it.
        let mut clock = self.media.clock.unwrap_or(Unwrap::RTMP);
        let now = clock.next(timestamp.into()).saturating_mul(CLOCK_PER_MS);
        match said::of_data(name, values, now) {
            Ok(Some(said)) => publication.say(said),
            Ok(None) => {}
            Err(fault) => {
                tracing::info!(peer = %self.peer, message = name, "what an encoder says of a moment is left out: {fault}");
            }
        }
    }

    fn media(&mut self, timestamp: u32, tag: Tag, line: Line) -> Result<(), Reason> {
        let Some(publication) = &mut self.publication else {
            return Err(Reason::Malformed);
        };
        if let Some(wait) = self.media.take(publication, timestamp, tag, line)? {
            self.wait = Some(wait);
        }
        self.deadline = Instant::now() + IDLE;
        Ok(())
    }
}

/// Token and name, from an application and a stream's name.
fn parts<'a>(app: &'a str, stream: &'a str) -> Vec<&'a str> {
    let clean = |text: &'a str| text.split(['?', '#']).next().unwrap_or_default();
    let path = clean(app).split('/').chain(clean(stream).split('/'));
    let mut path: Vec<&str> = path.filter(|part| !part.is_empty()).collect();
    if path.first() == Some(&"live") {
        path.remove(0);
    }
    path
}

#[derive(Clone, Copy)]
enum Line {
    Video,
    Audio,
}

/// The streams of one connection.
#[derive(Default)]
struct Media {
    size: (u32, u32),
    video_rate: Option<u32>,
    audio_rate: Option<u32>,
    video: Option<(TrackIndex, Bytes)>,
    audio: Option<(TrackIndex, Bytes)>,
    clock: Option<Unwrap>,
    pictures: DecodeTimes,
}

/// Decode times of a stream's pictures, in milliseconds.
///
/// The first pictures of a stream with B-frames have decode times before zero, which FLV cannot say: GStreamer's muxer sends
/// all of them at zero, and x264 has two at one time at a stream's end. All that follow need each of them, so one that comes at
/// the time of another is moved behind it.
#[derive(Default)]
struct DecodeTimes {
    sent: Option<i64>,
    given: i64,
}

impl DecodeTimes {
    /// How far a picture is moved at most: a clock that stands still is no stream.
    const FARTHEST_MS: i64 = 16;

    fn next(&mut self, sent: i64) -> i64 {
        // Going back is another matter, which is the event's.
        let goes_on = self.sent.is_some_and(|last| sent >= last);
        let behind = self.given.saturating_add(1);
        let fits = behind.saturating_sub(sent) <= Self::FARTHEST_MS;
        self.given = if goes_on && fits {
            sent.max(behind)
        } else {
            sent
        };
        self.sent = Some(sent);
        self.given
    }
}

impl Media {
    fn metadata(
        &mut self,
        metadata: &Value,
        publication: Option<&Publication>,
    ) -> Result<(), Reason> {
        let number = |name: &str| {
            let value = metadata.get(name).and_then(Value::as_number);
            value.filter(|number| number.is_finite() && *number > 0.0 && *number < 1e9)
        };
        // From floating point, saturating.
        let whole = |name: &str, factor: f64| number(name).map(|number| (number * factor) as u32);
        self.size = (
            whole("width", 1.0).unwrap_or(0),
            whole("height", 1.0).unwrap_or(0),
        );
        self.video_rate = whole("videodatarate", 1000.0).filter(|rate| *rate > 0);
        self.audio_rate = whole("audiodatarate", 1000.0).filter(|rate| *rate > 0);
        let limits = publication.map(Publication::limits);
        let rate = whole("framerate", 1000.0).unwrap_or(0);
        if limits.is_some_and(|limits| u64::from(rate) > limits.frame_rate_milli) {
            return Err(Reason::FramerateExceeded);
        }
        Ok(())
    }

    fn take(
        &mut self,
        publication: &mut Publication,
        timestamp: u32,
        tag: Tag,
        line: Line,
    ) -> Result<Option<Duration>, Reason> {
        match tag {
            Tag::Nothing => Ok(None),
            Tag::Malformed => Err(Reason::Malformed),
            Tag::Unsupported(name) => {
                tracing::info!(
                    codec = name,
                    "an encoder sends a codec that is not passed on"
                );
                Err(Reason::CodecNotSupported)
            }
            Tag::Config { codec, record } => {
                let (known, rate) = match line {
                    Line::Video => (&mut self.video, self.video_rate),
                    Line::Audio => (&mut self.audio, self.audio_rate),
                };
                // Encoders repeat it with every key frame.
                if known.as_ref().is_some_and(|(_, bytes)| *bytes == record) {
                    return Ok(None);
                }
                let config = match codec {
                    Codec::Avc => StreamConfig::avc(&record),
                    Codec::Hevc => StreamConfig::hevc(&record, self.size),
                    Codec::Av1 => StreamConfig::av1(&record, self.size),
                    Codec::Aac => StreamConfig::aac(&record),
                    Codec::Opus => StreamConfig::opus(&record),
                };
                let config = config.map_err(|error| {
                    tracing::info!("an encoder's configuration: {error}");
                    Reason::CodecNotSupported
                })?;
                let index = publication.announce(0, rate, config)?;
                *known = Some((index, record));
                Ok(None)
            }
            Tag::Unit {
                sync,
                offset,
                bytes,
                ..
            } => {
                let known = match line {
                    Line::Video => &self.video,
                    Line::Audio => &self.audio,
                };
                let Some((track, _)) = known else {
                    return Err(Reason::DescriptionNotReceived);
                };
                let clock = self.clock.get_or_insert(Unwrap::RTMP);
                let sent = clock.next(timestamp.into());
                let decoded = match line {
                    Line::Video => self.pictures.next(sent),
                    Line::Audio => sent,
                };
                let shown = sent.saturating_add(offset.into()).max(decoded);
                let unit = AccessUnit {
                    dts: decoded.saturating_mul(CLOCK_PER_MS),
                    pts: shown.saturating_mul(CLOCK_PER_MS),
                    sync,
                    bytes,
                };
                publication.push(*track, unit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeTimes, parts};

    #[test]
    fn pictures_of_one_time_follow_each_other() {
        let given = |sent: &[i64]| -> Vec<i64> {
            let mut times = DecodeTimes::default();
            sent.iter().map(|time| times.next(*time)).collect()
        };
        // What GStreamer sends of two B-frames, and of pictures a millisecond apart behind them.
        assert_eq!(given(&[0, 0, 0, 40, 80]), [0, 1, 2, 40, 80]);
        assert_eq!(given(&[7, 7, 7, 8, 9, 40]), [7, 8, 9, 10, 11, 40]);
        // What goes back is left as it is, and so is what follows it.
        assert_eq!(given(&[40, 0, 0, 40]), [40, 0, 1, 40]);
        // A clock that stands still.
        let still = given(&[5; 40]);
        assert_eq!((still[16], still[17], still[18]), (21, 5, 6));
    }

    #[test]
    fn urls_are_split_in_many_ways() {
        assert_eq!(parts("live/token", "main"), ["token", "main"]);
        assert_eq!(parts("live", "token/main"), ["token", "main"]);
        assert_eq!(parts("/live/token/", "main?x=y"), ["token", "main"]);
        assert_eq!(parts("token", "key"), ["token", "key"]);
        assert_eq!(parts("live/", "token"), ["token"]);
        assert!(parts("live", "").is_empty());
    }
}
