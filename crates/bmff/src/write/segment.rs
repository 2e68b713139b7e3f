//! A CMAF segment's `moof` and the header of its `mdat` (ISO/IEC 23000-19 §7.3.2, ISO/IEC 14496-12 §8.8).
//!
//! ```text
//! moof { mfhd, traf { tfhd (default-base-is-moof), tfdt v1, trun v1 } } mdat
//! ```
//!
//! Fields that are the same for all samples are stated once in `tfhd`; sizes, durations, flags and composition offsets
//! that vary, per sample in `trun`. The media bytes follow the returned header without a gap.

use super::boxes::BoxWriter;
use crate::BmffError;

/// One access unit of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSample {
    /// Bytes.
    pub size: u32,
    /// Ticks to the next sample's decode time.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks; may be negative.
    pub cto: i32,
    /// Decodes without earlier samples.
    pub sync: bool,
}

/// What goes in front of a segment's media bytes.
#[derive(Debug, Clone, Copy)]
pub struct SegmentHeader<'a> {
    /// `mfhd` sequence number, ascending from segment to segment.
    pub sequence_number: u32,
    /// The track's id in its init segment.
    pub track_id: u32,
    /// Decode time of the first sample, in ticks since the start of the presentation.
    pub decode_time: u64,
    /// In decode order, not empty.
    pub samples: &'a [SegmentSample],
}

/// Depends on no other sample (`sample_depends_on` 2), sync.
pub(super) const SYNC_FLAGS: u32 = 0x0200_0000;
/// Depends on others (`sample_depends_on` 1), not sync.
pub(super) const NON_SYNC_FLAGS: u32 = 0x0101_0000;

const TFHD_DURATION: u32 = 0x8;
const TFHD_SIZE: u32 = 0x10;
const TFHD_FLAGS: u32 = 0x20;
const TFHD_BASE_IS_MOOF: u32 = 0x2_0000;

const TRUN_DATA_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_CTO: u32 = 0x800;

fn flags_of(sample: &SegmentSample) -> u32 {
    if sample.sync {
        SYNC_FLAGS
    } else {
        NON_SYNC_FLAGS
    }
}

/// Which fields are stated where, which decides the length of the boxes.
struct Layout {
    /// `trun` flags, data offset included.
    run: u32,
    /// `tfhd` flags.
    fragment: u32,
    first: SegmentSample,
    /// Flags of every sample but the first.
    default_flags: u32,
    moof_len: u32,
}

const MDAT_HEADER: u32 = 8;

impl Layout {
    fn of(samples: &[SegmentSample]) -> Result<Self, BmffError> {
        let (first, rest) = samples
            .split_first()
            .ok_or_else(|| BmffError::unwritable("moof", "a segment without samples"))?;
        let varies = |differs: fn(&SegmentSample, &SegmentSample) -> bool| {
            rest.iter().any(|sample| differs(sample, first))
        };
        let default_flags = flags_of(rest.first().unwrap_or(first));
        let mut run = TRUN_DATA_OFFSET;
        let mut fragment = TFHD_BASE_IS_MOOF;
        match varies(|a, b| a.duration != b.duration) {
            true => run |= TRUN_DURATION,
            false => fragment |= TFHD_DURATION,
        }
        match varies(|a, b| a.size != b.size) {
            true => run |= TRUN_SIZE,
            false => fragment |= TFHD_SIZE,
        }
        if rest.iter().any(|sample| flags_of(sample) != default_flags) {
            run |= TRUN_FLAGS;
        } else {
            fragment |= TFHD_FLAGS;
            if flags_of(first) != default_flags {
                run |= TRUN_FIRST_FLAGS;
            }
        }
        if samples.iter().any(|sample| sample.cto != 0) {
            run |= TRUN_CTO;
        }
        let moof_len = Self::moof_len(run, fragment, samples.len())
            .ok_or_else(|| BmffError::unwritable("moof", "it passes 4 GiB"))?;
        Ok(Self {
            run,
            fragment,
            first: *first,
            default_flags,
            moof_len,
        })
    }

    fn moof_len(run: u32, fragment: u32, samples: usize) -> Option<u32> {
        let tfhd_fields = (fragment & (TFHD_DURATION | TFHD_SIZE | TFHD_FLAGS)).count_ones();
        let per_sample = (run & (TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_CTO)).count_ones();
        let tfhd = tfhd_fields.checked_mul(4)?.checked_add(16)?;
        let once = if run & TRUN_FIRST_FLAGS != 0 { 24 } else { 20 };
        let rows = u32::try_from(samples)
            .ok()?
            .checked_mul(per_sample.checked_mul(4)?)?;
        let trun = rows.checked_add(once)?;
        // moof 8, mfhd 16, traf 8, tfdt 20.
        trun.checked_add(tfhd)?.checked_add(8 + 16 + 8 + 20)
    }
}

/// Bytes that [`segment_header`] returns for `samples`.
pub fn segment_header_len(samples: &[SegmentSample]) -> Result<u32, BmffError> {
    let layout = Layout::of(samples)?;
    let len = layout.moof_len.checked_add(MDAT_HEADER);
    len.ok_or_else(|| BmffError::unwritable("moof", "it passes 4 GiB"))
}

/// `moof` and the header of `mdat`.
///
/// Errors: `Unwritable` without samples, or if the media bytes do not fit an `mdat` with a 32-bit size.
pub fn segment_header(segment: &SegmentHeader<'_>) -> Result<Vec<u8>, BmffError> {
    let samples = segment.samples;
    let layout = Layout::of(samples)?;
    let media = samples.iter().fold(0_u64, |sum, sample| {
        sum.saturating_add(u64::from(sample.size))
    });
    let mdat = u32::try_from(media.saturating_add(u64::from(MDAT_HEADER)))
        .map_err(|_| BmffError::unwritable("mdat", format!("{media} bytes of media pass 4 GiB")))?;
    let data_offset = layout.moof_len.checked_add(MDAT_HEADER);
    let data_offset = data_offset.and_then(|offset| i32::try_from(offset).ok());
    let data_offset =
        data_offset.ok_or_else(|| BmffError::unwritable("trun", "its data offset passes 2 GiB"))?;

    let mut w = BoxWriter::default();
    w.boxed(b"moof", |w| {
        w.full(b"mfhd", 0, 0, |w| w.u32(segment.sequence_number));
        w.boxed(b"traf", |w| {
            w.full(b"tfhd", 0, layout.fragment, |w| {
                w.u32(segment.track_id);
                if layout.fragment & TFHD_DURATION != 0 {
                    w.u32(layout.first.duration);
                }
                if layout.fragment & TFHD_SIZE != 0 {
                    w.u32(layout.first.size);
                }
                if layout.fragment & TFHD_FLAGS != 0 {
                    w.u32(layout.default_flags);
                }
            });
            w.full(b"tfdt", 1, 0, |w| w.u64(segment.decode_time));
            w.full(b"trun", 1, layout.run, |w| {
                w.count(samples.len());
                w.i32(data_offset);
                if layout.run & TRUN_FIRST_FLAGS != 0 {
                    w.u32(flags_of(&layout.first));
                }
                for sample in samples {
                    row(w, layout.run, sample);
                }
            });
        });
    });
    w.u32(mdat);
    w.bytes(b"mdat");
    w.finish()
}

fn row(w: &mut BoxWriter, fields: u32, sample: &SegmentSample) {
    if fields & TRUN_DURATION != 0 {
        w.u32(sample.duration);
    }
    if fields & TRUN_SIZE != 0 {
        w.u32(sample.size);
    }
    if fields & TRUN_FLAGS != 0 {
        w.u32(flags_of(sample));
    }
    if fields & TRUN_CTO != 0 {
        w.i32(sample.cto);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_stated_length_is_the_written_one(
            samples in proptest::collection::vec((1u32..5000, 1u32..3, -2i32..3, any::<bool>()), 1..50),
            uniform: bool,
        ) {
            let samples: Vec<_> = samples
                .into_iter()
                .map(|(size, duration, cto, sync)| match uniform {
                    true => SegmentSample { size: 7, duration: 2, cto: 0, sync: true },
                    false => SegmentSample { size, duration, cto, sync },
                })
                .collect();
            let header = SegmentHeader { sequence_number: 1, track_id: 1, decode_time: u64::MAX, samples: &samples };
            let bytes = segment_header(&header).unwrap();
            prop_assert_eq!(bytes.len() as u32, segment_header_len(&samples).unwrap());
            let moof_len = u32::from_be_bytes(bytes[..4].try_into().unwrap());
            prop_assert_eq!(moof_len as usize + 8, bytes.len());
        }
    }

    #[test]
    fn four_gigabytes_of_media_are_refused() {
        let sample = SegmentSample {
            size: u32::MAX,
            duration: 1,
            cto: 0,
            sync: true,
        };
        let header = SegmentHeader {
            sequence_number: 1,
            track_id: 1,
            decode_time: 0,
            samples: &[sample],
        };
        assert!(segment_header(&header).is_err());
    }
}
