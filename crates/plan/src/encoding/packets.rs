//! [`Packetise`] on the wire.

use super::{DecodeError, INLINE, RANGE, Reader};
use crate::{MAX_PIECES, MAX_STREAMS, Packetise, Piece, PlanError, SampleKey, Source};
use bytes::{BufMut, BytesMut};
use headwater_protect::Key;
use headwater_ts::{Framing, Pes, Unit};

const PACKETS_PIECE: u8 = INLINE;
const PES_PIECE: u8 = RANGE;

const RANDOM_ACCESS: u8 = 1;
const PCR: u8 = 2;
const DTS: u8 = 4;
const AVC: u8 = 8;
const PROTECTED: u8 = 16;
const FRAMES: u8 = 32;

/// Counts and lengths are within the limits of the crate, all of which fit.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

pub(super) fn encoded_len(step: &Packetise) -> usize {
    let sources = step
        .streams()
        .iter()
        .map(|s| s.len().saturating_mul(18).saturating_add(4));
    let head = sources.fold(54, usize::saturating_add);
    let pieces = step.pieces().len().saturating_mul(37);
    let units = step.unit_count().saturating_mul(10);
    head.saturating_add(pieces)
        .saturating_add(units)
        .saturating_add(step.inline_bytes())
}

pub(super) fn put(out: &mut BytesMut, step: &Packetise) {
    out.put_u64_le(step.skip());
    out.put_u64_le(step.len());
    match step.key() {
        None => out.put_u8(0),
        Some(SampleKey { key, iv }) => {
            out.put_u8(1);
            out.put_slice(key.expose());
            out.put_slice(iv);
        }
    }
    out.put_u8(u8::try_from(step.streams().len()).unwrap_or(u8::MAX));
    out.put_u32_le(count(step.pieces().len()));
    for sources in step.streams() {
        out.put_u32_le(count(sources.len()));
        for Source { object, range } in sources {
            out.put_u16_le(u16::try_from(*object).unwrap_or(u16::MAX));
            out.put_u64_le(range.start);
            out.put_u64_le(range.end.saturating_sub(range.start));
        }
    }
    for piece in step.pieces() {
        match piece {
            Piece::Packets(bytes) => {
                out.put_u8(PACKETS_PIECE);
                out.put_u32_le(count(bytes.len()));
                out.put_slice(bytes);
            }
            Piece::Pes { stream, pes } => {
                out.put_u8(PES_PIECE);
                out.put_u8(*stream);
                put_pes(out, pes);
            }
        }
    }
}

fn put_pes(out: &mut BytesMut, pes: &Pes) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.put_u16_le(pes.pid);
    out.put_u8(pes.stream_id);
    out.put_u8(pes.counter);
    out.put_u8(
        flag(pes.random_access, RANDOM_ACCESS)
            | flag(pes.pcr.is_some(), PCR)
            | flag(pes.dts.is_some(), DTS)
            | match pes.framing {
                Framing::AsIs => 0,
                Framing::Avc => AVC,
                Framing::ProtectedAvc => AVC | PROTECTED,
                Framing::ProtectedFrame => PROTECTED,
                Framing::ProtectedFrames => PROTECTED | FRAMES,
            },
    );
    out.put_u32_le(pes.packets);
    out.put_u64_le(pes.pts);
    for time in [pes.pcr, pes.dts].into_iter().flatten() {
        out.put_u64_le(time);
    }
    out.put_u16_le(u16::try_from(pes.units.len()).unwrap_or(u16::MAX));
    for unit in &pes.units {
        out.put_u32_le(unit.len);
        if pes.framing == Framing::ProtectedAvc {
            out.put_u32_le(unit.becomes);
        }
        out.put_u16_le(u16::try_from(unit.prefix.len()).unwrap_or(u16::MAX));
        out.put_slice(&unit.prefix);
    }
}

impl SampleKey {
    /// Key and vector.
    pub(crate) fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let mut block = || {
            let bytes = reader.take(16)?;
            <[u8; 16]>::try_from(bytes.as_ref()).map_err(|_| DecodeError::Cipher)
        };
        let (key, iv) = (Key::new(block()?), block()?);
        Ok(Self { key, iv })
    }
}

pub(super) fn read(reader: &mut Reader) -> Result<Packetise, DecodeError> {
    let skip = reader.u64()?;
    let len = reader.u64()?;
    let key = match reader.u8()? {
        0 => None,
        1 => Some(SampleKey::read(reader)?),
        kind => return Err(DecodeError::Step(kind)),
    };
    let stream_count = usize::from(reader.u8()?);
    let piece_count = reader.u32()?;
    limit(stream_count, MAX_STREAMS, "streams to packetise")?;
    let mut streams = Vec::with_capacity(stream_count);
    for _ in 0..stream_count {
        let mut sources = Vec::new();
        for _ in 0..reader.u32()? {
            limit(sources.len(), MAX_PIECES, "ranges to packetise")?;
            let object = u32::from(reader.u16()?);
            let start = reader.u64()?;
            let len = reader.u64()?;
            let end = start.checked_add(len).ok_or(PlanError::RangeOverflow)?;
            sources.push(Source {
                object,
                range: start..end,
            });
        }
        streams.push(sources);
    }
    let mut pieces = Vec::new();
    for _ in 0..piece_count {
        limit(pieces.len(), MAX_PIECES, "pieces to packetise")?;
        pieces.push(match reader.u8()? {
            PACKETS_PIECE => {
                let len = reader.u32()?;
                Piece::Packets(reader.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            PES_PIECE => Piece::Pes {
                stream: reader.u8()?,
                pes: read_pes(reader)?,
            },
            kind => return Err(DecodeError::Step(kind)),
        });
    }
    Ok(Packetise::part(streams, pieces, key, skip, len)?)
}

fn limit(count: usize, limit: usize, what: &'static str) -> Result<(), PlanError> {
    if count > limit {
        return Err(PlanError::Limit {
            what,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
        });
    }
    Ok(())
}

fn read_pes(reader: &mut Reader) -> Result<Pes, DecodeError> {
    let pid = reader.u16()?;
    let stream_id = reader.u8()?;
    let counter = reader.u8()?;
    let flags = reader.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let packets = reader.u32()?;
    let pts = reader.u64()?;
    let mut time = |flag: u8| match has(flag) {
        true => Ok::<_, DecodeError>(Some(reader.u64()?)),
        false => Ok(None),
    };
    let (pcr, dts) = (time(PCR)?, time(DTS)?);
    let framing = match (has(AVC), has(PROTECTED)) {
        (false, false) => Framing::AsIs,
        (true, false) => Framing::Avc,
        (true, true) => Framing::ProtectedAvc,
        (false, true) if has(FRAMES) => Framing::ProtectedFrames,
        (false, true) => Framing::ProtectedFrame,
    };
    let mut units = Vec::new();
    for _ in 0..reader.u16()? {
        let len = reader.u32()?;
        let becomes = match framing {
            Framing::ProtectedAvc => reader.u32()?,
            _ => len,
        };
        let prefix = reader.u16()?;
        units.push(Unit {
            prefix: reader.take(prefix.into())?.to_vec(),
            len,
            becomes,
        });
    }
    Ok(Pes {
        pid,
        stream_id,
        counter,
        random_access: has(RANDOM_ACCESS),
        pcr,
        pts,
        dts,
        packets,
        framing,
        units,
    })
}
