//! The step that makes an MPEG-2 transport stream of samples: bytes that are rewritten one by one on their way.
//!
//! The step carries what `headwater-ts` has laid out, so its length is known, and where the samples of each elementary
//! stream are. The streams are read side by side, each in its own order: pictures and sound of a muxed segment lie far
//! apart, and a request for every change between them would be hundreds.

use crate::{MAX_INLINE_BYTES, MAX_STEPS, PlanError};
use bytes::Bytes;
use headwater_protect::Key;
use headwater_protect::sample_aes::SampleAes;
use headwater_ts::{Framing, Pes, PesError};
use std::ops::Range;

/// Most pieces of one step, and most ranges that its streams are read from.
pub const MAX_PIECES: usize = MAX_STEPS;
/// Most samples of one step.
pub const MAX_UNITS: usize = 64 * 1024;
/// Most media bytes of one PES packet: what an assembler has in memory.
pub const MAX_PES_BYTES: u64 = 32 * 1024 * 1024;
/// Most streams of one step.
pub const MAX_STREAMS: usize = 8;

/// Bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Index into [`crate::Plan::objects`].
    pub object: u32,
    /// Not empty.
    pub range: Range<u64>,
}

/// A piece of a transport stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Packets that are there already: tables. Not empty.
    Packets(Bytes),
    /// The packets of a PES packet.
    Pes {
        /// Index of the stream that the media bytes come from.
        stream: u8,
        /// All but those.
        pes: Pes,
    },
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Packets(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Pes { pes, .. } => pes.len(),
        }
    }

    fn is_protected(&self) -> bool {
        matches!(self, Self::Pes { pes, .. } if pes.framing.is_protected())
    }

    /// Media bytes that it takes from `stream`.
    fn takes(&self, of: usize) -> u64 {
        match self {
            Self::Pes { stream, pes } if usize::from(*stream) == of => pes.media_len(),
            _ => 0,
        }
    }
}

/// What samples are encrypted with (SAMPLE-AES).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleKey {
    /// The key.
    pub key: Key,
    /// Where each NAL unit and each frame begins.
    pub iv: [u8; 16],
}

/// Packets made of samples. A part of the whole is such a step, too: without the pieces that it does not need, and
/// without the first bytes of the first of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Packetise {
    streams: Vec<Vec<Source>>,
    pieces: Vec<Piece>,
    /// There is one if, and only if, pieces are of a framing that needs it.
    key: Option<SampleKey>,
    skip: u64,
    len: u64,
}

impl Packetise {
    /// `streams`: what each elementary stream is read from, in order. `pieces`: in order; those of a stream take its
    /// bytes one after the other, all of them. `key`: for pieces that are encrypted; none if none is.
    ///
    /// Errors: [`PlanError::Packets`] if they do not match, [`PlanError::Limit`].
    pub fn new(
        streams: Vec<Vec<Source>>,
        pieces: Vec<Piece>,
        key: Option<SampleKey>,
    ) -> Result<Self, PlanError> {
        let len = pieces
            .iter()
            .try_fold(0_u64, |sum, piece| sum.checked_add(piece.len()))
            .ok_or(PlanError::RangeOverflow)?;
        Self::part(streams, pieces, key, 0, len)
    }

    /// `len` bytes of what `pieces` make, after the first `skip`.
    pub(crate) fn part(
        streams: Vec<Vec<Source>>,
        pieces: Vec<Piece>,
        key: Option<SampleKey>,
        skip: u64,
        len: u64,
    ) -> Result<Self, PlanError> {
        // A part of an encrypted stream may be tables alone.
        let step = Self {
            key: key.filter(|_| pieces.iter().any(Piece::is_protected)),
            streams,
            pieces,
            skip,
            len,
        };
        step.check()?;
        Ok(step)
    }

    fn check(&self) -> Result<(), PlanError> {
        let within = |count: usize, limit: usize, what| {
            (count <= limit).then_some(()).ok_or(PlanError::Limit {
                what,
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
            })
        };
        within(self.streams.len(), MAX_STREAMS, "streams to packetise")?;
        within(self.pieces.len(), MAX_PIECES, "pieces to packetise")?;
        let sources = self
            .streams
            .iter()
            .map(Vec::len)
            .fold(0, usize::saturating_add);
        within(sources, MAX_PIECES, "ranges to packetise")?;
        within(self.unit_count(), MAX_UNITS, "samples to packetise")?;
        within(self.inline_bytes(), MAX_INLINE_BYTES, "inline bytes")?;
        let mut whole: u64 = 0;
        for piece in &self.pieces {
            whole = whole
                .checked_add(piece.len())
                .ok_or(PlanError::RangeOverflow)?;
            let Piece::Pes { stream, pes } = piece else {
                if piece.len() == 0 {
                    return Err(PlanError::Packets("a piece is empty"));
                }
                continue;
            };
            if usize::from(*stream) >= self.streams.len() {
                return Err(PlanError::Packets(
                    "a piece is of a stream that is not there",
                ));
            }
            if piece.is_protected() && self.key.is_none() {
                return Err(PlanError::Packets("a piece is encrypted without a key"));
            }
            for unit in &pes.units {
                if pes.framing != Framing::ProtectedAvc && unit.becomes != unit.len {
                    return Err(PlanError::Packets("a sample grows that is not encrypted"));
                }
                if u64::from(unit.becomes) > MAX_PES_BYTES {
                    return Err(PlanError::Limit {
                        what: "bytes of an encrypted sample",
                        limit: MAX_PES_BYTES,
                    });
                }
            }
            if pes.media_len() > MAX_PES_BYTES {
                return Err(PlanError::Limit {
                    what: "bytes of a sample",
                    limit: MAX_PES_BYTES,
                });
            }
            if pes.packets < pes.least_packets() || pes.packets > pes.most_packets() {
                return Err(PlanError::Packets(
                    "a piece has packets that its bytes cannot fill",
                ));
            }
        }
        for (index, sources) in self.streams.iter().enumerate() {
            let takes = self.pieces.iter().map(|piece| piece.takes(index));
            let takes = takes.fold(0, u64::saturating_add);
            let mut there: u64 = 0;
            for Source { range, .. } in sources {
                let len = range.end.saturating_sub(range.start);
                if len == 0 {
                    return Err(PlanError::Packets("a range is empty"));
                }
                there = there.checked_add(len).ok_or(PlanError::RangeOverflow)?;
            }
            if takes != there {
                return Err(PlanError::Packets(
                    "a stream has other bytes than its pieces take",
                ));
            }
        }
        // The window begins in the first piece and ends in the last.
        let first = self.pieces.first().map_or(0, Piece::len);
        let last = self.pieces.last().map_or(0, Piece::len);
        let end = self
            .skip
            .checked_add(self.len)
            .ok_or(PlanError::RangeOverflow)?;
        if self.len == 0 || self.skip >= first || end > whole || end <= whole.saturating_sub(last) {
            return Err(PlanError::Packets("its length is not that of its pieces"));
        }
        Ok(())
    }

    /// What each elementary stream is read from.
    pub fn streams(&self) -> &[Vec<Source>] {
        &self.streams
    }

    /// What the output consists of.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What its samples are encrypted with.
    pub fn key(&self) -> Option<&SampleKey> {
        self.key.as_ref()
    }

    /// Bytes of the output.
    #[allow(clippy::len_without_is_empty)] // It never is.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of the first piece that are not part of the output.
    pub fn skip(&self) -> u64 {
        self.skip
    }

    pub(crate) fn unit_count(&self) -> usize {
        self.pieces.iter().fold(0, |sum, piece| match piece {
            Piece::Packets(_) => sum,
            Piece::Pes { pes, .. } => sum.saturating_add(pes.units.len()),
        })
    }

    /// Bytes that the step itself holds.
    pub(crate) fn inline_bytes(&self) -> usize {
        self.pieces.iter().fold(0, |sum, piece| match piece {
            Piece::Packets(bytes) => sum.saturating_add(bytes.len()),
            Piece::Pes { pes, .. } => {
                let prefixes = pes.units.iter().map(|unit| unit.prefix.len());
                prefixes.fold(sum, usize::saturating_add)
            }
        })
    }

    /// Appends the output of piece `index`. `media`: the bytes that it takes; empty if it takes none.
    ///
    /// Errors: [`PesError`] if they are damaged or of another length.
    pub fn write(&self, index: usize, media: &[u8], out: &mut Vec<u8>) -> Result<(), PesError> {
        let from = out.len();
        match self.pieces.get(index) {
            None => return Ok(()),
            Some(Piece::Packets(bytes)) => out.extend_from_slice(bytes),
            Some(Piece::Pes { pes, .. }) => {
                let cipher = self
                    .key
                    .as_ref()
                    .map(|key| SampleAes::new(&key.key, key.iv));
                pes.write(media, cipher.as_ref(), out)?;
            }
        }
        if index.saturating_add(1) == self.pieces.len() {
            let whole = self
                .pieces
                .iter()
                .map(Piece::len)
                .fold(0, u64::saturating_add);
            let past = whole.saturating_sub(self.skip.saturating_add(self.len));
            out.truncate(
                out.len()
                    .saturating_sub(usize::try_from(past).unwrap_or(usize::MAX)),
            );
        }
        if index == 0 && self.skip > 0 {
            let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
            let to = from.saturating_add(skip).min(out.len());
            out.drain(from..to);
        }
        Ok(())
    }

    /// The step that makes the bytes `range` of this one's output. `range`: not empty, inside of it. `rename`: new index of
    /// an object.
    pub(crate) fn slice(
        &self,
        range: Range<u64>,
        mut rename: impl FnMut(u32) -> Result<u32, PlanError>,
    ) -> Result<Self, PlanError> {
        let start = range.start.saturating_add(self.skip);
        let end = range.end.saturating_add(self.skip);
        let mut at: u64 = 0;
        let mut skip = 0;
        let mut pieces = Vec::new();
        // Of each stream: bytes that are taken before the part, and in it.
        let mut taken = vec![(0_u64, 0_u64); self.streams.len()];
        for piece in &self.pieces {
            let begin = at;
            at = at.saturating_add(piece.len());
            let before = at <= start;
            if begin >= end {
                break;
            }
            if let Piece::Pes { stream, pes } = piece
                && let Some(taken) = taken.get_mut(usize::from(*stream))
            {
                let slot = if before { &mut taken.0 } else { &mut taken.1 };
                *slot = slot.saturating_add(pes.media_len());
            }
            if !before {
                if pieces.is_empty() {
                    skip = start.saturating_sub(begin);
                }
                pieces.push(piece.clone());
            }
        }
        let mut streams = Vec::with_capacity(self.streams.len());
        for (sources, (before, within)) in self.streams.iter().zip(taken) {
            let mut kept = Vec::new();
            for source in cut(sources, before..before.saturating_add(within)) {
                kept.push(Source {
                    object: rename(source.object)?,
                    range: source.range,
                });
            }
            streams.push(kept);
        }
        let len = range.end.saturating_sub(range.start);
        Self::part(streams, pieces, self.key.clone(), skip, len)
    }
}

/// The bytes `part` of what `sources` are together.
fn cut(sources: &[Source], part: Range<u64>) -> impl Iterator<Item = Source> + '_ {
    let mut at: u64 = 0;
    sources.iter().filter_map(move |source| {
        let len = source.range.end.saturating_sub(source.range.start);
        let begin = at;
        at = at.saturating_add(len);
        let from = part.start.max(begin).saturating_sub(begin);
        let to = part.end.min(at).saturating_sub(begin);
        (from < to).then(|| Source {
            object: source.object,
            range: source.range.start.saturating_add(from)..source.range.start.saturating_add(to),
        })
    })
}
