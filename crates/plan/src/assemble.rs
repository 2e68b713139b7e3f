//! The reference assembler: carries a plan out against a port, in bounded chunks.

use crate::{Object, Plan, Read, Step};
use bytes::{Buf, Bytes};
use std::ops::Range;

/// Largest piece handed to a [`Sink`] at once.
pub const MAX_CHUNK_BYTES: usize = 256 * 1024;

/// Where object bytes come from.
#[allow(async_fn_in_trait)] // Guests are single-threaded; natives have their own assembler.
pub trait RangeSource {
    /// The bytes of one opened range.
    type Stream: ByteStream<Error = Self::Error>;
    /// Why a range cannot be read.
    type Error;

    /// Opens the bytes `range` of `object`, honouring its `If-Match`. Returns once the source has agreed to deliver
    /// them; errors if it has not (missing, changed, forbidden).
    async fn open(&self, object: &Object, range: Range<u64>) -> Result<Self::Stream, Self::Error>;
}

/// Bytes that arrive in pieces.
#[allow(async_fn_in_trait)]
pub trait ByteStream {
    /// Why the bytes stop early.
    type Error;

    /// The next piece, `None` at the end. Pieces may have any length.
    async fn next(&mut self) -> Result<Option<Bytes>, Self::Error>;
}

/// Where the body goes.
#[allow(async_fn_in_trait)]
pub trait Sink {
    /// Why the body cannot be taken.
    type Error;

    /// Takes the next bytes of the body: not empty, at most [`MAX_CHUNK_BYTES`]. Returns when it wants more.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Self::Error>;
}

/// Why a plan was not carried out to its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssembleError<S, K> {
    /// The source refused or lost a range.
    #[error("an object range could not be read")]
    Source(S),
    /// The sink went away.
    #[error("the body could not be written")]
    Sink(K),
    /// A source delivered fewer or more bytes than were asked for.
    #[error("an object delivered {delivered} bytes where {expected} were asked for")]
    Length {
        /// Bytes asked for.
        expected: u64,
        /// Bytes delivered, or at least so many.
        delivered: u64,
    },
}

/// Writes the body of `plan` to `sink` and returns its length.
///
/// An object range is opened before inline bytes that precede it are written: a source that refuses does so before
/// the first byte of an ordinary segment (`moof`, then samples) is out. One piece is in memory at a time.
///
/// Errors: [`AssembleError`]; what has been written is then a prefix of the body.
pub async fn assemble<S: RangeSource, K: Sink>(
    plan: &Plan,
    source: &S,
    sink: &mut K,
) -> Result<u64, AssembleError<S::Error, K::Error>> {
    let mut reads = plan.reads().peekable();
    let mut opened: Option<S::Stream> = None;
    while let Some(read) = reads.next() {
        match read {
            Read::Inline(bytes) => {
                if let Some(Read::Object { object, range, .. }) = reads.peek()
                    && opened.is_none()
                {
                    opened = Some(open(source, object, range.clone()).await?);
                }
                write(sink, bytes.clone()).await?;
            }
            Read::Object {
                object,
                range,
                steps,
            } => {
                let stream = match opened.take() {
                    Some(stream) => stream,
                    None => open(source, object, range.clone()).await?,
                };
                copy(stream, range, steps, sink).await?;
            }
        }
    }
    Ok(plan.total_len())
}

async fn open<S: RangeSource, K>(
    source: &S,
    object: &Object,
    range: Range<u64>,
) -> Result<S::Stream, AssembleError<S::Error, K>> {
    source
        .open(object, range)
        .await
        .map_err(AssembleError::Source)
}

/// Copies what `steps` keep of the bytes `range` that `stream` delivers.
async fn copy<S: ByteStream, K: Sink>(
    mut stream: S,
    range: Range<u64>,
    steps: &[Step],
    sink: &mut K,
) -> Result<(), AssembleError<S::Error, K::Error>> {
    let expected = range.end.saturating_sub(range.start);
    let mut delivered: u64 = 0;
    // Where the next piece lies in the object, and what is left to keep.
    let mut position = range.start;
    let mut kept = steps.iter().filter_map(|step| match step {
        Step::Range { offset, len, .. } => Some(*offset..offset.saturating_add(*len)),
        Step::Inline(_) => None,
    });
    let mut keep = kept.next();
    while let Some(mut piece) = stream.next().await.map_err(AssembleError::Source)? {
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        delivered = delivered.saturating_add(len);
        if delivered > expected {
            return Err(AssembleError::Length {
                expected,
                delivered,
            });
        }
        while !piece.is_empty() {
            // The range ends where the last step does, so `keep` is present while bytes are.
            let Some(range) = keep.clone() else { break };
            let hole = narrow(range.start.saturating_sub(position), &piece);
            piece.advance(hole);
            position = position.saturating_add(wide(hole));
            let take = narrow(range.end.saturating_sub(position), &piece);
            if take > 0 && position >= range.start {
                write(sink, piece.split_to(take)).await?;
                position = position.saturating_add(wide(take));
            }
            if position >= range.end {
                keep = kept.next();
            }
        }
    }
    if delivered == expected {
        Ok(())
    } else {
        Err(AssembleError::Length {
            expected,
            delivered,
        })
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

async fn write<S, K: Sink>(
    sink: &mut K,
    mut bytes: Bytes,
) -> Result<(), AssembleError<S, K::Error>> {
    while !bytes.is_empty() {
        let chunk = bytes.split_to(bytes.len().min(MAX_CHUNK_BYTES));
        sink.write(chunk).await.map_err(AssembleError::Sink)?;
    }
    Ok(())
}
