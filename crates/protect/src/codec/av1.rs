//! Tiles of AV1 samples (AV1 bitstream specification §5.3 to §5.11), found through the headers in front of them.
//!
//! Where a frame header ends, and how many tiles follow, depends on the sequence header and on what earlier frames left behind
//! (sizes, order hints, segmentation). [`Av1State`] keeps that. A segment begins with a key frame, which needs nothing earlier.

use super::av1_bits::Bits;
use super::av1_frame::{Frame, Refs};
use super::av1_sequence::Sequence;
use std::ops::Range;

mod kind {
    pub(super) const SEQUENCE_HEADER: u8 = 1;
    pub(super) const FRAME_HEADER: u8 = 3;
    pub(super) const TILE_GROUP: u8 = 4;
    pub(super) const FRAME: u8 = 6;
    pub(super) const REDUNDANT_FRAME_HEADER: u8 = 7;
    pub(super) const TILE_LIST: u8 = 8;
}

/// What a decoder knows at some place of a stream, as far as headers need it.
#[derive(Debug, Clone, Default)]
pub struct Av1State {
    sequence: Option<Sequence>,
    refs: Refs,
    /// The frame whose tiles are coming.
    frame: Option<Frame>,
}

/// An open bitstream unit: its header with the size, and what it holds.
struct Unit<'a> {
    kind: u8,
    layer: Layer,
    body: &'a [u8],
    /// Of `body`, in the sample.
    start: usize,
}

/// Of scalable streams.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Layer {
    pub(super) temporal: u8,
    pub(super) spatial: u8,
}

impl Av1State {
    /// The tiles of the next sample: bytes of it, in order. The OBUs of `av1C` are read the same way, and have none.
    ///
    /// Errors: the byte at which an OBU does not parse.
    pub fn tiles(&mut self, sample: &[u8]) -> Result<Vec<Range<usize>>, usize> {
        // Tiles of a frame do not go on in the next sample.
        self.frame = None;
        let mut found = Vec::new();
        let mut at: usize = 0;
        while at < sample.len() {
            let unit = unit(sample, at).ok_or(at)?;
            let end = unit.start.saturating_add(unit.body.len());
            self.take(&unit, &mut found).ok_or(at)?;
            at = end;
        }
        Ok(found)
    }

    fn take(&mut self, unit: &Unit<'_>, found: &mut Vec<Range<usize>>) -> Option<()> {
        match unit.kind {
            kind::SEQUENCE_HEADER => {
                self.sequence = Some(Sequence::parse(unit.body)?);
            }
            kind::FRAME_HEADER | kind::REDUNDANT_FRAME_HEADER if self.frame.is_some() => {
                // A copy of the one before.
            }
            kind::FRAME_HEADER => {
                self.header(unit)?;
            }
            kind::FRAME => {
                let len = self.header(unit)?;
                self.tile_group(unit, len, found)?;
            }
            kind::TILE_GROUP => self.tile_group(unit, 0, found)?,
            // Tiles that are no pictures of a sequence.
            kind::TILE_LIST => return None,
            _ => {}
        }
        Some(())
    }

    /// Reads a frame header; its length in bytes.
    fn header(&mut self, unit: &Unit<'_>) -> Option<usize> {
        let sequence = self.sequence.as_ref()?;
        let mut bits = Bits::new(unit.body);
        let frame = Frame::parse(sequence, &mut self.refs, unit.layer, &mut bits)?;
        self.frame = frame;
        Some(bits.bytes_read())
    }

    /// `tile_group_obu`, from byte `from` of the unit.
    fn tile_group(
        &mut self,
        unit: &Unit<'_>,
        from: usize,
        found: &mut Vec<Range<usize>>,
    ) -> Option<()> {
        let frame = self.frame.as_ref()?;
        let body = unit.body.get(from..)?;
        let count = frame.tile_count();
        let mut bits = Bits::new(body);
        let (mut first, mut last) = (0, count.checked_sub(1)?);
        if count > 1 && bits.flag()? {
            first = bits.u(frame.tile_bits())?;
            last = bits.u(frame.tile_bits())?;
        }
        if first > last || last >= count {
            return None;
        }
        let mut at = bits.bytes_read();
        for tile in first..=last {
            let size = if tile == last {
                body.len().checked_sub(at)?
            } else {
                let end = at.checked_add(usize::from(frame.tile_size_bytes))?;
                let field = body.get(at..end)?;
                at = end;
                let minus_one = field
                    .iter()
                    .rev()
                    .fold(0_usize, |value, byte| (value << 8) | usize::from(*byte));
                minus_one.checked_add(1)?
            };
            let end = at.checked_add(size)?;
            body.get(at..end)?;
            let start = unit.start.checked_add(from)?;
            found.push(start.checked_add(at)?..start.checked_add(end)?);
            at = end;
        }
        if last.checked_add(1) == Some(count) {
            self.frame = None;
        }
        Some(())
    }
}

/// The unit that begins at byte `at` (§5.3.1). Without a size it ends with the sample.
fn unit(sample: &[u8], at: usize) -> Option<Unit<'_>> {
    let mut next = at;
    let mut byte = || {
        let byte = sample.get(next).copied();
        next = next.saturating_add(1);
        byte
    };
    let header = byte()?;
    if header & 0x80 != 0 {
        return None;
    }
    let mut layer = Layer::default();
    if header & 4 != 0 {
        let extension = byte()?;
        layer.temporal = extension >> 5;
        layer.spatial = (extension >> 3) & 3;
    }
    let mut size = None;
    if header & 2 != 0 {
        let mut value: u64 = 0;
        for shift in (0..56).step_by(7) {
            let byte = byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                size = Some(usize::try_from(value).ok()?);
                break;
            }
        }
        size?;
    }
    let rest = sample.get(next..)?;
    let body = match size {
        Some(size) => rest.get(..size)?,
        None => rest,
    };
    Some(Unit {
        kind: (header >> 3) & 15,
        layer,
        body,
        start: next,
    })
}
