//! The reference assembler: carries a plan out against a port, in bounded chunks.

use crate::cover::Covering;
use crate::kept::{Broken, Kept};
use crate::{Object, Packetise, Piece, Plan, Read, Run};
use bytes::Bytes;
use headwater_protect::ProtectError;
use headwater_ts::PesError;
use std::ops::Range;

/// Largest piece handed to a [`Sink`] at once.
pub const MAX_CHUNK_BYTES: usize = 256 * 1024;
/// Packets of a transport stream are written once they are so many bytes.
const PACKETS_AT_ONCE: usize = 128 * 1024;

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
    /// The media cannot be put into a transport stream.
    #[error(transparent)]
    Media(PesError),
    /// The media is not what the plan's cipher run is for.
    #[error(transparent)]
    Cipher(ProtectError),
}

impl<S, K> From<Broken<S>> for AssembleError<S, K> {
    fn from(broken: Broken<S>) -> Self {
        match broken {
            Broken::Source(error) => Self::Source(error),
            Broken::Length {
                expected,
                delivered,
            } => Self::Length {
                expected,
                delivered,
            },
        }
    }
}

/// Writes the body of `plan` to `sink` and returns its length.
///
/// An object range is opened before inline bytes that precede it are written: a source that refuses does so before
/// the first byte of an ordinary segment (`moof`, then samples) is out. One piece is in memory at a time; of a transport
/// stream one PES packet, and one piece per elementary stream.
///
/// Errors: [`AssembleError`]; what has been written is then a prefix of the body.
pub async fn assemble<S: RangeSource, K: Sink>(
    plan: &Plan,
    source: &S,
    sink: &mut K,
) -> Result<u64, AssembleError<S::Error, K::Error>> {
    let Some(covering) = Covering::of(plan) else {
        return clear(plan, source, sink).await;
    };
    let mut covered = Covered { sink, covering };
    let done = clear(plan, source, &mut covered).await;
    done.map_err(|error| match error {
        AssembleError::Sink(Uncovered::Sink(error)) => AssembleError::Sink(error),
        AssembleError::Sink(Uncovered::Cipher(error)) => AssembleError::Cipher(error),
        AssembleError::Source(error) => AssembleError::Source(error),
        AssembleError::Length {
            expected,
            delivered,
        } => AssembleError::Length {
            expected,
            delivered,
        },
        AssembleError::Media(error) => AssembleError::Media(error),
        AssembleError::Cipher(error) => AssembleError::Cipher(error),
    })?;
    let end = covered.covering.finish().map_err(AssembleError::Cipher)?;
    write(covered.sink, end).await?;
    Ok(plan.total_len())
}

/// Encrypts what is on its way to a sink.
struct Covered<'a, K> {
    sink: &'a mut K,
    covering: Covering,
}

enum Uncovered<E> {
    Sink(E),
    Cipher(ProtectError),
}

impl<K: Sink> Sink for Covered<'_, K> {
    type Error = Uncovered<K::Error>;

    async fn write(&mut self, bytes: Bytes) -> Result<(), Self::Error> {
        let mut bytes = self.covering.push(&bytes).map_err(Uncovered::Cipher)?;
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(MAX_CHUNK_BYTES));
            self.sink.write(chunk).await.map_err(Uncovered::Sink)?;
        }
        Ok(())
    }
}

/// Writes what the steps give.
async fn clear<S: RangeSource, K: Sink>(
    plan: &Plan,
    source: &S,
    sink: &mut K,
) -> Result<u64, AssembleError<S::Error, K::Error>> {
    let mut reads = plan.reads().peekable();
    let mut opened: Option<S::Stream> = None;
    while let Some(read) = reads.next() {
        match read {
            Read::Inline(bytes) => {
                if let Some(Read::Object(run)) = reads.peek()
                    && opened.is_none()
                {
                    opened = Some(open(source, run).await?);
                }
                write(sink, bytes.clone()).await?;
            }
            Read::Object(run) => {
                let stream = match opened.take() {
                    Some(stream) => stream,
                    None => open(source, &run).await?,
                };
                let mut kept = Kept::new(stream, &run);
                while let Some(bytes) = kept.next().await? {
                    write(sink, bytes).await?;
                }
            }
            Read::Packetise(step) => packetise(plan, step, source, sink).await?,
        }
    }
    Ok(plan.total_len())
}

async fn open<S: RangeSource, K>(
    source: &S,
    run: &Run<'_>,
) -> Result<S::Stream, AssembleError<S::Error, K>> {
    source
        .open(run.object, run.range.clone())
        .await
        .map_err(AssembleError::Source)
}

/// The media bytes of an elementary stream, from as many requests as they take.
struct Elementary<'a, B> {
    runs: Box<dyn Iterator<Item = Run<'a>> + Send + 'a>,
    open: Option<Kept<B>>,
    /// Read, not yet used.
    left: Bytes,
}

impl<B: ByteStream> Elementary<'_, B> {
    /// Appends the next `len` bytes to `out`.
    async fn take<S, K>(
        &mut self,
        source: &S,
        len: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), AssembleError<S::Error, K>>
    where
        S: RangeSource<Stream = B, Error = B::Error>,
    {
        let mut missing = usize::try_from(len).unwrap_or(usize::MAX);
        while missing > 0 {
            if self.left.is_empty() {
                self.left = self.more(source).await?;
            }
            let now = self.left.split_to(self.left.len().min(missing));
            missing = missing.saturating_sub(now.len());
            out.extend_from_slice(&now);
        }
        Ok(())
    }

    /// The next bytes, not empty.
    async fn more<S, K>(&mut self, source: &S) -> Result<Bytes, AssembleError<S::Error, K>>
    where
        S: RangeSource<Stream = B, Error = B::Error>,
    {
        loop {
            if let Some(kept) = &mut self.open {
                match kept.next().await? {
                    Some(bytes) => return Ok(bytes),
                    None => self.open = None,
                }
            }
            // The step's invariant: there are as many bytes as are taken.
            let Some(run) = self.runs.next() else {
                return Err(AssembleError::Length {
                    expected: 1,
                    delivered: 0,
                });
            };
            self.open = Some(Kept::new(open(source, &run).await?, &run));
        }
    }
}

/// Carries a [`Packetise`] out. All streams are opened before the first byte is written.
async fn packetise<S: RangeSource, K: Sink>(
    plan: &Plan,
    step: &Packetise,
    source: &S,
    sink: &mut K,
) -> Result<(), AssembleError<S::Error, K::Error>> {
    let mut streams = Vec::with_capacity(step.streams().len());
    for index in 0..step.streams().len() {
        let mut runs = step.runs(plan, index);
        let open = match runs.next() {
            Some(run) => Some(Kept::new(open(source, &run).await?, &run)),
            None => None,
        };
        streams.push(Elementary {
            runs: Box::new(runs),
            open,
            left: Bytes::new(),
        });
    }
    let mut media = Vec::new();
    let mut out = Vec::new();
    for (index, piece) in step.pieces().iter().enumerate() {
        media.clear();
        if let Piece::Pes { stream, pes } = piece
            && let Some(stream) = streams.get_mut(usize::from(*stream))
        {
            stream.take(source, pes.media_len(), &mut media).await?;
        }
        step.write(index, &media, &mut out)
            .map_err(AssembleError::Media)?;
        if out.len() >= PACKETS_AT_ONCE {
            write(sink, std::mem::take(&mut out).into()).await?;
        }
    }
    write(sink, out.into()).await
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
