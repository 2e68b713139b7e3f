//! A body that is still coming, for several who ask for it: whoever comes later is given what was missed and goes on from there.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use wasmtime_wasi_http::{Error, WasiBody};

/// Longest body: what is asked for as it grows is a segment of what is live.
const MAX_BYTES: usize = 64 << 20;
/// How long the next piece is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What has come of a body, and who waits for more.
pub(crate) struct SharedBody {
    pieces: Mutex<Vec<Bytes>>,
    /// Moves on with every piece, and once more at the end.
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Coming,
    Whole,
    Broken,
}

impl SharedBody {
    /// Reads `body` to its end, whoever else does.
    pub(crate) fn of(body: WasiBody) -> Arc<Self> {
        let shared = Arc::new(Self {
            pieces: Mutex::default(),
            state: watch::Sender::new(State::Coming),
        });
        tokio::spawn(Arc::clone(&shared).read(body));
        shared
    }

    async fn read(self: Arc<Self>, mut body: WasiBody) {
        let mut total = 0_usize;
        let end = loop {
            let frame = match tokio::time::timeout(PATIENCE, body.frame()).await {
                Ok(None) => break State::Whole,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    tracing::warn!("what several were reading broke off: {error}");
                    break State::Broken;
                }
                Err(_) => {
                    tracing::warn!("what several were reading came to a standstill");
                    break State::Broken;
                }
            };
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            total = total.saturating_add(piece.len());
            if total > MAX_BYTES {
                tracing::warn!("what several were reading was longer than any segment");
                break State::Broken;
            }
            let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
            pieces.push(piece);
            drop(pieces);
            self.state.send_replace(State::Coming);
        };
        self.state.send_replace(end);
    }

    /// Whether it ended before its end: it is to be asked for again.
    pub(crate) fn is_broken(&self) -> bool {
        *self.state.borrow() == State::Broken
    }

    /// All of it, from the beginning.
    pub(crate) fn body(self: &Arc<Self>) -> WasiBody {
        let reader = (Arc::clone(self), self.state.subscribe(), 0_usize);
        let frames = futures::stream::unfold(Some(reader), |reader| async move {
            let (shared, mut state, at) = reader?;
            loop {
                // Looked at first: what comes between this and the look at the pieces is seen by the next round.
                let now = *state.borrow_and_update();
                let piece = {
                    let pieces = shared.pieces.lock().unwrap_or_else(PoisonError::into_inner);
                    pieces.get(at).cloned()
                };
                match (piece, now) {
                    (Some(piece), _) => {
                        let next = Some((shared, state, at.saturating_add(1)));
                        return Some((Ok(Frame::data(piece)), next));
                    }
                    (None, State::Coming) => {
                        if state.changed().await.is_err() {
                            return Some((Err(broken()), None));
                        }
                    }
                    (None, State::Whole) => return None,
                    (None, State::Broken) => return Some((Err(broken()), None)),
                }
            }
        });
        StreamBody::new(frames).boxed_unsync()
    }
}

fn broken() -> Error {
    Error::ConnectionTerminated
}
