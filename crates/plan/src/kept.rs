//! What is kept of the bytes that a request brings.

use crate::{ByteStream, Run};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::ops::Range;

/// Why the bytes stop early.
#[derive(Debug)]
pub(crate) enum Broken<E> {
    /// The source says so.
    Source(E),
    /// It delivered another number of bytes than were asked for.
    Length { expected: u64, delivered: u64 },
}

/// The kept bytes of a [`Run`], in pieces.
pub(crate) struct Kept<B> {
    stream: B,
    expected: u64,
    delivered: u64,
    /// Where `piece` lies in the object.
    position: u64,
    piece: Bytes,
    keep: VecDeque<Range<u64>>,
}

impl<B: ByteStream> Kept<B> {
    /// `stream`: the bytes of `run.range`.
    pub(crate) fn new(stream: B, run: &Run<'_>) -> Self {
        Self {
            stream,
            expected: run.range.end.saturating_sub(run.range.start),
            delivered: 0,
            position: run.range.start,
            piece: Bytes::new(),
            keep: run.keep.iter().cloned().collect(),
        }
    }

    /// The next bytes to keep, not empty; `None` once the stream has ended, in good order.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken<B::Error>> {
        loop {
            if self.piece.is_empty() {
                if !self.refill().await? {
                    return Ok(None);
                }
                continue;
            }
            // A run ends where the last of its ranges does, so there is one while there are bytes.
            let Some(keep) = self.keep.front().cloned() else {
                self.piece.clear();
                continue;
            };
            let hole = narrow(keep.start.saturating_sub(self.position), &self.piece);
            self.advance(hole);
            let take = narrow(keep.end.saturating_sub(self.position), &self.piece);
            if take == 0 || self.position < keep.start {
                if self.position >= keep.end {
                    self.keep.pop_front();
                }
                continue;
            }
            let kept = self.piece.slice(..take);
            self.advance(take);
            if self.position >= keep.end {
                self.keep.pop_front();
            }
            return Ok(Some(kept));
        }
    }

    fn advance(&mut self, count: usize) {
        self.piece.advance(count);
        self.position = self.position.saturating_add(wide(count));
    }

    /// Whether there was another piece.
    async fn refill(&mut self) -> Result<bool, Broken<B::Error>> {
        let next = self.stream.next().await.map_err(Broken::Source)?;
        let ended = next.is_none();
        let piece = next.unwrap_or_default();
        self.delivered = self.delivered.saturating_add(wide(piece.len()));
        let complete = self.delivered == self.expected;
        if self.delivered > self.expected || (ended && !complete) {
            return Err(Broken::Length {
                expected: self.expected,
                delivered: self.delivered,
            });
        }
        self.piece = piece;
        Ok(!ended)
    }
}

/// `count`, but no more than the bytes of `piece`.
fn narrow(count: u64, piece: &Bytes) -> usize {
    usize::try_from(count)
        .unwrap_or(usize::MAX)
        .min(piece.len())
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
