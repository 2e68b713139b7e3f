//! Smooth ingest: fragmented MP4 that encoders push by HTTP, on the ports of RTMP(S).
//!
//! `POST http://host:1935/{accessToken}/ingest.isml/streams({streamName})`, in any case of letters, with a body that lasts as
//! long as the stream. A body without a byte asks whether the token is good. What is carried: [`headwater_live::smooth`].
//!
//! `POST .../{accessToken}/ingest.isml/eventdata` with JSON is a message for players ([`told`]).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_ism::{EntryKind, ServerManifest};
use headwater_live::cue::Said;
use headwater_live::language;
use headwater_live::reason::Reason;
use headwater_live::smooth::{Demux, Found, SmoothError};
use headwater_live::stream::Kind;
use headwater_live::timeline::TrackIndex;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::hub::{Hub, Open, Publication, Talk};
use crate::{said, told};

/// Without a byte: an encoder sends a fragment when it is whole, and groups of pictures last up to twenty seconds.
const IDLE: Duration = Duration::from_secs(30);

/// Likewise, of who sends sparse tracks alone.
const SPARSE_IDLE: Duration = Duration::from_secs(60 * 60);

/// Until a request's head is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the requests of a connection.
pub(crate) async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    (scheme, port): (&'static str, u16),
    peer: SocketAddr,
    hub: &Arc<Hub>,
    stop: &CancellationToken,
) {
    let service = service_fn(|request| {
        let hub = hub.clone();
        async move { Ok::<_, Infallible>(answer(&hub, (scheme, port), peer, request).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        // An encoder may close its side behind the last byte, of which some is not looked at yet.
        .half_close(true);
    tokio::select! {
        _ = server.serve_connection(TokioIo::new(stream), service) => {}
        () = stop.cancelled() => {}
    }
}

async fn answer(
    hub: &Hub,
    (scheme, port): (&'static str, u16),
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let Some((token, what)) = place(request.uri().path()) else {
        return told(
            StatusCode::NOT_FOUND,
            "POST to /{accessToken}/ingest.isml/streams({streamName}), or messages to /{accessToken}/ingest.isml/eventdata.",
        );
    };
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return told(
            StatusCode::METHOD_NOT_ALLOWED,
            "Media and messages come with POST.",
        );
    }
    let Some(open) = hub.find(&token) else {
        tracing::info!(%peer, reason = %Reason::AuthFailure, "an encoder was not let in");
        return refused(Reason::AuthFailure);
    };
    let Target::Stream(name) = what else {
        return match open.live.allows(peer.ip()) {
            true => told::take(&open.live, request).await,
            false => refused(Reason::ConnectionDenied),
        };
    };
    if !open.live.allows(peer.ip()) {
        // Told to the event's followers, too.
        let url = format!("{scheme}://{}:{port}/ingest.isml", open.host);
        let reason = Publication::begin(&open, &url, &name, peer).err();
        return refused(reason.unwrap_or(Reason::ConnectionDenied));
    }
    let stop = open.live.stop.clone();
    let mut encoder = Encoder {
        url: format!("{scheme}://{}:{port}/ingest.isml", open.host),
        open,
        name,
        peer,
        demux: Demux::default(),
        rates: Vec::new(),
        languages: Vec::new(),
        schemes: Vec::new(),
        publications: Vec::new(),
        talk: Talk::default(),
        tracks: Vec::new(),
        pictures: 0,
        sounds: 0,
    };
    let reason = tokio::select! {
        () = stop.cancelled() => Reason::ChannelStop,
        reason = encoder.run(request.into_body()) => reason,
    };
    for publication in encoder.publications.drain(..) {
        publication.end(reason);
    }
    match reason {
        Reason::Ok | Reason::ClientTerminated => Response::new(Full::default()),
        reason => {
            tracing::info!(%peer, %reason, "an encoder's push has ended");
            refused(reason)
        }
    }
}

fn refused(reason: Reason) -> Response<Full<Bytes>> {
    let status = match reason {
        Reason::AuthFailure | Reason::ConnectionDenied => StatusCode::FORBIDDEN,
        Reason::ChannelStop => StatusCode::GONE,
        Reason::CapacityReached => StatusCode::SERVICE_UNAVAILABLE,
        Reason::IdleTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::CodecNotSupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::TooLargeUnprocessed => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    told(status, reason.code())
}

/// An answer in words, which ends the connection.
pub(crate) fn told(status: StatusCode, what: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(what.into()));
    *response.status_mut() = status;
    let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    // Who is refused is not listened to any further.
    let close = http::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// What is sent to.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// A stream of this name.
    Stream(String),
    /// Messages for players.
    Messages,
}

/// Token of a path, and what is sent to.
fn place(path: &str) -> Option<(String, Target)> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let mut token = parts.next()?;
    if token.eq_ignore_ascii_case("live") {
        token = parts.next()?;
    }
    if !parts.next()?.eq_ignore_ascii_case("ingest.isml") {
        return None;
    }
    let streams = parts.next()?;
    if streams.eq_ignore_ascii_case("eventdata") {
        return (parts.next().is_none()).then(|| (token.to_owned(), Target::Messages));
    }
    let prefix = streams.get(..8)?;
    let name = streams.get(8..)?.strip_suffix(')')?;
    if !prefix.eq_ignore_ascii_case("streams(") || parts.next().is_some() {
        return None;
    }
    let name = percent_encoding::percent_decode_str(name)
        .decode_utf8()
        .ok()?;
    Some((token.to_owned(), Target::Stream(name.into_owned())))
}

/// Languages of the sounds that say one (`systemLanguage`), by track.
fn languages(manifest: &ServerManifest) -> Vec<(u32, Option<String>)> {
    let sounds = manifest.tracks.iter();
    let sounds = sounds.filter(|track| track.kind == EntryKind::Audio);
    let stated = sounds.filter_map(|track| {
        let stated = language::stated(track.language.as_deref()?);
        Some((track.track_id?, stated))
    });
    stated.collect()
}

struct Encoder {
    open: Open,
    url: String,
    name: String,
    peer: SocketAddr,
    demux: Demux,
    /// Bit rates by track, as the live server manifest has them.
    rates: Vec<(u32, u32)>,
    /// Languages of sounds, likewise; `None` for a track of which it says that there is none.
    languages: Vec<(u32, Option<String>)>,
    /// Schemes of sparse tracks, likewise.
    schemes: Vec<(u32, String)>,
    /// One for each stream of pictures; sound goes with the first.
    publications: Vec<Publication>,
    talk: Talk,
    /// Track, publication, and the event's track.
    tracks: Vec<(u32, usize, TrackIndex)>,
    pictures: usize,
    sounds: usize,
}

impl Encoder {
    /// Why it ended.
    async fn run(&mut self, mut body: Incoming) -> Reason {
        loop {
            let frame = match tokio::time::timeout(self.patience(), body.frame()).await {
                Err(_) => return Reason::IdleTimeout,
                Ok(None) if self.demux.is_at_a_box() => return Reason::Ok,
                Ok(None | Some(Err(_))) => return Reason::ClientTerminated,
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let fed = self.demux.feed(&data);
            while let Some(found) = self.demux.poll() {
                match self.hand_on(found) {
                    Ok(Some(wait)) => tokio::time::sleep(wait).await,
                    Ok(None) => {}
                    Err(reason) => return reason,
                }
            }
            if let Err(error) = fed {
                tracing::info!(peer = %self.peer, "what an encoder pushes cannot be read: {error}");
                return match error {
                    SmoothError::TooLarge { .. } => Reason::TooLargeUnprocessed,
                    SmoothError::Codec { .. } => Reason::CodecNotSupported,
                    _ => Reason::Malformed,
                };
            }
            if body.is_end_stream() && self.demux.is_at_a_box() {
                return Reason::Ok;
            }
        }
    }

    fn hand_on(&mut self, found: Found) -> Result<Option<Duration>, Reason> {
        match found {
            Found::Manifest(manifest) => {
                // Without one, or with one that cannot be read, rates are measured.
                if let Ok(manifest) = headwater_ism::parse(&manifest) {
                    let rates = manifest.tracks.iter().filter_map(|track| {
                        let rate = track.bitrate.filter(|rate| *rate > 0)?;
                        Some((track.track_id?, rate))
                    });
                    self.rates = rates.collect();
                    self.languages = languages(&manifest);
                    let schemes = manifest.tracks.iter().filter_map(|track| {
                        let data = track.subtype.as_deref()?.eq_ignore_ascii_case("data");
                        Some((track.track_id?, track.scheme.clone().filter(|_| data)?))
                    });
                    self.schemes = schemes.collect();
                }
                Ok(None)
            }
            Found::Config { track, mut config } => {
                // What the manifest says is believed before what the track's header does.
                let mut stated = self.languages.iter();
                if let Some((_, language)) = stated.find(|(known, _)| *known == track) {
                    config.language.clone_from(language);
                }
                let known = self.tracks.iter().find(|(known, ..)| *known == track);
                let publication = match known {
                    Some(&(_, publication, _)) => Some(publication),
                    None => self.place_of(config.kind)?,
                };
                let into = publication.and_then(|at| Some((at, self.publications.get_mut(at)?)));
                let Some((publication, into)) = into else {
                    return Ok(None);
                };
                let rate = self.rates.iter().find(|(known, _)| *known == track);
                let index = into.announce(track, rate.map(|(_, rate)| *rate), config)?;
                self.tracks.retain(|(known, ..)| *known != track);
                self.tracks.push((track, publication, index));
                Ok(None)
            }
            Found::Unit { track, unit } => {
                let known = self.tracks.iter().find(|(known, ..)| *known == track);
                let Some(&(_, publication, index)) = known else {
                    return Ok(None);
                };
                match self.publications.get_mut(publication) {
                    Some(publication) => publication.push(index, unit.into()),
                    None => Ok(None),
                }
            }
            Found::Passed { track, .. } if self.scheme(track).is_some() => Ok(None),
            Found::Data {
                track,
                time,
                scale,
                bytes,
            } => {
                let scheme = self.scheme(track);
                let said = scheme.map(|scheme| said::of_sparse(scheme, (time, scale), &bytes));
                match (self.publications.first_mut(), said) {
                    (Some(publication), Some(Ok(said))) => publication.say(said),
                    (None, Some(Ok(said))) => self.say_beside(said),
                    (_, Some(Err(fault))) => {
                        tracing::info!(peer = %self.peer, track, "a message of an encoder is passed over: {fault}");
                    }
                    _ => {}
                }
                Ok(None)
            }
            Found::Passed { track, codec } => {
                tracing::info!(peer = %self.peer, track, codec, "a track of an encoder is not passed on");
                Ok(None)
            }
        }
    }

    /// Something is said on a connection that has nothing else: no encoder is counted for it.
    fn say_beside(&mut self, said: Said) {
        let live = &self.open.live;
        if !self.talk.is_too_much(live.id) && !live.say_beside(said) {
            tracing::info!(event = %live.id, "an encoder says something before it has sent media");
        }
    }

    /// Without a byte for so long, it is taken for gone. A sparse track has nothing to say for most of the time.
    fn patience(&self) -> Duration {
        match self.publications.is_empty() && !self.schemes.is_empty() {
            true => SPARSE_IDLE,
            false => IDLE,
        }
    }

    /// What the messages of a sparse track are.
    fn scheme(&self, track: u32) -> Option<&str> {
        let mut schemes = self.schemes.iter();
        let known = schemes.find(|(known, _)| *known == track);
        known.map(|(_, scheme)| scheme.as_str())
    }

    /// Where a track goes: one of sound to the first publication; one of pictures to a publication, and under a name, of its
    /// own, as encoders that push every stream by itself do it. `None`: nowhere.
    fn place_of(&mut self, kind: Kind) -> Result<Option<usize>, Reason> {
        let first = self.publications.first();
        let sounds = self.sounds;
        match kind {
            Kind::Audio => {
                self.sounds += 1;
                // What is encoded here has one sound.
                if sounds > 0 && first.is_some_and(Publication::is_encoded) {
                    return Ok(None);
                }
                if first.is_none() {
                    self.begin()?;
                }
                Ok(Some(0))
            }
            Kind::Video => {
                self.pictures += 1;
                if self.pictures > self.publications.len() {
                    self.begin()?;
                }
                Ok(Some(self.pictures - 1))
            }
        }
    }

    fn begin(&mut self) -> Result<(), Reason> {
        let name = match self.publications.len() {
            0 => self.name.clone(),
            before => format!("{}-{}", self.name, before + 1),
        };
        let publication = Publication::begin(&self.open, &self.url, &name, self.peer)?;
        self.publications.push(publication);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, languages, place};

    #[test]
    fn the_manifest_says_the_language_of_each_sound() {
        // As FFmpeg and AMS' own encoders write it.
        let manifest = br#"<?xml version="1.0" encoding="utf-8"?>
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
  <head><meta name="creator" content="encoder"/></head>
  <body><switch>
    <video src="Streams(v)" systemBitrate="2000000" systemLanguage="eng">
      <param name="trackID" value="1" valuetype="data"/><param name="trackName" value="video" valuetype="data"/>
    </video>
    <audio src="Streams(v)" systemBitrate="128000" systemLanguage="eng">
      <param name="trackID" value="2" valuetype="data"/><param name="trackName" value="audio_eng" valuetype="data"/>
    </audio>
    <audio src="Streams(v)" systemBitrate="128000">
      <param name="systemLanguage" value="deu" valuetype="data"/><param name="trackID" value="3" valuetype="data"/>
    </audio>
    <audio src="Streams(v)" systemBitrate="128000" systemLanguage="und"><param name="trackID" value="4"/></audio>
    <audio src="Streams(v)" systemBitrate="128000"><param name="trackID" value="5"/></audio>
    <audio src="Streams(v)" systemBitrate="128000" systemLanguage="e!g"><param name="trackID" value="6"/></audio>
  </switch></body>
</smil>"#;
        let found = languages(&headwater_ism::parse(manifest).unwrap());
        let some = |tag: &str| Some(tag.to_owned());
        let expected = [(2, some("eng")), (3, some("deu")), (4, None), (6, None)];
        assert_eq!(found, expected);
    }

    #[test]
    fn urls_are_those_of_encoders() {
        let found = |path: &str| place(path).unwrap();
        let is = |token: &str, name: &str| (token.to_owned(), Target::Stream(name.to_owned()));
        assert_eq!(
            found("/abc/ingest.isml/EventData"),
            ("abc".to_owned(), Target::Messages)
        );
        assert_eq!(found("/abc/ingest.isml/Streams(video)"), is("abc", "video"));
        assert_eq!(
            found("/live/abc/ingest.isml/streams(a%20b)"),
            is("abc", "a b")
        );
        assert_eq!(found("//abc//Ingest.ISML/STREAMS(x-1)"), is("abc", "x-1"));
        for wrong in [
            "/",
            "/abc",
            "/abc/ingest.isml",
            "/abc/ingest.isml/streams(x",
            "/abc/other.isml/streams(x)",
            "/abc/ingest.isml/streams(x)/y",
            "/abc/ingest.isml/eventdata/y",
            "/abc/ingest.isml/ströme(x)",
        ] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
