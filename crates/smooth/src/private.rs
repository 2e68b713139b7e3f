//! `CodecPrivateData` ([MS-SSTR] §2.2.2.5): hexadecimal digits.

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Of pictures: each parameter set behind a start code. `sets`, NAL headers included: SPS and PPS of `FourCC="H264"`; VPS, SPS
/// and PPS of `hvc1` and `hev1`. Microsoft's amendment for HEVC leaves the VPS out; without it nothing decodes `hvc1`, and
/// clients that do not want it tell it by its type.
pub fn video_private_data<'a>(sets: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut bytes = Vec::new();
    for set in sets {
        bytes.extend_from_slice(&START_CODE);
        bytes.extend_from_slice(set);
    }
    hex(&bytes)
}

/// Of `FourCC="AACL"` and `"AACH"`: the AudioSpecificConfig.
pub fn aac_private_data(config: &[u8]) -> String {
    hex(config)
}

/// What `WAVEFORMATEXTENSIBLE` has behind its first part for Dolby Digital Plus, of `FourCC="EC-3"`: samples to a frame (six
/// blocks of 256), `speakers` as a channel mask, the format's GUID; then the payload of `dec3`.
pub fn eac3_private_data(speakers: u32, dec3: &[u8]) -> String {
    const SAMPLES: u16 = 1536;
    // a7fb87af-022d-42fb-a4d4-05cd93843bdd, as GUIDs lie in memory.
    const DOLBY_DIGITAL_PLUS: [u8; 16] = [
        0xaf, 0x87, 0xfb, 0xa7, 0x02, 0x2d, 0xfb, 0x42, 0xa4, 0xd4, 0x05, 0xcd, 0x93, 0x84, 0x3b,
        0xdd,
    ];
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&SAMPLES.to_le_bytes());
    bytes.extend_from_slice(&speakers.to_le_bytes());
    bytes.extend_from_slice(&DOLBY_DIGITAL_PLUS);
    bytes.extend_from_slice(dec3);
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    digits.map(|d| d.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dolby_digital_plus_is_an_extended_wave_format() {
        // 5.1, as encoders of Smooth Streaming wrote it.
        assert_eq!(
            eac3_private_data(0x3f, &[0x06, 0, 0x20, 0x0f, 0]),
            "00063F000000AF87FBA7022DFB42A4D405CD93843BDD0600200F00"
        );
    }
}
