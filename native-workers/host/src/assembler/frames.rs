//! A body of mapped files: the slices and pieces that a plan makes of them, as the socket takes them.

use super::LocalObject;
use super::kept;
use super::maps::Maps;
use bytes::Bytes;
use headwater_plan::{Covering, Packetise, Piece as TsPiece, Plan, Step};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasmtime_wasi_http::Error;

/// Transport streams are handed to the socket in frames of at least so many bytes.
const PACKETS_FRAME_BYTES: usize = 128 * 1024;
/// Largest frame handed to the socket at once.
const FRAME_BYTES: usize = 1 << 20;
/// Slices shorter than this are copied into one frame with their neighbours: the sound of an interleaved file is hundreds of
/// pieces to a segment, and a call to the kernel takes sixteen at most.
const SMALL_BYTES: usize = 8 * 1024;
/// Longest of such frames.
const GATHERED_BYTES: usize = 64 * 1024;

/// What a body is made of.
pub(super) struct Outputs {
    pub(super) frames: VecDeque<Output>,
    /// By the number of the object.
    pub(super) maps: Vec<Mapped>,
}

impl Outputs {
    /// A piece of a mapped object, which was found to have it.
    pub(super) fn piece(&self, map: usize, at: Range<usize>) -> &[u8] {
        match self.maps.get(map) {
            Some(Mapped::Whole(map)) => map.get(at).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// One object.
pub(super) enum Mapped {
    Whole(Bytes),
    Blocks(kept::Blocks),
}

impl Mapped {
    /// Where a range is in the mapping of the whole object; `None` if it has no such range, or is mapped in blocks.
    fn within(&self, range: &Range<u64>) -> Option<Range<usize>> {
        let Self::Whole(map) = self else { return None };
        let from = usize::try_from(range.start).ok()?;
        let to = usize::try_from(range.end).ok()?;
        (from <= to && to <= map.len()).then_some(from..to)
    }

    /// The bytes of a range, in one piece or several; `None` if the object has no such range.
    fn slices(&self, range: &Range<u64>) -> Option<Vec<Bytes>> {
        match self {
            Self::Blocks(blocks) => kept::slices(blocks, range),
            Self::Whole(map) => Some(vec![map.slice(self.within(range)?)]),
        }
    }
}

impl Maps {
    pub(super) fn mapped(&self, object: &LocalObject) -> Result<Mapped, StatusCode> {
        let map = self.map(&object.file);
        let map = map.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let len = usize::try_from(object.len).unwrap_or(usize::MAX);
        Ok(Mapped::Whole(map.slice(..len.min(map.len()))))
    }
}

/// The frames of a plan over mapped objects.
pub(super) fn frames(plan: &Plan, maps: &[Mapped]) -> Result<VecDeque<Output>, StatusCode> {
    let map = |object: u32| {
        let index = usize::try_from(object).map_err(|_| StatusCode::BAD_REQUEST)?;
        let map = maps.get(index).ok_or(StatusCode::BAD_REQUEST)?;
        Ok::<_, StatusCode>((index, map))
    };
    let mapped = |object: u32, range: Range<u64>| {
        let (_, map) = map(object)?;
        // If it has none, it is not the object that the plan was made for.
        map.slices(&range).ok_or(StatusCode::PRECONDITION_FAILED)
    };
    let mut frames = VecDeque::with_capacity(plan.steps().len());
    for step in plan.steps() {
        match step {
            Step::Inline(bytes) => frames.push_back(Output::Ready(bytes.clone())),
            Step::Range {
                object,
                offset,
                len,
            } => {
                let (index, map) = map(*object)?;
                if *len < SMALL_BYTES as u64
                    && let Some(at) = map.within(&(*offset..*offset + *len))
                {
                    frames.push_back(Output::Small { map: index, at });
                    continue;
                }
                for mut rest in mapped(*object, *offset..*offset + *len)? {
                    while rest.len() > FRAME_BYTES {
                        frames.push_back(Output::Ready(rest.split_to(FRAME_BYTES)));
                    }
                    frames.push_back(Output::Ready(rest));
                }
            }
            Step::Packetise(step) => {
                let mut streams = Vec::with_capacity(step.streams().len());
                for sources in step.streams() {
                    let mut slices = VecDeque::new();
                    for source in sources {
                        slices.extend(mapped(source.object, source.range.clone())?);
                    }
                    streams.push(slices);
                }
                frames.push_back(Output::Packets(Box::new(Packets {
                    step: step.as_ref().clone(),
                    streams,
                    next: 0,
                })));
            }
            _ => return Err(StatusCode::NOT_IMPLEMENTED),
        }
    }
    Ok(frames)
}

/// What a body of mapped files consists of.
pub(super) enum Output {
    Ready(Bytes),
    /// Fewer than [`SMALL_BYTES`] of a mapped object, which most likely are copied: a slice of the mapping would be counted as
    /// one of its users for that.
    Small {
        map: usize,
        at: Range<usize>,
    },
    Packets(Box<Packets>),
}

impl Output {
    /// The length of what is copied together with its neighbours.
    fn small(&self) -> Option<usize> {
        match self {
            Self::Ready(bytes) => Some(bytes.len()).filter(|len| *len < SMALL_BYTES),
            Self::Small { at, .. } => Some(at.len()),
            Self::Packets(_) => None,
        }
    }
}

/// A transport stream, made piece by piece.
pub(super) struct Packets {
    step: Packetise,
    /// What is left of each elementary stream.
    streams: Vec<VecDeque<Bytes>>,
    /// The piece to be made next.
    next: usize,
}

impl Packets {
    /// The next frame; `None` once all is made.
    fn frame(&mut self) -> Result<Option<Bytes>, Error> {
        let mut out = Vec::new();
        let mut media = Vec::new();
        while let Some(piece) = self.step.pieces().get(self.next)
            && out.len() < PACKETS_FRAME_BYTES
        {
            media.clear();
            if let TsPiece::Pes { stream, pes } = piece
                && let Some(stream) = self.streams.get_mut(usize::from(*stream))
            {
                take(stream, pes.media_len(), &mut media);
            }
            self.step
                .write(self.next, &media, &mut out)
                .map_err(|fault| {
                    tracing::warn!("{fault}; the body was broken off");
                    Error::InternalError(Some("a sample is damaged".to_owned()))
                })?;
            self.next += 1;
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }
}

/// Moves `len` bytes from `stream` to `out`.
fn take(stream: &mut VecDeque<Bytes>, len: u64, out: &mut Vec<u8>) {
    let mut missing = usize::try_from(len).unwrap_or(usize::MAX);
    while missing > 0
        && let Some(front) = stream.front_mut()
    {
        let now = front.split_to(front.len().min(missing));
        out.extend_from_slice(&now);
        missing -= now.len();
        if front.is_empty() {
            stream.pop_front();
        }
    }
}

/// Frames of mapped files.
pub(super) struct Frames {
    mapped: Outputs,
    covering: Option<Covering>,
    left: u64,
}

impl Frames {
    pub(super) fn of(mapped: Outputs, plan: &Plan) -> Self {
        Self {
            mapped,
            covering: Covering::of(plan),
            left: plan.total_len(),
        }
    }

    /// The next bytes of the steps; `None` once there are no more.
    fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(Output::Packets(packets)) = self.mapped.frames.front_mut() {
                match packets.frame()? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => drop(self.mapped.frames.pop_front()),
                }
                continue;
            }
            if let Some(gathered) = self.gather() {
                return Ok(Some(gathered));
            }
            return Ok(match self.mapped.frames.pop_front() {
                Some(Output::Ready(bytes)) => Some(bytes),
                Some(Output::Small { map, at }) => {
                    Some(Bytes::copy_from_slice(self.mapped.piece(map, at)))
                }
                Some(Output::Packets(_)) | None => None,
            });
        }
    }

    /// The small pieces in front, copied into one frame; `None` if there are not two of them.
    fn gather(&mut self) -> Option<Bytes> {
        self.mapped.frames.front()?.small()?;
        self.mapped.frames.get(1)?.small()?;
        // As much as there may be: a frame that grows is copied again and again.
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut frame = Vec::with_capacity(left.min(GATHERED_BYTES));
        while let Some(len) = self.mapped.frames.front().and_then(Output::small)
            && frame.len() + len <= GATHERED_BYTES
            && let Some(output) = self.mapped.frames.pop_front()
        {
            match output {
                Output::Ready(bytes) => frame.extend_from_slice(&bytes),
                Output::Small { map, at } => frame.extend_from_slice(self.mapped.piece(map, at)),
                Output::Packets(_) => {}
            }
        }
        Some(frame.into())
    }

    /// The next bytes of the body; `None` once there are no more.
    fn covered(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let next = self.next()?;
            let Some(covering) = &mut self.covering else {
                return Ok(next);
            };
            let made = match &next {
                Some(bytes) => covering.push(bytes),
                None => covering.finish(),
            };
            let made = made.map_err(|fault| {
                tracing::warn!("{fault}; the body was broken off");
                Error::InternalError(Some("the media cannot be encrypted".to_owned()))
            })?;
            if next.is_none() {
                self.covering = None;
            }
            if !made.is_empty() {
                return Ok(Some(made));
            }
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.covered() {
            Ok(None) => Poll::Ready(None),
            Ok(Some(bytes)) => {
                self.left -= bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                self.mapped.frames.clear();
                self.covering = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}
