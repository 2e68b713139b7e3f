//! H.264 samples under SAMPLE-AES (Apple, "MPEG-2 Stream Encryption Format for HTTP Live Streaming").
//!
//! Each NAL unit gets a start code and goes through [`SampleAes::nal`]. That puts emulation prevention on what is encrypted, so
//! a sample grows by a number of bytes that only who has its bytes, the key and the vector can tell. The space between NAL
//! units, which is zeros in clear streams, is left out: decryptors take zeros before a start code for the end of the unit.

use crate::avc::{BadNalUnit, DELIMITER_TYPE, START_CODE};
use headwater_protect::sample_aes::SampleAes;

/// Appends a sample (NAL units behind lengths of four bytes) as an encrypted byte stream. Delimiters are left out: one is in
/// front of the sample.
///
/// Errors: [`BadNalUnit`]; `out` then has the NAL units before it.
pub(crate) fn encrypt_picture(
    sample: &[u8],
    cipher: &SampleAes,
    out: &mut Vec<u8>,
) -> Result<(), BadNalUnit> {
    let mut rest = sample;
    while !rest.is_empty() {
        let bad = BadNalUnit {
            offset: sample.len().saturating_sub(rest.len()),
        };
        if rest.len() < 4 && rest.iter().all(|byte| *byte == 0) {
            // Padding of some muxers.
            return Ok(());
        }
        let (field, after) = rest.split_first_chunk::<4>().ok_or(bad)?;
        let length = usize::try_from(u32::from_be_bytes(*field)).map_err(|_| bad)?;
        let (unit, after) = after.split_at_checked(length).ok_or(bad)?;
        rest = after;
        match unit.first() {
            None => {}
            Some(header) if header & 0x1f == DELIMITER_TYPE => {}
            Some(_) => {
                out.extend_from_slice(&START_CODE);
                cipher.nal(unit, out);
            }
        }
    }
    Ok(())
}

/// Bytes that a sample of [`Framing::ProtectedAvc`](crate::Framing::ProtectedAvc) becomes. `scratch`: room to work in.
///
/// Errors: [`BadNalUnit`].
pub fn encrypted_len(
    sample: &[u8],
    cipher: &SampleAes,
    scratch: &mut Vec<u8>,
) -> Result<usize, BadNalUnit> {
    scratch.clear();
    encrypt_picture(sample, cipher, scratch)?;
    Ok(scratch.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Framing, Pes, PesError, Unit};
    use headwater_protect::Key;
    use proptest::prelude::*;

    fn cipher() -> SampleAes {
        SampleAes::new(&Key::new([3; 16]), [5; 16])
    }

    fn sample(units: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for unit in units {
            out.extend_from_slice(&u32::try_from(unit.len()).unwrap().to_be_bytes());
            out.extend_from_slice(unit);
        }
        out
    }

    #[test]
    fn delimiters_and_padding_are_left_out_and_short_units_stay() {
        let mut bytes = sample(&[&[9, 0xf0], &[6, 1, 2], &[], &[0x41; 48]]);
        bytes.extend_from_slice(&[0, 0]);
        let mut out = vec![7];
        encrypt_picture(&bytes, &cipher(), &mut out).unwrap();
        let expected = [&[7, 0, 0, 0, 1, 6, 1, 2, 0, 0, 0, 1][..], &[0x41; 48]].concat();
        assert_eq!(out, expected);
        let torn = sample(&[&[6, 1], &[0x41; 60]]);
        let torn = &torn[..20];
        assert_eq!(
            encrypt_picture(torn, &cipher(), &mut out),
            Err(BadNalUnit { offset: 6 })
        );
    }

    #[test]
    fn a_packet_has_the_length_that_was_found_out_and_no_other() {
        // Long runs of zeros are what emulation prevention grows by.
        let mut slice = vec![0x65; 33];
        slice.extend([0_u8, 0, 3].repeat(200));
        slice.push(0x80);
        let bytes = sample(&[&slice]);
        let len = encrypted_len(&bytes, &cipher(), &mut Vec::new()).unwrap();
        assert!(len > bytes.len());
        let mut pes = Pes {
            pid: 0x100,
            stream_id: 0xe0,
            counter: 0,
            random_access: true,
            pcr: Some(1),
            pts: 2,
            dts: None,
            packets: 0,
            framing: Framing::ProtectedAvc,
            units: vec![Unit {
                prefix: vec![1],
                len: u32::try_from(bytes.len()).unwrap(),
                becomes: u32::try_from(len).unwrap(),
            }],
        };
        pes.packets = pes.least_packets();
        let mut out = Vec::new();
        pes.write(&bytes, Some(&cipher()), &mut out).unwrap();
        assert_eq!(out.len() as u64, pes.len());
        assert_eq!(pes.write(&bytes, None, &mut out), Err(PesError::Keyless));
        pes.units[0].becomes += 1;
        assert!(matches!(
            pes.write(&bytes, Some(&cipher()), &mut out),
            Err(PesError::Becomes { .. })
        ));
    }

    proptest! {
        #[test]
        fn never_panics(sample in proptest::collection::vec(0u8..70, 0..400)) {
            let _ = encrypted_len(&sample, &cipher(), &mut Vec::new());
        }
    }
}
