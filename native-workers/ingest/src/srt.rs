//! SRT: one port for each event, as the passphrase is all that a caller shows.
//!
//! The passphrase is the access token; a caller with another one, or with none, is turned away by the handshake. The stream
//! id names the stream, as `name` or as `#!::r=name`; none is `default`.

use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use headwater_live::reason::Reason;
use headwater_live::stream::Kind;
use headwater_live::timeline::TrackIndex;
use headwater_live::ts::{Demux, Found};
use rsrt::{CloseReason, SrtError, SrtListener, SrtOptions, SrtSocket};
use tokio_util::sync::CancellationToken;

use crate::hub::{Open, Publication};

/// Ports tried, from the configured one on.
const PORTS: u16 = 200;

/// Without data.
const IDLE: Duration = Duration::from_secs(10);

/// Callers of one event at once: a redundant pair, and one that comes back before the old one is given up.
const MOST_CALLERS: usize = 4;

/// A port that takes one event in. It is given back when dropped.
pub(crate) struct Listening {
    pub(crate) port: u16,
    stop: CancellationToken,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Opens a port for an event.
///
/// Errors: no port is free, the passphrase is none, or the address is not IPv4.
pub(crate) async fn listen(base: SocketAddr, token: &str, open: Open) -> Result<Listening, String> {
    let SocketAddr::V4(base) = base else {
        return Err("the address to listen on must be IPv4".to_owned());
    };
    let options = SrtOptions {
        data_idle_timeout: Some(IDLE),
        ..SrtOptions::default().passphrase(token)
    };
    let mut refused = String::new();
    for step in 0..PORTS {
        let port = match base.port() {
            0 => 0,
            first => first.saturating_add(step),
        };
        let addr = SocketAddrV4::new(*base.ip(), port);
        match SrtListener::bind(addr, options.clone()).await {
            Ok(listener) => {
                let port = listener.local_addr().port();
                let stop = CancellationToken::new();
                tokio::spawn(accept(listener, open, port, stop.clone()));
                return Ok(Listening { port, stop });
            }
            Err(error @ SrtError::Io(_)) => refused = error.to_string(),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(refused)
}

async fn accept(mut listener: SrtListener, open: Open, port: u16, stop: CancellationToken) {
    let mut callers = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = callers.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, peer)) = accepted else {
            break;
        };
        if callers.len() >= MOST_CALLERS {
            tracing::warn!(%peer, reason = %Reason::CapacityReached, "an encoder is turned away");
            let _ = socket.close().await;
            continue;
        }
        callers.spawn(caller(socket, SocketAddr::V4(peer), open.clone(), port));
    }
    // Those who are in end by the event's own signal.
    while callers.join_next().await.is_some() {}
}

/// The name in a stream id.
fn stream_name(id: &str) -> &str {
    let resource = id.strip_prefix("#!::").map_or(Some(id), |keys| {
        keys.split(',').find_map(|pair| pair.strip_prefix("r="))
    });
    match resource {
        None | Some("") => "default",
        Some(name) => name,
    }
}

async fn caller(mut socket: SrtSocket, peer: SocketAddr, open: Open, port: u16) {
    let id = socket.streamid().unwrap_or_default();
    let url = format!("srt://{}:{port}", open.host);
    let mut publication = match Publication::begin(&open, &url, stream_name(&id), peer) {
        Ok(publication) => publication,
        Err(reason) => {
            tracing::info!(%peer, %reason, "an encoder was not let in");
            let _ = socket.close().await;
            return;
        }
    };
    let stop = publication.stop();
    let reason = tokio::select! {
        () = stop.cancelled() => Reason::ChannelStop,
        reason = receive(&mut socket, &mut publication) => reason,
    };
    publication.end(reason);
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.close()).await;
}

async fn receive(socket: &mut SrtSocket, publication: &mut Publication) -> Reason {
    let mut streams = Streams::default();
    loop {
        let payload = match socket.recv().await {
            Ok(Some(payload)) => payload,
            // The library has handed out all that it had received by then.
            Ok(None) => {
                streams.demux.end();
                let taken = streams.take(publication).await;
                return taken.err().unwrap_or(Reason::Ok);
            }
            Err(SrtError::Closed(CloseReason::DataIdle)) => return Reason::IdleTimeout,
            Err(_) => return Reason::ClientTerminated,
        };
        if streams.demux.feed(&payload).is_err() {
            return Reason::Malformed;
        }
        if let Err(reason) = streams.take(publication).await {
            return reason;
        }
    }
}

/// The streams of one connection.
#[derive(Default)]
struct Streams {
    demux: Demux,
    tracks: Vec<(u16, TrackIndex)>,
    pictures: usize,
    sounds: usize,
}

impl Streams {
    /// Hands on what has come out.
    async fn take(&mut self, publication: &mut Publication) -> Result<(), Reason> {
        while let Some(found) = self.demux.poll() {
            if let Some(wait) = self.hand_on(found, publication)? {
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }

    fn hand_on(
        &mut self,
        found: Found,
        publication: &mut Publication,
    ) -> Result<Option<Duration>, Reason> {
        let track = |pid: u16| self.tracks.iter().find(|(known, _)| *known == pid);
        match found {
            Found::Config { pid, config } => {
                // One picture; further ones of the program are other programs' business.
                if config.kind == Kind::Video && track(pid).is_none() {
                    self.pictures += 1;
                    if self.pictures > 1 {
                        return Ok(None);
                    }
                }
                let kind = config.kind;
                let further = kind == Kind::Audio && track(pid).is_none() && self.sounds > 0;
                if further && publication.is_encoded() {
                    return Ok(None);
                }
                let track = match publication.announce(pid.into(), None, config) {
                    // Those that there is room for are taken.
                    Err(Reason::TooManyQualities) if further => {
                        tracing::info!(pid, "a further sound of an encoder is not passed on");
                        return Ok(None);
                    }
                    announced => announced?,
                };
                if kind == Kind::Audio && self.tracks.iter().all(|(known, _)| *known != pid) {
                    self.sounds += 1;
                }
                self.tracks.retain(|(known, _)| *known != pid);
                self.tracks.push((pid, track));
                Ok(None)
            }
            Found::Unit { pid, unit } => match track(pid) {
                Some((_, track)) => publication.push(*track, unit.into()),
                None => Ok(None),
            },
            Found::Said(said) => {
                publication.say(said);
                Ok(None)
            }
            Found::Unsupported { pid, stream_type } => {
                tracing::info!(pid, stream_type, "a stream of an encoder is not passed on");
                // Data and text may come along; a picture that cannot be shown is told.
                match stream_type {
                    0x01 | 0x02 | 0x10 | 0x33 => Err(Reason::CodecNotSupported),
                    _ => Ok(None),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::stream_name;

    #[test]
    fn stream_ids_name_streams() {
        assert_eq!(stream_name(""), "default");
        assert_eq!(stream_name("cam1"), "cam1");
        assert_eq!(stream_name("#!::m=publish,r=cam2,u=x"), "cam2");
        assert_eq!(stream_name("#!::m=publish"), "default");
    }
}
