//! H.264 samples as byte streams (ISO/IEC 14496-10 annex B) without a change of length.
//!
//! The four length bytes in front of a NAL unit become `00 00 00 01`. What a transport stream wants besides, the access
//! unit delimiter and the parameter sets of sync samples (ISO/IEC 13818-1 §2.14, HLS authoring), is put in front of the
//! sample. A delimiter that the sample has already would be a second one, so it is overwritten with zeros: bytes that may
//! stand between NAL units in any number (§B.1.1, `leading_zero_8bits`).

/// The SPS and PPS of a track, for its sync samples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterSets {
    annex_b: Vec<u8>,
}

pub(crate) const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Access unit delimiter that allows slices of all types.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 9, 0xf0];
pub(crate) const DELIMITER_TYPE: u8 = 9;

/// A sample whose NAL units do not fill it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the NAL unit at byte {offset} of a sample has a length that leaves the sample")]
pub struct BadNalUnit {
    /// Of its length field.
    pub offset: usize,
}

impl ParameterSets {
    /// `sets`: SPS, then PPS, NAL headers included, no start codes.
    pub fn new<'a>(sets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut annex_b = Vec::new();
        for set in sets {
            annex_b.extend_from_slice(&START_CODE);
            annex_b.extend_from_slice(set);
        }
        Self { annex_b }
    }

    /// What goes in front of a sample.
    pub(crate) fn prefix(&self, sync: bool) -> Vec<u8> {
        let mut prefix = DELIMITER.to_vec();
        if sync {
            prefix.extend_from_slice(&self.annex_b);
        }
        prefix
    }
}

/// Turns the length fields of a sample into start codes.
///
/// Errors: [`BadNalUnit`]; the sample is then half done.
pub(crate) fn to_byte_stream(sample: &mut [u8]) -> Result<(), BadNalUnit> {
    let whole = sample.len();
    let mut rest = sample;
    while !rest.is_empty() {
        let bad = BadNalUnit {
            offset: whole.saturating_sub(rest.len()),
        };
        if rest.len() < 4 && rest.iter().all(|byte| *byte == 0) {
            // Padding of some muxers: it may stay.
            return Ok(());
        }
        let (field, after) = rest.split_first_chunk_mut::<4>().ok_or(bad)?;
        let length = usize::try_from(u32::from_be_bytes(*field)).map_err(|_| bad)?;
        let (unit, after) = after.split_at_mut_checked(length).ok_or(bad)?;
        match unit.first() {
            // An empty unit's length is zeros already.
            None => {}
            Some(header) if header & 0x1f == DELIMITER_TYPE => {
                field.fill(0);
                unit.fill(0);
            }
            Some(_) => *field = START_CODE,
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_become_start_codes_and_delimiters_zeros() {
        let mut sample = vec![
            0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 0, 0, 0,
        ];
        to_byte_stream(&mut sample).unwrap();
        assert_eq!(
            sample,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x65, 1, 2, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_unit_that_leaves_its_sample_is_named() {
        let mut sample = vec![0, 0, 0, 1, 0x65, 0, 0, 1, 0, 1];
        assert_eq!(to_byte_stream(&mut sample), Err(BadNalUnit { offset: 5 }));
        assert_eq!(
            to_byte_stream(&mut [0, 0, 1]),
            Err(BadNalUnit { offset: 0 })
        );
    }

    proptest! {
        #[test]
        fn never_panics_nor_changes_the_length(mut sample in proptest::collection::vec(0u8..12, 0..64)) {
            let before = sample.len();
            let _ = to_byte_stream(&mut sample);
            prop_assert_eq!(sample.len(), before);
        }
    }
}
