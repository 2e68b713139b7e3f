//! `sidx` version 1 (ISO/IEC 14496-12 §8.16.3): one reference per segment, each starting with a SAP of type 1.

use headwater_time::Timescale;

use super::boxes::BoxWriter;
use crate::BmffError;

/// One segment that follows the `sidx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SidxReference {
    /// Bytes, below 2^31.
    pub size: u32,
    /// Ticks.
    pub duration: u32,
}

/// Bytes that [`sidx`] returns for `references` segments.
#[must_use]
pub fn sidx_len(references: usize) -> u64 {
    let rows = u64::try_from(references).unwrap_or(u64::MAX);
    rows.saturating_mul(12).saturating_add(40)
}

/// The index of the segments that follow it without a gap.
///
/// `earliest_presentation_time`: of the first segment, in `timescale` ticks.
/// Errors: `Unwritable` for more than 65535 segments, or one of 2 GiB.
pub fn sidx(
    track_id: u32,
    timescale: Timescale,
    earliest_presentation_time: u64,
    references: &[SidxReference],
) -> Result<Vec<u8>, BmffError> {
    let count = u16::try_from(references.len())
        .map_err(|_| BmffError::unwritable("sidx", format!("{} references", references.len())))?;
    if let Some(large) = references.iter().find(|r| r.size >> 31 != 0) {
        let fault = format!("a segment of {} bytes", large.size);
        return Err(BmffError::unwritable("sidx", fault));
    }
    let mut w = BoxWriter::default();
    w.full(b"sidx", 1, 0, |w| {
        w.u32(track_id);
        w.u32(timescale.get());
        w.u64(earliest_presentation_time);
        w.u64(0); // first offset: the segments follow directly
        w.u16(0);
        w.u16(count);
        for reference in references {
            w.u32(reference.size);
            w.u32(reference.duration);
            w.u32(0x9000_0000); // starts with SAP, type 1, delta 0
        }
    });
    w.finish()
}
